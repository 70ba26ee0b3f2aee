"""The processor's name and kind, the cores that a process may use, and memory that goes back to the system."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msmdcli.system import machine

CORE = """processor\t: 0
model name\t: Some CPU
cpu MHz\t\t: {mhz}
flags\t\t: {flags}
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Name and kind of a processor of which the system says this."""

    def read(text: str) -> tuple[str, str]:
        (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
        monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
        machine._described.cache_clear()
        return machine.processor_name(), machine.processor_kind()

    yield read
    machine._described.cache_clear()


def test_instruction_sets_count_and_moods_do_not(told: Callable[[str], tuple[str, str]]) -> None:
    name, kind = told(CORE.format(mhz=2000, flags="sse avx2") + "\n" + CORE.format(mhz=1, flags="other core"))
    assert name == "Some CPU"
    assert told(CORE.format(mhz=3000, flags="avx2 sse")) == (name, kind)
    assert told(CORE.format(mhz=2000, flags="sse avx2 avx512f"))[1] != kind


def test_a_system_that_says_little_or_nothing(told: Callable[[str], tuple[str, str]]) -> None:
    for text in ("", "\n", "Features\t: fp asimd", "no colon here"):
        name, kind = told(text)
        assert name and name in kind
    assert told("Features\t: fp")[1] != told("Features\t: fp sve")[1]


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 8), ("250000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8), ("", 8)]
)
def test_affinity_and_quota_bound_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert machine.available_cores() == cores
    (tmp_path / "cpu.max").unlink()
    assert machine.available_cores() == 8


def test_libraries_of_new_processes_get_no_more_threads_than_their_share() -> None:
    before = dict(os.environ)
    with machine.thread_limit(3):
        assert {os.environ[name] for name in machine.THREAD_VARIABLES} == {"3"}
    assert dict(os.environ) == before


GROWTH = """
import sys
import numpy as np
from contextlib import nullcontext
from msmdcli.system.machine import lean_heap

def held():  # MB, also of what the system has swapped out meanwhile
    with open("/proc/self/status") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("VmRSS:", "VmSwap:"))) / 1e3

np.ones(31 << 20, np.uint8)  # from here on the library keeps blocks of this size
before = held()
with lean_heap() if sys.argv[1] == "lean" else nullcontext():
    blocks = [np.ones(3 << 20, np.uint8) for _ in range(20)]
    keep = blocks[1::2][-1]  # something lies behind the free ones
    del blocks
    print(held() - before)
"""


@pytest.mark.skipif(not machine.set_threshold(machine.USUAL), reason="the C library is not GNU's")
def test_freed_arrays_are_returned() -> None:
    def growth(how: str) -> float:
        return float(subprocess.run([sys.executable, "-c", GROWTH, how], capture_output=True, check=True).stdout)

    assert growth("lean") < 10 < 40 < growth("usual")


def test_the_last_one_out_puts_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(machine, "set_threshold", asked.append)
    with machine.lean_heap():
        with pytest.raises(ValueError), machine.lean_heap():
            raise ValueError
        assert asked == [machine.LARGE]
    assert asked == [machine.LARGE, machine.USUAL]
