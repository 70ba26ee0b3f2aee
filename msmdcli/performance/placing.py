"""Which stretch of a reference is performed when: motion matching by the rhythm of speech.

A line is covered by stretches of a few seconds. Each next one is chosen, together with the moment at which it takes
over, by what it costs: how far its movement is from where the old one is just then (both should be slow and alike), how
badly its rhythm fits the line's from there on, and how lately it was seen (Kovar, Gleicher, Pighin, "Motion graphs",
SIGGRAPH 2002; Clavet, "Motion matching and the road to next-gen animation", GDC 2016). To stay where it is in the
reference costs no join, so long runs of the performance stay whole.

Everything is decided at `rhythm.RATE`, in seconds: the frame rate of the output changes no decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.reference import Reference, groups_of
from msmdcli.performance.rhythm import Rhythm
from msmdcli.performance.stretches import FPS, Stretch, bent

Array = NDArray[np.float64]

STEP = 2  # frames between the places that are tried in the reference
CUT_STEP = 3  # ... and between the moments that are tried on the line
SHORTEST, LONGEST = 1.4, 6.5  # seconds of a stretch
USUAL = (2.6, 5.2)  # drawn between these
HORIZON = 3.0  # seconds of rhythm that are compared
RATES = (0.9, 1.0, 1.1)
MOST_PLACES = 700  # tried at a time; of a long reference a random part
AGAIN = 1.2  # seconds from its start by which a stretch is known again
FORGETS = 25.0  # seconds after which a stretch is half as familiar
COUNTS = {"head": 1.0, "brows": 0.6, "gaze": 0.7, "lids": 0.3, "cheeks": 0.3}  # of groups, in a join
JOIN, RHYTHM, SEEN, LENGTH, IN_PAUSE, CHANCE = 0.8, 1.0, 1.6, 0.12, 0.15, 0.12  # what things cost
OTHER_HAND = 0.15  # of a mirrored stretch that was never seen
LIVELY, REMEMBERED = 6.0, 10.0  # what it costs to move more or less than the reference does, over so many seconds
FIRST_CHANCE = 0.6  # of the first stretch: lines begin alike (a silence, a stress), and a scene shows many of them
UNHEEDED = 0.05  # how much the rhythm of a silent mouth counts
LEAST = 1e-5  # variance below which a group does not count


@dataclass(eq=False)
class _Pool:
    """One reference as the search sees it, all takes in a row at `RATE`.

    Attributes:
        pose, speed: [F, C] its movement and its change per second, scaled so that squares add up to what a join costs;
            column signs of a mirrored one in `mirror` [C].
        features: [F, 3].
        heeds: [F] how much the rhythm counts there: little where the mouth is silent.
        first, last: [F] first and last frame of the frame's take. take: [F] its number.
        moved: [F + 1] how much has moved before each frame, in frames of the usual movement.
        mirrored: whether it may be mirrored.
        seen: [2, F] seconds on the line when a frame was last performed, plain and mirrored.
    """

    pose: Array
    speed: Array
    mirror: Array
    features: Array
    heeds: Array
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    take: NDArray[np.int64]
    moved: Array
    mirrored: bool
    seen: Array = field(init=False)

    def __post_init__(self) -> None:
        self.seen = np.full((2, len(self.pose)), -1e9)

    @classmethod
    def of(cls, reference: Reference) -> _Pool:
        groups = {name: group for name, group in groups_of(reference.rig).items() if name in COUNTS}
        columns = [c for group in groups.values() for c in group]
        names = [reference.rig.channels[c] for c in columns]
        sides = (reference.rig.rotation or ())[1:]
        mirror = np.array([-1.0 if name in sides else 1.0 for name in names])
        poses, features, heeds, takes, first, last = [], [], [], [], [], []
        frame = 0
        for number, take in enumerate(reference.takes):
            count = max(2, int(take.seconds * FPS) + 1)
            times = np.arange(count) / FPS
            poses.append(take.at(times, columns) - reference.rest[columns])
            curves = take.rhythm.features
            features.append(curves[np.minimum(np.arange(count), len(curves) - 1)])
            heeds.append(np.full(count, 1.0 if take.speaks else UNHEEDED))
            takes.append(np.full(count, number))
            first.append(np.full(count, frame))
            last.append(np.full(count, frame + count - 1))
            frame += count
        pose = np.concatenate(poses)
        speed = np.concatenate([np.gradient(part, axis=0) * FPS for part in poses])
        start = 0
        for name, group in groups.items():
            at = slice(start, start + len(group))
            start += len(group)
            share = COUNTS[name] / sum(COUNTS[n] for n in groups)
            pose[:, at] *= np.sqrt(share / max(float(pose[:, at].var(axis=0).sum()), LEAST))
            speed[:, at] *= np.sqrt(share / max(float(np.square(speed[:, at]).mean(axis=0).sum()), LEAST))
        length = np.sqrt(np.square(speed).sum(axis=1))  # [F]
        return cls(
            pose,
            speed,
            mirror,
            np.concatenate(features),
            np.concatenate(heeds),
            np.concatenate(first),
            np.concatenate(last),
            np.concatenate(takes),
            np.concatenate([[0.0], np.cumsum(length / max(float(length.mean()), LEAST))]),
            reference.symmetric,
        )


@dataclass(eq=False)
class _Chosen:
    """A stretch during the search, in frames at `RATE`: from `start` on, frame `place` of the pool on, at `rate`."""

    pool: _Pool
    which: int
    start: int
    place: int
    rate: float
    mirrored: bool
    end: int = 0

    @property
    def runs_out(self) -> int:
        """The frame of the line at which its take ends."""
        return self.start + max(1, int((self.pool.last[self.place] - self.place) / self.rate))

    def places(self, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pool's frames at frames of the line."""
        at = np.round(self.place + self.rate * (cuts - self.start)).astype(np.int64)
        return np.clip(at, self.pool.first[self.place], self.pool.last[self.place])

    @property
    def life(self) -> float:
        """How much is moved in it, in frames of the usual movement."""
        there = self.places(np.array([self.start, max(self.end, self.start + 1)]))
        return float(self.pool.moved[there[1]] - self.pool.moved[there[0]])

    def stretch(self, references: Sequence[Reference], rhythm: Rhythm) -> Stretch:
        """As it is performed."""
        take = int(self.pool.take[self.place])
        first, last = self.start / FPS, max(self.end, self.start + 1) / FPS
        source = float(self.place - self.pool.first[self.place]) / FPS
        knots, sources = (first, last), (source, source + self.rate * (last - first))
        stretch = Stretch(first, self.which, take, knots, sources, self.mirrored)
        return bent(stretch, last, references[self.which].takes[take], rhythm)


def _whose(weights: Array, used: Array) -> int:
    """Which reference is next: the one that has had least of its share."""
    share = np.where(weights > 0.02 * weights.max(), weights, 0.0)
    return int(
        np.argmax(np.where(share > 0, share / max(float(share.sum()), 1e-9) * (used.sum() + 3.0) - used, -np.inf))
    )


def _cuts(now: _Chosen, weights: Array, frames: int) -> NDArray[np.int64]:
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


def _costs(
    pool: _Pool, cuts: NDArray[np.int64], line: Array, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64], list[tuple[float, bool]]]:
    """What it costs to begin at each cut with each place in each way, joins aside: [cuts, places, ways]."""
    longest = int((pool.last - pool.first).max())
    least = min(int(SHORTEST * FPS), max(2, longest // 2))
    places = np.arange(0, len(pool.pose), STEP)
    if len(places) > MOST_PLACES:
        places = np.sort(rng.choice(places, MOST_PLACES, replace=False))
    ways = [(rate, mirrored) for rate in RATES for mirrored in ((False, True) if pool.mirrored else (False,))]
    ahead = np.arange(0, int(HORIZON * FPS), 2)  # [H]
    target = line[np.minimum(cuts[:, None] + ahead, len(line) - 1)]  # [cuts, H, 3]
    age = np.maximum(cuts.mean() / FPS - pool.seen, 0)  # [2, F]
    familiar = np.exp2(-age / FORGETS)  # [2, F]
    known = np.concatenate([np.zeros((2, 1)), np.cumsum(familiar, axis=1)], axis=1)
    cost = np.empty((len(cuts), len(places), len(ways)))
    for w, (rate, mirrored) in enumerate(ways):
        at = np.round(places[:, None] + rate * ahead).astype(np.int64)  # [places, H]
        at = np.clip(at, pool.first[places][:, None], pool.last[places][:, None])
        if not mirrored:
            own = pool.features[at]  # [places, H, 3]
            square = np.einsum("chf,chf->c", target, target)[:, None] + np.einsum("shf,shf->s", own, own)[None]
            fit = RHYTHM * pool.heeds[places] * (square - 2 * np.einsum("chf,shf->cs", target, own)) / len(ahead)
        left = pool.last[places] - places
        room = np.where(left >= least * rate, 0.0, 50.0)
        end = places + np.minimum(left, int(2 * FPS)) + 1
        plain, other = ((known[m, end] - known[m, places]) / (end - places) for m in (int(mirrored), int(not mirrored)))
        seen = SEEN * np.maximum(plain, 0.55 * other) + OTHER_HAND * mirrored * (1 - np.minimum(plain + other, 1))
        cost[:, :, w] = fit + (room + seen)[None]
    return cost, places, ways


def _joins(
    now: _Chosen,
    cuts: NDArray[np.int64],
    pool: _Pool,
    places: NDArray[np.int64],
    ways: list[tuple[float, bool]],
    which: int,
) -> Array:
    """What it costs to join at each cut: [cuts, places, ways]."""
    at = now.places(cuts)
    hand = now.pool.mirror if now.mirrored else 1.0
    old, speed = now.pool.pose[at] * hand, now.pool.speed[at] * hand * now.rate  # [cuts, C]
    cost = np.empty((len(cuts), len(places), len(ways)))
    same = which == now.which
    for w, (rate, mirrored) in enumerate(ways):
        hand = pool.mirror if mirrored else 1.0
        new, new_speed = pool.pose[places] * hand, pool.speed[places] * hand * rate  # [places, C]
        apart = _squares(old, new) + 0.35 * _squares(speed, new_speed)
        slow = np.square(speed).sum(axis=1)[:, None] + np.square(new_speed).sum(axis=1)[None]
        cost[:, :, w] = JOIN * (apart + 0.25 * slow)
        if same:
            # on where it is: no join at all; where it has just been: not again
            goes_on = (np.abs(places[None] - at[:, None]) <= STEP / 2) & (mirrored == now.mirrored)
            cost[:, :, w] = np.where(goes_on, 0.12, cost[:, :, w])
            overlap = np.minimum(at[:, None], (places + AGAIN * FPS)[None]) - np.maximum(now.place, places)[None]
            again = np.maximum(overlap, 0) / (AGAIN * FPS)
            cost[:, :, w] += np.where(goes_on, 0.0, 4.0 * again)
    return cost


def _squares(a: Array, b: Array) -> Array:
    """[n, m] squared distances of [n, C] and [m, C]."""
    return np.maximum(
        np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * np.einsum("nc,mc->nm", a, b), 0
    )


def _liveliness(pool: _Pool, places: NDArray[np.int64], moved: float, lasted: float) -> Array:
    """What it costs that all that was performed lately, a usual stretch from each place on included, moves more or less
    than the reference: [places]. Stretches join where they are slow; without this the slow ones win.

    Args:
        pool: of the reference.
        places: frames of it.
        moved, lasted: what was performed lately, and for how long, in frames.
    """
    ahead = np.minimum(places + int(np.mean(USUAL) * FPS), pool.last[places])
    share = (moved + pool.moved[ahead] - pool.moved[places]) / (lasted + np.maximum(ahead - places, 1))
    return np.asarray(LIVELY * np.square(share - 1.0))


def _remember(now: _Chosen) -> None:
    """Mark what was performed."""
    line = np.arange(now.start, max(now.end, now.start + 1))
    now.pool.seen[int(now.mirrored), now.places(line)] = line / FPS


def place(
    references: Sequence[Reference], weights: Array, rhythm: Rhythm, seconds: float, rng: np.random.Generator
) -> list[Stretch]:
    """Cover a line with stretches.

    Args:
        references: that take part.
        weights: [K, T] their shares over the line, at `RATE`. Not mixed (that would average movement out): over time
            each has its share of the stretches.
        rhythm: of the line.
        seconds: its duration.
        rng: of the line.
    """
    pools = [_Pool.of(reference) for reference in references]
    frames = max(1, int(np.ceil(seconds * FPS)))
    line = rhythm.longer(frames + int(HORIZON * FPS)).features
    pause = rhythm.longer(frames + 1).pause
    weights = np.pad(weights, ((0, 0), (0, max(0, frames + 1 - weights.shape[1]))), mode="edge")
    used = np.zeros(len(references))
    moved, lasted = 0.0, 0.0
    chain: list[_Chosen] = []
    now: _Chosen | None = None
    while True:
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
        cost, places, ways = _costs(pool, cuts, line, rng)
        cost += _liveliness(pool, places, moved, lasted)[None, :, None]
        if now is not None:
            cost += LENGTH * np.square((cuts - now.start - wanted) / (1.5 * FPS))[:, None, None]
            cost -= IN_PAUSE * pause[np.minimum(cuts, len(pause) - 1)][:, None, None]
            cost += _joins(now, cuts, pool, places, ways, which)
        cost += (CHANCE if now is not None else FIRST_CHANCE) * rng.random(cost.shape)
        best = np.unravel_index(int(np.argmin(cost)), cost.shape)
        cut, place_, way = int(cuts[best[0]]), int(places[best[1]]), ways[best[2]]
        if now is not None:
            now.end = cut
            used[now.which] += (cut - now.start) / FPS
            _remember(now)
            fades = float(np.exp2(-(cut - now.start) / (REMEMBERED * FPS)))
            moved, lasted = fades * moved + now.life, fades * lasted + cut - now.start
        now = _Chosen(pool, which, cut, place_, way[0], way[1])
        chain.append(now)
    chain[-1].end = frames
    return [chosen.stretch(references, rhythm) for chosen in chain]
