"""Pins: key poses, held poses and whole channels that the animation meets exactly; the rest is generated around them.

A pin works twice. During sampling the prediction of every step is corrected towards it, so the network sees the pose
and fits the frames around it (inpainting by replacement, as in Lugmayr et al. 2022, "RePaint", and Tevet et al. 2023,
"Human Motion Diffusion Model", section 4.3; here neighbours are moved along, because one frame in a hundred is easily
overheard). At the end, at the frame rate of the output, what is left of the difference is taken away, so the values are
met to the last bit.

Both use one correction. At a pinned frame the value is the pin's. Next to it the difference between pin and motion at
the pinned frame is added with a weight that falls from 1 to 0 in a smooth step over `blend` seconds, or up to the
channel's next pin if that is nearer: what is generated there keeps its movement and bends towards the pin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.smoothing import gaussian
from msmdcli.errors import MsmdError
from msmdcli.formats.motion_file import MotionFile
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

Array = NDArray[np.float32]

DEFAULT_BLEND = 0.25  # seconds
MAX_BLEND = 10.0
EASE = 0.035  # seconds: standard deviation of the kernel that eases the pinned channels within `blend` of a pin


@dataclass(frozen=True)
class Pin:
    """One entry of `pins`.

    Attributes:
        channels: channel or region -> value in the rig's units; for a curve the value is not used (0).
        time: seconds at which it is met; None pins the whole line.
        hold: seconds for which it is held from `time` on; 0 is one frame.
        blend: seconds over which the motion bends towards it, before and after.
        file: a motion whose curves are followed instead of the values; None for constant values.
    """

    channels: Mapping[str, float]
    time: float | None = None
    hold: float = 0.0
    blend: float = DEFAULT_BLEND
    file: MotionFile | None = None

    def columns(self, rig: Rig) -> dict[int, float]:
        """Column -> value. A single channel wins over a region that holds it."""
        found: dict[int, float] = {}
        for name, value in sorted(self.channels.items(), key=lambda item: item[0] in rig.channels):
            names = (name,) if name in rig.channels else rig.regions.get(name, ())
            found |= {rig.channels.index(channel): value for channel in names}
        return found

    def located(self) -> Pin:
        """With the content of its file known.

        Raises:
            MsmdError: there is no such file.
        """
        return self if self.file is None else replace(self, file=self.file.located())

    def description(self) -> dict[str, Any]:
        """Plain data of all that decides what it does."""
        return {
            "time": self.time,
            "hold": self.hold,
            "blend": self.blend,
            "channels": dict(sorted(self.channels.items())),
            "file": "" if self.file is None else self.file.sha256,
        }


@dataclass(frozen=True, eq=False)
class PinnedStretch:
    """What one pin asks of one channel at a frame rate.

    Attributes:
        first: its first frame.
        targets: [n] values of the frames from `first` on.
        blend: frames over which the motion bends towards it.
    """

    first: int
    targets: Array
    blend: float

    @property
    def last(self) -> int:
        return self.first + len(self.targets) - 1


@dataclass(frozen=True, eq=False)
class Pinned:
    """All pins of a line at one frame rate.

    Attributes:
        stretches: column -> what it is pinned to, by rising frame, without overlap.
        missed: in words, what lies beyond the end of the line.
    """

    stretches: Mapping[int, Sequence[PinnedStretch]]
    missed: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, pins: Sequence[Pin], rig: Rig, fps: Fraction, frames: int) -> Pinned:
        """The pins on the frames of a line.

        Args:
            pins: as the manifest has them.
            rig: of the line.
            fps, frames: the line's.

        Raises:
            MsmdError: the file of a curve cannot be read, or is on another rig.
        """
        found: dict[int, list[PinnedStretch]] = {}
        missed = []
        for pin in pins:
            first = 0 if pin.time is None else _nearest_frame(pin.time, fps)
            if first >= frames:
                end = frames / float(fps)
                missed.append(f"the pin at {pin.time:g} s is after the end of the animation ({end:.2f} s)")
                continue
            stop = frames if pin.time is None else min(frames, _nearest_frame(pin.time + pin.hold, fps) + 1)
            curve = None if pin.file is None else _curve(pin.file, rig, fps, stop - first)
            for column, value in pin.columns(rig).items():
                targets = np.full(stop - first, value, np.float32) if curve is None else curve[:, column]
                found.setdefault(column, []).append(PinnedStretch(first, targets, pin.blend * float(fps)))
        ordered = {}
        for column, stretches in found.items():
            kept: list[PinnedStretch] = []
            for stretch in sorted(stretches, key=lambda s: s.first):
                if not kept or stretch.first > kept[-1].last:  # two pins on one frame: the first stays
                    kept.append(stretch)
            ordered[column] = kept
        return cls(ordered, tuple(missed))

    @property
    def columns(self) -> list[int]:
        """The columns that are pinned anywhere."""
        return sorted(self.stretches)

    def met_by(self, values: Array, start: int = 0) -> Array:
        """The values, bent so that they meet the pins.

        Args:
            values: [n, D] frames `start` .. `start` + n of the line. A pin just outside bends those near it: what the
                line does at the pin is taken to be what it does at the nearest of these frames.
            start: number of the first frame.

        Returns:
            [n, D] float32, with exactly the pinned values at the pinned frames.
        """
        bent = values.astype(np.float64)
        for group in self._groups:
            for edge, target, weight in group.slopes(start, len(values)):
                seen = values[min(max(edge - start, 0), len(values) - 1), group.columns].astype(np.float64)
                bent[:, group.columns] += weight[:, None] * (target - seen)
        result = bent.astype(np.float32)
        for group in self._groups:
            for at, targets in zip(group.times, group.targets, strict=True):
                first, stop = max(at.first, start), min(at.last + 1, start + len(values))
                if first < stop:
                    result[first - start : stop - start, group.columns] = targets[first - at.first : stop - at.first]
        return result

    def held(self, start: int, frames: int, channels: int) -> Array | None:
        """Frames `start` .. `start` + `frames` where the pins hold every one of so many channels in all of them, [n, D]
        float32; None where they leave anything open."""
        if len(self.stretches) < channels:
            return None
        found, stop = np.full((frames, channels), np.nan, np.float32), start + frames
        for group in self._groups:
            for at, targets in zip(group.times, group.targets, strict=True):
                low, high = max(at.first, start), min(at.last + 1, stop)
                if low < high:
                    found[low - start : high - start, group.columns] = targets[low - at.first : high - at.first]
        return None if np.isnan(found).any() else found

    def nearness(self, frames: int) -> NDArray[np.float64]:
        """[frames, D] 1 at pinned frames, falling to 0 over `blend` on both sides."""
        size = max(self.stretches) + 1 if self.stretches else 0
        near = np.zeros((frames, size))
        for group in self._groups:
            weight = np.zeros(frames)
            for at in group.times:
                weight[at.first : at.last + 1] = 1
            for *_, slope in group.slopes(0, frames):
                weight = np.maximum(weight, slope)
            near[:, group.columns] = weight[:, None]
        return near

    @cached_property
    def _groups(self) -> list[_Group]:
        """The columns, those together that are pinned at the same frames."""
        found: dict[tuple[_Times, ...], list[int]] = {}
        for column, stretches in self.stretches.items():
            times = tuple(_Times(stretch.first, stretch.last, stretch.blend) for stretch in stretches)
            found.setdefault(times, []).append(column)
        return [
            _Group(
                columns,
                times,
                [np.stack(one, axis=1) for one in zip(*(self._targets(c) for c in columns), strict=True)],
            )
            for times, columns in found.items()
        ]

    def _targets(self, column: int) -> list[Array]:
        return [stretch.targets for stretch in self.stretches[column]]


class _Times(NamedTuple):
    """The first and the last frame of a stretch, and its blend."""

    first: int
    last: int
    blend: float


@dataclass(frozen=True, eq=False)
class _Group:
    """Columns that are pinned at the same frames.

    Attributes:
        columns: C of them.
        times: of their stretches.
        targets: [n, C] of each stretch.
    """

    columns: list[int]
    times: tuple[_Times, ...]
    targets: list[Array]

    def slopes(self, start: int, frames: int) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
        """For both edges of each stretch: its frame, the pins' values [C] there, and [frames] the weight beside it,
        from nearly 1 down to 0 over `blend`, or at the next pin of the channels if that is nearer."""
        at = np.arange(start, start + frames)
        for number, (first, last, blend) in enumerate(self.times):
            before = self.times[number - 1].last if number else -np.inf
            after = self.times[number + 1].first if number + 1 < len(self.times) else np.inf
            targets = self.targets[number].astype(np.float64)
            for edge, target, gap, side in (
                (first, targets[0], first - before, -1),
                (last, targets[-1], after - last, 1),
            ):
                reach = min(blend + 1, gap)  # frames away at which the weight is 0
                away = side * (at - edge)  # [frames]
                u = np.where(away > 0, away / reach, 1.0).clip(0, 1)
                yield edge, target, 1 - smooth_step(u)


def meet(motion: Motion, pinned: Pinned) -> Motion:
    """The motion, its pinned channels within the rig's ranges and with exactly the pinned values.

    Around the pins these channels are eased a little: what the model did before and after it bent may not fit.
    """
    columns = pinned.columns
    if not columns:
        return motion
    rig = motion.rig
    values = np.clip(motion.values, rig.lower, rig.upper)
    bent = pinned.met_by(values)
    near = pinned.nearness(motion.frames)[:, columns]  # [T, C]
    soft = gaussian(bent[:, columns].astype(np.float64), EASE * float(motion.fps))
    bent[:, columns] += (near * (soft - bent[:, columns])).astype(np.float32)
    bent = np.clip(pinned.met_by(bent), rig.lower, rig.upper)
    values = motion.values.copy()
    values[:, columns] = bent[:, columns]
    return replace(motion, values=values, meta=dict(motion.meta))


def _nearest_frame(seconds: float, fps: Fraction) -> int:
    """The frame whose time is nearest, halves up."""
    return (Fraction(seconds).limit_denominator(1_000_000) * fps + Fraction(1, 2)).__floor__()


def _curve(file: MotionFile, rig: Rig, fps: Fraction, frames: int) -> Array:
    """[frames, D] the curves of a file, on the line's rig and frame rate, its last pose held, within the ranges."""
    motion = file.load()
    if motion.rig.channels != rig.channels:
        raise MsmdError(f"{file.path} is on rig {motion.rig.name}, but the line is on {rig.name}")
    return motion.resample(fps, frames).clip().values


def clash(pins: Sequence[Pin], rig: Rig) -> tuple[int, str] | None:
    """The number of the first pin that asks for a channel at a time at which another one does, and how; or None."""
    taken: dict[int, list[tuple[float, float]]] = {}
    for number, pin in enumerate(pins):
        start, stop = (0.0, np.inf) if pin.time is None else (pin.time, pin.time + pin.hold)
        for column in pin.columns(rig):
            if any(start <= other_stop and other_start <= stop for other_start, other_stop in taken.get(column, ())):
                when = "" if pin.time is None else f" at {pin.time:g} s"
                return number, f"{rig.channels[column]} is pinned twice{when}"
            taken.setdefault(column, []).append((start, stop))
    return None
