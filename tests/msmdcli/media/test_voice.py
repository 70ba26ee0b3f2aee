"""A voice: its level, its silence, its pitch."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from made_voice import RATE, voice

from msmdcli.media.voice import frames_below_speech, level_db, measure_voice

FPS = Fraction(25)


def test_a_level_is_relative_to_full_scale_and_finite() -> None:
    levels = level_db(np.array([1.0, 0.01, 0.0]))
    np.testing.assert_allclose(levels, [0, -20, -120], atol=1e-9)


def speech_and_silence() -> np.ndarray:
    """8 s: speech, silence from 3 s to 6 s, speech."""
    sound = np.random.default_rng(0).standard_normal(8 * RATE).astype(np.float32) * 0.1
    sound[3 * RATE : 6 * RATE] *= 1e-4
    return sound


def test_silence_is_found_against_the_lines_own_level() -> None:
    for gain in (1.0, 0.05):
        silent = frames_below_speech(speech_and_silence() * gain, RATE, FPS, 200)
        assert silent[76:149].all() and not silent[:74].any() and not silent[151:].any()
    assert frames_below_speech(np.zeros(RATE, np.float32), RATE, FPS, 25).all()


@pytest.mark.parametrize("pitch", [80.0, 120.0, 220.0, 400.0])
def test_pitch_is_found(pitch: float) -> None:
    measures = measure_voice(voice(pitch, 1.5, spread=0.0), RATE)
    assert measures["pitch"] == pytest.approx(12 * np.log2(pitch / 100), abs=0.4)
    assert measures["pitch_spread"] < 0.5 and measures["voiced"] > 0.9


def test_rumble_is_no_pitch() -> None:
    rng = np.random.default_rng(0)
    rumble = np.convolve(rng.standard_normal(2 * RATE), np.ones(400) / 400, mode="same")
    measures = measure_voice((voice(120.0, 1.5, 0.0) + 0.3 * rumble).astype(np.float32), RATE)
    assert measures["pitch"] == pytest.approx(12 * np.log2(1.2), abs=0.6)


def test_measures_do_not_depend_on_the_gain() -> None:
    quiet, loud = (measure_voice(voice(150.0, 1.2, gain=gain), RATE) for gain in (0.01, 0.5))
    assert quiet == pytest.approx(loud, abs=0.05)


def test_syllables_are_counted() -> None:
    assert measure_voice(voice(120.0, 1.5, seconds=4.0), RATE)["rate"] == pytest.approx(4.0, abs=0.6)
