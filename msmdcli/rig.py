"""A rig: the animation channels, their order, ranges and regions. D is the number of channels."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from msmdcli.errors import MsmdError
from msmdcli.paths import PACKAGE

FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class Rig:
    """The channels that a motion's columns stand for.

    Attributes:
        name: e.g. `arkit52`.
        channels: [D] names, in the order of a motion's columns.
        lower, upper: [D] float32, the smallest and largest allowed value (infinite where there is no bound).
        regions: region name -> its channels, in rig order. Besides the regions proper (each channel is in exactly one)
            there are unions of them, such as `upper`, `lower` and `face` in arkit52.
        rotation: the channels that hold head pitch, yaw, roll in radians, R = Rz(roll) Ry(yaw) Rx(pitch); or None.
    """

    name: str
    channels: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    regions: dict[str, tuple[str, ...]]
    rotation: tuple[str, str, str] | None = None

    @property
    def size(self) -> int:
        """D, the number of channels."""
        return len(self.channels)

    def index(self, name: str) -> int:
        """The column of one channel."""
        if name not in self.channels:
            raise MsmdError(f"rig {self.name} has no channel {name!r}", hint=did_you_mean(name, self.channels))
        return self.channels.index(name)

    def indices(self, region: str) -> np.ndarray:
        """The columns of a region, ascending, int64."""
        if region not in self.regions:
            raise MsmdError(f"rig {self.name} has no region {region!r}", hint=did_you_mean(region, self.regions))
        return np.array([self.channels.index(name) for name in self.regions[region]], dtype=np.int64)

    @property
    def rotation_indices(self) -> tuple[int, int, int] | None:
        """The columns of head pitch, yaw and roll, or None where the rig has no head."""
        if self.rotation is None:
            return None
        pitch, yaw, roll = (self.channels.index(name) for name in self.rotation)
        return pitch, yaw, roll

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Rig)
            and (self.name, self.channels, self.regions, self.rotation)
            == (other.name, other.channels, other.regions, other.rotation)
            and np.array_equal(self.lower, other.lower)
            and np.array_equal(self.upper, other.upper)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.channels))

    @staticmethod
    def load(name: str | Path) -> Rig:
        """A rig by its name (those in `msmdcli/rigs`) or from a YAML file of the same form."""
        shipped = {path.stem: path for path in sorted((PACKAGE / "rigs").glob("*.yaml"))}
        path = shipped.get(str(name), Path(name))
        if not path.is_file():
            raise MsmdError(
                f"rig {str(name)!r} is neither a known rig nor a file", hint=f"known rigs: {', '.join(shipped)}"
            )
        return _read(path)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known names, or lists all."""
    names = list(known)
    near = difflib.get_close_matches(given, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"


@lru_cache(maxsize=16)
def _read(path: Path) -> Rig:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MsmdError(f"rig file {path} cannot be read: {error}") from error
    try:
        return _parse(data)
    except MsmdError as error:
        raise MsmdError(f"rig file {path}: {error.message}", hint=error.hint) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MsmdError(
            f"rig file {path} does not have the form of a rig ({type(error).__name__}: {error})",
            hint="compare with msmdcli/rigs/arkit52.yaml",
        ) from error


def _parse(data: dict[str, Any]) -> Rig:
    unknown = set(data) - {"format_version", "name", "rotation", "channels", "unions"}
    if unknown:
        raise MsmdError(f"unknown key {min(unknown)!r}")
    if data["format_version"] != FORMAT_VERSION:
        raise MsmdError(f"format_version {data['format_version']!r}; this program reads {FORMAT_VERSION}")
    channels = tuple(str(channel["name"]) for channel in data["channels"])
    if not channels or len(set(channels)) != len(channels):
        raise MsmdError("the list of channels is empty or names a channel twice")
    bounds = [channel.get("range") or [None, None] for channel in data["channels"]]
    lower = np.array([-np.inf if low is None else low for low, _ in bounds], dtype=np.float32)  # [D]
    upper = np.array([np.inf if high is None else high for _, high in bounds], dtype=np.float32)  # [D]
    if not (lower < upper).all():
        raise MsmdError(f"empty range of channel {channels[int(np.argmin(lower < upper))]}")

    regions: dict[str, tuple[str, ...]] = {}
    for channel in data["channels"]:
        regions[channel["region"]] = (*regions.get(channel["region"], ()), channel["name"])
    for union, parts in (data.get("unions") or {}).items():
        wrong = [part for part in parts if part not in regions and part not in channels]
        if wrong or union in regions:
            raise MsmdError(f"union {union!r}: " + (f"no region or channel {wrong[0]!r}" if wrong else "name is taken"))
        members = {name for part in parts for name in regions.get(part, (part,))}
        regions[union] = tuple(name for name in channels if name in members)

    rotation = data.get("rotation")
    if rotation is not None and (len(rotation) != 3 or not set(rotation) <= set(channels)):
        raise MsmdError(f"rotation must name three channels (pitch, yaw, roll), not {rotation!r}")
    lower.setflags(write=False)
    upper.setflags(write=False)
    return Rig(str(data["name"]), channels, lower, upper, regions, tuple(rotation) if rotation else None)
