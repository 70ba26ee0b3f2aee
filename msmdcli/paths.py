"""Where things lie: shared test material, the user's cache, the bundle and the styles that ship with the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shared_dir() -> Path | None:
    """The folder of material that is not part of the project (corpora, heads, pretrained models), if there is one.

    Environment variable `MSMD_SHARED`, else the folder `shared` beside the repository, else None.
    """
    named = os.environ.get("MSMD_SHARED")
    folder = Path(named).expanduser() if named else PACKAGE.parent.parent / "shared"
    return folder if folder.is_dir() else None


def cache_dir() -> Path:
    """The user's cache folder for MSMD (not created here): `MSMD_CACHE`, else the platform's own place."""
    named = os.environ.get("MSMD_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "msmd" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "msmd"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msmd"


def shipped_bundle() -> Path:
    """The bundle that ships with the package and is used when none is named."""
    return PACKAGE / "models" / "starter"


def shipped_styles() -> Path:
    """The tag library that ships: the folder `styles` beside the package `msmdcli`."""
    return PACKAGE.parent / "styles"
