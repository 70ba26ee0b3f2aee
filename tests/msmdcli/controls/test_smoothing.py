from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.controls.smoothing import closures, lower_envelope, smooth_motion
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import mouth_opening
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
JAW, BLINK = RIG.index("jawOpen"), RIG.index("eyeBlinkLeft")


def talk(seed: int = 0, fps: int = 25) -> Motion:
    """A jaw that opens 4 times a second and closes for a single frame each second; a blink; noise on everything."""
    rng = np.random.default_rng(seed)
    time = np.arange(12 * fps) / fps
    values = np.full((len(time), RIG.size), 0.2)
    values[:, JAW] = 0.25 + 0.12 * np.sin(2 * np.pi * 1.7 * time)
    values[fps // 2 :: fps, JAW] = 0.0
    values[100:104, BLINK] = (0.6, 1.0, 0.7, 0.4)
    values += 0.01 * rng.standard_normal(values.shape)
    return Motion(values.astype(np.float32), Fraction(fps), RIG)


def jitter(values: np.ndarray) -> float:
    return float(np.abs(np.diff(values, n=2, axis=0)).mean())


def test_jitter_falls_and_nothing_comes_later() -> None:
    motion = talk()
    noisy = RIG.index("browInnerUp")
    last = jitter(motion.values[:, [noisy]])
    for strength in (0.1, 0.3, 0.6, 1.0):
        smooth = smooth_motion(motion, strength)
        assert jitter(smooth.values[:, [noisy]]) < last
        last = jitter(smooth.values[:, [noisy]])
        a, b = (m.values[:, JAW] - m.values[:, JAW].mean() for m in (motion, smooth))
        lags = {lag: float(a[5:-5] @ np.roll(b, -lag)[5:-5]) for lag in range(-4, 5)}
        assert max(lags, key=lambda lag: lags[lag]) == 0
    assert last < 0.1 * jitter(motion.values[:, [noisy]])


def test_lips_still_close_and_lids_still_shut() -> None:
    motion = talk()
    closed = closures(motion.values, RIG, 25)
    assert closed[12::25].all()
    smooth = smooth_motion(motion, 1.0)
    before, after = mouth_opening(motion.values, RIG)[closed], mouth_opening(smooth.values, RIG)[closed]
    np.testing.assert_allclose(after, before, atol=1e-6)
    np.testing.assert_allclose(smooth.values[100:104, BLINK], motion.values[100:104, BLINK], atol=1e-6)


def test_ends_stay_and_a_still_face_is_untouched() -> None:
    motion = talk()
    smooth = smooth_motion(motion, 0.5)
    np.testing.assert_allclose(smooth.values[[0, -1]], motion.values[[0, -1]], atol=1e-6)
    still = Motion(np.full((40, RIG.size), 0.3, np.float32), Fraction(25), RIG)
    np.testing.assert_allclose(smooth_motion(still, 1.0).values, 0.3, atol=1e-6)
    assert smooth_motion(motion, 0.0) is motion


def test_the_same_seconds_are_smoothed_at_any_rate() -> None:
    """A ripple of 5 Hz is damped alike at 25 and at 60 fps."""
    left = []
    for fps in (25, 60):
        values = np.zeros((fps * 8, RIG.size), np.float32)
        values[:, RIG.index("browInnerUp")] = 0.5 + 0.1 * np.sin(2 * np.pi * 5 * np.arange(fps * 8) / fps)
        smooth = smooth_motion(Motion(values, Fraction(fps), RIG), 0.4).values[fps:-fps, RIG.index("browInnerUp")]
        left.append(np.ptp(smooth))
    assert left[0] == pytest.approx(left[1], rel=0.1)


def test_the_lower_envelope_has_no_narrow_peaks() -> None:
    curve = np.zeros(60)
    curve[20:24], curve[35:55] = 1, 0.5
    np.testing.assert_array_equal(lower_envelope(curve, 8)[[21, 40]], [0, 0.5])


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
def test_the_shortest_lines_are_smoothed_too(frames: int) -> None:
    short = talk().slice(10, 10 + frames)
    for strength in (None, 0.3, 1.0):
        assert smooth_motion(short, strength).frames == frames


def test_unasked_only_the_mouth_is_smoothed() -> None:
    motion = talk()
    smooth = smooth_motion(motion, None)
    brow = RIG.index("browInnerUp")
    np.testing.assert_array_equal(smooth.values[:, brow], motion.values[:, brow])
    assert jitter(smooth.values[:, [JAW]]) < jitter(motion.values[:, [JAW]])
    np.testing.assert_array_equal(smooth_motion(motion, 0.0).values, motion.values)
