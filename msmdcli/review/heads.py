"""The heads of a page: each line is shown on its character's own where that fits its motion, else on the usual one."""

from __future__ import annotations

import threading
from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head
from msmdcli.studio.head_pack import head_pack


class Heads:
    """The heads that lines of one page need. Any thread may ask.

    Attributes:
        packs: as the page opens them, see `head_pack`.
    """

    def __init__(self) -> None:
        self.packs: list[bytes] = []
        self._numbers: dict[tuple[str, tuple[str, ...]], int | None] = {}
        self._lock = threading.Lock()

    def number(self, own: str | None, rig: Rig) -> int | None:
        """The number of the head that shows motion on a rig; None where there is none.

        Args:
            own: path of the character's head.
            rig: of the motion.
        """
        with self._lock:
            paths = [Path(own)] if own and Path(own).is_file() else []
            for path in (*paths, find_head()):
                if (number := self._opened(path, rig)) is not None:
                    return number
        return None

    def _opened(self, path: Path, rig: Rig) -> int | None:
        key = (str(path), rig.channels)
        if key not in self._numbers:
            try:
                pack = head_pack(path, rig)
            except MsmdError:
                self._numbers[key] = None
            else:
                self._numbers[key] = len(self.packs)
                self.packs.append(pack)
        return self._numbers[key]
