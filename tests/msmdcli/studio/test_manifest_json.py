"""What is kept goes into a JSON manifest's text, and nothing else of the text changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.errors import UsageError
from msmdcli.studio.manifest_json import scanned, with_json_keys

TEXT = """\
{
  "version": 1, "defaults": {"style": "neutral"},
  "characters": {
    "guard": { "lines": [ {"id":"guard_001","audio":"a.wav"} ] }
  },
  "lines": [
    {
      "id": "keeper",
      "seed": 3,
\t"style": [{"ref": "angry", "weight": 0.7},
                {"ref": "sad", "weight": 0.3}],
      "audio": "a.wav", "text": "Caf\\u00e9 \\"x\\" {y}"
    },
    { "id" : "last" , "audio" : "a.wav" }
  ]
}
"""


@pytest.mark.parametrize(
    ("line_id", "keys", "old", "new"),
    [
        ("keeper", {"seed": 4}, '"seed": 3', '"seed": 4'),
        ("keeper", {"seed": 3}, "", ""),
        ("keeper", {"seed": None}, ',\n      "seed": 3', ""),
        (
            "keeper",
            {"style": "happy"},
            '[{"ref": "angry", "weight": 0.7},\n                {"ref": "sad", "weight": 0.3}]',
            '"happy"',
        ),
        ("keeper", {"head": 0.5}, '{y}"\n', '{y}", "head": 0.5\n'),
        ("guard_001", {"style": "é", "seed": 1}, '"a.wav"} ]', '"a.wav","style":"\\u00e9","seed":1} ]'),
        ("last", {"pins": [{"time": 1}]}, '"a.wav" }', '"a.wav" , "pins" : [{"time": 1}] }'),
        ("last", {"seed": None}, "", ""),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_only_the_lines_own_keys_change(line_id: str, keys: dict[str, Any], old: str, new: str, ends: str) -> None:
    text, old, new = (one.replace("\n", ends) for one in (TEXT, old, new))
    assert text.count(old) == 1 or not old
    assert with_json_keys(text, line_id, keys) == (text.replace(old, new) if old else text)


def test_there_and_back_is_the_text_that_was() -> None:
    for line_id in ("guard_001", "keeper", "last"):
        there = with_json_keys(TEXT, line_id, {"intensity": 1.5, "blinks": 18})
        assert there != TEXT and with_json_keys(there, line_id, {"intensity": None, "blinks": None}) == TEXT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.dictionaries(st.sampled_from(["style", "seed", "pins", "text"]), JSON, max_size=4)


@given(
    lines=st.lists(KEYS, min_size=1, max_size=4), change=KEYS, at=st.integers(0, 3), indent=st.sampled_from([None, 1])
)
def test_any_manifest_says_what_was_meant(
    lines: list[dict[str, Any]], change: dict[str, Any], at: int, indent: int | None
) -> None:
    at %= len(lines)
    data = {"version": 1, "lines": [{"id": f"l{n}", **line} for n, line in enumerate(lines)]}
    text = json.dumps(data, indent=indent, ensure_ascii=bool(indent))
    found = scanned(text)
    inside = found.member("lines")
    assert text[found.start : found.end] == text and inside is not None and len(inside.items) == len(lines)
    line = data["lines"][at]  # type: ignore[index]
    for key, value in change.items():
        line.pop(key, None) if value is None else line.update({key: value})
    after = with_json_keys(text, f"l{at}", change)
    assert json.loads(after) == data


def test_a_line_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no line 'gone' any more"):
        with_json_keys(TEXT, "gone", {"seed": 1})
    with pytest.raises(UsageError, match="no JSON any more"):
        with_json_keys(TEXT[:-4], "last", {"seed": 1})
