"""Kokoro-82M: natural voices with phone times (Apache-2.0 weights and voices).

Its graph predicts how long each input symbol lasts, 25 ms a unit; that tensor is made an output. Two corrections, both
measured against real mouths: the labels come 55 ms late, and the last sound before a pause also holds the silence that
follows (`trimmed`). Phones come from espeak-ng's IPA, which is what the network was taught with for the languages here.

Needed in the folder `$MSMD_KOKORO`, or `kokoro` in the cache: ``kokoro-v1.0.int8.onnx`` of the sha256 below, and
``voices/*.bin`` (float32 [510, 256], one file a voice, as the npm package `kokoro-js` has them).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.paths import cache_dir
from training.speech.visemes import Phone, covered
from training.speech.voices import Spoken, Voice, with_levels

MODEL = "kokoro-v1.0.int8.onnx"
SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
DURATIONS = "/encoder/Gather_output_0"  # int64, one per input symbol
UNIT = 0.025  # seconds
LATE = 0.055  # seconds by which the labels come after the sound
RATE = 24000
LONGEST = 480  # symbols at once
QUIET = 30.0  # dB below a sound's peak that count as the silence after it
LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr", "h": "hi", "i": "it", "p": "pt-br"}
_ESPEAK = {"en-gb": "en-gb", "fr": "fr-fr"}
# The symbols that the network knows, in the order of its input numbers (16 and up; some numbers are not used).
VOCABULARY: dict[str, int] = {
    ";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, "—": 9, "…": 10, " ": 16, "\u0303": 17, "ʣ": 18, "ʥ": 19, "ʦ": 20,
    "ʨ": 21, "A": 24, "I": 25, "O": 31, "Q": 33, "W": 39, "Y": 41, "ᵊ": 42, "a": 43, "b": 44, "c": 45, "d": 46, "e": 47,
    "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "o": 57, "p": 58, "q": 59, "r": 60, "s": 61,
    "t": 62, "u": 63, "v": 64, "w": 65, "x": 66, "y": 67, "z": 68, "ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72, "β": 75, "ɔ": 76,
    "ɕ": 77, "ç": 78, "ɖ": 80, "ð": 81, "ʤ": 82, "ə": 83, "ɚ": 85, "ɛ": 86, "ɜ": 87, "ɟ": 90, "ɡ": 92, "ɥ": 99,
    "ɨ": 101,
    "ɪ": 102, "ʝ": 103, "ɯ": 110, "ɰ": 111, "ŋ": 112, "ɳ": 113, "ɲ": 114, "ɴ": 115, "ø": 116, "ɸ": 118, "θ": 119,
    "œ": 120, "ɹ": 123, "ɾ": 125, "ɻ": 126, "ʁ": 128, "ɽ": 129, "ʂ": 130, "ʃ": 131, "ʈ": 132, "ʧ": 133, "ʊ": 135,
    "ʋ": 136, "ʌ": 138, "ɣ": 139, "ɤ": 140, "χ": 142, "ʎ": 143, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158,
    "ʰ": 162, "ʲ": 164, "ᵻ": 177,
}  # fmt: skip
# One symbol of the network for two or more of IPA; backwards when its phones are told.
_JOINED = {"tʃ": "ʧ", "dʒ": "ʤ", "eɪ": "A", "aɪ": "I", "oʊ": "O", "əʊ": "Q", "aʊ": "W", "ɔɪ": "Y"}
_AS_IPA = {joined: ipa for ipa, joined in _JOINED.items()}
_ENGLISH = {"r": "ɹ", "ɬ": "l", "ɐ": "ə", "ɚ": "əɹ", "x": "k", "ː": ""}
_PAUSES, _MARKS = set(";:,.!?—…"), set("ˈˌːʰʲ\u0303")


class Kokoro:
    name = "kokoro"

    def __init__(self) -> None:
        self.folder = Path(os.environ.get("MSMD_KOKORO") or cache_dir() / "kokoro")
        path = self.folder / MODEL
        if not path.is_file():
            raise MsmdError("Kokoro is not installed", hint=f"put {MODEL} and voices/*.bin into {self.folder}")
        self._program = shutil.which("espeak-ng") or ""
        if not self._program:
            raise MsmdError("Kokoro needs espeak-ng for its phones", hint="Debian: apt-get install espeak-ng")
        self.version = "1.0 int8"
        self._session: Any = None

    def voices(self) -> list[Voice]:
        licence = "Kokoro-82M (Apache-2.0)"
        return [
            Voice(f"kokoro/{p.stem}", self.name, LANGUAGES[p.stem[0]], licence, True, {"name": p.stem})
            for p in sorted((self.folder / "voices").glob("*.bin"))
            if p.stem[0] in LANGUAGES
        ]

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        symbols = self._symbols(text, voice.language)[:LONGEST]
        if not any(s.isalpha() for s in symbols):
            raise MsmdError(f"Kokoro has nothing to say for {text!r}")
        style = np.fromfile(self.folder / "voices" / f"{voice.settings['name']}.bin", np.float32).reshape(510, 1, 256)
        feeds = {
            "tokens": np.array([[0, *(VOCABULARY[s] for s in symbols), 0]], np.int64),
            "style": style[min(len(symbols), 509)],
            "speed": np.array([np.clip(tempo, 0.6, 1.6)], np.float32),
        }
        sound, lengths = self._loaded().run(["audio", DURATIONS], feeds)
        samples = np.asarray(sound, np.float32).ravel()
        ends: list[float] = (np.cumsum(np.asarray(lengths).ravel()[: len(symbols) + 2]) * UNIT).tolist()
        phones: list[Phone] = []
        for symbol, start, end in zip(symbols, ends[:-2], ends[1:-1], strict=True):
            if symbol in _PAUSES:
                continue  # `covered` fills it with silence
            if (symbol in _MARKS or symbol == " ") and phones and phones[-1].end >= start - 1e-6:
                phones[-1] = Phone(phones[-1].symbol, phones[-1].start, end)
            elif symbol not in _MARKS and symbol != " " and end > start:
                phones.append(Phone(_AS_IPA.get(symbol, symbol), start, end))
        seconds = len(samples) / RATE
        moved = [p.moved(-LATE) for p in phones]
        moved = [Phone(p.symbol, max(p.start, 0.0), min(p.end, seconds)) for p in moved if p.end > 0.01]
        return Spoken(samples, RATE, with_levels(covered(trimmed(moved, samples, RATE), seconds), samples, RATE))

    def _symbols(self, text: str, language: str) -> str:
        """Text -> the network's symbols, punctuation kept."""
        out = []
        for piece in re.findall(r"[^;:,.!?—…]+|[;:,.!?—…]", text):
            if piece in _PAUSES:
                out.append(piece)
            elif piece.strip():
                command = [self._program, "-q", "--ipa=1", "-v", _ESPEAK.get(language, language), piece.strip()]
                ipa = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
                ipa = re.sub(r"\([a-z-]+\)", "", ipa).replace("_", "").replace("\u0361", "").replace("\n", " ")
                for pair, one in _JOINED.items():
                    ipa = ipa.replace(pair, one)
                if language.startswith("en"):
                    for old, new in _ENGLISH.items():
                        ipa = ipa.replace(old, new)
                out.append(" " + ipa.strip())
        joined = "".join(out).strip()
        return "".join(s for s in joined if s in VOCABULARY)

    def _loaded(self) -> Any:
        """The network with its durations as an output, one thread: the same bytes on every run."""
        if self._session is None:
            import onnx
            import onnxruntime

            data = (self.folder / MODEL).read_bytes()
            if hashlib.sha256(data).hexdigest() != SHA256:
                raise MsmdError(f"{self.folder / MODEL} is another file than expected", hint=f"its sha256 is {SHA256}")
            graph = onnx.load_from_string(data)
            graph.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.INT64, None))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            self._session = onnxruntime.InferenceSession(
                graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self._session


def trimmed(phones: list[Phone], samples: np.ndarray, rate: int) -> list[Phone]:
    """Phones before a pause (or the end) end where their sound does: `QUIET` dB below their loudest 10 ms."""
    hop = rate // 100
    power = np.array([np.mean(np.square(samples[i : i + hop])) for i in range(0, len(samples), hop)]) + 1e-10
    level = 10.0 * np.log10(power)  # [10 ms]
    out = []
    for i, phone in enumerate(phones):
        last = i + 1 == len(phones) or phones[i + 1].start > phone.end + 0.02
        a, b = int(phone.start * 100), max(int(np.ceil(phone.end * 100)), int(phone.start * 100) + 1)
        inside = level[a:b]
        if last and len(inside) > 4:
            loud = np.flatnonzero(inside > max(inside.max() - QUIET, level.max() - 45.0))
            end = (a + (loud[-1] if len(loud) else 0) + 2) / 100.0
            phone = Phone(phone.symbol, phone.start, min(max(end, phone.start + 0.03), phone.end))
        out.append(phone)
    return out
