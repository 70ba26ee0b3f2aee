"""A stretch of a reference on a line: from when to when, and how time runs in it.

Within a stretch time is bent a little, so that the performer's emphasis falls on the line's stressed syllables: nods
and raised brows come with stress (Kim, Cvejic, Davis, "Tracking eyebrows and head gestures associated with spoken
prosody", Speech Communication 57, 2014). A whole take can be laid along a line of about its length, speech upon speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.interpolation import Monotone
from msmdcli.performance.reference import Take
from msmdcli.performance.rhythm import RATE, Rhythm

Array = NDArray[np.float64]

FPS = float(RATE)
BEND = 10.0  # frames at `RATE` by which a moment is moved at most
BENDS = 0.4  # frames by which that changes per frame at most: time runs 0.6 to 1.4 times as fast
GESTURE = 0.6  # share of nods and brows beside the mouth in what is emphasis of the take
EASE, STIFF = 0.02, 0.01  # what a delay costs, and its change
KNOTS = 6  # frames between the knots of a bent stretch
SLOWEST, FASTEST = 0.7, 1.4  # that time may run in a bend
STRESSED = 0.4  # a stress worth bending for
SHORTEST_BENT = 0.8  # seconds
LAST = 1.0  # seconds of a last stretch at least
STRETCHED = (0.75, 1.34)  # a whole take may run so many times as fast as it was performed


@dataclass(frozen=True)
class Stretch:
    """A part of a take on a line.

    Attributes:
        start: seconds on the line from which it is performed.
        reference, take: which.
        knots, sources: seconds on the line, and in the take: how time runs (`interpolation.Monotone`).
        mirrored: left and right exchanged in head and gaze.
    """

    start: float
    reference: int
    take: int
    knots: tuple[float, ...]
    sources: tuple[float, ...]
    mirrored: bool = False

    def source(self, times: Array) -> Array:
        """[n] seconds in the take at seconds [n] on the line."""
        return self._runs(times)

    @cached_property
    def _runs(self) -> Monotone:
        return Monotone(np.array(self.knots), np.array(self.sources))


def along(take: Take, rhythm: Rhythm, seconds: float) -> list[Stretch] | None:
    """A take from its start to its end over the whole line, speech upon speech, as far as it was really performed
    (a short one is unfolded); None where the lengths differ by too much (`STRETCHED`)."""
    lasts = min(take.performed, take.seconds)
    if lasts <= 0 or seconds <= 0 or not STRETCHED[0] <= lasts / seconds <= STRETCHED[1]:
        return None
    knots, sources = [0.0, seconds], [0.0, lasts]
    spoken, heard = _spoken(take.rhythm, lasts), _spoken(rhythm, seconds)
    for at, (t, s) in enumerate(zip(heard, spoken, strict=True)):
        a, x, b, y = knots[at], sources[at], knots[-1], sources[-1]
        usual = lasts / seconds
        if all(v > 0.05 and SLOWEST <= d / v / usual <= FASTEST for v, d in ((t - a, s - x), (b - t, y - s))):
            knots.insert(-1, t)
            sources.insert(-1, s)
        else:
            knots, sources = [0.0, seconds], [0.0, lasts]
            break
    return [Stretch(0.0, 0, 0, tuple(knots), tuple(sources))]


def ending(stretches: Sequence[Stretch], take: Take, seconds: float) -> list[Stretch]:
    """The stretches, the last of them such that the line ends as the take does."""
    kept = list(stretches)
    while len(kept) > 1 and seconds - kept[-1].start < LAST:
        kept.pop()
    start = kept[-1].start
    source = min(take.performed, take.seconds) - (seconds - start)
    if source >= 0:
        kept[-1] = Stretch(start, 0, 0, (start, seconds), (source, source + seconds - start))
    return kept


def _spoken(rhythm: Rhythm, seconds: float) -> tuple[float, float]:
    """Seconds at which speech begins and ends."""
    speech = np.flatnonzero(rhythm.pause < 0.5)
    return (speech[0] / FPS, min(speech[-1] / FPS, seconds)) if len(speech) else (0.0, seconds)


def bent(stretch: Stretch, end: float, take: Take, line: Rhythm) -> Stretch:
    """The stretch with its emphasis moved onto the line's stressed syllables; both ends stay where they are.

    Dynamic programming over the frames of the line finds the delay (within `BEND`, changing by at most `BENDS` per
    frame) under which the two curves of stress agree best (Sakoe and Chiba, "Dynamic programming algorithm optimization
    for spoken word recognition", IEEE TASSP 26(1), 1978).

    Args:
        stretch: that runs evenly.
        end: seconds on the line.
        take: of which it is a part.
        line: its rhythm.
    """
    first, source = stretch.start, stretch.sources[0]
    rate = (stretch.sources[-1] - source) / max(stretch.knots[-1] - first, 1e-9)
    frames = round((end - first) * FPS)
    if frames < SHORTEST_BENT * FPS:
        return stretch
    reach = int(BEND / BENDS)
    delays = np.arange(-reach, reach + 1) * BENDS  # [S] frames of the take
    times = first + np.arange(frames + 1) / FPS
    there = (source + rate * (times - first)) * FPS  # [F] frames of the take, without delay
    heard = np.interp(times * FPS, np.arange(len(line.stress)), line.stress, right=0.0)
    size = min(len(take.rhythm.stress), len(take.accent))
    emphasis = take.rhythm.stress[:size] + GESTURE * take.accent[:size]
    done = np.interp(there[:, None] + delays, np.arange(size), emphasis)  # [F, S]
    gain = heard[:, None] * done - EASE * np.square(delays / BEND)
    best = np.full((frames + 1, len(delays) + 2), -np.inf)  # [F, 1 + S + 1] of ways that end with each delay
    best[0, 1 + reach] = 0.0
    for before, after, gained in zip(best, best[1:, 1:-1], gain[1:], strict=False):
        stiff = before - STIFF
        np.maximum(stiff[:-2], before[1:-1], out=after)  # from a smaller delay, or as much
        np.maximum(after, stiff[2:], out=after)  # from a larger one
        after += gained
    path = [reach]  # the delay at the end is 0
    for frame in range(frames, 0, -1):
        less, same, more = best[frame - 1, path[-1] : path[-1] + 3].tolist()
        ways = less - STIFF, same, more - STIFF
        path.append(path[-1] - 1 + ways.index(max(ways)))
    delay = delays[path[::-1]]  # [F]
    at = np.unique(np.round(np.linspace(0, frames, max(2, round(frames / KNOTS) + 1))).astype(np.int64))
    return replace(stretch, knots=tuple(times[at].tolist()), sources=tuple(((there + delay) / FPS)[at].tolist()))


def peaks(stress: Array) -> list[float]:
    """Seconds of the stressed syllables."""
    inner = stress[1:-1]
    top = (inner >= STRESSED) & (inner >= stress[:-2]) & (inner > stress[2:])
    return [float((t + 1) / FPS) for t in np.flatnonzero(top)]
