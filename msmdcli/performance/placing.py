"""Which stretch of a reference is performed when: motion matching by the rhythm of speech.

A line is covered by stretches of a few seconds. Each next one is chosen, together with the moment at which it takes
over, by what it costs (`matching`): how far its movement is from where the old one is just then (both should be slow
and alike), how badly its rhythm fits the line's from there on, and how lately it was seen (Kovar, Gleicher, Pighin,
"Motion graphs", SIGGRAPH 2002; Clavet, "Motion matching and the road to next-gen animation", GDC 2016). To stay where
it is in the reference costs no join, so long runs of the performance stay whole.

Everything is decided at `rhythm.RATE`, in seconds: the frame rate of the output changes no decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.matching import SHORTEST, USUAL, Chosen, Pool, costs, places_of
from msmdcli.performance.reference import Reference
from msmdcli.performance.rhythm import Rhythm
from msmdcli.performance.searched import HORIZON, Frames, Searched, Way
from msmdcli.performance.stretches import FPS, Stretch

Array = NDArray[np.float64]

CUT_STEP = 3  # frames between the moments that are tried on the line
LONGEST = 6.5  # seconds of a stretch
LENGTH, IN_PAUSE, CHANCE = 0.12, 0.15, 0.12  # what things cost
REMEMBERED = 10.0  # seconds of what was performed that count for how much moves
FIRST_CHANCE = 2.0  # of the first stretch: lines begin alike (a silence, a stress), and a scene shows many of them ...
ALIKE = 1.0  # ... seconds of a reference that look alike and have one chance together


def place(
    references: Sequence[Reference],
    weights: Array,
    rhythm: Rhythm,
    seconds: float,
    rng: np.random.Generator,
    from_start: bool = False,
) -> list[Stretch]:
    """Cover a line with stretches.

    Args:
        references: that take part.
        weights: [K, T] their shares over the line, at `RATE`. Not mixed (that would average movement out): over time
            each has its share of the stretches.
        rhythm: of the line.
        seconds: its duration.
        rng: of the line.
        from_start: whether the line begins as its first reference does.
    """
    pools = [Pool(Searched.of(reference)) for reference in references]
    frames = max(1, int(np.ceil(seconds * FPS)))
    line = rhythm.longer(frames + int(HORIZON * FPS)).features
    pause = rhythm.longer(frames + 1).pause
    weights = np.pad(weights, ((0, 0), (0, max(0, frames + 1 - weights.shape[1]))), mode="edge")
    used = np.zeros(len(references))
    moved: Array | float = 0.0
    lasted = 0.0
    chain: list[Chosen] = []
    now: Chosen | None = None
    while True:
        wanted = 0.0
        if now is None:
            which = _whose(weights[:, 0], used)
            cuts = np.array([0])
        else:
            wanted = rng.uniform(*USUAL) * FPS
            cuts = _cuts(now, weights, frames)
            if len(cuts) == 0:
                break
            which = _whose(weights[:, min(int(cuts[len(cuts) // 2]), frames)], used)
        pool = pools[which]
        ways, places = pool.reference.ways, places_of(pool.reference, rng)
        if now is None and from_start:
            ways, places = [Way(1.0, False)], np.array([0])
        cost = costs(pool, cuts, places, line, now, which, moved, lasted)[: len(ways)]  # [ways, cuts, places]
        if now is not None:
            usual = LENGTH * np.square((cuts - now.start - wanted) / (1.5 * FPS))
            cost += (usual - IN_PAUSE * pause[np.minimum(cuts, len(pause) - 1)])[:, None]
        chance = rng.random((len(cuts), len(places), len(ways)))
        cost += CHANCE * chance.transpose(2, 0, 1)
        if now is None:
            cost += FIRST_CHANCE * _chance_to_begin(ways, places, rng)[:, None]
        best = np.unravel_index(int(np.argmin(cost)), cost.shape)
        way, cut, place_ = ways[best[0]], int(cuts[best[1]]), int(places[best[2]])
        if now is not None:
            now.end = cut
            used[now.which] += (cut - now.start) / FPS
            now.remember()
            fades = float(np.exp2(-(cut - now.start) / (REMEMBERED * FPS)))
            moved, lasted = fades * moved + now.life, fades * lasted + cut - now.start
        now = Chosen(pool, which, cut, place_, way.rate, way.mirrored)
        chain.append(now)
    chain[-1].end = frames
    return [chosen.stretch(references, rhythm) for chosen in chain]


def _chance_to_begin(ways: Sequence[Way], places: Frames, rng: np.random.Generator) -> Array:
    """[ways, P] 0 to 1, by parts of `ALIKE` seconds and by hand: of chances for each place by itself every part would
    have a small one somewhere, and the part that fits best would be first in every line."""
    part = (places / (ALIKE * FPS)).astype(np.int64)
    chance = rng.random((2, int(part.max()) + 1))
    return np.stack([chance[int(way.mirrored), part] for way in ways])


def _whose(weights: Array, used: Array) -> int:
    """Which reference is next: the one that has had least of its share."""
    share = np.where(weights > 0.02 * weights.max(), weights, 0.0)
    return int(
        np.argmax(np.where(share > 0, share / max(float(share.sum()), 1e-9) * (used.sum() + 3.0) - used, -np.inf))
    )


def _cuts(now: Chosen, weights: Array, frames: int) -> NDArray[np.int64]:
    """The frames of the line at which the next stretch may begin."""
    last = min(now.start + int(LONGEST * FPS), now.runs_out)
    first = now.start + int(SHORTEST * FPS)
    own = weights[now.which, now.start : last + 1]
    gone = np.flatnonzero(own < 0.5 * own[0])
    if len(gone):  # its style's share ends: another takes over just there
        there = now.start + int(gone[0])
        first, last = max(now.start + 3, there - 4), min(last, there + 4)
    if first > last:  # the take is that short
        first = max(now.start + 1, last - max(1, (last - now.start) // 3))
    if now.runs_out >= frames and first >= frames - SHORTEST * FPS / 2:
        return np.zeros(0, np.int64)  # it lasts to the end
    last = min(last, max(first, frames - 1))
    step = CUT_STEP if last - first > 2 * CUT_STEP else 1
    return np.arange(first, last + 1, step)
