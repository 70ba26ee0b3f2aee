"""A manifest of lines to do again, as the review page writes it:

    version: 1
    redo: lines.yaml            # the manifest that they are from; a relative path starts at this file
    lines:
      - {id: guard_001, seed: 1, note: "blinks too much"}
      - {id: guard_002, style: sad, blinks: 12}

Everything that an entry does not say about its line stays as the manifest has it, so the redone line takes the place of
the first. An entry may say all that a line may. The seed makes another take of it; without a change the line is only
made again where something else has changed. The options of the run stay, too: see `msmdcli.batch.redoing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from pathlib import Path

from msmdcli.documents.names import folded
from msmdcli.documents.nodes import Node
from msmdcli.documents.reader import Reader
from msmdcli.errors import did_you_mean
from msmdcli.manifest.lines import LINE_KEYS, Choices, Line, Manifest, ManifestError, merge
from msmdcli.manifest.reading import ManifestReader
from msmdcli.manifest.takes import with_takes
from msmdcli.motion.rig import Rig

TOP_KEYS = ("version", "redo", "lines")
ENTRY_KEYS = (*LINE_KEYS, "note")


def is_redo(document: Node) -> bool:
    """Whether a document is such a manifest."""
    return any(key.text == "redo" for key, _ in document.entries)


def source_of(document: Node, path: Path) -> Path | None:
    """The manifest that the lines of a document are from, resolved as reports name it; None where it names none.

    Args:
        document: of the file `path`.
    """
    node = next((node for key, node in document.entries if key.text == "redo"), None)
    source = None if node is None else Reader(path).path_of(node, "redo")
    return None if source is None else Path(os.path.realpath(source))


def load_redo(
    document: Node, path: Path, rig: Rig, load: Callable[[Path], Manifest], choices: Choices | None = None
) -> Manifest:
    """The lines that are to be done again, as their own manifest and the entries describe them.

    Args:
        document: of the file `path`.
        rig: whose regions and channels the entries may name.
        load: reads the manifest that the lines are from.
        choices: of the command line, which may ask for takes.

    Raises:
        ManifestError: something is wrong here, or in the manifest that the lines are from.
    """
    reader = RedoReader(path, rig)
    top = reader.mapping(document, "a redo manifest", TOP_KEYS)
    if "redo" not in top or top["redo"].text is None:
        reader.wrong(top.get("redo", document), "`redo` names the manifest that the lines are from")
        raise ManifestError(reader.texts(), path)
    place = reader.path_of(top["redo"], "redo")
    if place is None:
        raise ManifestError(reader.texts(), path)
    if "version" not in top or top["version"].integer != 1:
        reader.wrong(top.get("version", document), "the version of a manifest is 1: `version: 1`")
    whole = load(place)
    known = {folded(line.id): line for line in with_takes(whole, choices)}
    chosen: dict[str, Line] = {}
    lines = top.get("lines")
    for item in lines.items if lines is not None else ():
        if (line := reader.entry(item, known, top["redo"].text, chosen)) is not None:
            chosen[line.id] = line
    if lines is None or (not lines.items and not reader.problems):
        reader.wrong(lines or document, "there is no line to redo", "lines: [{id: ..., seed: 1}]")
    if reader.problems:
        raise ManifestError(reader.texts(), path)
    return Manifest(whole.path, tuple(chosen.values()), whole.defaults)


class RedoReader(ManifestReader):
    """Reads the entries of such a manifest."""

    def entry(self, item: Node, known: Mapping[str, Line], source: str, chosen: Container[str]) -> Line | None:
        """The line that an entry names, with all that the entry says; None where something is wrong with it.

        Args:
            item: the entry.
            known: the lines of the manifest `source`, by their folded ids.
            source: its name, for messages.
            chosen: ids of earlier entries.
        """
        entries = self.mapping(item, "a line to redo", ENTRY_KEYS)
        name = entries["id"].text if "id" in entries else None
        if name is None:
            self.wrong(item, "a line to redo needs an `id`")
            return None
        line = known.get(folded(name))
        if line is None:
            nearest = did_you_mean(name, [one.id for one in known.values()])
            self.wrong(entries["id"], f"{source} has no line {name!r}", nearest)
            return None
        if line.id in chosen:
            self.wrong(entries["id"], f"{name!r} stands here twice")
            return None
        before = len(self.problems)
        own = self.choices_from(entries)
        audio = self.path_of(entries["audio"], "audio") if "audio" in entries else line.audio
        characters = {one.character.name: one.character for one in known.values() if one.character is not None}
        character = self.character_of(entries, characters) if "character" in entries else line.character
        fields = {**line.fields, **self.fields_of(entries)}
        text = self.text_of(entries["text"], "text") if "text" in entries else line.text
        if len(self.problems) > before or audio is None:
            return None
        choices = replace(merge([own, line.choices]), takes=own.takes or 1)
        return replace(line, audio=audio, choices=choices, text=text, character=character, fields=fields)
