"""The contract of `msmd batch`: the ledger, and files that somebody edited."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project, change_audio
from voice_lines import write_sound

from msmdcli.errors import UsageError
from msmdcli.manifest.command_line import parse_choices
from msmdcli.workers import line_worker


def test_the_ledger_records_what_was_made_from_what(project: Project) -> None:
    project.run()
    entries = [json.loads(line) for line in (project.out / "ledger.jsonl").read_text().splitlines()]
    assert {entry["id"] for entry in entries} == {f"line{i}" for i in range(4)}
    files = project.bytes_of()
    for entry in entries:
        assert entry["outputs"] == {name: files[name] for name in entry["outputs"]}
        audio = project.folder / f"audio/{entry['id']}.wav"
        assert entry["facts"]["audio_sha256"] == hashlib.sha256(audio.read_bytes()).hexdigest()


def test_a_file_edited_by_hand_is_kept(project: Project) -> None:
    project.run()
    edited = project.out / "line1.csv"
    edited.write_text(edited.read_text() + "# retimed by hand\n")
    assert project.run() == 0
    assert "kept line1.csv" in project.talk and "retimed" in edited.read_text()
    change_audio(project)  # even when there is a new version
    assert project.run() == 0
    assert project.statuses()["line1"] == "made" and "retimed" in edited.read_text()
    assert project.run(choices=parse_choices(None, "livelink-csv", None, None)) == 0
    assert project.statuses()["line1"] == "kept"
    assert project.run(force=True) == 0
    assert "retimed" not in edited.read_text() and project.statuses()["line1"] == "made"


def test_files_of_a_line_that_show_different_motion_are_told(project: Project) -> None:
    def mixed() -> list[str]:
        report = next(line for line in project.report()["lines"] if line["id"] == "line1")
        return [text for text in report.get("warnings", ()) if "different motion" in text]

    project.run()
    (project.out / "line1.csv").write_text("retimed by hand")
    assert project.run() == 0 and not mixed()  # the npz is what the csv was edited from
    assert project.run(choices=parse_choices(None, "livelink-csv,npz,json", None, None)) == 0 and not mixed()
    change_audio(project)
    assert project.run() == 0
    (text,) = mixed()
    assert text.startswith("line1.npz is new, while line1.csv stays") and text in project.talk
    (project.out / "line1.npz").unlink()
    assert project.run(beside=True) == 0 and not mixed()  # line1.new.csv shows what the npz shows


def test_a_file_that_we_never_wrote_is_kept(project: Project) -> None:
    project.out.mkdir()
    (project.out / "line0.csv").write_text("mine")
    assert project.run() == 0
    assert (project.out / "line0.csv").read_text() == "mine" and (project.out / "line0.npz").is_file()


def test_a_file_edited_while_we_compute_is_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write = line_worker.write_temporary

    def edit_meanwhile(motion: Any, target: Path, fmt: str, options: Any) -> Any:
        if target.name == "line2.csv":
            target.write_text("edited in the meantime")
        return write(motion, target, fmt, options)

    monkeypatch.setattr(line_worker, "write_temporary", edit_meanwhile)
    assert project.run() == 0
    assert (project.out / "line2.csv").read_text() == "edited in the meantime"
    assert {path.name for path in project.out.glob(".*")} == set()


def test_ours_goes_beside_an_edited_file_on_request(project: Project) -> None:
    project.run()
    ours, edited = (project.out / "line1.csv").read_bytes(), project.out / "line1.csv"
    edited.write_text("retimed by hand")
    assert project.run() == 0 and project.statuses()["line1"] == "unchanged"
    assert not list(project.out.glob("*.new.*"))
    assert project.run(beside=True) == 0
    assert project.statuses() == {f"line{i}": "made" if i == 1 else "unchanged" for i in range(4)}
    assert (project.out / "line1.new.csv").read_bytes() == ours and edited.read_text() == "retimed by hand"
    (line,) = (line for line in project.report()["lines"] if line["id"] == "line1")
    assert line["outputs"] == ["line1.new.csv", "line1.npz"] and line["kept"] == ["line1.csv"]
    assert project.run(beside=True) == 0 and project.statuses()["line1"] == "unchanged"
    (project.out / "line1.new.csv").write_text("edited, too")
    assert project.run(beside=True) == 0
    assert (project.out / "line1.new.csv").read_text() == "edited, too" and "kept line1.csv, line1.new" in project.talk
    with pytest.raises(UsageError, match="--beside"):
        project.run(beside=True, force=True)


def test_beside_takes_no_other_line_s_place(project: Project) -> None:
    project.write("  - {id: a, audio: audio/line0.wav}\n  - {id: a.new, audio: audio/line1.wav}\n")
    project.run()
    (project.out / "a.csv").write_text("mine")
    before = (project.out / "a.new.csv").read_bytes()
    assert project.run(beside=True) == 1
    assert project.statuses() == {"a": "failed", "a.new": "unchanged"} and "another line" in project.talk
    assert (project.out / "a.new.csv").read_bytes() == before


def test_a_torn_ledger_line_loses_that_line_only(project: Project) -> None:
    project.run()
    ledger = project.out / "ledger.jsonl"
    content = ledger.read_bytes()
    ledger.write_bytes(content[: len(content) - 40])  # killed in the middle of the last entry
    torn = json.loads(content.splitlines()[-1])["id"]
    assert project.run() == 0
    statuses = project.statuses()
    # Its files are there, but nothing says that they are ours: they stay, as any file that we do not know.
    assert {line for line, status in statuses.items() if status != "unchanged"} == {torn}
    assert project.run(force=True) == 0
    project.run()
    assert set(project.statuses().values()) == {"unchanged"}


def test_a_recording_that_changes_during_the_batch_fails_its_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = line_worker.load_audio

    def replaced(path: Path) -> Any:
        if path.name == "line2.wav":
            write_sound(path, 2.7, seed=77)
        return load(path)

    monkeypatch.setattr(line_worker, "load_audio", replaced)
    assert project.run() == 1
    assert project.statuses()["line2"] == "failed" and "has changed" in project.talk
    monkeypatch.undo()
    assert project.run() == 0 and project.statuses()["line2"] == "made"
