"""The z-buffer against a slow, obvious one."""

from __future__ import annotations

import numpy as np

from msmdcli.heads import raster


def slow(points: np.ndarray, triangles: np.ndarray, width: int, height: int) -> np.ndarray:
    """[height, width] number of the nearest triangle at each pixel centre, -1 where there is none."""
    seen, depth = np.full((height, width), -1), np.full((height, width), -np.inf)
    for number, corners in enumerate(triangles):
        a, b, c = points[corners]
        basis = np.array([[b[0] - a[0], c[0] - a[0]], [b[1] - a[1], c[1] - a[1]]])
        for row in range(height):
            for column in range(width):
                v, w = np.linalg.solve(basis, [column + 0.5 - a[0], row + 0.5 - a[1]])
                z = a[2] + v * (b[2] - a[2]) + w * (c[2] - a[2])
                if min(v, w, 1 - v - w) >= 0 and z > depth[row, column]:
                    seen[row, column], depth[row, column] = number, z
    return seen


def test_the_nearest_triangle_is_seen() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-5, 25, 24), rng.uniform(-5, 20, 24), rng.uniform(0, 9, 24)])
    triangles = np.arange(24).reshape(8, 3)
    found = raster.rasterise(points, triangles, 20, 15)
    np.testing.assert_array_equal(found.triangle, slow(points, triangles, 20, 15))


def test_chunks_do_not_matter(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.uniform(0, 30, 30), rng.uniform(0, 30, 30), rng.uniform(0, 9, 30)])
    triangles = np.arange(30).reshape(10, 3)
    whole = raster.rasterise(points, triangles, 30, 30)
    monkeypatch.setattr(raster, "CHUNK_PIXELS", 50)
    parts = raster.rasterise(points, triangles, 30, 30)
    np.testing.assert_array_equal(whole.triangle, parts.triangle)
    np.testing.assert_array_equal(whole.weights, parts.weights)


def test_nothing_to_draw() -> None:
    found = raster.rasterise(np.zeros((3, 3)), np.array([[0, 1, 2]]), 4, 4)  # a triangle without area
    assert (found.triangle == -1).all()
    assert np.isneginf(found.depth).all()
