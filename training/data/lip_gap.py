"""How a rig's channels part the lips, in millimetres, and how lips are closed by that measure."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.heads.loading import load_head
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head

Array = np.ndarray[Any, np.dtype[np.float32]]
PARTINGS = ("mouthUpperUp", "mouthLowerDown", "mouthFunnel", "mouthShrugUpper")
LET_GO = 0.85  # how far they do at a closure
CLOSED_GAP = 0.2  # mm at which lips touch; the neutral face of the head has 0.8


def lip_gap(rig: Rig) -> tuple[Array, float]:
    """Vertical distance of the middle of the inner lips on the head that evaluations measure on.

    Returns:
        (slope [D] in mm per unit of each channel, the gap of the neutral face in mm); values [T, D] part the lips by
        values @ slope + rest, below 0 where they are pressed together.
    """
    slope, rest = _measured(find_head(), rig)
    return slope.copy(), rest


@lru_cache(maxsize=4)
def _measured(path: Path, rig: Rig) -> tuple[Array, float]:
    """`lip_gap` of a head's file: every performance asks for it, and reading the file costs nearly as much as one."""
    head = load_head(path, rig)
    upper, lower = head.mid_lips
    slope = np.zeros(rig.size, np.float32)
    for row, name in enumerate(head.channels):
        slope[rig.index(name)] = head.deltas[row, upper, 1] - head.deltas[row, lower, 1]
    return slope, float(head.neutral[upper, 1] - head.neutral[lower, 1])


def sealed(values: Array, closed: Array, rig: Rig) -> Array:
    """Motion whose lips meet where they should.

    Channels that part the lips beside the jaw let go first, then mouthClose brings them together: what ARKit means by
    it. A mouth that is closed or pressed already stays as it is.

    Args:
        values: [T, D] in rig units.
        closed: [T], 0 as they are to 1 closed.
    """
    slope, rest = lip_gap(rig)
    out = values.copy()
    partings = [i for i, name in enumerate(rig.channels) if name.startswith(PARTINGS)]
    out[:, partings] *= 1.0 - LET_GO * closed[:, None]
    close = rig.index("mouthClose")
    over = np.maximum(out @ slope + rest - CLOSED_GAP, 0.0)  # [T] mm
    out[:, close] = np.clip(out[:, close] + closed * over / -slope[close], 0.0, 1.0)
    return out
