"""The correlation of movement over frames, measured on the training data for `training.network.prior`."""

from __future__ import annotations

from collections import Counter
from copy import copy

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import PairBatches
from training.network.prior import LEAST

WINDOWS = 2560
HALF = 0.1  # variance, in units of the movement, from which on windows count nearly alike


def movement_correlation(batches: PairBatches, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """How alike two frames are, by how far they lie apart: their correlation.

    It comes from the differences between frames (the variogram, Matheron 1963), not from their products: faces are
    slow, and what is left of the difference of two products would be the error of either. Windows that hold a channel
    still say little of it; those that were cut short say nothing.

    Args:
        batches: the training data, in normalised channels; its first windows are looked at, as they are augmented.
        columns: [D'] the channels.

    Returns:
        [D', P + N] of frames 0, 1, ... apart.
    """
    P, N = batches.previous, batches.window
    apart, counted = np.zeros((P + N, len(columns))), np.zeros((P + N, len(columns)))
    for index in range(min(len(batches), -(-WINDOWS // (2 * batches.batch)))):
        batch = batches[index]
        full = batch["mask"].all(axis=1)
        motion = np.concatenate([batch["previous"], batch["motion"]], axis=1)[full][..., columns].astype(np.float64)
        follows = batch["start"][full] < 0.5
        size = motion[:, P:].var(axis=1) + LEAST**2  # [R, D']
        weight = 1.0 / (size + HALF)
        for lag in range(1, P + N):
            square = (motion[:, lag:] - motion[:, :-lag]) ** 2 / 2  # [R, P + N - lag, D']
            whole = square[follows].sum(axis=1)
            square = square[~follows, P:]  # without frames before, the first P are none
            apart[lag] += (whole * weight[follows]).sum(0) + (square.sum(1) * weight[~follows]).sum(0)
            frames = np.where(follows, P + N - lag, max(N - lag, 0))[:, None]
            counted[lag] += (frames * size * weight).sum(0)
    differing = apart / np.maximum(counted, 1e-9)  # [P + N, D']
    sill = np.median(differing[N // 2 :], axis=0)  # where frames have nothing to do with each other any more
    return 1.0 - (differing / np.maximum(sill, 1e-9)).T


def leading_source(batches: PairBatches) -> PairBatches:
    """The same batches with clips of the one source that is drawn most.

    Sources differ in what they add to movement, and a tracker's tremble is none: a few minutes of tracked video among
    hours of made motion would make every sample tremble.
    """
    drawn: Counter[str] = Counter()
    for clip, probability in zip(batches.clips, batches.probability, strict=True):
        drawn[clip.source] += probability
    ((leading, _),) = drawn.most_common(1)
    share = batches.probability * [clip.source == leading for clip in batches.clips]
    found = copy(batches)
    found.probability = share / share.sum()
    return found
