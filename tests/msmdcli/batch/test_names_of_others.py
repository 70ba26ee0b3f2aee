"""Names that others gave: no UTF-8, control characters, alike for Unreal; a folder of recordings as it is."""

from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from batch_project import Project
from made_video import constant_times, numbered, write_video

from msmdcli.errors import MsmdError
from msmdcli.formats.registry import get_format, read_motion, write_motion
from msmdcli.formats.unreal_import import find_tables, same_assets
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.media.audio import load_audio
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.review.page import ReviewOptions, write_review

ALL = "npz,livelink-csv,json,glb,usda,unity-anim,maya,unreal"
RIG = Rig.load("arkit52")


def latin1(folder: Path, *names: bytes) -> Path:
    """A folder whose name is no UTF-8, with recordings of these names."""
    made = folder / os.fsdecode(b"Dialoge_f\xfcr")
    made.mkdir()
    for name in names:
        shutil.copy(folder / "audio/line0.wav", made / os.fsdecode(name))
    return made


@pytest.mark.parametrize("copied", [False, True])
def test_a_folder_whose_name_is_no_utf8(project: Project, copied: bool) -> None:
    folder = latin1(project.folder, b"a.wav", b"k\xf6nig.wav")
    choices = parse_choices(None, ALL, None, None)
    assert project.run(manifest=folder, choices=choices) == 0
    assert project.statuses() == {"a": "made", "könig": "made"}
    lines = project.report()["lines"]
    assert {Path(line["audio"]).is_file() for line in lines} == {True}  # the names came through the report
    assert project.run(manifest=folder, choices=choices) == 0 and set(project.statuses().values()) == {"unchanged"}
    page = write_review(project.out, ReviewOptions(copy_audio=copied)).page.read_text(encoding="utf-8")
    assert "k\\u00f6nig" in page or "könig" in page


def test_a_manifest_below_such_a_folder(project: Project) -> None:
    folder = latin1(project.folder, b"a.wav")
    manifest = folder / "l.yaml"
    manifest.write_text("version: 1\nlines:\n - {id: a, audio: a.wav}\n - {id: b, audio: ../audio/line1.wav}\n")
    assert project.run(manifest=manifest) == 0 and project.statuses() == {"a": "made", "b": "made"}
    assert project.run(manifest=manifest, out=folder / "out") == 0  # and OUT in it
    assert load_audio(folder / "a.wav").samples.size
    json.dumps(project.report())


def test_ids_that_unreal_writes_alike_are_refused(project: Project, tmp_path: Path) -> None:
    project.write("".join(f"  - {{id: {name}, audio: audio/line0.wav}}\n" for name in ("g-1", "g_1", '"G 1"', "x/g_1")))
    with pytest.raises(ManifestError, match="Unreal asset") as error:
        project.run(choices=parse_choices(None, "unreal", None, None))
    assert len(error.value.problems) == 2  # two against the first; x/g_1 lies elsewhere
    assert project.run() == 0  # other formats have room for all
    for name in ("a-1", "a_1", "b"):
        (tmp_path / f"{name}.unreal.csv").touch()
    tables = find_tables(tmp_path)
    assert {path.name: other.name for path, other in same_assets(tables).items()} == {
        "a_1.unreal.csv": "a-1.unreal.csv"
    }


def test_a_backslash_in_double_quotes_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "l.yaml"
    path.write_text('version: 1\nlines:\n - {id: a, audio: "C:\\voices\\new\\a.wav"}\n')
    with pytest.raises(ManifestError, match="backslash in double quotes") as error:
        load_manifest(path, RIG)
    assert "\v" not in error.value.message and "\\x0b" in error.value.message


def test_a_folder_of_recordings_and_videos(project: Project) -> None:
    folder = project.folder / "rec"
    folder.mkdir()
    shutil.copy(project.folder / "audio/line0.wav", folder / "a.wav")
    pictures, times = [numbered(n) for n in range(25)], constant_times(25, Fraction(25))
    sound = (np.sin(np.arange(16000) / 8).astype(np.float32) * 0.3, Fraction(0))
    for name in ("a.mp4", "b.mov"):
        write_video(folder / name, pictures, times, sound=sound)
    write_video(folder / "silent.mp4", pictures, times)
    manifest = load_manifest(folder, RIG)
    assert [line.audio.name for line in manifest.lines] == ["a.wav", "b.mov"]
    (note,) = manifest.notes
    assert "videos without sound 1 (silent.mp4)" in note and "same name 1 (a.mp4)" in note
    assert project.run(manifest=folder, out=folder / "out") == 0 and set(project.statuses()) == {"a", "b"}
    assert note in project.talk and project.talk.count("silent.mp4") == 1
    write_review(folder / "out", ReviewOptions(copy_audio=True))
    assert project.run(manifest=folder, out=folder / "out") == 0 and set(project.statuses().values()) == {"unchanged"}
    assert project.run(manifest=folder / "b.mov") == 0 and project.statuses() == {"b": "made"}
    (folder / "only").mkdir()
    shutil.copy(folder / "silent.mp4", folder / "only")
    with pytest.raises(MsmdError, match="no recordings") as error:
        load_manifest(folder / "only", RIG)
    assert "videos without sound 1 (silent.mp4)" in error.value.hint


def test_notes_with_names_that_are_no_utf8_are_written_in_every_format(tmp_path: Path) -> None:
    name = os.fsdecode(b"t\xe4ke.mp4")
    line = Motion(np.zeros((5, RIG.size), np.float32), Fraction(25), RIG, {"source": name})
    for fmt in ALL.split(","):
        path = tmp_path / f"{os.fsdecode(b't' + bytes([0xE4]))}{get_format(fmt).suffix}"
        write_motion(line, path, fmt)
        content = path.read_bytes()
        assert fmt == "npz" or content.decode("utf-8" if fmt != "glb" else "latin-1")
        if fmt in ("npz", "json", "glb"):
            assert read_motion(path).meta["source"] == "täke.mp4"
