"""Motion: channel values over time. T frames, D channels of a rig; frame i is at i / fps seconds, exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion, nearest_euler, quaternion_from_euler
from msmdcli.system.npz_file import read_npz

FORMAT_VERSION = 1  # of the motion npz
MAX_FPS = 1000
LONGEST_RATE = 40  # characters of a frame rate
MOST_CHANNELS = 10_000  # of a file
LARGEST = 1e6  # a value beyond this is damage: channels are shares of a pose, angles, at most degrees
NTSC = Fraction(1000, 1001)
LANCZOS_LOBES = 3  # half-width, in target frames, of the kernel that resamples to a lower rate
LARGE_YAW = np.radians(60)  # beyond it Euler angles are interpolated as rotations; below, they cannot tip over


@dataclass(eq=False)
class Motion:
    """A clip of animation.

    Attributes:
        values: [T, D] float32, finite, T >= 1.
        fps: frames per second as an exact fraction (30000/1001, not 29.97).
        rig: what the D columns are.
        meta: notes that travel with the clip (source, tracker, ...); strings only.
    """

    values: np.ndarray
    fps: Fraction
    rig: Rig
    meta: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = np.ascontiguousarray(self.values, dtype=np.float32)
        self.fps = parse_fps(self.fps)
        if self.values.ndim != 2 or self.values.shape[1] != self.rig.size:
            raise MsmdError(
                f"motion values have the shape {self.values.shape}; rig {self.rig.name} needs (T, {self.rig.size})"
            )
        if len(self.values) == 0:
            raise MsmdError("the motion has no frames")
        if not np.isfinite(self.values).all():
            frame, channel = np.argwhere(~np.isfinite(self.values))[0]
            value, name = self.values[frame, channel], self.rig.channels[channel]
            raise MsmdError(f"motion holds {value} in channel {name}, frame {frame}")

    @property
    def frames(self) -> int:
        """T."""
        return len(self.values)

    @property
    def seconds(self) -> Fraction:
        """T / fps: a frame lasts until the next would begin."""
        return self.frames / self.fps

    def clip(self) -> Motion:
        """The same motion held within the rig's ranges."""
        return replace(self, values=np.clip(self.values, self.rig.lower, self.rig.upper), meta=dict(self.meta))

    def slice(self, start: int, stop: int) -> Motion:
        """Frames [start, stop), 0 <= start < stop <= T."""
        if not 0 <= start < stop <= self.frames:
            raise MsmdError(f"frames {start} to {stop} are not within a motion of {self.frames} frames")
        return replace(self, values=self.values[start:stop].copy(), meta=dict(self.meta))

    def resample(self, fps: Fraction | str | float, frames: int | None = None) -> Motion:
        """The motion at another frame rate. Frame j of the result is the source at exactly j / fps seconds.

        Going up (or when the rate stays): linear interpolation, so nothing overshoots. Going down: a Lanczos kernel of
        the target rate's bandwidth, centred on the exact time, so what the target rate cannot carry is removed instead
        of aliased, and nothing moves in time; the result stays within the source's values around it, and the first
        frame is kept. A channel that does not change keeps its value exactly. Head angles are unwrapped first and, when
        they are large, interpolated as rotations. After the last source frame its pose is held.

        Args:
            fps: the new rate.
            frames: the number of frames wanted; by default round(seconds * fps), see `frame_count`.
        """
        target = parse_fps(fps)
        count = frame_count(self.seconds, target) if frames is None else frames
        if count < 1:
            raise MsmdError(f"a motion cannot be resampled to {count} frames")
        step = self.fps / target  # source frames per target frame
        source = self.values.astype(np.float64)  # [T, D]
        columns = self.rig.rotation_indices
        if columns is not None:
            head = list(columns)
            source[:, head] = np.unwrap(source[:, head], axis=0)
        values = _resample(source, step, count)  # [count, D]
        if columns is not None and np.abs(source[:, columns[1]]).max() > LARGE_YAW:
            values[:, head] = _resample_rotation(source[:, head], values[:, head], step, count)
        return Motion(values.astype(np.float32), target, self.rig, dict(self.meta))


def parse_fps(value: Fraction | str | float) -> Fraction:
    """A frame rate as an exact fraction, from "25", "30000/1001", 29.97 or a Fraction.

    The decimal names of the NTSC rates (23.976, 29.97, 59.94, ...) mean n * 1000/1001.
    """
    try:
        if isinstance(value, str) and (len(value) > LONGEST_RATE or "e" in value.lower()):  # 1e999999999 takes for ever
            raise ValueError
        fps = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        shown = repr(value)[:LONGEST_RATE]
        raise MsmdError(f"{shown} is not a frame rate", hint="examples: 25, 29.97, 30000/1001") from None
    if not 0 < fps <= MAX_FPS:
        raise MsmdError(f"frame rate {value} is not between 0 and {MAX_FPS}")
    if fps.denominator != 1 and not isinstance(value, Fraction):
        ntsc = round(fps / NTSC) * NTSC
        if abs(fps - ntsc) < Fraction(6, 10000):  # 23.98 is no name of 23.976, but 23.976, 29.97, 59.94, 119.88 are
            return ntsc
    return fps


def frame_count(seconds: Fraction | float, fps: Fraction | str | float) -> int:
    """The frames of an animation that lasts `seconds`: seconds * fps rounded, halves up; at least 1.

    A float is taken for the simple fraction it stands for (denominator up to a million), so that 0.58 s at 25 fps is
    14.5 frames and not a hair less.
    """
    exact = seconds if isinstance(seconds, Fraction) else Fraction(seconds).limit_denominator(1_000_000)
    if exact < 0:
        raise MsmdError(f"a duration cannot be negative: {seconds} s")
    return max(1, (exact * parse_fps(fps) + Fraction(1, 2)).__floor__())


def _positions(step: Fraction, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Where frame j falls in the source, held at the end: whole frame [count] int64 and the rest [count] in [0, 1)."""
    scaled = np.arange(count, dtype=np.int64) * step.numerator
    whole, rest = np.divmod(scaled, step.denominator)
    fraction = rest / step.denominator
    past = whole >= length - 1
    return np.where(past, length - 1, whole), np.where(past, 0.0, fraction)


def _resample(source: np.ndarray, step: Fraction, count: int) -> np.ndarray:
    """Source [T, D] float64 at positions j * step, j < count -> [count, D]."""
    length = len(source)
    whole, fraction = _positions(step, count, length)
    base = source[whole]  # [count, D]
    if step <= 1 or length == 1:
        return base + fraction[:, None] * (source[np.minimum(whole + 1, length - 1)] - base)

    width = float(step)  # one target frame, in source frames
    reach = int(np.ceil(LANCZOS_LOBES * width))
    nearest = whole + (fraction > 0.5)  # a local reference: differences from it vanish where nothing moves
    reference = source[np.minimum(nearest, length - 1)]
    total = np.zeros((count, 1))
    moment = np.zeros_like(base)
    low, high = reference.copy(), reference.copy()
    for tap in range(-reach, reach + 2):
        distance = (tap - fraction) / width  # in target frames
        inside = np.abs(distance) < LANCZOS_LOBES
        weight = (np.sinc(distance) * np.sinc(distance / LANCZOS_LOBES) * inside)[:, None]  # [count, 1]
        at = whole + tap
        value = source[np.clip(at, 0, length - 1)]
        low, high = np.minimum(low, value), np.maximum(high, value)
        # Beyond an end the motion is continued by point reflection: the end pose stays and ramps stay ramps.
        mirrored = np.where(at < 0, -at, 2 * (length - 1) - at)
        outside = (at < 0) | (at >= length)
        end = source[np.where(at < 0, 0, length - 1)]
        value = np.where(outside[:, None], 2 * end - source[np.clip(mirrored, 0, length - 1)], value)
        moment += weight * (value - reference)
        total += weight
    return np.clip(reference + moment / total, low, high)


def _resample_rotation(source: np.ndarray, euler: np.ndarray, step: Fraction, count: int) -> np.ndarray:
    """Large head angles [T, 3] as rotations -> [count, 3], in the angles nearest to `euler`, plainly interpolated."""
    quaternions = quaternion_from_euler(source)  # [T, 4]
    dots = np.sum(quaternions[1:] * quaternions[:-1], axis=-1)
    quaternions[1:] *= np.cumprod(np.where(dots < 0, -1.0, 1.0))[:, None]  # q and -q are one rotation: keep one side
    return nearest_euler(euler_from_quaternion(_resample(quaternions, step, count)), euler)


MEMBERS = ("values", "channels", "fps", "rig", "format_version", "meta", "rig_definition")  # of a motion's npz


def save_npz(path: Path | str, motion: Motion, extra: Mapping[str, np.ndarray] | None = None) -> None:
    """Write a motion: `values` [T, D] float32, `channels` [D], `fps` ("25/1"), `rig`, `format_version`, `meta` (JSON).

    Where the rig is not one that ships, `rig_definition` (JSON, `Rig.definition`) describes it, so that the file can be
    read wherever it goes. `extra` arrays go beside these. The same motion gives the same bytes.
    """
    own: dict[str, Any] = {} if motion.rig.shipped else {"rig_definition": np.array(motion.rig.definition())}
    own.update(extra or {})
    with Path(path).open("wb") as file:  # an open file, because NumPy appends .npz to names
        np.savez_compressed(
            file,
            values=motion.values,
            channels=np.array(motion.rig.channels),
            fps=np.array(f"{motion.fps.numerator}/{motion.fps.denominator}"),
            rig=np.array(motion.rig.name),
            format_version=np.array(FORMAT_VERSION),
            meta=np.array(json.dumps(motion.meta, sort_keys=True)),
            **own,
        )


def load_npz(path: Path | str, rig: Rig | None = None) -> Motion:
    """Read what `save_npz` wrote. Channels are matched by name.

    Args:
        path: the file.
        rig: on which to read it; by default the file's own, which is known by name or described in the file.
    """
    path = Path(path)
    data: dict[str, Any] = read_npz(path, MEMBERS)
    missing = [name for name in ("values", "channels", "fps", "rig", "format_version") if name not in data]
    if missing:
        raise MsmdError(
            f"{path} is no motion: it has no {', '.join(missing)}", hint="a motion npz is one that MSMD wrote"
        )
    try:
        version, values = int(data["format_version"]), _numbers(data["values"])
        if data["channels"].ndim != 1 or len(data["channels"]) > MOST_CHANNELS:
            raise MsmdError(f"channel names of the shape {data['channels'].shape}")
        names = [str(name) for name in data["channels"]]
        meta = {str(key): str(text) for key, text in json.loads(str(data.get("meta", "{}"))).items()}
        fps = parse_fps(str(data["fps"]))
        if version != FORMAT_VERSION:
            raise MsmdError(f"motion format {version}; this program reads {FORMAT_VERSION}", hint="update MSMD")
        if rig is None and "rig_definition" in data:
            rig = Rig.from_definition(str(data["rig_definition"]))
        rig = rig or Rig.shipped_as(str(data["rig"]))
        if values.ndim != 2 or len(names) != values.shape[1]:
            raise MsmdError(f"values of shape {values.shape} with {len(names)} channel names")
        column = {name: number for number, name in reversed(list(enumerate(names)))}
        absent = [name for name in rig.channels if name not in column]
        if absent:
            raise MsmdError(f"no channel {absent[0]} of rig {rig.name} ({len(absent)} missing)")
        return Motion(values[:, [column[name] for name in rig.channels]], fps, rig, meta)
    except MsmdError as error:
        raise MsmdError(f"{path}: {error.message}", hint=error.hint) from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MsmdError(f"{path} is no motion ({error})") from error


def _numbers(values: np.ndarray) -> np.ndarray:
    """Values of a file as float32 [...]; what is no number, or cannot be one of a face, is refused."""
    if values.dtype.kind not in "iuf":
        raise MsmdError(f"its values are not numbers but {values.dtype}")
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32, copy=False)
    if numbers.size and np.abs(numbers[np.isfinite(numbers)], dtype=np.float32).max(initial=0) > LARGEST:
        raise MsmdError(f"it holds values beyond {LARGEST:g}: the file is damaged")
    return numbers
