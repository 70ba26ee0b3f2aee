"""Synthetic speech: engines, what is said, what a room adds, and the data set."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import frame_count, load_npz
from training.speech import speech
from training.speech.speech import RATE, Texts, build, colour, main, merged
from training.speech.synthesisers import ESPEAK_LANGUAGES, find_engines, piper_phones
from training.speech.visemes import Phone, VisemeTable
from training.speech.voices import Spoken, Synthesiser, Voice, marks_joined, with_closures, with_levels

ENGINES, MISSING = find_engines()
LINE = {"en": "Five brave boys moved a big wooden table.", "it": "Ciao, voglio gli gnocchi.", "cs": "Dobré ráno, řeka."}


def engine(name: str) -> Synthesiser:
    if name not in ENGINES:
        pytest.skip(next(m for m in MISSING if name.split("-")[0] in m))
    return ENGINES[name]


class Beeps:
    """Stands in for a synthesiser: every letter is a phone of 80 ms, vowels sound and the others are silent."""

    name = "flite"
    version = "0"

    def voices(self) -> list[Voice]:
        return [Voice(f"beeps/{n}", self.name, "en-us", "test", True, {}) for n in ("low", "high")]

    def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
        length = 0.08 / tempo
        letters = [c for c in text.lower() if c in "abdefiklmnopstuvwz"]
        if not letters:
            raise MsmdError("nothing to say")
        rate, phones, pieces = 22050, [], []
        for i, letter in enumerate(letters):
            t = np.arange(round((i + 1) * length * rate) - round(i * length * rate)) / rate
            pieces.append(np.sin(2 * np.pi * (300 if voice.id.endswith("low") else 500) * t) * (letter in "aeiou"))
            phones.append(Phone(letter, i * length, (i + 1) * length))
        samples = np.concatenate(pieces).astype(np.float32)
        return Spoken(samples, rate, with_levels(phones, samples, rate))


@pytest.fixture
def beeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_engines", lambda only=(): ({"flite": Beeps()}, ["piper is not installed"]))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Engines


@pytest.mark.parametrize("name", ["espeak-ng", "flite", "festival", "piper"])
def test_phones_cover_the_sound_and_vowels_are_louder_than_pauses(name: str) -> None:
    speaker, table = engine(name), VisemeTable.load()
    by_language = {v.language: v for v in reversed(speaker.voices())}
    for voice in [by_language[k] for k in sorted(by_language) if k[:2] in LINE][:3]:
        spoken = speaker.speak(voice, LINE[voice.language[:2]], 1.0, 0.5)
        phones = spoken.phones
        assert phones[0].start == 0.0
        assert phones[-1].end == pytest.approx(spoken.seconds, abs=0.05)
        assert all(b.start == pytest.approx(a.end, abs=1e-3) for a, b in pairwise(phones))
        assert all(table.parse(p.symbol) for p in phones)

        def rms(which: Sequence[Phone], sound: Spoken = spoken) -> float:
            pieces = [sound.samples[int(p.start * sound.rate) : int(p.end * sound.rate)] for p in which]
            return float(np.sqrt(np.mean(np.concatenate(pieces).astype(np.float64) ** 2)))

        vowels = [p for p in phones if p.symbol and table.classes[table.parse(p.symbol)[0]].vowel]
        silences = [p for p in phones if not p.symbol and p.end - p.start > 0.04]
        assert len(vowels) >= 3
        if silences:
            assert rms(vowels) > 5 * rms(silences)


@pytest.mark.parametrize("name", ["espeak-ng", "flite"])
def test_tempo_changes_the_length(name: str) -> None:
    speaker = engine(name)
    voice = next(v for v in speaker.voices() if v.language == "en-us")
    slow, fast = (speaker.speak(voice, LINE["en"], tempo, 0.5).seconds for tempo in (0.8, 1.3))
    assert 1.2 < slow / fast < 2.0


def test_espeak_says_the_same_whatever_it_said_before() -> None:
    speaker = engine("espeak-ng")
    voices = {v.id: v for v in speaker.voices()}
    voice = voices["espeak-ng/en-us+f3"]
    first = speaker.speak(voice, "Bin six fish.", 1.0, 0.5)
    speaker.speak(voices["espeak-ng/it+klatt2"], "Ciao mamma.", 1.2, 0.7)
    again = speaker.speak(voice, "Bin six fish.", 1.0, 0.5)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.phones == again.phones
    assert next(p.symbol for p in first.phones if p.symbol) == "b"


def test_espeak_says_the_same_whoever_draws_random_numbers_beside_it() -> None:
    """Libraries in the same process call rand(), too, and espeak-ng's noise comes from it."""
    speaker = engine("espeak-ng")
    voice = {v.id: v for v in speaker.voices()}["espeak-ng/ko+f2"]
    before = speaker.speak(voice, "나무 구름 왕, 우유, 비 포도 비!", 0.61, 0.46)
    ctypes.CDLL(None).srand(12345)
    np.testing.assert_array_equal(
        speaker.speak(voice, "나무 구름 왕, 우유, 비 포도 비!", 0.61, 0.46).samples, before.samples
    )


@pytest.mark.slow
def test_espeak_says_every_line_in_known_phonemes() -> None:
    speaker, table, texts = engine("espeak-ng"), VisemeTable.load(), Texts()
    for language in ESPEAK_LANGUAGES:
        voice = next(v for v in speaker.voices() if v.language == language)
        rng = np.random.default_rng(0)
        for _ in range(6):
            for phone in speaker.speak(voice, texts.draw(language, rng), 1.0, 0.5).phones:
                assert table.parse(phone.symbol)


def test_voiceless_stops_start_with_their_closure() -> None:
    rate = 1000
    samples = np.ones(400, dtype=np.float32)
    samples[150:200] = 0.0  # closure before the burst at 0.2 s
    phones = [Phone("a", 0.0, 0.2), Phone("p", 0.2, 0.25), Phone("", 0.25, 0.35), Phone("t", 0.35, 0.4)]
    a, p, silence, t = with_closures(phones, samples, rate)
    assert p.start == pytest.approx(0.15) == a.end
    assert t.start == pytest.approx(0.29) == silence.end


def test_a_modifier_by_itself_joins_the_sound_before() -> None:
    phones = [Phone("", 0.0, 0.1), Phone("n", 0.1, 0.2), Phone("ʲ", 0.2, 0.25), Phone("a", 0.25, 0.3)]
    assert marks_joined(phones) == [phones[0], Phone("nʲ", 0.1, 0.25), phones[3]]


def test_piper_marks_belong_to_their_neighbours() -> None:
    sounds = [
        ("^", 0.1),
        ("b", 0.1),
        ("ˈ", 0.1),
        ("u", 0.1),
        ("ː", 0.1),
        (" ", 0.2),
        ("a", 0.1),
        ("ɪ", 0.1),
        (".", 0.2),
    ]
    phones = piper_phones(sounds, 1.0)
    assert [p.symbol for p in phones] == ["", "b", "u", "aɪ", ""]
    np.testing.assert_allclose([p.start for p in phones], [1.0, 1.1, 1.2, 1.6, 1.9])
    np.testing.assert_allclose([p.end for p in phones], [1.1, 1.2, 1.6, 1.9, 2.1])


def test_levels_are_relative_to_the_vowels() -> None:
    samples = np.concatenate([np.full(100, 0.1), np.full(100, 0.2), np.full(100, 0.1)]).astype(np.float32)
    phones = [Phone("a", 0.0, 0.1), Phone("e", 0.1, 0.2), Phone("a", 0.2, 0.3)]
    assert [round(p.level, 1) for p in with_levels(phones, samples, 1000)] == [0.0, 6.0, 0.0]


# Texts and sound


def test_there_are_texts_for_every_language() -> None:
    texts = Texts()
    assert all(texts.covers(language) for language in ESPEAK_LANGUAGES)
    assert not texts.covers("tlh")
    drawn = [texts.draw(language, np.random.default_rng(5)) for language in ("en-us", "en-us", "ja")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert not any(c in texts.draw("en-gb", np.random.default_rng(i)) for i in range(300) for c in "{}")


@pytest.mark.parametrize("seed", range(8))
def test_colour_keeps_time_and_range(seed: int) -> None:
    clicks = np.zeros(2 * RATE, dtype=np.float32)
    clicks[[4000, 15000, 27000]] = 0.5
    out = colour(clicks, np.random.default_rng(seed))
    assert out.dtype == np.float32 and out.shape == clicks.shape
    assert np.isfinite(out).all() and np.abs(out).max() < 1.0
    lags = np.arange(-800, 801)  # 50 ms
    heard = [np.abs(out[[4000 + k, 15000 + k, 27000 + k]]).sum() for k in lags]
    assert abs(int(lags[np.argmax(heard)])) <= RATE // 1000


def test_silences_are_joined() -> None:
    phones = [Phone("", 0, 1), Phone("", 1, 2), Phone("a", 2, 3), Phone("", 3, 4)]
    assert merged(phones) == [Phone("", 0, 2), Phone("a", 2, 3), Phone("", 3, 4)]


# The data set


@pytest.mark.usefixtures("beeps")
def test_data_set_holds_what_its_index_says(tmp_path: Path) -> None:
    lines = list(build(tmp_path / "d", hours=0.012, seed=7))
    index = [json.loads(line) for line in (tmp_path / "d" / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    assert index == lines and sum(line["seconds"] for line in index) >= 0.012 * 3600
    meta = json.loads((tmp_path / "d" / "meta.json").read_text(encoding="utf-8"))
    assert meta["clips"] == len(index) and meta["seed"] == 7 and meta["missing"] == ["piper is not installed"]
    assert set(meta["voices"]) == {line["speaker"].split("@")[0] for line in index}
    for line in index:
        info = soundfile.info(tmp_path / "d" / line["audio"])
        assert (info.samplerate, info.channels, info.format) == (RATE, 1, "FLAC")
        assert 6.0 <= line["seconds"] <= 12.0
        motion = load_npz(tmp_path / "d" / line["motion"])
        assert motion.fps == 25 and motion.frames == frame_count(Fraction(info.frames, RATE), 25)
        known = [motion.rig.index(c) for c in line["known"]]
        others = np.setdiff1d(np.arange(motion.rig.size), known)
        assert not motion.values[:, others].any()
        assert motion.values[:, motion.rig.index("jawOpen")].std() > 0.01
        assert (motion.values >= motion.rig.lower).all() and (motion.values <= motion.rig.upper).all()


@pytest.mark.usefixtures("beeps")
def test_stopped_runs_go_on_and_change_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    list(build(first, hours=0.01, seed=1))
    list(build(second, hours=0.005, seed=1))
    kept = next((second / "audio").iterdir())
    os.utime(kept, (1, 1))
    list(build(second, hours=0.01, seed=1))
    assert kept.stat().st_mtime == 1
    assert files(first) == files(second)


@pytest.mark.usefixtures("beeps")
def test_jobs_change_no_byte(tmp_path: Path) -> None:
    list(build(tmp_path / "one", hours=0.01, seed=1, jobs=1))
    list(build(tmp_path / "two", hours=0.01, seed=1, jobs=2))
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.usefixtures("beeps")
def test_a_folder_holds_one_data_set(tmp_path: Path) -> None:
    list(build(tmp_path, hours=0.002, seed=1))
    with pytest.raises(MsmdError, match=r"other settings .*seed"):
        list(build(tmp_path, hours=0.002, seed=2))


def test_without_any_synthesiser_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        speech, "find_engines", lambda only=(): ({}, ["flite is not installed (Debian: apt-get install flite)"])
    )
    assert main(["--out", str(tmp_path), "--hours", "0.01"]) == 1
    said = capsys.readouterr().err
    assert "Error: no speech synthesiser is installed" in said and "apt-get install flite" in said


def test_an_engine_nobody_knows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--engine", "hal"]) == 1
    assert "'hal'" in capsys.readouterr().err


@pytest.mark.slow
def test_real_voices_make_a_data_set(tmp_path: Path) -> None:
    if not ENGINES:
        pytest.skip("no speech synthesiser is installed")
    assert main(["--out", str(tmp_path), "--hours", "0.01"]) == 0
    again = tmp_path.with_name("again")
    assert main(["--out", str(again), "--hours", "0.01"]) == 0
    assert files(tmp_path) == files(again)
    shutil.rmtree(again)


def test_a_voice_that_cannot_speak_makes_room_for_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Beeps):
        """Of its two voices one says nothing, as a voice whose files do not fit the synthesiser's version."""

        def speak(self, voice: Voice, text: str, tempo: float, pitch: float) -> Spoken:
            if voice.id.endswith("low"):
                raise MsmdError("festival failed: no phoneme 'a'")
            return super().speak(voice, text, tempo, pitch)

    monkeypatch.setattr(speech, "find_engines", lambda only=(): ({"flite": Broken()}, []))
    rows = list(build(tmp_path, 0.02, seed=0))
    assert {row["speaker"].split("@")[0] for row in rows} == {"beeps/high"}
