"""How far the lids are closed, by two witnesses and two eyes.

The opening between the lids' landmarks is exact while the lids are open and least sure where they meet: on some faces
the landmarks of shut lids stay a quarter of the opening apart. MediaPipe's score for a blink is vague about open eyes
(it is low for all of them) and sees lashes on a cheek. So the further the lids close, the more the score counts. And
eyes blink together: what one eye does otherwise than the other changes slowly, unless it is a wink.
"""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.contact import complete_blinks
from msmdcli.tracking.sharp_smoothing import smooth

SHUT_SCORE = 0.66  # eyeBlink of eyes that are shut (median of 69 frames labelled by eye)
LEAST_SHUT_SCORE = 0.54  # of a person whose score comes to less, as that of a take's blinks shows
HEARD = (0.45, 0.7)  # closures between which the score begins to count
SHARE = 0.5  # how much it counts then
SHUT_TOGETHER = (0.6, 0.8)  # closures of the eye that is less shut: below it is a wink, above it follows the other one
JITTER = 0.015  # at most, of both eyes together: lids are quick
JITTER_OF_DIFFERENCE = 0.03  # at most, of what they do apart


def lid_closures(gaps_closed: np.ndarray, blinks: np.ndarray, fps: float) -> np.ndarray:
    """Closures [T, 2] of the left and the right eye: 0 as at rest, 1 shut, below 0 wider than at rest.

    Args:
        gaps_closed: [T, 2] by the opening between the landmarks (`lid_range.LidRange.closures`).
        blinks: [T, 2] MediaPipe's scores.
        fps: frames a second.
    """
    heard = SHARE * _ramp(gaps_closed, HEARD)
    closures = (1.0 - heard) * gaps_closed + heard * blinks / shut_scores(blinks)
    most = closures.max(axis=1, keepdims=True)
    closures = closures + _ramp(closures, SHUT_TOGETHER) * (most - closures)
    closures = complete_blinks(closures, fps)
    both = smooth(closures.mean(axis=1, keepdims=True), fps, most=JITTER)
    apart = smooth((closures[:, :1] - closures[:, 1:]) / 2, fps, most=JITTER_OF_DIFFERENCE)
    return np.concatenate([both + apart, both - apart], axis=1)


def shut_scores(blinks: np.ndarray) -> np.ndarray:
    """[2] what scores [T, 2] come to where the eyes are shut."""
    highest = np.quantile(blinks, 0.99, axis=0)
    return np.asarray(np.where(highest < LEAST_SHUT_SCORE, SHUT_SCORE, np.minimum(highest, SHUT_SCORE)))


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 up to the first end, 1 from the second."""
    return np.asarray(np.clip((values - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0))
