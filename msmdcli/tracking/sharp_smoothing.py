"""Curves without jitter whose quick moves stay quick.

A bilateral filter in time (Tomasi and Manduchi 1998): a frame is averaged with neighbours that are near in time *and*
in value. What "near in value" means is told by the curve's own jitter, so that a still face becomes still while a
blink, a closure or a saccade, many times the jitter, is left as it was measured.
"""

from __future__ import annotations

import numpy as np

REACH = 0.16  # s to either side
SPREAD = 0.07  # s: standard deviation of the weights in time
TIMES = 8.0  # jitter, at which a neighbour's weight has fallen to exp(-1/2)
LEAST, MOST = 0.002, 0.03  # jitter is held within, for curves of 0 to 1


def jitter_of(curves: np.ndarray) -> np.ndarray:
    """[C] the noise of a frame in curves [T, C], from their second differences (median of absolute values)."""
    if len(curves) < 3:
        return np.zeros(curves.shape[1])
    second = np.diff(curves, n=2, axis=0)
    return np.asarray(1.4826 * np.median(np.abs(second), axis=0) / np.sqrt(6.0))


def smooth(curves: np.ndarray, fps: float, least: float = LEAST, most: float = MOST) -> np.ndarray:
    """Curves [T, C] without jitter.

    Args:
        curves: at a constant rate.
        fps: that rate.
        least, most: bounds of what is taken for jitter, in the curves' own unit.
    """
    half = round(REACH * fps)
    near = TIMES * np.clip(jitter_of(curves), least, most)
    total, weight = curves.copy(), np.ones_like(curves)
    for step in range(1, half + 1):
        in_time = np.exp(-0.5 * (step / fps / SPREAD) ** 2)
        change = curves[step:] - curves[:-step]  # [T - step, C]
        share = in_time * np.exp(-0.5 * (change / near) ** 2)
        total[:-step] += share * curves[step:]
        total[step:] += share * curves[:-step]
        weight[:-step] += share
        weight[step:] += share
    return np.asarray(total / weight)
