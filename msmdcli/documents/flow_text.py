"""A document's value as one line of text, which reads back as the same value: YAML with brackets, texts quoted."""

from __future__ import annotations

import json
import re

from msmdcli.documents.nodes import INTEGER, NULLS, NUMBER, Node

UNPRINTED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
PLAIN = re.compile(r"true|false", re.IGNORECASE)  # no text in quotes means these everywhere


def flow_text(node: Node) -> str:
    """One line of YAML.

    Args:
        node: of any document; aliases are followed already.
    """
    if isinstance(node.content, dict):
        return "{" + ", ".join(f"{_quoted(key.text)}: {flow_text(value)}" for key, value in node.entries) + "}"
    if isinstance(node.content, list):
        return "[" + ", ".join(map(flow_text, node.items)) + "]"
    text = node.content
    bare = not node.quoted and (INTEGER.fullmatch(text) or NUMBER.fullmatch(text) or PLAIN.fullmatch(text))
    if node.is_null or (not node.quoted and text in NULLS):
        return "null"
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    """A text of JSON, with what YAML does not print (YAML 1.2, production 1, and its line ends) in its own escapes."""
    return UNPRINTED.sub(lambda found: f"\\U{ord(found[0]):08x}", json.dumps(text, ensure_ascii=False))
