"""The values of a document, each with its place: what YAML, JSON and CSV become."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from msmdcli.errors import MsmdError

NULLS = ("", "~", "null", "Null", "NULL")
INTEGER = re.compile(r"[+-]?[0-9]{1,25}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
MAX_DEPTH = 50


class DocumentError(MsmdError):
    """The text is not YAML, JSON or CSV at all. The message begins with file:line:column."""


class Node(NamedTuple):
    """A value and its place.

    Attributes:
        content: the text of a scalar, the items of a list, or a mapping's keys with their values.
        line, column: where it begins, counted from 1. In CSV the column is that of the cell.
        quoted: a scalar that was written with quotes, so it is a text even where it looks like a number.
    """

    content: str | list[Node] | dict[Key, Node]
    line: int
    column: int
    quoted: bool = False

    @property
    def kind(self) -> str:
        """`text`, `list` or `mapping`, for messages."""
        return {str: "text", list: "list", dict: "mapping"}[type(self.content)]

    @property
    def is_null(self) -> bool:
        """Nothing was written, or a YAML null."""
        return isinstance(self.content, str) and not self.quoted and self.content in NULLS

    @property
    def items(self) -> list[Node]:
        """The items of a list; empty for anything else."""
        return self.content if isinstance(self.content, list) else []

    @property
    def entries(self) -> Iterator[tuple[Key, Node]]:
        """The keys and values of a mapping; none for anything else."""
        return iter(self.content.items()) if isinstance(self.content, dict) else iter(())

    @property
    def text(self) -> str | None:
        """A scalar's text; None for lists, mappings and null."""
        content = self.content
        return content if isinstance(content, str) and (self.quoted or content not in NULLS) else None

    @property
    def number(self) -> float | None:
        """A scalar as a finite number, or None. What was written in quotes is a text."""
        return number_in(self.content) if isinstance(self.content, str) and not self.quoted else None

    @property
    def integer(self) -> int | None:
        """A scalar as an integer, or None. What was written in quotes is a text."""
        if not isinstance(self.content, str) or self.quoted or not INTEGER.fullmatch(self.content):
            return None
        return int(self.content)


def number_in(text: str) -> float | None:
    """The finite number that a text is, or None."""
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


class Key(NamedTuple):
    """A key of a mapping. Two keys with the same text are different objects, so that a repetition can be reported."""

    text: str
    line: int
    column: int
