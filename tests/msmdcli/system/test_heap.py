"""Memory goes back to the system while a long recording is heard."""

from __future__ import annotations

import subprocess
import sys

import pytest

from msmdcli.system import heap

GROWTH = """
import sys
import numpy as np
from contextlib import nullcontext
from msmdcli.system.heap import lean_heap

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


@pytest.mark.skipif(not heap._set_threshold(heap.USUAL), reason="the C library is not GNU's")
def test_freed_arrays_are_returned() -> None:
    def growth(how: str) -> float:
        return float(subprocess.run([sys.executable, "-c", GROWTH, how], capture_output=True, check=True).stdout)

    assert growth("lean") < 10 < 40 < growth("usual")


def test_the_last_one_out_puts_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(heap, "_set_threshold", asked.append)
    with heap.lean_heap():
        with pytest.raises(ValueError), heap.lean_heap():
            raise ValueError
        assert asked == [heap.LARGE]
    assert asked == [heap.LARGE, heap.USUAL]
