"""What MediaPipe's landmarks do where a face moves: not quite what its skin does.

Lowered brows come down and draw together. On the ICT head `browDown` moves a brow inwards as far as down; MediaPipe's
brows hardly move inwards and come down farther, all of the inner half alike. Measured on 129 clips of people who talk
(lowered brows, 2 mm and more): middle 1.00 and outer end 0.57 of what the inner end moves down, inwards 0.20. Taken as
the skin, an angry brow was read at half its size. Wrinkled noses raise the wings by half of what the head's do. Pursed
lips come forward, which MediaPipe hardly sees: of the head's motion, 9 mm of a mouth's width and 9 mm forward, a mouth
that is narrower by those 9 mm was read as half pursed (10 clips that reach it).

The picture that these landmarks make is all that a solver sees, so the solver fits these motions; what it finds are
weights of the head's own channels.
"""

from __future__ import annotations

import numpy as np

# The inner end, the middle and the outer end of each brow; right is the person's own.
BROWS = {"Left": (285, 282, 276), "Right": (55, 52, 46)}
LOWERED = 5.0  # mm that the inner end of a brow comes down by at browDown 1: what furious people reach
ALONG = (1.0, 1.0, 0.58)  # of it: inner end, middle, outer end
INWARDS = 0.17  # of the way down
DEPTH = 0.3  # of the skin's own motion in depth
SNEER = 0.5  # of the skin's own motion under noseSneer
PUCKER = 0.7  # of the skin's own motion under mouthPucker


def seen_motions(channels: tuple[str, ...], points: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """[C, V, 3] mm that each channel at 1 moves the landmarks by.

    Args:
        channels: [C] names.
        points: [V, 3] landmarks at rest.
        deltas: [C, V, 3] what each channel does to the skin there.
    """
    seen = deltas.copy()
    for side, brow in BROWS.items():
        if f"browDown{side}" in channels:
            lowered = deltas[channels.index(f"browDown{side}")]
            across = np.abs(points[list(brow), 0])
            factor = LOWERED * np.array(ALONG) / np.abs(lowered[list(brow), 1])
            order = np.argsort(across)
            down = lowered[:, 1] * np.interp(np.abs(points[:, 0]), across[order], factor[order])
            inwards = INWARDS * down * (1.0 if side == "Left" else -1.0)
            seen[channels.index(f"browDown{side}")] = np.stack([inwards, down, DEPTH * lowered[:, 2]], axis=1)
        if f"noseSneer{side}" in channels:
            seen[channels.index(f"noseSneer{side}")] *= SNEER
    if "mouthPucker" in channels:
        seen[channels.index("mouthPucker")] *= PUCKER
    return seen
