"""Blinks: as the style has them, none, or at a rate per minute.

A rate is met in expectation by every line, however short, at times that depend on nothing but its id, seed and length.
Blinks that the style made itself are used where they fall near such a time; the others are taken out, so the rate is
that which was asked for.

The lid follows what is measured of people: it closes in about 80 ms, stays shut for a moment and opens two to three
times as slowly (Trutoiu et al. 2011, "Modeling and animating eye blinks", ACM TAP 8(3); Evinger et al. 1991). One eye
is a few milliseconds behind the other, and the muscle around the eye tightens a little with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.smoothing import lower_envelope
from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

MAX_RATE = 60.0  # per minute
AS_STYLE = ("style", "generated")
OFF = ("off", "false", "no")
LIDS = (("eyeBlinkLeft", "eyeSquintLeft", "eyeWideLeft"), ("eyeBlinkRight", "eyeSquintRight", "eyeWideRight"))
SPAN = 0.6  # seconds: a lid that is down for longer is no blink but an expression
RISE, FOOT = 0.15, 0.02  # a blink lifts the lid channel by more than RISE; it begins and ends below FOOT
FULL = 0.5  # a lid that gets so far down has blinked
NEAR = 0.6  # seconds between a drawn time and a blink of the style's that is used for it
SPREAD = 4.0  # shape of the gamma distribution of the pauses between blinks: their spread is half of their mean
APART = 0.45  # seconds between the peaks of two blinks at least
CLOSING, SHUT, OPENING = 0.08, 0.035, 0.21  # seconds, each drawn within +-15 %
VARIES = 0.15
BEHIND = 0.012  # seconds by which one eye may be late
SQUINT = 0.16  # of the lid's way, in eyeSquint
DEPTH = (0.93, 1.0)  # how far lids shut


@dataclass(frozen=True)
class Blinks:
    """What becomes of a line's blinks.

    Attributes:
        rate: per minute; 0 is none, None is as the style has them.
    """

    rate: float | None = None


def parse_blinks(text: str) -> Blinks:
    """`style`, `off`, or a number of blinks per minute."""
    if text.lower() in AS_STYLE:
        return Blinks()
    if text.lower() in OFF:
        return Blinks(0.0)
    rate = number_in(text)
    if rate is None or not 0 <= rate <= MAX_RATE:
        raise MsmdError(
            f"blinks {text[:40]!r} is not style, off or a rate from 0 to {MAX_RATE:g} per minute",
            hint="people who talk blink 15 to 25 times a minute",
        )
    return Blinks(rate)


@dataclass(frozen=True)
class Blink:
    """One blink.

    Attributes:
        time: seconds, when the lids are down.
        closing, shut, opening: seconds.
        behind: seconds by which the right eye is late (negative: early).
        depth: how far the left and the right lid shut.
    """

    time: float
    closing: float = CLOSING
    shut: float = SHUT
    opening: float = OPENING
    behind: float = 0.0
    depth: tuple[float, float] = (1.0, 1.0)

    def lid(self, times: NDArray[np.float64], eye: int) -> NDArray[np.float64]:
        """[T] how far the lid of an eye (0: left, 1: right) is down, 0 open to `depth`."""
        t = times - self.time - (self.behind if eye else 0.0)
        down = np.clip((t + self.closing) / self.closing, 0, 1)
        up = np.clip((t - self.shut) / self.opening, 0, 1)
        closing = smooth_step(down)
        opening = 1 - (1 - (1 - up) ** 2) ** 1.5  # it leaves at once and settles slowly
        return self.depth[eye] * np.where(t <= self.shut, closing, opening)


@dataclass(frozen=True, eq=False)
class Blinked:
    """The result.

    Attributes:
        motion: with the wanted blinks.
        placed, kept, removed: how many were put in, used as the style made them, and taken out.
    """

    motion: Motion
    placed: int
    kept: int
    removed: int


def blink_rng(seed: int, name: str) -> np.random.Generator:
    """The generator of a line's blinks: keyed by sha256 of the seed and the line's id alone."""
    digest = hashlib.sha256(f"blinks\0{seed}\0{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def schedule(rate: float, seconds: float, rng: np.random.Generator) -> list[Blink]:
    """Blinks for a line, by rising time: as many as the rate asks for, rounded up or down at random so that the mean is
    right, with pauses from a gamma distribution.
    """
    count = int(np.floor(rate / 60 * seconds + rng.random()))
    most = int(seconds // APART)
    count = min(count, most)
    if count == 0:
        return []
    pauses = rng.gamma(SPREAD, size=count + 1)
    pauses[[0, -1]] *= 0.5 + rng.random(2)  # the line's ends cut a pause somewhere
    free = seconds - count * APART
    times = APART / 2 + np.cumsum(pauses[:-1]) / pauses.sum() * free + APART * np.arange(count)
    blinks = []
    for time in times:
        closing, shut, opening = np.array([CLOSING, SHUT, OPENING]) * rng.uniform(1 - VARIES, 1 + VARIES, 3)
        left, right = rng.uniform(*DEPTH) + rng.uniform(-0.015, 0.015, 2)
        late = float(rng.uniform(-BEHIND, BEHIND))
        depth = (float(min(left, 1.0)), float(min(right, 1.0)))
        blinks.append(Blink(float(time), float(closing), float(shut), float(opening), late, depth))
    return blinks


def control_blinks(motion: Motion, blinks: Blinks, seed: int, name: str) -> Blinked:
    """The motion with its blinks as wanted.

    Args:
        motion: the line, at any frame rate: the times of the blinks do not depend on it.
        blinks: what is wanted.
        seed, name: of the line.
    """
    lids = [motion.rig.channels.index(lid) for lid, *_ in LIDS if lid in motion.rig.channels]
    if blinks.rate is None or not lids:
        return Blinked(motion, 0, 0, 0)
    found = find_blinks(motion)
    wanted = schedule(blinks.rate, float(motion.seconds), blink_rng(seed, name)) if blinks.rate else []
    kept: list[tuple[int, int, int]] = []
    new = []
    for blink in wanted:
        near = [b for b in found if b not in kept and abs(b[1] / float(motion.fps) - blink.time) <= NEAR]
        full = [b for b in near if motion.values[b[1], lids].min() >= FULL]
        if full:
            kept.append(min(full, key=lambda b: abs(b[1] / float(motion.fps) - blink.time)))
        else:
            new.append(blink)
    values = motion.values.astype(np.float64)
    for start, _, stop in found:
        if (start, _, stop) not in kept:
            _take_out(values, lids, start, stop)
    taken = [peak / float(motion.fps) for _, peak, _ in kept]
    new = [blink for blink in new if all(abs(blink.time - time) >= APART for time in taken)]
    for blink in new:
        _put_in(values, motion.rig, float(motion.fps), blink)
    result = replace(motion, values=values.astype(np.float32), meta=dict(motion.meta))
    return Blinked(result, len(new), len(kept), len(found) - len(kept))


def find_blinks(motion: Motion) -> list[tuple[int, int, int]]:
    """(first, peak, last) frames of every movement of the lids that goes down and up within `SPAN` seconds.

    A lid that is half way down all the time (a tired style) is where the movement starts from, not a blink.
    """
    lids = [motion.rig.channels.index(lid) for lid, *_ in LIDS if lid in motion.rig.channels]
    if not lids:
        return []
    lid = motion.values[:, lids].astype(np.float64).mean(axis=1)  # [T]
    above = lid - lower_envelope(lid, round(SPAN * float(motion.fps)))
    found = []
    busy = np.concatenate([[False], above > FOOT, [False]])
    edges = np.flatnonzero(np.diff(busy.astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        peak = int(start) + int(np.argmax(above[start:stop]))
        if above[peak] > RISE:
            found.append((int(start), peak, int(stop) - 1))
    return found


def _take_out(values: NDArray[np.float64], lids: list[int], start: int, stop: int) -> None:
    """Lead the lids past frames [start, stop] in a straight line; in place."""
    before, after = max(0, start - 1), min(len(values) - 1, stop + 1)
    for lid in lids:
        a, b = values[before, lid], values[after, lid]
        if start == 0:
            a = b
        if stop == len(values) - 1:
            b = a if start > 0 else min(values[:, lid].min(), b)
        line = np.linspace(a, b, after - before + 1)
        at = slice(before, after + 1)
        values[at, lid] = np.minimum(values[at, lid], line)


def _put_in(values: NDArray[np.float64], rig: Rig, fps: float, blink: Blink) -> None:
    """Add a blink; in place. It starts from wherever the lid is, and never lifts it."""
    first = max(0, int((blink.time - 0.3) * fps))
    stop = min(len(values), int((blink.time + 0.6) * fps) + 1)
    times = np.arange(first, stop) / fps
    for eye, (lid, squint, wide) in enumerate(LIDS):
        down = blink.lid(times, eye)
        for name, how in ((lid, "close"), (squint, "squint"), (wide, "relax")):
            if name not in rig.channels:
                continue
            channel = values[first:stop, rig.channels.index(name)]
            if how == "close":
                channel += np.maximum(1 - channel, 0) * down
            elif how == "squint":
                channel += np.maximum(1 - channel, 0) * SQUINT * down
            else:
                channel *= 1 - down
