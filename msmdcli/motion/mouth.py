"""The mouth of a motion: how far it is open, how fast it moves, and its pose at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

Array = NDArray[np.float32]

# What parts the lips, with its share, and what brings them together.
PARTS = {"jawOpen": 1.0, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25, "mouthUpperUpLeft": 0.25}
PARTS |= {"mouthUpperUpRight": 0.25, "mouthClose": -1.0, "mouthRollLower": -0.25, "mouthRollUpper": -0.25}
REST_WINDOW = 0.24  # seconds: a resting mouth is closed and still for so long
REST_SHARE = 0.08  # share of a clip's frames that are taken for rest
STILLNESS = 4.0  # how much a change per frame counts beside the opening, in search of rest
MOUTH_REGIONS = ("jaw", "lips", "tongue")
MOUTH_FPS = 25  # at which `health.STILL_MOUTH` was found


def mouth_opening(values: NDArray[np.floating], rig: Rig) -> NDArray[np.float64]:
    """[T] how far the lips are apart, in units of jawOpen: no measure in mm, but enough to find where they close."""
    opening = np.zeros(len(values))
    for name, share in PARTS.items():
        if name in rig.channels:
            opening += share * values[:, rig.channels.index(name)]
    return opening


def mouth_speed(motion: Motion) -> float:
    """Mean change of the mouth (jaw and lip channels) in rig units per frame of 25 fps."""
    regions = [motion.rig.indices(name) for name in ("jaw", "lips") if name in motion.rig.regions]
    values = motion.resample(MOUTH_FPS).values[:, np.concatenate(regions)] if regions else np.zeros((0, 1))
    return float(np.abs(np.diff(values, axis=0)).mean()) if len(values) > 1 else float("inf")


def resting_pose(motion: Motion) -> Array:
    """[D] the pose of a clip while its mouth is closed and still: the median over its quietest frames.

    A mouth that closes for a p, b or m is neither: the search looks at `REST_WINDOW` seconds at a time.
    """
    values, rig = motion.values, motion.rig
    mouth = [column for region in MOUTH_REGIONS if region in rig.regions for column in rig.indices(region)]
    speed = np.zeros(len(values))
    if mouth and len(values) > 1:
        speed[1:] = np.abs(np.diff(values[:, mouth], axis=0)).mean(axis=1)
    cost = np.maximum(mouth_opening(values, rig), 0) + STILLNESS * speed
    width = min(len(values), max(1, round(REST_WINDOW * float(motion.fps))))
    padded = np.pad(cost, (width // 2, width - 1 - width // 2), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, width).mean(axis=1)  # [T]
    count = max(1, round(REST_SHARE * len(values)))
    return np.median(values[np.argsort(around, kind="stable")[:count]], axis=0).astype(np.float32)
