"""Geometry of one tracked face: where it is, and which way it looks."""

from __future__ import annotations

import numpy as np

FOREHEAD, CHIN = 10, 152  # landmarks on the midline, at the top and at the bottom of the face

# Landmarks that move with the skull (forehead, corners of the eyes, rims of the face before the ears, nose) and their
# places in MediaPipe's canonical face, in cm: x to the person's left, y up, z out of the face.
# Source: canonical_face_model.obj of MediaPipe's face geometry module (Apache-2.0).
_SKULL = (
    (10, 0.00, 8.26, 4.48),
    (109, -1.89, 8.24, 4.27),
    (338, 1.89, 8.24, 4.27),
    (67, -3.52, 8.01, 3.73),
    (297, 3.52, 8.01, 3.73),
    (33, -4.45, 2.66, 3.17),
    (263, 4.45, 2.66, 3.17),
    (133, -1.86, 2.59, 3.76),
    (362, 1.86, 2.59, 3.76),
    (127, -7.74, 2.36, -2.01),
    (356, 7.74, 2.36, -2.01),
    (234, -7.66, 0.67, -2.44),
    (454, 7.66, 0.67, -2.44),
    (93, -7.54, -1.05, -2.43),
    (323, 7.54, -1.05, -2.43),
    (129, -1.79, -0.98, 4.85),
    (358, 1.79, -0.98, 4.85),
    (168, 0.00, 3.27, 5.24),
    (6, 0.00, 2.47, 5.79),
    (195, 0.00, 1.06, 6.77),
    (4, 0.00, -0.46, 7.59),
    (1, 0.00, -1.13, 7.48),
    (2, 0.00, -2.09, 6.06),
)
SKULL = [row[0] for row in _SKULL]
_FIT = np.linalg.pinv(np.array([(*row[1:], 1.0) for row in _SKULL]))[:3]  # [3, S]: places in a picture -> A's columns


def rotation_of(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrices [..., 3, 3] float64 of transformations [..., 4, 4]; scale is taken out."""
    columns = np.asarray(matrix[..., :3, :3], np.float64)
    return columns / np.linalg.norm(columns, axis=-2, keepdims=True)


def box_of(landmarks: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 in shares of the picture [..., 4] around landmarks [..., N, 3]."""
    places = landmarks[..., :2]
    return np.concatenate([places.min(axis=-2), places.max(axis=-2)], axis=-1)


def turn_of(landmarks: np.ndarray, aspect: float) -> np.ndarray:
    """Degrees [...] by which a face looks away from the camera, to any side, up or down; 0 is frontal.

    The canonical skull is fitted to the landmarks as a camera far away would see it: x, y = A X + b with A any [2, 3]
    (least squares). Turning the head by theta shrinks the face within the picture and spreads out its depth, so
    tan(theta) = |A's column of depth| / (area of A's other two columns / scale); tilting it in the plane of the picture
    changes neither. Only where landmarks lie in the picture is used, not the depth that MediaPipe believes in: the
    turn that its transformation matrix tells falls short from 30 degrees on (36 of 45, 46 of 60) and stops at some 25
    in many true profiles. On a rendered head this measure is right to 5 degrees up to 60; beyond, it stays above 55
    until, at some 75 degrees, no face is found any more.

    Args:
        landmarks: [..., 478, 3] in shares of the picture.
        aspect: width / height of the picture.
    """
    places = landmarks[..., SKULL, :2] * np.array([aspect, -1.0])  # [..., S, 2], y up
    fit = np.einsum("ks,...sc->...ck", _FIT, places)  # [..., 2, 3]
    scale = np.sqrt((fit**2).sum(axis=(-2, -1)) / 2)
    area = fit[..., 0, 0] * fit[..., 1, 1] - fit[..., 0, 1] * fit[..., 1, 0]
    depth = np.linalg.norm(fit[..., 2], axis=-1)
    return np.degrees(np.arctan2(depth * scale, area))
