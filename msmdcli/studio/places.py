"""Where lines are written in a manifest's document, and what is written there as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msmdcli.documents.nodes import Node, number_in
from msmdcli.manifest.dubs import NOT_FOR_DUBS, OWN_KEYS
from msmdcli.manifest.lines import CHOICES
from msmdcli.manifest.reading import ManifestReader

DUB_CHOICES = tuple(key for key in OWN_KEYS if key != "original")  # what an entry of `dub` chooses beside CHOICES


@dataclass(frozen=True)
class Place:
    """Where a line is written in the manifest's document.

    Attributes:
        node: of the line.
        character: below which it is written, or None.
        dub: whether it is an entry of `dub`.
    """

    node: Node
    character: str | None = None
    dub: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The keys that can be changed."""
        if not self.dub:
            return CHOICES
        return (*DUB_CHOICES, *(key for key in CHOICES if key not in (*NOT_FOR_DUBS, *DUB_CHOICES)))

    def own(self) -> dict[str, Any]:
        """What the line itself chooses, as plain values."""
        return {key: value for key, value in as_plain(self.node).items() if key in self.choices}


def places_of(document: Node) -> Iterator[tuple[str, Place]]:
    """Where each line of a document is written, by id."""
    groups = [(None, _entry(document, "lines"), False), (None, _entry(document, "dub"), True)]
    characters = _entry(document, "characters")
    lists: list[tuple[str | None, Node | None, bool]] = [*groups]
    if characters is not None:
        lists += [(key.text, _entry(value, "lines"), False) for key, value in characters.entries]
    for character, lines, dub in lists:
        for item in lines.items if lines is not None else ():
            found = _entry(item, "id")
            if found is not None and found.text is not None:
                yield found.text, Place(item, character, dub)


def places_in_table(document: Node, reader: ManifestReader) -> Iterator[tuple[str, Place]]:
    """The same of a table, whose rows are read as the mappings that they mean."""
    for row in document.items:
        node, _ = reader.row_mapping(row)
        found = _entry(node, "id")
        if found is not None and found.text is not None:
            yield found.text, Place(node)


def defaults_of(document: Node) -> Iterator[tuple[str, dict[str, Any]]]:
    """The `defaults` of the manifest ("") and of each character, as plain values."""
    found = _entry(document, "defaults")
    yield "", as_plain(found) if found is not None and isinstance(found.content, dict) else {}
    characters = _entry(document, "characters")
    for key, value in characters.entries if characters is not None else ():
        own = _entry(value, "defaults")
        if own is not None and isinstance(own.content, dict):
            yield key.text, as_plain(own)


def as_plain(node: Node) -> Any:
    """A document's value as JSON has it: a text that was written without quotes becomes the number that it is."""
    if isinstance(node.content, dict):
        return {key.text: as_plain(value) for key, value in node.entries}
    if isinstance(node.content, list):
        return [as_plain(item) for item in node.items]
    if node.is_null:
        return None
    if (whole := node.integer) is not None:
        return whole
    number = None if node.quoted else number_in(node.content)
    return node.content if number is None else number


def _entry(node: Node, name: str) -> Node | None:
    return next((value for key, value in node.entries if key.text == name), None)
