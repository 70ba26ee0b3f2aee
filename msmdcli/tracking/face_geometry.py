"""One tracked face: where it is, which way it looks, and how far it can be trusted.

Confidence. MediaPipe gives no score with its blendshapes, so this is a measure of our own, 0..1: the product of six
factors, each 1 where nothing speaks against the frame. It is no probability.

    size        height of the face in pixels / 100
    sharpness   the mean step between neighbouring pixels of the face, sampled to some 96 rows, per contrast: blur
    light       contrast of the face, of 12 grey levels: darkness, glare
    steadiness  1 / (1 + (j / 0.02)^2), j the second difference in time of landmarks on the skull, in face heights:
                noise, a mesh that jumps
    turn        cos^2 of the turn beyond 30 degrees, 0.1 at least: half of the face is out of sight
    inside      share of the landmarks that lie within the picture

Checked by spoiling twelve real clips (made smaller, blurred, noisy, dark) and comparing what was tracked with what the
clean clip gave: its rank correlation with the error is about -0.4. What it cannot see is a hand before the mouth:
MediaPipe then invents a mouth that fits the face.
"""

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

ROWS = 96  # to which a larger face is sampled before its sharpness is measured
FULL_SIZE = 100.0  # pixels
FULL_SHARPNESS = 0.07
FULL_CONTRAST = 12.0  # grey levels
JITTER = 0.02  # face heights
FREE_TURN = 30.0  # degrees


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


def detail_of(picture: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    """Sharpness and contrast of a face.

    Args:
        picture: [H, W, 3] uint8.
        landmarks: [478, 3] in shares of the picture.
    """
    height, width = picture.shape[:2]
    x0, y0 = np.maximum(landmarks[:, :2].min(axis=0) * (width, height), 0).astype(int)
    x1, y1 = np.maximum(landmarks[:, :2].max(axis=0) * (width, height), 0).astype(int)
    face = picture[y0:y1, x0:x1, 1]  # green is nearly brightness
    step = max(1, len(face) // ROWS)
    face = face[::step, ::step].astype(np.float32)
    if min(face.shape) < 4:
        return 0.0, 0.0
    contrast = float(face.std())
    sharpness = float(np.abs(np.diff(face, axis=0)).mean()) / max(contrast, 1.0) * min(len(face), ROWS) / ROWS
    return sharpness, contrast


def confidence_of(
    landmarks: np.ndarray, details: np.ndarray, turn: np.ndarray, pictures: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Confidence [M] float64 in 0..1 of the faces in M pictures.

    Args:
        landmarks: [M, 478, 3] in shares of the picture.
        details: [M, 2] sharpness and contrast (`detail_of`).
        turn: [M] degrees (`turn_of`).
        pictures: [M] numbers of the pictures: steadiness is taken over three in a row.
        size: width and height of the pictures in pixels.
    """
    places = landmarks[..., :2].astype(np.float64)
    pixels = places * np.array(size)
    height = np.linalg.norm(pixels[:, FOREHEAD] - pixels[:, CHIN], axis=1)  # [M]
    inside = ((places >= 0) & (places <= 1)).all(axis=-1).mean(axis=-1)

    jitter = np.zeros(len(pixels))
    if len(pixels) > 2:
        skull = pixels[:, SKULL]  # [M, S, 2]
        second = skull[:-2] - 2 * skull[1:-1] + skull[2:]
        jump = np.sqrt((second**2).sum(axis=-1).mean(axis=-1)) / np.maximum(height[1:-1], 1.0)
        in_a_row = pictures[2:] - pictures[:-2] == 2
        jitter[1:-1] = np.where(in_a_row, jump, 0.0)

    factors = (
        np.clip(height / FULL_SIZE, 0, 1),
        np.clip(details[:, 0] / FULL_SHARPNESS, 0, 1),
        np.clip(details[:, 1] / FULL_CONTRAST, 0, 1),
        1 / (1 + (jitter / JITTER) ** 2),
        np.maximum(np.cos(np.radians(np.clip(turn - FREE_TURN, 0, 90))) ** 2, 0.1),
        inside,
    )
    return np.prod(factors, axis=0)
