"""A line that dubs a performance, as `msmd batch` and `msmd dub` handle it.

Planning looks at the original's file only. Before the line is made, the original is read (a video is tracked, once: see
`tracked_motion`), its manner becomes the line's style, as a whole or stretch by stretch, and its head
motion is kept where it is wanted. Everything else is as for any other line.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.documents.spelling import missing_hint
from msmdcli.errors import MsmdError
from msmdcli.formats.registry import FORMATS
from msmdcli.manifest.lines import Dub, Line
from msmdcli.media.suffixes import is_sound
from msmdcli.styles.field import StyleField
from msmdcli.styles.library import StyleReference, check_range, part_of, split_range
from msmdcli.styles.timeline import SHORTEST_ORIGINAL, StyleTimeline, cut_stretches
from msmdcli.system.files import encoded, sha256_of
from msmdcli.system.processes import in_processes

if TYPE_CHECKING:
    from msmdcli.console import Console
    from msmdcli.controls.head import HeadMotion
    from msmdcli.model.engine import Engine
    from msmdcli.model.stores import StyleStore
    from msmdcli.model.style_codes import StyleCode
    from msmdcli.motion.motion import Motion
    from msmdcli.tracking.track import Track, TrackOptions

Key = tuple[str, Path]  # of a StyleRef

ORDER = "the performance comes first: msmd dub ORIGINAL AUDIO"
STRAINED = 2.0  # a dub so many times longer or shorter than its original strains what is stretched to it
KEPT = {
    "upper": ("brows", "gaze", "lids", "cheeks", "corners"),
    "head": ("head",),
}  # groups of `msmdcli.performance.reference`
SAME_LENGTH = 0.005  # seconds; said as "as long as"


@dataclass(frozen=True)
class Original(StyleReference):
    """The performance that a line dubs, as a style reference of one take.

    Attributes:
        face, face_model, performer: see `Dub`.
    """

    face: int | None = None
    face_model: Path | None = None
    performer: Path | None = None

    def load(self) -> list[Motion]:
        """The performance as one motion; a video is tracked, or taken from the cache of tracked videos."""
        return [_motion_of(self)]

    def warnings(self) -> list[str]:
        """What a person should know of the video, once it is tracked."""
        (path,) = self.clips
        track = None if is_motion_file(path) else self.track(path)
        return [] if track is None else list(track.warnings)

    def track(self, clip: Path) -> Track | None:
        """What is kept of the tracking of the original, which is a video; None where nothing is."""
        from msmdcli.tracking.tracker import kept_track

        return kept_track(clip, self.track_options())

    def track_options(self) -> TrackOptions:
        """How its video is tracked."""
        from msmdcli.tracking.track import TrackOptions

        return TrackOptions(self.face_model, self.face, start=self.start, stop=self.stop, performer=self.performer)


@dataclass(frozen=True)
class PreparedDub:
    """What a worker needs beyond an ordinary line, and what the report says.

    Attributes:
        field: the style field, with the original's stretches where it follows them.
        codes: for each of its references -> key into the worker's encoded styles.
        head: the head motion that takes the place of all other; None leaves it to the performance.
        original_seconds: the duration of the original.
        facts: for the report: original, style_follow, stretches, head.
        warnings: what a person should know.
        kept: groups of channels that run along with the original. generated: those whose movement is the model's.
    """

    field: StyleField
    codes: Mapping[Key, str]
    head: HeadMotion | None
    original_seconds: float
    facts: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()

    def length_facts(self, seconds: float) -> dict[str, Any]:
        """What the report says of a dub of that length: the facts, and how much longer it is than its original."""
        longer = seconds - self.original_seconds
        return dict(self.facts) | {
            "original_seconds": round(self.original_seconds, 3),
            "longer_seconds": round(longer, 3),
            "longer_percent": round(100 * longer / self.original_seconds, 1),
        }

    def length_warnings(self, seconds: float) -> tuple[str, ...]:
        """The warnings, and what strains when a dub lasts so long."""
        ratio = seconds / self.original_seconds
        stretched = ["head motion"] * (self.facts["head"] == "original") + ["style"] * (self.facts["stretches"] > 1)
        if not stretched or 1 / STRAINED <= ratio <= STRAINED:
            return self.warnings
        verb = "run" if len(stretched) > 1 else "runs"
        how = f"{ratio:.1f} times as slowly" if ratio > 1 else f"{1 / ratio:.1f} times as fast"
        return (*self.warnings, f"{' and '.join(stretched)} {verb} {how} as in the original")


def length_words(facts: Mapping[str, Any], seconds: float) -> str:
    """How long a dub is against its original, in words."""
    longer, percent = float(facts["longer_seconds"]), float(facts["longer_percent"])
    if abs(longer) < SAME_LENGTH:
        return f"{seconds:.2f} s, as long as the original"
    how = "longer" if longer > 0 else "shorter"
    return f"{seconds:.2f} s, {abs(longer):.2f} s ({abs(percent):.0f} %) {how} than the original"


def is_motion_file(path: Path) -> bool:
    """Whether a file is motion by its suffix (npz, Live Link CSV); anything else can only be a video."""
    return path.suffix.lower() in {form.suffix for form in FORMATS.values() if form.readable}


# ---- planning --------------------------------------------------------------------------------------------------------


def followed(field: StyleField, line: Line) -> StyleField:
    """The style field of a line; that of a dub follows its original through time where that is wanted."""
    if line.dub is None or line.dub.style_follow == "whole":
        return field
    return StyleTimeline(field.segments, field.intensity, original=_key(line))


def find_originals(line: Line) -> dict[Key, Original]:
    """The original of a line under its style's key; empty where the line dubs nothing.

    The files are looked at, but not read through.

    Raises:
        MsmdError: the original is not there, a folder, empty, sound only, no video that can be opened, or shorter than
            the part that is meant; the recording is a folder or motion.
    """
    if line.dub is None:
        return {}
    path, start, stop = split_range(str(line.dub.original))
    if not path.exists():
        raise MsmdError(f"no such original: {path}", hint=missing_hint(path, f"named at {line.where}"))
    if path.is_dir():
        raise MsmdError(f"the original {path} is a folder", hint="give a video, a Live Link Face CSV or a motion npz")
    if path.stat().st_size == 0:
        raise MsmdError(f"the original {path} is empty (0 bytes)", hint="copy or export it again")
    if is_sound(path):
        raise MsmdError(f"the original {path} is a sound recording and shows no performance", hint=ORDER)
    if line.audio.is_dir():
        raise MsmdError(f"the recording {line.audio} is a folder", hint="give a sound file, or a video with sound")
    if is_motion_file(line.audio) and line.audio.is_file():
        raise MsmdError(f"the recording {line.audio} is motion, not sound", hint=ORDER)
    parts = [sha256_of(path), repr(start), repr(stop)]
    if not is_motion_file(path):
        check_range(start, stop, _video_seconds(path), str(path))
        model = line.dub.face_model
        parts += [str(line.dub.face), sha256_of(model) if model else ""]
        if line.dub.performer is not None:
            if not line.dub.performer.is_file():
                raise MsmdError(f"there is no profile {line.dub.performer}", hint="msmd track --calibrate makes one")
            parts.append(sha256_of(line.dub.performer))
    digest = hashlib.sha256(encoded("\n".join(parts))).hexdigest()
    dub = line.dub
    seen = Original(
        dub.name,
        (path,),
        digest,
        start,
        stop,
        face=dub.face,
        face_model=dub.face_model,
        performer=dub.performer,
    )
    return {_key(line): seen}


def key_part(line: Line) -> dict[str, str]:
    """What belongs to the content key of a dub besides its style and its original."""
    return {} if line.dub is None else {"head": line.dub.head, "keep": ",".join(line.dub.keep)}


def notes(line: Line) -> dict[str, str]:
    """Notes for the files of a dub."""
    return {} if line.dub is None else {"dub_of": line.dub.name, "head": line.dub.head}


def _key(line: Line) -> Key:
    """Under which the style of a dub's original is found: the manifest makes it the line's own style."""
    assert line.choices.style is not None
    return line.choices.style[0].key


def _video_seconds(path: Path) -> float:
    from msmdcli.media.video import probe_video

    try:
        return float(probe_video(path).seconds)
    except MsmdError as error:
        if _is_sound(path):
            what = f"the original {path} is a sound recording and shows no performance"
            raise MsmdError(what, hint=ORDER) from None
        raise MsmdError(f"the original: {error.message}", hint=error.hint) from None


def _is_sound(path: Path) -> bool:
    import soundfile

    try:
        soundfile.info(os.fsencode(path))
    except (soundfile.LibsndfileError, OSError):
        return False
    return True


# ---- making ----------------------------------------------------------------------------------------------------------


def prepare(
    dub: Dub,
    field: StyleField,
    references: Mapping[Key, StyleReference | None],
    codes: Mapping[Key, str],
    styles: dict[str, StyleCode | None],
    engine: Engine,
    store: StyleStore,
) -> PreparedDub:
    """Read the original and make of it what the line needs. Newly encoded stretches are added to `styles`.

    Args:
        dub: what is wanted.
        field: the line's style field.
        references: of the field; the original is among them.
        codes: of the field's references -> key into `styles`.
        styles: encoded styles.
        engine: encodes the stretches.
        store: those that an earlier run has encoded.
    """
    from msmdcli.controls.head import HeadMotion
    from msmdcli.motion.health import STILL_MOUTH
    from msmdcli.motion.mouth import mouth_speed

    key, original = next((key, found) for key, found in references.items() if isinstance(found, Original))
    (motion,) = original.load()
    seconds = float(motion.seconds)
    warnings: list[str] = []
    if mouth_speed(motion) < STILL_MOUTH:
        warnings.append(
            "the mouth hardly moves in the original, so the dub will hardly move it: does anybody speak there?"
        )
    found = dict(codes)
    number = 1
    if isinstance(field, StyleTimeline) and styles.get(codes[key]) is not None:
        field = field.with_stretches(cut_stretches(motion.frames, motion.fps))
        number = len(field.stretches)
        if number == 1:
            warnings.append(
                f"the original lasts {seconds:.2f} s, too short to follow through time (from {SHORTEST_ORIGINAL:g} s "
                "on); its manner as a whole is used"
            )
        for stretch, part in field.stretches if number > 1 else ():
            found[part] = digest = f"{codes[key]} {stretch.start}-{stretch.stop}"
            if digest not in styles:
                styles[digest] = engine.encode_style(motion.slice(stretch.start, stretch.stop), store)
    head = None
    if dub.head == "off":
        head = HeadMotion.still()
    elif dub.head == "original":
        head = HeadMotion.of(motion)
    facts = {"original": dub.name, "style_follow": dub.style_follow, "stretches": number, "head": dub.head}
    kept = [group for keep in dub.keep for group in KEPT[keep]]
    generated = ("head",) if dub.head == "generated" else ()
    return PreparedDub(field, found, head, seconds, facts, tuple(warnings), tuple(kept), generated)


def track_originals(references: Iterable[StyleReference | None], jobs: int, console: Console) -> None:
    """Track the videos among a batch's originals, `jobs` at a time; those in the cache cost nothing.

    A video that cannot be tracked is left to its line, which fails on it.
    """
    found = (reference for reference in references if isinstance(reference, Original))
    videos = list({original.sha256: original for original in found if not is_motion_file(original.clips[0])}.values())
    if not videos:
        return
    jobs = min(jobs, len(videos))
    with console.progress("Originals", len(videos), len(videos)) as progress:
        # One on which a process dies, of memory perhaps, is tracked by its line.
        for _ in map(_track, videos) if jobs == 1 else in_processes(_track, videos, jobs):
            progress.advance(1)


@lru_cache(maxsize=8)
def _motion_of(original: Original) -> Motion:
    (path,) = original.clips
    if is_motion_file(path):
        from msmdcli.formats.registry import read_motion

        return part_of(read_motion(path), original.start, original.stop, str(path))
    from msmdcli.tracking.tracker import tracked_motion

    return tracked_motion(path, original.track_options())


def _track(original: Original) -> None:
    try:
        original.load()
    except MsmdError:
        return  # its line fails on it
