"""What the readers of sound have in common: an open file as blocks of samples, and what was wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError

BLOCK_SAMPLES = 1 << 16
TOLERANCE = Fraction(1, 20)  # seconds: what a header may be wrong by, and a time stamp without being a gap


@dataclass
class Source:
    """An open file.

    Attributes:
        rate: samples per second.
        channels: of each block.
        blocks: [n, channels] float32, in order.
        notes: what a person should know of the file; complete once all blocks are read.
    """

    rate: int
    channels: int
    blocks: Iterator[np.ndarray]
    notes: list[str] = field(default_factory=list)


def damaged(path: Path, detail: str) -> MsmdError:
    """The error of a recording that is not whole."""
    return MsmdError(f"audio file {path} is damaged or cut off: {detail}", hint="copy or export the file again")
