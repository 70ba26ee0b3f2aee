"""The style library: folders of tags, each a `style.yaml` and one or more motion clips.

    styles/angry/style.yaml
    styles/angry/clip.npz

A style is named by a tag, or by the path of a take: a video, a motion npz or a Live Link Face CSV. `take.mp4@3.2-9.0`
is the part of a take from 3.2 to 9.0 seconds, `take.mp4@3.2-` all of it from there on. Videos are tracked when they
are first needed (`tracker`). Clips of a tag that has several are encoded one by one and their codes averaged
(`Engine.encode_style`).

`style.yaml`, format 1, has the keys of `KEYS`. Format 2 may also say `private` and `preview`, and for each clip from
which take it was made (`made_from`). What needs none of these stays format 1.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.documents.names import path_problem
from msmdcli.documents.spelling import missing_hint, spelled
from msmdcli.documents.tree import load_small_yaml
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.media.suffixes import is_video
from msmdcli.media.video import probe_video
from msmdcli.paths import shipped_styles, user_styles
from msmdcli.styles.field import NO_STYLE
from msmdcli.system.files import sha256_of

if TYPE_CHECKING:
    from msmdcli.motion.motion import Motion
    from msmdcli.motion.rig import Rig
    from msmdcli.tracking.track import Track, TrackOptions

FORMAT_VERSION = 1
FORMAT_WITH_ORIGIN = 2  # with the optional keys
TAG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RANGE = re.compile(r"(?P<path>.+)@(?P<start>\d+(?:\.\d+)?)?-(?P<stop>\d+(?:\.\d+)?)?")
KEYS = ("format_version", "tag", "description", "licence", "consent", "source", "synthetic", "created_by", "clips")
OPTIONAL_KEYS = ("private", "preview")
CLIP_KEYS = ("file", "sha256")
OPTIONAL_CLIP_KEYS = ("made_from",)
SHORTEST_SECONDS = 1  # a reference must show a manner; one second is little already
END_TOLERANCE = 0.1  # seconds that a range may reach beyond the end: containers and players round durations


@dataclass(frozen=True)
class StyleReference:
    """A style that was found: its clips and what they hold.

    Attributes:
        name: the tag, or the path as it was written.
        clips: motion files or videos, at least one.
        sha256: of the clips' contents, in order, and of the part that is meant.
        start, stop: the part of a single take, in seconds; stop None is its end.
        private: it comes from a tag that is not to leave this machine's owner.
    """

    name: str
    clips: tuple[Path, ...]
    sha256: str
    start: float = 0.0
    stop: float | None = None
    private: bool = False

    def load(self) -> list[Motion]:
        """The clips as motion; videos are tracked, once for each content and part (`msmdcli.tracking.tracker`)."""
        return [read_take(clip, self.start, self.stop) for clip in self.clips]

    def warnings(self) -> list[str]:
        """What a person should know of the takes, once they are loaded: such as several faces in a video."""
        tracks = [(clip, self.track(clip)) for clip in self.clips if is_video(clip)]
        told = [f"{clip.name}: {text}" for clip, track in tracks if track is not None for text in track.warnings]
        return [text.replace("--face chooses another", "`msmd styles add --face N` takes another") for text in told]

    def track(self, clip: Path) -> Track | None:
        """What is kept of the tracking of a video among the clips; None where nothing is."""
        from msmdcli.tracking.tracker import kept_track

        return kept_track(clip, self.track_options())

    def track_options(self) -> TrackOptions:
        """How its videos are tracked."""
        from msmdcli.tracking.track import TrackOptions

        return TrackOptions(start=self.start, stop=self.stop)


@dataclass(frozen=True)
class StyleTag:
    """One entry of the library, as its `style.yaml` describes it.

    Attributes:
        folder: where it lies.
        tag: its name, equal to the folder's.
        description, licence, consent, source, created_by: in words; `created_by` is a command where there is one.
        synthetic: made by a program rather than performed.
        clips: (file, sha256) of each clip.
        private: for its owner only: what licence and consent allow was not stated.
        preview: a picture of it, if there is one.
        made_from: for each clip, the take that it was made from (file name, sha256, start and stop in seconds, tracker,
            date, ...); empty where that is not known.
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
    private: bool = False
    preview: Path | None = None
    made_from: tuple[Mapping[str, Any], ...] = ()

    def reference(self, name: str) -> StyleReference:
        """The style that it is, its clips compared with their sha256."""
        digests = [_checked_sha256(self, clip, expected) for clip, expected in self.clips]
        return StyleReference(name, tuple(clip for clip, _ in self.clips), _joined(digests), private=self.private)


class StyleLibrary:
    """Folders of tags. A tag in an earlier folder hides one of the same name in a later.

    Args:
        folders: searched in this order; then come the user's own tags and last the library that ships, unless
            `shipped` is False.
    """

    def __init__(self, folders: Iterable[Path] = (), shipped: bool = True) -> None:
        self.folders = [Path(folder).expanduser() for folder in folders]
        for folder in self.folders:
            if not folder.is_dir():
                raise UsageError(f"no folder of styles at {folder}", hint="a style folder holds tags: TAG/style.yaml")
        if shipped:
            self.folders += [folder for folder in (user_styles(), shipped_styles()) if folder.is_dir()]

    @cached_property
    def tags(self) -> dict[str, Path]:
        """Every tag and its folder, sorted by tag. What is inside is not looked at."""
        found: dict[str, Path] = {}
        for library in self.folders:
            for folder in sorted(path.parent for path in library.glob("*/style.yaml")):
                if not folder.name.startswith("."):  # being written, or being removed
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
            return self.read(name).reference(name)
        path, start, stop = split_range(name, base)
        if path.is_dir():
            if start or stop is not None:
                raise MsmdError(f"style {name}: {path} is a folder", hint="a part can be taken of a single take only")
            return read_style(path).reference(name)
        if not path.is_file():
            raise MsmdError(f"style {name}: no such file ({path})", hint=missing_hint(path, self._hint(name)))
        part = [] if not start and stop is None else [f"{start!r} {stop!r}"]
        return StyleReference(name, (path,), _joined([sha256_of(path), *part]), start, stop)

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


def split_range(name: str, base: Path = Path()) -> tuple[Path, float, float | None]:
    """The path of a take, and the part of it that is meant: `take.mp4@3.2-9.0` -> take.mp4, 3.2, 9.0.

    Args:
        name: a path, with or without a part. A file that is really called so is taken as it is.
        base: where a relative path starts.
    """
    whole = spelled(base / Path(name).expanduser())
    found = RANGE.fullmatch(name)
    if found is None or whole.exists():
        return whole, 0.0, None
    start, stop = float(found["start"] or 0.0), None if found["stop"] is None else float(found["stop"])
    return spelled(base / Path(found["path"]).expanduser()), start, stop


def check_range(start: float, stop: float | None, seconds: float, what: str) -> None:
    """Refuse a part that a take of that many seconds does not have.

    Raises:
        MsmdError: it is empty, backwards, no number, or reaches beyond the take.
    """
    lasts = f"it lasts {seconds:.2f} s"
    for number in (start, stop):
        if number is not None and not (math.isfinite(number) and number >= 0):
            raise MsmdError(f"{what}: {number:g} s is no moment of a take", hint=f"give seconds from 0 on; {lasts}")
    if stop is not None and stop <= start:
        how = "is empty" if stop == start else "runs backwards"
        raise MsmdError(f"{what}: the part from {start:g} to {stop:g} s {how}", hint=f"the end comes last; {lasts}")
    if start >= seconds:
        raise MsmdError(f"{what}: the part starts at {start:g} s, after the end of the take", hint=lasts)
    if stop is not None and stop > seconds + END_TOLERANCE:
        raise MsmdError(f"{what}: the part ends at {stop:g} s, after the end of the take", hint=lasts)


def read_take(path: Path, start: float = 0.0, stop: float | None = None) -> Motion:
    """A video (tracked), npz or Live Link CSV as motion, or a part of it.

    Args:
        path: the file.
        start, stop: seconds from its start; stop None is its end.
    """
    if is_video(path):
        from msmdcli.tracking.track import TrackOptions
        from msmdcli.tracking.tracker import tracked_motion

        check_range(start, stop, float(probe_video(path).seconds), path.name)
        return tracked_motion(path, TrackOptions(start=start, stop=stop))
    from msmdcli.formats.registry import read_motion

    try:
        motion = read_motion(path)
    except MsmdError as error:
        more = ", and videos" if error.hint.startswith("readable") else ""
        raise MsmdError(error.message, hint=error.hint + more) from None
    return part_of(motion, start, stop, path.name)


def part_of(motion: Motion, start: float, stop: float | None, what: str) -> Motion:
    """The frames of a motion at start <= time < stop, in seconds; `what` it is called in messages."""
    check_range(start, stop, float(motion.seconds), what)
    if not start and stop is None:
        return motion
    first = min(math.ceil(start * motion.fps), motion.frames - 1)
    last = motion.frames if stop is None else min(math.ceil(stop * motion.fps), motion.frames)
    return motion.slice(first, max(last, first + 1))


def read_style(folder: Path) -> StyleTag:
    """Read and check the `style.yaml` of one tag."""
    path = folder / "style.yaml"
    if folder.is_dir() and not path.exists():
        raise MsmdError(
            f"{folder} is a folder without a style.yaml", hint="a style is a tag, a take, or a tag's folder"
        )
    data = load_small_yaml(path)
    try:
        return _parse(folder, data)
    except MsmdError as error:
        raise MsmdError(f"{path}: {error.message}", hint=error.hint) from None


def _parse(folder: Path, data: Any) -> StyleTag:
    if not isinstance(data, dict):
        raise MsmdError("it is not a mapping of keys", hint=f"keys: {', '.join(KEYS)}")
    version = data.get("format_version", FORMAT_VERSION)
    if version not in (FORMAT_VERSION, FORMAT_WITH_ORIGIN):
        raise MsmdError(f"style format {version!r}; this program reads up to {FORMAT_WITH_ORIGIN}", hint="update MSMD")
    optional, clip_optional = (OPTIONAL_KEYS, OPTIONAL_CLIP_KEYS) if version >= FORMAT_WITH_ORIGIN else ((), ())
    for key in data:
        if key not in KEYS and key not in optional:
            newer = f"; it needs format_version {FORMAT_WITH_ORIGIN}" if key in OPTIONAL_KEYS else ""
            raise MsmdError(f"unknown key {key!r}{newer}", hint=did_you_mean(str(key), KEYS + optional))
    missing = [key for key in KEYS if key not in data]
    if missing:
        raise MsmdError(f"it lacks {', '.join(missing)}", hint="a style says what it is and how it may be used")
    tag = str(data["tag"])
    if tag != folder.name or not TAG.fullmatch(tag) or tag == NO_STYLE:
        raise MsmdError(
            f"tag {tag!r} in a folder called {folder.name!r}",
            hint="both must be the same word of a-z, 0-9, - and _; 'none' is taken",
        )
    for flag in ("synthetic", "private"):
        if not isinstance(data.get(flag, False), bool):
            raise MsmdError(f"{flag} must be true or false, not {data[flag]!r}")
    clips, made_from = [], []
    for entry in data["clips"] if isinstance(data["clips"], list) else []:
        known = isinstance(entry, dict) and set(CLIP_KEYS) <= set(entry) <= {*CLIP_KEYS, *clip_optional}
        if not known or not isinstance(entry.get("made_from", {}), dict):
            raise MsmdError(f"clip {entry!r} is not {{file: ..., sha256: ...}}")
        clips.append((_inside(folder, "clip", entry["file"]), str(entry["sha256"])))
        made_from.append(dict(entry.get("made_from", {})))
    if not clips:
        raise MsmdError("it has no clips", hint="clips: [{file: clip.npz, sha256: ...}]")
    texts = {key: str(data[key]) for key in ("description", "licence", "consent", "source", "created_by")}
    return StyleTag(
        folder=folder,
        tag=tag,
        synthetic=data["synthetic"],
        clips=tuple(clips),
        private=data.get("private", False),
        preview=_inside(folder, "preview", data["preview"]) if data.get("preview") else None,
        made_from=tuple(made_from),
        **texts,
    )


def _inside(folder: Path, what: str, name: Any) -> Path:
    why = path_problem(str(name))
    if why:
        raise MsmdError(f"{what} {str(name)[:80]!r} is no file: {why}")
    file = folder / str(name)
    try:
        inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a link in a circle, a name that no file can have
        inside = False
    if not inside:
        raise MsmdError(f"{what} {str(name)[:80]!r} lies outside the tag's folder")
    return file


def check_style(folder: Path, rig: Rig, for_release: bool = False) -> list[str]:
    """Everything that is wrong with one tag, in words; empty if nothing is.

    Args:
        folder: the tag's.
        rig: that its clips must be on.
        for_release: whether it may be handed to others, too: not private, licence and consent stated.
    """
    import numpy as np

    from msmdcli.formats.registry import read_motion

    try:
        style = read_style(folder)
    except MsmdError as error:
        return [str(error)]
    stated = ("description", "licence", "source", *(("consent",) if for_release else ()))
    problems = [f"{key} is empty" for key in stated if not getattr(style, key).strip()]
    if for_release and style.private:
        problems.append("it is private: add it again, stating --licence and --consent")
    if style.preview is not None and not style.preview.is_file():
        problems.append(f"its preview {style.preview.name} is missing")
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
