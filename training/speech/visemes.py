"""Visemes: from phonemes with times to the curves of mouth and jaw.

Every sound belongs to a visual class (``visemes.yaml``) with a target per channel. Between the targets the mouth
moves as in Cohen and Massaro, "Modeling coarticulation in synthetic visual speech" (1993): around each sound i a
dominance D_i(t) rises and falls, and a channel's value is the mean of the targets weighted by it,

    x(t) = sum_i D_i(t) g_i T_i / sum_i D_i(t),    D_i(t) = a_i exp(-(d_i(t) / tau)^power),

d_i(t) being the distance to the sound's core (the middle part of its length), tau the articulator's `lead` before it
and `trail` after it, a_i its strength. Fast speech undershoots its targets by itself, since cores are then shorter than
tau. Jaw and lips are separate articulators as in JALI (Edwards et al. 2016): rounding is anticipated further ahead than
the rest, bilabials and labiodentals are strong enough to close against any neighbour. g_i is the amplitude of a
vowel: louder and longer ones open further.

Curves are computed at the wanted times directly, so any frame rate is exact.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from msmdcli.errors import MsmdError

TABLE = Path(__file__).with_name("visemes.yaml")
FORMAT_VERSION = 1

# CMU (Arpabet, as flite and Festival print it) to IPA.
CMU_TO_IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "əl", "em": "əm", "en": "ən", "er": "ɝ", "ey": "eɪ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "ɦ", "ih": "ɪ", "ix": "ɨ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "ng": "ŋ", "nx": "ɾ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ",
    "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
    "pau": "", "sil": "", "h#": "", "brth": "", "ssil": "",
}  # fmt: skip

# Letters that only modify the one before them, and marks that stand for no sound of their own.
_MODIFIERS = set("ːˑʰʲʷˠˤʼ˞ˈˌ.|-‖͜͡^~'ˀⁿˡ̯_#0123456789˥˦˧˨˩↑↓→↗↘\"")
# Letters of espeak's that are not IPA, and IPA letters written as one glyph.
_ALIASES = {
    "ʧ": "tʃ",
    "ʤ": "dʒ",
    "ʦ": "ts",
    "ʣ": "dz",
    "ʨ": "tɕ",
    "ʥ": "dʑ",
    "ε": "ɛ",
    "ᵻ": "ɪ",
    "ᵿ": "ʊ",
    "ä": "a",
    "ã": "a",
    "õ": "o",
}
# In a diphthong the first vowel takes the larger part; in an affricate closure and hiss share equally.
_DIPHTHONG_SPLIT = 0.6
_NON_SYLLABIC = "̯"  # IPA for the off-glide of a diphthong, as in aʊ̯: weaker than the vowel by itself


@dataclass(frozen=True)
class Phone:
    """One sound: IPA `symbol` ("" is silence), `start` and `end` in seconds, `level` in dB against the median vowel
    of its utterance (0 where unknown)."""

    symbol: str
    start: float
    end: float
    level: float = 0.0

    def moved(self, offset: float = 0.0, scale: float = 1.0) -> Phone:
        """The same sound at `start * scale + offset`."""
        return Phone(self.symbol, self.start * scale + offset, self.end * scale + offset, self.level)


@dataclass(frozen=True)
class SpeechManner:
    """How one speaker articulates: gains on the table's targets, and what the face adds at rest.

    jaw, lips: amplitude of jaw opening and of everything the lips do (JALI's two axes; 1 = as the table says).
    channels: further gains by channel. rest: added to channels over the whole clip. side: -1..1, how much
    stronger the right side moves than the left. effort: scales how far level and length of a vowel change its size.
    """

    jaw: float = 1.0
    lips: float = 1.0
    effort: float = 1.0
    side: float = 0.0
    channels: Mapping[str, float] = field(default_factory=dict)
    rest: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class VisemeClass:
    name: str
    kind: str
    vowel: bool
    targets: np.ndarray  # [C] unsided channels
    strength: np.ndarray  # [A] one per articulator
    lead: np.ndarray  # [A] seconds
    trail: np.ndarray  # [A] seconds


@dataclass(frozen=True)
class Articulator:
    name: str
    channels: tuple[str, ...]
    ahead: float
    lead: float
    trail: float


@dataclass(frozen=True)
class Dynamics:
    power: float
    core: float
    energy: float
    length: float
    typical_vowel: float


class VisemeTable:
    """The classes of ``visemes.yaml`` and the movement between them.

    `unsided` are the channels as the table names them (C of them), `channels` those of the rig, Left and Right apart.
    `digest` names the content of the document that it was read from.
    """

    def __init__(self, raw: Mapping[str, Any], source: str = "visemes.yaml") -> None:
        self.source = source
        self.digest = hashlib.sha256(json.dumps(raw).encode()).hexdigest()[:16]
        if raw.get("format_version") != FORMAT_VERSION:
            raise MsmdError(
                f"viseme table {source} has format_version {raw.get('format_version')!r}",
                hint=f"this version reads format_version {FORMAT_VERSION}",
            )
        try:
            self.dynamics = Dynamics(**{k: float(v) for k, v in raw["dynamics"].items()})
            self.articulators = tuple(
                Articulator(name, tuple(a["channels"]), float(a["ahead"]), float(a["lead"]), float(a["trail"]))
                for name, a in raw["articulators"].items()
            )
            self.unsided = tuple(channel for a in self.articulators for channel in a.channels)
            self.classes = tuple(self._read_class(name, c, raw["kinds"]) for name, c in raw["classes"].items())
            symbols = [(s, i) for i, c in enumerate(raw["classes"].values()) for s in c["symbols"]]
        except (KeyError, TypeError, ValueError) as error:
            raise MsmdError(
                f"viseme table {source} is not valid: {error}", hint="compare it with the shipped one"
            ) from error
        self._class_of = dict(symbols)
        if len(self._class_of) != len(symbols):
            twice = sorted({s for s, _ in symbols if sum(s == t for t, _ in symbols) > 1})
            raise MsmdError(f"viseme table {source} gives two classes to {twice}", hint="a symbol belongs to one class")
        self.articulator_of = np.array([i for i, a in enumerate(self.articulators) for _ in a.channels])  # [C]
        self.targets = np.stack([c.targets for c in self.classes])  # [K, C]

    @classmethod
    def load(cls, path: Path | None = None) -> VisemeTable:
        """The table at `path`, or the shipped one."""
        path = path or TABLE
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)

    def _read_class(self, name: str, entry: Mapping[str, Any], kinds: Mapping[str, Any]) -> VisemeClass:
        kind = kinds[entry["kind"]]
        unknown = set(entry) - {"kind", "symbols", "strength", "lead", "trail"} - set(self.unsided)
        if unknown:
            raise ValueError(f"class {name!r} has unknown keys {sorted(unknown)}")

        def per_articulator(key: str, default: Mapping[str, float]) -> np.ndarray:
            merged = {**default, **kind.get(key, {}), **entry.get(key, {})}
            return np.array([float(merged[a.name]) for a in self.articulators])

        return VisemeClass(
            name=name,
            kind=entry["kind"],
            vowel=entry["kind"] in ("vowel", "rounded"),
            targets=np.array([float(entry.get(channel, 0.0)) for channel in self.unsided]),
            strength=per_articulator("strength", {}),
            lead=per_articulator("lead", {a.name: a.lead for a in self.articulators}),
            trail=per_articulator("trail", {a.name: a.trail for a in self.articulators}),
        )

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the rig's channels that the curves fill, in the table's order, Left before Right."""
        return tuple(name for _, name, _ in self._sides)

    @cached_property
    def _sides(self) -> list[tuple[int, str, int]]:
        """(index into `unsided`, channel of the rig, -1 left / 0 middle / +1 right)."""
        paired = {
            "mouthStretch",
            "mouthSmile",
            "mouthDimple",
            "mouthLowerDown",
            "mouthUpperUp",
            "mouthPress",
            "mouthFrown",
        }
        out = []
        for i, name in enumerate(self.unsided):
            out += [(i, name + "Left", -1), (i, name + "Right", 1)] if name in paired else [(i, name, 0)]
        return out

    # From symbols to classes

    def parse(self, symbol: str) -> list[int]:
        """Classes of an IPA symbol in order: one for a plain sound, two for a diphthong or an affricate.

        Unknown letters are skipped; a symbol with nothing known in it raises MsmdError.
        """
        if symbol in self._class_of:
            return [self._class_of[symbol]]
        letters: list[int] = []
        text = "".join(_ALIASES.get(ch, ch) for ch in unicodedata.normalize("NFC", symbol))
        for ch in unicodedata.normalize("NFD", text):
            if ch == "̧" and letters:  # the cedilla of ç, decomposed
                letters[-1] = self._class_of["ç"]
            elif ch in _MODIFIERS or unicodedata.combining(ch):
                continue
            elif ch in self._class_of:
                letters.append(self._class_of[ch])
        if (
            len(letters) == 2
            and all(self.classes[c].vowel for c in letters)
            and text[-1] + _NON_SYLLABIC in self._class_of
        ):
            letters[1] = self._class_of[text[-1] + _NON_SYLLABIC]
        if not letters:
            raise MsmdError(
                f"no visual class for the phoneme {symbol!r}", hint=f"add the symbol to a class in {self.source}"
            )
        return letters

    def segments(self, phones: Sequence[Phone]) -> list[tuple[int, Phone]]:
        """(class, phone) per articulatory gesture: diphthongs and affricates split within their time."""
        out: list[tuple[int, Phone]] = []
        for phone in phones:
            parts = self.parse(phone.symbol)
            length = phone.end - phone.start
            if len(parts) == 1:
                shares = [1.0]
            elif len(parts) == 2 and self.classes[parts[0]].vowel and self.classes[parts[1]].vowel:
                shares = [_DIPHTHONG_SPLIT, 1.0 - _DIPHTHONG_SPLIT]
            else:
                shares = [1.0 / len(parts)] * len(parts)
            start = phone.start
            for part, share in zip(parts, shares, strict=True):
                out.append((part, Phone(phone.symbol, start, start + share * length, phone.level)))
                start += share * length
        return out

    # From classes to curves

    def weights(self, segments: Sequence[tuple[int, Phone]], times: np.ndarray) -> np.ndarray:
        """Normalised dominances [A, T, P] of P segments at T `times` (seconds); each sums to 1 over P."""
        dyn = self.dynamics
        start = np.array([p.start for _, p in segments])  # [P]
        end = np.array([p.end for _, p in segments])
        margin = (end - start) * (1.0 - dyn.core) / 2.0
        index = [c for c, _ in segments]
        lead = np.stack([c.lead for c in self.classes])[index]  # [P, A]
        trail = np.stack([c.trail for c in self.classes])[index]
        strength = np.stack([c.strength for c in self.classes])[index]
        out = np.empty((len(self.articulators), len(times), len(segments)))
        for a, articulator in enumerate(self.articulators):
            t = np.asarray(times, dtype=np.float64)[:, None] + articulator.ahead  # [T, 1]
            before = np.maximum(start + margin - t, 0.0)  # [T, P]
            after = np.maximum(t - end + margin, 0.0)
            fall = (before / lead[:, a] + after / trail[:, a]) ** dyn.power  # one of the two is zero
            log_d = np.log(strength[:, a]) - fall
            d = np.exp(log_d - log_d.max(axis=1, keepdims=True))  # far from all sounds the nearest still wins
            out[a] = d / d.sum(axis=1, keepdims=True)
        return out

    def amplitudes(self, segments: Sequence[tuple[int, Phone]], effort: float = 1.0) -> np.ndarray:
        """Size g_i of each segment [P]: vowels by level and length, the others 1."""
        dyn = self.dynamics
        g = np.ones(len(segments))
        for i, (c, phone) in enumerate(segments):
            if self.classes[c].vowel:
                length = max(phone.end - phone.start, 0.02)
                size = dyn.energy * phone.level / 6.0 + dyn.length * math.log2(length / dyn.typical_vowel)
                g[i] = min(max(1.0 + effort * size, 0.5), 1.5)
        return g

    def curves(self, phones: Sequence[Phone], times: np.ndarray, manner: SpeechManner | None = None) -> np.ndarray:
        """Curves [T, len(channels)] float32 in 0..1 at `times` (seconds), for `phones` that cover the time line.

        Time not covered by a phone is ruled by the nearest one: begin and end with silence ("").
        """
        if not phones:
            raise MsmdError("no phonemes to make curves from", hint='give at least one silence: Phone("", 0, seconds)')
        manner = manner or SpeechManner()
        segments = self.segments(phones)
        w = self.weights(segments, times)  # [A, T, P]
        size = self.amplitudes(segments, manner.effort)  # [P]
        targets = self.targets[[c for c, _ in segments]]  # [P, C]
        out = np.empty((len(times), len(self.unsided)))
        for a in range(len(self.articulators)):
            columns = np.flatnonzero(self.articulator_of == a)
            sized = w[a] * size if self.articulators[a].name != "seal" else w[a]  # [T, P]
            gain = manner.jaw if self.articulators[a].name == "jaw" else manner.lips
            out[:, columns] = gain * (sized @ targets[:, columns])  # [T, c]
        sided = np.empty((len(times), len(self.channels)), dtype=np.float32)
        for k, (i, name, side) in enumerate(self._sides):
            base = name.removesuffix("Left").removesuffix("Right")
            gain = manner.channels.get(name, manner.channels.get(base, 1.0)) * (1.0 + side * manner.side)
            rest = manner.rest.get(name, manner.rest.get(base, 0.0))
            sided[:, k] = np.clip(out[:, i] * gain + rest, 0.0, 1.0)
        return sided


def draw_manner(rng: np.random.Generator, table: VisemeTable) -> SpeechManner:
    """A random speaker: strong or lazy jaw and lips, a habit per channel, a resting face, a slight asymmetry.

    Spread chosen to cover what face trackers measure between speakers (amplitudes differ by a factor of three to four).
    """

    def lognormal(sigma: float, low: float, high: float) -> float:
        return float(np.clip(np.exp(sigma * rng.standard_normal()), low, high))

    rest: dict[str, float] = {}
    if rng.random() < 0.5:
        rest["mouthSmile"] = float(rng.beta(1.2, 6.0))
    if rng.random() < 0.3:
        rest["mouthPucker"] = float(0.5 * rng.beta(1.2, 5.0))
    if rng.random() < 0.3:
        rest["mouthPress"] = float(0.5 * rng.beta(1.2, 5.0))
    if rng.random() < 0.25:
        rest["jawOpen"] = float(0.15 * rng.beta(1.2, 4.0))
    if rng.random() < 0.2:
        rest["mouthFrown"] = float(0.5 * rng.beta(1.2, 5.0))
    return SpeechManner(
        jaw=lognormal(0.35, 0.45, 1.8),
        lips=lognormal(0.30, 0.5, 1.7),
        effort=lognormal(0.30, 0.5, 2.0),
        side=float(np.clip(0.12 * rng.standard_normal(), -0.4, 0.4)),
        channels={name: lognormal(0.30, 0.45, 2.0) for name in table.unsided},
        rest=rest,
    )


def from_cmu(symbol: str) -> str:
    """IPA of a phone of the CMU set ("" for pauses). Raises MsmdError for a symbol outside it."""
    try:
        return CMU_TO_IPA[symbol.lower().rstrip("012")]
    except KeyError:
        raise MsmdError(f"{symbol!r} is not a phone of the CMU set", hint=f"known: {' '.join(CMU_TO_IPA)}") from None


def covered(phones: Iterable[Phone], seconds: float) -> list[Phone]:
    """The same phones with silences put into every gap, from 0 to `seconds`."""
    out: list[Phone] = []
    clock = 0.0
    for phone in phones:
        if phone.start > clock + 1e-4:
            out.append(Phone("", clock, phone.start))
        out.append(phone)
        clock = max(clock, phone.end)
    if seconds > clock + 1e-4:
        out.append(Phone("", clock, seconds))
    return out
