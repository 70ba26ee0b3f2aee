"""What is kept goes into a table's text, and the cells of other lines stay as they are."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmdcli.documents.table import parse_table
from msmdcli.documents.tree import parse_yaml
from msmdcli.errors import UsageError
from msmdcli.manifest.lines import Line
from msmdcli.manifest.reading import ManifestReader
from msmdcli.motion.rig import Rig
from msmdcli.studio.manifest_table import plain, quoted, split, with_table_keys

RIG = Rig.load("arkit52")
TEXT = '''\
Line ID,file,Style,Notes,seed
guard,a.wav,angry,"loud, and ""angry""",
keeper,a.wav,,"two
lines",3

last,b.wav,"[{ref: angry, weight: 0.7}, {ref: sad, weight: 0.3}]", x ,
'''


def read(text: str) -> dict[str, Line]:
    manifest = ManifestReader(Path("lines.csv"), RIG).read(parse_table(text, Path("lines.csv")))
    return {line.id: line for line in manifest.lines}


@pytest.mark.parametrize(
    ("line", "keys", "expected"),
    [
        (2, {"style": "sad"}, TEXT.replace("guard,a.wav,angry", "guard,a.wav,sad")),
        (2, {"style": "angry"}, TEXT),
        (2, {"style": None, "seed": 7}, TEXT.replace("a.wav,angry,", "a.wav,,").replace('""",\n', '""",7\n')),
        (3, {"seed": None}, TEXT.replace('lines",3', 'lines",')),
        (
            6,
            {"style": [{"ref": "happy", "weight": 1}, {"ref": "sad", "weight": 0.5}]},
            TEXT.replace(
                '"[{ref: angry, weight: 0.7}, {ref: sad, weight: 0.3}]"',
                '"[{""ref"": ""happy"", ""weight"": 1}, {""ref"": ""sad"", ""weight"": 0.5}]"',
            ),
        ),
        (3, {"blinks": None}, TEXT),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_only_the_lines_own_cells_change(line: int, keys: dict[str, Any], expected: str, ends: str) -> None:
    assert with_table_keys(TEXT.replace("\n", ends), line, keys) == expected.replace("\n", ends)


def test_a_new_column_keeps_the_table_even() -> None:
    after = with_table_keys(TEXT, 3, {"blinks": 12})
    assert after.splitlines()[0] == "Line ID,file,Style,Notes,seed,blinks" and 'lines",3,12\n' in after
    assert {len(row) for row in csv.reader(io.StringIO(after)) if row} == {6}
    ragged = TEXT.replace(" x ,", " x ")
    after = with_table_keys(ragged, 3, {"blinks": 12})
    assert after == ragged.replace("Notes,seed", "Notes,seed,blinks").replace('lines",3', 'lines",3,12')
    named = "sep=;\nid;audio\na;a.wav\n"
    assert with_table_keys(named, 3, {"style": "x;y"}) == 'sep=;\nid;audio;style\na;a.wav;"x;y"\n'


@pytest.mark.parametrize(
    "keys",
    [
        {"style": "sad", "intensity": 1.25, "seed": 9, "fps": "30000/1001", "guidance_audio": 0.3},
        {"performance": "off", "performance_amount": {"head": 0.5, "brows": 1.2}, "keep_head_pose": True},
        {"blinks": "off", "silence_gate": -45, "smooth": 0.3, "articulation": {"jaw": 1.2, "lips": 1.1}},
        {"closures": False, "when_longer": "trim", "length": 2.5, "head": 0.5, "blinks": 18},
        {
            "segments": [{"start": 0.8, "style": "sad"}],
            "gestures": [{"name": "nod", "at": 0.5}],
            "pins": [{"time": 1.0, "channels": {"jawOpen": 0.7}}],
            "regions": {"upper": "angry", "lower": [{"ref": "a, b.csv", "weight": 2}]},
        },
    ],
)
def test_every_choice_can_be_said_in_a_cell(keys: dict[str, Any]) -> None:
    """The line means what it would mean in YAML, and the others what they meant."""
    before, after = read(TEXT), read(with_table_keys(TEXT, 3, keys))
    node = parse_yaml(json.dumps({"id": "keeper", "audio": "a.wav", "seed": 3} | keys), "x")
    reader = ManifestReader(Path("lines.csv"), RIG)
    meant = reader.line(node, {})
    assert not reader.problems and meant is not None and after["keeper"].choices == meant.choices
    for name in ("guard", "last"):
        assert after[name].choices == before[name].choices and after[name].fields == before[name].fields
    empty = read(with_table_keys(with_table_keys(TEXT, 3, keys), 3, dict.fromkeys(keys)))
    assert dict(empty["keeper"].choices.given) == ({} if "seed" in keys else {"seed": 3})


@given(st.text(st.sampled_from('a",;\r\n \té')), st.sampled_from(",;\t"))
def test_rows_put_together_are_the_text(text: str, separator: str) -> None:
    rows = split(text, separator)
    assert "".join(separator.join(row.cells) + row.ends for row in rows) == text
    try:
        expected = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        return
    found = [[plain(cell) for cell in row.cells] if row.cells != [""] else [] for row in rows]
    assert [row for row in found if row] == [row for row in expected if row]


@given(st.text(st.sampled_from('a",;\r\n \té')), st.sampled_from(",;\t"))
def test_a_cell_says_what_was_written(text: str, separator: str) -> None:
    assert plain(quoted(text, separator)) == text
    assert [row.cells for row in split(quoted(text, separator) + separator + "b", separator)] == [
        [quoted(text, separator), "b"]
    ]


def test_a_row_that_is_not_there() -> None:
    for line in (1, 4, 5, 99):
        with pytest.raises(UsageError, match="no such row"):
            with_table_keys(TEXT, line, {"seed": 1})
