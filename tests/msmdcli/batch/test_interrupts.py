"""The contract of `msmd batch`: interrupts, kills, two batches in one OUT, and workers that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project
from halted_batch import COMPUTING, HALF, HANDING_OUT, LINES, MODEL, SECOND, TOLD, Halted
from voice_lines import write_project, write_sound

from msmdcli.errors import MsmdError
from msmdcli.manifest.lines import Choices
from msmdcli.model.sampling import Sampling
from msmdcli.system.files import Written
from msmdcli.workers import line_worker


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
