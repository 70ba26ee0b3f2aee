from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.errors import MsmdError
from msmdcli.model.audio_features import EncoderFormat, audio_features, encode_line, features_at_frames
from msmdcli.motion.motion import frame_count

FORM = EncoderFormat(dim=3, chunk_seconds=2.0, overlap_seconds=0.5)
HOP = FORM.samples_per_feature


class Listener:
    """An encoder that hears 0.1 s around each frame; it remembers how much it was given."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        assert waveform.shape[0] == 1 and waveform.dtype == np.float32
        self.lengths.append(waveform.shape[1])
        frames = ceil(waveform.shape[1] / HOP)
        padded = np.pad(waveform[0], (800, 800 + HOP))
        around = np.stack([padded[j * HOP : j * HOP + 1600] for j in range(frames)])  # [F, 1600], centred at j * HOP
        return np.stack([around.mean(1), np.abs(around).max(1), around[:, 800]], axis=1)[None].astype(np.float32)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 200_000))
def test_chunks_give_what_one_piece_gives(samples: int) -> None:
    waveform, listener = noise(samples), Listener()
    features = encode_line(waveform, listener, FORM)
    assert features.shape == (ceil(samples / HOP), 3) and features.dtype == np.float32
    np.testing.assert_array_equal(features, Listener()(waveform[None])[0])
    assert max(listener.lengths) <= (2.0 + 2 * 0.5) * 16000  # memory does not grow with the line
    assert min(listener.lengths) >= 0.5 * 16000  # nor is an encoder asked about a hair's breadth of sound
    assert len(listener.lengths) == ceil(samples / (2.0 * 16000))


def test_no_small_rest_is_left_over() -> None:
    listener = Listener()
    encode_line(noise(2 * 16000 + 1), listener, FORM)
    assert len(listener.lengths) == 2 and abs(listener.lengths[0] - listener.lengths[1]) <= HOP


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(60)])
@pytest.mark.parametrize("stack", [1, 2, 3])
def test_features_arrive_at_their_time(fps: Fraction, stack: int) -> None:
    """Feature j holds its own time j / 50, so each row must hold the times it was asked for."""
    form = EncoderFormat(dim=1, stack=stack)
    times = np.arange(5000, dtype=np.float32)[:, None] / 50
    frames = frame_count(Fraction(100), fps)
    rows = features_at_frames(times, form, fps, frames)
    assert rows.shape == (frames, stack) and rows.dtype == np.float32
    asked = (np.arange(frames)[:, None] + np.arange(stack) / stack) / float(fps)
    np.testing.assert_allclose(rows, np.minimum(asked, times[-1]), atol=2e-5)


def test_at_25_fps_two_frames_stack_without_interpolation() -> None:
    features = noise(60).reshape(20, 3)
    rows = features_at_frames(features, FORM, Fraction(25), 10)
    np.testing.assert_array_equal(rows, features.reshape(10, 6))


def test_the_last_feature_is_held() -> None:
    features = noise(9).reshape(3, 3)
    rows = features_at_frames(features, FORM, Fraction(25), 5)
    np.testing.assert_array_equal(rows[2:], np.tile(features[-1], (3, 2)))
    assert features_at_frames(features[:1], FORM, Fraction(25), 4).shape == (4, 6)


@pytest.mark.parametrize("samples", [1, 319, 320, 1600, 16000, 100_003])
def test_a_line_has_features_for_each_of_its_frames(samples: int) -> None:
    fps = Fraction(25)
    frames = frame_count(Fraction(samples, 16000), fps)
    rows = audio_features(noise(samples), Listener(), FORM, fps, frames)
    assert rows.shape == (frames, 6) and np.isfinite(rows).all()


def test_an_encoder_that_breaks_its_promise_is_found_out() -> None:
    with pytest.raises(MsmdError, match=r"\(1, 49, 3\).*\(1, 50, 3\)"):
        encode_line(noise(16000), lambda waveform: Listener()(waveform)[:, :-1], FORM)
    with pytest.raises(MsmdError, match="shape"):
        encode_line(np.zeros(0, np.float32), Listener(), FORM)
    with pytest.raises(MsmdError, match="shape"):
        encode_line(np.zeros((1, 10), np.float32), Listener(), FORM)


ENTRY = {
    "name": "whisper",
    "rate": 16000,
    "feature_rate": "50/1",
    "dim": 384,
    "stack": 2,
    "chunk_seconds": 20,
    "overlap_seconds": 1.0,
}


def test_format_from_a_bundle() -> None:
    form = EncoderFormat.from_mapping(ENTRY)
    assert form == EncoderFormat(16000, Fraction(50), 384, 2, 20.0, 1.0) and form.samples_per_feature == 320


@pytest.mark.parametrize(
    "change",
    [{"feature_rate": "48/5"}, {"rate": 16001}, {"dim": None}, {"stack": 0}, {"chunk_seconds": 0}, {"dim": "x"}],
)
def test_format_that_cannot_be(change: dict[str, object]) -> None:
    with pytest.raises(MsmdError, match=r"audio.encoder"):
        EncoderFormat.from_mapping({**ENTRY, **change})
