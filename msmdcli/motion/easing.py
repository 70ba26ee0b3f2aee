"""Easing: from 0 to 1 without a slope at either end, so that nothing pops."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T", float, "NDArray[np.float64]", "NDArray[np.float32]")


def smooth_step(u: T) -> T:
    """u^2 (3 - 2u), the cubic Hermite curve from 0 to 1, of u within [0, 1], a number or an array."""
    return u * u * (3 - 2 * u)
