"""Results of a model that are used again while model, data set and options are the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.model.sampling import Sampling
from msmdcli.system.files import sha256_of, whole_file
from msmdcli.system.npz_file import NpzError, read_npz
from training.evaluation.material import EvaluateOptions, Material
from training.evaluation.measuring import ComparisonHead

PROTOCOL_VERSION = 8


def result_key(
    path: Path, material: Material, face: ComparisonHead, options: EvaluateOptions, sampling: Sampling
) -> str:
    """What results depend on; threads, the report's pictures and paths do not matter."""
    parts = {
        "protocol": PROTOCOL_VERSION,
        "bundle": sha256_of(path / "bundle.json"),
        "material": material.key,
        "head": sha256_of(face.path),
        "options": asdict(replace(options, threads=0, pictures=0, head=None, straight_sources=())),
        "sampling": sampling.description(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def store_results(path: Path, key: str, found: dict[str, Any]) -> None:
    table = json.dumps({"key": key, **{name: value for name, value in found.items() if name != "curves"}})
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, table=np.array(table), **{f"clip:{id}": curve for id, curve in found["curves"].items()}
        )


def stored_results(path: Path, key: str) -> dict[str, Any] | None:
    """Results of an earlier run, or None where there are none with this key."""
    try:
        arrays = read_npz(path)
        table = json.loads(str(arrays["table"]))
        if table.pop("key") != key:
            return None
        curves = {name.removeprefix("clip:"): curve for name, curve in arrays.items() if name.startswith("clip:")}
        return {**table, "curves": curves}
    except (NpzError, ValueError, KeyError, AttributeError, RecursionError):
        return None
