"""Verdicts on single clips: each limit rejects with its own reason and number, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.curation.checks import REASONS, Limits, fails_before_tracking, judge
from training.curation.clip_data import Measures

GOOD = Measures(
    seconds=4.0,
    frames=100,
    fps="25",
    width=640,
    height=360,
    sound=True,
    sound_share=1.0,
    loudness=-10.0,
    speech_seconds=3.0,
    speech_share=0.75,
    tracked=True,
    found=1.0,
    longest_loss=0.0,
    several=0.0,
    turn=5.0,
    turn_often=9.0,
    jump=3.0,
    confidence=0.9,
    face_pixels=150.0,
    unusual=1.0,
    lag_agreement=(),
)


def test_a_good_clip_is_accepted() -> None:
    assert judge(GOOD, Limits()) == []


@pytest.mark.parametrize(
    ("change", "reason", "value"),
    [
        ({"error": "damaged"}, "unreadable", None),
        ({"seconds": 0.8}, "too-short", 0.8),
        ({"sound": False}, "no-audio", 0.0),
        ({"sound_error": "cut off"}, "no-audio", 0.0),
        ({"sound_share": 0.5}, "no-audio", 0.5),
        ({"loudness": -120.0}, "silent-audio", -120.0),
        ({"found": 0.4}, "no-face", 0.4),
        ({"longest_loss": 1.5}, "no-face", 1.5),
        ({"several": 0.6}, "several-faces", 0.6),
        ({"unusual": 6.3}, "not-a-person", 6.3),
        ({"turn_often": 48.0}, "turned", 48.0),
        ({"cuts": (1.0, 2.0)}, "cut", 2.0),
        ({"jump": 90.0}, "pose-jump", 90.0),
        ({"confidence": 0.1}, "low-confidence", 0.1),
        ({"speech_seconds": 0.1, "speech_share": 0.02}, "no-speech", 0.1),
    ],
)
def test_each_limit_has_its_reason_and_number(change: dict, reason: str, value: float | None) -> None:
    (rejection,) = judge(replace(GOOD, **change), Limits())
    assert (rejection.reason, rejection.value) == (reason, value)
    assert reason in REASONS and rejection.text


def test_a_bystander_for_a_moment_and_a_short_loss_are_no_reason() -> None:
    assert judge(replace(GOOD, several=0.1, found=0.95, longest_loss=0.2), Limits()) == []


def test_all_reasons_are_told_the_first_in_order() -> None:
    found = judge(replace(GOOD, jump=90.0, several=0.9, cuts=(1.0,)), Limits())
    assert [rejection.reason for rejection in found] == ["several-faces", "cut", "pose-jump"]


def test_only_files_and_sounds_that_are_no_use_are_left_untracked() -> None:
    untracked = replace(GOOD, tracked=False, found=None, several=None)
    assert fails_before_tracking(replace(untracked, loudness=-120.0), Limits())
    assert not fails_before_tracking(replace(untracked, speech_seconds=0.0, speech_share=0.0), Limits())
    assert fails_before_tracking(untracked, Limits(min_seconds=5.0))
