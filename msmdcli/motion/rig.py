"""A rig: the animation channels, their order, ranges and regions. D is the number of channels.

A rig file is YAML; `msmdcli/shipped/rigs/arkit52.yaml` explains its keys. Besides the channels it may hold what belongs
to one head: a mesh decoder (an npz of morph targets in mm, or an ONNX file for a learned code), the vertices that
measures look at, and the head's own names of its morph targets. `msmd rig import` writes such files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import load_small_yaml
from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.paths import SHIPPED

FORMAT_VERSION = 1
KEYS = ("format_version", "name", "rotation", "channels", "unions", "decoder", "vertices", "targets")
CHANNEL_KEYS = ("name", "region", "range", "count", "first")
DECODER_KEYS = ("mesh", "onnx", "surface", "sha256")
VERTEX_SETS = ("face", "lips", "upper_face", "mouth_opening", "mouth_line", "lining")
MOST_CHANNELS = 10_000
MOST_NUMBERS = 1_000_000  # of vertices in a set
MOST_BYTES = 32 << 20  # lists of vertices are long


@dataclass(frozen=True)
class DecoderFile:
    """Where a rig's mesh decoder is.

    Attributes:
        mesh: npz of `msmdcli.heads.mesh.save_mesh` (linear); None for a learned code.
        onnx: graph of `msmdcli.heads.learned_code` (motion -> vertices); None for a linear decoder.
        surface: npz with the triangles of what the graph gives; only to draw it.
        sha256: of `mesh` or `onnx`, checked when it is loaded; None: not checked.
    """

    mesh: Path | None = None
    onnx: Path | None = None
    surface: Path | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """The npz or the graph."""
        return self.mesh or self.onnx or Path()


@dataclass(frozen=True, eq=False)
class Rig:
    """The channels that a motion's columns stand for. Two rigs are equal when their channels, ranges and regions are.

    Attributes:
        name: e.g. `arkit52`.
        channels: [D] names, in the order of a motion's columns.
        lower, upper: [D] float32, the smallest and largest allowed value (infinite where there is no bound).
        regions: region name -> its channels, in rig order. Besides the regions proper (each channel is in at most one)
            there are unions of them, such as `upper`, `lower` and `face` in arkit52. May be empty.
        rotation: the channels that hold head pitch, yaw, roll in radians, R = Rz(roll) Ry(yaw) Rx(pitch); or None.
        decoder: how to get vertices from the channels; see `msmdcli.heads.mesh.load_head`.
        vertices: names of `VERTEX_SETS` -> [n] int64 vertex numbers of the decoder's mesh. `mouth_opening` is the upper
            and the lower mid-lip point.
        targets: channel -> the head's own names of the morph targets that make it.
    """

    name: str
    channels: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    regions: dict[str, tuple[str, ...]]
    rotation: tuple[str, str, str] | None = None
    decoder: DecoderFile | None = None
    vertices: Mapping[str, np.ndarray] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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

    def columns(self, *regions: str) -> np.ndarray:
        """The columns of those of the regions that the rig has, int64; none where it has none of them."""
        there = [self.indices(region) for region in regions if region in self.regions]
        return np.concatenate(there) if there else np.zeros(0, np.int64)

    @property
    def face_columns(self) -> np.ndarray:
        """The columns of the face, ascending: region `face`, or all but the head rotation where there is no such."""
        if "face" in self.regions:
            return self.indices("face")
        return np.array([c for c in range(self.size) if c not in self.head_columns], dtype=np.int64)

    @property
    def head_columns(self) -> np.ndarray:
        """The columns of the head, ascending: region `head`, or the head rotation where there is no such."""
        if "head" in self.regions:
            return self.indices("head")
        return np.array(sorted(self.rotation_indices or ()), dtype=np.int64)

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
        """A rig by its name (those in `msmdcli/shipped/rigs`) or from a YAML file of the same form."""
        shipped = shipped_rigs()
        path = shipped.get(str(name), Path(name))
        if not path.is_file():
            raise MsmdError(
                f"rig {str(name)!r} is neither a known rig nor a file", hint=f"known rigs: {', '.join(shipped)}"
            )
        stat = path.stat()
        return _read(path, stat.st_mtime_ns, stat.st_size)

    @staticmethod
    def shipped_as(name: str) -> Rig:
        """A rig that ships, by its name. For names in files of others: such a name is never taken for a path."""
        if name not in shipped_rigs():
            raise MsmdError(f"rig {name[:80]!r} is not known", hint=f"known rigs: {', '.join(shipped_rigs())}")
        return Rig.load(name)

    @staticmethod
    def from_definition(text: str) -> Rig:
        """The rig that `definition` described: channels, ranges and regions, without a decoder.

        Raises:
            MsmdError: it does not describe a rig.
        """
        try:
            return _parse(json.loads(text), Path())
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise MsmdError(f"the description of its rig is damaged ({type(error).__name__}: {error})") from error

    def definition(self) -> str:
        """Channels, ranges, regions and rotation as JSON, for files that must be understood without the rig file."""
        region = {name: r for r, names in reversed(self.regions.items()) for name in names}  # the first that has it
        proper = {region[name] for name in self.channels if name in region}
        entries = []
        for name, low, high in zip(self.channels, self.lower.tolist(), self.upper.tolist(), strict=True):
            bounds = [None if np.isinf(low) else low, None if np.isinf(high) else high]
            entries.append({"name": name, **({"region": region[name]} if name in region else {}), "range": bounds})
        unions = {r: list(names) for r, names in self.regions.items() if r not in proper}
        rotation = list(self.rotation) if self.rotation else None
        whole = {"format_version": FORMAT_VERSION, "name": self.name, "rotation": rotation, "channels": entries}
        return json.dumps({**whole, "unions": unions})

    @property
    def shipped(self) -> bool:
        """Whether this rig is found by its name alone."""
        return self.name in shipped_rigs() and Rig.load(self.name) == self


def shipped_rigs() -> dict[str, Path]:
    """The rigs that ship, by name."""
    return {path.stem: path for path in sorted((SHIPPED / "rigs").glob("*.yaml"))}


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int, size: int) -> Rig:
    """The rig of a file; time and size are only there as the cache's key."""
    try:
        data = load_small_yaml(path, MOST_BYTES)
    except DocumentError as error:
        raise MsmdError(f"rig file {error.message}", hint=error.hint) from error
    try:
        return _parse(data, path.parent)
    except MsmdError as error:
        raise MsmdError(f"rig file {path}: {error.message}", hint=error.hint) from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MsmdError(
            f"rig file {path} does not have the form of a rig ({type(error).__name__}: {error})",
            hint="compare with msmdcli/shipped/rigs/arkit52.yaml",
        ) from error


def _parse(data: dict[str, Any], folder: Path) -> Rig:
    """A rig of the plain values of its file; paths in it start from `folder`."""
    _check_keys(data, KEYS)
    if data["format_version"] != FORMAT_VERSION:
        raise MsmdError(f"format_version {data['format_version']!r}; this program reads {FORMAT_VERSION}")
    entries = [entry for channel in data["channels"] for entry in _spread(channel)]
    if len(entries) > MOST_CHANNELS:
        raise MsmdError(f"{len(entries)} channels")
    channels = tuple(str(entry["name"]) for entry in entries)
    if not channels or len(set(channels)) != len(channels):
        raise MsmdError("the list of channels is empty or names a channel twice")
    bounds = [entry.get("range") or [None, None] for entry in entries]
    lower = np.array([-np.inf if low is None else low for low, _ in bounds], dtype=np.float32)  # [D]
    upper = np.array([np.inf if high is None else high for _, high in bounds], dtype=np.float32)  # [D]
    if not (lower < upper).all():
        raise MsmdError(f"empty range of channel {channels[int(np.argmin(lower < upper))]}")

    regions: dict[str, tuple[str, ...]] = {}
    for entry, name in zip(entries, channels, strict=True):
        if entry.get("region") is not None:
            regions[str(entry["region"])] = (*regions.get(str(entry["region"]), ()), name)
    for union, parts in (data.get("unions") or {}).items():
        wrong = [part for part in parts if part not in regions and part not in channels]
        if wrong or union in regions:
            raise MsmdError(f"union {union!r}: " + (f"no region or channel {wrong[0]!r}" if wrong else "name is taken"))
        members = {name for part in parts for name in regions.get(part, (part,))}
        regions[union] = tuple(name for name in channels if name in members)

    rotation = data.get("rotation")
    if rotation is not None and (len(rotation) != 3 or not set(rotation) <= set(channels)):
        raise MsmdError(f"rotation must name three channels (pitch, yaw, roll), not {rotation!r}")
    targets = {str(name): tuple(map(str, chosen)) for name, chosen in (data.get("targets") or {}).items()}
    for name in targets:
        if name not in channels:
            raise MsmdError(f"targets: no channel {name!r}", hint=did_you_mean(name, channels))
    vertices = data.get("vertices") or {}
    _check_keys(vertices, VERTEX_SETS, "vertices: ")
    lower.setflags(write=False)
    upper.setflags(write=False)
    return Rig(
        str(data["name"]),
        channels,
        lower,
        upper,
        regions,
        tuple(rotation) if rotation else None,
        _decoder(data["decoder"], folder) if data.get("decoder") else None,
        {name: parse_numbers(str(text), name) for name, text in vertices.items()},
        targets,
    )


def _check_keys(data: Mapping[str, Any], known: Iterable[str], where: str = "") -> None:
    unknown = set(data) - set(known)
    if unknown:
        raise MsmdError(f"{where}unknown key {min(unknown, key=str)!r}", hint=did_you_mean(str(min(unknown)), known))


def _spread(channel: dict[str, Any]) -> list[dict[str, Any]]:
    """One channel; or, with a `count`, as many, whose number stands at the {} of the name."""
    _check_keys(channel, CHANNEL_KEYS, "channel: ")
    if "count" not in channel:
        return [channel]
    name, count, first = str(channel["name"]), int(channel["count"]), int(channel.get("first", 0))
    if "{}" not in name or not 1 <= count <= MOST_CHANNELS:
        raise MsmdError(f"channel {name!r}: a count is 1 or more, and its name holds {{}} for the number")
    return [{**channel, "name": name.replace("{}", str(first + number))} for number in range(count)]


def _decoder(data: dict[str, Any], folder: Path) -> DecoderFile:
    _check_keys(data, DECODER_KEYS, "decoder: ")
    paths = {key: folder / str(data[key]) for key in ("mesh", "onnx", "surface") if data.get(key)}
    if ("mesh" in paths) == ("onnx" in paths):
        raise MsmdError("decoder: give it a `mesh` (npz) or an `onnx` file, one of them")
    return DecoderFile(**paths, sha256=str(data["sha256"]) if data.get("sha256") else None)


def parse_numbers(text: str, what: str = "vertices") -> np.ndarray:
    """Numbers written as "3 7-12 40" -> [n] int64, in that order."""
    numbers: list[int] = []
    for word in text.replace(",", " ").split():
        first, _, last = word.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) < int(first):
            raise MsmdError(f"{what}: {word!r} is not a vertex number or a range such as 7-12")
        if int(last or first) > 10**8:
            raise MsmdError(f"{what}: there is no vertex {last or first}")
        if len(numbers) + int(last or first) - int(first) > MOST_NUMBERS:
            raise MsmdError(f"{what}: more than {MOST_NUMBERS} vertices")
        numbers += range(int(first), int(last or first) + 1)
    return np.array(numbers, dtype=np.int64)


def write_numbers(numbers: np.ndarray) -> str:
    """What `parse_numbers` reads."""
    words: list[str] = []
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1) if len(numbers) else []
    for run in runs:
        words.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return " ".join(words)
