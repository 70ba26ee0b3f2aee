"""The contract of `msmd batch` (the text of msmdcli/batch/__init__.py), sentence by sentence."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from stand_in import make_bundle
from voice_lines import write_project, write_sound, write_style

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import read_motion
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import Choices, ManifestError
from msmdcli.model.sampling import Sampling
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from msmdcli.system.files import Written
from msmdcli.workers import finishing, line_worker

RIG = Rig.load("arkit52")


class Project:
    """A folder with recordings, styles and a manifest, and what a run of it did."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        self.manifest = write_project(folder)
        self.out = folder / "out"
        self.options = BatchOptions(
            self.manifest,
            self.out,
            bundle=bundle,
            styles=(folder / "styles",),
            threads=1,
            choices=parse_choices(None, "livelink-csv,npz", None, None),
        )
        self.events: list[dict[str, Any]] = []
        self.talk = ""
        self.halted: list[Halted] = []

    def run(self, **changes: Any) -> int:
        stdout, stderr = io.StringIO(), io.StringIO()
        try:
            return run_batch(replace(self.options, **changes), Console(True, 1, stdout, stderr))
        finally:
            self.events = [json.loads(line) for line in stdout.getvalue().splitlines()]
            self.talk = stderr.getvalue()

    def write(self, lines: str, defaults: str = "{style: neutral}") -> None:
        self.manifest.write_text(f"version: 1\ndefaults: {defaults}\nlines:\n{lines}", encoding="utf-8")

    def statuses(self) -> dict[str, str]:
        return {event["id"]: event["status"] for event in self.events if event["event"] == "line"}

    def report(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return data

    def bytes_of(self, out: Path | None = None) -> dict[str, str]:
        """Every output (not report and ledger) with the sha256 of its content."""
        out = out or self.out
        skip = ("ledger.jsonl", "report.json", "report.html", ".msmd-lock")
        return {
            path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name not in skip
        }

    def command(self, *arguments: str) -> list[str]:
        fixed = ["--bundle", str(self.options.bundle), "--styles", str(self.folder / "styles"), "--threads", "1"]
        begin = [sys.executable, "-m", "msmdcli", "batch", str(self.manifest), "--out", str(self.out)]
        return [*begin, *fixed, *arguments]


@pytest.fixture
def project(tmp_path: Path, stand_in_bundle: Path) -> Iterator[Project]:
    project = Project(tmp_path, stand_in_bundle)
    yield project
    for batch in project.halted:
        batch.close()


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
    measure = finishing.measure

    def faulty(values: np.ndarray, *args: Any) -> Any:
        if len(values) == 23:  # line3
            raise ZeroDivisionError("a bug")
        return measure(values, *args)

    monkeypatch.setattr(finishing, "measure", faulty)
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

    monkeypatch.setattr("msmdcli.formats.write_motion", disk_full)
    assert project.run() == 1
    assert project.bytes_of() == {} and set(project.statuses().values()) == {"failed"}
    assert "No space left" in project.talk


# --- unchanged lines are skipped, by content


def test_unchanged_lines_are_skipped_whatever_the_time_stamps(project: Project) -> None:
    assert project.run() == 0
    before = {path: path.stat().st_mtime_ns for path in project.out.glob("line*")}
    for path in [*project.folder.rglob("*.wav"), *project.folder.rglob("clip.npz"), *project.out.glob("line*")]:
        os.utime(path, (1, 1))
    assert project.run() == 0
    assert set(project.statuses().values()) == {"unchanged"}
    assert all(path.stat().st_mtime_ns == 10**9 for path in before)
    assert project.run(force=True) == 0
    assert set(project.statuses().values()) == {"made"}


def change_audio(project: Project) -> dict[str, Any]:
    write_sound(project.folder / "audio/line1.wav", 1.3, seed=99)
    return {}


def change_style(project: Project) -> dict[str, Any]:
    write_style(project.folder / "styles/neutral", seed=42)
    return {}


def lose_output(project: Project) -> dict[str, Any]:
    (project.out / "line1.csv").unlink()
    return {}


def empty_output(project: Project) -> dict[str, Any]:
    (project.out / "line1.csv").write_bytes(b"")
    return {}


def change_seed_of_one_line(project: Project) -> dict[str, Any]:
    text = project.manifest.read_text().replace("audio: audio/line1.wav", "audio: audio/line1.wav, seed: 5")
    project.manifest.write_text(text)
    return {}


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (change_audio, {"line1"}),
        (lose_output, {"line1"}),
        (empty_output, {"line1"}),
        (change_seed_of_one_line, {"line1"}),
        (change_style, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"sampling": Sampling(steps=3)}, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"sampling": Sampling(guidance_style=0.5)}, {"line0", "line1", "line2", "line3"}),
        (lambda project: {"choices": parse_choices("angry", "livelink-csv,npz", None, None)}, {"line0", "line3"}),
        (lambda project: {"choices": parse_choices(None, "livelink-csv,npz", "30", None)}, {"line0", "line3"}),
        (lambda project: {"threads": 2, "batch_size": 1}, set()),
        (lambda project: {"choices": parse_choices(None, "npz", None, None)}, set()),
    ],
)
def test_only_what_changed_is_made_again(
    project: Project, change: Callable[[Project], dict[str, Any]], made: set[str]
) -> None:
    project.run()
    options = change(project)
    assert project.run(**options) == 0
    remade = {line for line, status in project.statuses().items() if status == "made"}
    assert remade >= made if made else remade == set()
    assert made != {"line1"} or remade == made
    project.run(**options)
    assert set(project.statuses().values()) == {"unchanged"}


def test_another_bundle_makes_all_lines_again(project: Project) -> None:
    project.run()
    renamed = make_bundle(project.folder / "renamed_bundle", name="same weights", training={"note": "told at length"})
    assert project.run(bundle=renamed) == 0
    assert set(project.statuses().values()) == {"unchanged"}
    std = [0.0 if name == "tongueOut" else 0.11 for name in RIG.channels]
    other = make_bundle(project.folder / "other_bundle", normalisation={"mean": [0.2] * RIG.size, "std": std})
    assert project.run(bundle=other) == 0
    assert set(project.statuses().values()) == {"made"}


def test_another_format_is_added_without_losing_the_first(project: Project) -> None:
    project.run(choices=parse_choices(None, "npz", None, None))
    project.run(choices=parse_choices(None, "livelink-csv", None, None))
    assert set(project.statuses().values()) == {"made"}
    project.run()
    assert set(project.statuses().values()) == {"unchanged"}


# --- the ledger, and files that somebody edited


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


# --- interrupts and kills


# What runs in a process of its own: a batch with two cores, whatever the machine has, whose main thread says so and
# waits right before the COUNT-th call of a function. What is done by then, and what is not, depends on nobody's speed.
HALTING = """
import importlib, os, sys
from msmdcli.system import machine
from msmdcli.cli import main

owner = importlib.import_module(sys.argv.pop(1))
*path, name = sys.argv.pop(1).split(".")
for part in path:
    owner = getattr(owner, part)
count, call = int(sys.argv.pop(1)), getattr(owner, name)

def halting(*arguments, **named):
    global count
    count -= 1
    if not count:
        os.write(1, b'{"event": "halted"}\\n')
        os.read(0, 1)  # signals come meanwhile; the system hands them to the main thread while it waits
    return call(*arguments, **named)

setattr(owner, name, halting)
machine.available_cores = lambda: 2
main()
"""
# Places to halt at, always in the main thread, and how many lines are in place by then (None: that depends).
HALF = ("msmdcli.system.files", "Written.commit", "2")  # one of a line's two files is in place
SECOND = ("msmdcli.system.files", "Written.commit", "3")  # the second line is in the ledger, none of its files in place
TOLD = ("msmdcli.console", "_Plain.advance", "1")  # one line is in place and told of
COMPUTING = ("msmdcli.workers.line_worker", "LineWorker.job", "9")  # others are being computed
HANDING_OUT = (
    "msmdcli.workers.local",
    "_Process.send",
    "13",
)  # two workers hold six lines each: one is done with by now
LINES = 24
MOST_SECONDS = 300.0  # for whatever takes one or two where the machine has nothing else to do


class Halted:
    """A batch in processes of its own, which has come to a place and waits there."""

    def __init__(self, project: Project, place: tuple[str, str, str], *arguments: str) -> None:
        write_project(project.folder, (0.4,) * LINES)
        _, _, _, *batch = project.command("--json", *MODEL, *arguments)
        self._talk = (project.folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", HALTING, *place, *batch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._talk,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            start_new_session=True,
            # A shell starts background jobs deaf to Ctrl-C, and children inherit that; a terminal's user is not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        project.halted.append(self)
        self._patience = threading.Timer(MOST_SECONDS, self.send, [signal.SIGKILL])
        self._patience.start()
        self.events: list[dict[str, Any]] = []
        assert self.process.stdout is not None
        while not self.events or self.events[-1]["event"] != "halted":
            told = self.process.stdout.readline()
            assert told, self.talk()
            self.events.append(json.loads(told))

    def talk(self) -> str:
        """What it has said to people."""
        self._talk.seek(0)
        return self._talk.read()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all its processes, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Let it go on, until the last of its processes has ended; the exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.events += map(json.loads, self.process.stdout)  # until nobody holds it any more
        code = self.process.wait()
        self._patience.cancel()
        return code

    def kill(self) -> None:
        """Kill them all."""
        self.send(signal.SIGKILL)
        assert self.end() == -signal.SIGKILL

    def close(self) -> None:
        """Nothing stays behind, whatever failed."""
        if self.process.returncode is None:
            self.send(signal.SIGKILL)
            self.end()
        self._talk.close()


MODEL = ("--sampler", "ddpm", "--steps", "20", "--batch-size", "2", "--formats", "npz,livelink-csv")


@pytest.mark.parametrize(
    ("place", "jobs", "number", "made"),
    [
        (TOLD, "1", signal.SIGINT, 1),
        (TOLD, "2", signal.SIGTERM, 1),
        (HALF, "1", signal.SIGTERM, 1),
        (SECOND, "2", signal.SIGINT, 2),
        (COMPUTING, "1", signal.SIGINT, None),
        (HANDING_OUT, "2", signal.SIGINT, None),
    ],
)
def test_an_interrupt_ends_it_cleanly(
    project: Project, place: tuple[str, str, str], jobs: str, number: signal.Signals, made: int | None
) -> None:
    running = Halted(project, place, "--jobs", jobs)
    running.send(number)
    code, events, talk = running.end(), running.events, running.talk()
    assert code == 130, talk
    assert "Traceback" not in talk and "Interrupted" in talk
    assert events[-1]["event"] == "end" and events[-1]["exit_code"] == 130
    assert not list(project.out.rglob(".*"))
    in_place = {line["id"] for line in project.report()["lines"] if line["status"] == "made"}
    assert events[-1]["made"] == len(in_place) == LINES - events[-1]["not reached"]
    assert len(in_place) == made if made is not None else len(in_place) < LINES
    assert place != HANDING_OUT or in_place
    assert {name.split(".")[0] for name in project.bytes_of()} == in_place
    finish_and_compare(project, unchanged=in_place)


def test_an_interrupt_does_not_part_a_line_from_its_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(project.folder, (0.3,) * 4)
    commit = Written.commit

    def interrupted(written: Written) -> None:
        commit(written)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Written, "commit", interrupted)
    assert project.run(choices=Choices(formats=("npz", "livelink-csv"))) == 130
    monkeypatch.undo()
    (made,) = (line["id"] for line in project.report()["lines"] if line["status"] == "made")
    assert set(project.bytes_of()) == {f"{made}.npz", f"{made}.csv"}


@pytest.mark.parametrize(
    ("place", "jobs", "files"),
    [
        (TOLD, "1", 2),
        (HALF, "1", 1),
        (HALF, "2", 1),
        (SECOND, "2", 2),
        (COMPUTING, "1", None),
        (HANDING_OUT, "2", None),
    ],
)
def test_a_kill_loses_the_lines_in_flight_only(
    project: Project, place: tuple[str, str, str], jobs: str, files: int | None
) -> None:
    Halted(project, place, "--jobs", jobs).kill()
    path = project.out / "ledger.jsonl"
    ledger = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {name: digest for entry in ledger for name, digest in entry["outputs"].items()}
    there = {name: digest for name, digest in project.bytes_of().items() if not name.endswith(".msmd-tmp")}
    assert there.items() <= known.items()  # every file is whole and known
    assert len(there) == files if files is not None else len(there) < 2 * LINES
    assert place != HANDING_OUT or there
    finish_and_compare(project, unchanged={entry["id"] for entry in ledger if entry["outputs"].keys() <= there.keys()})


def test_one_batch_at_a_time_works_in_one_out(project: Project) -> None:
    first = Halted(project, TOLD)
    second = subprocess.run(project.command("--json", *MODEL), capture_output=True, text=True, cwd=project.folder)
    assert second.returncode == 2 and "Traceback" not in second.stderr
    assert f"another batch is at work in {project.out} (process {first.process.pid} on " in second.stderr
    assert '"plan"' not in second.stdout and '"line"' not in second.stdout  # it has not even looked
    assert project.run(dry_run=True) == 0  # writes nothing, so it disturbs nobody
    assert first.end() == 0
    assert first.events[-1]["event"] == "end" and first.events[-1]["made"] == LINES
    finish_and_compare(project, unchanged={f"line{i}" for i in range(LINES)})


def test_a_lock_that_a_kill_has_left_blocks_nobody(project: Project) -> None:
    Halted(project, TOLD, "--jobs", "2").kill()
    assert (project.out / ".msmd-lock").exists()
    finish_and_compare(project)


def finish_and_compare(project: Project, unchanged: set[str] | None = None) -> None:
    """Run to the end: it makes all lines but those; the outputs are those of an undisturbed run."""
    settings = {"sampling": Sampling("ddpm", 20)}
    assert project.run(**settings) == 0
    statuses = project.statuses()
    assert set(statuses.values()) <= {"made", "unchanged"} and len(statuses) == LINES
    assert unchanged is None or {line for line, status in statuses.items() if status == "unchanged"} == unchanged
    assert not list(project.out.rglob(".*"))
    project.run(out=project.folder / "undisturbed", **settings)
    assert project.bytes_of() == project.bytes_of(project.folder / "undisturbed")


def test_a_worker_that_dies_takes_one_line_at_most(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(project.folder, (0.3,) * 12)
    write_sound(project.folder / "audio/line5.wav", 0.31)
    monkeypatch.setattr("msmdcli.workers.local._main", deadly_main)
    monkeypatch.setattr("msmdcli.system.machine.available_cores", lambda: 2)  # one core has one worker: this process
    assert project.run(jobs=2) == 1
    statuses = project.statuses()
    assert statuses.pop("line5") == "failed"
    assert set(statuses.values()) == {"made"} and len(statuses) == 11
    assert "the worker died on this line (exit code 9)" in project.talk


def deadly_main(config: Any, connection: Any) -> None:
    """A worker's process that dies on line5, as one that runs out of memory does."""
    from msmdcli.workers import local as processes

    decode = line_worker.load_audio

    def load(path: Path) -> Any:
        if path.stem == "line5":
            os._exit(9)
        return decode(path)

    line_worker.load_audio = load
    processes._main(config, connection)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as in a terminal: shells start background jobs, such as CI, with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_the_interpreter_loses_still_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a callback that prints and forgets it, or in an import that makes another error of it."""
    job = line_worker.LineWorker.job

    def lose(worker: Any, task: Any, recording: Any) -> Any:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            raise AssertionError  # it comes at once
        return job(worker, task, recording)

    monkeypatch.setattr(line_worker.LineWorker, "job", lose)
    assert project.run() == 130
    assert project.events[-1]["not reached"] == 4
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert project.run() == 0


def test_when_no_worker_can_go_on_what_is_done_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(worker: Any, tasks: Any) -> Any:
        yield from list(run(worker, tasks))[:2]
        raise MsmdError("the device is gone")

    run = line_worker.LineWorker.run
    monkeypatch.setattr(line_worker.LineWorker, "run", broken)
    with pytest.raises(MsmdError, match="the device is gone"):
        project.run()
    assert project.events[-1]["made"] == 2 and project.events[-1]["not reached"] == 2
    assert project.report()["run"]["exit_code"] == 1


# --- the delivery check


def test_a_voice_that_contradicts_its_style_gets_a_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    excited = {"pitch": 6.0, "pitch_spread": 25.0, "effort": -6.0}
    monkeypatch.setattr(finishing, "measure_voice", lambda samples, rate: excited)
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
