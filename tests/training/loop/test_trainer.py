"""The training loop: losses fall, a resumed run repeats the undisturbed one, variants train, mistakes are named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_data import make_data
from safetensors.torch import load_file

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.rig import Rig
from training.config import TrainConfig, apply_variant, load_config
from training.loop.trainer import prepare_data, train
from training.network.objective import Objective
from training.network.run_folder import load_run

RIG = Rig.load("arkit52")


@pytest.fixture
def config(tiny_whisper: Path) -> TrainConfig:
    base = load_config("tiny")
    return replace(base, audio=replace(base.audio, path=str(tiny_whisper)))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    return make_data(tmp_path / "data")


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_the_run_can_be_read(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    config = replace(config, optimiser=replace(config.optimiser, iterations=60))
    run = train(config, [data], tmp_path / "run")
    totals = [row["total"] for row in log(run) if "total" in row]
    assert np.mean(totals[-3:]) < 0.8 * np.mean(totals[:2])
    assert any("val/loss" in row for row in log(run)) and list((run / "tensorboard").iterdir())
    stored, model, normalisation = load_run(run)
    assert stored.variant == "msmd" and normalisation.std[RIG.index("jawOpen")] > 0.05 and not model.training
    sources = json.loads((run / "provenance.json").read_text())["sources"]
    assert sources["made"]["speakers"] == 2 and sources["made"]["minutes"] == pytest.approx(7 * 80 / 25 / 60, abs=0.01)


def test_a_resumed_run_repeats_the_undisturbed_one(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    config = replace(
        config, model=replace(config.model, dropout=0.2), optimiser=replace(config.optimiser, iterations=30)
    )
    whole = train(config, [data], tmp_path / "whole")
    # The same run in a process that dies at step 20, five steps after its checkpoint.
    program = f"""
import os, sys, json
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from pathlib import Path
from training.config import config_from_dict
from training.loop.trainer import Silent, train
class Die(Silent):
    def step(self, step, total, losses, left):
        if step >= 20: os.kill(os.getpid(), 9)
train(config_from_dict(json.loads({json.dumps(json.dumps(config.to_dict()))})), [Path({str(data)!r})],
Path({str(tmp_path / "part")!r}), report=Die())
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    part = train(config, [data], tmp_path / "part", resume=True)
    ours, theirs = load_file(part / "latest" / "ema.safetensors"), load_file(whole / "latest" / "ema.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    after = lambda run: [row for row in log(run) if row["step"] > 20]  # noqa: E731
    assert after(part)[-3:] == after(whole)[-3:]


def test_mistakes_are_named(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume"):
        train(config, [data], tmp_path / "none", resume=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run already"):
        train(config, [data], tmp_path / "run")
    with pytest.raises(UsageError, match="format version"):
        load_run(tmp_path / "run")
    only_other = replace(config, data=replace(config.data, sources={"elsewhere": 1.0}))
    with pytest.raises(MsmdError, match="no clip to train on"):
        train(only_other, [data], tmp_path / "empty")


def test_no_cross_never_sees_the_other_window(config: TrainConfig, data: Path) -> None:
    """With cross-conditioning, the loss of windows a depends on windows b; without it, never."""
    batches, _ = prepare_data(config, [data], report=_Quiet())
    batch = {name: torch.from_numpy(value) for name, value in batches[0].items()}
    changed = {name: value.clone() for name, value in batch.items()}
    half = len(batch["motion"]) // 2
    changed["motion"][half:] += 1.0 * changed["mask"][half:, :, None]

    def references(variant: str) -> set[bool]:
        ours = apply_variant(config, variant)  # type: ignore[arg-type]
        ours = replace(ours, model=replace(ours.model, audio_dim=batches.audio_dim))
        from training.network.model import Model

        objective = Objective(Model(ours.model), ours, RIG)
        own = torch.arange(2 * half)
        seen = set()
        for seed in range(10):
            torch.manual_seed(seed)
            seen.add(bool((objective.references(2 * half, torch.device("cpu")) != own).any()))
        return seen

    assert references("msmd") == {True} or references("msmd") == {True, False}
    assert references("no-cross") == {False} and references("vae-baseline") == {False}


def test_bfloat16_trains_close_to_float32(tiny_whisper: Path, data: Path, tmp_path: Path) -> None:
    """In processes of their own: Accelerate allows one precision a process."""
    losses = []
    for precision in ("no", "bf16"):
        file = tmp_path / f"{precision}.yaml"
        file.write_text(
            f"preset: tiny\naudio: {{path: {tiny_whisper}}}\noptimiser: {{precision: '{precision}', iterations: 10}}\n"
        )
        command = [
            sys.executable,
            "-m",
            "msmdcli",
            "train",
            "--config",
            file,
            "--data",
            data,
            "--out",
            tmp_path / precision,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert done.returncode == 0, done.stderr
        losses.append([row["total"] for row in log(tmp_path / precision) if "total" in row])
    assert losses[0] != losses[1] and np.allclose(losses[0], losses[1], rtol=0.05)


@pytest.mark.parametrize("variant", ["msmd-anchor", "no-cross", "vae-baseline", "diffposetalk", "unconditioned"])
def test_every_variant_trains(config: TrainConfig, data: Path, tmp_path: Path, variant: str) -> None:
    config = apply_variant(replace(config, optimiser=replace(config.optimiser, iterations=4)), variant)  # type: ignore[arg-type]
    config = replace(
        config,
        contrastive_iterations=3 if config.contrastive_iterations else 0,
        schedule=replace(config.schedule, validate_every=4, log_every=1),
    )
    run = train(config, [data], tmp_path / "run")
    assert load_run(run)[0].variant == variant
    if variant == "diffposetalk":  # the second phase leaves the style encoder as the first one made it
        assert len([row for row in log(run) if set(row) == {"step", "total"}]) == 3


class _Quiet:
    def say(self, text: str) -> None: ...
    def loading(self, clip: str, done: int, total: int) -> None: ...
    def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None: ...
    def validated(self, step: int, measures: dict[str, float], best: bool) -> None: ...
