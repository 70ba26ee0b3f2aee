"""Key reduction: the fewest keys whose straight lines stay within a tolerance of every frame.

Keys lie on frames and keep the frames' own values. Between two keys the curve is linear; it must pass every frame in
between within the tolerance. Which frames are kept is found exactly: the allowed lines are the edges of a graph over
the frames, and the fewest keys are a shortest path from the first frame to the last (Imai and Iri, "Polygonal
approximations of a curve", 1988). Several channels can share their keys (formats that keep one list of times for all
channels): then a line is allowed where it fits all of them.

T is the number of frames, C the number of channels that share keys, K the number of keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError

FIRST_REACH = 64  # frames that a line is tried over at first; doubled as long as it could go on


@dataclass(frozen=True)
class KeyCount:
    """What a reduction did, measured on the values that were kept.

    Attributes:
        before: keys if every frame of every channel were one.
        after: keys that are left.
        largest_error: the largest difference between any frame and the curve through the keys.
    """

    before: int
    after: int
    largest_error: float

    def __add__(self, other: KeyCount) -> KeyCount:
        return KeyCount(
            self.before + other.before, self.after + other.after, max(self.largest_error, other.largest_error)
        )

    def as_notes(self) -> dict[str, object]:
        """For reports."""
        return {"keys_before": self.before, "keys": self.after, "largest_error": round(self.largest_error, 9)}


def parse_tolerance(value: object) -> float:
    """A tolerance in the channels' own units (blendshapes 0..1, head angles in radians), at least 0."""
    try:
        tolerance = float(str(value))
    except ValueError:
        tolerance = -1.0
    if not 0 <= tolerance < np.inf:
        raise UsageError(
            f"{value!r} is no tolerance for keys", hint="a number of at least 0; 0.005 is half a percent of a channel"
        )
    return tolerance


def fewest_keys(values: NDArray[np.floating], tolerance: float) -> NDArray[np.int64]:
    """The frames to keep.

    Args:
        values: [T] one channel, or [T, C] channels that share their keys.
        tolerance: the largest allowed difference at any frame.

    Returns:
        [K] int64 ascending; the first is 0, the last T - 1. A motion that never moves keeps its two ends.
    """
    table = np.asarray(values, dtype=np.float64).reshape(len(values), -1)  # [T, C]
    frames = len(table)
    if frames <= 2:
        return np.arange(frames)
    came_from = np.full(frames, -1)
    came_from[0] = 0
    newest = np.array([0])  # frames that can be reached with so many lines and no fewer
    while came_from[-1] < 0:
        reached: list[NDArray[np.int64]] = []
        for start in newest:
            ends = _lines_from(table, int(start), tolerance)
            ends = ends[came_from[ends] < 0]
            came_from[ends] = start
            reached.append(ends)
            if came_from[-1] >= 0:
                break
        newest = np.sort(np.concatenate(reached))
    path = [frames - 1]
    while path[-1]:
        path.append(int(came_from[path[-1]]))
    return np.array(path[::-1])


def _lines_from(table: NDArray[np.float64], start: int, tolerance: float) -> NDArray[np.int64]:
    """The frames that a line from frame `start` may end on; the next frame always is one."""
    reach = FIRST_REACH
    while True:
        away = np.arange(1, min(reach, len(table) - 1 - start) + 1)[:, None]  # [n, 1] frames from the start
        rise = table[start + 1 : start + 1 + len(away)] - table[start]  # [n, C]
        steepest = np.minimum.accumulate((rise + tolerance) / away)  # [n, C] slopes that pass all frames so far
        flattest = np.maximum.accumulate((rise - tolerance) / away)
        slope = rise / away
        fits = ((slope[1:] <= steepest[:-1]) & (slope[1:] >= flattest[:-1])).all(axis=1)  # [n - 1]
        goes_on = bool((flattest[-1] <= steepest[-1]).all())
        if not goes_on or len(away) < reach:
            return start + 1 + np.concatenate([[0], 1 + np.flatnonzero(fits)])
        reach *= 2


def largest_error(values: NDArray[np.floating], keys: NDArray[np.int64]) -> float:
    """The largest difference at any frame between values [T] or [T, C] and straight lines through the keys [K]."""
    table = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    whole = np.arange(len(table))
    return max(float(np.abs(np.interp(whole, keys, column[keys]) - column).max()) for column in table.T)


def reduce_each(
    values: NDArray[np.floating], tolerance: float | None
) -> tuple[list[NDArray[np.int64]], KeyCount | None]:
    """Keys for every channel [T, C] on its own. Without a tolerance every frame is a key and there is no count."""
    if tolerance is None:
        return [np.arange(len(values))] * values.shape[1], None
    kept = [fewest_keys(column, tolerance) for column in values.T]
    return kept, total(_count(values[:, [c]], keys) for c, keys in enumerate(kept))


def reduce_together(values: NDArray[np.floating], tolerance: float | None) -> tuple[NDArray[np.int64], KeyCount | None]:
    """Keys that all channels [T, C] share. Without a tolerance every frame is a key and there is no count."""
    if tolerance is None or values.shape[1] == 0:
        return np.arange(len(values)), None
    keys = fewest_keys(values, tolerance)
    return keys, _count(values, keys)


def total(counts: Iterable[KeyCount | None]) -> KeyCount | None:
    """Several counts as one; None if there is none."""
    result: KeyCount | None = None
    for count in counts:
        result = count if result is None else result + count if count is not None else result
    return result


def _count(values: NDArray[np.floating], keys: NDArray[np.int64]) -> KeyCount:
    return KeyCount(values.size, len(keys) * values.shape[1], largest_error(values, keys))
