"""A few of the mutations of `tests/stress/fuzz_files.py`: every file is read, or refused in a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from stress.fuzz_files import outcome, state
from stress.mutations import mutate
from stress.readable_files import all_kinds

CASES = 12
KINDS = ["motion npz", "motion json", "motion livelink-csv", "motion glb", "head glb", "head gltf", "head npz", "rig"]
KINDS += ["style.yaml", "style clip", "gesture", "curve map", "bundle.json", "ledger", "cache", "track", "sound.wav"]


@pytest.mark.parametrize("name", KINDS)
def test_damage_ends_in_a_sentence(name: str, tmp_path: Path) -> None:
    kind = all_kinds()[name]
    good, folder = tmp_path / "good", tmp_path / "case"
    good.mkdir()
    kind.make(good)
    content = (good / kind.file).read_bytes()
    ends = []
    for case in range(CASES):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder, symlinks=True)
        if case:  # the first is the good file itself
            rng = np.random.Generator(np.random.Philox(key=case))
            (folder / kind.file).write_bytes(mutate(content, kind.how, rng))
        before = state(folder)
        end, problem = outcome(lambda: kind.read(folder))
        assert not problem, f"case {case}: {problem}"
        assert state(folder) == before, "something outside `out` has changed"
        ends.append(end)
    assert ends[0] == "read"
