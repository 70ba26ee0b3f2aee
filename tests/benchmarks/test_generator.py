"""The generator's benchmark finds the truth true, and a frozen or foreign performance not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generator import Line, row, spread, told
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
FRAMES = 200


def performance(manner: int, seed: int) -> Motion:
    """Slow movement of the whole face, around another pose, larger and quicker from manner to manner."""
    rng = np.random.default_rng([manner, seed])
    time = np.arange(FRAMES) / 25.0
    phase = rng.uniform(0, 2 * np.pi, RIG.size)
    waves = np.sin(2 * np.pi * (0.4 + 0.3 * manner) * time[:, None] + phase)
    return Motion((0.2 + 0.06 * manner + 0.02 * (1 + manner) * waves).astype(np.float32), Fraction(25), RIG)


@pytest.fixture
def lines() -> list[Line]:
    return [Line(f"l{n}", Path("absent.flac"), performance(n, 0), performance(n, 1)) for n in range(6)]


def test_the_truth_has_its_own_spread_and_is_told_from_every_other_manner(lines: list[Line]) -> None:
    truth = [line.truth for line in lines]
    assert spread(truth, truth, "head") == pytest.approx(1.0)
    assert told(truth, lines) == 1.0
    cells = row("*truth*", truth, lines, [[4.0]] * len(lines))
    assert cells[1] == "1.00 / 1.00" and cells[-1] == "100%"


def test_half_the_movement_and_another_s_manner_are_seen(lines: list[Line]) -> None:
    truth = [line.truth for line in lines]
    small = [Motion(m.values.mean(axis=0) + 0.5 * (m.values - m.values.mean(axis=0)), m.fps, RIG) for m in truth]
    assert spread(small, truth, "brows") == pytest.approx(0.5, abs=0.01)
    assert told([*truth[1:], truth[0]], lines) < 0.8
