from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from computing_time import least_ratio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msmdcli.documents.names import id_problem
from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.lines import Choices, Manifest, ManifestError, style_field
from msmdcli.manifest.loading import load_manifest
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import Segment, StyleRef

RIG = Rig.load("arkit52")

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


def read(tmp_path: Path, text: str, name: str = "lines.yaml") -> Manifest:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_manifest(path, RIG)


def problems(tmp_path: Path, text: str, name: str = "lines.yaml") -> list[str]:
    with pytest.raises(ManifestError) as error:
        read(tmp_path, text, name)
    assert error.value.exit_code == 2
    return [problem.removeprefix(str(tmp_path) + "/") for problem in error.value.problems]


def lines(*entries: str) -> str:
    return "version: 1\nlines:\n" + "".join(f"  - {entry}\n" for entry in entries)


def names(mix: tuple[StyleRef, ...] | None) -> list[tuple[str, float]]:
    return [(ref.name, ref.weight) for ref in mix or ()]


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
    assert problem.startswith("l.json:2:") and "did you mean style?" in problem
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
    assert "did you mean style?" in problems(tmp_path, "audio,stlye\nx.wav,sad\n", "l.csv")[0]
    assert "3 cells in a table of 2" in problems(tmp_path, "id,audio\na,b,c\n", "l.csv")[0]
    assert "called 'id'" in problems(tmp_path, "id,id\na,b\n", "l.csv")[0]


def test_a_folder_and_a_single_recording(tmp_path: Path) -> None:
    for name in ("b.wav", "sub/a.FLAC", "sub/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [line.id for line in load_manifest(tmp_path, RIG).lines] == ["b", "sub/a"]
    assert [line.id for line in load_manifest(tmp_path / "b.wav", RIG).lines] == ["b"]
    (tmp_path / "B.ogg").touch()
    with pytest.raises(ManifestError, match="case"):
        load_manifest(tmp_path, RIG)
    for wrong in (tmp_path / "sub/notes.txt", tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            load_manifest(wrong, RIG)


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
        ("lines.yaml:2:12", "did you mean style?"),
        ("lines.yaml:2:33", "'fast' is not a frame rate"),
        ("lines.yaml:4:27", "did you mean style?"),
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


def test_who_wins(tmp_path: Path) -> None:
    """line > command line > character > manifest; a style hides the regions and segments of weaker levels."""
    manifest = read(
        tmp_path,
        """\
version: 1
defaults: {style: neutral, regions: {upper: sad}, seed: 1, intensity: 0.8}
characters: {guard: {defaults: {seed: 2, fps: 24}}}
lines:
  - {id: a, audio: a.wav}
  - {id: b, audio: b.wav, style: angry, character: guard}
  - {id: c, audio: c.wav, regions: {lower: happy}, seed: 9}
""",
    )
    a, b, c = manifest.lines
    command = Choices(style=(StyleRef("happy", tmp_path),), seed=3)
    assert names(manifest.choices(a).style) == [("neutral", 1)] and "upper" in (manifest.choices(a).regions or {})
    assert names(manifest.choices(a, command).style) == [("happy", 1)] and manifest.choices(a, command).regions is None
    assert names(manifest.choices(b, command).style) == [("angry", 1)] and manifest.choices(b).regions is None
    assert manifest.choices(b).seed == 2 and manifest.choices(b, command).seed == 3 and manifest.choices(b).fps == 24
    assert names(manifest.choices(c, command).style) == [("happy", 1)] and manifest.choices(c, command).seed == 9
    assert set(manifest.choices(c, command).regions or {}) == {"lower"}
    assert manifest.choices(c, command).intensity == 0.8


def test_a_late_first_segment_starts_from_the_lines_style(tmp_path: Path) -> None:
    choices = Choices(
        style=(StyleRef("sad", tmp_path),), segments=(Segment(2.0, (StyleRef("angry", tmp_path),)),), intensity=1.2
    )
    field = style_field(choices, tmp_path)
    assert [(s.start, names(s.style)) for s in field.segments] == [(0.0, [("sad", 1.0)]), (2.0, [("angry", 1.0)])]
    assert field.intensity == 1.2
    assert names(style_field(Choices(), tmp_path).segments[0].style) == [("neutral", 1.0)]


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


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_bytes(b"version: 1\nlines: \xff\n")
    with pytest.raises(ManifestError, match=r"l\.yaml:2: this is not UTF-8"):
        load_manifest(tmp_path / "l.yaml", RIG)


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


def test_ten_thousand_lines_are_read_at_once(tmp_path: Path) -> None:
    entries = [f"{{id: q/line_{i:05}, audio: audio/{i}.wav, style: angry, seed: {i}}}" for i in range(10_000)]
    path = tmp_path / "lines.yaml"
    text = lines(*entries)
    path.write_text(text)
    plain = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # About as long as PyYAML alone takes to make plain values of it, less than a second.
    assert least_ratio(lambda: load_manifest(path, RIG), lambda: yaml.load(text, plain), 3) < 3
    assert len(load_manifest(path, RIG).lines) == 10_000
    path.write_text(lines(*(entry.replace("seed", "sed") for entry in entries)))
    with pytest.raises(ManifestError) as error:
        load_manifest(path, RIG)
    assert len(error.value.problems) == 10_000 and error.value.message.count("\n") < 60  # all found, not all told


def test_a_small_file_cannot_stand_for_a_large_one(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    start = time.thread_time()
    assert "aliases stand for more values" in problems(tmp_path, laughs)[0]
    for deep in ("[" * 100_000, "- " * 100_000, "{" * 100_000):  # the C parser would overflow its stack
        assert "nested too deeply" in problems(tmp_path, deep)[0]
    assert "not a frame rate" in problems(tmp_path, lines("{id: a, audio: a.wav, fps: 1e999999999}"))[0]
    assert time.thread_time() - start < 60  # some tenths of a second, or for ever


def test_controls_are_read_and_their_errors_placed(tmp_path: Path) -> None:
    (line,) = read(
        tmp_path,
        lines(
            "{id: a, audio: a.wav, head: off, blinks: 18, silence_gate: -45, smooth: 0.3, length: 126 frames, takes: 3,"
            " when_longer: fail, gestures: [{name: nod, at: 1.2, scale: 0.8}],"
            " pins: [{time: 1, channels: {jawOpen: 0.2, head: 0}}, {channels: [gaze], file: look.npz}]}"
        ),
    ).lines
    choices = line.choices
    assert (choices.head, choices.smooth, choices.takes, choices.when_longer) == (0.0, 0.3, 3, "fail")
    assert choices.blinks is not None and choices.blinks.rate == 18
    assert choices.silence_gate is not None and choices.silence_gate.threshold == -45
    assert choices.length is not None and choices.length.frames == 126
    assert choices.gestures is not None and (choices.gestures[0].name, choices.gestures[0].scale) == ("nod", 0.8)
    assert choices.pins is not None and choices.pins[1].file is not None
    assert choices.pins[1].file.path == tmp_path / "look.npz"
    found = problems(
        tmp_path,
        """\
version: 1
defaults: {blinks: often, silence_gate: loud}
lines:
  - {id: a, audio: a.wav, smoth: 0.3, length: "4.2", head: guard.glb, when_longer: trm}
  - {id: b, audio: b.wav, gestures: [{nam: nod, at: 1}, {name: nod, at: soon}]}
  - {id: c, audio: c.wav, pins: [{channels: {jawOpne: 1}}, {channels: {jawOpen: 1.2}}, {time: 1, channels: [eyes]}]}
  - {id: d, audio: d.wav, pins: [{channels: {eyes: 0}}, {time: 2, channels: {eyeBlinkLeft: 1}}]}
""",
    )
    expected = [
        ("lines.yaml:2:20", "blinks 'often' is not style, off or a rate"),
        ("lines.yaml:2:41", "silence_gate 'loud'"),
        ("lines.yaml:4:27", "did you mean smooth?"),
        ("lines.yaml:4:47", "a number has no quotes"),
        ("lines.yaml:4:60", "belongs to a character"),
        ("lines.yaml:4:84", "not one of trim, keep, fail"),
        ("lines.yaml:5:38", "the gesture has no name"),
        ("lines.yaml:5:39", "did you mean name?"),
        ("lines.yaml:5:73", "at 'soon'"),
        ("lines.yaml:6:46", "did you mean jawOpen or jaw?"),
        ("lines.yaml:6:81", "jawOpen '1.2' is not a number from 0 to 1"),
        ("lines.yaml:6:108", "channels is a mapping"),
        ("lines.yaml:7:57", "eyeBlinkLeft is pinned twice at 2 s"),
    ]
    assert len(found) == len(expected), found
    for problem, (place, words) in zip(found, expected, strict=True):
        assert problem.startswith(place + ":") and words in problem, problem


def test_controls_in_a_table(tmp_path: Path) -> None:
    """`Length` and `Head` columns of a localisation table: a length is not taken for that of a shot."""
    text = 'id,audio,Length,shot_length,blinks,pins\na,a.wav,3.1,4.2,18,"[{time: 1, channels: {jawOpen: 0.2}}]"\n'
    (line,) = read(tmp_path, text, "lines.csv").lines
    assert line.fields == {"Length": "3.1"}
    assert line.choices.length is not None and str(line.choices.length) == "4.2 s"
    assert line.choices.pins is not None and line.choices.pins[0].channels == {"jawOpen": 0.2}


@pytest.mark.parametrize("name", ["~nobody-at-all/a.wav", "x" * 300 + ".wav", "a/" * 2000, "\\ud800.wav", "a\\0.wav"])
def test_paths_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    text = f'{{"version": 1, "lines": [{{"id": "a", "audio": "{name}"}}]}}'.replace("\\0", "\\u0000")
    (problem,) = problems(tmp_path, text, "lines.json")
    assert "lines.json:1:" in problem


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_no_manifest_makes_it_crash(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever the text: a manifest or an MsmdError."""
    words = ["version", "1", "lines", "id", "audio", "style", "regions", "upper", "segments", "start", "a.wav", "fps"]
    words += ["weight", "ref", "formats", "npz", "characters", "defaults", "intensity", "nan", "1e9999", "-", "&a"]
    punctuation = [":", ": ", "\n", "\n  ", "- ", "{", "}", "[", "]", ", ", "'", '"', "\t", "\x00", "!!int", "<<: "]
    text = "".join(data.draw(st.lists(st.sampled_from(words + punctuation), max_size=40)))
    if data.draw(st.booleans()):
        text = "version: 1\nlines:\n  - {id: a, audio: a.wav, " + text
    suffix = data.draw(st.sampled_from([".yaml", ".json", ".csv"]))
    path = tmp_path / f"fuzz{suffix}"
    path.write_text(text, encoding="utf-8")
    try:
        load_manifest(path, RIG)
    except MsmdError as error:
        assert error.exit_code == 2 and error.message
