"""The strict reader: what it gives, and what it says of everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msmdcli.documents.nodes import Node
from msmdcli.documents.reader import MAX_PROBLEMS, ProblemList, Reader
from msmdcli.documents.tree import parse_yaml
from msmdcli.manifest.lines import ManifestError
from msmdcli.motion.curve_map import CurveMapError
from msmdcli.motion.motion import parse_fps

PATH = Path("folder/some.yaml")


def value(text: str) -> tuple[Reader, Node]:
    return Reader(PATH), parse_yaml(text, str(PATH))


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("{a: 1, b: ~}", lambda r, n: list(r.mapping(n, "it", ("a", "b"))), ["a"]),
        ("{x: 1}", lambda r, n: [key.text for key, _ in r.named(n, "it")], ["x"]),
        ("[1, 2]", lambda r, n: len(r.list_of(n, "it")), 2),
        ("007", lambda r, n: r.text_of(n, "it"), "007"),
        ("b/c.wav", lambda r, n: r.path_of(n, "it"), Path("folder/b/c.wav")),
        ("0.5", lambda r, n: r.number_of(n, "it", 0.5, 1), 0.5),
        ("two", lambda r, n: r.one_of(n, "it", ("one", "two")), "two"),
        ("29.97", lambda r, n: str(r.parsed(n, "it", parse_fps)), "30000/1001"),
    ],
)
def test_a_value_of_its_kind(text: str, read: Callable[[Reader, Node], Any], expected: Any) -> None:
    reader, node = value(text)
    assert read(reader, node) == expected
    assert reader.problems == []


@pytest.mark.parametrize(
    ("text", "read", "problem"),
    [
        ("[1]", lambda r, n: r.mapping(n, "it", ("a",)), "it is a mapping of keys, not a list; keys: a"),
        ("{aa: 1}", lambda r, n: r.mapping(n, "it", ("aaa",)), "unknown key 'aa' in it; did you mean aaa?"),
        ("x", lambda r, n: list(r.named(n, "it")), "it is a mapping of names, not a text"),
        ("{a: 1}", lambda r, n: r.list_of(n, "it"), "it is a list, not a mapping; each entry begins with `- `"),
        ("~", lambda r, n: r.text_of(n, "it"), "it is a text, not empty"),
        ("[a]", lambda r, n: r.path_of(n, "it"), "it is a text, not a list"),
        ("2", lambda r, n: r.number_of(n, "it", 0, 1), "it '2' is not a number from 0 to 1"),
        ("'1'", lambda r, n: r.number_of(n, "it", 0, 1), "it '1' is not a number from 0 to 1; a number has no quotes"),
        ("[1]", lambda r, n: r.number_of(n, "it", 0, 1), "it (a list) is not a number from 0 to 1"),
        ("three", lambda r, n: r.one_of(n, "it", ("one", "two")), "it 'three' is not one of one, two"),
        ("'30'", lambda r, n: r.parsed(n, "it", parse_fps), "it '30' is a text; a number has no quotes"),
    ],
)
def test_a_value_of_another_kind_is_noted_and_empty(
    text: str, read: Callable[[Reader, Node], Any], problem: str
) -> None:
    reader, node = value(text)
    assert not read(reader, node)
    assert reader.texts() == [f"folder/some.yaml:1:1: {problem}"] or problem.startswith("unknown key")
    assert reader.texts()[0].endswith(f": {problem}")


def test_problems_come_in_the_order_of_their_places() -> None:
    reader, node = value("[a, b, c]")
    for item in (node.items[2], node.items[0]):
        reader.wrong(item, "no")
    assert reader.texts() == ["folder/some.yaml:1:2: no", "folder/some.yaml:1:8: no"]


@pytest.mark.parametrize(("error", "kind"), [(ProblemList, ""), (ManifestError, ""), (CurveMapError, "curve map ")])
def test_many_problems_in_one_message(error: type[ProblemList], kind: str) -> None:
    assert error(["one"], PATH).message == "one"
    many = error([str(number) for number in range(MAX_PROBLEMS + 3)], PATH)
    assert many.message.startswith(f"{MAX_PROBLEMS + 3} errors in {kind}folder/some.yaml:\n  0\n")
    assert many.message.endswith(f"  {MAX_PROBLEMS - 1}\n  ... and 3 more") and len(many.problems) == MAX_PROBLEMS + 3
