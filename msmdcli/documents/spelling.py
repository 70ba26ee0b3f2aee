"""Files whose names are spelled otherwise than somebody typed them.

The same name can be two texts: macOS stores `é` as two characters (NFD), keyboards elsewhere give one (NFC); and a path
with backslashes means folders on Windows only. Nobody sees the difference, so such a file is found.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

NO_BACKSLASH = "write folders with /: a backslash is a part of a name on this system"


def spelled(path: Path) -> Path:
    """The path of the file or folder that this path means: itself where it exists or where no other is meant.

    A file of exactly this name wins; else one whose name differs in Unicode normalisation only, or that lies where the
    path leads with its backslashes as slashes. Two such files mean neither.
    """
    text = str(path)
    if (text.isascii() and "\\" not in text) or os.path.lexists(path):
        return path
    written = [path, Path(text.replace("\\", "/"))] if os.sep == "/" and "\\" in text else [path]
    return next((found for one in written if (found := _on_disk(one)) is not None), path)


def missing_hint(path: Path, otherwise: str = "") -> str:
    """The hint for a file that is not there."""
    return NO_BACKSLASH if os.sep == "/" and "\\" in str(path) else otherwise


def _on_disk(path: Path) -> Path | None:
    here = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        if part == ".." or os.path.lexists(here / part):
            here /= part
            continue
        try:
            names = [entry.name for entry in here.iterdir() if _composed(entry.name) == _composed(part)]
        except OSError:
            return None
        if len(names) != 1:
            return None
        here /= names[0]
    return here


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
