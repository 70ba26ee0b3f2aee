"""Batches of window pairs: what is where, and that batch i is always batch i."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from training.config import DataConfig
from training.data.augment import AugmentConfig
from training.data.dataset import PairBatches, TrainingClip, measure_normalisation
from training.data.features import CachedFeatures
from training.data.records import read_index

RIG = Rig.load("arkit52")
C = 4  # audio features


def ramp_clip(
    tmp_path: Path, name: str, frames: int, speaker: str = "one", start: float = 0.0, **changes: object
) -> TrainingClip:
    """jawOpen rises by 0.001 a frame; the first audio feature is the same number, so that sound and picture can be
    compared."""
    values = np.zeros((frames, RIG.size), np.float32)
    values[:, RIG.index("jawOpen")] = start + 0.001 * np.arange(frames)
    features = np.zeros((frames, C), np.float16)
    features[:, 0] = values[:, RIG.index("jawOpen")]
    path = tmp_path / f"{name}.npy"
    np.save(path, features)
    arguments: dict[str, object] = {"features": CachedFeatures(path, 1.0), "known": None, "source": "test"} | changes
    return TrainingClip(name, speaker, motion=values, **arguments)  # type: ignore[arg-type]


def batches(
    clips: list[TrainingClip],
    *,
    chain: bool = False,
    truncate: float = 0.0,
    augment: float = 0.0,
    seed: int = 0,
    sources: dict[str, float] | None = None,
) -> PairBatches:
    data = DataConfig(chain_short_clips=chain, truncate=truncate, sources=sources)
    return PairBatches(
        clips,
        RIG,
        data,
        AugmentConfig(probability=augment),
        window=20,
        previous=5,
        batch=6,
        batches=50,
        audio_dim=C,
        seed=seed,
    )


def test_windows_are_adjacent_and_the_sound_is_theirs(tmp_path: Path) -> None:
    batch = batches([ramp_clip(tmp_path, "a", 90)])[0]
    jaw = RIG.index("jawOpen")
    for row in range(6):
        a, b = batch["motion"][row, :, jaw], batch["motion"][row + 6, :, jaw]
        np.testing.assert_allclose(np.diff(np.concatenate([a, b])), 0.001, atol=1e-6)
        np.testing.assert_allclose(batch["previous"][row + 6, :, jaw], a[-5:], atol=1e-6)
        np.testing.assert_allclose(batch["audio"][row + 6, :, 0], np.concatenate([a[-5:], b]), atol=2e-4)
        np.testing.assert_allclose(batch["audio"][row, 5:, 0], a, atol=2e-4)
    assert batch["start"].tolist() == [1.0] * 6 + [0.0] * 6
    assert batch["mask"].min() == 1.0


def test_a_short_clip_is_padded_and_masked(tmp_path: Path) -> None:
    batch = batches([ramp_clip(tmp_path, "a", 24)])[0]
    assert batch["mask"].sum(1).tolist() == [12.0] * 12  # shared between the two windows
    assert (batch["motion"][:, 12:] == 0).all()


def test_chains_fill_both_windows_with_one_speaker(tmp_path: Path) -> None:
    clips = [ramp_clip(tmp_path, f"a{i}", 15, "one", 0.1) for i in range(3)] + [
        ramp_clip(tmp_path, f"b{i}", 15, "two", 0.6) for i in range(3)
    ]
    dataset = batches(clips, chain=True)
    jaw = RIG.index("jawOpen")
    for i in range(5):
        batch = dataset[i]
        assert batch["mask"].min() == 1.0
        pair = np.concatenate([batch["motion"][:6, :, jaw], batch["motion"][6:, :, jaw]], axis=1)
        assert ((pair < 0.3).all(1) | (pair > 0.5).all(1)).all()
        assert np.abs(np.diff(pair, axis=1)).max() < 0.02  # joins are blended


def test_batch_i_is_always_batch_i(tmp_path: Path) -> None:
    clips = [ramp_clip(tmp_path, f"a{i}", 60 + i) for i in range(4)]
    one, other = batches(clips, truncate=0.5, augment=1.0), batches(clips, truncate=0.5, augment=1.0)
    for name, value in one[7].items():
        np.testing.assert_array_equal(value, other[7][name])
    assert not np.array_equal(one[7]["motion"], one[8]["motion"])
    assert not np.array_equal(one[7]["motion"], batches(clips, truncate=0.5, augment=1.0, seed=1)[7]["motion"])


def test_truncation_masks_the_tail(tmp_path: Path) -> None:
    batch = batches([ramp_clip(tmp_path, "a", 90)], truncate=1.0)[0]
    lengths = batch["mask"].sum(1)
    assert lengths.min() >= 12 and lengths.max() <= 20 and len(set(lengths)) > 1
    for row, length in enumerate(lengths.astype(int)):
        assert (batch["motion"][row, length:] == 0).all() and (batch["audio"][row, 5 + length :] == 0).all()


def test_silent_clips_say_so(tmp_path: Path) -> None:
    batch = batches([ramp_clip(tmp_path, "a", 60, features=None)])[0]
    assert (batch["silent"] == 1).all() and (batch["audio"] == 0).all()


def test_unknown_channels_are_borrowed_from_a_recording(tmp_path: Path) -> None:
    known = np.array([RIG.index("jawOpen")])
    spoken = ramp_clip(tmp_path, "tts", 60, known=known, source="speech")
    recorded = ramp_clip(tmp_path, "rec", 60)
    recorded.motion[:, RIG.index("browInnerUp")] = 0.5
    batch = batches([spoken, recorded], sources={"speech": 1.0})[0]
    np.testing.assert_allclose(batch["motion"][..., RIG.index("browInnerUp")], 0.5)
    jaw = batch["motion"][:6, :, RIG.index("jawOpen")]
    np.testing.assert_allclose(np.diff(jaw, axis=1), 0.001, atol=1e-6)


def test_shares_between_sources_hold(tmp_path: Path) -> None:
    clips = [ramp_clip(tmp_path, "long", 500, source="a", start=0.0)] + [
        ramp_clip(tmp_path, f"s{i}", 50, source="b") for i in range(2)
    ]
    p = batches(clips, sources={"a": 0.2, "*": 0.8}).probability
    assert p[0] == pytest.approx(0.2) and p[1:].sum() == pytest.approx(0.8)
    with pytest.raises(MsmdError, match="sources"):
        batches(clips, sources={"c": 1.0})


def test_a_channel_that_never_moves_comes_out_constant(tmp_path: Path) -> None:
    dataset = batches([ramp_clip(tmp_path, "a", 90)])
    for how in ("total", "within"):
        normalisation = measure_normalisation(dataset, how, 30)
        tongue = RIG.index("tongueOut")
        assert normalisation.std[tongue] == 0 and normalisation.std[RIG.index("jawOpen")] > 0
        wild = normalisation.inverse(np.random.default_rng(0).standard_normal((9, RIG.size)).astype(np.float32))
        assert np.ptp(wild[:, tongue]) == 0
        values = dataset[0]["motion"]
        np.testing.assert_allclose(normalisation.inverse(normalisation.forward(values)), values, atol=1e-6)


def test_an_index_is_checked(tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match="no data set in"):
        read_index(tmp_path)
    save_npz(tmp_path / "m.npz", Motion(np.zeros((3, RIG.size)), Fraction(25), RIG))
    rows = [{"id": "a", "audio": None, "motion": "m.npz", "speaker": "x", "source": "y", "split": "train"}]
    (tmp_path / "index.jsonl").write_text(json.dumps(rows[0]) + "\n" + '{"id": "b"')
    with pytest.raises(MsmdError, match="line 2"):
        read_index(tmp_path)


def test_windows_of_a_manner_come_from_its_clips(tmp_path: Path) -> None:
    """A pair is two windows of clips in one manner; what came before each is its own clip's."""
    clips = [
        ramp_clip(tmp_path, f"{manner}{number}", 70, start=0.02 + 0.3 * number + 0.15 * (manner == "b"), manner=manner)
        for manner in "ab"
        for number in range(3)
    ]
    made = batches(clips)
    jaw = RIG.index("jawOpen")
    across = 0
    for index in range(20):
        batch = made[index]
        x, before, start = batch["motion"][..., jaw], batch["previous"][..., jaw], batch["start"]
        np.testing.assert_allclose(batch["audio"][:, 5:, 0], x, atol=1e-3)
        for row in np.flatnonzero(start == 0):
            np.testing.assert_allclose(before[row, -1], x[row, 0] - 0.001, atol=1e-5)
        manner = x[:, 0] % 0.3 > 0.12
        np.testing.assert_array_equal(manner[:6], manner[6:])
        across += (np.abs(x[:6, 0] - x[6:, 0]) > 0.2).sum()
    assert across > 30  # other clips, mostly
