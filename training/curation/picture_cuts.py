"""Cuts: places where one shot ends and another begins.

Pictures are compared in grey at a very small size. A cut changes the whole picture at once (or over two pictures, where
it was blended), while a talking head moves little from one picture to the next; so a change is measured against the
changes around it. A camera that starts to move changes the picture, too, but goes on doing so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

GRID = (18, 32)  # rows and columns to which a picture is brought
LEAST_CHANGE = 0.05  # mean absolute change of grey (0..1) below which nothing counts as a cut
AGAINST_AROUND = 6.0  # a cut changes the picture this many times more than the median around it
AROUND = 0.6  # s on either side
AGAINST_BESIDE = 2.0  # and this many times more than the second to fourth step before it, and after it
THUMBNAIL_HEIGHT = 72  # pixels


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a quick look at all pictures of a video gives.

    Attributes:
        cuts: seconds at which a new shot begins.
        thumbnail: [THUMBNAIL_HEIGHT, w, 3] uint8, the picture in the middle.
    """

    cuts: tuple[float, ...]
    thumbnail: np.ndarray


def look_at_pictures(pictures: Iterable[tuple[Fraction, np.ndarray]], seconds: float) -> Pictures:
    """Find the cuts in a video's pictures.

    Args:
        pictures: (time, [h, w, 3] uint8) in order, small ones: all are of one size.
        seconds: length of the video; its middle picture becomes the thumbnail.
    """
    times: list[float] = []
    small: list[np.ndarray] = []
    thumbnail = np.zeros((THUMBNAIL_HEIGHT, THUMBNAIL_HEIGHT, 3), np.uint8)
    for time, picture in pictures:
        times.append(float(time))
        small.append(_grey(picture))
        if len(times) == 1 or float(time) <= seconds / 2:
            thumbnail = picture
    score = cut_scores(np.stack(small), np.array(times)) if small else np.zeros(0)
    return Pictures(tuple(round(times[i + 1], 3) for i in np.flatnonzero(score >= 1)), thumbnail)


def cut_scores(grey: np.ndarray, times: np.ndarray) -> np.ndarray:
    """[P - 1] how much like a cut the step after each picture is: 1 or more is one. Grey [P, rows, columns] in 0..1."""
    change = np.abs(np.diff(grey, axis=0)).mean(axis=(1, 2))  # [P - 1]
    score = np.zeros(len(change))
    for i in np.flatnonzero(change >= LEAST_CHANGE):
        near = (np.abs(times[1:] - times[i + 1]) <= AROUND) & (np.arange(len(change)) != i)
        around = float(np.median(change[near])) if near.any() else 0.0
        before, after = change[max(0, i - 4) : max(0, i - 1)], change[i + 2 : i + 5]
        beside = max((float(part.mean()) for part in (before, after) if len(part)), default=0.0)
        least = max(LEAST_CHANGE, AGAINST_AROUND * around, AGAINST_BESIDE * beside)
        score[i] = change[i] / least
    return score


def _grey(picture: np.ndarray) -> np.ndarray:
    """[rows, columns] mean grey 0..1 of each cell of GRID."""
    rows = np.linspace(0, picture.shape[0], GRID[0] + 1).astype(int)
    columns = np.linspace(0, picture.shape[1], GRID[1] + 1).astype(int)
    grey = picture.astype(np.float32).mean(axis=2)
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=0), columns[:-1], axis=1)
    area = np.maximum(np.diff(rows), 1)[:, None] * np.maximum(np.diff(columns), 1)[None]
    return np.asarray(sums / area / 255.0)
