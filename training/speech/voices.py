"""Voices, and what they speak: sound with phones that cover it, each with its level."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from training.speech.visemes import Phone

# Symbols whose sound begins with a silent closure.
_STOPS = tuple("ptkqcʈ")
_VOWEL_LETTERS = frozenset("aɐeɛəɜɝɚɞɘɵæiɪɨyʏʉøœɶɑɒɔoʌʊuɯɤᵻ")


@dataclass(frozen=True)
class Voice:
    """`id` is engine/name; `settings` is what the engine needs to find it. A `natural` voice comes from recordings."""

    id: str
    engine: str
    language: str
    licence: str
    natural: bool
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spoken:
    """Sound [S] float32 mono at `rate`, and the phones that cover it without gaps."""

    samples: np.ndarray
    rate: int
    phones: list[Phone]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Synthesiser(Protocol):
    """`tempo` 1 is the voice's usual speed, 2 twice as fast; `pitch` 0..1, 0.5 as usual, where the engine knows it."""

    name: str
    version: str

    def voices(self) -> list[Voice]: ...

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken: ...


def marks_joined(phones: Sequence[Phone]) -> list[Phone]:
    """Phones that are a modifier only (espeak's "ʲ" after a consonant) become part of the one before, be it silence."""
    out: list[Phone] = []
    for phone in phones:
        if out and phone.symbol and all(is_mark(ch) for ch in phone.symbol):
            symbol = out[-1].symbol and out[-1].symbol + phone.symbol
            out[-1] = replace(out[-1], symbol=symbol, end=phone.end)
        else:
            out.append(phone)
    return out


def with_closures(phones: Sequence[Phone], samples: np.ndarray, rate: int) -> list[Phone]:
    """Start voiceless stops at their closure, where the synthesiser reports their burst.

    The closure is the digital silence before the burst; after a pause, where it cannot be heard, 60 ms of it.
    """
    hop = rate // 200  # 5 ms
    quiet = np.array([np.abs(samples[i : i + hop]).max(initial=0.0) < 2e-3 for i in range(0, len(samples), hop)])
    out: list[Phone] = []
    for phone in phones:
        if out and phone.symbol.startswith(_STOPS):
            before = out[-1]
            if before.symbol == "":
                start = max(before.start, phone.start - 0.06)
            else:
                i = min(int(phone.start * rate / hop), len(quiet)) - 1
                start = phone.start
                floor = max(before.start + 0.5 * (before.end - before.start), phone.start - 0.12)
                while i >= 0 and quiet[i] and i * hop / rate >= floor:
                    start = i * hop / rate
                    i -= 1
            out[-1] = replace(before, end=start)
            phone = replace(phone, start=start)
        out.append(phone)
    return [p for p in out if p.end > p.start]


def is_mark(symbol: str) -> bool:
    return unicodedata.category(symbol) in ("Mn", "Lm", "Sk")


def with_levels(phones: Sequence[Phone], samples: np.ndarray, rate: int) -> list[Phone]:
    """The same phones with `level`: dB of the middle of each against the median of all sounding ones, within +-12."""
    levels = []
    for p in phones:
        a, b = p.start + 0.2 * (p.end - p.start), p.end - 0.2 * (p.end - p.start)
        piece = samples[int(a * rate) : max(int(b * rate), int(a * rate) + 1)]
        levels.append(
            10.0 * np.log10(float(np.mean(np.square(piece, dtype=np.float64))) + 1e-12) if len(piece) else -120.0
        )
    sounding = [v for v, p in zip(levels, phones, strict=True) if p.symbol and p.symbol[0] in _VOWEL_LETTERS]
    middle = float(np.median(sounding)) if sounding else 0.0
    return [
        replace(p, level=float(np.clip(v - middle, -12.0, 12.0)) if p.symbol else 0.0)
        for p, v in zip(phones, levels, strict=True)
    ]
