"""Tracking as a job of files: the outputs of one video, whole or not at all, and what was made before left alone.

Of `takes/hero_03.mp4` come, in the folder of outputs,

    hero_03.npz             the track: motion, confidence, found, faces, turn, box, gaps (`save_track`)
    hero_03.csv             the motion for Live Link Face; other formats likewise
    hero_03.confidence.csv  frame, seconds, found, confidence, turn, faces: the same track for spreadsheets
    hero_03.wav             where asked for: the sound, beginning with the first frame of the motion
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import get_format, write_temporary
from msmdcli.media.video import probe_video
from msmdcli.motion.motion import load_npz
from msmdcli.system.files import Written, cannot_write, remove, sha256_of, sweep, temporary_path
from msmdcli.tracking.expression import contradiction, region_lines
from msmdcli.tracking.performer import SUFFIX as PROFILE_SUFFIX
from msmdcli.tracking.performer import save_performer
from msmdcli.tracking.track import Track, TrackOptions, save_track
from msmdcli.tracking.tracker import calibrate_performer, track_key, track_video

TELL_EVERY = 0.2  # s of video between two reports of progress
AUDIO_RATE = 48000


@dataclass(frozen=True)
class TrackJob:
    """One video to track.

    Attributes:
        video: the file.
        out: folder of outputs.
        formats: names of motion formats.
        audio: write the sound, too.
        force: make it again, even if it is there.
        options: how to track.
    """

    video: Path
    out: Path
    formats: tuple[str, ...] = ("npz", "livelink-csv")
    audio: bool = False
    force: bool = False
    options: TrackOptions = field(default_factory=TrackOptions)

    @property
    def outputs(self) -> dict[str, Path]:
        """What is written: format, `confidence` or `audio` -> file. The npz comes last: it tells that all is there."""
        names = {form: get_format(form).suffix for form in self.formats}
        names["confidence"] = ".confidence.csv"
        if self.audio:
            names["audio"] = ".wav"
        ordered = sorted(names, key=lambda name: name == "npz")
        return {name: self.out / f"{self.video.stem}{names[name]}" for name in ordered}


@dataclass(frozen=True)
class TrackDone:
    """What became of a video.

    Attributes:
        outputs: the files.
        unchanged: they were there already, made from the same video in the same way; nothing else is known then.
        summary: frames, fps, seconds, found (share), confidence and turn (medians), faces (most seen), gaps (seconds).
        warnings: what the user should know.
    """

    outputs: tuple[Path, ...]
    unchanged: bool
    summary: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def make_jobs(videos: Sequence[Path], **settings: Any) -> list[TrackJob]:
    """A job for each video; `settings` are those of `TrackJob`.

    Raises:
        UsageError: unknown format, or two videos whose outputs would have the same names.
    """
    jobs = [TrackJob(video, **settings) for video in videos]
    by_name: dict[str, Path] = {}
    for job in jobs:
        other = by_name.setdefault(job.video.stem.casefold(), job.video)
        if other is not job.video:
            raise UsageError(
                f"{other} and {job.video} would both be written as {job.video.stem}",
                hint="track them into different folders (--out)",
            )
        if not job.outputs:
            raise UsageError("no format to write")
    return jobs


def run_job(job: TrackJob, tell: Callable[[float], None]) -> TrackDone:
    """Track one video and write its outputs.

    Raises:
        MsmdError: the video cannot be tracked, an output cannot be written or is another video's.
    """
    outputs = tuple(job.outputs.values())
    probe_video(job.video)  # what is no video is said first
    key = track_key(job.video, job.options)
    if not job.force:
        there = [path for path in outputs if path.exists()]
        if len(there) == len(outputs) and _made_by(job, key):
            return TrackDone(outputs, unchanged=True)
        if there:
            raise MsmdError(
                f"{there[0]} is there already, made from another video or in another way",
                hint="--force overwrites it, --out names another folder",
            )
    reported = [0.0]

    def progress(seconds: float) -> None:
        if seconds - reported[0] >= TELL_EVERY:
            reported[0] = seconds
            tell(seconds)

    track = track_video(job.video, job.options, progress)
    track.motion.meta["track_key"] = key
    warnings = list(track.warnings)
    doubt = contradiction(job.video.stem, track.motion) if track.channel_confidence is not None else None
    warnings += [] if doubt is None else [doubt]
    written: list[Written] = []
    try:
        for name, target in job.outputs.items():
            if name == "npz":
                written.append(_write(target, lambda path: save_track(path, track)))
            elif name == "confidence":
                written.append(_write(target, lambda path: path.write_text(confidence_table(track), encoding="ascii")))
            elif name == "audio":
                if track.info.has_audio:
                    written.append(_write(target, lambda path: _write_audio(path, job, track.motion.seconds)))
                else:
                    warnings.append("it has no sound; no WAV was written")
            else:
                written.append(write_temporary(track.motion, target, name))
        for one in written:
            one.commit()
    finally:
        for one in written:
            one.abandon()
    return TrackDone(tuple(one.target for one in written), False, summary_of(track), tuple(warnings))


def confidence_table(track: Track) -> str:
    """The measures of each frame as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("frame", "seconds", "found", "confidence", "turn_degrees", "faces"))
    for i in range(track.motion.frames):
        time = float(i / track.motion.fps)
        table.writerow(
            (
                i,
                f"{time:.6f}",
                int(track.found[i]),
                f"{track.confidence[i]:.3f}",
                f"{track.turn[i]:.1f}",
                track.faces[i],
            )
        )
    return text.getvalue()


def summary_of(track: Track) -> dict[str, Any]:
    """A track in a few numbers."""
    fps, rate = track.motion.fps, float(track.motion.fps)
    return {
        "frames": track.motion.frames,
        "fps": f"{fps.numerator}/{fps.denominator}",
        "seconds": round(float(track.motion.seconds), 3),
        "variable_rate": track.info.variable,
        "found": round(float(track.found.mean()), 4),
        "confidence": round(float(np.median(track.confidence)), 3),
        "turn": round(float(np.median(track.turn)), 1),
        "faces": int(track.faces.max()),
        "gaps": [[round(a / rate, 3), round(b / rate, 3)] for a, b in track.gaps],
        "expression": []
        if track.channel_confidence is None
        else region_lines(track.motion, track.channel_confidence, track.found),
    }


def make_profile(video: Path, out: Path, options: TrackOptions, force: bool) -> Path:
    """Calibrate on a range-of-motion take and write the performer's profile.

    Raises:
        MsmdError: as of `calibrate_performer`, or there is such a file.
    """
    target = out / f"{video.stem}{PROFILE_SUFFIX}"
    if target.exists() and not force:
        raise MsmdError(f"{target} is there already", hint="--force calibrates again; --performer uses it")
    profile = calibrate_performer(video, options)
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_performer(target, profile)
    except OSError as error:
        raise MsmdError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def clean_up(jobs: Sequence[TrackJob]) -> None:
    """Remove what a killed run left half written."""
    sweep(path for job in jobs for path in job.outputs.values())


def _made_by(job: TrackJob, key: str) -> bool:
    npz = job.outputs.get("npz")
    try:
        return npz is not None and load_npz(npz).meta.get("track_key") == key
    except MsmdError:
        return False


def _write(target: Path, write: Callable[[Path], object]) -> Written:
    """Write a file beside its place."""
    temporary = temporary_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        return Written(target, temporary, sha256_of(temporary))
    except OSError as error:
        remove(temporary)
        raise cannot_write(target, error) from error
    except BaseException:
        remove(temporary)
        raise


def _write_audio(path: Path, job: TrackJob, seconds: Fraction) -> None:
    """The video's sound under the motion: from its first frame, as long as it lasts; 16-bit WAV."""
    import soundfile

    from msmdcli.media.audio import load_audio

    samples = load_audio(job.video, AUDIO_RATE).samples
    first = round(job.options.start * AUDIO_RATE)
    samples = samples[first : first + round(seconds * AUDIO_RATE)]
    soundfile.write(os.fsencode(path), samples, AUDIO_RATE, subtype="PCM_16", format="WAV")
