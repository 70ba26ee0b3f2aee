"""Tables are text: what spreadsheets and people put into cells arrives as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_texts import read

from msmdcli.documents.nodes import DocumentError, Node
from msmdcli.documents.table import parse_table

PATH = Path("lines.csv")


def rows(text: str) -> list[dict[str, str]]:
    return [{key.text: str(node.content) for key, node in row.entries} for row in parse_table(text, PATH).items]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_and_row_ends(separator: str, end: str) -> None:
    text = end.join(separator.join(row) for row in (["id", "audio"], ["a", "a.wav"], ["b", "b.wav"])) + end
    assert rows(text) == [{"id": "a", "audio": "a.wav"}, {"id": "b", "audio": "b.wav"}]


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", "sep=; "])
def test_excels_first_line_names_the_separator(first: str) -> None:
    table = parse_table(f"{first}\r\nid;audio;text\r\na;a.wav;one, two, three\r\n", PATH)
    assert [str(node.content) for _, node in table.items[0].entries] == ["a", "a.wav", "one, two, three"]
    assert table.items[0].line == 3  # counted in the file, not in the table
    assert rows("sep=|\nid|audio\na|a.wav\n") == [{"id": "a", "audio": "a.wav"}]


@pytest.mark.parametrize("odd", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_cr_and_lf_end_a_row(odd: str) -> None:
    assert rows(f"id,text\na,one{odd}two\nb,three\n") == [
        {"id": "a", "text": f"one{odd}two"},
        {"id": "b", "text": "three"},
    ]


def test_a_row_may_hold_a_line_end_in_quotes_and_separators_too_many_at_its_end() -> None:
    assert rows('id,text\na,"one\r\ntwo"\nb,three,,\n') == [
        {"id": "a", "text": "one\r\ntwo"},
        {"id": "b", "text": "three"},
    ]
    assert rows('id;audio;"said, at length, by whom, how"\na;a.wav;x\n')[0]["audio"] == "a.wav"
    with pytest.raises(DocumentError, match=r"lines\.csv:2: 3 cells in a table of 2 columns"):
        rows("id,audio\na,a.wav,b.wav\n")
    for nothing in ("", "\n\n", "sep=;\n"):
        with pytest.raises(DocumentError, match="is empty"):
            rows(nothing)


TEXTS = [
    "[laughs] Come in",
    "{player}, you are back!",
    "[sighs]",
    "null",
    "~",
    "- no",
    "# one",
    "'tis",
    "a: b",
    "007",
    "&x",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_carried_as_it_is(tmp_path: Path, text: str) -> None:
    table = f'id,audio,text,fps,note\na,a.wav,"{text}",30,"{text}"\n'
    (line,) = read(tmp_path, table, "lines.csv").lines
    assert (line.text, line.fields) == (text, {"note": text})


def test_names_of_recordings_are_text_too(tmp_path: Path) -> None:
    (line,) = read(tmp_path, "id,audio\nnull,[take 1].wav\n", "lines.csv").lines
    assert (line.id, line.audio.name) == ("null", "[take 1].wav")


def test_columns_of_lists_are_yaml(tmp_path: Path) -> None:
    table = 'id,audio,text,regions,formats\na,a.wav,[x],"{upper: happy, lower: neutral}","[npz, json]"\n'
    (line,) = read(tmp_path, table, "lines.csv").lines
    assert sorted(line.choices.regions or ()) == ["lower", "upper"] and line.choices.formats == ("npz", "json")
    assert line.text == "[x]"


def test_nodes_of_a_table_know_their_place() -> None:
    (row,) = parse_table("id,audio\n\na,a.wav\n", PATH).items
    assert [(key.text, node.line, node.column) for key, node in row.entries] == [("id", 3, 1), ("audio", 3, 2)]
    assert isinstance(row, Node)
