"""A redo keeps the options of the run, may say all that a line may, and its report has all lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from batch_project import RIG, Project
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.loading import load_manifest

LINES = "".join(f"  - {{id: l{n}, audio: audio/line{n}.wav}}\n" for n in range(3))


def run(project: Project, manifest: Path, *arguments: str, code: int = 0) -> dict:
    done = CliRunner().invoke(app, [*project.command(*arguments)[3:4], str(manifest), *project.command(*arguments)[5:]])
    assert done.exit_code == code, done.output
    return project.report()


@pytest.fixture
def redo(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A batch with options of its own, and the path of a manifest to redo some of it."""
    monkeypatch.chdir(project.folder)
    project.write(LINES)
    arguments = ("--style", "angry", "--blinks", "18", "--fps", "24", "--formats", "livelink-csv,npz", "--steps", "3")
    first = run(project, project.manifest, *arguments)
    assert first["counts"]["made"] == 3
    return project.folder / "redo.yaml"


def write(path: Path, entry: str) -> Path:
    path.write_text(f"version: 1\nredo: lines.yaml\nlines: [{entry}]\n", encoding="utf-8")
    return path


def test_the_run_s_options_stay(project: Project, redo: Path) -> None:
    before, motion = project.report(), read_motion(project.out / "l1.npz")
    after = run(project, write(redo, "{id: l1, seed: 5}"))
    line = next(line for line in after["lines"] if line["id"] == "l1")
    assert line["style"] == "angry" and line["seed"] == 5 and "blinks" in line["controls"]
    assert sorted(line["outputs"]) == ["l1.csv", "l1.npz"]
    again = read_motion(project.out / "l1.npz")
    assert again.fps == motion.fps == 24 and (again.values != motion.values).any()
    assert after["settings"].pop("redone").keys() == {"l1"} and after["settings"] == before["settings"]


def test_the_report_keeps_the_other_lines(project: Project, redo: Path) -> None:
    before = {line["id"]: line for line in project.report()["lines"]}
    after = run(project, write(redo, "{id: l1, seed: 5}"))
    lines = {line["id"]: line for line in after["lines"]}
    assert set(lines) == set(before) and after["counts"]["made"] == 1 and after["counts"]["unchanged"] == 2
    assert lines["l0"] == before["l0"] | {"status": "unchanged"}


def test_redoing_nothing_new_makes_nothing(project: Project, redo: Path) -> None:
    files = project.bytes_of()
    after = run(project, write(redo, "{id: l1}"))
    assert after["counts"]["unchanged"] == 3 and project.bytes_of() == files


def test_an_entry_may_say_all_that_a_line_may(project: Project, redo: Path) -> None:
    entry = "id: l2, style: neutral, fps: 30, formats: [json], head: 0.5, audio: audio/line0.wav"
    after = run(project, write(redo, f"{{{entry}, text: again, fields: {{take: two}}}}"))
    line = next(line for line in after["lines"] if line["id"] == "l2")
    assert line["style"] == "neutral" and line["outputs"] == ["l2.json"] and line["text"] == "again"
    assert line["fields"] == {"take": "two"} and line["audio"].endswith("line0.wav")
    assert read_motion(project.out / "l2.json").fps == 30


def test_the_redo_s_own_command_line_wins(project: Project, redo: Path) -> None:
    after = run(project, write(redo, "{id: l1}"), "--style", "neutral", "--steps", "2")
    line = next(line for line in after["lines"] if line["id"] == "l1")
    assert line["style"] == "neutral" and line["status"] == "made"
    assert read_motion(project.out / "l1.npz").fps == 24


def test_a_take_that_the_command_line_asked_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    project.write(LINES)
    run(project, project.manifest, "--takes", "2", "--formats", "npz")
    after = run(project, write(project.folder / "redo.yaml", "{id: l1_take2, seed: 9}"))
    assert after["counts"]["made"] == 1 and after["counts"]["unchanged"] == 5


def test_into_another_out_it_is_a_batch_of_its_own(project: Project, redo: Path) -> None:
    write(redo, "{id: l1}")
    done = CliRunner().invoke(app, ["batch", str(redo), "--out", "other", "--bundle", str(project.options.bundle)])
    assert done.exit_code == 0, done.output
    report = json.loads((project.folder / "other/report.json").read_text(encoding="utf-8"))
    assert [line["id"] for line in report["lines"]] == ["l1"] and report["lines"][0]["style"] == "neutral"


def test_a_report_whose_options_make_no_sense_is_told(project: Project, redo: Path) -> None:
    report = project.report()
    report["settings"]["options"]["choices"]["fps"] = "many"
    (project.out / "report.json").write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(UsageError, match=r"report\.json holds options that cannot be used"):
        project.run(manifest=write(redo, "{id: l1}"))


def test_a_second_redo_keeps_what_the_first_one_said(project: Project, redo: Path) -> None:
    run(project, write(redo, "{id: l1, seed: 5, style: neutral}, {id: l2, seed: 2}"))
    first = {line["id"]: line for line in project.report()["lines"]}
    (project.folder / "later").mkdir()
    later = project.folder / "later" / "redo.yaml"
    later.write_text("version: 1\nredo: ../lines.yaml\nlines: [{id: l1, intensity: 0.5}]\n", encoding="utf-8")
    after = {line["id"]: line for line in run(project, later)["lines"]}
    assert (after["l1"]["style"], after["l1"]["seed"]) == ("neutral x0.5", 5) and after["l1"]["status"] == "made"
    assert after["l2"] == first["l2"] | {"status": "unchanged"}
    again = {line["id"]: line for line in run(project, write(redo, "{id: l2, style: neutral}"))["lines"]}
    assert (again["l2"]["style"], again["l2"]["seed"]) == ("neutral", 2)
    assert again["l1"]["style"] == "neutral x0.5"
    files = project.bytes_of()
    assert run(project, write(redo, "{id: l1}, {id: l2}"))["counts"]["unchanged"] == 3 and project.bytes_of() == files
    remembered = project.report()["settings"]["redone"]
    assert len(remembered["l1"]) == 3, "an entry that says nothing is remembered, and hides none"
    run(project, project.manifest)  # the whole batch: the manifest is all that counts
    assert "redone" not in project.report()["settings"] and project.report()["lines"][0]["style"] == "neutral"


def test_paths_of_an_earlier_redo_start_where_it_lay(project: Project, redo: Path) -> None:
    folder = project.folder / "mail"
    folder.mkdir()
    (project.folder / "audio/line2.wav").rename(folder / "new.wav")
    (folder / "redo.yaml").write_text(
        "version: 1\nredo: ../lines.yaml\nlines: [{id: l1, audio: new.wav, fields: {take: 007}, text: '1.50'}]\n"
    )
    run(project, folder / "redo.yaml")
    after = run(project, write(redo, "{id: l1, seed: 9}"))
    line = next(line for line in after["lines"] if line["id"] == "l1")
    assert line["audio"].endswith("mail/new.wav") and line["seed"] == 9
    assert (line["fields"], line["text"]) == ({"take": "007"}, "1.50")


def test_a_redo_of_a_redo_keeps_the_run_s_options(project: Project, redo: Path) -> None:
    write(redo, "{id: l1, seed: 5}")
    second = project.folder / "second.yaml"
    second.write_text("version: 1\nredo: redo.yaml\nlines: [{id: l1, blinks: 12}]\n", encoding="utf-8")
    for _ in range(2):
        line = next(line for line in run(project, second)["lines"] if line["id"] == "l1")
        assert (line["style"], line["seed"]) == ("angry", 5) and "12" in line["controls"]
    assert len(project.report()["lines"]) == 3
    redo.write_text("version: 1\nredo: second.yaml\nlines: [{id: l1}]\n", encoding="utf-8")
    done = CliRunner().invoke(app, [*project.command()[3:4], str(second), *project.command()[5:]])
    assert done.exit_code == 2 and "leads back" in done.output


def test_the_file_of_another_machine(project: Project, redo: Path) -> None:
    text = "version: 1\nredo: 'C:\\shots\\lines.yaml'\nlines: [{id: l1, seed: 5}]\napproved: [{id: l0, key: ab}]\n"
    redo.write_text(text, encoding="utf-8")
    after = run(project, project.manifest, "--redo", str(redo))
    line = next(line for line in after["lines"] if line["id"] == "l1")
    assert (line["style"], line["seed"]) == ("angry", 5) and len(after["lines"]) == 3
    redo.write_text(text.replace("[{id: l1, seed: 5}]", "[]"), encoding="utf-8")
    done = CliRunner().invoke(app, project.command("--redo", str(redo))[3:])
    assert done.exit_code == 2 and "--import" in done.output
    done = CliRunner().invoke(app, project.command("--redo", str(project.manifest))[3:])
    assert done.exit_code == 2 and "no file of lines to do again" in done.output


def test_some_lines_only(project: Project, redo: Path) -> None:
    before = {line["id"]: line for line in project.report()["lines"]}
    after = run(project, project.manifest, "--only", "l1", "--force", "--style", "neutral", "--formats", "npz")
    lines = {line["id"]: line for line in after["lines"]}
    assert lines["l1"]["status"] == "made" and lines["l1"]["style"] == "neutral"
    assert (
        lines["l0"] == before["l0"] | {"status": "unchanged"} and after["settings"]["options"]["choices"]["fps"] == "24"
    )
    manifest = load_manifest(project.manifest, RIG)
    assert project.run(manifest=manifest, only=("l2",)) == 0 and len(project.report()["lines"]) == 3
    after = project.report()
    done = CliRunner().invoke(app, project.command("--only", "k1")[3:])
    assert done.exit_code == 2 and "there is no such line" in done.output and "l1" in done.output
    assert run(project, project.manifest, "--only", "l*", "--dry-run") == after
