from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from manifest_texts import lines, names, problems, read

from msmdcli.documents.names import id_problem
from msmdcli.manifest.lines import ManifestError, style_field

DESIGN = """\
version: 1
defaults: {style: neutral, formats: [livelink-csv], fps: 30}
lines:
  - {id: guard_001, audio: audio/guard_001.wav}                 # paths are relative to the manifest
  - {id: quest/guard_002, audio: audio/guard_002.flac, style: angry, intensity: 1.3, seed: 7}
  - id: guard_003
    audio: audio/guard_003.ogg
    style: [{ref: angry, weight: 0.7}, {ref: takes/take3.mp4, weight: 0.3}]
  - id: guard_004
    audio: audio/guard_004.wav
    regions: {upper: surprised, lower: neutral}
  - id: guard_005
    audio: audio/guard_005.wav
    segments: [{start: 0.0, style: neutral}, {start: 1.8, style: angry, fade: 0.4}]
"""


def test_the_manifest_of_the_design(tmp_path: Path) -> None:
    manifest = read(tmp_path, DESIGN)
    assert [line.id for line in manifest.lines] == [
        "guard_001",
        "quest/guard_002",
        "guard_003",
        "guard_004",
        "guard_005",
    ]
    one, two, three, four, five = (manifest.choices(line) for line in manifest.lines)
    assert manifest.lines[0].audio == tmp_path / "audio/guard_001.wav"
    assert one.formats == ("livelink-csv",) and one.fps == 30 and names(one.style) == [("neutral", 1.0)]
    assert names(two.style) == [("angry", 1.0)] and (two.intensity, two.seed) == (1.3, 7)
    assert names(three.style) == [("angry", 0.7), ("takes/take3.mp4", 0.3)]
    assert {name: names(mix) for name, mix in (four.regions or {}).items()} == {
        "upper": [("surprised", 1.0)],
        "lower": [("neutral", 1.0)],
    }
    field = style_field(five, tmp_path)
    assert [(s.start, names(s.style), s.fade) for s in field.segments] == [
        (0.0, [("neutral", 1.0)], 0.3),
        (1.8, [("angry", 1.0)], 0.4),
    ]


def test_the_same_in_json_with_tabs_and_escapes(tmp_path: Path) -> None:
    data = {
        "version": 1,
        "defaults": {"fps": "30000/1001"},
        "lines": [{"id": "a", "audio": "a.wav", "intensity": 1e0, "text": 'Grüße 😀\tTab \\ / "q"'}],
    }
    manifest = read(tmp_path, json.dumps(data, indent="\t"), "lines.json")
    assert manifest.lines[0].text == data["lines"][0]["text"]  # type: ignore[index]
    assert manifest.defaults.fps == Fraction(30000, 1001)
    (problem,) = problems(tmp_path, '{"version": 1,\n\t"lines": [{"id": "a", "audio": 3, "stile": "x"}]}', "l.json")
    assert problem.startswith("l.json:2:") and "did you mean style" in problem
    assert "this is not JSON" in problems(tmp_path, "{'version': 1}", "l.json")[0]


def test_csv_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    text = (
        "\ufeffLine ID;File;Style;Intensity;Locale;Text;Speaker\n"
        'guard_001;a/1.wav;angry;1,3;de;"Halt; wer da?";Bob\n'
        ";;;;;;\n"
        "guard_002;a/2.wav;[{ref: angry, weight: 2}, sad];;;;\n"
    )
    with pytest.raises(ManifestError, match=r"lines\.csv:2:4: intensity '1,3' is not a number"):
        read(tmp_path, text, "lines.csv")
    manifest = read(tmp_path, text.replace("1,3", "1.3"), "lines.csv")
    first, second = manifest.lines
    assert (first.id, first.audio, first.text) == ("guard_001", tmp_path / "a/1.wav", "Halt; wer da?")
    assert first.fields == {"Speaker": "Bob"} and first.choices.language == "de"
    assert names(second.choices.style) == [("angry", 2.0), ("sad", 1.0)]
    assert [line.id for line in read(tmp_path, "audio\nx/one.wav\nx/two.wav\n", "l.csv").lines] == ["one", "two"]
    assert "did you mean style" in problems(tmp_path, "audio,stlye\nx.wav,sad\n", "l.csv")[0]
    assert "3 cells in a table of 2" in problems(tmp_path, "id,audio\na,b,c\n", "l.csv")[0]
    assert "called 'id'" in problems(tmp_path, "id,id\na,b\n", "l.csv")[0]


def test_all_errors_at_once_with_their_places(tmp_path: Path) -> None:
    text = """\
version: 1
defaults: {stile: neutral, fps: fast}
lines:
  - {id: a, audio: a.wav, sytle: angry, intensity: loud}
  - {id: b, seed: -1}
  - [not, a, line]
  - {id: c, audio: c.wav, regions: {uper: angry}, formats: [livelink]}
  - {id: d, audio: d.wav, segments: [{start: 1, style: sad}, {start: 1, style: sad}, {style: sad}]}
"""
    found = problems(tmp_path, text)
    expected = [
        ("lines.yaml:2:12", "did you mean style"),
        ("lines.yaml:2:33", "'fast' is not a frame rate"),
        ("lines.yaml:4:27", "did you mean style"),
        ("lines.yaml:4:52", "intensity 'loud'"),
        ("lines.yaml:5:5", "no audio"),
        ("lines.yaml:5:19", "seed '-1'"),
        ("lines.yaml:6:5", "a mapping of keys, not a list"),
        ("lines.yaml:7:37", "did you mean upper?"),
        ("lines.yaml:7:61", "did you mean livelink-csv?"),
        ("lines.yaml:8:70", "not after the segment before"),
        ("lines.yaml:8:86", "no start"),
    ]
    assert len(found) == len(expected)
    for problem, (place, words) in zip(found, expected, strict=True):
        assert problem.startswith(place + ":") and words in problem, problem


def test_characters_group_lines(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        """\
version: 1
defaults: {style: neutral, fps: 30}
characters:
  guard: {head: heads/guard.glb, styles: guard_styles, defaults: {style: angry, seed: 5}}
  queen:
    defaults: {fps: 60}
    lines: [{id: q1, audio: q1.wav}]
lines:
  - {id: g1, audio: g1.wav, character: guard, language: fr, text: Halte, fields: {scene: 3, mood: ~}}
  - {id: x1, audio: x1.wav}
""",
    )
    queen, guard, nobody = manifest.lines
    assert queen.character is not None and queen.character.name == "queen"
    assert manifest.choices(queen).fps == 60 and names(manifest.choices(queen).style) == [("neutral", 1.0)]
    assert names(manifest.choices(guard).style) == [("angry", 1.0)] and manifest.choices(guard).seed == 5
    assert guard.character is not None and guard.character.styles == tmp_path / "guard_styles"
    assert (guard.choices.language, guard.text, guard.fields) == ("fr", "Halte", {"scene": "3"})
    assert nobody.character is None
    text = lines("{id: a, audio: a.wav, character: gard}") + "characters: {guard: {}}\n"
    assert "did you mean guard?" in problems(tmp_path, text)[0]


@pytest.mark.parametrize(
    "line_id",
    ["../x", "a/../../x", "/etc/x", "C:x", "a\\b", "", ".", "a//b", "a/", "con", "x/NUL.txt", "Com1", "lpt9.csv"]
    + ["a ", " a", "a.", ".hidden", "a\nb", "a\x00b", "a*b", "a?", "x" * 300, "a/" + "x" * 150, "report", "Ledger"]
    + ["a\u202eb"],
)
def test_ids_that_are_no_file_name_everywhere(tmp_path: Path, line_id: str) -> None:
    assert id_problem(line_id) is not None
    (problem,) = problems(
        tmp_path, json.dumps({"version": 1, "lines": [{"id": line_id, "audio": "a.wav"}]}), "lines.json"
    )
    assert "lines.json:1:" in problem


@pytest.mark.parametrize("line_id", ["guard_001", "quest/guard_002", "Ä ö", "日本/語", "007", "no", "1.5", "console"])
def test_ids_that_are_fine(tmp_path: Path, line_id: str) -> None:
    assert read(tmp_path, lines(f"{{id: {line_id}, audio: a.wav}}")).lines[0].id == line_id


@pytest.mark.parametrize(("a", "b"), [("x", "x"), ("Guard", "guard"), ("é", "e\u0301"), ("Straße", "STRASSE")])
def test_ids_that_are_one_file_somewhere(tmp_path: Path, a: str, b: str) -> None:
    (problem,) = problems(tmp_path, lines(f"{{id: {a}, audio: a.wav}}", f"{{id: {b}, audio: b.wav}}"))
    assert "lines.yaml:4:5" in problem and "lines.yaml:3:5" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("lines: []", "no version"),
        ("version: 2\nlines: [{id: a, audio: a.wav}]", "reads 1"),
        ("version: 1", "no lines"),
        ("version: 1\nlines: {}", "lines is a list"),
        ("version: 1\nlines: [a: b: c]", "not YAML"),
        ("version: 1\nversion: 1\nlines: []", "there twice"),
        ("version: 1\nlines: &a [*a]", "contains itself"),
        ("version: 1\nlines: [{id: a, audio: a.wav, style: []}]", "a style is a tag"),
        ("version: 1\nlines: [{id: a, audio: a.wav, style: [{ref: a, weight: 0}]}]", "all weights"),
        ("version: 1\nlines: [{id: a, audio: a.wav, style: [{ref: a, weight: .nan}]}]", "weight"),
        ("version: 1\nlines: [{id: a, audio: a.wav, seed: 99999999999999999999999999999}]", "seed"),
        ("version: 1\nlines: [{id: a, audio: a.wav, intensity: 1e999}]", "intensity"),
        ("version: 1\nlines: [{id: a, audio: a.wav, regions: {eyes: a, browInnerUp: b, upper: c}}]\nx: 1", "'x'"),
        ("version: 1\nlines: [{id: a, audio: [a.wav]}]", "audio is a text"),
        ("version: 1\nlines: !!python/object:os.system [x]", "a line is a mapping"),
        ("[" * 5000, "lines.yaml"),
        ("version: 1\nlines: [{id: a, audio: a.wav, segments: [{start: 0}]}]", "changes nothing"),
        ("a: \x07", "does not allow"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in problem for problem in problems(tmp_path, text))


def test_yaml_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        """\
version: 1
lines:
  - &first {id: a, audio: a.wav, style: &mix [{ref: angry, weight: 2}, sad], seed: 4}
  - {<<: *first, id: b}
  - {id: c, audio: c.wav, style: *mix}
""",
    )
    assert [(line.id, line.audio.name, line.choices.seed) for line in manifest.lines] == [
        ("a", "a.wav", 4),
        ("b", "a.wav", 4),
        ("c", "c.wav", None),
    ]
    assert names(manifest.lines[2].choices.style) == [("angry", 2.0), ("sad", 1.0)]


@pytest.mark.parametrize("name", ["~nobody-at-all/a.wav", "x" * 300 + ".wav", "a/" * 2000, "\\ud800.wav", "a\\0.wav"])
def test_paths_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    text = f'{{"version": 1, "lines": [{{"id": "a", "audio": "{name}"}}]}}'.replace("\\0", "\\u0000")
    (problem,) = problems(tmp_path, text, "lines.json")
    assert "lines.json:1:" in problem
