"""Where things lie: shared test material, the user's cache and styles, and what ships: bundle, head and styles.

The head that ships is made by `python -m training.faces.make_head`, what films need of it by
`python -m training.faces.make_film`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msmdcli.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "shipped"  # what ships and is no code: rigs, curve maps, gestures, models, heads
# The folders `training`, `export` and `styles`: within the package in a wheel, beside it in a clone (see setup.py).
BESIDE = PACKAGE / "_beside" if (PACKAGE / "_beside").is_dir() else PACKAGE.parent
SHIPPED_HEAD = SHIPPED / "heads" / "ict_head.glb"


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


def user_styles() -> Path:
    """The user's own style tags (not created here): `MSMD_STYLES`, else a folder among the platform's user data.

    It does not depend on the working folder, so a tag means the same wherever a batch is started.
    """
    named = os.environ.get("MSMD_STYLES")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "msmd" / "styles"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "msmd" / "styles"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "msmd" / "styles"


def shipped_bundle() -> Path:
    """The bundle that ships with the package and is used when none is named."""
    return SHIPPED / "models" / "starter"


def shipped_styles() -> Path:
    """The tag library that ships."""
    return BESIDE / "styles"


def add_training_to_path() -> None:
    """Make `import training` and `import export` find the code that belongs to this package.

    For this process and those that it starts (spawned workers take over `sys.path`, others `PYTHONPATH`); other
    people's Python is not touched.
    """
    folder = str(BESIDE)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    others = os.environ.get("PYTHONPATH")
    if folder not in (others or "").split(os.pathsep):
        os.environ["PYTHONPATH"] = folder if not others else os.pathsep.join([folder, others])


def find_head(given: object = None) -> Path:
    """The head to use: the one given, else that of the environment variable MSMD_HEAD, else the one that ships.

    Raises:
        UsageError: there is no such file.
    """
    named = str(given) if given else os.environ.get("MSMD_HEAD")
    path = Path(named).expanduser() if named else SHIPPED_HEAD
    if not path.is_file():
        where = "" if given or not named else " (named by MSMD_HEAD)"
        raise UsageError(f"no such head: {path}{where}", hint="a .glb, .vrm or .gltf with the rig's morph targets")
    return path
