"""A manifest of lines to do again, as the review page writes it:

    version: 1
    redo: lines.yaml            # the manifest that they are from; a relative path starts at this file
    lines:
      - {id: guard_001, seed: 1, note: "blinks too much"}
      - {id: guard_002, style: sad, blinks: 12}

Everything that an entry does not say about its line stays as the manifest has it, so the redone line takes the place of
the first. An entry may say all that a line may. The seed makes another take of it; without a change the line is only
made again where something else has changed. The options of the run stay, too: see `msmdcli.batch.redoing`.

What earlier redos have said of a line holds on (`earlier`), as far as a later one does not say otherwise; the report of
OUT remembers it. The page's file also has what was approved and noted (`approved`, `noted`), which a batch passes over:
`msmd review OUT --import FILE` takes it in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from msmdcli.documents.flow_text import flow_text
from msmdcli.documents.names import folded
from msmdcli.documents.nodes import DocumentError, Node
from msmdcli.documents.reader import Reader
from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import UsageError, did_you_mean
from msmdcli.manifest.lines import LINE_KEYS, Choices, Line, Manifest, ManifestError, RedoEntry, merge
from msmdcli.manifest.reading import ManifestReader
from msmdcli.manifest.takes import with_takes
from msmdcli.motion.rig import Rig

TOP_KEYS = ("version", "redo", "lines", "approved", "withdrawn", "noted")
ENTRY_KEYS = (*LINE_KEYS, "note")
ADDED_UP = ("format_options",)  # keys of which a later entry may say only a part

Entries = Mapping[str, Sequence[RedoEntry]]  # line id -> what redos have said of it, the first one first
NO_ENTRIES: Entries = MappingProxyType({})


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
    document: Node,
    path: Path,
    rig: Rig,
    load: Callable[[Path], Manifest],
    choices: Choices | None = None,
    earlier: Entries = NO_ENTRIES,
) -> Manifest:
    """The lines that are to be done again, as their own manifest and the entries describe them.

    Args:
        document: of the file `path`.
        rig: whose regions and channels the entries may name.
        load: reads the manifest that the lines are from.
        choices: of the command line, which may ask for takes.
        earlier: entries of redos before this one.

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
    lines = top.get("lines")
    named = {folded(name) for item in (lines.items if lines is not None else ()) if (name := _id_of(item)) is not None}
    known = {folded(line.id): line for line in with_takes(whole, choices)}
    for name in named & known.keys():
        line_id = known[name].id
        for entry in () if line_id in whole.redone else earlier.get(line_id, ()):  # of a redo of a redo: once
            known[name] = _as_said(entry, known, rig)
    chosen: dict[str, Line] = {}
    redone: dict[str, tuple[RedoEntry, ...]] = {}
    for item in lines.items if lines is not None else ():
        if (line := reader.entry(item, known, top["redo"].text, chosen)) is not None:
            chosen[line.id] = line
            before = whole.redone.get(line.id) or earlier.get(line.id, ())
            redone[line.id] = _added(before, RedoEntry(path.absolute().parent, flow_text(item)))
    if lines is None or (not lines.items and not reader.problems):
        only_marks = not {"approved", "withdrawn", "noted"}.isdisjoint(top)
        hint = "`msmd review OUT --import FILE` takes its approvals in" if only_marks else "lines: [{id: ..., seed: 1}]"
        reader.wrong(lines or document, "there is no line to redo", hint)
    if reader.problems:
        raise ManifestError(reader.texts(), path)
    return Manifest(whole.path, tuple(chosen.values()), whole.defaults, redone=redone)


def _id_of(item: Node) -> str | None:
    return next((value.text for key, value in item.entries if key.text == "id"), None)


def _as_said(entry: RedoEntry, known: Mapping[str, Line], rig: Rig) -> Line:
    """A line as an earlier redo has left it.

    Raises:
        UsageError: the entry cannot be read any more.
    """
    reader = RedoReader(entry.folder / "an earlier redo", rig)
    try:
        line = reader.entry(parse_yaml(entry.text, str(reader.path)), known, "the manifest", ())
    except DocumentError as error:
        raise UsageError(error.message, error.hint) from None
    if line is None or reader.problems:
        raise UsageError("; ".join(reader.texts()), hint="redo into another --out, or run the whole batch first")
    return line


def _added(before: Sequence[RedoEntry], entry: RedoEntry) -> tuple[RedoEntry, ...]:
    """Entries and a later one, without those that say nothing any more."""
    said = _keys(entry)
    return (*(one for one in before if not _keys(one) - {"id", "note"} <= said - set(ADDED_UP)), entry)


def _keys(entry: RedoEntry) -> set[str]:
    return {key.text for key, _ in parse_yaml(entry.text, "an earlier redo").entries}


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
