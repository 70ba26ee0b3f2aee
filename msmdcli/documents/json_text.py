"""JSON in which every value knows its line and column. Format: RFC 8259.

Python's own reader checks the text and says what is wrong with it; the walk below only finds the places.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from pathlib import Path

from msmdcli.documents.nodes import MAX_DEPTH, DocumentError, Key, Node

TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+)', re.DOTALL)


def parse_json(text: str, path: Path) -> Node:
    """The value of a JSON text. Numbers stay as they were written; texts are `quoted`.

    Args:
        text: of the file.
        path: its name, for messages.

    Raises:
        DocumentError: it is no JSON, a key stands twice in an object, or it is nested too deeply.
    """

    def refuse(name: str) -> float:
        raise ValueError(f"{name} is no number of JSON")

    try:
        json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DocumentError(f"{path}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DocumentError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise DocumentError(f"{path}: this is not JSON: {error}") from error
    return _Walk(text, path).value(0)


class _Walk:
    """Goes once through a text that is known to be JSON."""

    def __init__(self, text: str, path: Path) -> None:
        self._text, self._path, self._at = text, path, 0
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def _next(self) -> tuple[str, int]:
        """A token and where it begins."""
        match = TOKEN.match(self._text, self._at)
        assert match is not None, "json.loads has accepted it"
        self._at = match.end()
        return match[1], match.start(1)

    def _place(self, at: int) -> tuple[int, int]:
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _string(self, token: str, at: int) -> str:
        text: str = json.loads(token)
        if any("\ud800" <= character <= "\udfff" for character in text):
            line, column = self._place(at)
            raise DocumentError(f"{self._path}:{line}:{column}: half of a pair of \\u escapes is no character")
        return text

    def value(self, depth: int) -> Node:
        """The value that begins here."""
        token, at = self._next()
        line, column = self._place(at)
        if depth > MAX_DEPTH:
            raise DocumentError(f"{self._path}:{line}:{column}: nested too deeply")
        if token == "[":
            return Node(self._items(depth), line, column)
        if token == "{":
            return Node(self._entries(depth), line, column)
        if token.startswith('"'):
            return Node(self._string(token, at), line, column, quoted=True)
        return Node(token, line, column)

    def _items(self, depth: int) -> list[Node]:
        items: list[Node] = []
        if self._closes("]"):
            return items
        while True:
            items.append(self.value(depth + 1))
            if self._next()[0] == "]":
                return items

    def _entries(self, depth: int) -> dict[Key, Node]:
        entries: dict[Key, Node] = {}
        seen: set[str] = set()
        if self._closes("}"):
            return entries
        while True:
            token, at = self._next()
            key = Key(self._string(token, at), *self._place(at))
            if key.text in seen:
                raise DocumentError(f"{self._path}:{key.line}:{key.column}: the key {key.text!r} is there twice")
            seen.add(key.text)
            self._next()  # the colon
            entries[key] = self.value(depth + 1)
            if self._next()[0] == "}":
                return entries

    def _closes(self, bracket: str) -> bool:
        """Whether the bracket is the next token; it is then passed."""
        before = self._at
        if self._next()[0] == bracket:
            return True
        self._at = before
        return False
