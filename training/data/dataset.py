"""Training data: data sets on disk, and batches of pairs of adjacent windows.

A data set is a folder with `index.jsonl` (one JSON object a clip: id, audio, motion, known, speaker, source, split,
...), sound as 16 kHz mono files and motion as npz. `training.data.corpus` and `training.speech.speech` write it.

Batch number i is a pure function of the seed and i: a resumed run continues with the batches it would have seen, on any
number of processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from torch.utils.data import Dataset

from msmdcli.errors import MsmdError
from msmdcli.model.normalisation import Normalisation, Pairs, signed
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from training.config import DataConfig
from training.data.augment import AugmentConfig, Manners
from training.data.features import CachedFeatures
from training.data.records import ClipRecord

Array = np.ndarray[Any, np.dtype[np.float32]]
JOIN = 5  # frames over which two chained clips are blended into each other
MIN_FRAMES = 12  # a shorter window shows too little to learn from


@dataclass(eq=False)
class TrainingClip:
    """One clip in one voice: motion [T, D] in rig units at the training rate, and its audio features [T, C], or None
    for a silent clip."""

    id: str
    speaker: str
    source: str
    motion: Array
    features: CachedFeatures | None
    known: np.ndarray | None  # indices of the channels that the motion defines; None = all
    manner: str | None = None  # performed clips of one manner are each other's style references

    @property
    def frames(self) -> int:
        return len(self.motion)

    def audio(self, start: int, stop: int) -> np.ndarray | None:
        """Features of frames [start, stop)."""
        return None if self.features is None else self.features.rows(start, stop)


def load_clips(
    records: Iterable[tuple[Path, ClipRecord]],
    rig: Rig,
    fps: Fraction,
    cache: Any,
    data: DataConfig,
    progress: Any = None,
) -> list[TrainingClip]:
    """Clips with their features, every clip once plus `data.voices[source]` times in another voice.

    Features that are not cached yet are computed here, once for all later runs.

    Args:
        records: data set folder and record of each clip.
        rig, fps: of the training.
        cache: of the audio features.
        data: which voices, and how much memory features may take.
        progress: called with the name of each clip that is loaded.
    """
    clips = []
    room = data.memory_gb * 1e9
    for folder, record in records:
        motion = load_npz(folder / record.motion, rig).resample(fps).values
        known = None if record.known is None else np.array([rig.index(name) for name in record.known])
        sounds = [None] if record.audio is None else range(1 + data.voices.get(record.source, 0))
        for variant in sounds:
            features = None if variant is None else cache.get(folder / str(record.audio), variant)
            pace = 1.0 if features is None else features.pace
            if features is not None and (room := room - features.size) > 0:
                features.hold()
            moved = _at_pace(motion, pace)
            clips.append(TrainingClip(record.id, record.speaker, record.source, moved, features, known, record.manner))
        if progress is not None:
            progress(record.id)
    return clips


def _at_pace(motion: Array, pace: float) -> Array:
    """Motion [T, D] as it is when its second t is second `pace` t of the recording: [T / pace, D]."""
    if pace == 1.0:
        return motion
    at = np.arange(int(np.floor((len(motion) - 1) / pace)) + 1) * pace
    before = np.minimum(at.astype(np.int64), len(motion) - 2) if len(motion) > 1 else np.zeros(len(at), dtype=np.int64)
    rest = (at - before)[:, None].astype(np.float32)
    return motion[before] * (1.0 - rest) + motion[np.minimum(before + 1, len(motion) - 1)] * rest


class PairBatches(Dataset[dict[str, Array]]):
    """Batches of pairs of adjacent windows, in normalised channels once `normalisation` is set.

    Item i is batch i, a dictionary of float32 arrays. Rows 0..B-1 are the windows a (each begins its sequence), rows
    B..2B-1 the windows b that follow them:

        motion [2B, N, D]    mask [2B, N]    previous [2B, P, D]    start [2B]    audio [2B, P + N, C]    silent [2B]
    """

    def __init__(
        self,
        clips: list[TrainingClip],
        rig: Rig,
        data: DataConfig,
        augment: AugmentConfig,
        *,
        window: int,
        previous: int,
        batch: int,
        batches: int,
        audio_dim: int,
        seed: int,
    ) -> None:
        if not clips:
            raise MsmdError(
                "the data set holds no clip to train on", hint="Check the splits and sources in its index.jsonl."
            )
        self.clips, self.rig, self.data = clips, rig, data
        self.manners = Manners(rig, augment)
        self.window, self.previous, self.batch, self.batches = window, previous, batch, batches
        self.audio_dim, self.seed = audio_dim, seed
        self.normalisation: Normalisation | None = None
        self.by_speaker: dict[tuple[str, str], list[TrainingClip]] = defaultdict(list)
        for clip in clips:
            self.by_speaker[clip.source, clip.speaker].append(clip)
        self.by_manner: dict[str, list[TrainingClip]] = defaultdict(list)
        for clip in clips:
            if clip.manner is not None and clip.features is not None:
                self.by_manner[clip.manner].append(clip)
        self.head = rig.head_columns
        self.donors = [clip for clip in clips if clip.known is None and clip.manner is None]
        self.probability = self._probabilities()

    def __len__(self) -> int:
        return self.batches

    def _probabilities(self) -> np.ndarray:
        """Probability of each clip to be drawn: by duration within a source, by the configured shares between
        sources."""
        seconds = np.array([clip.frames for clip in self.clips], dtype=np.float64)
        shares = self.data.sources
        if shares is not None:
            group = [
                "*" if clip.source not in shares else clip.source for clip in self.clips
            ]  # "*": all sources not named, together
            total: dict[str, float] = defaultdict(float)
            for name, length in zip(group, seconds, strict=True):
                total[name] += length
            seconds *= [shares.get(name, 0.0) / total[name] for name in group]
        if seconds.sum() <= 0:
            raise MsmdError(
                "no clip belongs to the sources that the configuration names", hint=f"data.sources: {shares}"
            )
        return seconds / seconds.sum()

    def __getitem__(self, index: int) -> dict[str, Array]:
        rng = np.random.Generator(Philox(key=[self.seed, index]))
        rows = [self._pair(rng) for _ in range(self.batch)]
        batch = {name: np.stack([row[half][name] for half in (0, 1) for row in rows]) for name in rows[0][0]}
        if self.normalisation is not None:
            for name in ("motion", "previous"):
                batch[name] = self.normalisation.forward(batch[name])
        batch["motion"] *= batch["mask"][..., None]
        return batch

    def _pair(self, rng: Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        """Two windows in one manner: adjacent ones of one sequence, or of any two clips performed in that manner."""
        N = self.window
        clip = self.clips[rng.choice(len(self.clips), p=self.probability)]
        if clip.manner is not None:
            return self._manner_pair(clip, rng)
        motion, audio = self._sequence(clip, rng, 2 * N)
        motion = self.manners.apply(motion, rng)
        T = len(motion)
        middle = min(N, T // 2)  # a sequence shorter than two windows is shared between them
        first = self._cut(motion, audio, 0, middle, rng)
        return first, self._cut(motion, audio, middle, min(T, middle + N), rng)

    def _manner_pair(self, clip: TrainingClip, rng: Generator) -> tuple[dict[str, Array], dict[str, Array]]:
        """Windows from anywhere in two clips performed in one manner, or twice in the same: what came before each is
        its own clip's."""
        others = self.by_manner[str(clip.manner)]
        mirrored = self.manners.mirrors(rng)

        def window(of: TrainingClip) -> dict[str, Array]:
            length = min(self.window, of.frames)
            at_start = rng.random() < self.data.manner_start
            start = 0 if at_start else int(rng.integers(0, of.frames - length + 1))
            motion = self.manners.mirrored(of.motion) if mirrored else of.motion
            return self._cut(motion, of.audio(0, of.frames), start, start + length, rng)

        return window(clip), window(others[int(rng.integers(len(others)))])

    def _cut(self, motion: Array, audio: np.ndarray | None, start: int, stop: int, rng: Generator) -> dict[str, Array]:
        """The window [start, stop) of motion [T, D] and features [T, C], with the frames before it unless it starts."""
        N, P = self.window, self.previous
        length = stop - start
        if rng.random() < self.data.truncate and length > MIN_FRAMES:
            length = int(rng.integers(MIN_FRAMES, length + 1))
        frames = np.zeros((N, motion.shape[1]), dtype=np.float32)
        features = np.zeros((P + N, self.audio_dim), dtype=np.float32)
        before = np.zeros((P, motion.shape[1]), dtype=np.float32)
        frames[:length] = motion[start : start + length]
        if audio is not None:
            features[P : P + length] = audio[start : start + length]
        if start:
            have = min(P, start)
            before[P - have :] = motion[start - have : start]
            before[: P - have] = motion[start - have]
            if audio is not None:
                features[P - have : P] = audio[start - have : start]
                features[: P - have] = audio[start - have]
        return {
            "motion": frames,
            "mask": (np.arange(N) < length).astype(np.float32),
            "previous": before,
            "start": np.array(start == 0, np.float32),
            "audio": features,
            "silent": np.array(audio is None, np.float32),
        }

    def _sequence(self, clip: TrainingClip, rng: Generator, frames: int) -> tuple[Array, np.ndarray | None]:
        """At most `frames` frames of motion and features: a stretch of one clip, or clips of one speaker in a chain."""
        if not self.data.chain_short_clips or clip.frames >= frames:
            motion, audio = self._stretch(clip, rng, frames)
        else:
            motion, audio = self._chain(clip, rng, frames)
        if clip.known is not None:
            motion = self._borrow(motion, clip.known, rng)
        return motion, audio

    def _stretch(self, clip: TrainingClip, rng: Generator, frames: int) -> tuple[Array, np.ndarray | None]:
        start = int(rng.integers(0, max(clip.frames - frames, 0) + 1))
        stop = min(clip.frames, start + frames)
        return clip.motion[start:stop].copy(), clip.audio(start, stop)

    def _chain(self, clip: TrainingClip, rng: Generator, frames: int) -> tuple[Array, np.ndarray | None]:
        """Clips of the same speaker, one after the other from a random place in the first; each join is blended over a
        few frames."""
        others = [
            other
            for other in self.by_speaker[clip.source, clip.speaker]
            if (other.features is None) == (clip.features is None)
        ]
        start = int(rng.integers(0, max(clip.frames - 2 * JOIN, 1)))
        motion, sounds, length = clip.motion[start:].copy(), [clip.audio(start, clip.frames)], clip.frames - start
        while length < frames:
            clip = others[rng.integers(len(others))]
            following = clip.motion.copy()
            # People sit otherwise in every recording; the chain is one take, in which the head stays about where it is.
            following[:, self.head] += motion[:, self.head].mean(0) - following[:, self.head].mean(0)
            motion = _join(motion, following)
            sounds.append(clip.audio(0, clip.frames))
            length += clip.frames
        audio = None if sounds[0] is None else np.concatenate([s for s in sounds if s is not None])[:frames]
        return motion[:frames], audio

    def _borrow(self, motion: Array, known: np.ndarray, rng: Generator) -> Array:
        """Channels that a synthetic clip does not define, taken from a recorded one: eyes, brows and head keep moving
        like a person's."""
        if not self.donors:
            return motion
        donor = self.donors[rng.integers(len(self.donors))]
        frames = len(motion)
        moving = self._chain(donor, rng, frames)[0] if donor.frames < frames else self._stretch(donor, rng, frames)[0]
        result = moving[:frames].copy()
        result[:, known] = motion[:, known]
        return result


def _join(first: Array, second: Array) -> Array:
    """Two motions one after the other, the step at the join spread over JOIN frames on either side."""
    step = (second[0] - first[-1]) / 2
    ramp = (np.arange(1, JOIN + 1, dtype=np.float32) / JOIN)[:, None]  # 1/JOIN .. 1
    first, second = first.copy(), second.copy()
    n, m = min(JOIN, len(first)), min(JOIN, len(second))
    first[len(first) - n :] += step * ramp[JOIN - n :]
    second[:m] -= step * ramp[::-1][:m]
    return np.concatenate([first, second])


def measure_normalisation(batches: PairBatches, how: str, sequences: int = 960, opposed: Pairs = ()) -> Normalisation:
    """Mean and spread of each channel over the first batches, as they are augmented.

    `total`: standard deviation over everything. `within`: root mean square departure from each sequence's own mean, for
    models that see motion relative to the style anchor (the resting pose is the anchor's business, the network's is the
    movement). Channels that are `opposed` are one.
    """
    moving, masks = [], []
    for index in range(min(-(-sequences // batches.batch), 60)):
        batch = batches[index]
        moving.append(signed(batch["motion"], opposed))
        masks.append(batch["mask"])
    motion, mask = (
        np.concatenate(moving).astype(np.float64),
        np.concatenate(masks)[..., None].astype(np.float64),
    )  # [M, N, D], [M, N, 1]
    mean = (motion * mask).sum((0, 1)) / mask.sum()
    centre = (
        (motion * mask).sum(1, keepdims=True) / np.maximum(mask.sum(1, keepdims=True), 1) if how == "within" else mean
    )
    std = np.sqrt((((motion - centre) ** 2) * mask).sum((0, 1)) / mask.sum())
    constant = std < 1e-5
    std = np.where(constant, 0.0, np.maximum(std, 5e-3))
    return Normalisation(mean.astype(np.float32), std.astype(np.float32), opposed)


def measure_audio(batches: PairBatches, samples: int = 20) -> tuple[Array, Array]:
    """Mean and standard deviation of the audio features [C] over the first batches."""
    P = batches.previous
    rows = []
    for index in range(min(samples, len(batches))):
        batch = batches[index]
        heard = (batch["mask"] > 0) & (batch["silent"][:, None] == 0)
        rows.append(batch["audio"][:, P:][heard][::4])
    features = np.concatenate(rows)
    if not len(features):
        return np.zeros(batches.audio_dim, np.float32), np.ones(batches.audio_dim, np.float32)
    return features.mean(0), np.maximum(features.std(0), 1e-3)
