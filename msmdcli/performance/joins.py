"""Stretches joined to one movement, group by group, without a step in place or speed.

Around a cut each group of channels changes hands where it is slowest and nearest to where it goes. What is still apart
then decays along a quintic, from the old place and speed to nothing (inertialisation: Bollo, "Inertialization:
high-performance animation transitions in 'Gears of War'", GDC 2018), while the new stretch is already performed in
full: a cross-fade would average two movements.

Eyes jump, they do not drift. So a gaze changes hands where both rest, stays where it was, and goes over with the new
stretch's own next saccade: that one begins elsewhere and ends where the performer's did. No saccade is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.reference import Reference, Take
from msmdcli.performance.stretches import Stretch

Array = NDArray[np.float64]

WITHIN, GAZE_WITHIN = 0.36, 0.8  # seconds around a cut in which a group, and the gaze, looks for its own moment
TRIED = 0.04  # seconds between the moments
HAIR = 0.02  # seconds over which a speed is taken
DECAY = (0.3, 4.0)  # seconds
BRISK = 1.3  # a decay goes at most about so many times as fast as the group usually does
SACCADE = 0.08  # seconds
LEAP = 0.06  # of a gaze: a distance that eyes jump
HELD = 2.5  # seconds that a gaze waits for a saccade at most; then it makes one
AWAY = 0.3  # how much a distance to go counts beside the speed, where a gaze may change hands


@dataclass(frozen=True, eq=False)
class _Residue:
    """What is left of a join: place and speed [C] that decay from `start` over `lasts` seconds; held before."""

    start: float
    lasts: float
    place: Array
    speed: Array

    def at(self, times: Array) -> Array:
        """[n, C]"""
        u = np.clip((times - self.start) / self.lasts, 0, 1)[:, None]
        u3, u4, u5 = u**3, u**4, u**5
        return (1 - 10 * u3 + 15 * u4 - 6 * u5) * self.place + (u - 6 * u3 + 8 * u4 - 3 * u5) * self.lasts * self.speed


class Movement:
    """The movement of one group of channels over a line, departures from each reference's rest.

    Args:
        references: of the stream.
        stretches: in order.
        gains: [K] per reference.
        group: its name. columns: of the rig.
        cuts: moments at which the stretches take over; None finds them.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        stretches: Sequence[Stretch],
        gains: Sequence[float],
        group: str,
        columns: Sequence[int],
        cuts: Sequence[float] | None = None,
    ) -> None:
        self.references, self.stretches, self.gains = references, stretches, gains
        self.group, self.columns = group, list(columns)
        rig = references[0].rig
        names = [rig.channels[c] for c in self.columns]
        self._signs = np.array([-1.0 if name in (rig.rotation or ())[1:] else 1.0 for name in names])
        other = [name.replace("In", "#").replace("Out", "In").replace("#", "Out") for name in names]
        gaze = group == "gaze" and set(other) == set(names)
        self._mirror = [names.index(name) for name in other] if gaze else list(range(len(names)))
        self.usual = self._usual_speed()
        self.cuts: list[float] = [stretches[0].start]
        self.residues: list[_Residue | None] = [None]
        for i in range(1, len(stretches)):
            cut = cuts[i] if cuts is not None else self._moment(i)
            self.cuts.append(cut)
            self.residues.append(self._residue(i, cut))

    def at(self, times: Array) -> Array:
        """[n, C] at rising times [n]."""
        result = np.zeros((len(times), len(self.columns)))
        edges = [0, *np.searchsorted(times, self.cuts[1:], side="left").tolist(), len(times)]
        for i, (first, stop) in enumerate(pairwise(edges)):
            if stop > first:
                result[first:stop] = self._whole(i, times[first:stop])
        return result

    def seen(self, times: Array, fps: float) -> Array:
        """[n, C] at frames of this rate; of takes at a higher one the mean over the frame, so that nothing flickers."""
        if max(take.fps for reference in self.references for take in reference.takes) <= 1.2 * fps:
            return self.at(times)
        within = times[:, None] + np.array([-1 / 3, 0.0, 1 / 3]) / fps  # [n, 3]
        return np.asarray(self.at(within.ravel()).reshape(len(times), 3, -1).mean(axis=1))

    def _whole(self, i: int, times: Array) -> Array:
        """Stretch i with what is left of its join."""
        residue = self.residues[i]
        return self._plain(i, times) + (0.0 if residue is None else residue.at(times))

    def _plain(self, i: int, times: Array) -> Array:
        stretch = self.stretches[i]
        reference = self.references[stretch.reference]
        take = reference.takes[stretch.take]
        values, rest = take.at(stretch.source(times), self.columns), reference.rest[self.columns]
        if stretch.mirrored:  # eyes that looked left look right; a head turns as far the other way
            values = rest + (values[:, self._mirror] - rest) * self._signs
        return (values - rest) * self.gains[stretch.reference]

    def _usual_speed(self) -> float:
        """Per second, mean over the takes of the length of the group's velocity."""
        speeds = [
            np.linalg.norm(np.diff(take.values[:, self.columns], axis=0), axis=1) * take.fps * self.gains[k]
            for k, reference in enumerate(self.references)
            for take in reference.takes
        ]
        return max(float(np.mean(np.concatenate(speeds))), 1e-4)

    def _moment(self, i: int) -> float:
        """When stretch i takes this group over."""
        stretch = self.stretches[i]
        within = GAZE_WITHIN if self.group == "gaze" else WITHIN
        low = max(stretch.start - within, self.cuts[i - 1] + 0.2)
        high = stretch.start + within
        if i + 1 < len(self.stretches):
            high = min(high, 0.5 * (stretch.start + self.stretches[i + 1].start))
        if high <= low:
            return max(stretch.start, self.cuts[i - 1] + 0.04)
        times = np.arange(low, high, TRIED)
        inside = np.ones(len(times), bool)
        for k in (i - 1, i):
            at, take = self.stretches[k].source(times), self._take(k)
            inside &= (at >= -1e-6) & (at <= take.seconds + 1e-6)
        if self.group == "gaze":
            old, new = self._whole(i - 1, times), self._plain(i, times)
            moved = [
                self._whole(i - 1, times) - self._whole(i - 1, times - SACCADE),
                self._plain(i, times + SACCADE) - new,
            ]
            cost = np.linalg.norm(moved, axis=2).sum(axis=0) + AWAY * np.linalg.norm(old - new, axis=1)
        else:
            old, past = np.split(self._whole(i - 1, np.concatenate([times, times - HAIR])), 2)
            new, next_ = np.split(self._plain(i, np.concatenate([times, times + HAIR])), 2)
            old_speed, new_speed = (old - past) / HAIR, (next_ - new) / HAIR
            cost = np.square((old - new) / 0.25).sum(axis=1) + np.square(old_speed - new_speed).sum(axis=1)
            cost += 0.3 * (np.square(old_speed).sum(axis=1) + np.square(new_speed).sum(axis=1))
        cost = np.where(inside, cost, cost.max() + 1.0 + np.abs(times - stretch.start))
        return float(times[int(np.argmin(cost))])

    def _take(self, i: int) -> Take:
        stretch = self.stretches[i]
        return self.references[stretch.reference].takes[stretch.take]

    def _residue(self, i: int, cut: float) -> _Residue:
        at = np.array([cut - HAIR, cut, cut + HAIR])
        old, new = self._whole(i - 1, at[:2]), self._plain(i, at[1:])
        place = old[1] - new[0]
        speed = (old[1] - old[0]) / HAIR - (new[1] - new[0]) / HAIR
        distance = float(np.linalg.norm(place))
        if self.group == "gaze" and distance > LEAP:
            return _Residue(self._saccade(i, cut), SACCADE, place, np.zeros_like(speed))
        lasts = float(np.clip(1.9 * distance / (BRISK * self.usual), *DECAY))
        return _Residue(cut, lasts, place, speed)

    def _saccade(self, i: int, cut: float) -> float:
        """When the eyes jump next in stretch i, handed over at `cut`; at the end of `HELD` if they do not."""
        times = np.arange(cut, min(cut + HELD, self.stretches[i].knots[-1]), TRIED / 2)
        if len(times) == 0:
            return cut
        moved = np.linalg.norm(self._plain(i, times + SACCADE) - self._plain(i, times), axis=1)
        jumps = np.flatnonzero(moved >= LEAP)
        if len(jumps) == 0:
            return float(times[-1])
        first = moved[jumps[0] : jumps[0] + round(SACCADE / (TRIED / 2)) + 1]
        return float(times[jumps[0] + int(np.argmax(first))])  # where it has just begun it is not at its fastest
