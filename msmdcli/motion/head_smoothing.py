"""Head rotation over time, as rotations: interpolated and smoothed as quaternions, never as angles.

A local quadratic is fitted to each component of the quaternion (Savitzky and Golay 1964, on a time axis in seconds), so
peaks of nods keep their height while the jitter of single frames goes. Within the window a head turns by little, and
the fitted quaternion, brought to unit length, is the rotation meant.
"""

from __future__ import annotations

import numpy as np

REACH = 0.1  # s to either side that the fit sees; passes nods and shakes (below some 6 Hz), stops frame jitter


def quaternions_of(rotations: np.ndarray) -> np.ndarray:
    """Quaternions [T, 4] (w, x, y, z; neighbours on the same side) of rotation matrices [T, 3, 3].

    The eigenvector method of Bar-Itzhack (2000): exact for rotations, the nearest one for what is almost a rotation.
    """
    r = np.asarray(rotations, np.float64)
    k = np.empty((len(r), 4, 4))
    k[:, 0, 0] = r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2]
    k[:, 1, 1] = r[:, 0, 0] - r[:, 1, 1] - r[:, 2, 2]
    k[:, 2, 2] = r[:, 1, 1] - r[:, 0, 0] - r[:, 2, 2]
    k[:, 3, 3] = r[:, 2, 2] - r[:, 0, 0] - r[:, 1, 1]
    k[:, 0, 1] = k[:, 1, 0] = r[:, 2, 1] - r[:, 1, 2]
    k[:, 0, 2] = k[:, 2, 0] = r[:, 0, 2] - r[:, 2, 0]
    k[:, 0, 3] = k[:, 3, 0] = r[:, 1, 0] - r[:, 0, 1]
    k[:, 1, 2] = k[:, 2, 1] = r[:, 1, 0] + r[:, 0, 1]
    k[:, 1, 3] = k[:, 3, 1] = r[:, 0, 2] + r[:, 2, 0]
    k[:, 2, 3] = k[:, 3, 2] = r[:, 2, 1] + r[:, 1, 2]
    return one_sided(np.linalg.eigh(k)[1][:, :, -1])


def one_sided(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations [T, 4] with each quaternion on its neighbour's side (q and -q are one rotation)."""
    q = np.array(quaternions, np.float64)
    if len(q) and q[0, 0] < 0:
        q[0] = -q[0]
    dots = np.sum(q[1:] * q[:-1], axis=1)
    q[1:] *= np.cumprod(np.where(dots < 0, -1.0, 1.0))[:, None]
    return q


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
    """`quaternions` [T, 4] at a constant rate, smoothed over `reach` seconds to either side -> [T, 4]."""
    q = one_sided(quaternions)
    half = min(round(reach * fps), (len(q) - 1) // 2)
    if half < 2:  # fewer than five frames: a quadratic would follow every one of them
        return q
    padded = np.concatenate(
        [2 * q[:1] - q[half:0:-1], q, 2 * q[-1:] - q[-2 : -half - 2 : -1]]
    )  # ends: point reflection
    offsets = np.arange(-half, half + 1, dtype=np.float64)
    weights = np.linalg.pinv(np.vander(offsets, 3))[2]  # [2 half + 1]: the fitted value in the middle
    smoothed = sum(weight * padded[i : i + len(q)] for i, weight in enumerate(weights))
    return one_sided(smoothed / np.linalg.norm(smoothed, axis=1, keepdims=True))
