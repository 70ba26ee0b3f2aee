"""The motion npz: exact values, the format to keep. See `msmdcli.motion.motion.save_npz` for what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msmdcli.motion.motion import Motion, load_npz, save_npz


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> None:
    """Write the motion; it has no options of its own."""
    save_npz(path, motion)


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read a motion; there are no options."""
    return load_npz(path)
