"""Head rotation is interpolated and smoothed as a rotation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.motion.rotation import (
    euler_from_quaternion,
    interpolate_rotation,
    quaternion_from_euler,
    quaternions_of_matrices,
    slerp,
    smooth_rotation,
)

ANGLE = st.floats(-1.2, 1.2)


def rotation_matrix(q: np.ndarray) -> np.ndarray:
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * np.arccos(np.clip(np.abs(np.sum(a * b, axis=-1)), 0, 1))


@given(st.tuples(ANGLE, ANGLE, ANGLE))
def test_quaternions_of_matrices(angles: tuple[float, float, float]) -> None:
    q = quaternion_from_euler(np.array(angles))
    assert angle_between(quaternions_of_matrices(rotation_matrix(q)[None])[0], q) < 1e-6


def test_slerp_turns_at_constant_speed_the_short_way() -> None:
    a, b = quaternion_from_euler(np.array([[0.1, -0.4, 3.0], [0.3, 0.5, -3.0]]))
    share = np.linspace(0, 1, 11)
    way = slerp(np.repeat(a[None], 11, 0), np.repeat(-b[None], 11, 0), share)  # -b is the same rotation as b
    steps = angle_between(way[1:], way[:-1])
    np.testing.assert_allclose(steps, steps.mean(), atol=1e-6)
    assert abs(steps.sum() - angle_between(a, b)) < 1e-6


def test_interpolation_across_half_a_turn_of_roll() -> None:
    q = quaternion_from_euler(np.array([[0, 0, np.radians(175)], [0, 0, np.radians(-175)]]))
    middle = euler_from_quaternion(interpolate_rotation(np.array([0.0, 1.0]), q, np.array([0.5])))
    assert abs(abs(np.degrees(middle[0, 2])) - 180) < 1e-6  # the mean of the angles would be 0


def test_nods_stay_and_jitter_goes() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    for fps in (25.0, 60.0):
        time = np.arange(int(4 * fps)) / fps
        clean = np.stack([0.2 * np.sin(2 * np.pi * 1.5 * time), 0.1 * np.cos(5 * time), 0 * time], axis=1)
        noisy = clean + rng.normal(0, 0.01, clean.shape)
        smoothed = euler_from_quaternion(smooth_rotation(quaternion_from_euler(noisy), fps))
        assert np.abs(smoothed - clean).mean() < 0.8 * np.abs(noisy - clean).mean()
        still = euler_from_quaternion(smooth_rotation(quaternion_from_euler(clean), fps))
        assert np.ptp(still[:, 0]) > 0.97 * np.ptp(clean[:, 0])
        assert len(smoothed) == len(clean)


def test_smoothing_does_not_depend_on_which_way_is_forward() -> None:
    rng = np.random.Generator(np.random.Philox(4))
    q = quaternion_from_euler(np.cumsum(rng.normal(0, 0.02, (60, 3)), axis=0))
    turned = quaternion_from_euler(np.array([0.4, 1.3, -2.9]))

    def turn(p: np.ndarray) -> np.ndarray:
        w, x, y, z = turned
        left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
        return p @ left.T

    assert angle_between(smooth_rotation(turn(q), 25.0), turn(smooth_rotation(q, 25.0))).max() < 1e-6


def test_short_clips_are_left_alone() -> None:
    q = quaternion_from_euler(np.array([[0.0, 0.1, 0.2]] * 4))
    np.testing.assert_allclose(smooth_rotation(q, 25.0), q, atol=1e-12)
