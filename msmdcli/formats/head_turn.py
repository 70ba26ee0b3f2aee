"""Head motion on a character: from the rig's angles to the rotation of a node or joint, and back.

The rig's rotation R acts in the axes of the world. A node with rotation L at rest, below parents that together are
rotated by P, gets the rotation P^-1 R P L, so that in the world the head turns by R.
"""

from __future__ import annotations

import numpy as np

from msmdcli.motion.key_reduction import KeyCount, reduce_together
from msmdcli.motion.rotation import euler_from_quaternion, interpolate_rotation, inverse, multiply, on_one_side

NONE = "none"  # as a name: no head motion
HEAD_NAMES = ("head", "headnode", "head_joint", "headbone", "c_head", "bip001 head", "j_bip_c_head")
ANGLE_PER_QUATERNION = 4.0  # a difference of d in each component is an angle of up to 4 d
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def is_head(name: str) -> bool:
    """Whether a node or joint is called head, in any case, behind any path or namespace."""
    return name.rsplit("/", 1)[-1].rsplit(":", 1)[-1].lower() in HEAD_NAMES


def to_node(world: np.ndarray, parents: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The rotations [T, 4] of a node that turn the head by `world` [T, 4] in the rig's axes."""
    return on_one_side(multiply(multiply(multiply(inverse(parents), world), parents), rest))


def angles_from_node(turned: np.ndarray, parents: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The inverse of `to_node`: head pitch, yaw, roll [T, 3], without jumps, from rotations [T, 4] of any length."""
    world = multiply(multiply(multiply(parents, turned), inverse(rest)), inverse(parents))
    return np.unwrap(euler_from_quaternion(world), axis=0)


def reduced_rotation(rotations: np.ndarray, tolerance: float | None) -> tuple[np.ndarray, KeyCount | None]:
    """Keys of rotations [T, 4]. The tolerance is an angle; the error is measured as one, with the keys interpolated."""
    if tolerance is None:
        return np.arange(len(rotations)), None
    keys, count = reduce_together(rotations, tolerance / ANGLE_PER_QUATERNION)
    assert count is not None
    between = interpolate_rotation(keys, rotations[keys], np.arange(len(rotations)))
    half = np.abs(np.sum(between * rotations, axis=1)).clip(0, 1)
    sine = np.linalg.norm(multiply(inverse(rotations), between)[:, 1:], axis=1)
    error = float((2 * np.arctan2(sine, half)).max())
    return keys, KeyCount(count.before // 4 * 3, count.after // 4 * 3, error)
