"""The material of an evaluation: held-out clips, stretches of other persons, emotional references."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio, load_audio
from msmdcli.model.sampling import Sampling
from msmdcli.motion.motion import Motion, load_npz
from training.data.records import ClipRecord, read_index, unit_hash

MIN_SECONDS = 2.0


@dataclass(frozen=True)
class EvaluateOptions:
    """What can be chosen.

    Attributes:
        seeds: of the noise; their number sets the time it takes.
        split: of the data set; None is `test`, or `val` where it has no clips to test.
        max_clips: take only so many clips, those with the smallest hash of their name (None: all).
        emotion_lines: neutral lines that each emotional reference is tried on (0: leave the test out).
        head: head with ARKit morph targets; None: the ICT head of the shared material.
        sampling: what each bundle recommends, but for what is set here.
        threads: of ONNX Runtime (0: one per core).
        pictures: number of clips drawn as faces in the report.
        straight_sources: sources of the split `train` that the straight line is fitted on (empty: all).
        judges: also ask the judges of sync and manner.
        model_alone: leave out what `msmd batch` makes of the model, and its eight takes.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    split: str | None = None
    max_clips: int | None = None
    emotion_lines: int = 8
    head: Path | None = None
    sampling: Sampling = field(default_factory=Sampling)
    threads: int = 0
    pictures: int = 3
    straight_sources: tuple[str, ...] = ()
    judges: bool = True
    model_alone: bool = False


@dataclass(frozen=True, eq=False)
class HeldOutClip:
    """A clip, cut in two.

    Attributes:
        record: its line of the index.
        motion: [T, D], tracked.
        audio: its sound.
        cut: first frame of the second half.
    """

    record: ClipRecord
    motion: Motion
    audio: Audio
    cut: int

    @property
    def group(self) -> str:
        return group_of(self.record)

    def halves(self) -> tuple[slice, slice]:
        """Frames of the two halves."""
        return slice(0, self.cut), slice(self.cut, self.motion.frames)

    def half(self, part: int) -> Motion:
        """One half of the motion."""
        frames = self.halves()[part]
        return self.motion.slice(frames.start, frames.stop)


@dataclass(frozen=True, eq=False)
class EmotionalReference:
    """An emotional reference and the neutral one of the same person."""

    record: ClipRecord
    motion: Motion
    neutral: Motion


@dataclass(frozen=True, eq=False)
class Material:
    """All that a data set gives for an evaluation.

    Attributes:
        split: of the data set, that the test clips are from.
        clips: the test clips.
        wrong: clip id -> stretch of another person; empty when there is only one person.
        styles: emotional references.
        lines: test clips that they are tried on.
        average: [D] mean over the training persons of their mean poses, or None without any.
    """

    split: str
    clips: list[HeldOutClip]
    wrong: dict[str, Motion]
    styles: list[EmotionalReference]
    lines: list[HeldOutClip]
    average: np.ndarray | None
    key: str = field(repr=False)


def group_of(record: ClipRecord) -> str:
    """The group that a clip is reported in."""
    if record.source.startswith("grid"):
        return "GRID"
    return "Arabic words" if record.source == "lrwar" else "in the wild"


def split_of(index: Iterable[ClipRecord]) -> str:
    """`test`, or `val` where that is all that a data set has: `msmd curate` keeps nobody apart but for validation."""
    splits = {record.split for record in index if record.audio is not None}
    return "val" if "val" in splits and "test" not in splits else "test"


def load_material(data: Path, options: EvaluateOptions) -> Material:
    """Read a data set.

    Raises:
        MsmdError: no data set, or no clip in it that can be tested.
    """
    index = read_index(data)
    split = options.split or split_of(index)
    wanted = [r for r in index if r.split == split and r.audio is not None and r.seconds >= MIN_SECONDS]
    wanted = sorted(wanted, key=lambda r: unit_hash(r.id))[: options.max_clips]
    if not wanted:
        raise MsmdError(
            f"no clip with sound of at least {MIN_SECONDS:g} s in split {split!r} of {data}",
            hint=f"its splits: {', '.join(sorted({r.split for r in index})) or 'none'}; "
            "curate clips of several persons, or name those to test in a --split-file",
        )
    clips = []
    for record in wanted:
        motion, audio = load_npz(data / record.motion), load_audio(data / str(record.audio))
        clips.append(HeldOutClip(record, motion, audio, motion.frames // 2))

    lines = [clip for clip in clips if clip.record.tag.startswith("neutral")][: options.emotion_lines]
    styles = []
    if lines:
        silent = [r for r in index if r.split == "style"]
        neutral = {(r.speaker, r.source): load_npz(data / r.motion) for r in silent if r.tag.startswith("neutral")}
        styles = [
            EmotionalReference(r, load_npz(data / r.motion), neutral[r.speaker, r.source])
            for r in silent
            if (r.speaker, r.source) in neutral and not r.tag.startswith("neutral")
        ]
    average, key = _average_pose(data, index), _material_key(data, clips)
    return Material(split, clips, _other_persons(clips), styles, lines, average, key)


def trackers(clips: Sequence[HeldOutClip]) -> list[str]:
    """Who tracked the clips that are measured against: numbers on other tracks are not to be held against these."""
    return sorted({str(clip.motion.meta.get("tracker", "a tracker that is not named")) for clip in clips})


def _other_persons(clips: list[HeldOutClip]) -> dict[str, Motion]:
    """For each clip a stretch of the person after its own in the order of hashed names (the last takes the first's)."""
    persons = sorted({clip.record.speaker for clip in clips}, key=unit_hash)
    if len(persons) < 2:
        return {}
    following = dict(zip(persons, persons[1:] + persons[:1], strict=True))
    chosen = {}
    for clip in clips:
        candidates = [c for c in clips if c.record.speaker == following[clip.record.speaker]]
        other = min(candidates, key=lambda c: unit_hash(f"{clip.record.id} takes {c.record.id}"))
        chosen[clip.record.id] = other.half(0)
    return chosen


def _average_pose(data: Path, index: list[ClipRecord]) -> np.ndarray | None:
    poses: dict[str, list[np.ndarray]] = {}
    for record in index:
        if record.split == "train":
            poses.setdefault(record.speaker, []).append(load_npz(data / record.motion).values.mean(axis=0))
    if not poses:
        return None
    return np.asarray(np.mean([np.mean(clips, axis=0) for clips in poses.values()], axis=0, dtype=np.float64))


def _material_key(data: Path, clips: list[HeldOutClip]) -> str:
    digest = hashlib.sha256((data / "index.jsonl").read_bytes())
    for clip in clips:
        digest.update(clip.motion.values.tobytes() + clip.audio.samples.tobytes())
    return digest.hexdigest()
