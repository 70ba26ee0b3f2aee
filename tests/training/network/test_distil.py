"""A student lands where its guided teacher does, in fewer evaluations; from training to a bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_data import RIG, make_data
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.model.samplers import Schedule, make_sampler
from training.config import DistilConfig, TrainConfig, load_config, load_student_config
from training.data.dataset import PairBatches
from training.loop.reporting import Silent
from training.loop.trainer import prepare_data, train
from training.network.distil import DistilObjective, fine_grid, load_teacher
from training.network.model import Model, ModelConfig
from training.network.objective import Batch
from training.network.run_folder import load_run, read_config


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(tiny_whisper: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_config("tiny")
    config = replace(config, audio=replace(config.audio, path=str(tiny_whisper)))
    return train(config, [data], tmp_path_factory.mktemp("runs") / "teacher")


@pytest.fixture(scope="module")
def batch(teacher: Path, data: Path) -> Batch:
    batches: PairBatches = prepare_data(read_config(teacher), [data], Silent())[0]
    with np.load(teacher / "statistics.npz", allow_pickle=False) as stored:
        from msmdcli.model.normalisation import Normalisation

        batches.normalisation = Normalisation(stored["mean"], stored["std"])
    return {name: torch.from_numpy(value) for name, value in batches[0].items()}


class Telling(torch.nn.Module):
    """In place of a denoiser: remembers what it is asked."""

    def __init__(self, denoiser: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.asked = denoiser, []  # type: ignore[var-annotated]
        self.schedule, self.condition = denoiser.schedule, denoiser.condition

    def forward(
        self, x: torch.Tensor, t: torch.Tensor, mask: torch.Tensor, condition: object, following: torch.Tensor
    ) -> torch.Tensor:
        self.asked.append((x.clone(), t.clone()))
        return self.inner(x, t, mask, condition, following)


def test_a_step_to_its_goal_lands_where_the_teacher_lands(teacher: Path, batch: Batch) -> None:
    """With the runtime's own solver: the teacher's steps one after the other, and one step of the student's to the
    target that it is given."""
    distil = DistilConfig(teacher=str(teacher), steps=2, substeps=3, guidance_audio=0.7, guidance_style=0.2)
    config = replace(read_config(teacher), distil=distil, drop_condition=0.0)
    model = load_run(teacher)[1]
    objective = DistilObjective(Model(config.model), model, config, RIG)
    schedule = Schedule.cosine(config.model.diffusion_steps)
    many, few = make_sampler("ddim", schedule, 6), make_sampler("ddim", schedule, 2)
    rows, mask = len(batch["motion"]), batch["mask"]
    nothing, ones = torch.zeros(rows), torch.ones(rows)
    nothing = torch.maximum(nothing, batch["silent"])
    with torch.no_grad():
        style = model.encode_style(batch["motion"], mask)[0]
        branches = [
            (factor, model.denoiser.condition(batch["audio"], batch["previous"], batch["start"], style, *null))
            for factor, null in (
                (1.9, (nothing, torch.zeros(rows))),
                (-0.7, (ones, torch.zeros(rows))),
                (-0.2, (nothing, ones)),
            )
        ]
        for step in (0, 1):
            t = int(few.timesteps[step])
            assert t == many.timesteps[3 * step]
            x = model.denoiser.schedule.noise(
                batch["motion"], torch.full((rows,), t), torch.randn(batch["motion"].shape)
            )
            x = x * mask[..., None]
            goal = objective._target(
                *(model, batch, style, (nothing, torch.zeros(rows))),
                *(x, torch.full((rows,), 3 * step), fine_grid(config, torch.device("cpu"))),
            )
            theirs = x
            for i in range(3 * step, 3 * step + 3):
                at = torch.full((rows,), int(many.timesteps[i]))
                x0 = sum(factor * model.denoiser(theirs, at, mask, condition) for factor, condition in branches)
                theirs = torch.from_numpy(many.step(x0.numpy(), i, theirs.numpy()))  # type: ignore[union-attr]
            ours = few.step(goal.numpy(), step, x.numpy())
            np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


def test_it_is_asked_at_its_own_steps_only(teacher: Path, batch: Batch) -> None:
    config = replace(read_config(teacher), distil=DistilConfig(teacher=str(teacher), steps=3, substeps=2))
    student = Model(config.model)
    student.denoiser = Telling(student.denoiser)  # type: ignore[assignment]
    objective = DistilObjective(student, load_run(teacher)[1], config, RIG)
    losses = objective(batch)
    assert torch.isfinite(losses["total"]) and losses["total"].requires_grad
    ((_, t),) = student.denoiser.asked
    sampler = make_sampler("ddim", Schedule.cosine(config.model.diffusion_steps), 3)
    assert set(t.tolist()) <= set(sampler.timesteps.tolist())
    losses["total"].backward()
    assert not any(parameter.grad is not None for parameter in student.style_encoder.parameters())
    assert not any("teacher" in name for name in objective.state_dict())


def test_training_brings_the_student_nearer(teacher: Path, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    file.write_text(
        "distil: {guidance_audio: 2.0}\noptimiser: {iterations: 60, lr: 2e-3}\n"
        "schedule: {validate_every: 20, checkpoint_every: 20}\n"
    )
    config = load_student_config(read_config(teacher), teacher, file)
    assert config.model.dropout == 0 and config.audio.path == read_config(teacher).audio.path
    run = train(config, [data], tmp_path / "student")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    before, *_, after = [row["total"] for row in rows if "total" in row]
    assert after < 0.6 * before
    student = load_run(run)[1]
    for name, value in load_run(teacher)[1].style_encoder.state_dict().items():
        assert torch.equal(student.style_encoder.state_dict()[name], value)
    again = train(config, [data], run, resume=True)  # a finished run stays as it is
    assert load_run(again)[0].distil.teacher == str(teacher.resolve())


def test_a_bundle_of_a_student_says_how_it_is_sampled(teacher: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "student"
    command = ["train", "--teacher", str(teacher), "--data", str(data), "--out", str(run), "--iterations", "2"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["export-onnx", str(run), "--out", str(tmp_path / "bundle")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "bundle" / "bundle.json").read_text()
    bundle = json.loads(text)
    assert bundle["defaults"]["sampler"] == "ddim" and bundle["defaults"]["steps"] == 2
    assert bundle["training"]["config"]["distil"]["teacher"] == "teacher" and str(teacher.parent) not in text


def test_mistakes_are_named(teacher: Path, data: Path, tmp_path: Path) -> None:
    config = read_config(teacher)
    other = replace(config, model=replace(config.model, width=64), distil=DistilConfig(teacher=str(teacher)))
    with pytest.raises(UsageError, match="another model than the student"):
        load_teacher(other)
    with pytest.raises(UsageError, match="not a training run"):
        load_teacher(replace(config, distil=DistilConfig(teacher=str(tmp_path))))
    with pytest.raises(ValueError, match="1000 together"):
        DistilConfig(steps=40, substeps=40)
    done = CliRunner().invoke(
        app, ["train", "--teacher", str(teacher), "--preset", "tiny", "--out", str(tmp_path / "x")]
    )
    assert done.exit_code == 2 and "a student is what its teacher is" in done.output
    assert load_teacher(TrainConfig(model=ModelConfig())) is None
