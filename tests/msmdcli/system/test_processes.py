"""Items in processes of their own: errors, crashes, progress."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from msmdcli.errors import MsmdError, UsageError
from msmdcli.system.processes import Done, Progress, work_on


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
    assert {step.index for step in steps if isinstance(step, Progress)} == set(range(5))
    assert "chatter" not in capfd.readouterr().err


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: ours"):
        list(work_on(work, ["bug"], 1))


def test_nothing_to_do() -> None:
    assert list(work_on(work, [], 2)) == []
