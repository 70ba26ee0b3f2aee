"""The statistics against scipy and against cases computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.evaluation.significance import bootstrap_interval, paired_t

stats = pytest.importorskip("scipy.stats")


def test_paired_t_equals_scipy() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(1.0, 1.0, 25), rng.normal(0.5, 1.0, 25)
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval()
    found = paired_t(first, second)
    assert (found.t, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.effect == pytest.approx((first - second).mean() / (first - second).std(ddof=1))


def test_paired_t_leaves_out_nan_and_says_how_many_are_left() -> None:
    found = paired_t(np.array([1.0, 2.0, np.nan, 4.0]), np.array([0.0, 0.5, 1.0, 2.0]))
    assert found.n == 3
    assert found.difference == pytest.approx(1.5)


def test_paired_t_of_equal_rows_is_no_difference() -> None:
    found = paired_t(np.ones(4), np.ones(4))
    assert (found.t, found.p, found.significant) == (0.0, 1.0, False)


def test_paired_t_of_too_few_pairs() -> None:
    assert math.isnan(paired_t(np.ones(1), np.zeros(1)).p)


def test_bootstrap_interval_covers_the_mean() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    low, high = bootstrap_interval(values, np.random.default_rng(1))
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)
    assert bootstrap_interval(values, np.random.default_rng(1)) == (low, high)
    assert math.isnan(bootstrap_interval(np.array([np.nan]), np.random.default_rng(0))[0])
