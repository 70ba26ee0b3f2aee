from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from msmdcli.errors import UsageError
from msmdcli.motion.key_reduction import fewest_keys, largest_error, parse_tolerance, reduce_each, reduce_together


@settings(max_examples=80, deadline=None)
@given(arrays(np.float64, 8, elements=st.integers(0, 8).map(lambda n: n / 8)), st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_no_other_choice_has_fewer_keys(values: np.ndarray, tolerance: float) -> None:
    """Against every choice of frames there is."""
    keys = fewest_keys(values, tolerance)
    assert keys[0] == 0 and keys[-1] == 7 and (np.diff(keys) > 0).all()
    assert largest_error(values, keys) <= tolerance + 1e-12
    for count in range(len(keys) - 2):
        for inner in itertools.combinations(range(1, 7), count):
            assert largest_error(values, np.array([0, *inner, 7])) > tolerance - 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 150), st.floats(0, 0.2), st.integers(0, 2**31))
def test_the_tolerance_holds_together_and_apart(frames: int, tolerance: float, seed: int) -> None:
    values = np.cumsum(np.random.default_rng(seed).normal(size=(frames, 3)) * 0.05, axis=0).astype(np.float32)
    together, count = reduce_together(values, tolerance)
    assert largest_error(values, together) <= tolerance + 1e-9
    apart, counts = reduce_each(values, tolerance)
    assert all(largest_error(column, keys) <= tolerance + 1e-9 for column, keys in zip(values.T, apart, strict=True))
    assert count is not None and counts is not None
    assert count.after == 3 * len(together) >= counts.after == sum(map(len, apart))
    assert counts.before == values.size and counts.largest_error <= tolerance + 1e-9


def test_stillness_and_straight_lines_need_two_keys() -> None:
    assert fewest_keys(np.full(3600, 0.3), 0).tolist() == [0, 3599]
    assert fewest_keys(np.arange(3600) / 4096, 0).tolist() == [0, 3599]
    assert fewest_keys(np.array([1.0]), 0).tolist() == [0]
    tent = np.concatenate([np.arange(100), np.arange(100)[::-1]]) / 128
    assert fewest_keys(tent, 0).tolist() == [0, 99, 100, 199]
    assert len(fewest_keys(tent, 0.01)) == 3


@pytest.mark.parametrize("wrong", ["wide", -0.1, "nan", "inf", None])
def test_wrong_tolerance(wrong: object) -> None:
    with pytest.raises(UsageError, match="no tolerance"):
        parse_tolerance(wrong)
