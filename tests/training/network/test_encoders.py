"""Audio encoders: one surface, and Whisper's front end against its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from msmdcli.errors import MsmdError
from msmdcli.paths import shared_dir
from training.network.encoders import LogMel, Wav2Vec2Features, WhisperFeatures, load_encoder

SHARED = shared_dir()
needs_whisper = pytest.mark.skipif(
    SHARED is None or not (SHARED / "models" / "whisper-tiny.en-encoder").is_dir(),
    reason="the shared Whisper encoder is not on this machine",
)


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16000 * seconds))).astype(np.float32)


def test_log_mel_equals_whisper_s_feature_extractor() -> None:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor()
    samples = sound(30.0)
    expected = extractor(samples, sampling_rate=16000, return_tensors="np").input_features[0]
    ours = LogMel()(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-4)


@pytest.mark.parametrize("samples", [320, 5000, 16000, 16001, 40000])
def test_frames_are_counted_alike(tiny_hubert: Path, tiny_whisper: Path, samples: int) -> None:
    for name, folder in (("hubert", tiny_hubert), ("whisper", tiny_whisper)):
        encoder = load_encoder(name, folder)
        with torch.inference_mode():
            features = encoder(torch.from_numpy(sound(samples / 16000)[:samples])[None])
        assert features.shape == (1, -(-samples // 320), encoder.dim), name


def test_chosen_layers_stand_side_by_side(tiny_hubert: Path, tiny_whisper: Path) -> None:
    for name, folder in (("hubert", tiny_hubert), ("whisper", tiny_whisper)):
        wave = torch.from_numpy(sound(1.0))[None]
        with torch.inference_mode():
            both = load_encoder(name, folder, (1, 2))(wave)
            first, second = load_encoder(name, folder, (1,))(wave), load_encoder(name, folder, (2,))(wave)
        torch.testing.assert_close(both, torch.cat([first, second], dim=-1))
        assert not torch.allclose(first, second)


def test_features_follow_the_sound_in_time(tiny_hubert: Path, tiny_whisper: Path) -> None:
    """A click moves the features around its own frame most: nothing is shifted by half a window."""
    for name, folder, layer in (("hubert", tiny_hubert, None), ("whisper", tiny_whisper, (0,))):
        encoder = load_encoder(name, folder, layer)
        quiet = np.zeros(32000, np.float32)
        quiet[::1000] = 1e-3
        click = quiet.copy()
        click[320 * 50 - 20 : 320 * 50 + 20] = 0.5
        with torch.inference_mode():
            change = (_local_features(encoder, click) - _local_features(encoder, quiet)).abs().sum(-1)[:99]
        centre = (change * torch.arange(len(change))).sum() / change.sum()
        assert abs(int(change.argmax()) - 50) <= 1 or abs(float(centre) - 50) <= 1, name


def _local_features(encoder: WhisperFeatures | Wav2Vec2Features, samples: np.ndarray) -> torch.Tensor:
    """Features [F, C] before any attention: what one stretch of sound alone makes of itself."""
    wave = torch.from_numpy(samples)[None]
    if isinstance(encoder, WhisperFeatures):
        return encoder(wave)[0]
    return encoder.model.feature_extractor(torch.nn.functional.pad(wave, (200, 720)))[0].T


def test_mistakes_are_named(tmp_path: Path, tiny_whisper: Path) -> None:
    with pytest.raises(MsmdError, match="unknown audio encoder"):
        load_encoder("hubertt")
    with pytest.raises(MsmdError, match="not found"):
        load_encoder("hubert", tmp_path / "nowhere")
    with pytest.raises(MsmdError, match="could not be loaded"):
        load_encoder("hubert", tmp_path)
    with pytest.raises(MsmdError, match="layers"):
        load_encoder("whisper", tiny_whisper, (9,))


@needs_whisper
def test_the_real_network_equals_transformers() -> None:
    """Where the sound and its padding fill Whisper's 30 s exactly, the cut network is the whole network."""
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    assert SHARED is not None
    encoder = load_encoder("whisper")
    full = WhisperEncoder.from_pretrained(SHARED / "models" / "whisper-tiny.en-encoder", dtype=torch.float32).eval()
    samples = sound(30.0 - 1.02)
    with torch.inference_mode():
        ours = encoder(torch.from_numpy(samples)[None])[0]
        mel = LogMel()(torch.nn.functional.pad(torch.from_numpy(samples)[None], (0, 480000 - len(samples))))
        theirs = full(mel).last_hidden_state[0, : len(ours)]
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
