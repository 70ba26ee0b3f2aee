"""Voice augmentation: one recording as if other people had said it elsewhere.

A variant changes the voice's pitch, formants and pace together (resampling: the motion is then slowed or quickened by
the same factor), its spectral tilt and band, its level, and adds a room and noise. Variant 0 is the recording as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.random import Generator, Philox

Samples = np.ndarray[Any, np.dtype[np.float32]]


def voice_variant(samples: Samples, rate: int, variant: int, key: int) -> tuple[Samples, float]:
    """The `variant`-th voice of a recording.

    Args:
        samples: mono waveform [S].
        rate: its sample rate.
        variant: 0 = unchanged; any other number names one fixed random change.
        key: number of the recording, so that recordings of one variant differ.

    Returns:
        The changed waveform [S / pace] and `pace`: second t of the result is second `pace` t of the recording.
    """
    if variant == 0:
        return samples, 1.0
    rng = np.random.Generator(Philox(key=[key & 0xFFFFFFFFFFFFFFFF, variant]))
    pace = float(np.exp(rng.uniform(np.log(0.82), np.log(1.22))))
    changed = soxr.resample(samples, rate * pace, rate, quality="HQ").astype(np.float32)
    pace = len(samples) / max(len(changed), 1)
    changed = _colour(changed, rate, rng)
    if rng.random() < 0.4:
        changed = _room(changed, rate, rng)
    level = 10 ** (rng.uniform(-30.0, -12.0) / 20)
    changed *= level / max(float(np.sqrt(np.mean(changed**2))), 1e-5)
    if rng.random() < 0.6:
        changed += _noise(len(changed), rng) * level * 10 ** (-rng.uniform(8.0, 35.0) / 20)
    return np.clip(changed, -1.0, 1.0).astype(np.float32), pace


def _spectrum_shape(samples: Samples, shape: np.ndarray) -> Samples:
    """Filters with a zero-phase gain over [0, Nyquist], given at equal steps."""
    spectrum = np.fft.rfft(samples)
    gain = np.interp(np.linspace(0.0, 1.0, len(spectrum)), np.linspace(0.0, 1.0, len(shape)), shape)
    return np.fft.irfft(spectrum * gain, len(samples)).astype(np.float32)


def _colour(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Random smooth equaliser of +-6 dB, sometimes a telephone's band."""
    decibel = np.interp(np.linspace(0, 1, 257), np.linspace(0, 1, 7), rng.normal(0.0, 3.0, 7))
    shape = 10 ** (decibel / 20)
    if rng.random() < 0.15:
        frequency = np.linspace(0.0, rate / 2, len(shape))
        shape = shape * ((frequency > 250) & (frequency < rng.uniform(3000, 5000)))
    return _spectrum_shape(samples, shape)


def _room(samples: Samples, rate: int, rng: Generator) -> Samples:
    """Exponentially decaying noise as the room's impulse response, direct sound first."""
    seconds = rng.uniform(0.08, 0.4)
    length = int(seconds * rate)
    tail = rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    size = len(samples) + length
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)].astype(np.float32)


def _noise(length: int, rng: Generator) -> Samples:
    """Noise of unit level, its spectrum falling by a random power between white and brown."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** -rng.uniform(0.0, 1.0)
    noise = np.fft.irfft(spectrum, length)
    return (noise / max(float(np.sqrt(np.mean(noise**2))), 1e-9)).astype(np.float32)
