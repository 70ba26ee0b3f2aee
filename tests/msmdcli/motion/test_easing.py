"""The smooth step, everywhere the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.motion.easing import smooth_step


def test_it_rises_from_0_to_1_without_a_slope_at_the_ends() -> None:
    u = np.linspace(0, 1, 1001)
    curve = smooth_step(u)
    assert curve[0] == 0 and curve[-1] == 1 and smooth_step(0.5) == 0.5
    slope = np.gradient(curve, u)
    assert (np.diff(curve) > 0).all() and slope[0] < 0.01 and slope[-1] < 0.01
    np.testing.assert_allclose(curve + curve[::-1], 1, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_its_bits_are_those_of_the_formula_as_it_is_written(dtype: type[np.floating]) -> None:
    """Lines that were rendered before keep their bytes: u u (3 - 2u), multiplied from the left."""
    u = np.random.default_rng(0).uniform(0, 1, 10_000).astype(dtype)
    curve = smooth_step(u)
    assert curve.dtype == dtype
    np.testing.assert_array_equal(curve, (u * u) * (dtype(3) - dtype(2) * u))
    assert [smooth_step(float(value)) for value in u[:100].astype(np.float64)] == [
        float(value) * float(value) * (3 - 2 * float(value)) for value in u[:100].astype(np.float64)
    ]
