"""How far lids are closed, of made gaps and scores."""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.contact import meet_lids
from msmdcli.tracking.face_correspondence import shipped_correspondence
from msmdcli.tracking.lid_closure import SHUT_SCORE, lid_closures, shut_scores

FPS = 25.0
NAMES = ("eyeBlinkLeft", "eyeSquintLeft", "eyeLookDownLeft", "eyeWideLeft")
NAMES = NAMES + tuple(name.replace("Left", "Right") for name in NAMES)


def held(left: float, right: float, frames: int = 50) -> np.ndarray:
    """[T, 2] eyes that are still."""
    return np.tile([left, right], (frames, 1))


def test_lashes_on_a_cheek_are_shut_though_the_landmarks_stay_apart() -> None:
    closures = lid_closures(held(0.75, 0.75), held(SHUT_SCORE, SHUT_SCORE), FPS)
    assert (closures > 0.85).all()


def test_narrowed_eyes_with_a_low_score_are_less_shut_than_their_landmarks() -> None:
    assert (lid_closures(held(0.7, 0.7), held(0.25, 0.25), FPS) < 0.6).all()


def test_open_eyes_are_the_landmarks_alone() -> None:
    for score in (0.0, 0.4):
        np.testing.assert_allclose(lid_closures(held(0.2, 0.1), held(score, score), FPS), held(0.2, 0.1), atol=1e-9)


def test_an_eye_follows_the_other_and_a_wink_is_a_wink() -> None:
    together = lid_closures(held(1.0, 0.85), held(0.7, 0.55), FPS)
    np.testing.assert_allclose(together[:, 0], together[:, 1], atol=0.02)
    wink = lid_closures(held(1.0, 0.2), held(0.7, 0.1), FPS)
    assert (wink[:, 0] > 0.95).all() and (wink[:, 1] < 0.3).all()


def test_a_persons_own_shut_score_counts_and_a_take_without_blinks_has_none() -> None:
    blinks = np.full((200, 2), 0.1)
    np.testing.assert_allclose(shut_scores(blinks), SHUT_SCORE)
    blinks[50:60] = 0.58
    np.testing.assert_allclose(shut_scores(blinks), 0.58)
    blinks[50:60] = 0.9
    np.testing.assert_allclose(shut_scores(blinks), SHUT_SCORE)


def test_open_lids_that_tremble_are_calmed_and_blinks_stay_sharp() -> None:
    rng = np.random.default_rng(0)
    gaps = 0.05 + 0.02 * rng.standard_normal((200, 2))
    gaps[100:104] = 1.0
    scores = np.full((200, 2), 0.1)
    scores[100:104] = 0.7
    closures = lid_closures(gaps, scores, FPS)
    still = np.r_[10:90, 115:190]
    trembling = np.abs(np.diff(gaps, n=2, axis=0))[still].mean()
    assert np.abs(np.diff(closures, n=2, axis=0))[still].mean() < 0.4 * trembling
    assert (closures[100:104] > 0.95).all() and (closures[98] < 0.2).all() and (closures[105] < 0.2).all()


def test_shut_eyes_are_shut_by_the_blink_whatever_squints() -> None:
    face = shipped_correspondence()
    weights = np.tile([0.0, 0.8, 0.0, 0.0], (1, 2))
    met = meet_lids(weights, NAMES, np.ones((1, 2)), face)
    assert met[0, NAMES.index("eyeBlinkLeft")] > 0.99 and met[0, NAMES.index("eyeSquintLeft")] == 0.8
    half = meet_lids(weights, NAMES, np.full((1, 2), 0.5), face)
    by = face.lid_gap_by[[face.index(name) for name in NAMES], 0]
    full = face.lid_gap_by[face.index("eyeBlinkLeft"), 0]
    np.testing.assert_allclose(half[0] @ by / full, 0.5, atol=1e-6)  # a squint is a part of how far narrow eyes close
