"""Offsets of whole sources, and clips that do not belong to their sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.curation.checks import Limits
from training.curation.clip_data import Measures
from training.curation.sync import MAX_LAG
from training.curation.timing import judge_sync, source_timing

LIMITS = Limits()


def clip(peak: float, at: float, seed: int, seconds: float = 4.0) -> Measures:
    """A clip whose agreement has a peak of a height at a lag, in noise."""
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    noise = 0.03 * np.random.default_rng(seed).standard_normal(len(lags))
    curve = peak * np.exp(-0.5 * ((lags - at) / 2.5) ** 2) + noise
    return Measures(seconds=seconds, tracked=True, lag_agreement=tuple(float(v) for v in curve))


@settings(max_examples=20, deadline=None)
@given(offset=st.floats(-5, 5), seed=st.integers(0, 1000))
def test_a_common_offset_is_found_and_a_small_one_left_alone(offset: float, seed: int) -> None:
    timing = source_timing("studio", [clip(0.5, offset, seed + i) for i in range(12)], LIMITS)
    assert timing.estimate == pytest.approx(offset, abs=0.7)
    if abs(offset) > 1.5:
        assert timing.offset == pytest.approx(offset, abs=0.7)
    if abs(offset) < 0.5:
        assert timing.offset == 0


def test_too_few_clips_and_mere_noise_give_no_offset() -> None:
    assert source_timing("a", [clip(0.5, 4, i) for i in range(2)], LIMITS).offset == 0
    assert source_timing("b", [clip(0.0, 4, i) for i in range(30)], LIMITS).offset == 0
    each_another = [clip(0.5, at, i) for i, at in enumerate((-8, 8, -5, 5, 0, 7, -7, 3))]
    assert source_timing("c", each_another, LIMITS).offset == 0


def test_an_offset_is_no_reason_for_rejection() -> None:
    clips = [clip(0.5, 4, i) for i in range(12)]
    timing = source_timing("studio", clips, LIMITS)
    assert timing.offset == pytest.approx(4, abs=0.5)
    assert not any(judge_sync(c, timing, LIMITS) for c in clips)


def test_a_clip_with_another_sound_is_rejected() -> None:
    clips = [clip(0.6, 0, i) for i in range(12)]
    timing = source_timing("studio", clips, LIMITS)
    (nothing,) = judge_sync(clip(-0.2, 0, 99), timing, LIMITS)
    assert nothing.reason == "out-of-sync" and nothing.limit == LIMITS.min_agreement
    (unusual,) = judge_sync(clip(0.2, 0, 98), timing, LIMITS)  # above the limit, but nothing like the others
    assert unusual.reason == "out-of-sync" and "usual" in unusual.text
    alone = source_timing("one", [clip(0.2, 0, 98)], LIMITS)
    assert not judge_sync(clip(0.2, 0, 98), alone, LIMITS)


def test_short_clips_are_not_judged() -> None:
    short = clip(-0.2, 0, 1, seconds=1.2)
    assert not judge_sync(short, source_timing("words", [short], LIMITS), LIMITS)


def test_the_same_source_gives_the_same_numbers() -> None:
    clips = [clip(0.3, 2, i) for i in range(9)]
    assert source_timing("studio", clips, LIMITS) == source_timing("studio", clips, LIMITS)
