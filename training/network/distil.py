"""Distillation: a student that does in a few network evaluations, without guidance branches, what its teacher does in
many with them.

The student has the teacher's architecture, weights and style encoder to start with. It is to be sampled with DDIM in
`steps` evaluations. At each of these it learns to land where the teacher gets to from the same noisy window with
`substeps` guided evaluations of its own (progressive distillation, Salimans and Ho 2022, section 3, but all at once;
guidance folded into the student as by Meng et al. 2023). Noisy windows come from the recordings, as in training.

Ours, not the paper's: it samples 1000 steps of three branches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from msmdcli.errors import UsageError
from msmdcli.model.samplers import Schedule, spaced_timesteps
from training.config import DistilConfig, TrainConfig
from training.network.losses import motion_losses
from training.network.model import Model, Style
from training.network.objective import Batch, Objective, held

SAMPLER = "ddim"  # what a student is to be sampled with: it has learned these steps and no others


class DistilObjective(Objective):
    """The student with the losses that draw it to its teacher; used as `Objective`.

    Args:
        student: what is trained; its style encoder stays the teacher's.
        teacher: in evaluation mode. It is not a part of this module: nothing trains or stores it.
        config, rig: as of `Objective`.
    """

    def __init__(self, student: Model, teacher: Model, config: TrainConfig, rig: Any) -> None:
        super().__init__(student, config, rig)
        self._teacher = [teacher]  # in a list, so that it is no submodule
        if hasattr(student, "style_encoder"):
            student.style_encoder.requires_grad_(False)

    def forward(self, batch: Batch, contrast: bool = False, mouth_only: bool = False) -> dict[str, Tensor]:
        """The batch of `training.data.dataset.PairBatches` -> losses by name."""
        config, teacher = self.config, self._teacher[0]
        x0, mask = batch["motion"], batch["mask"]  # [2B, N, D], [2B, N]
        rows, device = x0.shape[0], x0.device
        teacher.to(device)
        with torch.no_grad():
            style = teacher.encode_style(x0, mask)[0].select(self.references(rows, device))
        drop = config.drop_condition  # the student keeps its branches, so that it can be guided, too
        audio_null = torch.maximum((torch.rand(rows, device=device) < drop).float(), batch["silent"])
        style_null = (torch.rand(rows, device=device) < drop).float()
        step = torch.randint(config.distil.steps, (rows,), device=device)  # which of the student's
        grid = fine_grid(config, device)
        start = step * config.distil.substeps  # [2B] its place in the grid
        t = grid.t[start]
        x = self.model.denoiser.schedule.noise(held(x0, mask), t, torch.randn_like(x0))
        with torch.no_grad():
            target = self._target(teacher, batch, style, (audio_null, style_null), x, start, grid)
        condition = self.model.denoiser.condition(
            batch["audio"], batch["previous"], batch["start"], style, audio_null, style_null
        )
        prediction = self.model.denoiser(x, t, mask, condition, grid.after(start + config.distil.substeps))
        # Without a style the whole of a resting face is predicted; with the anchor that would drown everything else.
        counted = mask * (1.0 - (1.0 - config.null_weight) * style_null[:, None])
        losses = motion_losses(prediction, target, counted, batch["previous"], 1.0 - batch["start"], self.channels)
        losses["total"] = config.loss.simple * losses["simple"] + config.loss.velocity * losses["velocity"]
        return losses

    def _target(
        self,
        teacher: Model,
        batch: Batch,
        style: Style,
        nulls: tuple[Tensor, Tensor],
        x: Tensor,
        start: Tensor,
        grid: Grid,
    ) -> Tensor:
        """What the student should predict at x [2B, N, D]: the x_0 from which one DDIM step lands where the teacher's
        `substeps` do (Salimans and Ho 2022, appendix G)."""
        guided = _Guided(teacher, batch, style, nulls, self.config.distil)
        begin, place = x, start
        for _ in range(self.config.distil.substeps):
            x0 = guided(x, grid.t[place], grid.after(place + 1))
            alpha, sigma = grid.alpha[place][:, None, None], grid.sigma[place][:, None, None]
            place = place + 1
            following = grid.alpha[place][:, None, None], grid.sigma[place][:, None, None]
            x = following[0] * x0 + following[1] / sigma * (x - alpha * x0)
        alpha, sigma = grid.alpha[start][:, None, None], grid.sigma[start][:, None, None]
        kept = grid.sigma[place][:, None, None] / sigma
        return (x - kept * begin) / (grid.alpha[place][:, None, None] - kept * alpha)


class Grid:
    """The teacher's diffusion steps from noise to motion: t [n], and alpha and sigma [n + 1], the last of which stand
    for the clean sample."""

    def __init__(self, t: Tensor, alpha: Tensor, sigma: Tensor) -> None:
        self.t, self.alpha, self.sigma = t, alpha, sigma

    def after(self, place: Tensor) -> Tensor:
        """The diffusion steps at places [B] of 1 .. n; -1 stands for the clean sample."""
        return torch.cat([self.t, self.t.new_tensor([-1])])[place]


def fine_grid(config: TrainConfig, device: torch.device) -> Grid:
    """The steps of teacher and student: every `substeps`-th one is the student's, as its sampler spaces them."""
    schedule = Schedule.cosine(config.model.diffusion_steps)
    t = spaced_timesteps(schedule.steps - 1, config.distil.steps * config.distil.substeps)
    alpha, sigma = (
        torch.tensor([*values[t].tolist(), last], dtype=torch.float32, device=device)
        for values, last in ((schedule.alpha, 1.0), (schedule.sigma, 0.0))
    )
    return Grid(torch.from_numpy(t).to(device), alpha, sigma)


class _Guided:
    """The teacher's guided prediction (paper eq. 6): x_t [2B, N, D], t [2B] -> x0_hat."""

    def __init__(
        self, teacher: Model, batch: Batch, style: Style, nulls: tuple[Tensor, Tensor], config: DistilConfig
    ) -> None:
        audio_null, style_null = nulls
        ones = torch.ones_like(audio_null)
        audio, plain = config.guidance_audio, 1.0 + config.guidance_audio + config.guidance_style
        branches = [(plain, audio_null, style_null)]
        if audio:
            branches.append((-audio, ones, style_null))
        if config.guidance_style:
            branches.append((-config.guidance_style, audio_null, ones))
        self._denoiser, self._mask = teacher.denoiser, batch["mask"]
        self._branches = [
            (
                factor,
                teacher.denoiser.condition(batch["audio"], batch["previous"], batch["start"], style, *dropped),
            )
            for factor, *dropped in branches
        ]

    def __call__(self, x: Tensor, t: Tensor, following: Tensor) -> Tensor:
        parts = [
            factor * self._denoiser(x, t, self._mask, condition, following) for factor, condition in self._branches
        ]
        return sum(parts[1:], start=parts[0])


def load_teacher(config: TrainConfig) -> Model | None:
    """The teacher of a configuration, if it names one.

    Raises:
        UsageError: it is no run, or its model is another one than the student's.
    """
    if not config.distil.teacher:
        return None
    from training.network.run_folder import load_run

    run = Path(config.distil.teacher)
    theirs, teacher, _ = load_run(run)
    if _weights(teacher) != _weights(Model(config.model)):
        raise UsageError(f"the teacher {run} is another model than the student", hint="give both the same `model`")
    if theirs.distil.teacher:
        raise UsageError(f"the teacher {run} is a student itself", hint="give the run that it learned from")
    return teacher.requires_grad_(False)


def _weights(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}
