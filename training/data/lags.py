"""Correlation of two curves, as they are and shifted against each other in time."""

from __future__ import annotations

import numpy as np

MAX_LAG = 8  # frames, +-, within which the best lag is looked for
MIN_OVERLAP = 10  # frames that two curves must share for a correlation to mean anything
FLAT = 1e-6  # a curve with a smaller standard deviation does not move: it correlates with nothing


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two curves [n]; NaN where one of them does not move."""
    if a.std() < FLAT or b.std() < FLAT:
        return float("nan")
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])


def lag_correlations(first: np.ndarray, second: np.ndarray, max_lag: int = MAX_LAG) -> np.ndarray:
    """[2 max_lag + 1] correlations of first[t] with second[t + lag], lag = -max_lag .. max_lag.

    Over the frames that both have; NaN where these are fewer than `MIN_OVERLAP` or one curve does not move in them.
    """
    found = np.full(2 * max_lag + 1, np.nan)
    for column, lag in enumerate(range(-max_lag, max_lag + 1)):
        a = first[max(0, -lag) : len(first) - max(0, lag)]
        b = second[max(0, lag) : len(second) - max(0, -lag)]
        if len(a) >= MIN_OVERLAP:
            found[column] = correlation(a, b)
    return found
