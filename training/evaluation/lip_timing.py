"""When the lips move, and how far with the voice: MTM and SLCC of Chae-Yeon et al. 2025 (arXiv 2503.20308).

Both were checked against people there: they agree with what viewers call in time and expressive better than distances
of vertices do.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from msmdcli.media.audio import Audio

PROMINENCE = 0.15  # of an extremum, in standard deviations of the curve's derivative
BAND = 12  # frames by which the warping may leave the diagonal
LOUDNESS_WINDOW = 0.5  # seconds


def mean_temporal_misalignment(real: np.ndarray, made: np.ndarray, fps: float) -> float:
    """MTM in ms: how far apart in time the same lip movements are in both; openings [T] in mm, of equal length.

    Derivative dynamic time warping (Keogh and Pazzani 2001) matches the curves' velocities; of the matched pairs those
    count whose real frame is an extremum of the velocity, a lip that opens or closes. NaN where either stands still.

    # Paper: extrema of the lip distance's derivative, no bound on the path; here: extrema of some prominence, and a
    # path within half a second of the diagonal, because a flat stretch may else be matched to anything.
    """
    first, second = _velocity(real), _velocity(made)
    if first.std() < 1e-6 or second.std() < 1e-6:
        return float("nan")
    first, second = first / first.std(), second / second.std()
    extrema = np.concatenate([find_peaks(side * first, prominence=PROMINENCE)[0] for side in (1, -1)])
    if not len(extrema):
        return float("nan")
    partners: dict[int, list[int]] = {}
    for i, j in _path(first, second):
        partners.setdefault(i, []).append(j)
    away = [abs(float(np.mean(partners[i])) - i) for i in extrema.tolist()]
    return float(np.mean(away)) / fps * 1000.0


def speech_lip_intensity(opening: np.ndarray, audio: Audio, fps: float) -> float:
    """SLCC: correlation of the voice's loudness (dB) with the lips' movement over half-second stretches of one line.

    # Paper: one intensity per utterance, correlated over utterances recorded at one level; here: within a line, because
    # recordings in the wild have levels of their own. Stretches without speech count: lips rest in them.
    """
    frames = round(LOUDNESS_WINDOW * fps)
    samples = round(LOUDNESS_WINDOW * audio.rate)
    count = min(len(opening) // frames, len(audio.samples) // samples)
    if count < 4:
        return float("nan")
    sound = audio.samples[: count * samples].reshape(count, samples).astype(np.float64)
    loudness = 10.0 * np.log10(np.mean(sound**2, axis=1) + 1e-7)
    moved = opening[: count * frames].reshape(count, frames)
    lips = np.abs(np.diff(moved, axis=1)).mean(axis=1)
    if loudness.std() < 1e-6 or lips.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(loudness, lips)[0, 1])


def _velocity(opening: np.ndarray) -> np.ndarray:
    """[T] derivative, smoothed over three frames."""
    return np.convolve(np.gradient(opening.astype(np.float64)), np.ones(3) / 3, mode="same")


def _path(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    """The cheapest monotonous path of matched frames within BAND of the diagonal."""
    T = len(first)
    cost = np.full((T + 1, T + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(1, T + 1):
        low, high = max(1, i - BAND), min(T, i + BAND)
        apart = (first[i - 1] - second[low - 1 : high]) ** 2
        for j in range(low, high + 1):
            before = min(cost[i - 1, j - 1], cost[i - 1, j], cost[i, j - 1])
            cost[i, j] = apart[j - low] + before
    i = j = T
    path = []
    while i and j:
        path.append((i - 1, j - 1))
        steps = ((cost[i - 1, j - 1], i - 1, j - 1), (cost[i - 1, j], i - 1, j), (cost[i, j - 1], i, j - 1))
        _, i, j = min(steps, key=lambda step: step[0])
    return path
