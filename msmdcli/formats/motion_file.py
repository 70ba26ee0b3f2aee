"""A motion file that a line needs beside its recording: found and hashed when the batch is planned, read when used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msmdcli.errors import MsmdError
from msmdcli.formats.registry import read_motion
from msmdcli.system.files import sha256_of

if TYPE_CHECKING:
    from msmdcli.motion.motion import Motion

KEPT = 32  # files of which a worker remembers the content


@dataclass(frozen=True)
class MotionFile:
    """Where it is, and what it held when the batch was planned.

    Attributes:
        path: npz, Live Link Face CSV, or any other format that MSMD reads.
        sha256: of its content; empty before `located`.
    """

    path: Path
    sha256: str = ""

    def located(self) -> MotionFile:
        """With its content known.

        Raises:
            MsmdError: there is no such file.
        """
        if not self.path.is_file():
            raise MsmdError(f"no such motion file: {self.path}", hint="a Live Link Face CSV or a motion npz is wanted")
        return replace(self, sha256=sha256_of(self.path))

    def load(self) -> Motion:
        """Its motion. Do not change it: lines share it.

        Raises:
            MsmdError: it cannot be read, or has changed since.
        """
        return _load(self.path, self.sha256)


@lru_cache(maxsize=KEPT)
def _load(path: Path, sha256: str) -> Motion:
    if sha256 and sha256_of(path) != sha256:
        raise MsmdError(f"{path} has changed since the batch began", hint="run the batch again")
    return read_motion(path)
