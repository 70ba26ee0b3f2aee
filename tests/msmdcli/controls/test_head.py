"""The original's head motion, stretched: the same rotations in another time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.controls.head import HeadMotion
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion, quaternion_from_euler

RIG = Rig.load("arkit52")


def angle_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees between rotations given as angles [..., 3]."""
    dot = np.sum(quaternion_from_euler(first) * quaternion_from_euler(second), axis=-1)
    return np.degrees(2 * np.arccos(np.clip(np.abs(dot), 0, 1)))


def motion_of(angles: np.ndarray) -> Motion:
    values = np.zeros((len(angles), RIG.size), np.float32)
    values[:, list(RIG.rotation_indices or ())] = angles
    values[:, 0] = 0.3
    return Motion(values, Fraction(25), RIG)


def turn(axis: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """The rig's angles [T, 3] of turns about one axis."""
    half = np.radians(degrees)[:, None] / 2
    return euler_from_quaternion(np.concatenate([np.cos(half), np.sin(half) * axis / np.linalg.norm(axis)], axis=1))


def test_between_two_poses_the_head_turns_about_one_axis_at_constant_speed() -> None:
    axis = np.array([1.0, 2.0, -0.7])
    ends = turn(axis, np.array([0.0, 80.0]))
    expected = turn(axis, np.linspace(0, 80, 41))
    stretched = HeadMotion(ends).stretched(41)
    assert angle_between(stretched, expected).max() < 1e-4
    by_angles = np.linspace(ends[0], ends[1], 41)  # what must not be done is far off
    assert angle_between(by_angles, expected).max() > 1


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(1, 200), st.integers(0, 2**16))
def test_it_begins_and_ends_as_the_original_and_never_turns_faster_than_it(T: int, frames: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.cumsum(rng.normal(0, 0.05, (T, 3)), axis=0).clip(-1, 1)
    made = HeadMotion(angles).stretched(frames)
    assert made.shape == (frames, 3) and np.isfinite(made).all()
    assert angle_between(made[0], angles[0]) < 1e-4
    if frames == 1:
        return
    assert angle_between(made[-1], angles[-1]) < 1e-4
    fastest = angle_between(angles[1:], angles[:-1]).max() * max((T - 1) / (frames - 1), 1e-9)
    assert angle_between(made[1:], made[:-1]).max() <= 1.1 * fastest + 1e-3  # degrees per frame


def test_the_same_length_is_the_same_motion() -> None:
    angles = np.cumsum(np.random.default_rng(0).normal(0, 0.04, (50, 3)), axis=0)
    np.testing.assert_allclose(HeadMotion(angles).stretched(50), angles, atol=1e-9)


def test_it_lies_at_the_same_share_of_the_whole() -> None:
    nod = np.zeros((101, 3))
    nod[:, 0] = 0.4 * np.exp(-(((np.arange(101) - 70) / 6) ** 2))
    for frames in (51, 101, 340):
        made = HeadMotion(nod).stretched(frames)
        assert abs(int(made[:, 0].argmax()) / (frames - 1) - 0.7) < 0.02
        assert 0.36 < made[:, 0].max() <= 0.4 + 1e-9


def test_a_shaking_head_does_not_flicker_when_time_is_compressed() -> None:
    shake = np.zeros((400, 3))
    shake[:, 1] = 0.2 * np.where(np.arange(400) % 2, 1, -1)
    made = HeadMotion(shake).stretched(40)[1:-1]
    assert np.abs(made[:, 1]).max() < 0.06  # plain picking would leave 0.2


def test_turning_past_half_a_turn_leaves_no_jump() -> None:
    angles = np.zeros((60, 3), np.float32)
    angles[:, 2] = (np.linspace(2.8, 3.6, 60) + np.pi) % (2 * np.pi) - np.pi  # roll wraps from pi to -pi
    made = HeadMotion.of(motion_of(angles)).stretched(150)
    assert np.abs(np.diff(made, axis=0)).max() < 0.02


def test_on_a_motion_only_the_head_changes() -> None:
    motion = motion_of(np.random.default_rng(1).normal(0, 0.1, (30, 3)))
    still = HeadMotion.still().on(motion)
    head = list(RIG.rotation_indices or ())
    assert (still.values[:, head] == 0).all() and (still.values[:, 0] == motion.values[:, 0]).all()
    assert motion.values[:, head].any() and still.fps == motion.fps
