"""A line made in the studio is the line that `msmd batch` writes, byte for byte."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project as BatchProject

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import get_format, write_motion
from msmdcli.manifest.lines import ManifestError
from msmdcli.studio.making import Maker
from msmdcli.studio.manifest_text import keep
from msmdcli.studio.project import Project, find_project

LINES = """\
  - {id: line0, audio: audio/line1.wav}
  - id: line1          # shouted
    audio: audio/line2.wav
    style: [{ref: neutral, weight: 0.25}, {ref: angry, weight: 0.75}]
    fps: 30
  - {id: many, audio: audio/line0.wav, takes: 2}
"""


def opened(project: BatchProject) -> tuple[Project, Maker]:
    project.write(LINES)
    studio = Project(project.options)
    return studio, Maker(studio.options, studio.bundle)


def written(project: BatchProject, studio: Project, maker: Maker, line_id: str, keys: dict[str, Any], to: Path) -> None:
    """The files of a line as it is made in the studio."""
    motion = maker.make(studio.changed(line_id, keys)).motion
    for fmt in ("livelink-csv", "npz"):
        write_motion(motion, to / f"{line_id}{get_format(fmt).suffix}", fmt)


@pytest.mark.parametrize(
    ("line_id", "keys"),
    [
        ("line0", {}),
        ("line1", {}),
        ("many_take2", {}),
        ("line0", {"style": "angry", "intensity": 1.25, "seed": 9, "fps": 24}),
        ("line1", {"style": None, "head": 0.5, "blinks": 20, "silence_gate": "on", "smooth": 0.3}),
        (
            "line1",
            {
                "segments": [{"start": 0.8, "style": "neutral"}],
                "gestures": [{"name": "nod", "at": 0.5}],
                "pins": [{"time": 1.0, "channels": {"jawOpen": 0.7}}],
                "length": 2,
            },
        ),
    ],
)
def test_what_is_shown_is_what_the_batch_writes(project: BatchProject, line_id: str, keys: dict[str, Any]) -> None:
    studio, maker = opened(project)
    shown = project.folder / "shown"
    shown.mkdir()
    maker.make(studio.changed("line0", {"style": "angry"}))  # what was made before changes nothing
    written(project, studio, maker, line_id, keys, shown)
    assert not project.out.exists()
    if keys:
        keep(studio.path, line_id, keys, studio.state.manifest, studio.manifest_of)
    assert project.run() == 0
    batch = project.bytes_of()
    made = project.bytes_of(shown)
    assert made == {name: batch[name] for name in made} and len(made) == 2


def test_what_is_wrong_is_one_sentence(project: BatchProject) -> None:
    studio, maker = opened(project)
    with pytest.raises(ManifestError, match="intensity"):
        studio.changed("line0", {"intensity": 99})
    with pytest.raises(MsmdError, match="furious"):
        maker.make(studio.changed("line0", {"style": "furious"}))
    with pytest.raises(UsageError, match="no choice that can be changed"):
        studio.changed("line0", {"audio": "/etc/passwd"})
    with pytest.raises(UsageError, match="'takes' is no choice"):
        studio.changed("many_take1", {"takes": 3})
    with pytest.raises(UsageError, match="no line 'line9'"):
        studio.changed("line9", {})
    (project.folder / "audio/line1.wav").unlink()
    with pytest.raises(MsmdError, match="no such recording"):
        studio.changed("line0", {})


def test_a_manifest_that_changes_is_read_again(project: BatchProject) -> None:
    studio, _ = opened(project)
    assert studio.own_keys("line0") == {} and studio.inherited("line0") == {"style": "neutral"}
    project.write("  - {id: line0, audio: audio/line1.wav, seed: 3}\n", "{style: angry}")
    assert studio.own_keys("line0") == {"seed": 3} and studio.inherited("line0") == {"style": "angry"}
    assert list(studio.state.lines) == ["line0"]


def test_a_long_manifest_is_read_while_the_page_is_there(
    project: BatchProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(LINES)
    go, read = threading.Event(), Project._read

    def slowly(self: Project) -> Any:
        assert go.wait(300)
        return read(self)

    monkeypatch.setattr(Project, "_read", slowly)
    studio = Project(project.options)  # does not wait for it
    assert studio.path == project.manifest and not studio.busy
    go.set()
    assert "line0" in studio.state.lines
    project.manifest.write_text("version: 1\nlines: [", encoding="utf-8")
    with pytest.raises(MsmdError):
        Project(project.options)  # a short one that is wrong is told at once


def test_out_names_its_manifest(project: BatchProject) -> None:
    project.write("  - {id: line0, audio: audio/line0.wav}\n")
    assert project.run() == 0
    assert find_project(project.out, None) == (project.manifest, project.out)
    assert find_project(project.manifest, None) == (project.manifest, Path("out"))
    project.manifest.rename(project.folder / "moved.yaml")
    with pytest.raises(UsageError, match="is not there"):
        find_project(project.out, None)


KEPT = {"style": "angry", "intensity": 1.25, "gestures": [{"name": "nod", "at": 0.5}], "fps": 24}
JSON = """\
{"version": 1, "defaults": {"style": "neutral"},
 "lines": [
  {"id": "line0", "audio": "audio/line1.wav",  "fields": {"scene": "3"}},
  {"id": "many", "audio": "audio/line0.wav", "takes": 2}
 ]}
"""
TABLE = """\
Scene;ID;File;takes
3;line0;audio/line1.wav;
"4; late";many;audio/line0.wav;2
"""


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        (
            "lines.json",
            JSON,
            JSON.replace(
                '"3"}}',
                '"3"},  "style": "angry",  "intensity": 1.25,  "gestures": [{"name": "nod", "at": 0.5}],  "fps": 24}',
            ).replace(', "takes": 2', ', "seed": 8'),
        ),
        (
            "lines.csv",
            TABLE,
            (
                "Scene;ID;File;takes;style;intensity;gestures;fps;seed\n"
                '3;line0;audio/line1.wav;;angry;1.25;"[{""name"": ""nod"", ""at"": 0.5}]";24;\n'
                '"4; late";many;audio/line0.wav;;;;;;8\n'
            ),
        ),
    ],
)
def test_what_is_kept_in_json_and_tables_is_what_was_shown(
    project: BatchProject, name: str, text: str, kept: str
) -> None:
    path = project.folder / name
    path.write_text(text, encoding="utf-8")
    shown = project.folder / "shown"
    shown.mkdir()
    studio = Project(replace(project.options, manifest=path))
    maker = Maker(studio.options, studio.bundle)
    for line_id, keys in (("line0", KEPT), ("many_take2", {"seed": 8, "takes": None})):
        motion = maker.make(studio.changed(line_id, keys)).motion
        write_motion(motion, shown / f"{studio.changed(line_id, keys).id}.npz", "npz")
        keep(path, studio.written_id(line_id), keys, studio.state.manifest, studio.manifest_of)
        studio.reread()
    assert path.read_text(encoding="utf-8") == kept
    assert studio.own_keys("line0") == KEPT and studio.own_keys("many") == {"seed": 8}
    assert project.run(manifest=path, choices=replace(project.options.choices, formats=("npz",))) == 0
    made = project.bytes_of(shown)
    assert len(made) == 2 and project.bytes_of() == made
    lines = {line["id"]: line for line in project.report()["lines"]}
    assert "3" in lines["line0"]["fields"].values()


def test_lines_of_a_folder_and_of_a_redo_are_shown_and_stay(project: BatchProject) -> None:
    studio = Project(replace(project.options, manifest=project.folder / "audio"))
    assert len(studio.state.lines) == 4 and "list it in a manifest" in studio.why_fixed("line0")
    with pytest.raises(UsageError, match="stays as it is"):
        studio.changed("line0", {"seed": 1})
    assert Maker(studio.options, studio.bundle).make(studio.changed("line0", {})).motion.frames > 0
    redo = project.folder / "redo.yaml"
    redo.write_text("version: 1\nredo: lines.yaml\nlines: [{id: line0, seed: 1}]\n", encoding="utf-8")
    studio = Project(replace(project.options, manifest=redo))
    assert "the manifest that they are from" in studio.why_fixed("line0") and list(studio.state.lines) == ["line0"]
