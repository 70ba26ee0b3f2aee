"""A manifest of lines to do again, as the review page writes it:

    version: 1
    redo: lines.yaml            # the manifest that they are from; a relative path starts at this file
    lines:
      - {id: guard_001, seed: 1, note: "blinks too much"}

Everything else about a line stays as its manifest has it, so the redone line takes the place of the first. The seed
makes another take of it; without one the line is only made again where something has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msmdcli.documents.names import folded
from msmdcli.errors import did_you_mean
from msmdcli.manifest.takes import SEEDS, with_takes
from msmdcli.motion.rig import Rig

if TYPE_CHECKING:
    from msmdcli.documents.tree import Key, Node
    from msmdcli.manifest.reading import Line, Manifest

TOP_KEYS = ("version", "redo", "lines")
LINE_KEYS = ("id", "seed", "note")


def is_redo(document: Node) -> bool:
    """Whether a document is such a manifest."""
    return any(key.text == "redo" for key, _ in document.entries)


def load_redo(document: Node, path: Path, rig: Rig) -> Manifest:
    """The lines that are to be done again, as their own manifest describes them.

    Raises:
        ManifestError: something is wrong here, or in the manifest that the lines are from.
    """
    from msmdcli.manifest.reading import Manifest, ManifestError, load_manifest

    problems: list[str] = []

    def wrong(node: Node | Key, what: str, hint: str = "") -> None:
        problems.append(f"{path}:{node.line}:{node.column}: {what}" + (f" ({hint})" if hint else ""))

    top = _mapping(document, TOP_KEYS, "a redo manifest", wrong)
    source = top["redo"].text if "redo" in top else None
    if source is None:
        wrong(top.get("redo", document), "`redo` names the manifest that the lines are from")
        raise ManifestError(problems, path)
    if "version" not in top or top["version"].integer != 1:
        wrong(top.get("version", document), "the version of a manifest is 1: `version: 1`")
    whole = load_manifest(path.parent / Path(source).expanduser(), rig)
    known = {folded(line.id): line for line in with_takes(whole)}
    chosen: dict[str, Line] = {}
    lines = top.get("lines")
    for item in lines.items if lines is not None else ():
        entry = _mapping(item, LINE_KEYS, "a line to redo", wrong)
        name = entry["id"].text if "id" in entry else None
        if name is None:
            wrong(item, "a line to redo needs an `id`")
            continue
        line = known.get(folded(name))
        if line is None:
            wrong(entry["id"], f"{source} has no line {name!r}", did_you_mean(name, [one.id for one in known.values()]))
            continue
        if line.id in chosen:
            wrong(entry["id"], f"{name!r} stands here twice")
            continue
        choices = replace(line.choices, takes=1)
        if "seed" in entry:
            seed = entry["seed"].integer
            if seed is None or not 0 <= seed < SEEDS:
                wrong(entry["seed"], "a seed is a whole number from 0")
                continue
            choices = replace(choices, seed=seed)
        chosen[line.id] = replace(line, choices=choices)
    if lines is None or (not lines.items and not problems):
        wrong(lines or document, "there is no line to redo", "lines: [{id: ..., seed: 1}]")
    if problems:
        raise ManifestError(problems, path)
    return Manifest(whole.path, tuple(chosen.values()), whole.defaults)


def _mapping(node: Node, keys: tuple[str, ...], what: str, wrong: Callable[..., None]) -> dict[str, Node]:
    """The entries of a mapping with known keys only."""
    if not isinstance(node.content, dict):
        wrong(node, f"{what} is a mapping of keys, not a {node.kind}", f"keys: {', '.join(keys)}")
        return {}
    for key, _ in node.entries:
        if key.text not in keys:
            wrong(key, f"unknown key {key.text!r} in {what}", did_you_mean(key.text, keys))
    return {key.text: value for key, value in node.entries if key.text in keys and not value.is_null}
