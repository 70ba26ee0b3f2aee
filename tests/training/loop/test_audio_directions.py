"""The directions of sound that move faces: found where they are known, and left alone by training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_data import make_data

from msmdcli.errors import UsageError
from msmdcli.motion.rig import Rig
from training.config import load_config
from training.loop.audio_directions import fit_audio_directions
from training.loop.trainer import train
from training.network.run_folder import load_run

C, D, P, N = 24, 5, 4, 60


@dataclass
class Windows:
    """Windows whose channel 0 follows one mixture of the features and channel 1 another, two frames later."""

    seed: int = 0
    audio_dim: int = C
    previous: int = P
    window: int = N
    batch: int = 8

    def __post_init__(self) -> None:
        self.mixtures = np.random.default_rng(99).standard_normal((C, 2))

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, index])
        rows = 2 * self.batch
        audio = rng.standard_normal((rows, P + N, C)).astype(np.float32) * 2 + 1
        heard = audio @ self.mixtures  # [rows, P + N, 2]
        motion = 0.1 * rng.standard_normal((rows, N, D))
        motion[..., 0] += heard[:, P:, 0]
        motion[:, 2:, 1] += heard[:, P:-2, 1]
        motion += 5 * rng.standard_normal((rows, 1, D))  # resting faces, which tell nothing
        mask = (np.arange(N) < rng.integers(20, N + 1, size=(rows, 1))).astype(np.float32)
        silent = (np.arange(rows) == 0).astype(np.float32)
        audio[0] = 0
        return {"audio": audio, "motion": (motion * mask[..., None]).astype(np.float32), "mask": mask, "silent": silent}


def fit(windows: Windows, rank: int, weights: list[float]) -> tuple[np.ndarray, np.ndarray]:
    mean, std = np.ones(C, np.float32), np.full(C, 2, np.float32)
    return fit_audio_directions(windows, rank, mean, std, np.array(weights, np.float32))  # type: ignore[arg-type]


def explained(weight: np.ndarray, mixture: np.ndarray) -> float:
    """How much of a mixture of the features lies in the space of the directions: 0 to 1."""
    basis = np.linalg.qr(weight.T)[0]  # [C, rank]
    return float(np.linalg.norm(basis.T @ mixture) / np.linalg.norm(mixture))


def test_the_features_that_move_the_face_are_found() -> None:
    windows = Windows()
    weight, bias = fit(windows, 2, [1, 1, 1, 1, 1])
    assert weight.shape == (2, C) and bias.shape == (2,)
    assert explained(weight, windows.mixtures[:, 0]) > 0.999
    assert explained(weight, windows.mixtures[:, 1]) > 0.98  # heard two frames before it is seen
    other = Windows(seed=1)[0]
    heard = (other["audio"][1:, P:] - 1) / 2 @ weight.T + bias
    assert abs(heard.mean()) < 0.05 and heard.std(axis=(0, 1)) == pytest.approx(1, abs=0.05)


def test_channels_of_weight_0_are_left_out_and_heavier_ones_come_first() -> None:
    windows = Windows()
    only, _ = fit(windows, 1, [0, 1, 1, 1, 1])
    assert explained(only, windows.mixtures[:, 1]) > 0.98
    first, _ = fit(windows, 1, [3, 1, 1, 1, 1])
    assert explained(first, windows.mixtures[:, 0]) > 0.98


def test_more_directions_than_features_are_refused() -> None:
    with pytest.raises(UsageError, match="more than the 24 directions"):
        fit(Windows(), 25, [1, 1, 1, 1, 1])


def test_training_keeps_them(tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    base = load_config("tiny")
    config = replace(
        base,
        audio=replace(base.audio, path=str(tiny_whisper)),
        model=replace(base.model, audio_bottleneck=3, audio_directions="fitted"),
        optimiser=replace(base.optimiser, iterations=4, weight_decay=0.1),
        schedule=replace(base.schedule, checkpoint_every=2),
    )
    data = make_data(tmp_path / "data")
    run = train(config, [data], tmp_path / "run")
    ema = load_run(run, "latest")[1].denoiser.audio_directions
    shorter = replace(config, optimiser=replace(config.optimiser, iterations=2))
    early = load_run(train(shorter, [data], tmp_path / "short"), "latest")[1].denoiser.audio_directions
    torch.testing.assert_close(ema.weight, early.weight, rtol=1e-6, atol=0)
    assert not ema.weight.requires_grad and ema.weight.abs().sum() > 0
    assert Rig.load("arkit52").size == base.model.motion_dim


def test_they_need_a_bottleneck() -> None:
    base = load_config("tiny")
    with pytest.raises(ValueError, match="needs an audio_bottleneck"):
        replace(base.model, audio_directions="fitted", audio_bottleneck=0)
