"""Workers in processes of this machine: how many, with how many threads."""

from __future__ import annotations

import pytest

from msmdcli.workers.local import cores_divided


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
def test_workers_never_have_more_threads_than_there_are_cores(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr("msmdcli.system.machine.available_cores", lambda: cores)
    for jobs in (None, 1, 2, 5, 100):
        for threads in (0, 1, 3, 100):
            workers, each = cores_divided(jobs, threads, lines=40)
            assert 1 <= workers <= min(jobs or 1, 40) and workers * each <= cores
            if jobs == 2 and threads == 0 and cores > 1:
                assert workers * each == cores
