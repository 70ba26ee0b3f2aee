from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.controls.blinks import Blink, Blinks, blink_rng, control_blinks, find_blinks, parse_blinks, schedule
from msmdcli.errors import MsmdError
from msmdcli.motion.health import measure_health
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
LIDS = [RIG.index("eyeBlinkLeft"), RIG.index("eyeBlinkRight")]


def line(seconds: float, fps: int = 25, lid: float = 0.1, blinks: tuple[float, ...] = ()) -> Motion:
    """A face with lids at rest at `lid`, which blinks at the given times."""
    values = np.zeros((round(seconds * fps), RIG.size), np.float32)
    times = np.arange(len(values)) / fps
    for eye, column in enumerate(LIDS):
        values[:, column] = lid
        for time in blinks:
            values[:, column] += (1 - values[:, column]) * Blink(time).lid(times, eye)
    return Motion(values, Fraction(fps), RIG)


def rate(motion: Motion) -> float:
    per_minute = measure_health(motion.values, motion.fps, RIG, 100).blinks_per_minute
    assert per_minute is not None
    return per_minute


def test_off_takes_blinks_out_and_leaves_the_resting_lid() -> None:
    tired = line(10, lid=0.4, blinks=(0.1, 2.0, 5.5, 9.9))
    assert len(find_blinks(tired)) >= 3
    open_eyes = control_blinks(tired, Blinks(0.0), 0, "a")
    assert rate(open_eyes.motion) == 0 and open_eyes.removed >= 3
    np.testing.assert_allclose(open_eyes.motion.values[:, LIDS], 0.4, atol=0.02)


def test_long_closings_are_expression() -> None:
    shut = line(6, lid=0.05)
    shut.values[50:100, LIDS] = 0.9  # two seconds
    np.testing.assert_array_equal(control_blinks(shut, Blinks(0.0), 0, "a").motion.values, shut.values)


@pytest.mark.parametrize("wanted", [6.0, 18.0, 40.0])
def test_a_rate_is_met(wanted: float) -> None:
    assert rate(control_blinks(line(120), Blinks(wanted), 0, "a").motion) == pytest.approx(wanted, abs=1)
    short = [control_blinks(line(3), Blinks(wanted), seed, "a").placed for seed in range(200)]
    assert np.mean(short) * 20 == pytest.approx(wanted, rel=0.12)  # in expectation for short lines, too


def test_blinks_of_the_style_are_used_and_not_doubled() -> None:
    rng = blink_rng(3, "a")
    times = [blink.time for blink in schedule(18, 20, rng)]
    styled = line(20, blinks=(times[1] + 0.3, times[3] - 0.2))
    made = control_blinks(styled, Blinks(18.0), 3, "a")
    assert made.kept == 2 and made.placed == len(times) - 2 and made.removed == 0
    peaks = np.array([peak for _, peak, _ in find_blinks(made.motion)]) / 25
    assert len(peaks) == len(times) and np.diff(peaks).min() > 0.4


def test_times_depend_on_id_and_seed_and_not_on_the_frame_rate() -> None:
    def peaks(fps: int, seed: int, name: str) -> np.ndarray:
        made = control_blinks(line(30, fps), Blinks(20.0), seed, name).motion
        return np.array([peak for _, peak, _ in find_blinks(made)]) / fps

    np.testing.assert_allclose(peaks(24, 0, "a"), peaks(60, 0, "a"), atol=0.05)
    assert not np.array_equal(peaks(60, 0, "a"), peaks(60, 1, "a"))
    assert not np.array_equal(peaks(60, 0, "a"), peaks(60, 0, "b"))
    first, again = (control_blinks(line(30), Blinks(20.0), 0, "a").motion.values for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_lid_closes_fast_and_opens_slowly_and_the_eye_tightens() -> None:
    made = control_blinks(line(60, 120), Blinks(20.0), 0, "a").motion
    left, right = (made.values[:, column] for column in LIDS)
    assert made.values.max() <= 1 and left.max() > 0.9
    assert np.diff(left).max() > 1.8 * -np.diff(left).min()
    assert 0 < np.abs(left - right).max() < 0.35  # a few milliseconds apart, hardly visible
    squint = made.values[:, RIG.index("eyeSquintLeft")]
    assert 0.1 < squint.max() < 0.2 and squint[left < 0.11].max() < 0.01


def test_as_the_style_has_them_changes_nothing() -> None:
    styled = line(5, blinks=(1.0, 3.0))
    assert control_blinks(styled, parse_blinks("style"), 0, "a").motion is styled


@pytest.mark.parametrize("text", ["61", "-1", "often", "nan", "", "1e99", "true"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(MsmdError, match="blinks"):
        parse_blinks(text)
