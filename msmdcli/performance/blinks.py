"""Blinks of a reference: found, kept whole, and given to a line at the rate and the moments that are the performer's.

A blink is the lids' way down and up again, with what squints and dips along, as a shape over time that can be laid on
any lids. Stretches of the reference bring their blinks along (`placing`); what the rate still wants falls where people
blink: in pauses and with the large movements of the eyes (Nakano and Kitazawa, "Eyeblink entrainment at breakpoints of
speech", Experimental Brain Research 205, 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.smoothing import lower_envelope
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

Array = NDArray[np.float64]

LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
ALONG = ("eyeSquintLeft", "eyeSquintRight", "eyeLookDownLeft", "eyeLookDownRight")  # rise with a lid that shuts
AGAINST = ("eyeWideLeft", "eyeWideRight", "eyeLookUpLeft", "eyeLookUpRight")  # fall with it
SPAN = 1.0  # seconds: lids that are down for longer are no blink
RISE, FOOT = 0.22, 0.03  # of the lid's way that is left: a blink goes above the one, it begins and ends under the other
TWITCH, USUAL_SHARE = 0.33, 0.5  # of the way: a dip that is less, and less than half of the others, is no blink
FASTEST_CLOSING = 0.3  # seconds: lids that come down more slowly follow a gaze
SHUT = 0.86  # a delivered blink shuts the lids at least so far
PARTNER = 0.6  # of the other lid's way: one that goes less far is not believed
APART = 0.5  # seconds between the bottoms of two blinks


@dataclass(frozen=True, eq=False)
class BlinkEvent:
    """A blink as a shape over time.

    Attributes:
        time: seconds in its take, when the lids are down.
        offsets: [n] seconds from there, rising, 0 among them; the shape is 0 at both ends.
        lids: [n, 2] share of its way that the left and right lid has gone, 0 to 1.
        along: [n, 4] what is added to the channels of `ALONG`.
    """

    time: float
    offsets: Array
    lids: Array
    along: Array


def separate_blinks(motion: Motion) -> tuple[Array, list[BlinkEvent]]:
    """(values [T, D] float64 without blinks, the blinks)."""
    rig, fps = motion.rig, float(motion.fps)
    values = motion.values.astype(np.float64)
    columns = [rig.channels.index(name) for name in LIDS if name in rig.channels]
    if len(columns) != 2 or len(values) < 3:
        return values, []
    lids = values[:, columns]
    low = np.stack([lower_envelope(lids[:, i], round(SPAN * fps)) for i in range(2)], axis=1)
    share = ((lids - low) / np.maximum(1 - low, 0.2)).mean(axis=1)  # [T]
    busy = np.concatenate([[False], share > FOOT, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(busy))
    found = []
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        for start, end in _single(share, int(first), int(stop)):
            peak = start + int(np.argmax(share[start:end]))
            if share[peak] < RISE or start == 0 or end == len(values):  # an end of the take cuts it
                continue
            under = np.flatnonzero(share[start : peak + 1] < 0.3 * share[peak])
            if (peak - start - (under[-1] if len(under) else 0)) / fps > FASTEST_CLOSING:
                continue
            found.append((start - 1, peak, end))
    least = min(TWITCH, USUAL_SHARE * max((share[peak] for _, peak, _ in found), default=0.0))
    found = [(before, peak, after) for before, peak, after in found if share[peak] >= least]
    return values, [_event(values, rig, columns, *at, fps) for at in found]


def _single(share: Array, start: int, stop: int) -> list[tuple[int, int]]:
    """A stretch of busy lids, cut where two blinks follow upon each other: at a deep valley between two peaks."""
    peaks = [
        t
        for t in range(start + 1, stop - 1)
        if share[t] >= RISE and share[t] >= share[t - 1] and share[t] > share[t + 1]
    ]
    cuts = [start]
    for a, b in pairwise(peaks):
        valley = a + int(np.argmin(share[a : b + 1]))
        if share[valley] < 0.4 * min(share[a], share[b]):
            cuts.append(valley)
    return list(zip(cuts, [*cuts[1:], stop], strict=True))


def _event(values: Array, rig: Rig, lids: list[int], before: int, peak: int, after: int, fps: float) -> BlinkEvent:
    """The blink between two frames; taken out of the values, in place."""
    after = min(after, len(values) - 1)
    span = np.arange(before, after + 1)
    line = np.linspace(0.0, 1.0, len(span))[:, None]
    bare = values[before, lids] + line * (values[after, lids] - values[before, lids])
    shape = np.clip((values[before : after + 1][:, lids] - bare) / np.maximum(1 - bare, 0.2), 0, 1)
    values[before : after + 1, lids] = bare
    shape = _once(shape, peak - before)
    along = np.zeros((len(span), len(ALONG)))
    for i, name in enumerate(ALONG):
        if name in rig.channels:
            column = rig.channels.index(name)
            along[:, i] = np.maximum(_take_out(values, column, before, peak, after, "Look" in name), 0)
    for name in AGAINST:
        if name in rig.channels:
            _take_out(values, rig.channels.index(name), before, peak, after, "Look" in name)
    return BlinkEvent(peak / fps, (span - peak) / fps, shape, along)


def _once(shape: Array, peak: int) -> Array:
    """The shape [n, 2] of two lids that go down once and up once; a lid that hardly took part (it was badly seen, or
    squinted) goes with the other."""
    down = np.maximum.accumulate(shape[: peak + 1], axis=0)
    up = np.maximum.accumulate(shape[peak:][::-1], axis=0)[::-1]
    shape = np.concatenate([down, np.minimum(up[1:], down[-1])])
    shape[0], shape[-1] = 0, 0
    most = shape.max(axis=0)
    for lid in range(2):
        if most[lid] < PARTNER * most[1 - lid]:
            shape[:, lid] = shape[:, 1 - lid]
    return shape


def _take_out(values: Array, column: int, before: int, peak: int, after: int, jumps: bool) -> Array:
    """Lead a channel past a blink, in place: straight, or (a gaze) in one jump while the lids are down. What was taken
    away is returned."""
    a, b = values[before, column], values[after, column]
    span = np.arange(before, after + 1)
    bare = np.where(span < peak, a, b) if jumps else np.linspace(a, b, len(span))
    taken = values[before : after + 1, column] - bare
    values[before : after + 1, column] = bare
    taken[0] = taken[-1] = 0
    return taken


@dataclass(frozen=True, eq=False)
class LineBlink:
    """A blink of a line: when, and in which shape."""

    time: float
    event: BlinkEvent


def choose_blinks(
    natural: Sequence[LineBlink],
    shapes: Sequence[BlinkEvent],
    expected: float,
    seconds: float,
    pause: Array,
    rate: float,
    rng: np.random.Generator,
) -> list[LineBlink]:
    """As many blinks as the reference's rate gives for a line.

    Args:
        natural: those that its stretches bring along.
        shapes: of all blinks of the reference, for those that are missing.
        expected: how many there should be: the rate, summed over the line.
        seconds: the line's duration.
        pause: [T] see `Rhythm`, at `rate` frames per second.
        rng: of the line; draws the rounding and what is not given by the reference.
    """
    count = int(np.floor(expected + rng.random()))
    count = min(count, int((seconds + APART) // (APART + 0.1)))
    kept: list[LineBlink] = []
    for blink in sorted(natural, key=lambda blink: blink.time):
        if 0.1 <= blink.time <= seconds - 0.05 and all(abs(blink.time - other.time) >= APART for other in kept):
            kept.append(blink)
    even = seconds / max(count, 1)
    while len(kept) > count:  # the one with the nearest neighbours goes
        times = np.array([-0.5 * even, *(blink.time for blink in kept), seconds + 0.5 * even])
        gaps = np.minimum(times[1:-1] - times[:-2], times[2:] - times[1:-1]) + 0.2 * (times[2:] - times[:-2])
        kept.pop(int(np.argmin(gaps)))
    grid = np.arange(0.2, max(seconds - 0.1, 0.25), 0.04)
    lure = np.interp(grid, np.arange(len(pause)) / rate, pause) if len(pause) else np.zeros(len(grid))
    usual = list(shapes) or [USUAL]
    while len(kept) < count:
        times = np.array([blink.time for blink in kept])
        gap = np.abs(grid[:, None] - times[None]).min(axis=1) if len(times) else np.full(len(grid), even)
        score = np.minimum(gap, 1.2 * even) / even + 0.35 * lure + 0.5 * rng.random(len(grid))
        score[gap < APART] = -1
        best = int(np.argmax(score))
        if score[best] < 0:
            break
        kept.append(LineBlink(float(grid[best]), usual[int(rng.integers(len(usual)))]))
        kept.sort(key=lambda blink: blink.time)
    return kept


def _usual() -> BlinkEvent:
    """A blink for references that show none: 80 ms down, 200 ms up (Trutoiu et al. 2011; see `msmdcli.blinks`)."""
    offsets = np.arange(-0.10, 0.261, 0.02)
    u = np.clip(np.where(offsets < 0, 1 + offsets / 0.09, 1 - offsets / 0.22), 0, 1)
    shape = smooth_step(u)
    shape[[0, -1]] = 0
    lids = np.stack([shape, shape], axis=1)
    return BlinkEvent(0.0, offsets, lids, shape[:, None] * (0.1, 0.1, 0.05, 0.05))


USUAL = _usual()


def lay_blinks(values: Array, rig: Rig, fps: float, blinks: Sequence[LineBlink], share: float = 1.0) -> None:
    """Shut the lids of a motion [T, D] by these blinks, in place. A blink's bottom falls on a frame, and is shut."""
    lids = [rig.channels.index(name) for name in LIDS if name in rig.channels]
    if len(lids) != 2:
        return
    for blink in blinks:
        event = blink.event
        bottom = round(blink.time * fps)
        first = max(0, bottom + int(np.floor(event.offsets[0] * fps)))
        stop = min(len(values), bottom + int(np.ceil(event.offsets[-1] * fps)) + 1)
        if first >= stop:
            continue
        times = (np.arange(first, stop) - bottom) / fps
        for i, lid in enumerate(lids):
            shape = event.lids[:, i]
            most = float(shape.max())
            shape = shape * (max(most, SHUT + 0.06) / most) if most > 0 else USUAL.lids[:, i]
            down = np.interp(times, event.offsets, np.minimum(shape, 1.0)) * share
            channel = values[first:stop, lid]
            channel += np.maximum(1 - channel, 0) * down
            wide = ("eyeWideLeft", "eyeWideRight")[i]
            if wide in rig.channels:
                values[first:stop, rig.channels.index(wide)] *= 1 - down
        for i, name in enumerate(ALONG):
            if name in rig.channels:
                values[first:stop, rig.channels.index(name)] += share * np.interp(
                    times, event.offsets, event.along[:, i]
                )
