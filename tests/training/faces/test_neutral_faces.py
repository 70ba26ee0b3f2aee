"""How resting faces differ, from faces whose differences are known."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.tracking.face_correspondence import shipped_correspondence
from msmdcli.tracking.neutral_face import shipped_resting_faces
from training.faces.neutral_faces import components, mean_and_rest

FACE = shipped_correspondence()


def people(count: int, seed: int) -> np.ndarray:
    """Faces that differ in how far down the chin reaches, and stand and are sized differently."""
    rng = np.random.Generator(np.random.Philox(seed))
    low = np.clip((FACE.points[1, 1] - FACE.points[:, 1]) / 50, 0, None)[:, None] * (0.0, -1.0, 0.0)
    made = FACE.points + rng.normal(0, 3.0, (count, 1, 1)) * low
    return np.asarray(made * rng.uniform(0.8, 1.2, (count, 1, 1)) + rng.normal(0, 50, (count, 1, 3)))


def test_place_and_size_are_no_difference_and_the_chin_is_the_first() -> None:
    mean, rest = mean_and_rest(people(40, 0), FACE)
    modes, variances = components([(rest, 1.0)])
    assert variances[0] > 0.95 * variances.sum()
    chin = modes[0][152]
    assert abs(chin[1]) > 5 * max(abs(chin[0]), abs(chin[2]))
    np.testing.assert_allclose(mean, mean[FACE.mirror] * (-1, 1, 1), atol=0.1)


def test_kinds_count_by_their_share_and_not_by_their_number() -> None:
    few, many = mean_and_rest(people(10, 1), FACE)[1], mean_and_rest(people(80, 2), FACE)[1] * 2
    variance = [float((rest**2).sum() / len(rest)) for rest in (few, many)]
    _, variances = components([(few, 0.5), (many, 0.5)])
    assert variances.sum() == pytest.approx(sum(variance) / 2, rel=0.01)


def test_what_ships_names_only_sources_that_may_be_passed_on() -> None:
    made = shipped_resting_faces().made
    assert "GRID corpus (CC BY 4.0" in made and "MakeHuman (CC0)" in made
