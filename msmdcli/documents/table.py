"""A table (CSV, TSV, semicolons) as a list of rows, each a mapping from its column to the cell's text.

Written after RFC 4180, with what spreadsheets do beyond it: semicolons and tabs between cells, a first line `sep=;`
(Excel), rows that end at CR alone (old Macs). A row ends at CR or LF only: other characters that Unicode calls line
ends (vertical tab, U+0085, U+2028) are part of the text.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from msmdcli.documents.nodes import DocumentError, Key, Node

SEPARATORS = ",;\t"
NAMED = re.compile(r"sep=(.)[ \t]*(?:\r\n|\r|\n|$)", re.IGNORECASE)
QUOTED = re.compile(r'"[^"]*"')


def parse_table(text: str, path: Path) -> Node:
    """The rows of a table with a header row. Empty cells and rows are left out.

    Args:
        text: of the file.
        path: its name, for messages.

    Raises:
        DocumentError: it is no table, has two columns of one name, or a row longer than the header.
    """
    named = NAMED.match(text)
    delimiter = named[1] if named else separator_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows: list[Node] = []
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if (named and line == 1) or not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                repeated = next((name for name in header if name and header.count(name) > 1), None)
                if repeated:
                    raise DocumentError(f"{path}:{line}: two columns are called {repeated!r}")
                continue
            while len(cells) > len(header) and not cells[-1].strip():  # a separator at the end of a row
                cells.pop()
            if len(cells) > len(header):
                raise DocumentError(
                    f"{path}:{line}: {len(cells)} cells in a table of {len(header)} columns",
                    hint="put quotes around a text that contains the separator",
                )
            entries = {
                Key(name, line, column): Node(cell.strip(), line, column)
                for column, (name, cell) in enumerate(zip(header, cells, strict=False), start=1)
                if name and cell.strip()
            }
            rows.append(Node(entries, line, 1))
    except csv.Error as error:
        raise DocumentError(f"{path}:{reader.line_num}: this is not CSV: {error}") from error
    if header is None:
        raise DocumentError(f"{path} is empty")
    return Node(rows, 1, 1)


def separator_of(text: str) -> str:
    """The separator that the header row has most of, quotes left out; a comma where it has none."""
    first = re.split(r"[\r\n]", QUOTED.sub("", text.lstrip("\r\n")[:100_000]), maxsplit=1)[0]
    return max(SEPARATORS, key=first.count)
