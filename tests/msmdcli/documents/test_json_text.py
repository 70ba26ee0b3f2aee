"""JSON is read as JSON: its escapes, its white space and its texts, which YAML has other rules for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.documents.json_text import parse_json
from msmdcli.documents.nodes import DocumentError, Node

PATH = Path("lines.json")
CHARACTERS = st.characters(exclude_categories=("Cs",))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(CHARACTERS), inner, max_size=4),
    max_leaves=12,
)


def plain(node: Node) -> Any:
    """The value of a node as `json.loads` gives it."""
    if isinstance(node.content, dict):
        return {key.text: plain(value) for key, value in node.entries}
    if isinstance(node.content, list):
        return [plain(item) for item in node.items]
    return node.content if node.quoted else json.loads(node.content)


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_wrote_is_read_back(value: Any, ascii_only: bool, indent: Any) -> None:
    assert plain(parse_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent), PATH)) == value


@pytest.mark.parametrize("odd", ["\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe", "# no comment", ": ", "- "])
def test_characters_that_yaml_folds_or_forbids(odd: str) -> None:
    node = parse_json(json.dumps({"text": f"one {odd} two"}, ensure_ascii=False), PATH)
    assert plain(node) == {"text": f"one {odd} two"}


def test_places_count_lines_and_columns() -> None:
    node = parse_json('{"a": 1,\n\t"b": [true, "x"]}', PATH)
    (first, one), (second, both) = node.entries
    assert (first.line, first.column, one.line, one.column) == (1, 2, 1, 7)
    assert (second.line, second.column) == (2, 2)
    assert [(item.line, item.column, item.quoted) for item in both.items] == [(2, 8, False), (2, 14, True)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', r"lines\.json:1:10: the key 'a' is there twice"),
        ('{"a": "\\ud83d"}', r"lines\.json:1:7: half of a pair"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": 1,}', "this is not JSON"),
        ("[" * 60 + "]" * 60, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("", "this is not JSON"),
    ],
)
def test_what_is_no_json(text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        parse_json(text, PATH)
