"""How alike two styles are, so that a library does not fill with twins.

A style is summed up by what can be seen of it without any model: the mean pose of the face and, channel by channel, the
standard deviation over time (its dynamics). The distance of two styles is

    sqrt(|mean - mean'|^2 + |deviation - deviation'|^2)

over the channels of the rig's `face` (the head is left out: where the camera stood is no manner). Units are those of
the channels: 0.5 is one channel half way, or 25 channels a tenth each.

Measured on halves of 62 clips, among them 48 of acted and spontaneous emotions: the nearest half is the other half
of the same clip in 73 % of cases by this distance, in 71 % by the mean pose alone, 51 % by the dynamics alone, and in
59 % by the distance of the shipped model's style codes, which is why the codes are not asked. Halves of one clip are
0.43 apart in the median; of pairs from different clips 0.1 % are nearer than 0.41, half of them 1.4 and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.styles.library import StyleLibrary

TWINS = 0.4  # styles nearer than this are hardly told apart


@dataclass(frozen=True, eq=False)
class Manner:
    """A style summed up.

    Attributes:
        rig: what the channels are.
        mean: [D] mean pose; clips weigh as their number of frames.
        deviation: [D] standard deviation over time within a clip, averaged likewise.
    """

    rig: Rig
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, clips: Sequence[Motion]) -> Manner:
        """The manner of clips on one rig."""
        frames = np.array([clip.frames for clip in clips], np.float64)
        share = (frames / frames.sum())[:, None]
        values = [clip.values.astype(np.float64) for clip in clips]
        mean = (share * np.stack([v.mean(axis=0) for v in values])).sum(axis=0)
        deviation = (share * np.stack([v.std(axis=0) for v in values])).sum(axis=0)
        return cls(clips[0].rig, mean, deviation)


@dataclass(frozen=True)
class Neighbour:
    """A tag, and how far it is.

    Attributes:
        tag: its name.
        distance: sqrt(pose^2 + dynamics^2).
        pose, dynamics: the distance of the mean poses and of the deviations.
    """

    tag: str
    distance: float
    pose: float
    dynamics: float

    @property
    def twin(self) -> bool:
        """Whether it is hardly told apart."""
        return self.distance < TWINS


def distance(one: Manner, other: Manner) -> tuple[float, float]:
    """The distance of the mean poses, and that of the dynamics."""
    face = one.rig.indices("face") if "face" in one.rig.regions else np.arange(one.rig.size)
    pose = np.linalg.norm(one.mean[face] - other.mean[face])
    return float(pose), float(np.linalg.norm(one.deviation[face] - other.deviation[face]))


def nearest_tags(manner: Manner, library: StyleLibrary, leave_out: Iterable[str] = ()) -> list[Neighbour]:
    """All tags of a library on the same rig, the nearest first. Tags that cannot be read are left out."""
    found = []
    for tag in library.tags.keys() - set(leave_out):
        try:
            reference = library.read(tag).reference(tag)
            other = Manner.of(reference.load())
        except MsmdError:
            continue  # `msmd styles check` tells of it
        if other.rig.channels == manner.rig.channels:
            pose, dynamics = distance(manner, other)
            found.append(Neighbour(tag, float(np.hypot(pose, dynamics)), pose, dynamics))
    return sorted(found, key=lambda neighbour: (neighbour.distance, neighbour.tag))
