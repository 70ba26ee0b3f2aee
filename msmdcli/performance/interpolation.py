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


def monotone(knots: Array, values: Array, at: Array) -> Array:
    """[n] the monotone curve through rising `knots` [K] with `values` [K], at [n]; straight beyond the ends."""
    if len(knots) == 1:
        return np.asarray(values[0] + (at - knots[0]))
    widths = np.diff(knots)
    tangents = slopes(values[:, None], widths)[:, 0]  # [K]
    left = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    u = (at - knots[left]) / widths[left]
    inside = hermite(
        values[left], values[left + 1], tangents[left] * widths[left], tangents[left + 1] * widths[left], u
    )
    before, after = at < knots[0], at > knots[-1]
    inside = np.where(before, values[0] + tangents[0] * (at - knots[0]), inside)
    return np.where(after, values[-1] + tangents[-1] * (at - knots[-1]), inside)
