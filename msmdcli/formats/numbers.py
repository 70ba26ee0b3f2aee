"""Numbers and times as text: decimals, seconds, frame numbers and timecodes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from msmdcli.errors import UsageError


def decimals(values: Iterable[float] | np.ndarray) -> list[str]:
    """The shortest decimals that give back the same float32 for each value, never with an exponent, -0 as 0.

    Some readers (YAML 1.1 among them) take `1e-05` for a word.
    """
    numbers = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float32) + np.float32(0)
    return [np.format_float_positional(value, trim="-") for value in numbers.ravel()]


def seconds(frame: int, numerator: int, denominator: int) -> str:
    """The time of a frame at numerator/denominator frames per second, to a nanosecond."""
    nanos = (frame * denominator * 10**9 * 2 + numerator) // (2 * numerator)  # rounded, halves up
    whole, rest = divmod(nanos, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def start_frame(start: object, fps: Fraction) -> int:
    """The number of the first frame, from `1001`, -12 or "01:00:00:00" (a timecode at the motion's own rate).

    Raises:
        UsageError: it is neither.
    """
    text = str(start).strip()
    if re.fullmatch(r"[+-]?\d{1,9}", text):
        return int(text)
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,3})", text)
    count = math.ceil(fps)
    if found:
        hour, minute, second, frame = (int(part) for part in found.groups())
        if hour < 24 and minute < 60 and second < 60 and frame < count:
            return ((hour * 60 + minute) * 60 + second) * count + frame
    raise UsageError(
        f"start {start!r} is neither a frame number nor a timecode HH:MM:SS:FF with FF below {count}",
        hint="examples: 1001, 01:00:00:00",
    )


def timecode(frame: int, fps: Fraction) -> str:
    """HH:MM:SS:FF of a frame number, within a day; a frame before 0 counts from the end of the day.

    At 30000/1001 frames per second it is non-drop: it counts to 30, so that every frame has a number of its own.
    """
    count = math.ceil(fps)
    seconds, rest = divmod(frame % (24 * 3600 * count), count)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"
