"""A line's keys changed in the text of a table (CSV, TSV); the cells of all other lines stay as they are.

A choice that no column holds yet gets one, at the end; where all rows were equally long, they stay so. Lists and
mappings are written as YAML in a cell, as the reader takes them (`msmdcli.manifest.reading`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msmdcli.documents.table import NAMED, separator_of
from msmdcli.errors import UsageError
from msmdcli.manifest.reading import CARRIED, COLUMN_NAMES, STRUCTURED, keys_of_columns
from msmdcli.studio.project import Keys

LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass
class Row:
    """A row of a text.

    Attributes:
        line: of the text on which it begins, counted from 1.
        cells: as they are written, quotes included.
        ends: how it ends.
    """

    line: int
    cells: list[str]
    ends: str

    @property
    def is_blank(self) -> bool:
        """Whether nothing is in it."""
        return not any(plain(cell).strip() for cell in self.cells)


def with_table_keys(text: str, line: int, keys: Keys) -> str:
    """The text of a table in which a line has other values of some keys.

    Args:
        text: of the table.
        line: of the text, on which the line's row begins, counted from 1.
        keys: what the line chooses; None empties the cell.

    Raises:
        UsageError: there is no such row.
    """
    named = NAMED.match(text)
    separator = named[1] if named else separator_of(text)
    rows = split(text, separator)
    table = [row for row in rows if not row.is_blank and not (named and row.line == 1)]
    row = next((one for one in table[1:] if one.line == line), None)
    if row is None:
        raise UsageError("the table has no such row any more", hint="load the page again")
    header = table[0]
    even = all(len(one.cells) == len(header.cells) for one in table)
    for key, value in keys.items():
        columns = keys_of_columns([plain(cell).strip() for cell in header.cells])
        column = next((number for number, name in enumerate(columns) if name == key), None)
        if column is None:
            if value is None:
                continue
            header.cells.append(COLUMN_NAMES[key][0] if key in CARRIED else key)
            column = len(header.cells) - 1
            for one in table[1:] if even else ():
                one.cells.append("")
        row.cells += [""] * (column + 1 - len(row.cells))
        cell = "" if value is None else cell_text(key, value)
        if plain(row.cells[column]).strip() != cell:
            row.cells[column] = quoted(cell, separator)
    return "".join(separator.join(one.cells) + one.ends for one in rows)


def cell_text(key: str, value: Any) -> str:
    """A choice as a cell says it."""
    if key in STRUCTURED and isinstance(value, list | dict):
        if key == "formats" and all(isinstance(item, str) for item in value):
            return ", ".join(value) if isinstance(value, list) else json.dumps(value)
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):  # as on the command line: jaw=1.2,lips=1.1
        return ",".join(f"{name}={cell_text(key, share)}" for name, share in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)


def split(text: str, separator: str) -> list[Row]:
    """The rows of a text; put together again they are the text (RFC 4180: a quote opens a cell at its start only)."""
    rows: list[Row] = []
    at, line = 0, 1
    while at < len(text):
        cells, first = [], line
        while True:
            start = at
            if text.startswith('"', at):
                at += 1
                while (close := text.find('"', at)) >= 0:
                    at = close + 1
                    if not text.startswith('"', at):
                        break
                    at += 1
                else:
                    at = len(text)
            while at < len(text) and text[at] != separator and text[at] not in "\r\n":
                at += 1
            cells.append(text[start:at])
            line += len(LINE_ENDS.findall(cells[-1]))
            if not text.startswith(separator, at):
                break
            at += 1
        found = LINE_ENDS.match(text, at)
        rows.append(Row(first, cells, found[0] if found else ""))
        at += len(rows[-1].ends)
        line += 1
    return rows


def plain(cell: str) -> str:
    """What a cell says."""
    if not cell.startswith('"'):
        return cell
    inside = cell[1 : cell.rfind('"')] if cell.rfind('"') > 0 else cell[1:]
    return inside.replace('""', '"') + (cell[cell.rfind('"') + 1 :] if cell.rfind('"') > 0 else "")


def quoted(text: str, separator: str) -> str:
    """A cell that says a text."""
    needed = separator in text or any(one in text for one in '"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if needed else text
