"""Curves between their samples: cubic and without overshoot, so a lid that shuts does not shut further and a gaze that
jumps does not swing past its target.

Cubic Hermite pieces with the slopes of Fritsch and Butland, "A method for constructing local monotone piecewise cubic
interpolants", SIAM J. Sci. Stat. Comput. 5(2), 1984: the harmonic mean of the slopes on both sides, 0 where they
disagree in sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def slopes(values: Array, steps: Array | None = None) -> Array:
    """[T, D] change per sample (per unit of `steps` [T - 1], the distances between samples) at each sample."""
    if len(values) < 2:
        return np.zeros_like(values)
    distances = np.ones(len(values) - 1) if steps is None else steps
    secants = np.diff(values, axis=0) / distances[:, None]  # [T - 1, D]
    before, after = secants[:-1], secants[1:]
    product = before * after
    inner = np.where(product > 0, 2 * product / np.where(product > 0, before + after, 1.0), 0.0)
    return np.concatenate([secants[:1], inner, secants[-1:]])


def sample(values: Array, tangents: Array, at: Array) -> Array:
    """Values [n, D] of uniformly sampled curves [T, D] at sample positions [n]; held beyond both ends."""
    last = len(values) - 1
    position = np.clip(at, 0, last)
    left = np.minimum(position.astype(np.int64), max(last - 1, 0))
    right = np.minimum(left + 1, last)
    return hermite(values[left], values[right], tangents[left], tangents[right], (position - left)[:, None])


def hermite(a: Array, b: Array, slope_a: Array, slope_b: Array, u: Array) -> Array:
    """The cubic from a to b with these slopes (per unit of u), at u from 0 to 1."""
    u2, u3 = u * u, u * u * u
    start, end = (2 * u3 - 3 * u2 + 1) * a + (u3 - 2 * u2 + u) * slope_a, (3 * u2 - 2 * u3) * b + (u3 - u2) * slope_b
    return np.asarray(start + end)


class Monotone:
    """The monotone curve through some knots; straight beyond the ends.

    Args:
        knots: [K] rising.
        values: [K]
    """

    def __init__(self, knots: Array, values: Array) -> None:
        self._knots, self._values, self._widths = knots, values, np.diff(knots)
        self._slopes = slopes(values[:, None], self._widths)[:, 0]  # [K]
        self._ahead = self._slopes[:-1] * self._widths  # [K - 1] of each piece, per unit of u, at its start
        self._behind = self._slopes[1:] * self._widths  # ... and at its end

    def __call__(self, at: Array) -> Array:
        """[n] at [n]."""
        knots, values = self._knots, self._values
        if len(knots) == 1:
            return np.asarray(values[0] + (at - knots[0]))
        left = np.minimum(np.maximum(np.searchsorted(knots, at, side="right") - 1, 0), len(knots) - 2)
        u = (at - knots[left]) / self._widths[left]
        inside = hermite(values[left], values[left + 1], self._ahead[left], self._behind[left], u)
        before, after = at < knots[0], at > knots[-1]
        if before.any():
            inside = np.where(before, values[0] + self._slopes[0] * (at - knots[0]), inside)
        if after.any():
            inside = np.where(after, values[-1] + self._slopes[-1] * (at - knots[-1]), inside)
        return inside
