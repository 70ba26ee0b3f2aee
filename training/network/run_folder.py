"""A run's folder as others read it: its configuration, its weights, its rig."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from msmdcli.errors import UsageError
from msmdcli.model.bundle import Normalisation
from msmdcli.motion.rig import Rig
from training.config import TrainConfig, config_from_dict
from training.network.model import Model

RUN_FORMAT = 1


def read_config(run: Path) -> TrainConfig:
    """The configuration that a run was trained with."""
    file = run / "config.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UsageError(
            f"{run} is not a training run: config.json cannot be read",
            hint="Give the folder that `msmd train --out` wrote.",
        ) from error
    if values.pop("format_version", None) != RUN_FORMAT:
        raise UsageError(
            f"{file} has another format version than {RUN_FORMAT}", hint="Train it again with this version of msmd."
        )
    return config_from_dict(values, str(file))


def run_rig(run: Path) -> Rig:
    """The rig that a run was trained on."""
    file = run / "rig.json"
    if not file.is_file():  # a run of an earlier version
        return Rig.load("arkit52")
    return Rig.from_definition(file.read_text(encoding="utf-8"))


def load_run(run: Path, which: str = "best") -> tuple[TrainConfig, Model, Normalisation]:
    """Configuration, EMA model (evaluation mode) and normalisation of a finished or running run.

    Args:
        which: "best" or "latest"; without a best checkpoint the latest is taken.
    """
    config = read_config(run)
    folder = run / which if (run / which).is_dir() else run / "latest"
    if not folder.is_dir():
        raise UsageError(f"{run} holds no checkpoint yet", hint="Wait for the first one (schedule.checkpoint_every).")
    model = Model(config.model)
    model.load_state_dict(load_file(folder / "ema.safetensors"))
    with np.load(run / "statistics.npz", allow_pickle=False) as stored:
        normalisation = Normalisation(stored["mean"], stored["std"])
    return config, model.eval(), normalisation
