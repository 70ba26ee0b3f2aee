"""Classifier-free guidance (paper eq. 6), within an interval of the noise, and rescaled.

Guidance weighs the full prediction by more than 1 and so makes motion larger than it should be, the more the fewer
steps. Two remedies are known, both off unless asked for: to guide in the middle of the noise only (Kynkäänniemi et al.
2024), which also saves the branches of the other steps; and to bring what guidance gives back to the spread of the
prediction without it (Lin et al. 2024, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError

Array = NDArray[np.float32]
Interval = tuple[float, float]

WHOLE: Interval = (0.0, 1.0)


def parse_interval(text: str) -> Interval:
    """`0.2-0.8`: from a fifth to four fifths of the noise.

    Raises:
        UsageError: it is not two numbers between 0 and 1 in this order.
    """
    low, dash, high = text.partition("-")
    try:
        interval = float(low), float(high)
    except ValueError:
        interval = (1.0, 0.0)
    if not dash:
        interval = (1.0, 0.0)
    return check_interval(interval)


def check_interval(interval: Sequence[float]) -> Interval:
    """The interval as a pair.

    Raises:
        UsageError: it is not two numbers between 0 and 1 in this order.
    """
    if len(interval) != 2 or not 0 <= interval[0] <= interval[1] <= 1:
        given = "-".join(f"{value:g}" for value in interval)
        raise UsageError(f"guidance interval {given}", hint="give two shares of the noise, as in 0.2-0.8")
    return float(interval[0]), float(interval[1])


def acts(interval: Interval, t: int, steps: int) -> bool:
    """Whether there is guidance at diffusion step t of `steps`; t + 1 = steps is pure noise."""
    return interval[0] <= (t + 1) / steps <= interval[1]


def rescaled(guided: Array, plain: Array, frames: int, share: float) -> Array:
    """What guidance gives, with the spread of the prediction without it.

    Paper (Lin et al.): the standard deviation over the whole sample; here: of each channel over time, around its mean,
    because motion has a resting pose, which guidance may well move, and because a few channels that guidance blows up
    would else hold all others still.

    Args:
        guided, plain: predictions [N, D] with and without guidance, normalised.
        frames: how many of the N are real; the others follow.
        share: how much of the correction, 0 (none) to 1 (all).
    """
    mean = guided[:frames].mean(axis=0)  # [D]
    spread = guided[:frames].std(axis=0, dtype=np.float64)  # [D]
    wanted = plain[:frames].std(axis=0, dtype=np.float64)
    factor = np.where(spread > 1e-6, 1 + share * (wanted / np.maximum(spread, 1e-6) - 1), 1.0)
    corrected: Array = mean + factor.astype(np.float32) * (guided - mean)
    return corrected
