"""The straight line from an ear's mouth curves to the mouth's channels, known before training.

Learned by gradient descent, the line follows whatever most of the training is: made voices, and the jaw of people in
the wild falls back by a tenth. So it is fitted in closed form and then left alone. A channel that the ear has a curve
for follows that curve and no other: the mixture of curves that suits made voices best costs people in the wild a sixth
of their jaw. Only channels without a curve are mixed. Style and network size the line and add to it
(`training.network.mouth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError
from msmdcli.motion.rig import Rig
from training.data.dataset import PairBatches
from training.network.ear import EAR_FILE, EarConfig, load_ear
from training.network.objective import region_columns

WINDOWS = 1280
RIDGE = 0.01  # in units of the curves' mean variance

Array = NDArray[np.float32]


def mouth_columns(rig: Rig) -> tuple[int, ...]:
    """The channels of jaw and lips, which the mouth's own path gives."""
    return tuple(sorted({*region_columns(rig, "jaw").tolist(), *region_columns(rig, "lips").tolist()}))


def ear_curves(run: Path, config: EarConfig, rig: Rig) -> tuple[int, ...]:
    """[heard] the channels of the mouth curves of a run's ear.

    Raises:
        MsmdError: the run holds no ear, or one of another configuration.
    """
    return tuple(rig.index(name) for name in load_ear(run / EAR_FILE, config).channels)


def fit_mouth_line(
    batches: PairBatches, curves: Sequence[int], columns: Sequence[int], audio_mean: Array, audio_std: Array
) -> Array:
    """The matrix [m, heard] from standardised curves to normalised motion; each window's mean is left out, since the
    resting pose is the style's business.

    Args:
        batches: the training data, in normalised channels; its first windows are looked at, as they are augmented.
        curves: [heard] the channel that each of the first audio features, the ear's mouth curves, stands for.
        columns: [m] the mouth's channels.
        audio_mean, audio_std: [C] of the features.

    Raises:
        UsageError: a data set without sound.
    """
    P, heard = batches.previous, len(curves)
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
    solution = np.linalg.solve(xx + RIDGE * np.trace(xx) / heard * np.eye(heard), xy)  # [heard, m]
    for j, column in enumerate(columns):
        if column in curves:
            own = curves.index(column)
            solution[:, j] = 0.0
            solution[own, j] = xy[own, j] / max((1.0 + RIDGE) * xx[own, own], 1e-9)
    return np.ascontiguousarray(solution.T, np.float32)
