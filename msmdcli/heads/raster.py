"""A small z-buffer: which triangle of a mesh is seen at each pixel. NumPy only; points come projected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CHUNK_PIXELS = 1_500_000  # candidate pixels tested at once; bounds the memory (about 100 bytes each)


@dataclass(frozen=True)
class Fragments:
    """What is seen.

    Attributes:
        triangle: [H, W] int64 number of the seen triangle, -1 where there is none.
        weights: [H, W, 3] float32 barycentric weights of its corners.
        depth: [H, W] float32 its depth, -inf where there is none.
    """

    triangle: np.ndarray
    weights: np.ndarray
    depth: np.ndarray


def rasterise(points: np.ndarray, triangles: np.ndarray, width: int, height: int) -> Fragments:
    """Scan-convert triangles; at each pixel centre the one with the largest depth value, the nearest, is kept.

    Args:
        points: [V, 3] x (right) and y (down) in pixels, with pixel centres at whole numbers + 0.5, and depth: larger is
            nearer.
        triangles: [F, 3] int. Triangles of either winding are drawn; cull before, where that is wanted.
        width, height: size of the picture in pixels.
    """
    corners = points[triangles].astype(np.float64)  # [F, 3, 3]
    low = np.floor(corners[..., :2].min(axis=1) - 0.5).astype(np.int64) + 1  # [F, 2] first pixel
    high = np.floor(corners[..., :2].max(axis=1) - 0.5).astype(np.int64)  # [F, 2] last one
    low, high = np.maximum(low, 0), np.minimum(high, (width - 1, height - 1))
    extent = high - low + 1
    (a, b, c), (u, v) = corners.transpose(1, 0, 2), (0, 1)
    area = (b[:, u] - a[:, u]) * (c[:, v] - a[:, v]) - (b[:, v] - a[:, v]) * (c[:, u] - a[:, u])
    drawn = np.flatnonzero((extent > 0).all(axis=1) & (np.abs(area) > 1e-9))

    depth = np.full(height * width, -np.inf)
    triangle = np.full(height * width, -1, np.int64)
    weights = np.zeros((height * width, 3), np.float32)
    pixels = np.cumsum(extent[drawn].prod(axis=1))
    cuts = np.arange(CHUNK_PIXELS, pixels[-1] if len(pixels) else 0, CHUNK_PIXELS)
    for chunk in np.split(drawn, np.searchsorted(pixels, cuts)):
        if len(chunk) == 0:
            continue
        number = extent[chunk].prod(axis=1)
        owner = np.repeat(chunk, number)  # [n] triangle of each candidate pixel
        within = np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
        row, column = np.divmod(within, extent[owner, 0])
        column, row = column + low[owner, 0], row + low[owner, 1]
        px, py = column + 0.5, row + 0.5
        bary = np.empty((len(owner), 3))  # [n, 3]
        for corner, (start, end) in enumerate(((b, c), (c, a), (a, b))):
            s, e = start[owner], end[owner]
            bary[:, corner] = (e[:, u] - s[:, u]) * (py - s[:, v]) - (e[:, v] - s[:, v]) * (px - s[:, u])
        bary /= area[owner, None]
        inside = (bary >= -1e-9).all(axis=1)
        owner, bary, place = owner[inside], bary[inside], (row * width + column)[inside]
        near = (bary * corners[owner, :, 2]).sum(axis=1)
        np.maximum.at(depth, place, near)
        seen = near == depth[place]
        triangle[place[seen]] = owner[seen]
        weights[place[seen]] = bary[seen]
    shape = (height, width)
    return Fragments(triangle.reshape(shape), weights.reshape(*shape, 3), depth.reshape(shape).astype(np.float32))
