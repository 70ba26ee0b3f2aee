"""Heads: where the one to animate is found. The head that ships is made by `python -m msmdcli.heads.make_head`, what
films need of it by `python -m msmdcli.heads.make_film`."""

from __future__ import annotations

import os
from pathlib import Path

from msmdcli.errors import UsageError

SHIPPED = Path(__file__).with_name("ict_head.glb")


def find_head(given: object = None) -> Path:
    """The head to use: the one given, else that of the environment variable MSMD_HEAD, else the one that ships.

    What draws or measures asks `msmdcli.mesh.find_mesh`, which does without glTF where it must.

    Raises:
        UsageError: there is no such file.
    """
    named = str(given) if given else os.environ.get("MSMD_HEAD")
    path = Path(named).expanduser() if named else SHIPPED
    if not path.is_file():
        where = "" if given or not named else " (named by MSMD_HEAD)"
        raise UsageError(f"no such head: {path}{where}", hint="a .glb or .gltf with the rig's morph targets")
    return path
