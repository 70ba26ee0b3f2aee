"""What a reference performs besides speech: head, brows, gaze, lids, cheeks and nose, ready to be placed on a line.

Of every take the blinks are taken out and kept whole, so that no join cuts one in half; the camera's direction is taken
out of the neck; and the rhythm of the mouth is measured, by which stretches of it are placed (`placing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.mood import mood_columns, slow
from msmdcli.controls.smoothing import gaussian
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import (
    euler_from_quaternion,
    inverse,
    multiply,
    nearest_euler,
    quaternion_from_euler,
)
from msmdcli.performance.blinks import BlinkEvent, separate_blinks
from msmdcli.performance.interpolation import sample, slopes
from msmdcli.performance.mouth_size import speaks
from msmdcli.performance.rhythm import RATE, Rhythm, rhythm_of

Array = NDArray[np.float64]

FASTEST = 60  # frames per second of a take: more is not needed
GROUPS = ("head", "brows", "gaze", "lids", "cheeks", "corners")
PITCH_KEPT = 0.5  # of a mean pitch: a raised chin and a lowered camera cannot be told apart
USUAL_BLINKS, ENOUGH_SECONDS = 16.0, 10.0  # a minute; a shorter reference says too little of its own rate
FEWEST_BLINKS, MOST_BLINKS = 3.0, 60.0  # a minute: less is no rate that a line of speech has, more a tracker's flutter
LEAST_SECONDS = 0.9  # of a take that shows how somebody moves
UNFOLDED, SOFT = 5.0, 0.06  # seconds: a shorter take runs to and fro until it is as long, and turns softly
SLOW = 0.5  # seconds: standard deviation of what is no gesture but where the head is
ASIDE = np.radians(2.0)  # a head that rests further from straight is no symmetric one
STILL = 1e-3  # a channel whose values lie within this does not move


def groups_of(rig: Rig) -> dict[str, list[int]]:
    """Group -> the columns that are performed; channels of a group move together. A rig may lack some."""
    found: dict[str, list[int]] = {name: [] for name in GROUPS}
    found["head"] = list(rig.rotation_indices or ())
    found["corners"] = mood_columns(rig)
    for region, group in (("brows", "brows"), ("cheeks", "cheeks"), ("nose", "cheeks"), ("eyes", "lids")):
        for column in rig.indices(region) if region in rig.regions else ():
            name = rig.channels[column]
            if name == "cheekPuff":  # lips that hold air: speech
                continue
            found["gaze" if name.startswith("eyeLook") else group].append(int(column))
    return {name: columns for name, columns in found.items() if columns}


@dataclass(frozen=True, eq=False)
class Take:
    """One clip, performed parts only.

    Attributes:
        fps: its rate.
        values: [T, D] the clip without blinks, its camera's direction taken out, of the mouth's corners what is slow.
        rhythm: of its mouth, at `RATE`.
        accent: [T'] at `RATE`, where head and brows gesture: nods, turns, flashes; 1 is a strong one.
        blinks: whole.
        performed: seconds that were really performed: a short take is unfolded.
        speaks: whether its mouth does; if not, its rhythm says nothing.
    """

    fps: float
    values: Array
    rhythm: Rhythm
    accent: Array
    blinks: tuple[BlinkEvent, ...]
    performed: float
    speaks: bool = True

    @property
    def seconds(self) -> float:
        """Between the first and the last frame."""
        return (len(self.values) - 1) / self.fps

    @cached_property
    def tangents(self) -> Array:
        """[T, D] see `slopes`."""
        return slopes(self.values)

    @cached_property
    def _parts(self) -> dict[tuple[int, ...], tuple[Array, Array]]:
        """Columns -> values and tangents [T, C]: the same groups are asked for again and again."""
        return {}

    def at(self, times: Array, columns: Sequence[int]) -> Array:
        """[n, C] these columns at these times in seconds."""
        key = tuple(columns)
        if key not in self._parts:
            self._parts[key] = self.values[:, columns], self.tangents[:, columns]
        return sample(*self._parts[key], times * self.fps)


@dataclass(frozen=True, eq=False)
class Reference:
    """The performance in a style's clips.

    Attributes:
        rig: of all takes.
        takes: at least one.
        rest: [D] the mean pose without blinks: what the movement departs from.
        camera: [D] what was taken out of the mean pose because it tells where a camera stood.
    """

    rig: Rig
    takes: tuple[Take, ...]
    rest: Array
    camera: Array

    @classmethod
    def of(cls, clips: Sequence[Motion], keep_head_pose: bool | None = None) -> Reference:
        """Prepare the clips of a style.

        Args:
            clips: on one rig.
            keep_head_pose: see `PerformanceOptions`.
        """
        rig = clips[0].rig
        if keep_head_pose is None:
            keep_head_pose = all(clip.meta.get("synthetic") == "true" for clip in clips)
        takes, camera = [], np.zeros(rig.size)
        frames = sum(clip.frames for clip in clips)
        for clip in clips:
            rhythm = rhythm_of(clip)
            clip = clip.resample(FASTEST) if clip.fps > FASTEST else clip
            values, blinks = separate_blinks(clip)
            if not keep_head_pose:
                before = values.mean(axis=0)
                values = without_camera(values, rig)
                camera += (before - values.mean(axis=0)) * clip.frames / frames
            performed = (clip.frames - 1) / float(clip.fps)
            if LEAST_SECONDS <= performed < UNFOLDED:
                values, rhythm = unfolded(values, rhythm, float(clip.fps))
            corners = mood_columns(rig)
            values[:, corners] = slow(values[:, corners], float(clip.fps))
            accent = accents(values, rig, float(clip.fps))
            takes.append(Take(float(clip.fps), values, rhythm, accent, tuple(blinks), performed, speaks(clip)))
        total = sum(len(take.values) for take in takes)
        rest = np.sum([take.values.sum(axis=0) for take in takes], axis=0) / total
        return cls(rig, tuple(takes), rest, camera)

    @property
    def seconds(self) -> float:
        """Performed in all takes."""
        return sum(take.performed for take in self.takes)

    @property
    def blinks_per_minute(self) -> float:
        """How often it blinks; a short reference is taken to blink as people do."""
        count, seconds = sum(len(take.blinks) for take in self.takes), self.seconds
        missing = max(0.0, ENOUGH_SECONDS - seconds)
        rate = 60 * (count + USUAL_BLINKS / 60 * missing) / (seconds + missing)
        return min(max(rate, FEWEST_BLINKS), MOST_BLINKS)

    @property
    def symmetric(self) -> bool:
        """Whether left and right may be exchanged: a head that rests turned or tilted does so on purpose."""
        aside = self.rest[list(self.rig.rotation_indices or ())][1:]
        return bool(np.all(np.abs(aside) < ASIDE))

    @cached_property
    def moving(self) -> frozenset[str]:
        """The groups that move at all: a take of a face alone has no head, a tracker may know no cheeks."""
        if max(take.performed for take in self.takes) < LEAST_SECONDS:
            return frozenset()
        spread = np.max([np.ptp(take.values, axis=0) for take in self.takes], axis=0)  # [D]
        return frozenset(name for name, columns in groups_of(self.rig).items() if spread[columns].max() > STILL)


def accents(values: Array, rig: Rig, fps: float) -> Array:
    """[T'] at `RATE`: how far head and brows are from where they are for most of the time around."""
    total = np.zeros(len(values))
    for name in ("head", "brows"):
        columns = groups_of(rig).get(name, [])
        fast = values[:, columns] - gaussian(values[:, columns], SLOW * fps)
        size = np.linalg.norm(fast, axis=1)
        total += size / max(float(np.sqrt(np.mean(np.square(size)))), STILL)
    count = max(1, int((len(values) - 1) / fps * float(RATE)) + 1)
    curve = np.interp(np.arange(count) / float(RATE) * fps, np.arange(len(values)), total)
    return np.clip((curve - curve.mean()) / max(2 * float(curve.std()), STILL), 0.0, 1.5)


def unfolded(values: Array, rhythm: Rhythm, fps: float) -> tuple[Array, Rhythm]:
    """A short take [T, D] and its rhythm, forwards and backwards in turn for `UNFOLDED` seconds, smoothed where it
    turns."""
    folds = max(1, int(np.ceil(UNFOLDED * fps / max(len(values) - 1, 1))))
    long = to_and_fro(values, folds)
    soft = gaussian(long, SOFT * fps)
    turns = np.arange(1, folds)[:, None] * (len(values) - 1)
    near = np.exp(-0.5 * ((np.arange(len(long)) - turns) / (1.5 * SOFT * fps)) ** 2).max(axis=0, initial=0.0)[:, None]
    curves = (to_and_fro(curve[:, None], folds)[:, 0] for curve in (rhythm.stress, rhythm.activity, rhythm.pause))
    return long + near * (soft - long), Rhythm(*curves)


def to_and_fro(values: Array, folds: int) -> Array:
    """[folds (T - 1) + 1, D] of values [T, D]: forwards, backwards, forwards, ..."""
    parts = [values[:1]] + [values[1:] if fold % 2 == 0 else values[-2::-1] for fold in range(folds)]
    return np.concatenate(parts)


def without_camera(values: Array, rig: Rig) -> Array:
    """Values [T, D] without the usual yaw and roll of the head (taken out as a rotation), half of its usual pitch and
    the usual look to a side: eyes that looked into a camera beside the face look ahead again. What is usual is the
    median: somebody who turns away for a while rests where he comes back to."""
    values = values.copy()
    if rig.rotation_indices is not None:
        head = list(rig.rotation_indices)
        angles = np.unwrap(values[:, head], axis=0)  # [T, 3] pitch, yaw, roll
        aside = np.median(angles, axis=0) * (0, 1, 1)
        turned = multiply(inverse(quaternion_from_euler(aside))[None], quaternion_from_euler(angles))
        angles = nearest_euler(euler_from_quaternion(turned), angles - aside)
        values[:, head] = angles - np.median(angles, axis=0) * (1 - PITCH_KEPT, 1, 1)
    for toward, away in (("eyeLookOutLeft", "eyeLookInLeft"), ("eyeLookInRight", "eyeLookOutRight")):
        if toward in rig.channels and away in rig.channels:
            a, b = rig.channels.index(toward), rig.channels.index(away)
            both, side = np.minimum(values[:, a], values[:, b]), values[:, a] - values[:, b]
            side = side - np.median(side)
            values[:, a], values[:, b] = both + np.maximum(side, 0), both + np.maximum(-side, 0)
    return values
