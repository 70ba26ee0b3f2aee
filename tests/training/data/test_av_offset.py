"""Audio-picture offsets: found where they were made, and not claimed where nothing can be heard."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import av_offset
from training.data.av_offset import PROJECTED, RecordingOffset, estimate, estimate_recordings, peak
from training.data.corpus import CorpusNotes
from training.data.records import ClipRecord

MIXTURE = np.random.default_rng(5).standard_normal(PROJECTED)


def clip(source: str, person: str, split: str, late: int, noise: float, seed: int, corrected: float = 0.0) -> object:
    """6 s of somebody whose jaw follows a mixture of the features `late` frames after them."""
    rng = np.random.default_rng(seed)
    frames = 150
    wave = np.convolve(rng.standard_normal(frames + 20), np.hanning(7), "same")
    features = 0.3 * rng.standard_normal((frames, PROJECTED)) + wave[10 : 10 + frames, None] * np.sign(MIXTURE)
    jaw = wave[10 - late : 10 - late + frames] + noise * rng.standard_normal(frames)
    record = ClipRecord(
        f"{person}_{seed}", "a", "m", None, person, source, "", "en", 6.0, "25/1", corrected, 1.0, split, False, ""
    )
    return av_offset._Clip(record, features, (jaw - jaw.mean()) / jaw.std())


def people(late: dict[str, int], noise: float = 0.3) -> list[object]:
    clips = [clip("rest", f"p{i}", "train", 0, noise, i) for i in range(12)]
    return clips + [
        clip("court", name, split, frames, noise, 100 * k + i)
        for k, (name, frames) in enumerate(late.items(), 1)
        for i in range(3)
        for split in [name.split("_")[0]]
    ]


def found(clips: list[object]) -> dict[str, RecordingOffset]:
    results = estimate_recordings(clips, np.random.default_rng(0))  # type: ignore[arg-type]
    return {result.person: result for result in results if result.source == "court"}


def test_each_recording_has_its_own_offset() -> None:
    late = {"test_a": 3, "test_b": 0, "val_c": -2}
    results = found(people(late))
    for person, frames in late.items():
        assert results[person].frames == pytest.approx(frames, abs=0.3)
        assert results[person].low <= results[person].frames <= results[person].high
        assert results[person].sure == (frames != 0)


def test_what_was_corrected_before_is_added_back() -> None:
    clips = people({}) + [clip("court", "test_a", "test", 2, 0.3, i, corrected=1.5) for i in range(3)]
    (result,) = found(clips).values()
    assert result.frames == pytest.approx(3.5, abs=0.3) and result.sure


def test_noise_is_not_sure() -> None:
    assert not any(result.sure for result in found(people({"test_a": 3, "val_b": -3}, noise=30)).values())


def test_test_clips_teach_nothing() -> None:
    """However wrong they are, others are judged the same."""
    one, other = people({"test_a": 3, "test_b": 0}), people({"test_a": 3, "test_b": 7})
    assert found(one)["test_a"] == found(other)["test_a"]


def test_sources_whose_recordings_are_alike_are_left_out() -> None:
    clips = people({"test_a": 3})
    assert not estimate_recordings(clips, np.random.default_rng(0), frozenset({"rest", "court"}))  # type: ignore[arg-type]


def test_a_source_has_its_offset() -> None:
    clips = people({"train_a": 2, "train_b": 2})
    (court,) = [r for r in estimate(clips, np.random.default_rng(0)) if r.source == "court"]  # type: ignore[arg-type]
    assert court.frames == pytest.approx(2, abs=0.3)


def test_the_peak_lies_between_lags() -> None:
    lags = np.arange(-8, 9)
    assert peak(-((lags - 1.3) ** 2)) == pytest.approx(1.3)
    assert peak(-((lags - 8) ** 2)) == 8


def test_a_recordings_own_offset_goes_before_its_sources() -> None:
    notes = CorpusNotes.load()
    assert notes.offset("grid_s1", "grid_s1") == 2
    assert notes.offset("trial_testimony", "trial_s31") == -4 and notes.offset("trial_testimony", "trial_s02") == 0
    assert notes.offset("lrs2_deepavsr", "somebody") == 1.85
    assert all(name.count("/") == 1 and value == round(value) for name, value in notes.recording_offsets.items())
