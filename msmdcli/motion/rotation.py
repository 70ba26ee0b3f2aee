"""Rotations: Euler angles, quaternions and matrices; interpolated and smoothed over time, never as angles.

The rig's angles are [..., 3] pitch, yaw, roll in radians with R = Rz(roll) Ry(yaw) Rx(pitch); `rigs/arkit52.yaml` says
which way the axes point. Quaternions are [..., 4] in the order w, x, y, z.
"""

from __future__ import annotations

import numpy as np

REACH = 0.1  # s to either side that smoothing sees; passes nods and shakes (below some 6 Hz), stops frame jitter


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


def on_one_side(quaternions: np.ndarray, first_up: bool = False) -> np.ndarray:
    """The same rotations [T, 4], each in that sign (q and -q are one rotation) which lies nearer to the one before.

    Args:
        quaternions: [T, 4].
        first_up: whether the first one is brought to w >= 0; else it stays.
    """
    turned = np.array(quaternions, dtype=np.float64)
    if first_up and len(turned) and turned[0, 0] < 0:
        turned[0] = -turned[0]
    dots = np.sum(turned[1:] * turned[:-1], axis=-1)
    turned[1:] *= np.cumprod(np.where(dots < 0, -1.0, 1.0))[:, None]
    return turned


# ---- matrices --------------------------------------------------------------------------------------------------------


def matrix_of_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4]."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))  # [3, 3, ...] -> [..., 3, 3]


def rotation_of(transform: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] float64 of transformations [..., 4, 4]; scale is taken out."""
    columns = np.asarray(transform[..., :3, :3], np.float64)
    return columns / np.linalg.norm(columns, axis=-2, keepdims=True)


def quaternion_of_matrix(matrix: np.ndarray) -> np.ndarray:
    """The quaternion [4], w >= 0, of a rotation matrix [3, 3]; the nearest one of what is almost a rotation."""
    quaternion = np.linalg.eigh(_bar_itzhack(matrix), UPLO="U")[1][:, -1]
    return quaternion * np.sign(quaternion[0] or 1.0)


def quaternions_of_matrices(matrices: np.ndarray) -> np.ndarray:
    """Quaternions [T, 4], neighbours on the same side, of rotation matrices [T, 3, 3]; as `quaternion_of_matrix`."""
    return on_one_side(np.linalg.eigh(_bar_itzhack(matrices))[1][:, :, -1], first_up=True)


def _bar_itzhack(matrices: np.ndarray) -> np.ndarray:
    """[..., 4, 4] symmetric, of rotation matrices [..., 3, 3]: the eigenvector of the largest eigenvalue is the
    rotation's quaternion (Bar-Itzhack 2000)."""
    r = np.asarray(matrices, np.float64)
    k = np.empty((*r.shape[:-2], 4, 4))
    k[..., 0, 0] = r[..., 0, 0] + r[..., 1, 1] + r[..., 2, 2]
    k[..., 1, 1] = r[..., 0, 0] - r[..., 1, 1] - r[..., 2, 2]
    k[..., 2, 2] = r[..., 1, 1] - r[..., 0, 0] - r[..., 2, 2]
    k[..., 3, 3] = r[..., 2, 2] - r[..., 0, 0] - r[..., 1, 1]
    k[..., 0, 1] = k[..., 1, 0] = r[..., 2, 1] - r[..., 1, 2]
    k[..., 0, 2] = k[..., 2, 0] = r[..., 0, 2] - r[..., 2, 0]
    k[..., 0, 3] = k[..., 3, 0] = r[..., 1, 0] - r[..., 0, 1]
    k[..., 1, 2] = k[..., 2, 1] = r[..., 1, 0] + r[..., 0, 1]
    k[..., 1, 3] = k[..., 3, 1] = r[..., 0, 2] + r[..., 2, 0]
    k[..., 2, 3] = k[..., 3, 2] = r[..., 2, 1] + r[..., 1, 2]
    return k


# ---- over time -------------------------------------------------------------------------------------------------------


def slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations [n, 4] at `share` [n] of the shorter way from `first` [n, 4] to `second` [n, 4] (Shoemake 1985)."""
    dot = np.sum(first * second, axis=1)
    second = np.where((dot < 0)[:, None], -second, second)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6  # then the straight way is the same
    sine = np.where(near, 1.0, sine)
    a = np.where(near, 1 - share, np.sin((1 - share) * angle) / sine)
    b = np.where(near, share, np.sin(share * angle) / sine)
    mixed = a[:, None] * first + b[:, None] * second
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def interpolate_rotation(times: np.ndarray, quaternions: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rotations at times `at` [n], of `quaternions` [T, 4] at ascending `times` [T]; held before the first and after
    the last."""
    if len(times) == 1:
        return np.repeat(np.asarray(quaternions, np.float64), len(at), axis=0)
    after = np.clip(np.searchsorted(times, at, side="right"), 1, len(times) - 1)
    span = times[after] - times[after - 1]
    share = np.clip((at - times[after - 1]) / span, 0.0, 1.0)
    return slerp(quaternions[after - 1], quaternions[after], share)


def smooth_rotation(quaternions: np.ndarray, fps: float, reach: float = REACH) -> np.ndarray:
    """`quaternions` [T, 4] at a constant rate, smoothed over `reach` seconds to either side -> [T, 4].

    A local quadratic is fitted to each component (Savitzky and Golay 1964, on a time axis in seconds), so peaks of nods
    keep their height while the jitter of single frames goes. Within the window a head turns by little, and the fitted
    quaternion, brought to unit length, is the rotation meant.
    """
    q = on_one_side(quaternions, first_up=True)
    half = min(round(reach * fps), (len(q) - 1) // 2)
    if half < 2:  # fewer than five frames: a quadratic would follow every one of them
        return q
    # The ends are continued by point reflection.
    padded = np.concatenate([2 * q[:1] - q[half:0:-1], q, 2 * q[-1:] - q[-2 : -half - 2 : -1]])
    offsets = np.arange(-half, half + 1, dtype=np.float64)
    weights = np.linalg.pinv(np.vander(offsets, 3))[2]  # [2 half + 1]: the fitted value in the middle
    smoothed = sum(weight * padded[i : i + len(q)] for i, weight in enumerate(weights))
    return on_one_side(smoothed / np.linalg.norm(smoothed, axis=1, keepdims=True), first_up=True)


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
