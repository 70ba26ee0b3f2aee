"""From keyed curves, as engines keep them, back to a motion: one value per frame, linear between keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.livelink_clock import USUAL_RATES
from msmdcli.motion.morph_names import match_targets
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

Curve = tuple[np.ndarray, np.ndarray]  # times [K] in seconds, ascending; values [K] or [K, n]
MOST_FRAMES = 1_000_000  # of a clip: eleven hours at 25 frames a second
OFF_FRAME = 0.01  # frames that a key's time may be off its frame
FLOAT32 = 2.0**-23


def find_rate(times: np.ndarray) -> Fraction:
    """The usual frame rate at which all these times [n] (seconds) fall on frames; the lowest, if several do.

    If none does, the rate is measured from the shortest step, to 1/1000.
    """
    away = np.unique(np.asarray(times, np.float64) - np.min(times))
    if len(away) < 2:
        return Fraction(30)
    found = []
    for rate in sorted(USUAL_RATES):
        position = away * float(rate)
        error = float(np.abs(position - np.round(position)).max())
        if error <= 4 * float(rate) * FLOAT32 * max(float(np.abs(times).max()), 0.1):  # as exact as float32 times are
            return rate
        found.append((error, rate))
    error, rate = min(found)
    if error <= OFF_FRAME:
        return rate
    return Fraction(round(1000 / float(np.diff(away).min())), 1000)


def on_frames(curve: Curve, fps: Fraction, frames: int, start: float = 0.0) -> np.ndarray:
    """A curve's values [frames] or [frames, n] at start + i / fps, held beyond its ends.

    Keys that are nearly on a frame are taken to be on it: their times were rounded.
    """
    times, values = curve
    position = (np.asarray(times, np.float64) - start) * float(fps)  # in frames
    whole = np.round(position)
    position = np.where(np.abs(position - whole) <= OFF_FRAME, whole, position)
    table = np.asarray(values, np.float64).reshape(len(values), -1)  # [K, n]
    sampled = np.stack([np.interp(np.arange(frames), position, column) for column in table.T], axis=1)
    return sampled.reshape(frames, *np.shape(values)[1:])


def span(curves: Sequence[Curve], fps: Fraction) -> tuple[float, int]:
    """(start in seconds, frames) that a clip's curves cover, the last key's frame included."""
    for times, values in curves:
        if not (len(times) and np.isfinite(times).all() and np.isfinite(values).all() and (np.diff(times) >= 0).all()):
            raise MsmdError("its keys are not numbers at ascending times")
    start = min(float(times[0]) for times, _ in curves)
    end = max(float(times[-1]) for times, _ in curves)
    if (end - start) * float(fps) > MOST_FRAMES:
        raise MsmdError(f"the clip would last {end - start:.3g} seconds")
    return start, check_frames(int(np.floor((end - start) * float(fps) + OFF_FRAME)) + 1, fps)


def check_frames(frames: int, fps: Fraction) -> int:
    """The number of frames that a file promises, if it can be meant.

    Raises:
        MsmdError: there are none, or more than `MOST_FRAMES`.
    """
    if not 0 < frames <= MOST_FRAMES:
        raise MsmdError(f"the clip would have {frames} frames at {float(fps):g} frames per second")
    return frames


def match_channels(names: Iterable[str], rig: Rig) -> tuple[dict[str, str], list[str]]:
    """Which channel each name of a morph target means, in any usual spelling; see `msmdcli.motion.morph_names`.

    Returns:
        (name -> channel, warnings about guesses that a person should look at).
    """
    shapes = [name for name in rig.channels if name not in (rig.rotation or ())]
    matching = match_targets(names, shapes, rig.targets)
    found = {name: channel for channel, chosen in matching.found.items() for name in chosen}
    return found, [f"{channel}: {reason}" for channel, reason in matching.doubtful.items()]


def assemble(
    path: Path,
    rig: Rig,
    fps: Fraction,
    columns: Mapping[str, np.ndarray],
    angles: np.ndarray | None,
    meta: dict[str, str],
) -> Motion:
    """A motion from columns [T] by channel and head angles [T, 3]; channels that are not there stay at rest.

    Raises:
        MsmdError: none of the columns is a channel of the rig.
    """
    if not columns:
        raise MsmdError(f"{path}: no curve is named like a channel of rig {rig.name}", hint="e.g. jawOpen")
    frames = len(next(iter(columns.values())))
    values = np.zeros((frames, rig.size))  # [T, D]
    for name, column in columns.items():
        values[:, rig.index(name)] = column
    if angles is not None and rig.rotation_indices is not None:
        values[:, list(rig.rotation_indices)] = angles
    absent = [name for name in rig.channels if name not in columns and name not in (rig.rotation or ())]
    if absent:
        meta = {**meta, "missing_channels": ", ".join(absent)}
    return Motion(values.astype(np.float32), fps, rig, {"source": path.name, **meta})


def shapes_of(motion: Motion) -> tuple[list[str], np.ndarray]:
    """(names, values [T, S]) of the blend shapes: all channels but the head rotation.

    Where the rig says what a head calls its morph targets, they have those names; a channel may have several.
    """
    rig = motion.rig
    named = [(t, c) for c in rig.channels if c not in (rig.rotation or ()) for t in rig.targets.get(c, (c,))]
    return [target for target, _ in named], motion.values[:, [rig.index(channel) for _, channel in named]]


def head_of(motion: Motion) -> np.ndarray | None:
    """Head pitch, yaw, roll [T, 3] in radians, float64; None where the rig has no head."""
    columns = motion.rig.rotation_indices
    return None if columns is None else motion.values[:, list(columns)].astype(np.float64)


def split_names(value: Any) -> list[str]:
    """Several names, with commas; none at all for an empty text."""
    return [part.strip() for part in str(value).split(",")]
