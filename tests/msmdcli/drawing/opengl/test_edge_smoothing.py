"""Edges are smoothed, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.drawing.opengl.edge_smoothing import smooth_edges

HEIGHT, WIDTH = 60, 80


def slope(rise: float, dark: int = 40, bright: int = 200) -> np.ndarray:
    """A bright picture below a line, dark above; no pixel in between."""
    down, right = np.mgrid[:HEIGHT, :WIDTH]
    return np.where(down > 20 + rise * right, bright, dark).astype(np.uint8)


@pytest.mark.parametrize("rise", [0.1, 0.4, 1.0, 3.0])
def test_a_stairway_becomes_a_ramp(rise: float) -> None:
    before = slope(rise)
    after = before.copy()
    smooth_edges(after, 0, 0, WIDTH, HEIGHT)
    between = (after > 60) & (after < 180)
    crossed = ((before[1:-1, 1:-1] == 40) & (before[2:, 1:-1] == 200)).sum()
    assert between.sum() >= 0.5 * crossed > 0  # about a pixel of each column, or more
    # Along the edge the picture's mean stays: it gets no brighter and no darker.
    assert abs(float(after.mean()) - float(before.mean())) < 1.5


def test_no_pixel_leaves_the_range_of_its_surroundings() -> None:
    before = np.random.Generator(np.random.Philox(3)).integers(16, 236, (HEIGHT, WIDTH)).astype(np.uint8)
    after = before.copy()
    smooth_edges(after, 0, 0, WIDTH, HEIGHT)
    around = np.stack([np.roll(before, (y, x), (0, 1)) for y in range(-5, 6) for x in range(-5, 6)])
    inside = (slice(5, -5), slice(5, -5))
    assert (after[inside] >= around.min(axis=0)[inside]).all() and (after[inside] <= around.max(axis=0)[inside]).all()
    assert (after != before).mean() > 0.5


def test_even_surfaces_faint_changes_and_what_is_outside_the_box_stay() -> None:
    faint = slope(0.4, 100, 108)
    for picture in (np.full((HEIGHT, WIDTH), 90, np.uint8), faint):
        after = picture.copy()
        smooth_edges(after, 0, 0, WIDTH, HEIGHT)
        assert (after == picture).all()
    before = slope(0.4)
    after = before.copy()
    smooth_edges(after, 20, 10, 30, 30)
    changed = np.argwhere(after != before)
    assert len(changed) and (changed.min(axis=0) >= (10, 20)).all() and (changed.max(axis=0) < (40, 50)).all()


def test_a_box_beyond_the_picture_or_without_area_is_none() -> None:
    before = slope(0.4)
    for box in ((0, 0, 0, 0), (WIDTH - 1, 0, 1, HEIGHT), (0, 0, 1, 1)):
        after = before.copy()
        smooth_edges(after, *box)
        assert (after == before).all()
