"""Where a face of known shape stands: the similarity that carries points onto others, and small corrections.

V points, T frames. Lengths are in the unit of the points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def similarity(
    source: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The similarity that brings source [V, 3] nearest to targets [T, V, 3]: scale [T], rotation [T, 3, 3], shift
    [T, 3].

    Weighted orthogonal Procrustes: target = scale * rotation @ source + shift (Umeyama 1991).
    """
    share = weights / weights.sum()
    centre = share @ source  # [3]
    centres = np.einsum("v,tvi->ti", share, targets)  # [T, 3]
    own, theirs = source - centre, targets - centres[:, None]
    covariance = np.einsum("v,tvi,vj->tij", share, theirs, own)  # [T, 3, 3]
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(u @ vt))  # [T]
    u[..., 2] *= sign[:, None]
    singular[:, 2] *= sign
    rotation = u @ vt
    scale = singular.sum(axis=1) / float(share @ (own**2).sum(axis=1))
    return scale, rotation, centres - scale[:, None] * (rotation @ centre)


@dataclass(frozen=True, eq=False)
class Pose:
    """T similarities: point of the camera = scale * rotation @ point of the head + shift."""

    scale: np.ndarray  # [T]
    rotation: np.ndarray  # [T, 3, 3]
    shift: np.ndarray  # [T, 3]

    @classmethod
    def of(cls, head: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> Pose:
        """Of a head [V, 3] that is seen as points [T, V, 3]."""
        return cls(*similarity(head, seen, weights))

    def to_head(self, seen: np.ndarray) -> np.ndarray:
        """Points of the camera [T, V, 3] as points of the head."""
        return np.einsum("tvi,tij->tvj", seen - self.shift[:, None], self.rotation) / self.scale[:, None, None]

    def moved(self, motion: np.ndarray, centre: np.ndarray) -> Pose:
        """The pose after a small motion of the head [T, 7] about its centre [3] (the modes of `small_motions`)."""
        turn = rotations(motion[:, :3])
        scale = self.scale * (1 + motion[:, 3])
        shift = self.shift + self.scale[:, None] * np.einsum("tij,tj->ti", self.rotation, motion[:, 4:] + centre)
        rotation = self.rotation @ turn
        return Pose(scale, rotation, shift - scale[:, None] * (rotation @ centre))


def small_motions(points: np.ndarray) -> np.ndarray:
    """How points [V, 3] move under a small similarity about the origin: [7, V, 3] for a turn about x, y and z in
    radians, growth, and a shift along x, y and z."""
    x, y, z = points.T
    none = np.zeros(len(points))
    turns = [np.stack(axes, axis=1) for axes in ((none, -z, y), (z, none, -x), (-y, x, none))]
    shifts = [np.tile(axis, (len(points), 1)) for axis in np.eye(3)]
    return np.stack([*turns, points, *shifts])


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices [T, 3, 3] of rotation vectors [T, 3] in radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)
    axis = vectors / np.maximum(angle, 1e-12)[:, None]
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= cross.transpose(0, 2, 1)
    sine, rest = np.sin(angle)[:, None, None], (1 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + rest * cross @ cross
