"""What `bundle.json` must say to be believed: its types, its bounds, and the checksum that the export put into it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.console import printable
from msmdcli.errors import MsmdError
from msmdcli.model.normalisation import Normalisation, Pairs
from msmdcli.motion.motion import LONGEST_RATE
from msmdcli.motion.rig import Rig

CHECKSUM = "description_sha256"
APART = ("training", "licence", "name", "defaults", CHECKSUM)  # they change no output, and may be edited by hand
SLACK = 1e-3  # that a mean may lie outside its channel's range: it is rounded


def description_sha256(data: Mapping[str, Any]) -> str:
    """sha256 of all that a description says and that can change an output."""
    relevant = {key: value for key, value in data.items() if key not in APART}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def check_description(data: Mapping[str, Any]) -> None:
    """Refuse a description whose values are not what their names say.

    Raises:
        MsmdError: what is wrong.
        KeyError: something is not there.
    """
    if CHECKSUM in data and data[CHECKSUM] != description_sha256(data):
        raise MsmdError("it is not as it was exported (its checksum differs)", hint="copy or export the bundle again")
    for name in ("normalisation", "window", "diffusion", "audio_encoder", "files"):
        _mapping(data[name], name)
    for name in ("model", "defaults", "training", "licence"):
        if data.get(name) is not None:
            _mapping(data[name], name)
    channels = data["channels"]
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise MsmdError("`channels` is no list of names")
    for name in ("frames", "previous"):
        _whole(data["window"][name], f"window.{name}", 1, 10_000)
    _whole(data["diffusion"].get("steps", 1000), "diffusion.steps", 1, 100_000)
    _number(data["diffusion"].get("s", 0.008), "diffusion.s", 0, 1)
    encoder = data["audio_encoder"]
    for name, high in (("rate", 1_000_000), ("dim", 100_000), ("stack", 100)):
        _whole(encoder.get(name), f"audio_encoder.{name}", 1, high)
    rate = str(encoder.get("feature_rate"))
    if len(rate) > LONGEST_RATE or "e" in rate.lower():  # 1e999999999 takes for ever
        raise MsmdError(f"audio_encoder.feature_rate is {rate[:LONGEST_RATE]!r}")
    chunk = _number(encoder.get("chunk_seconds"), "audio_encoder.chunk_seconds", 0.01, 3600)
    _number(encoder.get("overlap_seconds"), "audio_encoder.overlap_seconds", 0, chunk / 2)
    _check_defaults(data.get("defaults") or {})
    style_dim = (data.get("model") or {}).get("style_dim", 0)
    _whole(style_dim, "model.style_dim", 0, 100_000)
    for name, entry in data["files"].items():
        if Path(name).name != name:
            raise MsmdError(f"file name {name!r} is not inside the bundle")
        if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
            raise MsmdError(f"files.{name} has no sha256")


def normalisation_of(data: Mapping[str, Any], rig: Rig) -> Normalisation:
    """Mean and standard deviation of the training motion, and which channels are one.

    Raises:
        MsmdError: they are not finite numbers, or no motion on the rig can have them.
    """
    rows = []
    for name in ("mean", "std"):
        row = data["normalisation"][name]
        if not isinstance(row, list) or any(isinstance(v, bool) or not isinstance(v, int | float) for v in row):
            raise MsmdError(f"normalisation.{name} is no list of numbers")
        rows.append(np.asarray(row, dtype=np.float64))
    mean, std = rows
    if mean.shape != (rig.size,) or std.shape != (rig.size,):
        raise MsmdError(f"normalisation of shape {mean.shape} and {std.shape} for {rig.size} channels")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()):
        raise MsmdError("normalisation holds NaN, infinity or a negative deviation")
    opposed = _opposed(data["normalisation"].get("opposed", []), rig)
    lower, upper = rig.lower.astype(np.float64), rig.upper.astype(np.float64)
    for one, other in opposed:
        lower[one] = -upper[other]
    outside = (mean < lower - SLACK) | (mean > upper + SLACK) | (std > upper - lower + SLACK)
    if outside.any():
        d = int(np.argmax(outside))
        raise MsmdError(
            f"normalisation of {rig.channels[d]} has the mean {mean[d]:g} and the deviation {std[d]:g}, which no motion"
            f" from {lower[d]:g} to {upper[d]:g} can have"
        )
    return Normalisation(mean.astype(np.float32), std.astype(np.float32), opposed)


def _opposed(named: object, rig: Rig) -> Pairs:
    """The columns of pairs of channels, no channel twice."""
    if not isinstance(named, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in named):
        raise MsmdError("normalisation.opposed is no list of pairs of channels")
    names = [name for pair in named for name in pair]
    for name in names:
        if not isinstance(name, str) or name not in rig.channels:
            raise MsmdError(f"normalisation.opposed: rig {rig.name} has no channel {printable(str(name)[:80])}")
    if len(set(names)) < len(names):
        raise MsmdError("normalisation.opposed has a channel twice")
    return tuple((rig.channels.index(one), rig.channels.index(other)) for one, other in named)


def _check_defaults(defaults: Mapping[str, Any]) -> None:
    if not isinstance(defaults.get("sampler", ""), str):
        raise MsmdError("defaults.sampler is no name")
    for steps in ("steps", "generated_steps"):
        if defaults.get(steps) is not None:
            _whole(defaults[steps], f"defaults.{steps}", 1, 100_000)
    guidance = defaults.get("guidance") or {}
    _mapping(guidance, "defaults.guidance")
    for name, high in (("audio", 10), ("style", 10), ("rescale", 1)):
        _number(guidance.get(name, 0), f"defaults.guidance.{name}", 0, high)
    interval = guidance.get("interval", [0, 1])
    if not isinstance(interval, list) or len(interval) != 2:
        raise MsmdError("defaults.guidance.interval is not two numbers")
    for value in interval:
        _number(value, "defaults.guidance.interval", 0, 1)


def _mapping(value: Any, what: str) -> None:
    if not isinstance(value, dict):
        raise MsmdError(f"`{what}` is no object")


def _whole(value: Any, what: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MsmdError(f"{what} is {value!r:.40}, not a whole number from {low} to {high}")


def _number(value: Any, what: str, low: float, high: float) -> float:
    fine = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not fine or not low <= value <= high:
        raise MsmdError(f"{what} is {value!r:.40}, not a number from {low:g} to {high:g}")
    return float(value)
