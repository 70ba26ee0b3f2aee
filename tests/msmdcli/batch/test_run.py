"""The contract of `msmd batch` (the text of msmdcli/batch/__init__.py), sentence by sentence; what is skipped, kept or
interrupted is tested beside this file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from batch_project import RIG, Project
from voice_lines import write_style

from msmdcli.batch.placing import Placer
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import ManifestError
from msmdcli.model.sampling import Sampling
from msmdcli.motion.motion import load_npz
from msmdcli.workers import finishing, recordings


def test_lines_are_animated(project: Project) -> None:
    assert project.run() == 0
    assert project.statuses() == {f"line{i}": "made" for i in range(4)}
    for i, seconds in enumerate((0.1, 1.3, 2.7, 0.9)):
        motion = load_npz(project.out / f"line{i}.npz")
        assert motion.frames == int(seconds * 25 + 0.5)
        assert (motion.values >= RIG.lower).all() and (motion.values <= RIG.upper).all()
        assert read_motion(project.out / f"line{i}.csv").frames == motion.frames
        assert motion.meta["line"] == f"line{i}" and motion.meta["style"] == "neutral"


@pytest.mark.parametrize(("fps", "frames"), [("30", 39), ("60", 78), ("30000/1001", 39), ("24", 31)])
def test_output_frame_rate(project: Project, fps: str, frames: int) -> None:
    assert project.run(choices=parse_choices(None, "npz", fps, None)) == 0
    assert load_npz(project.out / "line1.npz").frames == frames  # 1.3 s


# --- a line that fails never stops the others; exit codes


def test_a_line_that_fails_never_stops_the_others(project: Project) -> None:
    (project.folder / "audio/text.wav").write_text("not a recording")
    (project.folder / "audio/empty.wav").touch()
    write_style(project.folder / "styles/broken", 5, clips=[{"file": "clip.npz", "sha256": "0" * 64}])
    (project.folder / "not_motion.npz").write_bytes(b"PK not an archive")
    soundfile.write(project.folder / "audio/nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    project.write(
        """\
  - {id: good0, audio: audio/line0.wav}
  - {id: missing, audio: audio/nowhere.wav}
  - {id: text, audio: audio/text.wav}
  - {id: empty, audio: audio/empty.wav}
  - {id: nan, audio: audio/nan.wav}
  - {id: folder, audio: audio}
  - {id: broken_style, audio: audio/line1.wav, style: broken}
  - {id: no_style_file, audio: audio/line1.wav, style: nowhere.npz}
  - {id: bad_style_file, audio: audio/line1.wav, style: not_motion.npz}
  - {id: good1, audio: audio/line1.wav}
"""
    )
    assert project.run() == 1
    statuses = project.statuses()
    assert {line for line, status in statuses.items() if status == "made"} == {"good0", "good1"}
    assert {line for line, status in statuses.items() if status == "failed"} == set(statuses) - {"good0", "good1"}
    assert len(statuses) == 10
    errors = {event["id"]: event["error"] for event in project.events if event.get("status") == "failed"}
    assert all(errors.values()) and "nowhere.wav" in errors["missing"] and "broken" in errors["broken_style"]
    assert "Traceback" not in project.talk
    assert not any("internal" in error for error in errors.values())


def test_even_our_own_mistake_in_one_line_does_not_stop_the_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = finishing.measure_health

    def faulty(values: np.ndarray, *args: Any) -> Any:
        if len(values) == 23:  # line3
            raise ZeroDivisionError("a bug")
        return measure(values, *args)

    monkeypatch.setattr(finishing, "measure_health", faulty)
    assert project.run() == 1
    assert project.statuses()["line3"] == "failed" and list(project.statuses().values()).count("made") == 3
    (failed,) = (line for line in project.report()["lines"] if line["status"] == "failed")
    assert "internal error" in failed["error"] and "Traceback" in failed["details"]


def test_exit_code_2_when_nothing_could_be_started(project: Project) -> None:
    for wrong, error in (
        ({"jobs": 0}, UsageError),
        ({"sampling": Sampling("euler")}, UsageError),
        ({"sampling": Sampling(steps=0)}, UsageError),
        ({"device": "tpu"}, UsageError),
        ({"styles": (project.folder / "nowhere",)}, UsageError),
        ({"manifest": project.folder / "nowhere.yaml"}, UsageError),
        ({"choices": parse_choices("angri", None, None, None)}, ManifestError),
    ):
        with pytest.raises(error) as caught:
            project.run(**wrong)
        assert caught.value.exit_code == 2 and not project.out.exists()
    project.write("  - {id: a, audio: audio/line0.wav, style: angri}\n  - {id: b, audio: b.wav, style: hapy}\n")
    with pytest.raises(ManifestError) as caught:
        project.run()
    first, second = caught.value.problems
    assert "lines.yaml:4:44" in first and "did you mean angry?" in first and "lines.yaml:5:34" in second
    with pytest.raises(MsmdError, match="no bundle"):
        project.run(bundle=project.folder)


# --- whole or not at all


def test_no_temporary_file_is_left_and_none_is_seen_as_output(project: Project) -> None:
    project.out.mkdir()
    left = project.out / ".line0.npz.0123abcd.msmd-tmp"
    left.write_bytes(b"torn")
    other = project.out / ".other.npz.0123abcd.msmd-tmp"
    other.write_bytes(b"of another run")
    assert project.run() == 0
    assert not left.exists() and other.exists()
    assert {path.name for path in project.out.glob(".*")} == {other.name}


def test_a_failing_write_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(motion: object, path: Path, fmt: str, *more: object, **named: object) -> None:
        path.write_bytes(b"half a file")
        if fmt == "npz":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("msmdcli.formats.registry.write_motion", disk_full)
    assert project.run() == 1
    assert project.bytes_of() == {} and set(project.statuses().values()) == {"failed"}
    assert "No space left" in project.talk


# --- same bytes


def test_same_bytes_for_any_jobs_threads_batch_size_and_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "msmdcli.system.machine.available_cores", lambda: 2
    )  # else one core would be one job and one thread
    project.write(
        """\
  - {id: line0, audio: audio/line0.wav, style: angry}
  - {id: line1, audio: audio/line1.wav, regions: {upper: angry}}
  - {id: line2, audio: audio/line2.wav, segments: [{start: 1.0, style: angry}]}
  - {id: line3, audio: audio/line3.wav, style: [{ref: angry, weight: 0.4}, {ref: neutral, weight: 0.6}]}
  - {id: line4, audio: audio/line2.wav, style: none, fps: 60}
  - {id: line5, audio: audio/line2.wav, intensity: 1.4, fps: 24}
"""
    )
    project.run()
    expected = project.bytes_of()
    assert len(expected) == 12
    lines = project.manifest.read_text().splitlines(keepends=True)
    project.manifest.write_text("".join(lines[:3] + lines[3:][::-1]))
    for number, changes in enumerate(({"threads": 2}, {"batch_size": 1}, {"batch_size": 50}, {"jobs": 2})):
        out = project.folder / f"out{number}"
        assert project.run(out=out, **changes) == 0
        assert project.bytes_of(out) == expected, changes
    project.manifest.write_text("".join(lines[:3] + lines[5:6]))  # one line, alone
    project.run(out=project.folder / "alone")
    alone = project.bytes_of(project.folder / "alone")
    assert alone == {name: digest for name, digest in expected.items() if name.startswith("line2")}


# --- the delivery check


def test_a_voice_that_contradicts_its_style_gets_a_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    excited = {"pitch": 6.0, "pitch_spread": 25.0, "effort": -6.0}
    monkeypatch.setattr(recordings, "measure_voice", lambda samples, rate: excited)
    project.write(
        """\
  - {id: a, audio: audio/line1.wav, style: tired}
  - {id: b, audio: audio/line1.wav, style: joyful_shout}
  - {id: c, audio: audio/line1.wav, style: [{ref: tired, weight: 9}, {ref: joyful_shout, weight: 1}]}
  - {id: d, audio: audio/line1.wav, style: none}
"""
    )
    assert project.run() == 0
    assert "livelier" not in project.talk
    assert project.run(check_delivery=True) == 0  # what was heard of unchanged lines is in the ledger
    warnings = {line["id"]: line.get("warnings", []) for line in project.report()["lines"]}
    assert {line for line, texts in warnings.items() if any("livelier than the style" in text for text in texts)} == {
        "a",
        "c",
    }
    assert "would fit" in warnings["a"][0] and "would fit" in project.talk
    assert [event["id"] for event in project.events if event["event"] == "delivery"] == ["a", "c"]
    assert set(project.statuses().values()) == {"unchanged"} and "livelier" in project.talk
    project.run(check_delivery=True, force=True)
    assert set(project.statuses().values()) == {"made"} and "livelier" in project.talk


# --- dry run, events, report, nothing outside OUT


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_a_dry_run_touches_nothing(project: Project, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    assert project.run(dry_run=True) == 0
    assert snapshot(tmp_path) == before
    assert [event["event"] for event in project.events] == ["plan", *["would make"] * 4, "estimate"]
    assert "4 to make (5 s of sound)" in project.talk and "would take about" in project.talk
    project.run()
    before = snapshot(tmp_path)
    (tmp_path / "audio/line0.wav").unlink()
    assert project.run(dry_run=True) == 1  # a line that would fail
    del before["audio/line0.wav"]
    after = snapshot(tmp_path)
    assert {name: after[name] for name in after if name != "audio"} == {n: before[n] for n in before if n != "audio"}


def test_events_tell_each_line_once(project: Project) -> None:
    project.run()
    kinds = [event["event"] for event in project.events]
    assert kinds == ["plan", "line", "line", "line", "line", "end"]
    end = project.events[-1]
    assert end["made"] == 4 and end["exit_code"] == 0
    line = next(event for event in project.events if event.get("id") == "line1")
    assert line["outputs"] == ["line1.csv", "line1.npz"] and line["frames"] == 33 and line["seconds"] == 1.3


def test_the_report_lists_the_worst_first_and_carries_the_table(project: Project) -> None:
    project.write(
        """\
  - {id: a, audio: audio/line1.wav, language: de, text: "<b>Halt!</b>", fields: {scene: 12}}
  - {id: b, audio: audio/nowhere.wav}
  - {id: c, audio: audio/line2.wav}
  - {id: d, audio: audio/line3.wav}
"""
    )
    assert project.run() == 1
    report = project.report()
    ids = [line["id"] for line in report["lines"]]
    scores = [line["score"] for line in report["lines"][1:]]
    assert ids[0] == "b" and scores == sorted(scores, reverse=True)
    (a,) = (line for line in report["lines"] if line["id"] == "a")
    assert (a["language"], a["text"], a["fields"]) == ("de", "<b>Halt!</b>", {"scene": "12"})
    page = (project.out / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;Halt!" in page and "<b>Halt!" not in page and "http" not in page
    assert page.index("<code>b</code>") < page.index("<code>a</code>")
    project.run()
    assert [line["id"] for line in project.report()["lines"]] == ids  # measures of skipped lines come from the ledger


def test_nothing_is_written_outside_out(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    project.out.mkdir()
    (project.out / "quest").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    project.write("  - {id: quest/a, audio: audio/line0.wav}\n  - {id: b, audio: audio/line0.wav}\n")
    assert project.run() == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert project.statuses() == {"quest/a": "failed", "b": "made"}


def test_an_id_that_needs_a_folder_where_a_file_will_be(project: Project) -> None:
    project.write("  - {id: a, audio: audio/line0.wav}\n  - {id: a.csv/b, audio: audio/line0.wav}\n")
    with pytest.raises(ManifestError, match="needs a folder"):
        project.run()


def test_characters_bring_their_own_styles(project: Project) -> None:
    write_style(project.folder / "guard_styles/angry", seed=31)
    project.manifest.write_text(
        """\
version: 1
defaults: {style: angry}
characters: {guard: {styles: guard_styles}}
lines:
  - {id: a, audio: audio/line1.wav}
  - {id: b, audio: audio/line1.wav, character: guard}
"""
    )
    assert project.run() == 0
    a, b = (json.loads(line)["key"] for line in (project.out / "ledger.jsonl").read_text().splitlines())
    assert a != b
    means = [load_npz(project.out / f"{name}.npz").values.mean(axis=0) for name in "ab"]
    assert np.abs(means[0] - means[1]).mean() > 0.02


def test_intensity_beyond_the_safe_range_is_a_warning(project: Project) -> None:
    project.write("  - {id: a, audio: audio/line1.wav, intensity: 2.5}\n")
    assert project.run() == 0
    assert "outside the safe range" in project.talk and project.report()["lines"][0]["warnings"]


def test_what_a_kill_left_goes_at_the_next_run_whatever_that_makes(project: Project) -> None:
    assert project.run() == 0
    left = [project.out / f".{name}.0123abcd.msmd-tmp" for name in ("line0.csv", "line1.npz", "ledger.jsonl")]
    other = project.out / ".notes.csv.0123abcd.msmd-tmp"  # no name of ours
    for path in (*left, other):
        path.write_text("half")
    assert project.run() == 0 and set(project.statuses().values()) == {"unchanged"}
    assert not any(path.exists() for path in left) and other.exists()
    left[0].write_text("half")
    project.write("  - {id: other, audio: audio/line1.wav}\n")  # a manifest that does not know the line any more
    assert project.run() == 0 and not left[0].exists()
    left[1].write_text("half")
    project.run(dry_run=True)
    assert left[1].exists(), "a dry run touches nothing"


def test_an_out_that_is_removed_while_the_batch_runs_is_no_success(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Placer.place
    done = []

    def place_then_remove(self: Placer, *arguments: Any) -> Any:
        placed = place(self, *arguments)
        done.append(placed)
        if len(done) == 2:
            shutil.rmtree(project.out)
        return placed

    monkeypatch.setattr(Placer, "place", place_then_remove)
    assert project.run() == 1
    statuses = {line["id"]: line["status"] for line in project.report()["lines"]}
    assert set(statuses.values()) == {"failed"} and len(statuses) == 4
    assert "removed" in project.talk
    monkeypatch.undo()
    assert project.run() == 0 and set(project.statuses().values()) == {"made"}
