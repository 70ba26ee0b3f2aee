"""What it costs to go on with a place of a reference.

Of each pair of a moment of the line and a place in the reference three things count: how badly the rhythm fits from
there on, how far apart and how quick the two movements are where they would join, and how lately the place was seen.
All are squared distances of vectors, so a cost is a scalar product of the two and the squares of each: those of the
reference (`searched`) are known before any line is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.reference import Reference
from msmdcli.performance.rhythm import Rhythm
from msmdcli.performance.searched import AHEAD, STEP, Frames, Searched
from msmdcli.performance.stretches import FPS, Stretch, bent

Array = NDArray[np.float64]

SHORTEST = 1.4  # seconds of a stretch
USUAL = (2.6, 5.2)  # drawn between these
MOST_PLACES = 700  # tried at a time; of a long reference a random part
AGAIN = 1.2  # seconds from its start by which a stretch is known again
FORGETS = 25.0  # seconds after which a stretch is half as familiar
JOIN, RHYTHM, SEEN, GOES_ON = 0.8, 1.0, 1.6, 0.12  # what things cost
SPEED, SLOW = 0.35, 0.25  # of a join: that speeds differ, that they are not slow
OTHER_HAND = 0.15  # of a mirrored stretch that was never seen
LIVELY = 3.0  # what it costs to move more or less than the reference does
NO_ROOM = 50.0  # what it costs to begin where the take ends


@dataclass(eq=False)
class Pool:
    """A reference during the search for one line.

    Attributes:
        seen: [2, F] seconds on the line when a frame was last performed, plain and mirrored.
    """

    reference: Searched
    seen: Array = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.full((2, len(self.reference.pose)), -1e9)


@dataclass(eq=False)
class Chosen:
    """A stretch during the search, in frames at `RATE`: from `start` on, frame `place` of the pool on, at `rate`."""

    pool: Pool
    which: int
    start: int
    place: int
    rate: float
    mirrored: bool
    end: int = 0

    @property
    def runs_out(self) -> int:
        """The frame of the line at which its take ends."""
        return self.start + max(1, int((self.pool.reference.last[self.place] - self.place) / self.rate))

    def places(self, cuts: Frames) -> Frames:
        """The pool's frames at frames of the line."""
        at = np.round(self.place + self.rate * (cuts - self.start)).astype(np.int64)
        reference = self.pool.reference
        return np.clip(at, reference.first[self.place], reference.last[self.place])

    @property
    def life(self) -> Array:
        """[G] how much each group is moved in it, in frames of its usual movement."""
        moved = self.pool.reference.moved
        there = self.places(np.array([self.start, max(self.end, self.start + 1)]))
        return np.asarray(moved[there[1]] - moved[there[0]])

    def remember(self) -> None:
        """Mark what was performed."""
        line = np.arange(self.start, max(self.end, self.start + 1))
        self.pool.seen[int(self.mirrored), self.places(line)] = line / FPS

    def stretch(self, references: Sequence[Reference], rhythm: Rhythm) -> Stretch:
        """As it is performed."""
        searched = self.pool.reference
        take = int(searched.take[self.place])
        first, last = self.start / FPS, max(self.end, self.start + 1) / FPS
        source = float(self.place - searched.first[self.place]) / FPS
        knots, sources = (first, last), (source, source + self.rate * (last - first))
        stretch = Stretch(first, self.which, take, knots, sources, self.mirrored)
        return bent(stretch, last, references[self.which].takes[take], rhythm)


def places_of(reference: Searched, rng: np.random.Generator) -> Frames:
    """The places that are tried: all, or of a long reference a random part."""
    if len(reference.places) <= MOST_PLACES:
        return reference.places
    return np.sort(rng.choice(reference.places, MOST_PLACES, replace=False))


def costs(
    pool: Pool,
    cuts: Frames,
    places: Frames,
    line: Array,
    now: Chosen | None,
    which: int,
    moved: Array | float,
    lasted: float,
) -> Array:
    """What it costs to begin at each cut with each place in each way: [ways, cuts, places].

    Args:
        pool: of the reference.
        cuts: frames of the line. places: of the reference.
        line: [T, 3] features of the line's rhythm, as long as is looked ahead.
        now: what is performed; None: nothing yet.
        which: the number of the reference.
        moved, lasted: how much was moved lately, and for how long, in frames; see `liveliness`.
    """
    reference = pool.reference
    ahead = line[np.minimum(cuts[:, None] + AHEAD, len(line) - 1)].reshape(len(cuts), -1)  # [cuts, H * 3]
    heard, heeds = np.square(ahead).sum(axis=1)[:, None], RHYTHM * reference.heeds[places] / len(AHEAD)
    seen = _familiar(pool, float(cuts.mean()) / FPS, places)
    least = min(int(SHORTEST * FPS), max(2, int((reference.last - reference.first).max()) // 2))
    left = reference.last[places] - places
    lively = liveliness(reference, places, moved, lasted)
    hands = {
        hand: _join(now, cuts, reference, places, which, hand) for hand in {way.mirrored for way in reference.ways}
    }
    cost = np.empty((len(reference.ways), len(cuts), len(places)))
    fit = np.zeros((len(cuts), len(places)))
    for number, (rate, mirrored) in enumerate(reference.ways):
        if not mirrored:
            there, squares = reference.rhythm(rate, places)
            fit = (heard + squares - 2 * (ahead @ there.T)) * heeds
        alone = lively + np.where(left >= least * rate, 0.0, NO_ROOM) + seen[int(mirrored)]
        np.add(fit, alone, out=cost[number])
        if (join := hands[mirrored]) is not None:
            cost[number] += join.at(rate)
    return cost


@dataclass(frozen=True, eq=False)
class _Join:
    """What a join costs with one hand: `poses` + rate * `speeds` + rate^2 * `slow` [places]; `goes_on`: where it stays
    where it is, which is no join at all."""

    poses: Array
    speeds: Array
    slow: Array
    goes_on: tuple[NDArray[np.intp], ...]

    def at(self, rate: float) -> Array:
        """[cuts, places]"""
        cost = self.poses + rate * self.speeds + rate * rate * self.slow
        cost[self.goes_on] = GOES_ON
        return cost


def _join(
    now: Chosen | None, cuts: Frames, reference: Searched, places: Frames, which: int, mirrored: bool
) -> _Join | None:
    """What it costs to join at each cut with one hand."""
    if now is None:
        return None
    at, old = now.places(cuts), now.pool.reference
    hand = old.mirror if now.mirrored else 1.0
    pose, speed = old.pose[at] * hand, old.speed[at] * (hand * now.rate)  # [cuts, C]
    hand = reference.mirror if mirrored else 1.0
    apart, slow = (square[places] for square in reference.squares)
    own = np.square(pose).sum(axis=1) + (SPEED + SLOW) * np.square(speed).sum(axis=1)
    poses = (-2 * JOIN * pose) @ (reference.pose[places] * hand).T + JOIN * apart + JOIN * own[:, None]
    speeds = (-2 * JOIN * SPEED * speed) @ (reference.speed[places] * hand).T
    goes_on: tuple[NDArray[np.intp], ...] = (np.zeros(0, np.intp), np.zeros(0, np.intp))
    if which == now.which:  # where it has just been: not again
        overlap = np.minimum(at[:, None], (places + AGAIN * FPS)[None]) - np.maximum(now.place, places)[None]
        poses += np.maximum(overlap, 0) * (4.0 / (AGAIN * FPS))
        if mirrored == now.mirrored:
            goes_on = np.nonzero(np.abs(places[None] - at[:, None]) <= STEP / 2)
    return _Join(poses, speeds, JOIN * (SPEED + SLOW) * slow, goes_on)


def _familiar(pool: Pool, time: float, places: Frames) -> tuple[Array, Array]:
    """What it costs that a place was seen of late, plain and mirrored: [P] each."""
    reference = pool.reference
    familiar = np.exp2(-np.maximum(time - pool.seen, 0) / FORGETS)  # [2, F]
    known = np.concatenate([np.zeros((2, 1)), np.cumsum(familiar, axis=1)], axis=1)
    end = places + np.minimum(reference.last[places] - places, int(2 * FPS)) + 1
    plain, other = (known[hand, end] - known[hand, places] for hand in (0, 1))
    plain, other = plain / (end - places), other / (end - places)
    foreign = OTHER_HAND * (1 - np.minimum(plain + other, 1))
    return SEEN * np.maximum(plain, 0.55 * other), SEEN * np.maximum(other, 0.55 * plain) + foreign


def liveliness(reference: Searched, places: Frames, moved: Array | float, lasted: float) -> Array:
    """What it costs that all that was performed lately, a usual stretch from each place on included, moves more or less
    than the reference, group by group: [places]. Stretches join where they are slow; without this the slow ones win.

    Args:
        reference: that is performed.
        places: frames of it.
        moved, lasted: [G] what was performed lately, and for how long, in frames.
    """
    ahead = np.minimum(places + int(np.mean(USUAL) * FPS), reference.last[places])
    share = moved + reference.moved[ahead] - reference.moved[places]  # [places, G]
    share = share / (lasted + np.maximum(ahead - places, 1))[:, None]
    return np.asarray(LIVELY * np.square(share - 1.0) @ reference.counts)
