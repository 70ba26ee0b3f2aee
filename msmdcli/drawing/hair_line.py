"""A hair-line painted on the head that ships, which has no hair: short hair on the scalp, so that a forehead is seen as
one. Other heads have hair of their own, or none.

Lengths are in radii of the eyeball from the point between both eyes, as the painted brows' (`msmdcli.drawing.scene`);
the numbers were drawn on the head that ships.
"""

from __future__ import annotations

import numpy as np

from msmdcli.heads.gltf_head import source_of
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.paths import SHIPPED_HEAD

HAIR = (0.24, 0.22, 0.22)  # that the skin's colour is multiplied with
# Where the hair begins: how high, at each place from the front to the back of the head.
FORWARD = (-12.0, -7.2, -6.5, -6.1, -5.8, -4.2, -3.8, -3.3, -3.0, -2.2, -1.2, 0.0, 3.0)
HEIGHT = (-4.4, -4.4, -2.8, -0.6, 0.75, 0.75, -0.2, -0.6, 1.3, 2.9, 3.6, 4.1, 4.3)
RECEDES = 0.5  # above the temples
TEMPLES = (2.4, 3.6)  # to the side of the middle
SOFT = 0.55  # over which it begins


def is_bald(mesh: MeshDecoder) -> bool:
    """Whether a head is the one that ships."""
    return bool(mesh.source) and mesh.source == source_of(SHIPPED_HEAD, mesh.rig)


def hair_of(mesh: MeshDecoder) -> np.ndarray:
    """[V] 0..1: how thick the hair is; nothing on a head without eyeballs, and nowhere but on skin."""
    strength = np.zeros(mesh.size)
    if any(len(eyeball) == 0 for eyeball in mesh.eyes):
        return strength
    eyes = [mesh.neutral[eyeball] for eyeball in mesh.eyes]
    middle = np.mean([(points.min(axis=0) + points.max(axis=0)) / 2 for points in eyes], axis=0)
    radius = np.mean([np.ptp(points[:, 1]) for points in eyes]) / 2
    across, up, forward = ((mesh.neutral[mesh.skin] - middle) / radius).T.astype(np.float64)
    line = np.interp(forward, FORWARD, HEIGHT)
    low, high = TEMPLES
    line += RECEDES * np.clip((np.abs(across) - low) / (high - low), 0, 1) * np.clip((forward + 2.2) / 1.0, 0, 1)
    strength[mesh.skin] = np.clip((up - line) / SOFT + 0.5, 0, 1)
    return strength
