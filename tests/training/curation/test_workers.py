"""Processes: order does not matter, deaths do not spread, errors come through."""

from __future__ import annotations

import os

import pytest

from msmdcli.errors import MsmdError
from training.curation.workers import ProcessDied, in_processes


def work(number: int) -> int:
    if number == 3:
        os._exit(9)  # as a crash in a decoder
    if number == 100:
        raise MsmdError("this cannot be")
    return number * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_death_takes_no_other_task_with_it(jobs: int) -> None:
    found = dict(in_processes(work, [1, 2, 3, 4, 5], jobs))
    assert isinstance(found.pop(3), ProcessDied)
    assert found == {1: 1, 2: 4, 4: 16, 5: 25}


def test_errors_come_through() -> None:
    with pytest.raises(MsmdError, match="cannot be"):
        list(in_processes(work, [1, 100, 2], 1))


def test_nothing_to_do() -> None:
    assert list(in_processes(work, [], 2)) == []
