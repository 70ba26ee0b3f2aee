from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from msmdcli.controls.blinks import Blink
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles
from training.evaluation.life import BANDS, amplitude, count_blinks, measure_life, speed

RIG = Rig.load("arkit52")
HEAD = list(RIG.rotation_indices or ())
LIDS = [RIG.index("eyeBlinkLeft"), RIG.index("eyeBlinkRight")]


def clips(tag: str = "happy") -> list[Motion]:
    return [load_npz(path) for path in sorted((shipped_styles() / tag).glob("*.npz"))]


def scaled(motion: Motion, factor: float) -> Motion:
    mean = motion.values.mean(axis=0)
    return replace(motion, values=mean + factor * (motion.values - mean))


def face(seconds: float = 60) -> np.ndarray:
    return np.full((round(25 * seconds), RIG.size), 0.1, np.float32)


def test_a_performance_is_as_alive_as_itself() -> None:
    life = measure_life(clips(), clips())
    assert all(value == pytest.approx(1) for value in life.movement.values())
    assert all(value == pytest.approx(1) for values in life.bands.values() for value in values)
    assert life.blinks == life.own_blinks
    assert life.blinks.whole > 0.8


def test_what_a_reference_does_not_move_is_not_judged() -> None:
    still = [replace(clip, values=clip.values.copy()) for clip in clips()]
    for clip in still:
        clip.values[:, HEAD] = 0.1
    assert "head" not in measure_life(clips(), still).movement
    assert "brows" in measure_life(clips(), still).movement


def test_half_the_movement_is_a_half() -> None:
    life = measure_life([scaled(clip, 0.5) for clip in clips()], clips())
    assert life.movement["head"] == pytest.approx(0.5, rel=1e-3)
    assert life.bands["brows"] == pytest.approx((0.5,) * len(BANDS), rel=1e-3)
    assert life.jitter["lips"] == pytest.approx(0.5, rel=1e-3)


def test_a_pose_for_each_window_is_no_movement() -> None:
    """The right spread, frozen within: what fooled the standard deviation."""
    poses = np.random.Generator(np.random.Philox(0)).normal(0, 0.05, (15, 3))
    frozen = face()
    frozen[:, HEAD] = np.repeat(poses, 100, axis=0)
    frozen[:, HEAD] += 0.0005 * np.sin(np.arange(1500) / 7)[:, None]
    waving = face()
    times = np.arange(len(waving)) / 25
    waving[:, HEAD] = 0.05 * np.sqrt(2) * np.sin(2 * np.pi * 0.4 * times)[:, None]
    made, real = Motion(frozen, Fraction(25), RIG), Motion(waving, Fraction(25), RIG)
    assert frozen[:, HEAD].std() == pytest.approx(waving[:, HEAD].std(), rel=0.3)
    assert speed([made], "head") < 0.15 * speed([real], "head")
    joins = [[4.0 * i for i in range(1, 15)]]
    assert measure_life([made], [real], joins).joins["head"] > 10


def test_bands_tell_where_the_movement_is() -> None:
    times = np.arange(1500) / 25
    for number, hertz in enumerate((0.6, 2.0, 5.0)):
        values = face()
        values[:, HEAD] = 0.1 * np.sin(2 * np.pi * hertz * times)[:, None]
        found = amplitude([Motion(values, Fraction(25), RIG)], "head")
        assert int(np.argmax(found)) == number
        assert found[number] == pytest.approx(0.1 / np.sqrt(2), rel=0.03)


def test_blinks_are_counted_whole_and_half() -> None:
    values = face()
    times = np.arange(len(values)) / 25
    for at, depth in ((5.0, 1.0), (12.0, 1.0), (20.0, 0.65), (30.0, 0.42), (40.0, 0.4)):
        for eye, column in enumerate(LIDS):
            values[:, column] += depth * (1 - values[:, column]) * Blink(at).lid(times, eye)
    blinks = count_blinks([Motion(values, Fraction(25), RIG)])
    assert blinks.per_minute == pytest.approx(3)
    assert blinks.whole == pytest.approx(2 / 3)
    assert blinks.half == pytest.approx(2)
    assert np.isnan(count_blinks([Motion(face(), Fraction(25), RIG)]).whole)
