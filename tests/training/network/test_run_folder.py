"""A run's folder that is damaged ends in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from msmdcli.errors import MsmdError, UsageError
from training.network.run_folder import load_weights, read_config, read_statistics


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"{}", b"\x08\0\0\0\0\0\0\0{}      "])
def test_weights_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ema.safetensors"
    path.write_bytes(content)
    with pytest.raises(MsmdError, match=r"checkpoint .*ema\.safetensors cannot be read") as caught:
        load_weights(torch.nn.Linear(2, 2), path)
    assert "\n" not in caught.value.message


def test_weights_of_another_network_or_of_nan(tmp_path: Path) -> None:
    path = tmp_path / "ema.safetensors"
    save_file(torch.nn.Linear(3, 2).state_dict(), path)
    with pytest.raises(MsmdError, match="cannot be read"):
        load_weights(torch.nn.Linear(2, 2), path)
    save_file({"weight": torch.full((2, 2), torch.nan), "bias": torch.zeros(2)}, path)
    with pytest.raises(MsmdError, match="NaN"):
        load_weights(torch.nn.Linear(2, 2), path)
    with pytest.raises(MsmdError, match="cannot be read"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"mean": np.zeros(3)},
        {"mean": np.zeros(3), "std": np.full(3, np.nan)},
        {"mean": np.array("x"), "std": np.zeros(3)},
    ],
)
def test_statistics_that_are_none(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "statistics.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(MsmdError, match=r"statistics\.npz"):
        read_statistics(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format_version": NaN}', "\ud800"])
def test_a_configuration_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError):
        read_config(tmp_path)
