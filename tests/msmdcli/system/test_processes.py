"""Items in processes of their own: errors, crashes, progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from msmdcli.errors import MsmdError, UsageError
from msmdcli.system.processes import Done, ItemProgress, ProcessDied, in_processes, work_on


def work(item: str, tell: Callable[[float], None]) -> str:
    tell(1.5)
    if item == "bad":
        raise UsageError("this item is bad", hint="leave it out")
    if item == "crash":
        os._exit(9)
    if item == "bug":
        raise ZeroDivisionError("ours")
    os.write(2, b"native chatter")
    return item.upper()


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_done_once_whatever_happens_to_others(jobs: int, capfd: pytest.CaptureFixture[str]) -> None:
    items = ["a", "crash", "b", "bad", "c"]
    steps = list(work_on(work, items, jobs))
    done = {step.index: step for step in steps if isinstance(step, Done)}
    assert sorted(done) == [0, 1, 2, 3, 4] and len(steps) == 10
    assert [done[i].result for i in (0, 2, 4)] == ["A", "B", "C"]
    assert isinstance(done[3].error, MsmdError) and done[3].error.hint == "leave it out"
    assert done[1].error is not None and "exit code 9" in done[1].error.message
    assert {step.index for step in steps if isinstance(step, ItemProgress)} == set(range(5))
    assert "chatter" not in capfd.readouterr().err


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: ours"):
        list(work_on(work, ["bug"], 1))


def test_nothing_to_do() -> None:
    assert list(work_on(work, [], 2)) == []


def square(number: int) -> int:
    if number == 3:
        os._exit(9)  # as a crash in a decoder
    if number == 100:
        raise MsmdError("this cannot be")
    return number * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_death_takes_no_other_task_with_it(jobs: int) -> None:
    found = dict(in_processes(square, [1, 2, 3, 4, 5], jobs, tries=2))
    assert isinstance(found.pop(3), ProcessDied)
    assert found == {1: 1, 2: 4, 4: 16, 5: 25}


def test_errors_come_through() -> None:
    with pytest.raises(MsmdError, match="cannot be"):
        list(in_processes(square, [1, 100, 2], 1))


def test_no_items() -> None:
    assert list(in_processes(square, [], 2)) == []


def dies_once(folder: Path) -> str:
    if not (folder / "tried").exists():
        (folder / "tried").touch()
        os._exit(9)
    return "done"


def test_an_item_may_be_tried_again(tmp_path: Path) -> None:
    (_, first), *_ = in_processes(dies_once, [tmp_path], 1)
    assert isinstance(first, ProcessDied)
    (tmp_path / "tried").unlink()
    assert list(in_processes(dies_once, [tmp_path], 1, tries=2)) == [(tmp_path, "done")]
