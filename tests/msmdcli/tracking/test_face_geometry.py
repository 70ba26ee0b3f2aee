"""Turn and box from landmarks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.motion.rotation import quaternion_from_euler, rotation_of
from msmdcli.tracking.face_geometry import _SKULL, SKULL, box_of, turn_of

PLACES = np.array([row[1:] for row in _SKULL])


def seen(angles: np.ndarray, aspect: float, scale: float = 0.03) -> np.ndarray:
    """Landmarks of a canonical head under the rig's angles, from far away: [478, 3] in shares of the picture."""
    w, x, y, z = quaternion_from_euler(angles)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    points = scale * PLACES @ rotation.T
    landmarks = np.full((478, 3), 0.5)
    landmarks[SKULL] = np.stack([0.5 + points[:, 0] / aspect, 0.5 - points[:, 1], points[:, 2]], axis=1)
    return landmarks


@given(st.floats(-60, 60), st.floats(-80, 80), st.floats(-170, 170), st.floats(0.5, 2.0))
def test_turn_is_the_angle_to_the_camera_whatever_the_roll(
    pitch: float, yaw: float, roll: float, aspect: float
) -> None:
    expected = np.degrees(np.arccos(np.cos(np.radians(pitch)) * np.cos(np.radians(yaw))))
    found = turn_of(seen(np.radians([pitch, yaw, roll]), aspect), aspect)
    assert abs(found - expected) < 0.1


def test_turn_of_many_frames() -> None:
    landmarks = np.stack([seen(np.radians([0, yaw, 0]), 1.5) for yaw in (0, 30, -75)])
    np.testing.assert_allclose(turn_of(landmarks, 1.5), [0, 30, 75], atol=0.1)


def test_box_and_rotation() -> None:
    np.testing.assert_allclose(box_of(np.array([[0.2, 0.6, 9], [0.5, 0.1, 9]])), [0.2, 0.1, 0.5, 0.6])
    np.testing.assert_allclose(rotation_of(np.diag([2.0, 2.0, 2.0, 1.0])), np.eye(3))
