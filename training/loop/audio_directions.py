"""Which directions of the audio features move the face: the audio map's bottleneck, fitted before training.

A few dozen minutes of few voices are little to learn a map from 1,536 audio features by gradient descent: it over-fits
the voices, and even on a voice that it knows a straight line does better. The straight line is known in closed form.
Reduced-rank ridge regression (Izenman 1975) from the features of a frame to the face a few frames around it gives the
directions of the features that matter for the face, in the order in which they matter; they are what the network's
audio map begins with, and all that it hears.

A departure from the paper, whose HuBERT features meet a plain learned linear map; hence an option
(`model.audio_directions`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from msmdcli.errors import UsageError
from training.data.dataset import PairBatches

Array = np.ndarray[Any, np.dtype[np.float32]]
REACH = 3  # frames before and after, whose faces one frame of sound should tell of: coarticulation
RIDGE = 0.1  # in units of the features' variance
SEQUENCES = 1200


def fit_audio_directions(
    batches: PairBatches, rank: int, audio_mean: Array, audio_std: Array, channel_weights: Array
) -> tuple[Array, Array]:
    """The map from standardised audio features to the `rank` numbers that tell most about the face's movement.

    Args:
        batches: the training data, in normalised channels; its first windows are looked at, as they are augmented.
        rank: directions to find, at most C.
        audio_mean, audio_std: [C] of the features.
        channel_weights: [D] how much each channel counts; 0 leaves it out.

    Returns:
        (weight [rank, C], bias [rank]) of a linear layer whose outputs have mean 0 and spread 1 over these windows.

    Raises:
        UsageError: more directions than there are, or a data set without sound.
    """
    P, N = batches.previous, batches.window
    columns = np.flatnonzero(channel_weights)
    C, M = batches.audio_dim, (2 * REACH + 1) * len(columns)
    if rank > min(C, M):
        raise UsageError(
            f"model.audio_bottleneck: {rank} is more than the {min(C, M)} directions that there are",
            hint="lower it, or set model.audio_directions: learned",
        )
    xx, xy, total, frames = np.zeros((C, C)), np.zeros((C, M)), np.zeros(C), 0.0
    around = np.arange(N)[:, None] + np.arange(-REACH, REACH + 1)  # [N, 2 REACH + 1]
    for index in range(min(len(batches), -(-SEQUENCES // (2 * batches.batch)))):
        batch = batches[index]
        for row in np.flatnonzero(batch["silent"] == 0):
            length = int(batch["mask"][row].sum())
            sound = (batch["audio"][row, P : P + length] - audio_mean) / audio_std  # [T, C]
            face = batch["motion"][row, :length, columns].T * channel_weights[columns]  # [T, D']
            face = face - face.mean(0)
            target = face[np.clip(around[:length], 0, length - 1)].reshape(length, M)  # [T, (2 REACH + 1) D']
            xx += sound.T @ sound
            xy += sound.T @ target
            total += sound.sum(0)
            frames += length
    if frames == 0:
        raise UsageError("the data set has no sound to fit audio directions to", hint="model.audio_directions: learned")
    covariance = xx / frames
    solution = np.linalg.solve(covariance + RIDGE * np.eye(C), xy / frames)  # [C, M]
    # The best rank-k approximation keeps the main axes of what is predicted.
    _, axes = np.linalg.eigh(solution.T @ covariance @ solution)  # [M, M], ascending
    directions = solution @ axes[:, ::-1][:, :rank]  # [C, rank]
    mean = total / frames  # [C]
    centred = covariance - np.outer(mean, mean)
    spread = np.sqrt(np.maximum(np.einsum("ck,cd,dk->k", directions, centred, directions), 1e-12))
    weight = (directions / spread).T  # [rank, C]
    return weight.astype(np.float32), (-weight @ mean).astype(np.float32)
