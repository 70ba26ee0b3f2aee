"""A take of a performance, read to become a clip of a tag: tracked where it is a video, cut, measured.

A take is a video, a motion npz or a Live Link Face CSV, or a part of one; its ends without a face are cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli import __version__
from msmdcli.documents.names import readable_name
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.suffixes import is_video
from msmdcli.media.video import probe_video
from msmdcli.motion.motion import Motion
from msmdcli.styles.checks import TakeMeasures, doubts, faults, measure_take
from msmdcli.styles.library import SHORTEST_SECONDS, check_range, read_take, split_range
from msmdcli.system.files import sha256_of
from msmdcli.tracking.expression import contradiction, region_lines

if TYPE_CHECKING:
    from msmdcli.console import Console
    from msmdcli.tracking.track import Track


@dataclass(frozen=True)
class Take:
    """A file, and the part of it that is meant, in seconds; stop None is its end."""

    path: Path
    start: float = 0.0
    stop: float | None = None

    @property
    def words(self) -> str:
        """`take.mp4, 3.2 to 9 s`."""
        if not self.start and self.stop is None:
            return self.path.name
        return f"{self.path.name}, {self.start:g} s to " + ("its end" if self.stop is None else f"{self.stop:g} s")


@dataclass(frozen=True, eq=False)
class StyleClip:
    """A take, read and measured.

    Attributes:
        take: what it was made from.
        motion: within the rig's ranges.
        measures: see there.
        origin: for `made_from` in style.yaml.
        synthetic: a program made the take.
        warnings: what the tracker said.
        expression: what a tracked take shows, a line for each region.
    """

    take: Take
    motion: Motion
    measures: TakeMeasures
    origin: dict[str, Any]
    synthetic: bool = False
    warnings: tuple[str, ...] = ()
    expression: tuple[str, ...] = ()


def takes_of(names: Sequence[str], starts: Sequence[float], stops: Sequence[float]) -> list[Take]:
    """The takes that a command names.

    Args:
        names: files, or parts of them (`take.mp4@3.2-9.0`).
        starts, stops: one for each file; or several for a single file, of which each part is a clip. May be empty.
    """
    parts = max(len(starts), len(stops))
    for what, given in (("--from", starts), ("--to", stops)):
        if given and len(given) != parts:
            raise UsageError(f"{parts} parts, but {what} is given {len(given)} times", hint="give both for every part")
    if parts and len(names) not in (1, parts):
        raise UsageError(f"{len(names)} takes and {parts} parts", hint="give --from and --to once for every take")
    files = list(names) * parts if parts > 1 and len(names) == 1 else list(names)
    takes = []
    for number, name in enumerate(files):
        path, start, stop = split_range(name)
        if parts:
            if start or stop is not None:
                raise UsageError(f"{name} names a part of a take, and so do --from and --to", hint="use one of them")
            start = starts[number] if starts else 0.0
            stop = stops[number] if stops else None
        takes.append(Take(path, start, stop))
    return takes


def read_clip(
    take: Take,
    face_model: Path | None = None,
    face: int | None = None,
    progress: Callable[[float], None] | None = None,
    neutral: str | None = None,
    performer: Path | None = None,
) -> StyleClip:
    """Read a take; a video is tracked.

    Args:
        take: what to read.
        face_model, face, neutral, performer: see `msmdcli.tracking.track.TrackOptions`.
        progress: called with the seconds of a video that are done.

    Raises:
        MsmdError: no such file, damaged, no face, no such part.
    """
    digest = "" if not take.path.is_file() else sha256_of(take.path)
    origin: dict[str, Any] = {"file": readable_name(take.path.name), "sha256": digest}
    if not is_video(take.path):
        motion = read_take(take.path, take.start, take.stop)
        track, warnings = None, tuple[str, ...]()
        tracker = motion.meta.get("tracker", "")
        synthetic = motion.meta.get("synthetic") == "true"
    else:
        from msmdcli.tracking.face_model import find_face_model
        from msmdcli.tracking.track import TrackOptions
        from msmdcli.tracking.tracker import track_video

        check_range(take.start, take.stop, float(probe_video(take.path).seconds), str(take.path))
        model = find_face_model(face_model)
        options = TrackOptions(
            face_model=model, face=face, start=take.start, stop=take.stop, neutral=neutral, performer=performer
        )
        track, cut = _with_face(track_video(take.path, options, progress))
        take = replace(take, start=take.start + cut)
        motion, warnings = track.motion, track.warnings
        tracker = f"{motion.meta.get('tracker', 'tracked')}, {model.name} {sha256_of(model)[:12]}"
        synthetic = False
    origin |= {"start": round(take.start, 3), "stop": round(take.start + float(motion.seconds), 3)}
    if tracker:
        origin["tracker"] = tracker
    measures = measure_take(motion, track)
    origin |= {"date": datetime.now(UTC).date().isoformat(), "measures": measures.as_dict()}
    kept = {"source": readable_name(take.path.name), "generator": f"msmd {__version__} styles add"}
    if synthetic:
        kept["synthetic"] = "true"
    held = Motion(motion.values, motion.fps, motion.rig, kept).clip()
    expression: tuple[str, ...] = ()
    if track is not None and track.channel_confidence is not None:
        expression = tuple(region_lines(track.motion, track.channel_confidence, track.found))
    return StyleClip(take, held, measures, origin, synthetic, warnings, expression)


def _with_face(track: Track) -> tuple[Track, float]:
    """A track without its ends in which there is no face, and the seconds cut off before it."""
    seen = np.flatnonzero(track.found)
    first, last = int(seen[0]), int(seen[-1]) + 1
    if (first, last) == (0, len(track.found)):
        return track, 0.0
    kept = replace(
        track,
        motion=track.motion.slice(first, last),
        confidence=track.confidence[first:last],
        found=track.found[first:last],
        faces=track.faces[first:last],
        turn=track.turn[first:last],
        box=track.box[first:last],
        landmarks=None,
        channel_confidence=None if track.channel_confidence is None else track.channel_confidence[first:last],
        gaps=tuple((a - first, b - first) for a, b in track.gaps if first <= a and b <= last),
    )
    return kept, float(first / track.motion.fps)


def read_clips(
    takes: Sequence[Take],
    face_model: Path | None,
    face: int | None,
    console: Console,
    neutral: str | None = None,
    performer: Path | None = None,
) -> list[StyleClip]:
    """Read all takes. Each is checked to be there, with the part that is meant, before the first is tracked."""
    lengths = []
    for take in takes:
        if not is_video(take.path):
            lengths.append(0.0)
            continue
        seconds = float(probe_video(take.path).seconds)
        check_range(take.start, take.stop, seconds, str(take.path))
        lengths.append((seconds if take.stop is None else min(take.stop, seconds)) - take.start)
    clips = []
    with console.progress("Tracking", max(sum(lengths), 1e-3), len(takes)) as progress:
        for take, length in zip(takes, lengths, strict=True):
            done = 0.0

            def advance(seconds: float) -> None:
                nonlocal done
                progress.advance(seconds - done, 0)
                done = seconds

            clips.append(read_clip(take, face_model, face, advance, neutral, performer))
            progress.advance(length - done)
    return clips


def check_clips(clips: Sequence[StyleClip], no_check: bool, console: Console, tag: str = "") -> None:
    """Warn of what is doubtful about clips, and refuse those that cannot be a style reference.

    Args:
        tag: its name; warned of where it says an emotion that a tracked clip contradicts.
        no_check: a clip that is long enough is warned of instead of refused.

    Raises:
        MsmdError: a clip cannot be a style reference, or the clips are on different rigs.
    """
    for clip in clips:
        name = clip.take.words
        doubt = contradiction(tag, clip.motion) if clip.expression else None
        for text in [*clip.warnings, *doubts(clip.measures), *([] if doubt is None else [doubt])]:
            console.warn(f"{name}: {text}")
        for text in clip.expression:
            console.say(f"{name}: {text}")
        wrong = faults(clip.measures)
        short = clip.measures.seconds < SHORTEST_SECONDS
        if short or (wrong and not no_check):
            hint = "name a longer part with --from and --to" if short else "--no-check adds it all the same"
            raise MsmdError(f"{name} cannot be a style: {'; '.join(wrong)}", hint=hint)
        for text in wrong:
            console.warn(f"{name}: {text}")
        console.detail(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in clip.measures.as_dict().items()))
    rigs = {clip.motion.rig.name for clip in clips}
    if len(rigs) > 1:
        raise MsmdError(f"the takes are on different rigs ({', '.join(sorted(rigs))})", hint="one tag, one rig")
