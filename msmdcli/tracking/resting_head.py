"""The direction in which a performer's head rests, and head angles relative to it.

A camera that stands beside a performer sees a turned head for the whole take. That turn is the camera's and no
performance, so angles are told from the performer's own resting direction; how it was seen is kept beside them.
"""

from __future__ import annotations

import numpy as np

from msmdcli.motion.rotation import inverse, multiply

ROUNDS = 10
NEAR = np.radians(2.0)  # rotations nearer to the rest than this count alike


def resting_direction(head: np.ndarray) -> np.ndarray:
    """The rotation [4] about which head rotations [T, 4] lie: their geometric median.

    Weiszfeld's iteration on the mean of quaternions (Markley, Cheng, Crassidis and Oshman 2007).
    """
    weights = np.ones(len(head))
    rest = head[0]
    for _ in range(ROUNDS):
        rest = np.linalg.eigh((head * weights[:, None]).T @ head)[1][:, -1]
        angle = 2 * np.arccos(np.clip(np.abs(head @ rest), 0.0, 1.0))
        weights = 1 / np.maximum(angle, NEAR)
    return np.asarray(rest if rest[0] >= 0 else -rest)


def relative_to(rest: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Head rotations [T, 4] as they are from a resting direction [4]."""
    return multiply(np.broadcast_to(inverse(rest), head.shape), head)
