"""A run that starts from another: what was approved stays bit for bit, and the rest learns on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from msmdcli.errors import UsageError
from tests.training.loop.test_renew_mouth import config, material  # noqa: F401
from training.config import TrainConfig
from training.loop.earlier_run import KEPT
from training.loop.trainer import train
from training.network.run_folder import load_run, read_statistics


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_run(run, "latest")[1].state_dict()


@pytest.fixture
def anchored(config: TrainConfig) -> TrainConfig:  # noqa: F811
    return replace(config, model=replace(config.model, style_anchor=True))


def onwards(config: TrainConfig, run: Path) -> TrainConfig:  # noqa: F811
    return replace(config, model=replace(config.model, prior=True), from_run=str(run))


def test_the_denoiser_learns_on_and_mouth_and_styles_stay(anchored: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(anchored, [data], tmp_path / "run")
    new = train(onwards(anchored, run), [data], tmp_path / "new")
    before, after = weights(run), weights(new)
    kept = [name for name in before if name.startswith(KEPT)]
    assert any("mouth_path" in name for name in kept) and any("style_encoder" in name for name in kept)
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["denoiser.motion_map.weight"], after["denoiser.motion_map.weight"])
    ears = [load_file(folder / "ear.safetensors") for folder in (run, new)]
    assert ears[0] and all(torch.equal(ears[0][name], ears[1][name]) for name in ears[0])
    statistics = [read_statistics(folder) for folder in (run, new)]
    assert all(np.array_equal(statistics[0][name], statistics[1][name]) for name in statistics[0])
    basis = after["denoiser.prior.basis"]
    turned = basis @ basis.mT
    torch.testing.assert_close(turned, torch.eye(basis.shape[-1]).expand_as(turned), atol=1e-4, rtol=0)
    assert (after["denoiser.prior.variance"] != 1.0).all()  # measured: it starts as white noise


def test_stopped_and_resumed_it_is_the_undisturbed_run(anchored: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(anchored, [data], tmp_path / "run")
    settings = onwards(anchored, run)
    settings = replace(settings, schedule=replace(settings.schedule, checkpoint_every=1))
    whole = train(settings, [data], tmp_path / "whole")

    class Stop(Exception): ...

    from training.loop.trainer import Silent

    class Stopping(Silent):
        def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None:
            if step == 2:
                raise Stop

    stopping = replace(settings, schedule=replace(settings.schedule, log_every=1))
    with pytest.raises(Stop):
        train(stopping, [data], tmp_path / "halves", report=Stopping())
    halves = train(settings, [data], tmp_path / "halves", resume=True)
    first, second = weights(whole), weights(halves)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_model_is_refused(anchored: TrainConfig, tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    run = train(anchored, [data], tmp_path / "run")
    wider = replace(anchored, model=replace(anchored.model, style_dim=anchored.model.style_dim * 2))
    with pytest.raises(UsageError, match="another model"):
        train(onwards(wider, run), [data], tmp_path / "new")


def test_the_prior_s_correlation_is_that_of_the_movement() -> None:
    from training.loop.motion_prior import movement_correlation

    class Made:
        """An autoregressive channel, twice as large in every second window, and one that never moves."""

        previous, window, batch, slow = 4, 40, 8, 5.0

        def __len__(self) -> int:
            return 200

        def __getitem__(self, index: int) -> dict[str, np.ndarray]:
            rng = np.random.default_rng(index)
            rows, frames, keep = 2 * self.batch, self.previous + self.window, np.exp(-1 / self.slow)
            x = np.zeros((rows, frames + 60, 2), np.float32)
            for n in range(1, frames + 60):
                x[:, n, 0] = keep * x[:, n - 1, 0] + (1 - keep**2) ** 0.5 * rng.standard_normal(rows)
            x = x[:, 60:] * np.tile([1.0, 2.0], self.batch)[:, None, None] + 3.0  # 3: a resting pose
            mask = np.ones((rows, self.window), np.float32)
            mask[0, 20:] = 0.0
            start = (np.arange(rows) % 4 == 0).astype(np.float32)
            return {"previous": x[:, : self.previous], "motion": x[:, self.previous :], "mask": mask, "start": start}

    found = movement_correlation(Made(), np.array([0, 1]))  # type: ignore[arg-type]
    np.testing.assert_allclose(found[0, :12], np.exp(-np.arange(12) / 5.0), atol=0.06)
    assert (found[1] > 0.99).all()  # what never moves is what it was
