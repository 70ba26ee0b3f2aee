"""Principal axes of features."""

from __future__ import annotations

import numpy as np

LEAST_VARIANCE = 1e-8  # added, so that axes along which nothing varies stay finite


def principal_axes(covariance: np.ndarray, rank: int) -> np.ndarray:
    """[C, rank] the axes of most variance, each over the root of its variance: features @ axes have variance 1.

    Args:
        covariance: [C, C] of the features.
        rank: how many axes; all C where there are fewer.
    """
    values, vectors = np.linalg.eigh(covariance)
    best = np.argsort(-values)[:rank]
    axes: np.ndarray = vectors[:, best] / np.sqrt(values[best] + LEAST_VARIANCE)
    return axes
