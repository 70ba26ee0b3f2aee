"""The ear: what it hears, that it is kept whole, and that training and a bundle hear the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from msmdcli.errors import MsmdError
from training.data.hearing import HearingCache
from training.network.ear import Ear, EarConfig, HearingEncoder, load_ear, save_ear

CONFIG = EarConfig(width=8, rank=6, dropout=0.0)
DIM, CHANNELS = 10, ("jawOpen", "mouthClose", "mouthFunnel")


def an_ear() -> Ear:
    torch.manual_seed(0)
    ear = Ear(CONFIG, DIM, CHANNELS, 5).eval()
    for value in (*ear.parameters(), ear.axes):
        torch.nn.init.normal_(value, std=0.3)
    return ear


def features(frames: int = 90, seed: int = 1) -> Tensor:
    return torch.randn(1, frames, DIM, generator=torch.Generator().manual_seed(seed))


def test_shapes() -> None:
    said = an_ear()(features())
    assert said.mouth.shape == (1, 90, 3) and said.phones.shape == (1, 90, 5) and said.hidden.shape == (1, 90, 8)
    assert said.features.shape == (1, 90, an_ear().dim) and an_ear().dim == 11


def test_a_voice_s_own_colour_is_not_heard() -> None:
    """A constant on every frame, as a microphone or a throat adds, changes nothing."""
    ear, x = an_ear(), features()
    moved = ear(x + torch.linspace(-2, 2, DIM)).features
    torch.testing.assert_close(moved, ear(x).features, rtol=1e-4, atol=1e-4)


def test_a_frame_hears_its_neighbours_and_nobody_else() -> None:
    ear = an_ear()
    heard = ear.project(features())
    changed = heard.clone()
    changed[..., 45] += 1.0
    moved = (ear.heard(changed).features - ear.heard(heard).features).abs().amax((0, 2))  # [F]
    reach = (CONFIG.kernel // 2) * sum(CONFIG.dilations)
    assert moved[45] > 0 and moved[45 - reach] > 0
    assert moved[: 45 - reach].max() == 0 and moved[46 + reach :].max() == 0


def test_an_ear_is_kept(tmp_path: Path) -> None:
    ear = an_ear()
    save_ear(ear, tmp_path / "ear.safetensors")
    again = load_ear(tmp_path / "ear.safetensors", CONFIG)
    torch.testing.assert_close(again(features()).features, ear(features()).features, rtol=0, atol=0)
    assert again.channels == CHANNELS
    with pytest.raises(MsmdError, match="cannot be read"):
        load_ear(tmp_path / "ear.safetensors", EarConfig(width=4, rank=6))
    with pytest.raises(MsmdError, match="cannot be read"):
        load_ear(tmp_path / "none.safetensors", CONFIG)


class Encoder(nn.Module):
    """Stands in for an audio encoder: a feature frame is 320 samples folded into 10 means."""

    chosen = (1,)

    def forward(self, waveform: Tensor) -> Tensor:
        return waveform.reshape(len(waveform), -1, DIM, 32).mean(-1)


def test_training_hears_what_a_bundle_hears(tmp_path: Path) -> None:
    ear = an_ear()
    waveform = torch.randn(1, 320 * 80)
    whole = HearingEncoder(Encoder(), ear)(waveform)[0, ::2]  # stack 1 at 25 frames/s: every other feature frame
    rows = Encoder()(waveform)[0].reshape(40, 2 * DIM).numpy()

    class Plain:
        asked = 0

        def get(self, sound: Path, variant: int = 0) -> Plain:
            Plain.asked += 1
            return self

        path, pace, frames = tmp_path, 1.0, 40

        def rows(self, start: int, stop: int) -> np.ndarray:
            return rows[start:stop]

    cache = HearingCache(Plain(), ear)  # type: ignore[arg-type]
    heard = cache.get(tmp_path)
    np.testing.assert_allclose(heard.rows(0, 40), whole.detach().numpy(), rtol=2e-3, atol=2e-3)
    assert cache.get(tmp_path) is heard
    np.testing.assert_array_equal(heard.rows(38, 43)[2:], np.repeat(heard.rows(39, 40), 3, axis=0))
