"""A line's keys changed in the text of a JSON manifest; every other character of the text stays as it is.

The text is scanned for where each value begins and ends (RFC 8259); the values of the line that change are replaced,
taken out or added, with the spaces and line ends that stand between the line's other keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msmdcli.errors import UsageError
from msmdcli.studio.project import Keys

TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+)', re.DOTALL)


@dataclass(frozen=True)
class Value:
    """Where a value stands in a text.

    Attributes:
        start, end: of its text.
        members: of an object: key, where the key begins, and its value.
        items: of a list.
    """

    start: int
    end: int
    members: tuple[tuple[str, int, Value], ...] = ()
    items: tuple[Value, ...] = ()

    def member(self, name: str) -> Value | None:
        """The value of a key."""
        return next((value for key, _, value in self.members if key == name), None)


def with_json_keys(text: str, line_id: str, keys: Keys) -> str:
    """The text of a manifest in which a line has other values of some keys.

    Args:
        text: JSON.
        line_id: of the line.
        keys: what it chooses; None takes a key away.

    Raises:
        UsageError: there is no such line, or the text is no JSON any more.
    """
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the manifest is no JSON any more: {error}", hint="correct it") from None
    for line in _lines(scanned(text)):
        name = line.member("id")
        if name is not None and json.loads(text[name.start : name.end]) == line_id:
            changed = text[line.start : line.end]
            for key, value in keys.items():
                changed = _without(changed, key) if value is None else _with(changed, key, value, text.isascii())
            return text[: line.start] + changed + text[line.end :]
    raise UsageError(f"the manifest has no line {line_id!r} any more", hint="load the page again")


def scanned(text: str, at: int = 0) -> Value:
    """Where the value that begins here, and all within it, stand; the text is JSON."""
    match = TOKEN.match(text, at)
    assert match is not None
    start, end, token = match.start(1), match.end(), match[1]
    if token not in "{[":
        return Value(start, end)
    members: list[tuple[str, int, Value]] = []
    items: list[Value] = []
    while True:
        match = TOKEN.match(text, end)
        assert match is not None
        if match[1] in "}]":
            return Value(start, match.end(), tuple(members), tuple(items))
        if match[1] == ",":
            end = match.end()
        elif token == "[":
            items.append(scanned(text, end))
            end = items[-1].end
        else:
            key, colon = match, TOKEN.match(text, match.end())
            assert colon is not None
            members.append((json.loads(key[1]), key.start(1), scanned(text, colon.end())))
            end = members[-1][2].end


def _lines(root: Value) -> Iterator[Value]:
    """The objects of all lines of a manifest, dubs included."""
    characters = root.member("characters")
    groups = [root, *(value for _, _, value in (characters.members if characters is not None else ()))]
    for group in groups:
        for name in ("lines", "dub"):
            found = group.member(name)
            yield from found.items if found is not None else ()


def _with(text: str, key: str, value: Any, ascii_only: bool) -> str:
    """An object's text with another value of a key."""
    line = scanned(text)
    old = line.member(key)
    tight = not re.search(r'"\s*:\s', text) and ": " not in text
    made = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":") if tight else (", ", ": "))
    if old is not None:
        before = json.loads(text[old.start : old.end])
        return text if _same(before, value) else text[: old.start] + made + text[old.end :]
    name = json.dumps(key, ensure_ascii=ascii_only)
    if not line.members:
        return f"{{{name}{':' if tight else ': '}{made}}}"
    _, first, last = line.members[-1]
    colon = text[first + len(TOKEN.match(text, first)[1]) : last.start]  # type: ignore[index]
    if len(line.members) > 1:
        between = text[line.members[-2][2].end : first]
    else:
        between = "," + (text[line.start + 1 : first] or ("" if tight else " "))
    return text[: last.end] + between + name + colon + made + text[last.end :]


def _without(text: str, key: str) -> str:
    """An object's text without a key."""
    line = scanned(text)
    number = next((n for n, (name, *_) in enumerate(line.members) if name == key), None)
    if number is None:
        return text
    _, start, value = line.members[number]
    if number:
        return text[: line.members[number - 1][2].end] + text[value.end :]
    if len(line.members) > 1:
        return text[:start] + text[line.members[1][1] :]
    return "{}"


def _same(old: Any, new: Any) -> bool:
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
