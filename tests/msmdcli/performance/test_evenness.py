"""A line moves as much as its reference, whatever part of it is shown."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.performance.evenness import BOUNDS, evened, evening, usual_size
from msmdcli.performance.joins import Movement
from msmdcli.performance.reference import Reference, groups_of
from msmdcli.performance.searched import Searched
from msmdcli.performance.stretches import Stretch

RIG = Rig.load("arkit52")
BROWS = groups_of(RIG)["brows"]


def take(*sizes: float, drift: float = 0.0) -> Motion:
    """A talking jaw and brows that go up and down by these sizes, 5 s each, over a slow change by `drift`."""
    time = np.arange(125 * len(sizes)) / 25
    values = np.zeros((len(time), RIG.size), np.float32)
    values[:, RIG.index("jawOpen")] = 0.1 + 0.1 * np.sin(2 * np.pi * 3 * time)
    size = np.repeat(sizes, 125)
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        slow = 0.3 + drift * np.sin(2 * np.pi * time / time[-1])
        values[:, RIG.index(name)] = slow + size * np.sin(2 * np.pi * 0.8 * time)
    return Motion(values, Fraction(25), RIG)


def factor(reference: Reference, start: float, seconds: float = 5.0) -> float:
    stretch = Stretch(0.0, 0, 0, (0.0, seconds), (start, start + seconds))
    return evening(Movement([reference], [stretch], [1.0], "brows", BROWS), [stretch], seconds)


def test_a_lively_part_is_made_smaller_and_a_quiet_one_larger() -> None:
    reference = Reference.of([take(0.05, 0.1, 0.05, 0.1)])
    assert factor(reference, 0.0) == pytest.approx(1.3, abs=0.02)
    assert factor(reference, 5.0) == pytest.approx(0.75, abs=0.02)


def test_what_a_take_does_over_half_a_minute_is_not_asked_of_a_line() -> None:
    """Brows that rise slowly over the take: a line of five seconds is not made larger for it."""
    even = [take(0.05, 0.05, 0.05, 0.05, 0.05, 0.05, drift=drift) for drift in (0.0, 0.25)]
    plain, slow = (factor(Reference.of([one]), 10.0) for one in even)
    assert BOUNDS[0] < plain < BOUNDS[1]
    assert slow == pytest.approx(plain, abs=0.12)


def test_liveliness_is_each_groups_own() -> None:
    """Brows that move in one half, eyes in the other: together they would look even."""
    motion = take(0.1, 0.0)
    time = np.arange(motion.frames) / 25
    for name in ("eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight"):
        motion.values[125:, RIG.index(name)] = 0.3 + 0.2 * np.sin(2 * np.pi * 0.8 * time[125:])
    searched = Searched.of(Reference.of([motion]))
    assert searched.counts.sum() == pytest.approx(1)
    half = len(searched.moved) // 2
    moved = np.stack([searched.moved[half] - searched.moved[0], searched.moved[-1] - searched.moved[half]])
    lively = moved[:, searched.counts > 0].max(axis=0) / moved[:, searched.counts > 0].sum(axis=0)
    assert lively.min() > 0.9


@pytest.mark.parametrize("fps", [25, 60])
@pytest.mark.parametrize("size", [0.02, 0.09, 0.1, 0.12, 0.4])
def test_generated_movement_becomes_the_reference_s_within_bounds(size: float, fps: int) -> None:
    reference = Reference.of([take(0.1, 0.1, 0.1)])
    usual = usual_size([reference], np.ones(1), BROWS, [1.0])
    line = take(size, size).resample(fps)
    made = evened(line, BROWS, usual)
    before = line.values[:, BROWS].astype(np.float64)
    gain = made.std(axis=0) / np.maximum(before.std(axis=0), 1e-9)
    moving = before.std(axis=0) > 1e-3
    np.testing.assert_allclose(gain[moving], np.clip(0.1 / size, *BOUNDS), rtol=0.03)
    np.testing.assert_allclose(made.mean(axis=0), before.mean(axis=0), atol=1e-5)


def test_what_nobody_is_known_to_do_stays_as_it_was_generated() -> None:
    line = take(0.05, 0.05)
    np.testing.assert_array_equal(evened(line, BROWS, 0.0), line.values[:, BROWS])
