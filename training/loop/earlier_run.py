"""Start where another run ended: its ear, mouth and style encoder stay as they are, its denoiser goes on learning.

The mouth and the styles are learned within an hour, what is sampled takes many. So a new way of sampling
(`model.prior`, another weighting of the steps) reaches a run whose mouth has been measured and approved, and leaves
that mouth bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from msmdcli.errors import UsageError
from msmdcli.model.normalisation import Normalisation
from training.network.model import Model
from training.network.run_folder import load_run, read_statistics

KEPT = ("style_encoder.", "denoiser.mouth_path.")

Array = NDArray[np.float32]


def start_from(run: Path, models: Sequence[Model]) -> tuple[Normalisation, tuple[Array, Array]]:
    """Give models the weights of a finished run, and freeze what stays.

    Returns:
        The run's normalisation, and the mean and deviation of its audio features.

    Raises:
        UsageError: it is no run, or its model has other sizes or an ear that was learned otherwise.
    """
    theirs, trained, normalisation = load_run(run, "latest")
    weights = {name: value for name, value in trained.state_dict().items() if ".prior." not in name}
    for model in models:
        mine = model.state_dict()
        other = sorted(
            name for name in (set(weights) | set(mine)) - {n for n in mine if ".prior." in n}
            if name not in weights or name not in mine or weights[name].shape != mine[name].shape
        )  # fmt: skip
        if other:
            raise UsageError(
                f"the run {run} has another model than this one: {other[0]}", hint="give both the same `model`"
            )
        model.load_state_dict(weights, strict=False)
        if model.config.prior and not theirs.model.prior:  # it said the whole motion, and says a correction now
            torch.nn.init.zeros_(model.denoiser.head.weight)
            torch.nn.init.zeros_(model.denoiser.head.bias)
        freeze_kept(model)
    stored = read_statistics(run)
    return normalisation, (stored["audio_mean"], stored["audio_std"])


def freeze_kept(model: Model) -> None:
    """Training leaves alone what stays."""
    for name, parameter in model.named_parameters():
        if name.startswith(KEPT):
            parameter.requires_grad_(False)
