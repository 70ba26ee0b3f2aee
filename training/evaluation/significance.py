"""Is a difference real? Paired t-test with effect size, and bootstrap confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Paired:
    """Two systems on the same items.

    Attributes:
        n: pairs without NaN.
        difference: mean of first - second.
        low, high: 95 % confidence interval of the difference (Student's t).
        t, p: paired t-test, two-sided.
        effect: Cohen's d of paired samples (mean difference / its standard deviation).
    """

    n: int
    difference: float
    low: float
    high: float
    t: float
    p: float
    effect: float

    @property
    def significant(self) -> bool:
        """p < 0.05."""
        return self.p < SIGNIFICANT


def paired_t(first: np.ndarray, second: np.ndarray) -> Paired:
    """Paired t-test of two rows of measurements [n] without pairs with a NaN. All NaN with fewer than two pairs."""
    from scipy.stats import t as student

    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    difference = difference[np.isfinite(difference)]
    n = len(difference)
    nan = float("nan")
    if n < 2:
        return Paired(n, float(difference.mean()) if n else nan, nan, nan, nan, nan, nan)
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    if spread == 0:
        same = mean == 0
        return Paired(n, mean, mean, mean, 0.0 if same else float(np.copysign(np.inf, mean)), float(same), nan)
    error = spread / np.sqrt(n)
    t = mean / error
    reach = float(student.ppf(0.975, n - 1)) * error
    return Paired(n, mean, mean - reach, mean + reach, float(t), float(2 * student.sf(abs(t), n - 1)), mean / spread)


def bootstrap_interval(
    values: np.ndarray, rng: np.random.Generator, statistic: str = "mean", draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the `mean` or `median` of values [n] without NaN; (NaN, NaN) without values."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    samples = values[rng.integers(len(values), size=(draws, len(values)))]  # [draws, n]
    of = np.median(samples, axis=1) if statistic == "median" else np.mean(samples, axis=1)
    low, high = np.quantile(of, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
