"""A line that a redo has made: what it said beyond the manifest, as changes that can be kept.

`msmd batch redo.yaml` makes lines of OUT anew with keys that stand in no manifest; OUT's report remembers them. The
page shows such a line as it is in OUT, with these keys as changes that are not kept yet: kept, they are written into
the manifest, and every later batch makes the line as it was redone; undone, it is the manifest's again. Nothing is
decided silently: a batch of the manifest makes what the manifest says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import parse_yaml
from msmdcli.manifest.lines import RedoEntry
from msmdcli.studio.places import Place, as_plain
from msmdcli.styles.library import is_path, split_range

NAMES_FILES = ("style", "ref", "file")  # keys whose values may be paths


def redone_keys(entries: Sequence[RedoEntry], place: Place, base: Path) -> dict[str, Any]:
    """What redos have said of a line and the manifest does not say.

    Args:
        entries: of the line, the first one first.
        place: where the line is written.
        base: the manifest's folder, from which its relative paths start.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        try:
            said = as_plain(parse_yaml(entry.text, "a redo"))
        except DocumentError:
            continue  # the batch says what is wrong with it
        for key, value in said.items() if isinstance(said, dict) else ():
            if key in place.choices and key not in ("formats", "format_options", "takes") and value is not None:
                found[key] = _from(value, key, entry.folder, base)
    own = place.own()
    return {key: value for key, value in found.items() if own.get(key) != value}


def _from(value: Any, key: str, folder: Path, base: Path) -> Any:
    """A value whose relative paths start from another folder."""
    if isinstance(value, dict):
        return {name: _from(item, name, folder, base) for name, item in value.items()}
    if isinstance(value, list):
        return [_from(item, key, folder, base) for item in value]
    if folder == base or key not in NAMES_FILES or not isinstance(value, str) or not is_path(value, folder):
        return value
    path, *_ = split_range(value, folder)
    part = value[value.rindex("@") :] if "@" in value and not str(path).endswith(value) else ""
    return Path(os.path.relpath(path, base)).as_posix() + part
