"""Phones in time: their tempo, stressed syllables, pauses and phrases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.speech.shapes import pulse, smooth
from training.speech.visemes import Phone, VisemeTable

STRESS_SPACING = 0.42  # seconds between stressed syllables at least
PAUSE_SECONDS = 0.22  # a silence that ends a phrase


@dataclass(frozen=True)
class Stress:
    """A stressed syllable: the middle of its vowel in seconds, and its strength 0..1."""

    time: float
    strength: float


def retimed(phones: Sequence[Phone], tempo: float, pause: float) -> list[Phone]:
    """The same phones at another tempo, silences `pause` times as long as that."""
    out: list[Phone] = []
    clock = 0.0
    for phone in phones:
        length = (phone.end - phone.start) / tempo * (1.0 if phone.symbol else pause)
        out.append(Phone(phone.symbol, clock, clock + length, phone.level))
        clock += length
    return out


def stressed(phones: Sequence[Phone], table: VisemeTable) -> list[Stress]:
    """Stressed syllables: vowels that are louder and longer than those around them.

    Prominence is level in dB plus 6 dB per doubling of length; chosen greedily from the strongest down, at least
    `STRESS_SPACING` apart, among the upper 60 % of the vowels.
    """
    vowels = [p for p in phones if p.symbol and table.classes[table.parse(p.symbol)[0]].vowel]
    if not vowels:
        return []
    usual = float(np.median([p.end - p.start for p in vowels]))
    prominence = np.array([p.level + 6.0 * math.log2((p.end - p.start) / usual) for p in vowels])
    low, high = np.percentile(prominence, [40, 95])
    chosen: list[Stress] = []
    for i in np.argsort(-prominence, kind="stable"):
        middle = (vowels[i].start + vowels[i].end) / 2
        if prominence[i] >= low and all(abs(middle - s.time) >= STRESS_SPACING for s in chosen):
            chosen.append(Stress(middle, float(np.clip((prominence[i] - low) / max(high - low, 1e-6), 0.15, 1.0))))
    return sorted(chosen, key=lambda s: s.time)


def phrase_starts(phones: Sequence[Phone]) -> list[tuple[float, float]]:
    """(start of the pause, start of the speech after it) of every pause before a phrase."""
    out = []
    silent_since: float | None = 0.0
    for phone in phones:
        if phone.symbol:
            if silent_since is not None and phone.start - silent_since >= PAUSE_SECONDS:
                out.append((silent_since, phone.start))
            silent_since = None
        elif silent_since is None:
            silent_since = phone.start
    return out


def speaking(phones: Sequence[Phone], times: np.ndarray) -> np.ndarray:
    """[T] 1 while there is speech, 0 deep in a pause, with soft edges of 0.15 s that lie in the pause."""
    out = np.zeros(len(times))
    for phone in phones:
        if phone.symbol:
            out = np.maximum(out, smooth((times - phone.start) / 0.15 + 1) * smooth((phone.end - times) / 0.15 + 1))
    return out


def emphasis(times: np.ndarray, stresses: Sequence[Stress], rise: float, hold: float, fall: float) -> np.ndarray:
    """[T] 0..1: the largest of the pulses on the stressed syllables, each as high as the syllable is strong."""
    out = np.zeros(len(times))
    for stress in stresses:
        out = np.maximum(out, stress.strength * pulse(times, stress.time, rise, hold, fall))
    return out
