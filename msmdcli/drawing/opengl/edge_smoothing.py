"""Smooth edges in a picture's brightness, in the manner of Lottes' FXAA (NVIDIA, 2009): where brightness changes, it is
averaged along the edge.

On the processor, because few pixels lie on edges and the work is theirs alone: a software renderer would ask all.
"""

from __future__ import annotations

import numpy as np

LEAST = 12  # of 219: smaller changes are no edges
SHARE = 8  # nor are changes smaller than an eighth of the brightness
REACH = 8.0  # pixels along the edge, at most
BLACK = 16  # of limited range


def smooth_edges(brightness: np.ndarray, left: int, top: int, width: int, height: int) -> None:
    """Smooth within a box, in place.

    Args:
        brightness: [H, W] uint8, limited range, C-contiguous.
        left, top, width, height: of the box in pixels; the picture's outermost pixels are left out.
    """
    rows, columns = brightness.shape
    first, last = max(top, 1), min(top + height, rows - 1)
    start, stop = max(left, 1), min(left + width, columns - 1)
    if first >= last or start >= stop:
        return

    def shifted(down: int, right: int) -> np.ndarray:
        return brightness[first + down : last + down, start + right : stop + right]

    corners = (shifted(-1, -1), shifted(-1, 1), shifted(1, -1), shifted(1, 1))  # above, below; left, right
    high, low = shifted(0, 0).copy(), shifted(0, 0).copy()
    for corner in corners:
        np.maximum(high, corner, out=high)
        np.minimum(low, corner, out=low)
    change = high - low
    at = np.flatnonzero((change > LEAST) & (change > high // SHARE))  # [n]; high is BLACK or more: a little strict
    if len(at) == 0:
        return
    row, column = np.divmod(at, stop - start)
    row += first
    column += start
    flat, place = brightness.ravel(), row * columns + column  # [rows * columns], [n]
    a, b, c, d = (flat[place + down * columns + right].astype(np.float32) for down in (-1, 1) for right in (-1, 1))
    across, along = (c + d) - (a + b), (a + c) - (b + d)
    least = np.minimum(np.abs(across), np.abs(along)) + np.maximum((a + b + c + d - 4 * BLACK) / 32, 1.7)
    x, y = (np.clip(part / least, -REACH, REACH) for part in (across, along))  # pixels, to the right and down

    def between(share: float) -> np.ndarray:
        """Brightness [n] at this share of the way, blended of the four pixels around."""
        right = np.clip(column + x * np.float32(share), 0, columns - 1.01)
        down = np.clip(row + y * np.float32(share), 0, rows - 1.01)
        left, above = right.astype(np.intp), down.astype(np.intp)
        corner = above * columns + left
        right, down = (right - left).astype(np.float32), (down - above).astype(np.float32)
        upper, lower = flat[corner], flat[corner + columns]
        upper = upper + right * (flat[corner + 1] - upper.astype(np.float32))
        lower = lower + right * (flat[corner + columns + 1] - lower.astype(np.float32))
        return np.asarray(upper + down * (lower - upper))

    near = (between(-1 / 6) + between(1 / 6)) / 2
    wide = near / 2 + (between(-1 / 2) + between(1 / 2)) / 4
    beyond = (wide < low.ravel()[at]) | (wide > high.ravel()[at])
    flat[place] = np.where(beyond, near, wide) + np.float32(0.5)
