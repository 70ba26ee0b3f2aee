"""The straight line from an ear's mouth curves to the mouth's channels, known before training.

Learned by gradient descent, the line follows whatever most of the training is: made voices, and the jaw of people in
the wild falls back by a tenth. Fitted in closed form over the whole mixture and then left alone, it keeps what the ear
heard from real people; style and network size it and add to it (`training.network.mouth`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError
from msmdcli.motion.rig import Rig
from training.data.dataset import PairBatches
from training.network.objective import region_columns

WINDOWS = 1280
RIDGE = 0.01  # in units of the curves' mean variance

Array = NDArray[np.float32]


def mouth_columns(rig: Rig) -> tuple[int, ...]:
    """The channels of jaw and lips, which the mouth's own path gives."""
    return tuple(sorted({*region_columns(rig, "jaw").tolist(), *region_columns(rig, "lips").tolist()}))


def fit_mouth_line(
    batches: PairBatches, heard: int, columns: Sequence[int], audio_mean: Array, audio_std: Array
) -> Array:
    """The matrix [m, heard] from standardised curves to normalised motion; each window's mean is left out, since the
    resting pose is the style's business.

    Args:
        batches: the training data, in normalised channels; its first windows are looked at, as they are augmented.
        heard: how many of the first audio features are mouth curves.
        columns: [m] the mouth's channels.
        audio_mean, audio_std: [C] of the features.

    Raises:
        UsageError: a data set without sound.
    """
    P = batches.previous
    xx, xy = np.zeros((heard, heard)), np.zeros((heard, len(columns)))
    for index in range(min(len(batches), -(-WINDOWS // (2 * batches.batch)))):
        batch = batches[index]
        for row in np.flatnonzero(batch["silent"] == 0):
            length = int(batch["mask"][row].sum())
            sound = (batch["audio"][row, P : P + length, :heard] - audio_mean[:heard]) / audio_std[:heard]
            mouth = batch["motion"][row, :length, columns].T  # [T, m]
            sound, mouth = sound - sound.mean(0), mouth - mouth.mean(0)
            xx += sound.T @ sound
            xy += sound.T @ mouth
    if not xx.any():
        raise UsageError("the data set has no sound to hear a mouth in", hint="set model.mouth_width: 0")
    solution = np.linalg.solve(xx + RIDGE * np.trace(xx) / heard * np.eye(heard), xy)
    return np.ascontiguousarray(solution.T, np.float32)
