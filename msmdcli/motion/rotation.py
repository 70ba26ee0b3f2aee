"""Head rotation: Euler angles and quaternions.

The rig's angles are [..., 3] pitch, yaw, roll in radians with R = Rz(roll) Ry(yaw) Rx(pitch); `rigs/arkit52.yaml` says
which way the axes point.
Quaternions are [..., 4] in the order w, x, y, z.
"""

from __future__ import annotations

import numpy as np


def quaternion_from_euler(angles: np.ndarray) -> np.ndarray:
    """Quaternions [..., 4] of the rig's angles [..., 3]."""
    pitch, yaw, roll = np.moveaxis(np.asarray(angles, dtype=np.float64), -1, 0)
    return multiply(multiply(_about(2, roll), _about(1, yaw)), _about(0, pitch))


def euler_from_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """The rig's angles [..., 3] of quaternions [..., 4] of any length but zero; yaw within +-90 degrees."""
    w, x, y, z = _normalised(quaternions)
    pitch = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    yaw = np.arcsin(np.clip(2 * (w * y - z * x), -1, 1))
    roll = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([pitch, yaw, roll], axis=-1)


def quaternion_from_engine(angles: np.ndarray) -> np.ndarray:
    """Quaternions of angles [..., 3] pitch, yaw, roll about the same axes in the order of game engines, Ry Rx Rz."""
    pitch, yaw, roll = np.moveaxis(np.asarray(angles, dtype=np.float64), -1, 0)
    return multiply(multiply(_about(1, yaw), _about(0, pitch)), _about(2, roll))


def engine_from_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """The inverse of `quaternion_from_engine`; pitch within +-90 degrees."""
    w, x, y, z = _normalised(quaternions)
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    yaw = np.arctan2(2 * (w * y + x * z), 1 - 2 * (x * x + y * y))
    roll = np.arctan2(2 * (w * z + x * y), 1 - 2 * (x * x + z * z))
    return np.stack([pitch, yaw, roll], axis=-1)


def nearest_euler(angles: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The same rotations as the rig's `angles` [..., 3], in the angles that lie nearest to `reference` [..., 3].

    A rotation has two triples of Euler angles, (p, y, r) and (p + pi, pi - y, r + pi), each up to whole turns.
    """
    pitch, yaw, roll = np.moveaxis(np.asarray(angles, dtype=np.float64), -1, 0)
    candidates = np.stack(
        [np.stack([pitch, yaw, roll], axis=-1), np.stack([pitch + np.pi, np.pi - yaw, roll + np.pi], axis=-1)]
    )  # [2, ..., 3]
    turn = 2 * np.pi
    candidates = candidates + turn * np.round((reference - candidates) / turn)
    distance = np.abs(candidates - reference).sum(axis=-1)  # [2, ...]
    return np.where((distance[1] < distance[0])[..., None], candidates[1], candidates[0])


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product of [..., 4] and [..., 4]: first b, then a."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def inverse(quaternions: np.ndarray) -> np.ndarray:
    """The opposite rotations of unit quaternions [..., 4]."""
    return np.asarray(quaternions, dtype=np.float64) * (1.0, -1.0, -1.0, -1.0)


def on_one_side(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations [T, 4], each in that sign (q and -q are one rotation) which lies nearer to the one before."""
    turned = np.array(quaternions, dtype=np.float64)
    dots = np.sum(turned[1:] * turned[:-1], axis=-1)
    turned[1:] *= np.cumprod(np.where(dots < 0, -1.0, 1.0))[:, None]
    return turned


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """Quaternion [..., 4] of a turn by `angle` [...] about x (0), y (1) or z (2)."""
    quaternion = np.zeros((*np.shape(angle), 4))
    quaternion[..., 0] = np.cos(angle / 2)
    quaternion[..., 1 + axis] = np.sin(angle / 2)
    return quaternion


def _normalised(quaternions: np.ndarray) -> np.ndarray:
    """[..., 4] -> four arrays w, x, y, z of unit length."""
    q = np.asarray(quaternions, dtype=np.float64)
    return np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
