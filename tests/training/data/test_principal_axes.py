"""Principal axes bring features to variance 1, the largest first, and stay finite where nothing varies."""

from __future__ import annotations

import numpy as np

from training.data.principal_axes import principal_axes


def test_features_along_the_axes_are_uncorrelated_and_of_variance_one() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2000, 6)) @ rng.standard_normal((6, 6))
    features -= features.mean(axis=0)
    covariance = features.T @ features / len(features)
    seen = features @ principal_axes(covariance, 3)
    np.testing.assert_allclose(seen.T @ seen / len(seen), np.eye(3), atol=1e-6)
    largest = np.sort(np.linalg.eigvalsh(covariance))[::-1][:3]
    np.testing.assert_allclose(1 / np.square(principal_axes(covariance, 3)).sum(axis=0), largest, rtol=1e-6)


def test_a_direction_without_variance_is_finite() -> None:
    assert np.isfinite(principal_axes(np.diag([1.0, 0.0]), 5)).all()
    assert principal_axes(np.diag([1.0, 0.0]), 5).shape == (2, 2)
