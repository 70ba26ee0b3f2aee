"""The covariance of movement over frames, measured on the training data for `training.network.prior`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import PairBatches
from training.network.prior import LEAST

WINDOWS = 2560


def movement_covariance(batches: PairBatches, columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """How alike two frames are, by how far they lie apart.

    Frames are taken relative to a reference's mean and in units of its deviation, as the network meets them: half of
    the references are the window itself, half its neighbour. Windows of much movement count most.

    Args:
        batches: the training data, in normalised channels; its first windows are looked at, as they are augmented.
        columns: [D'] the channels.

    Returns:
        [D', P + N] covariance of frames 0, 1, ... apart.
    """
    P, N = batches.previous, batches.window
    length = 2 * (P + N)  # of the Fourier transform: no frame meets another around the end
    products = np.zeros((len(columns), P + N))
    pairs, sizes, frames = np.zeros(P + N), np.zeros(len(columns)), 0.0
    for index in range(min(len(batches), -(-WINDOWS // (2 * batches.batch)))):
        batch = batches[index]
        motion = np.concatenate([batch["previous"], batch["motion"]], axis=1)[..., columns].astype(np.float64)
        before = np.repeat(1.0 - batch["start"][:, None], P, axis=1)
        mask = np.concatenate([before, batch["mask"]], axis=1)[..., None]  # [2B, P + N, 1]
        within = batch["mask"][..., None].astype(np.float64)
        mean = (motion[:, P:] * within).sum(1) / within.sum(1)  # [2B, D']
        square = ((motion[:, P:] - mean[:, None]) ** 2 * within).sum(1) / within.sum(1) + LEAST**2
        for other in (0, batches.batch):  # itself, the window beside it
            away = (motion - np.roll(mean, other, axis=0)[:, None]) * mask
            size = np.roll(square, other, axis=0)  # [2B, D']
            # Weighed by the reference's variance: windows that hold a channel still tell nothing of its movement.
            spectrum = np.abs(np.fft.rfft(away, length, axis=1)) ** 2
            products += np.fft.irfft(spectrum, length, axis=1)[:, : P + N].sum(0).T
            seen = np.abs(np.fft.rfft(mask[..., 0], length, axis=1)) ** 2
            together = np.fft.irfft(seen, length, axis=1)[:, : P + N].sum(0)
            pairs += together
            sizes += (size * mask.sum(1)).sum(0)
            frames += float(mask.sum())
    return (products / np.maximum(pairs, 1.0)) / (sizes / frames)[:, None]
