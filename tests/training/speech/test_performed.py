"""Performed speech: clips of one manner, whole faces, and a build that goes on where it stood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from tests.training.speech.test_speech import Beeps, files
from training.speech import speech
from training.speech.kokoro import trimmed
from training.speech.performed import CLIPS, PERFORMANCES, build, draw_performance, manner_rng
from training.speech.visemes import TABLE, Phone, VisemeTable

RIG = Rig.load("arkit52")


@pytest.fixture
def beeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_engines", lambda only=(): ({"flite": Beeps()}, []))


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.usefixtures("beeps")
def test_each_manner_has_several_clips_and_each_sound_several_manners(tmp_path: Path) -> None:
    seconds = list(build(tmp_path, 0.002, seed=3))
    index = rows(tmp_path)
    assert len(index) == PERFORMANCES * len(seconds) and len(seconds) % CLIPS == 0
    for manner in {row["manner"] for row in index}:
        assert len({row["audio"] for row in index if row["manner"] == manner}) == CLIPS
    for sound in {row["audio"] for row in index}:
        assert len({row["manner"] for row in index if row["audio"] == sound}) == PERFORMANCES
    first = [load_npz(tmp_path / str(row["motion"]), RIG) for row in index[:PERFORMANCES]]
    for motion in first:  # all of the face and the head move
        still = motion.values.std(0) == 0
        for region in ("jaw", "brows", "head"):
            assert not still[RIG.indices(region)].all(), region
    assert np.abs(first[0].values - first[1].values).mean() > 0.01
    with np.load(tmp_path / str(index[0]["mouth"]), allow_pickle=False) as known:
        assert len(known["curves"]) == len(known["kinds"]) == len(first[0].values)
        assert known["kinds"].max() < len(known["names"])


@pytest.mark.usefixtures("beeps")
def test_a_stopped_build_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    list(build(tmp_path / "whole", 0.004, seed=1))
    for _ in zip(range(2), build(tmp_path / "stopped", 0.004, seed=1), strict=False):
        pass
    list(build(tmp_path / "stopped", 0.004, seed=1))
    whole, stopped = files(tmp_path / "whole"), files(tmp_path / "stopped")
    assert whole.keys() == stopped.keys()
    for name in whole:
        if not name.startswith("mouth"):  # zip archives carry the time
            assert whole[name] == stopped[name], name


@pytest.mark.usefixtures("beeps")
def test_several_processes_make_the_same_set(tmp_path: Path) -> None:
    alone = list(build(tmp_path / "alone", 0.004, seed=1))
    assert list(build(tmp_path / "together", 0.004, seed=1, jobs=3)) == alone
    one, three = files(tmp_path / "alone"), files(tmp_path / "together")
    assert rows(tmp_path / "alone") == rows(tmp_path / "together")
    for name in one:
        if not name.startswith("mouth"):  # zip archives carry the time
            assert one[name] == three[name], name


@pytest.mark.usefixtures("beeps")
def test_another_viseme_table_performs_the_same_sounds_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(build(tmp_path / "kept", 0.002, seed=1))
    before = files(tmp_path / "kept")
    raw = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    raw["articulators"]["jaw"]["ahead"] += 0.04
    other = VisemeTable(raw)
    monkeypatch.setattr(VisemeTable, "load", lambda *_: other)
    list(build(tmp_path / "kept", 0.002, seed=1))
    list(build(tmp_path / "fresh", 0.002, seed=1))
    after, fresh = files(tmp_path / "kept"), files(tmp_path / "fresh")
    assert after.keys() == fresh.keys() == before.keys()
    for name in fresh:
        if not name.startswith("mouth"):  # zip archives carry the time
            assert after[name] == fresh[name], name
            assert (after[name] == before[name]) == name.startswith(("audio", "phones", "meta")), name


def test_manners_are_drawn_by_number_and_stay_in_range() -> None:
    drawn = [draw_performance(manner_rng(0, n)) for n in range(60)]
    assert drawn[7] == draw_performance(manner_rng(0, 7)) and drawn[7] != draw_performance(manner_rng(1, 7))
    for manner in drawn:
        assert all(0 <= value <= 0.95 for value in manner.pose.values())
        assert manner.speech.tempo == manner.speech.pause == 1.0  # the sound is there already
        assert 4 <= manner.blinks.per_minute <= 40
    assert np.std([manner.head.nod for manner in drawn]) > 0.5


def test_the_sound_before_a_pause_ends_where_it_is_silent() -> None:
    rate = 24000
    t = np.arange(rate) / rate
    samples = (np.sin(2 * np.pi * 200 * t) * (t < 0.4)).astype(np.float32)
    phones = trimmed([Phone("m", 0.0, 0.2), Phone("a", 0.2, 0.8)], samples, rate)
    assert phones[0] == Phone("m", 0.0, 0.2)
    assert 0.38 < phones[1].end < 0.45
