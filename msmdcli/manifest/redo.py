"""A manifest of lines to do again, as the review page writes it:

    version: 1
    redo: lines.yaml            # the manifest that they are from; a relative path starts at this file
    lines:
      - {id: guard_001, seed: 1, note: "blinks too much"}

Everything else about a line stays as its manifest has it, so the redone line takes the place of the first. The seed
makes another take of it; without one the line is only made again where something has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path

from msmdcli.documents.names import folded
from msmdcli.documents.nodes import Node
from msmdcli.documents.reader import Reader
from msmdcli.errors import did_you_mean
from msmdcli.manifest.lines import MAX_SEED, Line, Manifest, ManifestError
from msmdcli.manifest.takes import with_takes

TOP_KEYS = ("version", "redo", "lines")
LINE_KEYS = ("id", "seed", "note")


def is_redo(document: Node) -> bool:
    """Whether a document is such a manifest."""
    return any(key.text == "redo" for key, _ in document.entries)


def load_redo(document: Node, path: Path, load: Callable[[Path], Manifest]) -> Manifest:
    """The lines that are to be done again, as their own manifest describes them.

    Args:
        document: of the file `path`.
        load: reads the manifest that the lines are from.

    Raises:
        ManifestError: something is wrong here, or in the manifest that the lines are from.
    """
    reader = Reader(path)
    top = reader.mapping(document, "a redo manifest", TOP_KEYS)
    source = top["redo"].text if "redo" in top else None
    if source is None:
        reader.wrong(top.get("redo", document), "`redo` names the manifest that the lines are from")
        raise ManifestError(reader.texts(), path)
    if "version" not in top or top["version"].integer != 1:
        reader.wrong(top.get("version", document), "the version of a manifest is 1: `version: 1`")
    whole = load(path.parent / Path(source).expanduser())
    known = {folded(line.id): line for line in with_takes(whole)}
    chosen: dict[str, Line] = {}
    lines = top.get("lines")
    for item in lines.items if lines is not None else ():
        if (line := _line_to_redo(reader, item, known, source, chosen)) is not None:
            chosen[line.id] = line
    if lines is None or (not lines.items and not reader.problems):
        reader.wrong(lines or document, "there is no line to redo", "lines: [{id: ..., seed: 1}]")
    if reader.problems:
        raise ManifestError(reader.texts(), path)
    return Manifest(whole.path, tuple(chosen.values()), whole.defaults)


def _line_to_redo(
    reader: Reader, item: Node, known: Mapping[str, Line], source: str, chosen: Container[str]
) -> Line | None:
    """The line that an entry names, with the entry's seed.

    Args:
        known: the lines of the manifest `source`, by their folded ids.
        chosen: ids of earlier entries.
    """
    entry = reader.mapping(item, "a line to redo", LINE_KEYS)
    name = entry["id"].text if "id" in entry else None
    if name is None:
        reader.wrong(item, "a line to redo needs an `id`")
        return None
    line = known.get(folded(name))
    if line is None:
        nearest = did_you_mean(name, [one.id for one in known.values()])
        reader.wrong(entry["id"], f"{source} has no line {name!r}", nearest)
        return None
    if line.id in chosen:
        reader.wrong(entry["id"], f"{name!r} stands here twice")
        return None
    choices = replace(line.choices, takes=1)
    if "seed" in entry:
        seed = entry["seed"].integer
        if seed is None or not 0 <= seed <= MAX_SEED:
            reader.wrong(entry["seed"], "a seed is a whole number from 0")
            return None
        choices = replace(choices, seed=seed)
    return replace(line, choices=choices)
