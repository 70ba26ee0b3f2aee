"""How a line of T frames is cut into the windows that the model generates one after the other.

Window w covers the frames [w N, (w + 1) N). It sees the P frames before it: the motion generated for them and
their audio. In the first window learned start features stand in for both. The last window is padded with zeros up
to N frames; a mask tells real frames (1) from padding (0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from msmdcli.model.stores import Features

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """One window of a line: ``index`` w, its frames [start, stop) of which all are real (stop - start <= N)."""

    index: int
    start: int
    stop: int

    @property
    def frames(self) -> int:
        """Real frames in this window, 1 .. N."""
        return self.stop - self.start


def window_count(frames: int, size: int) -> int:
    """Windows of ``size`` frames that a line of ``frames`` frames needs (rounded up)."""
    return -(-frames // size)


def window_at(index: int, frames: int, size: int) -> Window:
    """Window ``index`` of a line of ``frames`` frames."""
    return Window(index, start=index * size, stop=min((index + 1) * size, frames))


def window_audio(features: Features, window: Window, size: int, previous: int) -> Array:
    """The audio features of a window and of the P frames before it.

    Args:
        features: [T, C], one row per motion frame of the line.
        window: which window.
        size: N.
        previous: P.

    Returns:
        [P + N, C]; rows before the line's first frame and after its last are zero.
    """
    audio = np.zeros((previous + size, features.shape[1]), dtype=np.float32)  # [P + N, C]
    first = window.start - previous
    begin, end = max(first, 0), window.stop
    audio[begin - first : end - first] = features[begin:end]
    return audio


def window_mask(window: Window, size: int) -> Array:
    """[N] float32: 1 for real frames, 0 for the padding of the last window."""
    return (np.arange(size) < window.frames).astype(np.float32)


def window_weight(weights: Array, window: Window, size: int) -> Array:
    """A window's part of weights [T or 1, 1]: [N or 1, 1]; padding repeats the last."""
    if len(weights) == 1:
        return weights
    return weights[np.minimum(np.arange(window.start, window.start + size), len(weights) - 1)]
