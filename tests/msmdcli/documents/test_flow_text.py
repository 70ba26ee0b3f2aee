"""A value as one line of YAML reads back as itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.documents.flow_text import flow_text
from msmdcli.documents.nodes import Node
from msmdcli.documents.tree import parse_yaml

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=12)
PLAIN = st.sampled_from(["angry", "007", "1.50", "-3", "1e3", "off", "true", "null", "~", "29.97", "12:30"])


def said(node: Node) -> Any:
    """All that readers ask of a node."""
    if isinstance(node.content, dict):
        return {key.text: said(value) for key, value in node.entries}
    if isinstance(node.content, list):
        return [said(item) for item in node.items]
    return node.text, node.number, node.integer, node.is_null


@pytest.mark.parametrize(
    "text",
    [
        "id: 007\nseed: 007\ntext: '1.50'\nstyle: [{ref: a.csv, weight: 0.3}]\nhead: off\nnote: |\n  two\n  lines\n",
        "{a: null, b: ~, c: '', d: \"null\", e: 'é: {x}', 'f: g': 1, h: true, i: [], j: {}}",
    ],
)
def test_what_people_write_comes_back(text: str) -> None:
    node = parse_yaml(text, "a")
    assert "\n" not in flow_text(node) and said(parse_yaml(flow_text(node), "b")) == said(node)


@given(
    st.recursive(
        WORDS.map(lambda x: ("'", x)) | PLAIN.map(lambda x: ("", x)), lambda inner: st.lists(inner, max_size=4)
    )
)
def test_any_value_comes_back(value: Any) -> None:
    def node(value: Any) -> Node:
        if isinstance(value, list):
            return Node([node(item) for item in value], 1, 1)
        return Node(value[1], 1, 1, quoted=bool(value[0]))

    made = node(value)
    assert said(parse_yaml(flow_text(Node([made], 1, 1)), "b")) == [said(made)]
