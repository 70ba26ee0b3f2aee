from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from msmdcli.controls.blinks import Blink
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.performance.blinks import LineBlink, choose_blinks, lay_blinks, separate_blinks

RIG = Rig.load("arkit52")
LIDS = [RIG.index("eyeBlinkLeft"), RIG.index("eyeBlinkRight")]
DOWN = RIG.index("eyeLookDownLeft")


def face(
    times: tuple[float, ...], seconds: float = 10.0, fps: int = 25, lid: float = 0.1, depth: float = 1.0
) -> Motion:
    """Lids at rest at `lid` that blink at these times."""
    values = np.zeros((round(seconds * fps), RIG.size), np.float32)
    at = np.arange(len(values)) / fps
    for eye, column in enumerate(LIDS):
        values[:, column] = lid
        for time in times:
            values[:, column] += depth * (1 - values[:, column]) * Blink(time).lid(at, eye)
    return Motion(values, Fraction(fps), RIG)


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("lid", [0.03, 0.3])
@pytest.mark.parametrize("depth", [0.4, 1.0])
def test_every_blink_is_found_and_taken_out_whole(fps: int, lid: float, depth: float) -> None:
    times = (1.0, 2.3, 3.1, 7.0)
    values, blinks = separate_blinks(face(times, fps=fps, lid=lid, depth=depth))
    assert [blink.time for blink in blinks] == pytest.approx(times, abs=1.5 / fps)
    assert values[:, LIDS].max() < lid + 0.05
    for blink in blinks:
        assert blink.lids[0].max() == blink.lids[-1].max() == 0
        peak = int(np.argmin(np.abs(blink.offsets)))
        assert (np.diff(blink.lids[: peak + 1], axis=0) >= 0).all()
        assert (np.diff(blink.lids[peak:], axis=0) <= 0).all()


def test_a_twitch_of_lids_that_blink_whole_is_no_blink() -> None:
    """Glasses, a squint: it stays what it is. Of lids that are always seen half shut, it is a blink."""
    whole, twitch = face((1.0, 4.0, 7.0)), face((2.5, 5.5), depth=0.27)
    both = replace(whole, values=np.maximum(whole.values, twitch.values))
    values, blinks = separate_blinks(both)
    assert [blink.time for blink in blinks] == pytest.approx((1.0, 4.0, 7.0), abs=0.06)
    assert values[:, LIDS].max() == pytest.approx(twitch.values[:, LIDS].max(), abs=0.01)
    assert len(separate_blinks(twitch)[1]) == 2


def test_lids_that_sink_with_the_gaze_do_not_blink() -> None:
    motion = face((3.0,))
    motion.values[100:160, LIDS] += 0.3 * np.hanning(60)[:, None].astype(np.float32)
    assert len(separate_blinks(motion)[1]) == 1


def test_a_blink_at_the_end_of_a_take_is_not_cut_in_half() -> None:
    assert separate_blinks(face((0.0, 5.0, 9.98)))[1][0].time == pytest.approx(5.0, abs=0.05)


def test_a_gaze_that_jumps_under_a_blink_jumps_without_it() -> None:
    motion = face((3.0,))
    motion.values[76:, DOWN] = 0.4
    values, _ = separate_blinks(motion)
    assert set(values[:, DOWN].round(3)) == {0.0, 0.4}


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_a_weak_blink_shuts_the_lids(fps: int) -> None:
    """A tracker sees 40 % of a closure at 25 frames per second; what is delivered closes."""
    _, (blink,) = separate_blinks(face((3.0,), depth=0.4))
    values = np.full((5 * fps, RIG.size), 0.05)
    lay_blinks(values, RIG, fps, [LineBlink(2.013, blink)])
    assert values[:, LIDS].min(axis=1).max() >= 0.85
    assert values[:, LIDS].max() <= 1.0
    assert ((values[1:, LIDS[0]] >= 0.5) & (values[:-1, LIDS[0]] < 0.5)).sum() == 1


def test_one_eye_that_is_badly_seen_goes_with_the_other() -> None:
    motion = face((3.0,))
    noise = np.random.Generator(np.random.Philox(0)).uniform(0, 0.03, motion.frames)
    motion.values[:, LIDS[1]] = 0.1 + noise
    _, (blink,) = separate_blinks(motion)
    np.testing.assert_array_equal(blink.lids[:, 0], blink.lids[:, 1])


def test_the_rate_is_met_over_many_short_lines() -> None:
    _, blinks = separate_blinks(face((1.0, 3.0, 6.0)))
    natural = [LineBlink(blink.time % 3, blink) for blink in blinks]
    count = 0
    for seed in range(300):
        rng = np.random.Generator(np.random.Philox(seed))
        chosen = choose_blinks(natural, blinks, 18 / 60 * 3.0, 3.0, np.zeros(75), 25.0, rng)
        times = [blink.time for blink in chosen]
        assert all(b - a >= 0.5 for a, b in pairwise(times))
        count += len(chosen)
    assert count / (300 * 3.0) * 60 == pytest.approx(18, rel=0.1)


def test_missing_blinks_fall_into_pauses() -> None:
    _, blinks = separate_blinks(face((1.0,)))
    pause = np.zeros(250)
    pause[100:130] = 1
    inside = 0
    for seed in range(50):
        rng = np.random.Generator(np.random.Philox(seed))
        (blink,) = choose_blinks([], blinks, 1.0, 10.0, pause, 25.0, rng)
        inside += 4.0 <= blink.time <= 5.2
    assert inside > 25
