"""Where the eyes look within the head, from the irises.

The middle of an iris lies on a sphere about the middle of the eyeball, whose place in the head is known from the
corners of the eye. What the camera sees of it, across its own axis, gives the direction; the head's pose is then taken
off, so a turned head that goes on looking at the camera turns its eyes. Both eyes look at the same thing: their mean is
taken, and the lasting difference between them, which is the tracker's, is not. Behind closed lids the gaze is held.
"""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.face_correspondence import (
    LEFT_EYE_CORNERS,
    LEFT_IRIS,
    RIGHT_EYE_CORNERS,
    RIGHT_IRIS,
    FaceCorrespondence,
)
from msmdcli.tracking.rigid_pose import Pose
from msmdcli.tracking.sharp_smoothing import smooth

IRIS_RADIUS = 10.5  # mm from the middle of the eyeball to the plane of the iris, in adults
LOOK_DEGREES = 28.0  # that eyeLook channels at 1 turn an eye by, as the heads of MSMD are drawn
FARTHEST = 40.0  # degrees; eyes turn no farther
SHUT = 0.5  # closure of the lids beyond which the iris is not seen
JITTER = (0.2, 1.2)  # degrees: bounds of what is taken for jitter; a saccade is larger


def gaze_angles(
    seen: np.ndarray, pose: Pose, neutral: np.ndarray, closures: np.ndarray, face: FaceCorrespondence, fps: float
) -> np.ndarray:
    """Gaze within the head.

    Args:
        seen: [T, 478, 3] landmarks before the camera.
        pose: of the head, T frames.
        neutral: [V, 3] mm, the performer's resting face.
        closures: [T, 2] of the lids.
        face: has the eyeballs.
        fps: frames a second.

    Returns:
        [T, 2] degrees: to the person's own left, and up.
    """
    eyes = (
        (LEFT_IRIS, LEFT_EYE_CORNERS, face.eyeballs[0]),
        (RIGHT_IRIS, RIGHT_EYE_CORNERS, face.eyeballs[1]),
    )
    both = []
    for iris, corners, ball in eyes:
        middle = neutral[list(corners)].mean(axis=0) + ball - face.points[list(corners)].mean(axis=0)  # [3] mm
        centre = pose.scale[:, None] * (pose.rotation @ middle) + pose.shift  # [T, 3] before the camera
        across = (seen[:, iris, :2] - centre[:, :2]) / (pose.scale[:, None] * IRIS_RADIUS)  # [T, 2]
        length = np.linalg.norm(across, axis=1, keepdims=True)
        across *= np.minimum(1.0, np.sin(np.radians(FARTHEST + 20)) / np.maximum(length, 1e-9))
        forward = np.sqrt(np.maximum(1.0 - (across**2).sum(axis=1), 0.0))
        direction = np.einsum("tji,tj->ti", pose.rotation, np.column_stack([across, forward]))  # in the head
        yaw = np.degrees(np.arctan2(direction[:, 0], direction[:, 2]))
        pitch = np.degrees(np.arcsin(np.clip(direction[:, 1], -1, 1)))
        both.append(np.column_stack([yaw, pitch]))
    angles = np.stack(both, axis=1)  # [T, 2 eyes, 2]
    angles = np.clip(angles, -FARTHEST, FARTHEST)
    open_eyes = closures < SHUT  # [T, 2]
    if not open_eyes.any():
        return np.zeros((len(seen), 2))
    seen_both = open_eyes.all(axis=1)
    lasting = np.median(angles[seen_both, 0] - angles[seen_both, 1], axis=0) if seen_both.any() else np.zeros(2)
    angles[:, 0] -= lasting / 2
    angles[:, 1] += lasting / 2
    weights = open_eyes[..., None].astype(np.float64)
    mean = (angles * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)  # [T, 2]
    times, kept = np.arange(len(seen)), np.flatnonzero(_well_open(np.asarray(open_eyes.any(axis=1))))
    kept = kept if len(kept) else np.flatnonzero(open_eyes.any(axis=1))
    held = np.column_stack([np.interp(times, times[kept], mean[kept, axis]) for axis in range(2)])
    return smooth(held, fps, *JITTER)


def _well_open(open_eyes: np.ndarray) -> np.ndarray:
    """[T] without the pictures next to a closure, in which lashes pull the iris along."""
    padded = np.concatenate([open_eyes[:1], open_eyes, open_eyes[-1:]])
    return np.asarray(padded[:-2] & padded[1:-1] & padded[2:])


def resting_gaze(angles: np.ndarray) -> np.ndarray:
    """[2] degrees: where the eyes of a take rest, of angles [T, 2]."""
    return np.asarray(np.median(angles, axis=0))


def look_channels(angles: np.ndarray) -> dict[str, np.ndarray]:
    """eyeLook channels [T] each of gaze angles [T, 2] in degrees."""
    left, up = angles.T / LOOK_DEGREES
    values = {}
    for side, outward in (("Left", left), ("Right", -left)):
        for name, value in (("Out", outward), ("In", -outward), ("Up", up), ("Down", -up)):
            values[f"eyeLook{name}{side}"] = np.clip(value, 0.0, 1.0)
    return values
