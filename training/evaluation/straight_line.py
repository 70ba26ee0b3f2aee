"""The straight line: what ridge regression makes of the sound, without any network.

A model of talking faces that follows real mouths worse than a straight line from the same sound has learned little of
them; so the line is a row of every table. It is fitted on the data set's split `train`, from the features of the audio
encoder that ships: their first `RANK` principal axes, the sound's own mean taken away, at `2 REACH + 1` frames around
each frame, to the movement of every channel around its clip's mean. On a clip it moves around the mean pose of the
style reference, which is all of a style that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.motion.motion import load_npz
from training.data.principal_axes import principal_axes
from training.data.records import read_index
from training.evaluation.material import HeldOutClip

Array = np.ndarray[Any, np.dtype[np.float32]]
Encode = Callable[[Path], np.ndarray]  # sound file -> audio features [T, C] at the motion's frame rate

STRAIGHT = "straight"
RANK = 160
REACH = 4  # frames on either side
RIDGE = 0.1  # in units of the axes' variance
FEWEST_FRAMES = 3000  # two minutes at 25 fps; less fits nothing


@dataclass(frozen=True, eq=False)
class StraightLine:
    """Attributes:
    axes: [C, RANK] principal axes over the root of their variance.
    weight: [(2 REACH + 1) RANK, D].
    """

    axes: np.ndarray
    weight: np.ndarray

    def movement(self, features: np.ndarray, frames: int) -> Array:
        """[frames, D] around zero, of features [T, C]."""
        made = _taps(_centred(features, frames) @ self.axes) @ self.weight
        return made.astype(np.float32)

    def animate(self, clip: HeldOutClip, features: np.ndarray) -> list[Array]:
        """The whole line [T, D] twice: around the mean pose of the clip's second half, and of its first."""
        rig = clip.motion.rig
        movement = self.movement(features, clip.motion.frames)
        rests = [clip.half(1 - part).values.mean(axis=0) for part in (0, 1)]
        return [np.clip(movement + rest, rig.lower, rig.upper).astype(np.float32) for rest in rests]


Clips = list[tuple[np.ndarray, np.ndarray]]  # features [T, C] and movement [T, D], each without its mean


def fit_straight_line(data: Path, encode: Encode, sources: Sequence[str] = ()) -> StraightLine | None:
    """The line of a data set; None where its split `train` holds less than `FEWEST_FRAMES` frames with sound.

    Args:
        data: data set folder.
        encode: the audio encoder.
        sources: fit on these alone, such as those that a model was trained on; empty: on all.
    """
    clips = line_clips(data, encode, sources)
    if sum(len(motion) for _, motion in clips) < FEWEST_FRAMES:
        return None
    return line_of([(1.0, clips)])


def line_clips(data: Path, encode: Encode, sources: Sequence[str] = (), most: int | None = None) -> Clips:
    """The training clips of a data set, ready for `line_of`.

    Args:
        data, encode, sources: as in `fit_straight_line`.
        most: take only so many, evenly over the index, no recording twice.
    """
    records = [r for r in read_index(data) if r.split == "train" and r.audio and r.known is None]
    if sources:
        records = [r for r in records if r.source in sources]
    if most is not None:
        records = list({r.audio: r for r in records}.values())
        records = records[:: max(1, len(records) // most)][:most]
    clips = []
    for record in records:
        motion = load_npz(data / record.motion).values
        clips.append((_centred(encode(data / str(record.audio)), len(motion)), motion - motion.mean(axis=0)))
    return clips


def line_of(groups: Sequence[tuple[float, Clips]]) -> StraightLine:
    """The line of groups of clips, each of which counts as much as its share says, however long it is."""
    counts = [sum(len(motion) for _, motion in clips) for _, clips in groups]
    covariance = sum(
        (share / count * sum(features.T @ features for features, _ in clips))
        for (share, clips), count in zip(groups, counts, strict=True)
    )
    axes = principal_axes(np.asarray(covariance), RANK)
    width, channels = (2 * REACH + 1) * axes.shape[1], groups[0][1][0][1].shape[1]
    xx, xy = np.zeros((width, width)), np.zeros((width, channels))
    for (share, clips), count in zip(groups, counts, strict=True):
        for features, motion in clips:
            taps = _taps(features @ axes)
            taps -= taps.mean(axis=0)
            xx += share / count * (taps.T @ taps)
            xy += share / count * (taps.T @ motion)
    return StraightLine(axes, np.linalg.solve(xx + RIDGE * np.eye(width), xy))


def _centred(features: np.ndarray, frames: int) -> np.ndarray:
    """[frames, C] without their mean; the last frame is held where the sound ends first."""
    held = features[np.minimum(np.arange(frames), len(features) - 1)].astype(np.float64)
    return held - held.mean(axis=0)


def _taps(x: np.ndarray) -> np.ndarray:
    """[T, R] -> the frames around each one side by side [T, (2 REACH + 1) R]; zeros beyond the ends."""
    padded = np.pad(x, ((REACH, REACH), (0, 0)))
    return np.concatenate([padded[k : k + len(x)] for k in range(2 * REACH + 1)], axis=1)
