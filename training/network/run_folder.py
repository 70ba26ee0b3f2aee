"""A run's folder as others read it: its configuration, its weights, its rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from msmdcli.documents.json_file import read_json
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.normalisation import Normalisation, eye_pairs
from msmdcli.motion.rig import Rig
from msmdcli.system.npz_file import read_npz
from training.config import TrainConfig, config_from_dict
from training.network.model import Model

RUN_FORMAT = 1


def read_config(run: Path) -> TrainConfig:
    """The configuration that a run was trained with."""
    file = run / "config.json"
    try:
        values = read_json(file)
    except DocumentError as error:
        raise UsageError(
            f"{run} is not a training run: config.json cannot be read ({error.message})",
            hint="Give the folder that `msmd train --out` wrote.",
        ) from error
    if not isinstance(values, dict) or values.pop("format_version", None) != RUN_FORMAT:
        raise UsageError(
            f"{file} has another format version than {RUN_FORMAT}", hint="Train it again with this version of msmd."
        )
    return config_from_dict(values, str(file))


def run_rig(run: Path) -> Rig:
    """The rig that a run was trained on."""
    file = run / "rig.json"
    if not file.is_file():  # a run of an earlier version
        return Rig.load("arkit52")
    try:
        return Rig.from_definition(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MsmdError(f"{file} cannot be read ({error})", hint="restore it, or train again") from error


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Put the weights of a safetensors file into a module.

    Raises:
        MsmdError: it cannot be read, is damaged, or its tensors are not those of the module.
    """
    try:
        module.load_state_dict(load_file(path))
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise MsmdError(
            f"checkpoint {path} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="Start anew, or restore the folder.",
        ) from error
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise MsmdError(f"checkpoint {path} holds NaN or infinity", hint="Start anew, or restore the folder.")


def read_statistics(run: Path) -> dict[str, np.ndarray]:
    """`mean` and `std` [D] of a run's motion, `audio_mean` and `audio_std` [C] of its audio features (a run of an early
    version has none).

    Raises:
        MsmdError: the file cannot be read or is damaged.
    """
    path = run / "statistics.npz"
    found = read_npz(path)
    absent = [name for name in ("mean", "std") if name not in found]
    if absent:
        raise MsmdError(f"{path} has no {absent[0]}", hint="restore it, or train again")
    for name, values in found.items():
        if values.dtype.kind != "f" or values.ndim != 1 or not np.isfinite(values).all():
            raise MsmdError(f"{path}: {name} is no row of finite numbers", hint="restore it, or train again")
    return found


def read_normalisation(run: Path, config: TrainConfig) -> Normalisation:
    """How a run's motion is normalised.

    Raises:
        MsmdError: as `read_statistics`.
    """
    stored = read_statistics(run)
    opposed = eye_pairs(run_rig(run)) if config.signed_eyes else ()
    return Normalisation(stored["mean"], stored["std"], opposed)


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
    load_weights(model, folder / "ema.safetensors")
    return config, model.eval(), read_normalisation(run, config)
