"""Synthetic speech with mouth curves: extra training data that belongs to nobody.

    python -m training.speech.speech --hours 3 --out DIR --seed 0 --jobs 1

Each clip (6 to 12 s) is one voice saying random lines with pauses. The synthesiser tells when each phoneme sounds
(`voices`), the visemes make the mouth's curves (`visemes`), and the sound is changed so that few voices become many:
shifted in pitch and formants together, equalised, put into a room, overlaid with noise, band-limited.

Written to DIR:

    index.jsonl           one object per clip: id, audio, motion, known (the channels that the curves define), speaker,
                          source "speech", language, seconds, fps, split, text, natural, manner
    audio/<id>.flac       16 kHz mono
    motion/<id>.npz       rig arkit52 at 25 fps; channels outside `known` are zero
    phones/<id>.json      [[IPA symbol, start, end, level], ...]: seconds, and dB against the utterance's median vowel
    meta.json             how it was made: voices, their licences, program versions, seed, viseme table

Clip n depends only on (seed, n, installed voices): any number of jobs writes the same bytes, and a run that was stopped
goes on where it stood.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import yaml
from scipy.signal import fftconvolve, firwin2

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, frame_count, save_npz
from msmdcli.motion.rig import Rig
from training.speech.synthesisers import find_engines
from training.speech.visemes import TABLE, Phone, SpeechManner, VisemeTable, covered, draw_manner
from training.speech.voices import Spoken, Synthesiser, Voice

FORMAT_VERSION = 1
RATE = 16000
FPS = Fraction(25)
SHORTEST, LONGEST = 6.0, 12.0  # seconds of a clip
MEAN_SECONDS = (SHORTEST + LONGEST) / 2
TEXTS = Path(__file__).with_name("speech_texts.yaml")
# Share of clips by engine, over those that are installed. Voices made from recordings sound closest to people;
# espeak-ng has the most languages and timbres.
ENGINE_SHARE = {"piper": 0.20, "flite": 0.22, "festival": 0.23, "espeak-ng": 0.35, "kokoro": 0.30}
# espeak-ng's English, and the rest of its languages alike.
ENGLISH_SHARE = 0.35
ATTEMPTS = 6  # voices that may fail before the run gives up
TRIES = 20  # sentences that a voice may fail to say before the run gives up


# What is said


class Texts:
    """Random lines in a language, from ``speech_texts.yaml``."""

    def __init__(self, path: Path = TEXTS) -> None:
        self._languages: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["languages"]

    def covers(self, language: str) -> bool:
        return self._key(language) in self._languages

    def draw(self, language: str, rng: np.random.Generator) -> str:
        entry = self._languages[self._key(language)]
        kind = rng.random()
        if kind < 0.20 or (kind < 0.55 and "patterns" not in entry):
            return self._words(entry["words"], rng, joined=self._key(language) in ("ja", "cmn"))
        if kind < 0.55:
            return self._pattern(entry["patterns"], entry["slots"], rng)
        return _pick(entry["lines"], rng)

    def _key(self, language: str) -> str:
        if language in self._languages:
            return language
        return language.split("-")[0]

    @staticmethod
    def _words(words: Sequence[str], rng: np.random.Generator, joined: bool) -> str:
        chosen = [_pick(words, rng) for _ in range(int(rng.integers(3, 9)))]
        if joined:
            return "、".join(chosen)
        commas = rng.random(len(chosen)) < 0.35
        text = " ".join(w + ("," if c else "") for w, c in zip(chosen, commas, strict=True))
        return text.rstrip(",") + _pick([".", "!", "?", "."], rng)

    @staticmethod
    def _pattern(patterns: Sequence[str], slots: Mapping[str, Sequence[str]], rng: np.random.Generator) -> str:
        digits = ", ".join(str(d) for d in rng.integers(0, 10, size=int(rng.integers(3, 8))))
        filled = {name: _pick(values, rng) for name, values in slots.items()}
        return _pick(patterns, rng).format(**filled, digits=digits)


def _pick(items: Sequence[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]


# Who says it


@dataclass(frozen=True)
class Cast:
    """The voices of this machine and how often each is taken."""

    engines: Mapping[str, Synthesiser]
    voices: tuple[Voice, ...]
    missing: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> Voice:
        names = sorted({v.engine for v in self.voices})
        shares = np.array([ENGINE_SHARE[n] for n in names])
        engine = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        languages = sorted({v.language for v in self.voices if v.engine == engine})
        english = [x for x in languages if x.startswith("en")]
        if english and (rng.random() < ENGLISH_SHARE or len(english) == len(languages)):
            languages = english
        elif english:
            languages = [x for x in languages if x not in english]
        language = _pick(languages, rng)
        voices = [v for v in self.voices if v.engine == engine and v.language == language]
        return voices[int(rng.integers(len(voices)))]


def cast(only: Sequence[str] = ()) -> Cast:
    """Every voice that is installed and that there are texts for; `only` names engines to keep."""
    texts = Texts()
    if unknown := set(only) - set(ENGINE_SHARE):
        raise MsmdError(f"no speech engine is called {sorted(unknown)[0]!r}", hint=f"known: {', '.join(ENGINE_SHARE)}")
    engines, missing = find_engines(only)
    voices = [v for e in engines.values() for v in e.voices() if texts.covers(v.language)]
    if not voices:
        raise MsmdError("no speech synthesiser is installed", hint="; ".join(missing))
    return Cast(engines, tuple(voices), tuple(missing))


# One clip


@dataclass(frozen=True)
class SpeechClip:
    """Sound [S] at RATE, phones over its whole length, and what was said by whom in which manner."""

    samples: np.ndarray
    phones: list[Phone]
    voice: Voice
    shift: float
    manner: SpeechManner
    text: str


def make_clip(who: Cast, texts: Texts, table: VisemeTable, seed: int, number: int) -> SpeechClip:
    """SpeechClip `number` of the data set of `seed`."""
    rng = np.random.Generator(np.random.Philox(_seed(seed, number)))
    voice = who.draw(rng)
    # One factor lifts pitch and formants as a shorter vocal tract does; speech gets faster by it, which tempo takes
    # back.
    shift = float(np.clip(np.exp(0.12 * rng.standard_normal()), 0.80, 1.25))
    tempo = float(np.clip(np.exp(0.16 * rng.standard_normal()), 0.68, 1.45)) / shift
    pitch = float(np.clip(0.45 + 0.18 * rng.standard_normal(), 0.05, 0.95))
    length = float(rng.uniform(SHORTEST, LONGEST))

    pieces = [np.zeros(int(rng.uniform(0.05, 0.5) * RATE), dtype=np.float32)]
    phones: list[Phone] = []
    said: list[str] = []
    failures = 0
    while (done := sum(map(len, pieces)) / RATE) < length:
        text = texts.draw(voice.language, rng)
        try:
            spoken = who.engines[voice.engine].speak(voice, text, tempo, pitch)
            for phone in spoken.phones:
                table.parse(phone.symbol)
        except MsmdError:
            failures += 1
            if failures >= TRIES:
                raise
            continue
        spoken = _at_rate(spoken, shift)
        phones += [p.moved(done) for p in spoken.phones]
        pause = float(rng.gamma(2.0, 0.16)) + 0.05
        pieces += [spoken.samples, np.zeros(int(pause * RATE), dtype=np.float32)]
        said.append(text)
    samples = np.concatenate(pieces)[: int(LONGEST * RATE)]
    seconds = len(samples) / RATE
    kept = [replace(p, end=min(p.end, seconds)) for p in phones if p.start < seconds]
    samples = colour(_faded(samples), rng)
    return SpeechClip(samples, merged(covered(kept, seconds)), voice, shift, draw_manner(rng, table), " ".join(said))


def spoken_clip(who: Cast, texts: Texts, table: VisemeTable, seed: int, number: int) -> SpeechClip:
    """SpeechClip `number`; where a voice that is installed cannot speak, as some of Festival's, another one's.

    Raises:
        MsmdError: `ATTEMPTS` voices failed.
    """
    for attempt in range(ATTEMPTS):
        try:
            return make_clip(who, texts, table, seed, number + attempt * 10_000_000)
        except MsmdError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _seed(seed: int, number: int) -> int:
    digest = hashlib.sha256(f"speech {FORMAT_VERSION} {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:16], "little")


def _at_rate(spoken: Spoken, shift: float) -> Spoken:
    """The same at RATE, with pitch and formants `shift` times as high and times as much shorter; level evened out."""
    samples = soxr.resample(spoken.samples, spoken.rate * shift, RATE, quality="HQ").astype(np.float32)
    voiced = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) + 1e-9
    phones = [p.moved(scale=1.0 / shift) for p in spoken.phones]
    return Spoken((samples * (0.1 / voiced)).astype(np.float32), RATE, phones)


def _faded(samples: np.ndarray) -> np.ndarray:
    """A line cut at the end of the clip fades out over 20 ms instead of clicking."""
    n = RATE // 50
    out = samples.copy()
    out[-n:] *= np.linspace(1.0, 0.0, n, dtype=np.float32)
    return out


def merged(phones: Sequence[Phone]) -> list[Phone]:
    """Adjacent silences joined into one."""
    out: list[Phone] = []
    for phone in phones:
        if out and not out[-1].symbol and not phone.symbol:
            out[-1] = replace(out[-1], end=phone.end)
        else:
            out.append(phone)
    return out


# What the recording adds


def colour(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random equaliser, room, noise, band limit and level, without moving anything in time [S] -> [S]."""
    out = samples.astype(np.float64)
    if rng.random() < 0.7:
        out = _equalised(out, rng)
    if rng.random() < 0.35:
        out = _in_a_room(out, rng)
    if rng.random() < 0.15:
        out = _band_limited(out, rng)
    power = float(np.mean(out**2)) + 1e-12
    if rng.random() < 0.55:
        noise = _noise(len(out), float(rng.uniform(0.0, 1.6)), rng)
        out += noise * math.sqrt(power / 10.0 ** (rng.uniform(12.0, 40.0) / 10.0))
    out *= 10.0 ** (rng.uniform(-32.0, -14.0) / 20.0) / math.sqrt(float(np.mean(out**2)) + 1e-12)
    if rng.random() < 0.1:
        out = np.tanh(out * 4.0) / 4.0
    return np.clip(out, -0.99, 0.99).astype(np.float32)


_BANDS = np.array([0.0, 150.0, 400.0, 1000.0, 2200.0, 4500.0, RATE / 2.0])  # Hz


def _equalised(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = 10.0 ** (rng.normal(0.0, 4.0, len(_BANDS)).clip(-10.0, 10.0) / 20.0)
    return fftconvolve(samples, firwin2(257, _BANDS, gain, fs=RATE), mode="same")


def _band_limited(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = rng.uniform(60.0, 350.0), rng.uniform(3000.0, 7000.0)
    edges = [0.0, 0.7 * low, low, high, min(1.1 * high, RATE / 2.0 - 1.0), RATE / 2.0]
    return fftconvolve(samples, firwin2(513, edges, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0], fs=RATE), mode="same")


def _in_a_room(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Direct sound plus an exponentially decaying noise tail (reverberation time 0.12 to 0.6 s, 4 to 20 dB down)."""
    decay = rng.uniform(0.12, 0.6)
    t = np.arange(int(decay * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * 10.0 ** (-3.0 * t / decay) * (t > rng.uniform(0.002, 0.012))
    tail *= 10.0 ** (-rng.uniform(4.0, 20.0) / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return fftconvolve(samples, tail)[: len(samples)]


def _noise(length: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit power whose spectrum falls as 1/f^slope (0 white, 1 pink) [length]."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    f = np.maximum(np.fft.rfftfreq(length, 1.0 / RATE), 40.0)
    noise = np.fft.irfft(spectrum * f ** (-slope / 2.0), length)
    return noise / np.sqrt(np.mean(noise**2))


# The data set


def write_clip(clip: SpeechClip, name: str, out: Path, table: VisemeTable, rig: Rig, split: str) -> dict[str, Any]:
    """Write one clip's files and return its line of the index."""
    frames = frame_count(Fraction(len(clip.samples), RATE), FPS)
    times = np.arange(frames) / float(FPS)
    values = np.zeros((frames, rig.size), dtype=np.float32)
    columns = [rig.index(channel) for channel in table.channels]
    values[:, columns] = table.curves(clip.phones, times, clip.manner)
    audio, motion, phones = f"audio/{name}.flac", f"motion/{name}.npz", f"phones/{name}.json"
    meta = {"source": "speech", "speaker": clip.voice.id, "generator": "training.speech"}
    _whole(out / motion, lambda p: save_npz(p, Motion(values, FPS, rig, meta)))
    rounded = [[p.symbol, round(p.start, 4), round(p.end, 4), round(p.level, 1)] for p in clip.phones]
    _whole(out / phones, lambda p: p.write_text(json.dumps(rounded, ensure_ascii=False), encoding="utf-8"))
    _whole(out / audio, lambda p: soundfile.write(p, clip.samples, RATE, format="FLAC", subtype="PCM_16"))
    manner = {k: _rounded(v) for k, v in asdict(clip.manner).items()}
    return {
        "id": name, "audio": audio, "motion": motion, "known": list(table.channels),
        "speaker": f"{clip.voice.id}@{clip.shift:.2f}", "source": "speech", "language": clip.voice.language,
        "seconds": round(len(clip.samples) / RATE, 4), "fps": f"{FPS}/1", "split": split, "text": clip.text,
        "natural": clip.voice.natural, "manner": manner,
    }  # fmt: skip


def _rounded(value: Any) -> Any:
    return {k: round(v, 4) for k, v in value.items()} if isinstance(value, dict) else round(value, 4)


def _whole(path: Path, write: Any) -> None:
    """Write under a temporary name and rename, so that a file that exists is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("." + path.name)
    write(temporary)
    temporary.replace(path)


_worker: dict[str, Any] = {}


def _start_worker(seed: int, out: Path, only: tuple[str, ...]) -> None:
    _worker.update(
        seed=seed, out=out, cast=cast(only), texts=Texts(), table=VisemeTable.load(), rig=Rig.load("arkit52")
    )


def _work(number: int) -> dict[str, Any]:
    w = _worker
    name = clip_name(w["seed"], number)
    entry = w["out"] / "entries" / f"{name}.json"
    if entry.exists():
        return json.loads(entry.read_text(encoding="utf-8"))
    clip = spoken_clip(w["cast"], w["texts"], w["table"], w["seed"], number)
    line = write_clip(clip, name, w["out"], w["table"], w["rig"], "train")
    _whole(entry, lambda p: p.write_text(json.dumps(line, ensure_ascii=False), encoding="utf-8"))
    return line


def clip_name(seed: int, number: int) -> str:
    return f"speech_{seed}_{number:05d}"


def build(out: Path, hours: float, seed: int = 0, jobs: int = 1, only: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Make the data set at `out`; yields the index line of each clip as it is ready, in order.

    Clips that are already there are kept. Raises MsmdError when no synthesiser is installed.
    """
    if hours <= 0:
        raise MsmdError(f"--hours must be above 0, not {hours}")
    who = cast(only)
    out.mkdir(parents=True, exist_ok=True)
    table = _content(TABLE)
    _check_same(out, seed, table, who)
    lines: list[dict[str, Any]] = []
    wanted, done, number = hours * 3600.0, 0.0, 0
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(seed, out, tuple(only))) as pool:
        while done < wanted:
            batch = max(1, min(8 * jobs, math.ceil((wanted - done) / MEAN_SECONDS)))
            for line in pool.map(_work, range(number, number + batch)):
                if done >= wanted:
                    break
                lines.append(line)
                done += line["seconds"]
                yield line
            number += batch
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    _whole(out / "index.jsonl", lambda p: p.write_text(text, encoding="utf-8"))
    meta = _meta(seed, table, who, lines)
    _whole(out / "meta.json", lambda p: p.write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8"))


def _check_same(out: Path, seed: int, table: str, who: Cast) -> None:
    """A folder holds one data set: refuse to add clips made with other visemes, texts or voices."""
    made_with = {
        "format_version": FORMAT_VERSION, "seed": seed, "visemes": table,
        "texts": _content(TEXTS),
        "voices": hashlib.sha256(json.dumps([v.id for v in who.voices]).encode()).hexdigest(),
    }  # fmt: skip
    path = out / "made_with.json"
    if path.exists() and (before := json.loads(path.read_text(encoding="utf-8"))) != made_with:
        changed = ", ".join(k for k in made_with if before.get(k) != made_with[k])
        raise MsmdError(
            f"{out} holds speech made with other settings ({changed})", hint="choose another --out or remove the folder"
        )
    _whole(path, lambda p: p.write_text(json.dumps(made_with, indent=1), encoding="utf-8"))


def _content(path: Path) -> str:
    """Hash of a YAML file's content, comments apart."""
    return hashlib.sha256(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))).encode()).hexdigest()


def _meta(seed: int, table: str, who: Cast, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    used = {line["speaker"].split("@")[0] for line in lines}
    return {
        "format_version": FORMAT_VERSION,
        "made_by": "python -m training.speech.speech",
        "what": "synthetic speech; mouth curves from the synthesisers' phoneme times and training/speech/visemes.yaml",
        "seed": seed,
        "visemes_sha256": table,
        "clips": len(lines),
        "hours": round(sum(line["seconds"] for line in lines) / 3600.0, 4),
        "languages": dict(Counter(line["language"] for line in lines).most_common()),
        "engines": {name: engine.version for name, engine in who.engines.items()},
        "missing": list(who.missing),
        "texts": "written for this project",
        "voices": {
            v.id: {"licence": v.licence, "language": v.language, "natural": v.natural}
            for v in who.voices
            if v.id in used
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.speech", description="Make hours of synthetic speech with mouth curves."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--hours", type=float, default=1.0, help="how much speech (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes; they change no byte of the result")
    parser.add_argument("--engine", action="append", default=[], help="use only this synthesiser (repeatable)")
    options = parser.parse_args(arguments)
    try:
        started, seconds, shown = time.monotonic(), 0.0, 0.0
        for n, line in enumerate(
            build(options.out, options.hours, options.seed, options.jobs, options.engine), start=1
        ):
            seconds += line["seconds"]
            elapsed = time.monotonic() - started
            if elapsed - shown > 10.0:
                shown = elapsed
                print(
                    f"{n} clips, {seconds / 60:.1f} min, {seconds / elapsed:.1f} x real time",
                    file=sys.stderr,
                )
    except MsmdError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"Hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    missing = json.loads((options.out / "meta.json").read_text(encoding="utf-8"))["missing"]
    for line in missing:
        print(f"not used: {line}", file=sys.stderr)
    print(f"{n} clips, {seconds / 3600:.2f} hours in {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
