"""The mouth's own path learned anew, all else of its model standing (`training.network.mouth`)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch

from msmdcli.errors import MsmdError
from training.config import TrainConfig
from training.data.dataset import PairBatches
from training.data.lip_gap import lip_gap
from training.loop.mouth_line import fit_mouth_line
from training.loop.reporting import Reporter
from training.network.model import Model
from training.network.objective import Objective

RATE = 2e-3  # of learning, falling along a cosine to a twentieth
WARM = 50  # steps


def mouth_anew(
    config: TrainConfig, trained: Model, batches: PairBatches, curves: Sequence[int], report: Reporter
) -> tuple[Model, list[dict[str, float]]]:
    """A model whose mouth is learned anew in `config.mouth_anew` steps, and the log of its losses.

    Style codes get particular over a long training, and a path that learns all along with them knows the people of the
    training better and strangers worse. What a path learns in some hundred steps from codes that stand holds for both.

    Args:
        config: sizes, losses and seed.
        trained: all else of the model.
        batches: the training data, with the run's normalisation.
        curves: [heard] the channels of the ear's mouth curves (`ear_curves`).
        report: where progress goes.

    Raises:
        MsmdError: the loss is no number.
    """
    torch.manual_seed(config.seed)
    model = Model(config.model)
    kept = {name: value for name, value in trained.state_dict().items() if ".mouth_path." not in name}
    absent = set(model.state_dict()) - set(kept)
    assert all(".mouth_path." in name for name in absent)
    model.load_state_dict(kept, strict=False)
    model.eval().requires_grad_(False)
    path = model.denoiser.mouth_path.train().requires_grad_(True)
    mean, std = (buffer.numpy() for buffer in (model.denoiser.audio_mean, model.denoiser.audio_std))
    sizes = config.model
    path.keep_line(fit_mouth_line(batches, curves, sizes.mouth_channels, mean, std))
    objective = Objective(model, config, batches.rig)
    slope, rest = lip_gap(batches.rig)
    units = batches.normalisation
    assert units is not None, "batches are normalised as the run is"
    objective.set_lip_gap(torch.from_numpy(slope * units.std), rest + float(slope @ units.mean))
    learned = [parameter for parameter in path.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=config.optimiser.weight_decay)
    log, started = [], time.monotonic()
    for step in range(config.mouth_anew):
        torch.manual_seed(config.seed * 1_000_003 + step)
        batch = {name: torch.as_tensor(value) for name, value in batches[step].items()}
        losses = objective(batch, mouth_only=True)
        if not math.isfinite(float(losses["total"].detach())):
            raise MsmdError(f"the loss is {float(losses['total'])} at step {step}", hint="look at the data")
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(learned, config.optimiser.clip_gradient)
        falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / config.mouth_anew))
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM) * falling
        optimiser.step()
        if (step + 1) % config.schedule.log_every == 0:
            shown = {name: float(value.detach()) for name, value in losses.items()}
            log.append({"step": step + 1, **{name: round(value, 6) for name, value in shown.items()}})
            left = (time.monotonic() - started) / (step + 1) * (config.mouth_anew - step - 1)
            report.step(step + 1, config.mouth_anew, shown, left)
    return model.eval(), log
