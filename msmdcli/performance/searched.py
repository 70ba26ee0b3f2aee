"""A reference as the search for its next stretch sees it: all that does not depend on the line, made once.

Its movement and rhythm at `RATE`, all takes in a row, scaled so that squared distances add up to what a join costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from msmdcli.performance.reference import Reference, groups_of
from msmdcli.performance.stretches import FPS

Array = NDArray[np.float64]
Frames = NDArray[np.int64]

STEP = 2  # frames between the places that are tried in the reference
HORIZON = 3.0  # seconds of rhythm that are compared
AHEAD = np.arange(0, int(HORIZON * FPS), 2)  # [H] frames of it
RATES = (0.9, 1.0, 1.1)
COUNTS = {"head": 1.0, "brows": 0.6, "gaze": 0.7, "lids": 0.3, "cheeks": 0.3}  # of groups, in a join
UNHEEDED = 0.05  # how much the rhythm of a silent mouth counts
LEAST = 1e-5  # variance below which a group does not count


class Way(NamedTuple):
    """How a stretch is performed: how fast, and whether left and right are exchanged."""

    rate: float
    mirrored: bool


@dataclass(eq=False)
class Searched:
    """One reference as the search sees it, all takes in a row at `RATE`.

    Attributes:
        pose, speed: [F, C] its movement and its change per second, scaled so that squares add up to what a join costs;
            column signs of a mirrored one in `mirror` [C].
        features: [F, 3].
        heeds: [F] how much the rhythm counts there: little where the mouth is silent.
        first, last: [F] first and last frame of the frame's take. take: [F] its number.
        moved: [F + 1, G] how much each group has moved before each frame, in frames of its usual movement.
        counts: [G] how much each counts, together 1.
        mirrored: whether it may be mirrored.
    """

    pose: Array
    speed: Array
    mirror: Array
    features: Array
    heeds: Array
    first: Frames
    last: Frames
    take: Frames
    moved: Array
    counts: Array
    mirrored: bool

    @classmethod
    def of(cls, reference: Reference) -> Searched:
        """Made once for each reference."""
        found = _SEARCHED.get(reference)
        if found is None:
            found = _SEARCHED[reference] = cls._made(reference)
        return found

    @classmethod
    def _made(cls, reference: Reference) -> Searched:
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
        start, lengths, counts = 0, [], []
        for name, group in groups.items():
            at = slice(start, start + len(group))
            start += len(group)
            share = COUNTS[name] / sum(COUNTS[n] for n in groups)
            pose[:, at] *= np.sqrt(share / max(float(pose[:, at].var(axis=0).sum()), LEAST))
            speed[:, at] *= np.sqrt(share / max(float(np.square(speed[:, at]).mean(axis=0).sum()), LEAST))
            length = np.sqrt(np.square(speed[:, at]).sum(axis=1))  # [F]
            usual = float(length.mean())
            lengths.append(length / max(usual, LEAST))
            counts.append(share if usual > LEAST else 0.0)
        return cls(
            pose,
            speed,
            mirror,
            np.concatenate(features),
            np.concatenate(heeds),
            np.concatenate(first),
            np.concatenate(last),
            np.concatenate(takes),
            np.concatenate([np.zeros((1, len(groups))), np.cumsum(np.stack(lengths, axis=1), axis=0)]),
            np.array(counts) / max(sum(counts), LEAST),
            reference.symmetric,
        )

    @property
    def ways(self) -> list[Way]:
        """In which a stretch of it may be performed."""
        return [Way(rate, mirrored) for rate in RATES for mirrored in ((False, True) if self.mirrored else (False,))]

    @cached_property
    def places(self) -> Frames:
        """[P] frames at which a stretch may begin."""
        return np.arange(0, len(self.pose), STEP)

    @cached_property
    def rhythms(self) -> dict[float, tuple[Array, Array]]:
        """Of each rate: [P, H * 3] the features ahead of each place, and [P] the sum of their squares."""
        return {rate: self._rhythm(rate, self.places) for rate in RATES}

    def rhythm(self, rate: float, places: Frames) -> tuple[Array, Array]:
        """The same at these places."""
        return self.rhythms[rate] if places is self.places else self._rhythm(rate, places)

    def _rhythm(self, rate: float, places: Frames) -> tuple[Array, Array]:
        at = np.round(places[:, None] + rate * AHEAD).astype(np.int64)  # [P, H]
        at = np.clip(at, self.first[places][:, None], self.last[places][:, None])
        ahead = self.features[at].reshape(len(places), -1)
        return ahead, np.square(ahead).sum(axis=1)

    @cached_property
    def squares(self) -> tuple[Array, Array]:
        """[F] of pose and speed."""
        return np.square(self.pose).sum(axis=1), np.square(self.speed).sum(axis=1)


_SEARCHED: WeakKeyDictionary[Reference, Searched] = WeakKeyDictionary()
