"""Motion as networks see it: each channel measured in units of its own movement, eyes as angles.

A rig of blendshapes has two channels for one angle of an eye: out and in, up and down, of which one at a time is on. A
diffusion is at home in what swings about a middle; of two channels that both end at zero it gives a part of each at
once, and what falls below zero is lost: an eighth of what eyes look about. So the two may be one signed channel inside
(`opposed`): the first has the difference, the second nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.rig import Rig

Array = NDArray[np.float32]
Pairs = tuple[tuple[int, int], ...]

EYES = tuple(
    (f"eyeLook{one}{side}", f"eyeLook{other}{side}")
    for side in ("Left", "Right")
    for one, other in (("Out", "In"), ("Up", "Down"))
)


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of the training motion. Networks see (value - mean) / std.

    A channel that never moves has std 0 here: it is normalised to 0 and comes out as its mean.

    Attributes:
        mean, std: [D] float32, of motion as `signed` gives it.
        opposed: pairs of columns that are one signed channel inside.
    """

    mean: Array
    std: Array
    opposed: Pairs = ()

    def forward(self, values: Array) -> Array:
        """Rig units -> normalised, any shape [..., D]."""
        moving = self.std > 0
        values = signed(values, self.opposed)
        return np.where(moving, (values - self.mean) / np.where(moving, self.std, 1), 0).astype(np.float32)

    def inverse(self, values: Array) -> Array:
        """Normalised -> rig units, any shape [..., D]."""
        return unsigned(values * self.std + self.mean, self.opposed).astype(np.float32)

    def limits(self, rig: Rig) -> tuple[Array, Array]:
        """Ends [D] of the channels' ranges, normalised; those of a channel that never moves, about its mean."""
        lower, upper = rig.lower.copy(), rig.upper.copy()
        for one, other in self.opposed:
            lower[one], lower[other], upper[other] = -rig.upper[other], 0, 0
        std = np.where(self.std > 0, self.std, 1)
        return ((lower - self.mean) / std).astype(np.float32), ((upper - self.mean) / std).astype(np.float32)

    def neutral(self) -> Array:
        """[D] the mean pose, in rig units."""
        return unsigned(self.mean, self.opposed)

    def kept(self, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which normalised values [..., D] stay as they are where those in rig units do; opposed ones do together."""
        same = same.copy()
        for one, other in self.opposed:
            same[..., one] &= same[..., other]
        return same


def eye_pairs(rig: Rig) -> Pairs:
    """The columns of `EYES` that a rig has both of, and that range from 0 on."""
    pairs = [(rig.channels.index(a), rig.channels.index(b)) for a, b in EYES if {a, b} <= set(rig.channels)]
    return tuple(pair for pair in pairs if not rig.lower[list(pair)].any())


def signed(values: Array, opposed: Pairs) -> Array:
    """Motion [..., D] whose opposed channels are one: the first less the second, and 0."""
    if not opposed:
        return values
    made = values.copy()
    for one, other in opposed:
        made[..., one] -= made[..., other]
        made[..., other] = 0
    return made


def unsigned(values: Array, opposed: Pairs) -> Array:
    """What `signed` has been made of, in which one of two opposed channels was 0 at a time."""
    if not opposed:
        return values
    made = values.copy()
    for one, other in opposed:
        made[..., other] = np.maximum(-made[..., one], 0)
        made[..., one] = np.maximum(made[..., one], 0)
    return made
