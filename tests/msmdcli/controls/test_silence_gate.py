from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.controls.silence_gate import SilenceGate, gate_motion, parse_gate, silent_stretches
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import resting_pose
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
JAW = RIG.index("jawOpen")
ON = SilenceGate(True)
RATE = 16000


def speech(*parts: tuple[float, float], noise: float = 0.0) -> np.ndarray:
    """Stretches of (seconds, level) of noise that swells like syllables, on a noise floor."""
    rng = np.random.default_rng(0)
    sound = np.concatenate([np.full(round(seconds * RATE), level) for seconds, level in parts])
    swell = 0.4 + 0.6 * np.abs(np.sin(np.arange(len(sound)) / RATE * 2 * np.pi * 2))
    return (rng.standard_normal(len(sound)) * (sound * swell + noise)).astype(np.float32)


def chatter(seconds: float, fps: int = 25) -> Motion:
    """A mouth that never rests, in a face that smiles."""
    time = np.arange(round(seconds * fps)) / fps
    values = np.zeros((len(time), RIG.size), np.float32)
    values[:, JAW] = 0.2 + 0.1 * np.sin(2 * np.pi * 3 * time)
    values[:, RIG.index("mouthSmileLeft")] = 0.5
    values[:, RIG.index("browInnerUp")] = 0.3 + 0.1 * np.sin(time)
    return Motion(values, Fraction(fps), RIG)


def test_silence_is_found_whatever_the_level_and_the_noise() -> None:
    for level, noise in ((0.2, 0.0), (0.02, 0.0), (0.2, 0.002), (0.2, 0.0005)):
        sound = speech((0.5, 0), (1.0, level), (0.7, 0), (1.0, level), (0.4, 0), noise=noise)
        stretches = silent_stretches(sound, RATE, ON)
        assert len(stretches) == 3, (level, noise)
        np.testing.assert_allclose(stretches, [(0, 0.5), (1.5, 2.2), (3.2, 3.6)], atol=0.06)


def test_a_mouth_is_not_gated_by_short_pauses_and_clicks_do_not_open_it() -> None:
    assert silent_stretches(speech((1, 0.2), (0.15, 0), (1, 0.2)), RATE, ON) == []
    clicked = speech((1, 0.2), (0.5, 0), (0.02, 0.2), (0.5, 0), (1, 0.2))
    (stretch,) = silent_stretches(clicked, RATE, ON)
    assert stretch[1] - stretch[0] > 0.9
    assert silent_stretches(speech((2, 0.2)), RATE, SilenceGate(True, -60.0)) == []
    ((start, stop),) = silent_stretches(speech((2, 0.001)), RATE, SilenceGate(True, -20.0))
    assert (start, stop) == (0, 2)


def test_hysteresis_a_level_that_hovers_does_not_flutter() -> None:
    hover = 10 ** (-45 / 20) * np.sqrt(1 + 0.5 * np.sin(np.arange(3 * RATE) / RATE * 2 * np.pi * 4))
    sound = np.concatenate([speech((1, 0.2)), speech((3, 1.0)) * hover.astype(np.float32), speech((1, 0.2))])
    assert len(silent_stretches(sound, RATE, SilenceGate(True, -45.0))) <= 1


def test_the_mouth_rests_in_silence_without_a_pop_and_speaks_as_before() -> None:
    sound = speech((0.6, 0), (1.4, 0.2), (1.2, 0), (1.4, 0.2), (0.6, 0))
    motion = chatter(5.2, 30)
    rest = np.zeros(RIG.size, np.float32)
    gated, stretches = gate_motion(motion, silent_stretches(sound, RATE, ON), len(sound) / RATE, rest)
    before, after = motion.values[:, JAW], gated.values[:, JAW]
    time = np.arange(len(before)) / 30
    deep = (time > 2.45) & (time < 2.9)
    assert len(stretches) == 3 and after[deep].max() < 0.6 * before[deep].min()
    assert np.abs(np.diff(after[deep])).mean() < 0.3 * np.abs(np.diff(before[deep])).mean()
    talking = ((time > 0.65) & (time < 1.95)) | ((time > 3.25) & (time < 4.5))
    np.testing.assert_array_equal(after[talking], before[talking])
    assert np.abs(np.diff(after)).max() < 1.6 * np.abs(np.diff(before)).max()
    others = [RIG.index("mouthSmileLeft"), RIG.index("browInnerUp")]  # the expression stays
    np.testing.assert_allclose(gated.values[:, others], motion.values[:, others], atol=1e-6)


def test_what_is_beyond_the_sound_is_silent() -> None:
    silent = silent_stretches(speech((2, 0.2)), RATE, ON)
    gated, _ = gate_motion(chatter(4), silent, 2.0, np.zeros(RIG.size, np.float32))
    assert gated.values[-20:, JAW].max() < 0.08


def test_a_clip_rests_where_its_mouth_is_closed_and_still() -> None:
    motion = chatter(6)
    motion.values[70:74, JAW] = 0.0  # a closed p is no rest ...
    motion.values[70:74, RIG.index("mouthRollLower")] = 0.6
    motion.values[100:112, JAW] = 0.03  # ... but half a second of a closed mouth is
    rest = resting_pose(motion)
    assert rest[JAW] == pytest.approx(0.03, abs=0.01) and rest[RIG.index("mouthRollLower")] == 0
    assert rest[RIG.index("mouthSmileLeft")] == pytest.approx(0.5)


def test_words_of_the_gate() -> None:
    assert parse_gate("true") == ON and parse_gate("Off") == SilenceGate() and parse_gate("-45").threshold == -45
    for text in ("45", "loud", "-200", "nan"):
        with pytest.raises(MsmdError, match="silence_gate"):
            parse_gate(text)
