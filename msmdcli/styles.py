"""The style library: folders of tags, each a `style.yaml` and one or more motion clips.

    styles/angry/style.yaml
    styles/angry/clip.npz

A style is named by a tag, or by the path of a motion file (npz, Live Link Face CSV). Clips of a tag that has several
are encoded one by one and their codes averaged (`Engine.encode_style`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.paths import shipped_styles
from msmdcli.rig import did_you_mean
from msmdcli.style_field import NO_STYLE

if TYPE_CHECKING:
    from msmdcli.motion import Motion
    from msmdcli.rig import Rig

FORMAT_VERSION = 1
TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
KEYS = ("format_version", "tag", "description", "licence", "consent", "source", "synthetic", "created_by", "clips")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg")
SHORTEST_SECONDS = 1  # a reference must show a manner; one second is little already


@dataclass(frozen=True)
class StyleReference:
    """A style that was found: its clips and what they hold.

    Attributes:
        name: the tag, or the path as it was written.
        clips: motion files, at least one.
        sha256: of the clips' contents, in order.
    """

    name: str
    clips: tuple[Path, ...]
    sha256: str

    def load(self) -> list[Motion]:
        """The clips as motion."""
        from msmdcli.formats import read_motion

        return [read_motion(clip) for clip in self.clips]


@dataclass(frozen=True)
class StyleTag:
    """One entry of the library, as its `style.yaml` describes it.

    Attributes:
        folder: where it lies.
        tag: its name, equal to the folder's.
        description, licence, consent, source, created_by: in words; `created_by` is a command where there is one.
        synthetic: made by a program rather than performed.
        clips: (file, sha256) of each clip.
    """

    folder: Path
    tag: str
    description: str
    licence: str
    consent: str
    source: str
    created_by: str
    synthetic: bool
    clips: tuple[tuple[Path, str], ...]


class StyleLibrary:
    """Folders of tags. A tag in an earlier folder hides one of the same name in a later.

    Args:
        folders: searched in this order; the library that ships comes last unless `shipped` is False.
    """

    def __init__(self, folders: Iterable[Path] = (), shipped: bool = True) -> None:
        self.folders = [Path(folder).expanduser() for folder in folders]
        for folder in self.folders:
            if not folder.is_dir():
                raise UsageError(f"no folder of styles at {folder}", hint="a style folder holds tags: TAG/style.yaml")
        if shipped and shipped_styles().is_dir():
            self.folders.append(shipped_styles())

    @cached_property
    def tags(self) -> dict[str, Path]:
        """Every tag and its folder, sorted by tag. What is inside is not looked at."""
        found: dict[str, Path] = {}
        for library in self.folders:
            for folder in sorted(path.parent for path in library.glob("*/style.yaml")):
                found.setdefault(folder.name, folder)
        return dict(sorted(found.items()))

    def read(self, tag: str) -> StyleTag:
        """The description of one tag."""
        folder = self.tags.get(tag)
        if folder is None:
            raise MsmdError(f"there is no style {tag!r}", hint=self._hint(tag))
        return read_style(folder)

    def knows(self, name: str, base: Path) -> bool:
        """Whether a name is `none`, a tag of this library or something that can only be a path."""
        return name == NO_STYLE or is_path(name, base) or name in self.tags

    def resolve(self, name: str, base: Path = Path()) -> StyleReference | None:
        """The clips that a style's name stands for; None for `none`.

        Args:
            name: a tag, a path, or `none`.
            base: where a relative path starts.

        Raises:
            MsmdError: unknown tag, no such file, a clip that is not the one its style.yaml describes.
        """
        if name == NO_STYLE:
            return None
        if not is_path(name, base):
            style = self.read(name)
            digests = [_checked_sha256(style, clip, expected) for clip, expected in style.clips]
            return StyleReference(name, tuple(clip for clip, _ in style.clips), _joined(digests))
        path = base / Path(name).expanduser()
        if path.is_dir():
            style = read_style(path)
            digests = [_checked_sha256(style, clip, expected) for clip, expected in style.clips]
            return StyleReference(name, tuple(clip for clip, _ in style.clips), _joined(digests))
        if not path.is_file():
            raise MsmdError(f"style {name}: no such file ({path})", hint=self._hint(name))
        if path.suffix.lower() in VIDEO_SUFFIXES:
            raise MsmdError(
                f"style {name}: a video must be tracked before it can be a style",
                hint="give motion instead: a Live Link Face CSV or a motion npz",
            )
        return StyleReference(name, (path,), _joined([sha256_of(path)]))

    def _hint(self, name: str) -> str:
        tags = self.tags
        if not tags:
            return "there are no tags at all; name a folder of styles with --styles"
        return did_you_mean(name, [*tags, NO_STYLE])


def is_path(name: str, base: Path) -> bool:
    """Whether a style's name means a file: it has a separator or a suffix, or such a file exists."""
    if "/" in name or "\\" in name or Path(name).suffix:
        return True
    return not TAG.fullmatch(name) and (base / name).exists()


def read_style(folder: Path) -> StyleTag:
    """Read and check the `style.yaml` of one tag."""
    import yaml

    path = folder / "style.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MsmdError(f"{path} cannot be read: {error}") from error
    try:
        return _parse(folder, data)
    except MsmdError as error:
        raise MsmdError(f"{path}: {error.message}", hint=error.hint) from None


def _parse(folder: Path, data: Any) -> StyleTag:
    if not isinstance(data, dict):
        raise MsmdError("it is not a mapping of keys", hint=f"keys: {', '.join(KEYS)}")
    for key in data:
        if key not in KEYS:
            raise MsmdError(f"unknown key {key!r}", hint=did_you_mean(str(key), KEYS))
    missing = [key for key in KEYS if key not in data]
    if missing:
        raise MsmdError(f"it lacks {', '.join(missing)}", hint="a style says what it is and how it may be used")
    if data["format_version"] != FORMAT_VERSION:
        raise MsmdError(f"style format {data['format_version']!r}; this program reads {FORMAT_VERSION}")
    tag = str(data["tag"])
    if tag != folder.name or not TAG.fullmatch(tag) or tag == NO_STYLE:
        raise MsmdError(
            f"tag {tag!r} in a folder called {folder.name!r}",
            hint="both must be the same word of a-z, 0-9, - and _; 'none' is taken",
        )
    if not isinstance(data["synthetic"], bool):
        raise MsmdError(f"synthetic must be true or false, not {data['synthetic']!r}")
    clips = []
    entries = data["clips"] if isinstance(data["clips"], list) else []
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"file", "sha256"}:
            raise MsmdError(f"clip {entry!r} is not {{file: ..., sha256: ...}}")
        file = folder / str(entry["file"])
        if not file.resolve().is_relative_to(folder.resolve()):
            raise MsmdError(f"clip {entry['file']!r} lies outside the tag's folder")
        clips.append((file, str(entry["sha256"])))
    if not clips:
        raise MsmdError("it has no clips", hint="clips: [{file: clip.npz, sha256: ...}]")
    texts = {key: str(data[key]) for key in ("description", "licence", "consent", "source", "created_by")}
    return StyleTag(folder=folder, tag=tag, synthetic=data["synthetic"], clips=tuple(clips), **texts)


def check_style(folder: Path, rig: Rig) -> list[str]:
    """Everything that is wrong with one tag, in words; empty if nothing is."""
    import numpy as np

    from msmdcli.formats import read_motion

    try:
        style = read_style(folder)
    except MsmdError as error:
        return [str(error)]
    problems = [f"{key} is empty" for key in ("description", "licence", "source") if not getattr(style, key).strip()]
    for clip, expected in style.clips:
        try:
            _checked_sha256(style, clip, expected)
            motion = read_motion(clip)
        except MsmdError as error:
            problems.append(str(error))
            continue
        if motion.rig.channels != rig.channels:
            problems.append(f"{clip.name} is on rig {motion.rig.name}, not {rig.name}")
            continue
        if motion.seconds < SHORTEST_SECONDS:
            problems.append(f"{clip.name} lasts {float(motion.seconds):.2f} s; {SHORTEST_SECONDS} s is the least")
        outside = np.abs(motion.values - motion.clip().values).max()
        if outside > 1e-4:
            problems.append(f"{clip.name} leaves the rig's ranges by up to {outside:.3f}")
    return problems


def sha256_of(path: Path) -> str:
    """sha256 of a file's content."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error


def _checked_sha256(style: StyleTag, clip: Path, expected: str) -> str:
    if not clip.is_file():
        raise MsmdError(f"style {style.tag}: clip {clip} is missing")
    digest = sha256_of(clip)
    if digest != expected:
        raise MsmdError(
            f"style {style.tag}: {clip} is not the clip that its style.yaml describes (its sha256 differs)",
            hint="if the change was meant, write its new sha256 into style.yaml",
        )
    return digest


def _joined(digests: list[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
