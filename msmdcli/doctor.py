"""What this machine can do, and what is missing: the findings that `msmd doctor` prints."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from msmdcli import __version__
from msmdcli.errors import MsmdError
from msmdcli.paths import cache_dir, shared_dir, shipped_bundle
from msmdcli.runtime import available_cores, check_one_build, installed_builds

NEEDED = ("numpy", "typer", "rich", "PyYAML", "soundfile", "soxr", "av")
EXTRAS = {  # extra -> a distribution that shows that it is there, and what it is for
    "train": ("torch", "training and export"),
    "speech": ("piper-tts", "synthetic speech"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: the thing.
        fine: whether it is in order.
        detail: in words.
        needed: whether animating lines needs it.
    """

    what: str
    fine: bool
    detail: str
    needed: bool = True


def examine(device: str, bundle: Path | None, styles: Iterable[Path]) -> Iterator[Finding]:
    """Look at everything, most basic first."""
    yield Finding("msmd", True, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("cores", True, f"{available_cores()} that this process may use")
    for name in NEEDED:
        version = _version(name)
        yield Finding(name, version is not None, version or f"not installed: pip install {name}")
    yield _onnx_runtime()
    yield from _model(device, bundle)
    yield from _styles(styles)
    for extra, (name, purpose) in EXTRAS.items():
        version = _version(name)
        detail = f"{name} {version}" if version else f"not installed (for {purpose}): pip install 'msmd[{extra}]'"
        yield Finding(f"extra {extra}", version is not None, detail, needed=False)
    yield Finding("cache", True, str(cache_dir()), needed=False)
    shared = shared_dir()
    yield Finding("shared material", shared is not None, str(shared or "none (MSMD_SHARED)"), needed=False)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _onnx_runtime() -> Finding:
    try:
        check_one_build()
        import onnxruntime

        providers = ", ".join(onnxruntime.get_available_providers())
        return Finding("ONNX Runtime", True, f"{installed_builds()}; offers {providers}")
    except (MsmdError, ImportError) as error:
        return Finding("ONNX Runtime", False, str(error))


def _model(device: str, folder: Path | None) -> Iterator[Finding]:
    """Load the model, run it, and keep it to its word that a line's bytes do not depend on its neighbours."""
    from msmdcli.bundle import Bundle

    try:
        bundle = Bundle.load(folder or shipped_bundle())
        yield Finding("model", True, f"{bundle.name} in {bundle.path}, all files whole")
        from msmdcli.engine import Engine

        engine = Engine(bundle, device)
        speed = engine.seconds_per_second()
        yield Finding("device", True, f"{engine.device}; 1 s of sound takes {speed:.3f} s")
        same = engine.check_same_bytes()
        detail = "a line alone and among others" if same else "NOT the same alone and among others on this machine"
        yield Finding("same bytes", same, detail)
    except MsmdError as error:
        yield Finding("model", False, str(error))


def _styles(folders: Iterable[Path]) -> Iterator[Finding]:
    from msmdcli.rig import Rig
    from msmdcli.styles import StyleLibrary, check_style

    try:
        library = StyleLibrary(folders)
        rig = Rig.load("arkit52")
        bad = {tag: problems for tag, folder in library.tags.items() if (problems := check_style(folder, rig))}
    except MsmdError as error:
        yield Finding("styles", False, str(error))
        return
    if bad:
        yield Finding("styles", False, "; ".join(f"{tag}: {problems[0]}" for tag, problems in bad.items()))
    else:
        yield Finding("styles", bool(library.tags), ", ".join(library.tags) or "there are no tags")
