"""Shapes over time that a performance is made of: smooth steps, pulses, waves. All are [T] over times in seconds."""

from __future__ import annotations

import hashlib
import math

import numpy as np

KNEE = 0.8  # values above it are compressed towards 1


def smooth(u: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, 3u^2 - 2u^3 between [T] -> [T]."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


def pulse(times: np.ndarray, at: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """[T] a smooth bump that is 1 from at - hold/2 to at + hold/2, reached in `rise` and left in `fall` seconds."""
    return smooth((times - at + hold / 2) / rise + 1) * smooth((at + hold / 2 - times) / fall + 1)


def wave(times: np.ndarray, period: float, rng: np.random.Generator) -> np.ndarray:
    """[T] smooth noise of unit variance: eight sinusoids of random phase, periods 0.6 to 2.5 times `period`."""
    periods = period * np.exp(rng.uniform(math.log(0.6), math.log(2.5), 8))
    phases = rng.uniform(0.0, 2.0 * math.pi, 8)
    weights = periods / np.linalg.norm(periods)  # slow parts are larger, as in every movement of the body
    return np.sin(2.0 * math.pi * times[:, None] / periods + phases) @ weights * math.sqrt(2.0)


def soft_limit(values: np.ndarray) -> np.ndarray:
    """The same up to KNEE, above it approaching 1 ever more slowly, so that peaks stay round."""
    over = np.maximum(values - KNEE, 0.0) / (1.0 - KNEE)
    return np.minimum(values, KNEE) + (1.0 - KNEE) * np.tanh(over)


def random_stream(seed: str, part: str) -> np.random.Generator:
    """The generator of one part of a performance: another for every seed and part, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{part}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))
