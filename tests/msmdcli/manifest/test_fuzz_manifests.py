"""Bad manifests and inputs: a sample of `tests/stress/fuzz_manifests.py`, which runs 500 and more."""

from __future__ import annotations

from pathlib import Path

import pytest
from stress.fuzz_manifests import MAKERS, run_case


@pytest.mark.parametrize("first", range(len(MAKERS)))
def test_no_traceback_no_hang_and_nothing_outside_out(
    tmp_path: Path, stand_in_bundle: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr("stress.fuzz_manifests.SECONDS", 600)  # what hangs does so for ever, on any machine
    for number in range(first, 6 * len(MAKERS), len(MAKERS)):
        problem, _ = run_case(number, tmp_path / "case", stand_in_bundle)
        assert not problem, f"case {number}: {problem}"
