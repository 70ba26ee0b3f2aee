"""Generated gaze comes to rest and jumps, and keeps where it looks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from msmdcli.motion.rig import Rig
from msmdcli.performance.fixations import LOOKS, YAW_RANGE, held_points, rested_gaze

RIG = Rig.load("arkit52")
OUT, IN = [RIG.index(name) for name in LOOKS if "Out" in name], [RIG.index(name) for name in LOOKS if "In" in name]
YAW = RIG.index("headYaw")


def looks(fps: float = 25, seconds: float = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """[T] degrees that somebody looks at in the room, and [T] those of a head that turns."""
    rng = np.random.default_rng(seed)
    places = np.repeat(rng.normal(0, 8, 40), rng.integers(10, 50, 40))
    times = np.arange(int(seconds * fps))
    return places[(times * 25 / fps).astype(int)], 6 * np.sin(times / fps * 2)


def face(gaze: np.ndarray, head: np.ndarray) -> np.ndarray:
    """[T, D] whose eyes take back what the head turns."""
    values = np.full((len(gaze), RIG.size), 0.1)
    values[:, [RIG.index(name) for name in LOOKS]] = 0
    values[:, YAW] = np.radians(head)
    left = (gaze - head) / YAW_RANGE
    values[:, OUT[0]], values[:, IN[0]] = np.maximum(left, 0), np.maximum(-left, 0)
    values[:, IN[1]], values[:, OUT[1]] = np.maximum(left, 0), np.maximum(-left, 0)
    return values


def in_the_room(values: np.ndarray, eye: int = 0) -> np.ndarray:
    """[T] degrees that an eye looks at."""
    sign = 1 if eye == 0 else -1
    return sign * (values[:, OUT[eye]] - values[:, IN[eye]]) * YAW_RANGE + np.degrees(values[:, YAW])


def trembling(gaze: np.ndarray, size: float) -> np.ndarray:
    noise = np.convolve(np.random.default_rng(5).standard_normal(len(gaze)), np.ones(4) / 2, "same")
    return gaze + size * noise


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
def test_a_trembling_gaze_is_given_back_its_fixations(fps: int) -> None:
    gaze, head = looks(fps)
    made = rested_gaze(face(trembling(gaze, 1.5), head), RIG, fps)
    for eye in (0, 1):
        seen = in_the_room(made, eye)
        assert np.abs(seen - gaze).mean() < 0.75  # of 1.5 degrees of tremble
        assert np.mean(np.abs(np.diff(seen)) < 1e-6) > 0.8  # it rests while the head turns ...
        assert 0.5 < np.sum(np.abs(np.diff(seen, n=1)) > 2) / np.sum(np.abs(np.diff(gaze)) > 2) < 3  # ... and jumps
        assert seen.std() == pytest.approx(gaze.std(), rel=0.1)
    untouched = np.delete(np.arange(RIG.size), [RIG.index(name) for name in LOOKS])
    np.testing.assert_array_equal(made[:, untouched], face(gaze, head)[:, untouched])


def test_a_gaze_that_rests_already_is_left() -> None:
    gaze, head = looks()
    clean = face(gaze, head)
    made = rested_gaze(clean, RIG, 25)
    assert np.abs(in_the_room(made) - gaze).mean() < 0.6  # frames of the jumps themselves
    still = face(np.zeros(100), np.zeros(100))
    np.testing.assert_allclose(rested_gaze(still, RIG, 25), still, atol=1e-9)


def test_points_that_lie_further_apart_are_still_held() -> None:
    gaze, head = looks()
    made = in_the_room(rested_gaze(face(trembling(gaze, 1.0), head), RIG, 25, wider=1.4))
    assert made.std() == pytest.approx(1.4 * gaze.std(), rel=0.1)
    assert np.mean(np.abs(np.diff(made)) < 1e-6) > 0.8


def test_eyes_that_look_past_each_other_go_on_doing_so() -> None:
    gaze, head = looks()
    values = face(trembling(gaze, 1.0), head * 0)
    values[:, OUT[0]] += 0.2  # the left eye looks further out, all along
    values[:, IN[0]], values[:, OUT[0]] = (np.maximum(values[:, IN[0]] - values[:, OUT[0]], 0),
                                           np.maximum(values[:, OUT[0]] - values[:, IN[0]], 0))  # fmt: skip
    before = in_the_room(values, 0) - in_the_room(values, 1)
    made = rested_gaze(values, RIG, 25)
    after = in_the_room(made, 0) - in_the_room(made, 1)
    assert after.mean() == pytest.approx(before.mean(), abs=0.3) and after.std() < 0.5


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 9])
def test_a_line_of_a_few_frames(frames: int) -> None:
    values = face(np.linspace(0, 9, frames), np.zeros(frames))
    made = rested_gaze(values, RIG, 25)
    assert made.shape == values.shape and np.isfinite(made).all()


def test_a_rig_without_eyes_is_left_alone() -> None:
    rig = Rig.from_definition(json.dumps({"format_version": 1, "name": "x", "channels": [{"name": "jawOpen"}]}))
    values = np.random.default_rng(0).uniform(size=(20, 1))
    np.testing.assert_array_equal(rested_gaze(values, rig, 25), values)


def test_points_are_held_from_jump_to_jump() -> None:
    gaze = np.concatenate([np.zeros((6, 2)), np.full((7, 2), 9.0), np.full((5, 2), -4.0)])
    held = held_points(gaze + np.random.default_rng(1).normal(0, 0.4, gaze.shape), 25)
    steps = np.flatnonzero(np.abs(np.diff(held[:, 0])) > 1)
    assert {5, 12} <= set(steps.tolist()) and len(steps) <= 6  # each over three frames
    np.testing.assert_allclose(held[[2, 9, 16]], gaze[[2, 9, 16]], atol=0.6)
