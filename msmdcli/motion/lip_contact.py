"""Where the lips meet: the gap between them, and the lower lip's height at the teeth, in mm, from a pose's channels.

Both are linear in the channels, because heads with morph targets are. The numbers are those of the head that ships
(`shipped/heads/ict_head.lips.json`, written by `python -m training.faces.make_lip_contact`): at `K` places along the
mouth the height of the upper lip above the lower one, and in the middle the height of the lower lip above the cutting
edge of the upper teeth. Another head that follows ARKit's channels closes by them too: `mouthClose` shuts the lips at
any `jawOpen` there, too.

T frames, D channels of the rig, n of them that matter here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD

Array = NDArray[np.float64]

MEASURED = SHIPPED_HEAD.with_suffix(".lips.json")
NEEDED = ("jawOpen", "mouthClose")  # a rig without these has no lips that can be led to meet


@dataclass(frozen=True, eq=False)
class LipContact:
    """The measures for one rig.

    Attributes:
        columns: [n] the rig's columns that move the lips.
        rest: [K] mm: the gaps at rest.
        parting: [n, K] mm by unit of the channel.
        bite: mm: height of the lower lip above the teeth's edge at rest.
        lifting: [n] mm by unit.
    """

    columns: NDArray[np.int64]
    rest: Array
    parting: Array
    bite: float
    lifting: Array

    @classmethod
    def of(cls, rig: Rig) -> LipContact | None:
        """The measures for a rig; None if it lacks the channels of `NEEDED`."""
        if any(name not in rig.channels for name in NEEDED):
            return None
        measured = _measured()
        rows = [(rig.channels.index(name), row) for name, row in measured["channels"].items() if name in rig.channels]
        return cls(
            columns=np.array([column for column, _ in rows]),
            rest=np.array(measured["gap"]),
            parting=np.array([row["gap"] for _, row in rows]),
            bite=float(measured["bite"]),
            lifting=np.array([row["bite"] for _, row in rows]),
        )

    @property
    def middle_parting(self) -> Array:
        """[n] mm by which one unit of each channel parts the middle of the lips."""
        return self.parting[:, len(self.rest) // 2]

    def parted(self, name: str, channels: Sequence[str]) -> float:
        """mm by which one unit of a channel parts the middle of the lips."""
        return float(self.middle_parting[self.columns == channels.index(name)][0])

    def lifted(self, name: str, channels: Sequence[str]) -> float:
        """mm by which one unit of a channel lifts the lower lip."""
        return float(self.lifting[self.columns == channels.index(name)][0])

    def gaps(self, values: NDArray[np.floating]) -> Array:
        """[T, D] -> [T, K] mm, from the right to the left; below 0 the lips overlap."""
        return self.rest + values[:, self.columns].astype(np.float64) @ self.parting

    def middle(self, values: NDArray[np.floating]) -> Array:
        """[T, D] -> [T] mm: the gap in the middle of the mouth."""
        return self.rest[len(self.rest) // 2] + values[:, self.columns].astype(np.float64) @ self.middle_parting

    def bites(self, values: NDArray[np.floating]) -> Array:
        """[T, D] -> [T] mm: how high the lower lip stands above the cutting edge of the upper teeth."""
        return self.bite + values[:, self.columns].astype(np.float64) @ self.lifting


def turn(pose: Array, channels: Sequence[str], name: str, by: Array, free: NDArray[np.floating] | float = 1.0) -> None:
    """Add to a channel of poses [T, D] within its range of 0 to 1, as far as it is `free` [T, D]; in place."""
    column = channels.index(name)
    share = free[:, column] if isinstance(free, np.ndarray) else free
    pose[:, column] += share * ((pose[:, column] + by).clip(0, 1) - pose[:, column])


@lru_cache(maxsize=1)
def _measured() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return document
