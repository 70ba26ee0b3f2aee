"""The table of formats, and reading and writing by it. A new format: write `formats/NAME.py`, add an entry below.

A module has `write(motion, path, options)`; where the format can be read, also `read(path, options)`. Some options are
understood here, for all formats: the clip's name, pre- and post-roll and the reduction of keys. Everything that a
format can do is in its options, so `msmd convert --option` and a manifest's `format_options` reach the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from msmdcli.documents.names import readable_name
from msmdcli.documents.spelling import missing_hint, spelled
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.system.files import Written, cannot_write, remove, sha256_of, temporary_path

Notes = dict[str, Any]
Writer = Callable[[Motion, Path, Mapping[str, Any]], Notes | None]
Reader = Callable[[Path, Mapping[str, Any]], Motion]

COMMON = {
    "name": "name of the clip within the file (default: the file's own)",
    "pre_roll": "seconds put before the line (default 0)",
    "post_roll": "seconds put after the line (default 0)",
    "roll": "ease (from and to the neutral face, the default) or hold (repeat the first and the last pose)",
}
REDUCE = {"reduce_keys": "keep the fewest linear keys within this tolerance (default: a key on every frame)"}
HEAD = {"head": "head with morph targets, .glb, .vrm or .gltf (default: MSMD_HEAD, else the head that ships)"}
START = {"start": "first frame: a number, or a timecode HH:MM:SS:FF at the motion's rate"}


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: what a user calls it (`--formats livelink-csv`).
        suffix: of its files, with the dot.
        module: where `write(motion, path, options)` and, where the format can be read, `read(path, options)` are;
            imported when first used, so that naming the formats costs nothing. `write` may return notes: `warnings` (a
            list of sentences) and what a reduction of keys did.
        about: in a few words.
        readable: whether `read` exists.
        sparse: whether keys can be left out (`reduce_keys`).
        options: what `write` understands besides the common options: name -> meaning.
        read_options: what `read` understands.
        path_options: those of `options` that name a file of the user's.
        also: other suffixes that are read.
        begins: first bytes of its files, in lower case, to tell them by.
        rig: the only rig whose channels the format has a place for; None: any rig.
        companion: a function of the module that gives (file name, text) of a file that all files of this format need
            once beside them; empty: there is none.
    """

    name: str
    suffix: str
    module: str
    about: str = ""
    readable: bool = False
    sparse: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    read_options: Mapping[str, str] = field(default_factory=dict)
    path_options: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    begins: tuple[bytes, ...] = ()
    rig: str | None = None
    companion: str = ""

    @property
    def write(self) -> Writer:
        """The module's function, imported now."""
        return import_module(self.module).write  # type: ignore[no-any-return]

    @property
    def read(self) -> Reader | None:
        """The module's function, imported now; None where the format cannot be read."""
        return import_module(self.module).read if self.readable else None

    def holds(self, rig: Rig) -> bool:
        """Whether motion on this rig can be written."""
        return self.rig is None or set(Rig.load(self.rig).channels) <= set(rig.channels)

    @property
    def all_options(self) -> dict[str, str]:
        """Everything that can be said when writing: name -> meaning."""
        return {**self.options, **(REDUCE if self.sparse else {}), **COMMON}


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "npz",
            ".npz",
            "msmdcli.formats.npz",
            "NumPy arrays, exact: the format to keep",
            readable=True,
            begins=(b"pk\x03\x04",),
        ),
        Format(
            "livelink-csv",
            ".csv",
            "msmdcli.formats.livelink_csv",
            "Live Link Face, 61 columns: Unreal, Faceit and others",
            readable=True,
            options={"start": "timecode of the first frame, HH:MM:SS:FF, FF in sixtieths of a second"},
            read_options={"fps": "take the rows as frames at this rate and do not look at the timecode"},
            rig="arkit52",
            begins=(b"timecode", b'"timecode', b"\xef\xbb\xbftimecode", b'\xef\xbb\xbf"timecode'),
        ),
        Format(
            "json",
            ".json",
            "msmdcli.formats.motion_json",
            "JSON with a schema: your own tools",
            readable=True,
            sparse=True,
            options=START,
            begins=(b"{",),
        ),
        Format(
            "glb",
            ".glb",
            "msmdcli.formats.glb",
            "glTF: a head with its animation, for three.js, Blender, Godot, Unity, Unreal",
            readable=True,
            sparse=True,
            options={
                **HEAD,
                "head_node": "node that turns with the head (default: the one called head); none: no head motion",
            },
            read_options={"fps": "frame rate (default: the file's note, else what its key times say)"},
            path_options=("head",),
            also=(".gltf", ".vrm"),
            begins=(b"gltf",),
        ),
        Format(
            "usda",
            ".usda",
            "msmdcli.formats.usda",
            "USD: UsdSkel blend-shape animation, alone or on an asset",
            readable=True,
            sparse=True,
            options={
                **START,
                "asset": "USD file of the character, which is referenced (default: the animation alone)",
                "skeleton": "path of the skeleton in the asset (default: the only one)",
                "head_joint": "joint that turns with the head (default: the one called head); none: no head motion",
            },
            path_options=("asset",),
            also=(".usd", ".usdc", ".usdz"),
            begins=(b"#usda", b"pxr-usdc"),
        ),
        Format(
            "unity-anim",
            ".anim",
            "msmdcli.formats.unity_anim",
            "Unity AnimationClip",
            readable=True,
            sparse=True,
            options={
                "mesh_path": "path of the object with the blend shapes, below the Animator; several with commas",
                "head_path": "path of the object that turns with the head (default Head); none: no head motion",
                "prefix": 'text before every blend shape\'s name, such as "Face."',
            },
            read_options={"fps": "frame rate (default: the file's)"},
            begins=(b"%yaml",),
        ),
        Format(
            "maya",
            ".maya.py",
            "msmdcli.formats.maya",
            "Maya: a script that sets keyframes, no plug-in",
            readable=True,
            sparse=True,
            options={
                **START,
                "namespace": "namespace of the character",
                "blendshape": "blendShape node (default blendShape1); several with commas",
                "head": "transform that turns with the head (default: none)",
            },
            begins=(b"# msmd keyframes for maya",),
        ),
        Format(
            "unreal",
            ".unreal.csv",
            "msmdcli.formats.unreal",
            "Unreal: a curve table, and an Editor script that makes AnimSequences of such tables",
            readable=True,
            sparse=True,
            begins=(b"msmd curve table",),
            companion="editor_script",
        ),
        Format(
            "fbx",
            ".fbx",
            "msmdcli.formats.fbx",
            "FBX, written by Blender",
            options={
                **HEAD,
                **START,
                "head_node": "node that turns with the head (default: the one called head); none: no head motion",
                "blender": "Blender, or a Python with bpy (default: MSMD_BLENDER, else what is found)",
            },
            path_options=("head",),
            begins=(b"kaydara fbx",),
        ),
    )
}
SNIFFED = 64  # bytes at the start of a file that tell its format


def get_format(name: str) -> Format:
    """The format of that name."""
    if name not in FORMATS:
        raise UsageError(f"unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    return FORMATS[name]


def write_motion(motion: Motion, path: Path | str, fmt: str, options: Mapping[str, Any] | None = None) -> Notes:
    """Write a motion in the format called `fmt`. The name of the file is taken as it is; its folder must exist.

    Returns:
        Notes: `frames`, with pre- and post-roll; `warnings`, where the format could not hold everything; `keys_before`,
        `keys` and `largest_error` where keys were reduced.
    """
    form = get_format(fmt)
    given = check_options(fmt, options)
    path = Path(path)
    given["name"] = readable_name(str(given.get("name") or stem(path)))
    motion = _in_text(motion)
    if not form.holds(motion.rig):
        absent = next(name for name in Rig.load(str(form.rig)).channels if name not in motion.rig.channels)
        raise MsmdError(f"format {fmt} holds the channels of {form.rig} only; rig {motion.rig.name} has no {absent}")
    motion = _rolled(motion, given)
    try:
        return {"frames": motion.frames, **(form.write(motion, path, given) or {})}
    except OSError as error:
        raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error


def write_temporary(motion: Motion, target: Path, fmt: str, options: Mapping[str, Any] | None = None) -> Written:
    """Write a motion beside `target`, in the format called `fmt` with its options; its folder is made.

    Raises:
        MsmdError: it cannot be written, or the format cannot hold it; nothing is left behind.
    """
    temporary = temporary_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        notes = write_motion(motion, temporary, fmt, {"name": stem(target), **(options or {})})
        return Written(target, temporary, sha256_of(temporary), notes)
    except OSError as error:
        remove(temporary)
        raise cannot_write(target, error) from error
    except BaseException:
        remove(temporary)
        raise


def read_motion(path: Path | str, options: Mapping[str, Any] | None = None) -> Motion:
    """Read a motion file of any readable format, known by its suffix or, failing that, by its first bytes."""
    path = spelled(Path(path))
    form = format_of(path)
    try:
        if form is None or form.read is None:
            known = ", ".join(f"{form.name} ({form.suffix})" for form in FORMATS.values() if form.readable)
            raise MsmdError(f"{path} is no motion file that MSMD can read", hint=f"readable: {known}")
        return form.read(path, _known(form, options, form.read_options))
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error


def format_of(path: Path | str) -> Format | None:
    """The format of a file that is there; None where it is not one of ours."""
    path = spelled(Path(path))
    if not path.exists():
        raise MsmdError(f"no such file: {path}", hint=missing_hint(path))
    if not path.is_file():
        raise MsmdError(f"{path} is not a file")
    name = path.name.lower()
    fitting = [(len(s), form) for form in FORMATS.values() for s in (form.suffix, *form.also) if name.endswith(s)]
    if fitting:
        return max(fitting, key=lambda entry: entry[0])[1]
    try:
        with path.open("rb") as file:
            start = file.read(SNIFFED).lower()
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error
    return next((form for form in FORMATS.values() if start.startswith(form.begins)), None) if start else None


def stem(path: Path) -> str:
    """The name of a file without the suffix of its format: `guard_001` of `guard_001.unreal.csv`."""
    name = path.name
    suffixes = sorted((s for form in FORMATS.values() for s in (form.suffix, *form.also)), key=len, reverse=True)
    suffix = next((s for s in suffixes if name.lower().endswith(s) and len(name) > len(s)), path.suffix)
    return name[: len(name) - len(suffix)] if suffix else name


def check_options(fmt: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options with their names as the format knows them; `reduce-keys` means `reduce_keys`. None is no value.

    Raises:
        UsageError: the format has no such option.
    """
    form = get_format(fmt)
    given = _known(form, options, form.all_options)
    if "reduce_keys" in given:
        from msmdcli.motion.key_reduction import parse_tolerance

        given["reduce_keys"] = parse_tolerance(given["reduce_keys"])
    return given


def options_key(fmt: str, options: Mapping[str, Any] | None) -> str:
    """What of the options decides the bytes of a file, as text: their values, and the content of files they name."""
    form = get_format(fmt)
    given = {name: str(value) for name, value in check_options(fmt, options).items()}
    for name in form.path_options:
        path = Path(given.get(name, ""))
        if name in given and path.is_file():
            given[name] = _content(path)
    return json.dumps(given, sort_keys=True) if given else ""


def _content(path: Path) -> str:
    """sha256 of a file; of a .gltf with all that it keeps in other files."""
    if path.suffix.lower() != ".gltf":
        return sha256_of(path)
    from msmdcli.formats.gltf_file import GltfFile

    return hashlib.sha256(path.read_bytes() + GltfFile.load(path).blob).hexdigest()


def _in_text(motion: Motion) -> Motion:
    """The motion with notes that are text: names of files may hold bytes that are none."""
    notes = {name: readable_name(value) if isinstance(value, str) else value for name, value in motion.meta.items()}
    return motion if notes == motion.meta else replace(motion, meta=notes)


def companions(formats: Iterable[str]) -> dict[str, str]:
    """Files that the files of these formats need once beside them: file name -> text."""
    found = {}
    for name in formats:
        form = get_format(name)
        if form.companion:
            file, text = getattr(import_module(form.module), form.companion)()
            found[file] = text
    return found


def _rolled(motion: Motion, options: dict[str, Any]) -> Motion:
    """The motion with the pre- and post-roll that the options ask for; they are taken out."""
    before, after, manner = (options.pop(key, None) for key in ("pre_roll", "post_roll", "roll"))
    if before is None and after is None and manner is None:
        return motion
    from msmdcli.motion.roll import EASE, roll

    return roll(motion, before or 0, after or 0, manner or EASE)


def _known(form: Format, options: Mapping[str, Any] | None, known: Mapping[str, str]) -> dict[str, Any]:
    """The options that have a value, by the names in `known`."""
    given = {}
    for name, value in (options or {}).items():
        key = name.replace("-", "_")
        if key not in known:
            raise UsageError(
                f"format {form.name} has no option {name!r}", hint=did_you_mean(key, known) if known else ""
            )
        if value is not None:
            given[key] = value
    return given
