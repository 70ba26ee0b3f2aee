"""The lines of a manifest: YAML and JSON documents, and tables in CSV.

Strict: an unknown key, a wrong type or an impossible id is an error with file, line, column and the nearest valid word,
and all errors are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msmdcli.documents.names import id_problem
from msmdcli.documents.nodes import DocumentError, Key, Node
from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import did_you_mean
from msmdcli.manifest.choices import ChoicesReader
from msmdcli.manifest.dubs import read_dubs
from msmdcli.manifest.lines import LINE_KEYS, Character, Choices, Line, Manifest, ManifestError, colliding_ids

VERSION = 1
CHARACTER_KEYS = ("head", "curves", "styles", "defaults", "lines")
TOP_KEYS = ("version", "defaults", "characters", "lines", "dub")
COLUMN_NAMES = {  # CSV: what spreadsheets call our columns
    "id": ("line", "line_id", "lineid", "name", "key"),
    "audio": ("file", "filename", "path", "wav", "audio_file"),
    "language": ("lang", "locale"),
    "length": ("shot_length", "shot_duration"),
    "text": ("transcript", "dialogue", "dialog"),
}
STRUCTURED = ("style", "regions", "segments", "formats", "format_options", "gestures", "pins")  # CSV: YAML in a cell
TEXTS = ("id", "audio", "text", "language")  # CSV: never anything but text, not even `null`
CARRIED = ("fields", "character", "length")  # CSV: in a table these columns are somebody else's; see COLUMN_NAMES


class ManifestReader(ChoicesReader):
    """Reads one manifest and collects what is wrong with it."""

    def read(self, root: Node) -> Manifest:
        """The manifest of a document.

        Raises:
            ManifestError: with everything that is wrong.
        """
        if isinstance(root.content, list) and self.path.suffix.lower() in (".csv", ".tsv"):
            defaults = Choices()
            lines = [line for row in root.items if (line := self.table_row(row)) is not None]
        else:
            defaults, lines = self.top(root)
        if not lines and not self.problems:
            self.wrong(root, "there are no lines")
        problems = [*self.texts(), *colliding_ids(lines)]
        if problems:
            raise ManifestError(problems, self.path)
        return Manifest(self.path, tuple(lines), defaults)

    def top(self, root: Node) -> tuple[Choices, list[Line]]:
        """The defaults and all lines of a YAML or JSON document."""
        entries = self.mapping(root, "a manifest", TOP_KEYS)
        if not isinstance(root.content, dict):
            return Choices(), []
        if "version" not in entries:
            self.wrong(root, "the manifest has no version", "begin it with `version: 1`")
        elif entries["version"].integer != VERSION:
            self.wrong(entries["version"], f"manifest version {self.show(entries['version'])}", "this program reads 1")
        defaults = self.choices(entries["defaults"], "defaults") if "defaults" in entries else Choices()
        characters: dict[str, Character] = {}
        lines: list[Line] = []
        if "characters" in entries:
            for key, node in self.named(entries["characters"], "characters"):
                character, own_lines = self.character(key, node)
                characters[key.text] = character
                lines += [line for item in own_lines if (line := self.line(item, characters, character)) is not None]
        if "lines" in entries:
            lines += [
                line
                for item in self.list_of(entries["lines"], "lines")
                if (line := self.line(item, characters)) is not None
            ]
        if "dub" in entries:
            lines += read_dubs(self, entries["dub"], lambda item: self.line(item, characters))
        return defaults, lines

    def character(self, key: Key, node: Node) -> tuple[Character, list[Node]]:
        """A character, and the lines written below it, unread."""
        entries = self.mapping(node, f"character {key.text!r}", CHARACTER_KEYS)
        paths = {name: self.path_of(entries[name], name) for name in ("head", "curves", "styles") if name in entries}
        choices = self.choices(entries["defaults"], "defaults") if "defaults" in entries else Choices()
        lines = self.list_of(entries["lines"], "lines") if "lines" in entries else []
        return Character(key.text, **paths, choices=choices), lines

    def line(self, node: Node, characters: Mapping[str, Character], own: Character | None = None) -> Line | None:
        """A line; None where something is wrong with it.

        Args:
            characters: those that it may name.
            own: the character below which it is written.
        """
        entries = self.mapping(node, "a line", LINE_KEYS)
        if not isinstance(node.content, dict):
            return None
        before = len(self.problems)
        audio = self.path_of(entries["audio"], "audio") if "audio" in entries else None
        if "audio" not in entries:
            self.wrong(node, "the line has no audio", "audio: the path of its recording")
        line_id = self.text_of(entries["id"], "id") if "id" in entries else None
        if "id" not in entries:
            self.wrong(node, "the line has no id", "id: the name of its outputs")
        elif line_id is not None and (why := id_problem(line_id)):
            self.wrong(entries["id"], f"{line_id!r} cannot be an id: {why}")
        character = self.character_of(entries, characters) if "character" in entries else own
        extra = self.fields_of(entries)
        choices = self.choices_from(entries)
        text = self.text_of(entries["text"], "text") if "text" in entries else None
        if len(self.problems) > before or line_id is None or audio is None:
            return None
        return Line(line_id, audio, choices, self.place(node), text, character, extra)

    def character_of(self, entries: Mapping[str, Node], characters: Mapping[str, Character]) -> Character | None:
        """The character that a line names; None where there is none of that name."""
        name = self.text_of(entries["character"], "character") or ""
        if name not in characters:
            known = did_you_mean(name, characters) if characters else "the manifest has no `characters`"
            self.wrong(entries["character"], f"there is no character {name!r}", known)
        return characters.get(name)

    def fields_of(self, entries: Mapping[str, Node]) -> dict[str, str]:
        """A line's `fields`; none where it has none."""
        named = self.named(entries["fields"], "fields") if "fields" in entries else ()
        return {key.text: self.text_of(value, key.text) or "" for key, value in named if not value.is_null}

    def table_row(self, row: Node) -> Line | None:
        """A row of a CSV table: our columns by name, others carried along. Lists and mappings are YAML."""
        mapping, carried = self.row_mapping(row)
        line = self.line(mapping, {})
        return None if line is None else Line(line.id, line.audio, line.choices, line.where, line.text, None, carried)

    def row_mapping(self, row: Node) -> tuple[Node, dict[str, str]]:
        """A row of a table as the mapping that it means, and its other columns."""
        entries: dict[Key, Node] = {}
        carried: dict[str, str] = {}
        names = keys_of_columns([key.text for key, _ in row.entries])
        given = {_column(key.text) for key, _ in row.entries}
        for name, (key, node) in zip(names, row.entries, strict=True):
            if name is not None:
                entries[Key(name, key.line, key.column)] = self.cell(name, node)
                continue
            near = difflib.get_close_matches(_column(key.text), LINE_KEYS, n=1, cutoff=0.8)
            if near and near[0] not in given and _column(key.text) not in CARRIED:
                self.wrong(key, f"unknown column {key.text!r}", f"did you mean {near[0]}?")
            carried[key.text] = str(node.content)
        if not any(key.text == "id" for key in entries):
            audio = next((node for key, node in entries.items() if key.text == "audio"), None)
            if audio is not None and audio.text:
                stem = Path(audio.text.replace("\\", "/")).stem
                entries[Key("id", audio.line, audio.column)] = Node(stem, audio.line, audio.column, quoted=True)
        return Node(entries, row.line, row.column), carried

    def cell(self, column: str, node: Node) -> Node:
        """A cell as a value: text, but for columns that hold lists or mappings, whose cells may be YAML."""
        text = str(node.content)
        if column in TEXTS:
            return Node(text, node.line, node.column, quoted=True)
        if column not in STRUCTURED or not text.startswith(("[", "{")):
            return node
        try:
            return _placed(parse_yaml(text, f"{self.path}:{node.line}"), node)
        except DocumentError as error:
            self.wrong(node, error.message.split(": ", 1)[-1])
            return node

    def hint_for_key(self, key: str, what: str, keys: Sequence[str]) -> str:
        """The hint for an unknown key; for one of a line, where columns of one's own go."""
        hint = did_you_mean(key, keys)
        return hint if what != "a line" or hint.startswith("did") else hint + "; columns of your own go under `fields:`"


def keys_of_columns(header: Sequence[str]) -> list[str | None]:
    """The key of a line that each column of a table holds; None for columns of one's own."""
    given = {_column(text) for text in header}
    found: list[str | None] = []
    for text in header:
        name = own = _column(text)
        if name not in LINE_KEYS:
            free = (o for o, names in COLUMN_NAMES.items() if name in names and (o not in given or o in CARRIED))
            name = next(free, name)
        found.append(name if name in LINE_KEYS and (name not in CARRIED or name != own) else None)
    return found


def _column(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _placed(node: Node, at: Node) -> Node:
    """A tree parsed from a cell, with the cell's place."""
    content = node.content
    if isinstance(content, list):
        content = [_placed(item, at) for item in content]
    elif isinstance(content, dict):
        content = {Key(key.text, at.line, at.column): _placed(value, at) for key, value in content.items()}
    return Node(content, at.line, at.column, node.quoted)
