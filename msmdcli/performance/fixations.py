"""Eyes that look at something: generated gaze comes to rest, and jumps.

Eyes hold a point in the room, whatever the head does, and go from one to the next in some 70 ms (Leigh and Zee, "The
Neurology of Eye Movements", 2015). A diffusion whose noise is Gaussian gives neither: its gaze drifts and trembles all
the time. What it says well is where somebody looks and for how long, and that is kept: the gaze in the room (eyes and
head together) becomes the nearest curve of points that are held, each jump of which must be worth its while, and the
head's turn is taken off again.

The curve is the exact solution of the piecewise constant fit, by dynamic programming over the last frame of each
fixation (Jackson et al., "An algorithm for optimal partitioning of data on an interval", 2005).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.rig import Rig

Array = NDArray[np.float64]

YAW_RANGE, UP_RANGE, DOWN_RANGE = 35.0, 25.0, 30.0  # degrees at which a channel is fully on: the eye's comfortable ones
LOOKS = [f"eyeLook{way}{side}" for side in ("Left", "Right") for way in ("Out", "In", "Up", "Down")]
SHORTEST = 0.12  # seconds of a fixation
LONGEST = 6.0  # seconds: where nothing jumps for longer, a new point is as good as the old one
WORTH = 1.0  # squared distance that a jump must save, summed over frames, in units of the gaze's variance
LEAST = 0.3  # degrees of deviation under which a gaze is at rest already


def rested_gaze(values: Array, rig: Rig, fps: float, wider: float = 1.0) -> Array:
    """Motion [T, D] whose eyes rest on points and jump between them; as it is on a rig without eyes.

    Args:
        values: motion, on `rig`; with a head rotation the eyes rest in the room, without one in the head.
        fps: its rate.
        wider: by how much the points lie further apart than they were generated.
    """
    if not set(LOOKS) <= set(rig.channels) or len(values) < 2:
        return values
    columns = np.array([rig.channels.index(name) for name in LOOKS]).reshape(2, 4)  # eyes; out, in, up, down
    eyes = np.stack([_degrees(values[:, own], mirrored) for own, mirrored in zip(columns, (1, -1), strict=True)])
    head = np.zeros((len(values), 2))
    if rig.rotation_indices is not None:
        pitch, yaw, _ = rig.rotation_indices
        head = np.degrees(values[:, [yaw, pitch]])
    both = eyes.mean(axis=0)  # [T, 2] degrees: to the person's left, and down
    points = held_points(both + head, fps)
    middle = points.mean(axis=0)
    turned = middle + wider * (points - middle) - head
    made = values.copy()
    for own, mirrored, angles in zip(columns, (1, -1), eyes, strict=True):
        lasting = (angles - both).mean(axis=0)  # how far this eye looks past the other, all along
        made[:, own] = _channels(turned + lasting, mirrored)
    return made


def held_points(gaze: Array, fps: float) -> Array:
    """The piecewise constant curve nearest to gaze [T, 2] in degrees, its jumps over three frames."""
    T = len(gaze)
    variance = float(gaze.var(axis=0).sum())
    if variance < LEAST**2:
        return np.tile(gaze.mean(axis=0), (T, 1))
    price = WORTH * variance * fps / 25
    shortest, longest = max(2, round(SHORTEST * fps)), round(LONGEST * fps)
    centred = gaze - gaze.mean(axis=0)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(centred, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((centred**2).sum(axis=1))])
    best, first = np.full(T + 1, np.inf), np.zeros(T + 1, np.int64)
    best[0] = 0.0
    for end in range(1, T + 1):
        starts = np.arange(max(0, end - longest), max(1, end - shortest + 1))
        frames = end - starts
        cost = squares[end] - squares[starts] - ((sums[end] - sums[starts]) ** 2).sum(axis=1) / frames
        total = best[starts] + cost + price
        pick = int(np.argmin(total))
        best[end], first[end] = total[pick], starts[pick]
    held = np.empty_like(gaze)
    end = T
    while end > 0:
        start = int(first[end])
        held[start:end] = gaze[start:end].mean(axis=0)
        end = start
    width = max(1, round(fps / 25))
    kernel = np.array([0.25, 0.5, 0.25]).repeat(width) / width
    reach = len(kernel) // 2
    padded = np.pad(held, ((reach, len(kernel) - 1 - reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in range(2)], axis=1)


def _degrees(looks: Array, outward: int) -> Array:
    """[T, 2] to the person's left and down, of channels [T, 4]; `outward`: 1 where out is left."""
    out, inward, up, down = looks.T
    return np.column_stack([outward * (out - inward) * YAW_RANGE, down * DOWN_RANGE - up * UP_RANGE])


def _channels(angles: Array, outward: int) -> Array:
    """What `_degrees` was made of."""
    yaw, pitch = outward * angles[:, 0] / YAW_RANGE, angles[:, 1]
    ways = (yaw, -yaw, -pitch / UP_RANGE, pitch / DOWN_RANGE)
    return np.column_stack([np.clip(way, 0.0, 1.0) for way in ways])
