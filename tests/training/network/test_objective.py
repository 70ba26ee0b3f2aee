"""What the losses tell which channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from msmdcli.motion.rig import Rig
from training.config import load_config
from training.data.lip_gap import lip_gap
from training.loop.mouth_line import mouth_columns
from training.network.losses import LossWeights
from training.network.model import Condition, Model
from training.network.objective import Objective, region_columns

RIG = Rig.load("arkit52")


def test_one_channel_closes_the_lips_and_the_jaw_is_told_nothing_of_it() -> None:
    config = load_config(preset="tiny")
    sizes = replace(config.model, audio_dim=8, mouth_width=8, mouth_channels=mouth_columns(RIG))
    config = replace(config, model=sizes, loss=LossWeights(simple=0.0, velocity=0.0, smooth=0.0, kl=0.0, gap=1.0))
    objective = Objective(Model(sizes), config, RIG)
    slope, rest = lip_gap(RIG)
    objective.set_lip_gap(torch.from_numpy(slope).float(), float(rest))

    frames, D = sizes.window, RIG.size
    mouth = torch.full((2, frames, D), 0.3).requires_grad_(True)
    empty = torch.zeros(0)
    condition = Condition(empty, empty, empty, empty, empty, mouth=mouth)
    batch = {
        "motion": torch.zeros(2, frames, D),
        "previous": torch.zeros(2, sizes.previous, D),
        "start": torch.ones(2),
    }
    losses = objective.mouth_losses(batch, condition, torch.ones(2, frames), torch.zeros(()))
    losses["total"].backward()

    assert losses["gap"] > 0 and mouth.grad is not None
    told = mouth.grad.abs().amax((0, 1))  # [D]
    assert np.flatnonzero(told.numpy()).tolist() == [RIG.index("mouthClose")]
    assert slope[region_columns(RIG, "jaw")].any()  # though it parts the lips
