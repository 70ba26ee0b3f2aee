"""Numbers in text files: the shortest decimals that give back the same float32, never with an exponent.

Some readers (YAML 1.1 among them) take `1e-05` for a word.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def decimals(values: Iterable[float] | np.ndarray) -> list[str]:
    """Text for each value, as float32. Minus zero is written as 0."""
    numbers = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float32) + np.float32(0)
    return [np.format_float_positional(value, trim="-") for value in numbers.ravel()]


def seconds(frame: int, numerator: int, denominator: int) -> str:
    """The time of a frame at numerator/denominator frames per second, to a nanosecond."""
    nanos = (frame * denominator * 10**9 * 2 + numerator) // (2 * numerator)  # rounded, halves up
    whole, rest = divmod(nanos, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
