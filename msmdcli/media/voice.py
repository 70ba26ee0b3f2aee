"""A voice: its level, where it is silent, its pitch and its effort."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
T = TypeVar("T", float, NDArray[np.float64], NDArray[np.float32])

SILENCE_BELOW_SPEECH = 35.0  # dB under the loud parts of a line (95th percentile) is silence ...
SILENCE_FLOOR = -60.0  # ... and so is everything under this level, in dB of full scale
BLOCK_SAMPLES = 1 << 16  # looked at in one piece

FRAME, HOP = 0.040, 0.020  # seconds
BLOCK_FRAMES = 1024  # frames looked at in one piece
LOWEST_PITCH, HIGHEST_PITCH = 65.0, 500.0  # Hz
VOICED = 0.5  # normalised autocorrelation at the pitch period, above which a frame is voiced
SPEECH_BELOW_PEAK = 30.0  # dB under the loud frames (95th percentile) is no speech
SYLLABLE_DIP = 2.0  # dB that the envelope must fall between two syllables
SHORTEST = 0.8  # seconds of speech that there must be to judge


def level_db(power: T, least: float = 1e-12) -> T:
    """Level in dB of full scale of mean squares [...]; `least` is added, so that silence has a level too."""
    level: T = 10 * np.log10(power + least)
    return level


# ---- silence ---------------------------------------------------------------------------------------------------------


def frames_below_speech(samples: Array, rate: int, fps: Fraction, frames: int) -> NDArray[np.bool_]:
    """[T] whether there is no speech during a motion frame: the level is low against the line's own loud parts."""
    level = frame_levels(samples, rate, fps, frames)
    return level < max(float(np.percentile(level, 95)) - SILENCE_BELOW_SPEECH, SILENCE_FLOOR)


def frame_levels(samples: Array, rate: int, fps: Fraction, frames: int) -> NDArray[np.float64]:
    """[T] level of the sound [S] during each motion frame, in dB of full scale."""
    edges = np.minimum((np.arange(frames + 1) * (rate / float(fps))).astype(np.int64), len(samples))
    energy = _energy_before(samples, edges)  # [T + 1]
    return level_db((energy[1:] - energy[:-1]) / np.maximum(edges[1:] - edges[:-1], 1))


def _energy_before(samples: Array, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum of the squares of the samples before each edge (ascending), in blocks: a long line needs no more
    memory."""
    energy = np.zeros(len(edges))
    total = 0.0
    for start in range(0, len(samples), BLOCK_SAMPLES):
        squares = np.square(samples[start : start + BLOCK_SAMPLES], dtype=np.float64)
        sums = np.cumsum(np.concatenate([[total], squares]))  # [n + 1]: before each sample, and after the last
        first, last = np.searchsorted(edges, (start, start + len(squares)), side="right")
        energy[first:last] = sums[edges[first:last] - start]
        total = float(sums[-1])
    return energy


# ---- pitch and effort ------------------------------------------------------------------------------------------------


def measure_voice(samples: Array, rate: int) -> dict[str, float]:
    """Measures of one recording [S]; empty where there is too little voiced speech.

    Returns:
        pitch: median, in semitones above 100 Hz. pitch_spread: 90th less 10th percentile, in semitones.
        effort: energy at 1 to 5 kHz over that at 50 Hz to 1 kHz in voiced frames, in dB, the median.
        dynamics: 95th less 50th percentile of the level of speech, in dB. rate: syllables per second of speech.
        voiced: share of the frames of speech. speech: seconds of it.
    """
    size, hop = round(FRAME * rate), round(HOP * rate)
    if len(samples) < size:
        return {}
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]  # [F, W]
    level = np.concatenate([level_db(np.mean(np.square(_centred(b)), axis=1), 1e-10) for b in _blocks(frames)])
    loud = float(np.percentile(level, 95))
    speech = level > max(loud - SPEECH_BELOW_PEAK, -75.0)  # [F]
    if speech.sum() * HOP < SHORTEST:
        return {}
    window = np.hanning(size).astype(np.float32)
    fft_size = 1 << (2 * size - 1).bit_length()
    hertz = np.fft.rfftfreq(fft_size, 1 / rate)
    parts = []
    for numbers in _blocks(np.flatnonzero(speech)):
        spectrum = np.abs(np.fft.rfft(_centred(frames[numbers]) * window, fft_size)) ** 2  # [n, fft / 2 + 1]
        spectrum[:, hertz < LOWEST_PITCH - 5] = 0  # rumble
        low = spectrum[:, hertz < 1000].sum(axis=1)
        high = spectrum[:, (hertz >= 1000) & (hertz < 5000)].sum(axis=1)
        parts.append((*_pitch(spectrum, window, fft_size, rate), low, high))
    pitch, strength, low, high = (np.concatenate(values) for values in zip(*parts, strict=True))  # [V] each
    voiced = strength > VOICED
    if voiced.sum() * HOP < SHORTEST / 2:
        return {"voiced": round(float(voiced.mean()), 4), "speech": round(float(speech.sum()) * HOP, 3)}
    semitones = 12 * np.log2(pitch[voiced] / 100)
    low, high = low[voiced], high[voiced]
    measures = {
        "pitch": np.median(semitones),
        "pitch_spread": np.subtract(*np.percentile(semitones, (90, 10))),
        "effort": np.median(level_db((high + 1e-12) / (low + 1e-12), 0.0)),
        "dynamics": loud - np.median(level[speech]),
        "rate": _syllables(level, speech) / (speech.sum() * HOP),
        "voiced": voiced.mean(),
        "speech": speech.sum() * HOP,
    }
    return {name: round(float(value), 4) for name, value in measures.items()}


def _blocks(rows: NDArray[Any]) -> list[NDArray[Any]]:
    """Rows in blocks, so that the memory of a long line does not grow with it."""
    return [rows[start : start + BLOCK_FRAMES] for start in range(0, len(rows), BLOCK_FRAMES)]


def _centred(frames: Array) -> Array:
    """Frames [n, W], each less its mean."""
    return frames - frames.mean(axis=1, keepdims=True)


def _pitch(spectrum: Array, window: Array, fft_size: int, rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch [V] in Hz and how periodic [V] each frame is, from the autocorrelation divided by the window's own.

    Boersma, "Accurate short-term analysis of the fundamental frequency ...", IFA Proceedings 17, 1993.
    """
    own = np.fft.irfft(np.abs(np.fft.rfft(window, fft_size)) ** 2, fft_size)
    first, last = int(rate / HIGHEST_PITCH), int(rate / LOWEST_PITCH)
    lags = np.arange(first - 1, last + 2)
    correlation = np.fft.irfft(spectrum, fft_size, axis=1)
    normal = correlation[:, lags] / (correlation[:, :1] + 1e-12) / (own[lags] / own[0])  # [V, L + 2]
    middle = normal[:, 1:-1]
    peak = (middle >= normal[:, :-2]) & (middle >= normal[:, 2:])  # rumble makes short lags high, but no peak there
    # A period is also found at its multiples: a small price per octave prefers the shortest.
    score = np.where(peak, middle - 0.02 * np.log2(lags[1:-1] / first), -1.0)
    best = np.argmax(score, axis=1)
    strength = np.where(peak.any(axis=1), middle[np.arange(len(best)), best], 0.0)
    return rate / lags[1:-1][best].astype(np.float64), strength.astype(np.float64)


def _syllables(level: NDArray[np.floating], speech: NDArray[np.bool_]) -> int:
    """Peaks of the smoothed envelope that stand out on both sides."""
    smooth = np.convolve(np.where(speech, level, level.min()), np.hanning(7) / np.hanning(7).sum(), mode="same")
    count, low, high, rising = 0, smooth[0], smooth[0], True
    for value in smooth:
        if rising:
            high = max(high, value)
            if value < high - SYLLABLE_DIP:
                count, rising, low = count + 1, False, value
        else:
            low = min(low, value)
            if value > low + SYLLABLE_DIP:
                rising, high = True, value
    return count
