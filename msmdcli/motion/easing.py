"""Easing: from 0 to 1 without a slope at either end, and into an end without a corner, so that nothing pops."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", float, "NDArray[np.float64]", "NDArray[np.float32]")


def smooth_step(u: T) -> T:
    """u^2 (3 - 2u), the cubic Hermite curve from 0 to 1, of u within [0, 1], a number or an array."""
    return u * u * (3 - 2 * u)


def soft_end(
    values: NDArray[np.float64], wide: float | NDArray[np.floating], end: float | NDArray[np.floating] = 1.0
) -> NDArray[np.float64]:
    """Values of 0 to 1 and beyond, those above `wide` led into `end` without a corner."""
    room = end - wide
    return np.where(values > wide, wide + room * np.tanh(np.maximum(values - wide, 0) / room), values)
