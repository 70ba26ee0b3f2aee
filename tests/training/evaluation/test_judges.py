"""The judges on made-up performances whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmdcli.motion.rig import Rig
from training.evaluation.judges import Judges, check, judges_of
from training.evaluation.style_judge import Performance, statistics, train_style_judge
from training.evaluation.sync_judge import MAX_SHIFT, WINDOW, Recording, mouth, train_sync_judge

RIG = Rig.load("arkit52")
JAW, BROW = RIG.index("jawOpen"), RIG.index("browInnerUp")
FEATURES = 12


def recording(seed: int, frames: int = 110) -> Recording:
    """A voice whose loudness opens the jaw; the features show it among noise."""
    rng = np.random.default_rng(seed)
    loudness = np.convolve(rng.normal(size=frames + 8), np.ones(5) / 5, "same")[4:-4]
    features = rng.normal(size=(frames, FEATURES)).astype(np.float32) * 0.3
    features[:, 0] += loudness * 2
    motion = rng.normal(scale=0.004, size=(frames, RIG.size)).astype(np.float32)
    motion[:, JAW] += 0.3 + 0.2 * loudness
    return Recording(features, motion)


def performance(person: int, seed: int) -> Performance:
    """Motion of one of several persons, each with a resting brow and an amount of movement of their own."""
    rng = np.random.default_rng(1000 * person + seed)
    motion = rng.normal(scale=0.01 * (1 + person % 4), size=(120, RIG.size)).astype(np.float32)
    motion[:, BROW] += 0.1 * (person // 4)
    return Performance(motion, f"person {person}")


@pytest.fixture(scope="module")
def sync_judge() -> object:
    return train_sync_judge([recording(n) for n in range(24)], [recording(n) for n in range(100, 104)], RIG, steps=150)


def test_sync_is_highest_at_no_shift_and_falls_with_it(sync_judge: object) -> None:
    curves = [sync_judge.judge(r.features, r.motion, RIG).curve for r in map(recording, range(200, 206))]
    mean = np.mean(curves, axis=0)
    assert np.argmax(mean) == MAX_SHIFT
    assert mean[MAX_SHIFT] > mean[MAX_SHIFT + 3] + 0.1 and mean[MAX_SHIFT] > mean[MAX_SHIFT - 3] + 0.1


@pytest.mark.parametrize("late", [-4, 4])
def test_sync_finds_a_late_mouth(sync_judge: object, late: int) -> None:
    lags = [
        sync_judge.judge(r.features, np.roll(r.motion, late, axis=0), RIG).lag for r in map(recording, range(300, 305))
    ]
    assert np.median(lags) == late


def test_a_mouth_of_another_clip_scores_like_chance(sync_judge: object) -> None:
    own = [sync_judge.judge(recording(n).features, recording(n).motion, RIG).at_zero for n in range(400, 406)]
    other = [sync_judge.judge(recording(n).features, recording(n + 50).motion, RIG).at_zero for n in range(400, 406)]
    assert np.mean(own) > np.mean(other) + 0.2


def test_a_mouth_that_is_still_or_short_is_not_judged(sync_judge: object) -> None:
    real = recording(500)
    assert sync_judge.judge(real.features, np.full_like(real.motion, 0.3), RIG) is None
    short = WINDOW + 2 * MAX_SHIFT - 1
    assert sync_judge.judge(real.features[:short], real.motion[:short], RIG) is None


def test_the_mouth_is_seen_in_units_of_its_own_movement() -> None:
    motion = recording(1).motion
    larger = motion.mean(axis=0) + 3 * (motion - motion.mean(axis=0)) + 0.2
    np.testing.assert_allclose(mouth(motion, RIG), mouth(larger.astype(np.float32), RIG), atol=1e-4)


def test_style_judges_tell_people_apart() -> None:
    people = [performance(person, seed) for person in range(16) for seed in range(3)]
    for pose in (True, False):
        judge = train_style_judge(people, RIG, pose, steps=80)
        first, second = performance(5, 77).motion[:60], performance(5, 78).motion[60:]
        stranger = performance(6, 77).motion[:60]  # the same brow, more movement
        assert judge.embed(first, RIG) @ judge.embed(second, RIG) > judge.embed(first, RIG) @ judge.embed(stranger, RIG)
        assert judge.distance(first, second, RIG) < judge.distance(first, stranger, RIG)


def test_the_movement_judge_does_not_see_the_resting_pose() -> None:
    motion = performance(3, 1).motion.astype(np.float64)
    moved = motion + 0.3
    np.testing.assert_allclose(statistics(motion, RIG, False), statistics(moved, RIG, False), atol=1e-9)
    assert np.abs(statistics(motion, RIG, True) - statistics(moved, RIG, True)).max() > 0.29


def test_training_is_repeatable() -> None:
    people = [performance(person, 0) for person in range(6)]
    first, second = (train_style_judge(people, RIG, True, seed=3, steps=5) for _ in range(2))
    motion = people[0].motion
    np.testing.assert_array_equal(first.embed(motion, RIG), second.embed(motion, RIG))


def test_the_check_says_how_the_judges_fare(sync_judge: object) -> None:
    people = [performance(person, seed) for person in range(12) for seed in range(3)]
    look, movement = (train_style_judge(people, RIG, pose, steps=60) for pose in (True, False))
    clips = [recording(n) for n in range(600, 608)]
    found = check(sync_judge, look, movement, clips, [str(n // 2) for n in range(8)], RIG)
    assert found["clips"] == 8 and found["sync_auc"] > 0.9
    assert found["sync_zero"] > found["sync_other"] + 0.2
    verdict = Judges(sync_judge, look, movement, RIG, found).verdict(
        clips[0].features,
        [clips[0].motion[:55], clips[0].motion[55:]],
        [clips[0].motion[55:], clips[0].motion[:55]],
        None,
    )
    assert verdict["sync_lag"] == 0 and np.isnan(verdict["look_picks"]) and -1 <= verdict["look"] <= 1


def test_too_few_people_make_no_judges(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("", encoding="utf-8")
    said: list[str] = []
    assert judges_of(tmp_path, lambda _: np.zeros((1, 1)), RIG, said.append, tmp_path / "cache") is None
    assert "12 persons" in said[0]
