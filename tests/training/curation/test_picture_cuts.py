"""Cuts: a picture that changes at once, against pictures that move, pan and get lighter."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from training.curation.picture_cuts import look_at_pictures


def pictures(frames: list[np.ndarray], fps: int = 25) -> list[tuple[Fraction, np.ndarray]]:
    return [(Fraction(i, fps), frame) for i, frame in enumerate(frames)]


def scene(seed: int) -> np.ndarray:
    """A wide picture [72, 256, 3] of soft blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 16, 3))
    return np.kron(coarse, np.ones((12, 16, 1))).astype(np.uint8)


def pan(seed: int, count: int, step: int) -> list[np.ndarray]:
    return [scene(seed)[:, i * step : i * step + 128] for i in range(count)]


def test_a_cut_is_found_where_it_is() -> None:
    found = look_at_pictures(pictures(pan(1, 20, 1) + pan(2, 20, 1)), 1.6)
    assert found.cuts == (0.8,)


def test_a_blended_cut_is_found() -> None:
    first, second = pan(1, 20, 1), pan(2, 20, 1)
    blend = ((first[-1].astype(int) + second[0]) // 2).astype(np.uint8)
    found = look_at_pictures(pictures([*first, blend, *second]), 1.64)
    assert found.cuts and set(found.cuts) <= {0.8, 0.84}


def test_a_camera_that_starts_to_move_is_no_cut() -> None:
    still = [scene(1)[:, :128]] * 20
    assert look_at_pictures(pictures(still + pan(1, 18, 7)), 1.5).cuts == ()


@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_moving_camera_is_no_cut(step: int) -> None:
    assert look_at_pictures(pictures(pan(1, 40, step)), 1.6).cuts == ()


def test_light_that_comes_up_is_no_cut() -> None:
    frames = [(scene(1)[:, :128] * (0.3 + 0.7 * i / 39)).astype(np.uint8) for i in range(40)]
    assert look_at_pictures(pictures(frames), 1.6).cuts == ()


def test_a_small_mouth_that_moves_is_no_cut() -> None:
    frames = []
    for i in range(40):
        frame = scene(1)[:, :128].copy()
        frame[50:58, 56:72] = 255 * (i % 2)
        frames.append(frame)
    assert look_at_pictures(pictures(frames), 1.6).cuts == ()


def test_the_thumbnail_is_the_middle_picture() -> None:
    frames = [np.full((72, 128, 3), i, np.uint8) for i in range(41)]
    assert look_at_pictures(pictures(frames), 1.64).thumbnail[0, 0, 0] == 20
