"""Stored audio features: the same numbers as without a store, whatever happens to its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import UsageError
from msmdcli.media.audio import Audio
from msmdcli.model import stores
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.stores import FeatureStore, StoredFeatures, features_key
from msmdcli.model.style_codes import StyleEntry

ROWS = np.arange(70, dtype=np.float32).reshape(10, 7) / 3  # [T, C]


class Encoder:
    """Yields ROWS in pieces and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.calls += 1
        yield ROWS[:4]
        yield ROWS[4:]


@pytest.fixture(params=[3000, 5], ids=["short", "long"])
def longest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Lines held in memory, and lines that are read from disk."""
    monkeypatch.setattr(stores, "LONG_ROWS", request.param)
    return int(request.param)


@pytest.mark.parametrize("limit", [0, 10**6])
def test_what_was_heard_comes_back(tmp_path: Path, longest: int, limit: int) -> None:
    encoder = Encoder()
    for _ in range(2):
        features = FeatureStore(tmp_path / "f", limit).recall("key", (10, 7), encoder)
        assert isinstance(features, StoredFeatures) == (longest < 10)
        assert len(features) == 10 and features.shape == (10, 7)
        for rows in (slice(0, 10), slice(2, 5), slice(8, 99), slice(4, 4)):
            assert features[rows].dtype == np.float32
            np.testing.assert_array_equal(features[rows], ROWS[rows])
    assert encoder.calls == (1 if limit else 2)
    assert len(list((tmp_path / "f").glob("*"))) == (1 if limit else 0)


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
        lambda data: b"",
        lambda data: b"another kind of file, of whatever length",
    ],
    ids=["cut off", "too long", "a bit", "empty", "foreign"],
)
def test_damage_is_noticed_and_mended(tmp_path: Path, longest: int, harm: Callable[[bytes], bytes]) -> None:
    encoder = Encoder()
    FeatureStore(tmp_path, 10**6).recall("key", (10, 7), encoder)
    (path,) = tmp_path.iterdir()
    path.write_bytes(harm(path.read_bytes()))
    for calls in (2, 2):
        features = FeatureStore(tmp_path, 10**6).recall("key", (10, 7), encoder)
        np.testing.assert_array_equal(features[0:10], ROWS)
        assert encoder.calls == calls


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, longest: int) -> None:
    (tmp_path / "file").write_text("in the way")
    features = FeatureStore(tmp_path / "file" / "f", 10**6).recall("key", (10, 7), Encoder())
    np.testing.assert_array_equal(features[0:10], ROWS)


def test_an_encoder_that_fails_leaves_nothing(tmp_path: Path, longest: int) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield ROWS[:4]
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        FeatureStore(tmp_path, 10**6).recall("key", (10, 7), failing)
    assert not list(tmp_path.iterdir())


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    one = 20 + 4 * ROWS.size
    store = FeatureStore(tmp_path, 3 * one)
    for number, name in enumerate("abc"):
        store.recall(name, (10, 7), Encoder())
        os.utime(tmp_path / f"{name}.features", (number, number))
    store.recall("a", (10, 7), Encoder())  # used again
    store.recall("d", (10, 7), Encoder())
    assert store.size() == (3, 3 * one)
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_the_limit_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wish, size in (("off", 0), ("500MB", 5 * 10**8), ("", 4 * 10**9)):
        monkeypatch.setenv("MSMD_FEATURE_CACHE", wish)
        assert FeatureStore(tmp_path).limit == size
    monkeypatch.setenv("MSMD_FEATURE_CACHE", "plenty")
    with pytest.raises(UsageError, match="plenty"):
        FeatureStore(tmp_path)


def test_a_line_has_the_same_bytes_with_and_without(
    stand_in_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.load(stand_in_bundle)
    engine = Engine(bundle, "cpu", 1)
    samples = np.random.default_rng(0).standard_normal(16000 * 23, dtype=np.float32) * np.float32(0.1)
    audio = Audio(samples, 16000, 16000, 1, Fraction(23))
    store = FeatureStore(tmp_path, 10**8)
    monkeypatch.setattr(stores, "LONG_ROWS", 100)
    heard = [engine.encode_audio(audio), engine.features(audio, store), engine.features(audio, store)]
    lines = []
    for features in heard:
        ((_, motion),) = engine.animate([Job("x", features, [StyleEntry(None)])])
        lines.append(motion.values.tobytes())
    assert lines[0] == lines[1] == lines[2]
    assert store.size()[0] == 1


def test_the_key_tells_what_decides_features(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    samples = np.zeros(1600, np.float32)
    audio = Audio(samples, 16000, 16000, 1, Fraction(1, 10))
    other = Audio(samples + np.float32(1e-7), 16000, 48000, 2, Fraction(1, 10))
    same = Audio(samples.copy(), 16000, 48000, 2, Fraction(1, 10))
    key = features_key(audio, bundle, "cpu", "1.0")
    assert features_key(same, bundle, "cpu", "1.0") == key
    different = [
        features_key(other, bundle, "cpu", "1.0"),
        features_key(audio, bundle, "cuda", "1.0"),
        features_key(audio, bundle, "cpu", "1.1"),
    ]
    assert len({key, *different}) == 4
