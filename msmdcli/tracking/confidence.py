"""How far a tracked frame can be trusted, from what can be seen of it.

MediaPipe gives no score with its blendshapes, so this is a measure of our own, 0..1: the product of six factors, each 1
where nothing speaks against the frame. It is no probability.

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

from msmdcli.tracking.face_geometry import CHIN, FOREHEAD, SKULL

ROWS = 96  # to which a larger face is sampled before its sharpness is measured
FULL_SIZE = 100.0  # pixels
FULL_SHARPNESS = 0.07
FULL_CONTRAST = 12.0  # grey levels
JITTER = 0.02  # face heights
FREE_TURN = 30.0  # degrees


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
        turn: [M] degrees (`msmdcli.tracking.face_geometry.turn_of`).
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
