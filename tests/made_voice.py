"""Voices made of pulse trains."""

from __future__ import annotations

import numpy as np

RATE = 16000


def voice(pitch: float, tilt: float, spread: float = 2.0, seconds: float = 2.0, gain: float = 0.1) -> np.ndarray:
    """Syllables of a pulse train: `pitch` in Hz, moving by +-`spread` semitones; harmonics fall as 1/k^tilt."""
    t = np.arange(round(seconds * RATE)) / RATE
    hertz = pitch * 2 ** (spread * np.sin(2 * np.pi * 0.7 * t) / 12)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = sum(np.sin(k * phase) / k**tilt for k in range(1, int(6000 / pitch)))
    sound = sound * (0.15 + np.abs(np.sin(2 * np.pi * 2 * t)))  # four syllables a second
    return (gain * sound / np.abs(sound).max()).astype(np.float32)
