"""Curve maps: from a rig's channels to a studio's own controls.

A curve map is a YAML (or JSON) file:

    version: 1
    name: hero                  # of the rig that comes out
    source: arkit52             # rig that goes in; the default
    rotation: [neck_x, neck_y, neck_z]    # optional: controls that hold head pitch, yaw, roll in radians
    helpers:                    # optional: values that only other entries use; they are not written
      corner_left: {mix: {mouthSmileLeft: 1, mouthFrownLeft: -1}}
    controls:                   # what is written, in this order
      jaw_open: jawOpen                                        # a copy
      jaw_side: {mix: {jawLeft: 1, jawRight: -1}, clamp: [-1, 1]}
      smile_l: {from: corner_left, half: positive, gain: 1.2, clamp: [0, 1]}
      sad_l: {from: corner_left, half: negative}
      tongue: {constant: 0}

An entry is computed in this order: `mix` (a weighted sum; `from: x` is `mix: {x: 1}`), `half` (`positive` is max(x, 0),
`negative` is max(-x, 0)), times `gain`, plus `offset`, held within `clamp`. A name in a mix is a channel of the source,
else a helper or a control. The map is strict: everything that is wrong is reported at once, with file, line, column
and the nearest valid word.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from msmdcli.documents.nodes import DocumentError, Key, Node
from msmdcli.documents.reader import ProblemList, Reader
from msmdcli.documents.tree import read_document
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig, shipped_rigs
from msmdcli.paths import SHIPPED

VERSION = 1
TOP_KEYS = ("version", "name", "description", "source", "rotation", "helpers", "controls")
ENTRY_KEYS = ("from", "mix", "half", "gain", "offset", "clamp", "constant", "region")
HALVES = ("positive", "negative")
LARGEST = 1e6  # no weight, gain or offset is larger


class CurveMapError(ProblemList):
    """Everything that is wrong with a curve map."""

    kind = "curve map"
    usual_hint = "nothing was written; correct the curve map and run again"


@dataclass(frozen=True)
class Entry:
    """One control or helper.

    Attributes:
        name: of the control.
        mix: (source channel, helper or control; weight), in the order written; empty for a constant.
        half: `positive`, `negative`, or empty for both.
        gain, offset: applied in this order.
        clamp: (low, high), infinite where there is no bound.
        region: its region on the target rig; None: that of what it follows most.
    """

    name: str
    mix: tuple[tuple[str, float], ...]
    half: str = ""
    gain: float = 1.0
    offset: float = 0.0
    clamp: tuple[float, float] = (-np.inf, np.inf)
    region: str | None = None

    def compute(self, values: Mapping[str, np.ndarray], frames: int) -> np.ndarray:
        """[T] float64 from the values [T] of everything that it mixes."""
        mixed = np.zeros(frames)
        for name, weight in self.mix:
            mixed = mixed + weight * values[name]
        if self.half:
            mixed = np.maximum(mixed if self.half == "positive" else -mixed, 0.0)
        return np.clip(self.gain * mixed + self.offset, *self.clamp)

    def bounds(self, known: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
        """The interval that its values lie in, from those of everything that it mixes."""
        low = high = 0.0
        for name, weight in self.mix:
            ends = sorted(weight * end for end in known[name])
            low, high = low + ends[0], high + ends[1]
        if self.half:
            low, high = (low, high) if self.half == "positive" else (-high, -low)
            low, high = max(low, 0.0), max(high, 0.0)
        low, high = sorted((self.gain * low + self.offset, self.gain * high + self.offset))
        return min(max(low, self.clamp[0]), self.clamp[1]), min(max(high, self.clamp[0]), self.clamp[1])


@dataclass(frozen=True, eq=False)
class CurveMap:
    """A curve map, checked.

    Attributes:
        name: of the map and of its target rig.
        source: the rig that motion must be on.
        entries: helpers and controls, each after everything that it mixes.
        controls: names of the controls, in the order in which they are written.
        rotation: controls with head pitch, yaw, roll in radians; or None.
    """

    name: str
    source: Rig
    entries: tuple[Entry, ...]
    controls: tuple[str, ...]
    rotation: tuple[str, str, str] | None = None

    @staticmethod
    def load(path_or_name: Path | str) -> CurveMap:
        """A map from a file, or one that ships, by its name (`metahuman`, `vrm`, ...).

        Raises:
            CurveMapError: with everything that is wrong with it.
            UsageError: there is no such map.
        """
        return CurveMapReader(find_curve_map(path_or_name)).read()

    @cached_property
    def rig(self) -> Rig:
        """The target: one channel per control, ranges from clamps and the source's ranges, regions from the source."""
        known = {
            name: (float(low), float(high))
            for name, low, high in zip(self.source.channels, self.source.lower, self.source.upper, strict=True)
        }
        follows = {name: name for name in self.source.channels}  # the source channel that weighs most
        ranges, leaders = {}, {}
        for entry in self.entries:  # a control may have the name of a channel: mixes see the channel
            ranges[entry.name] = entry.bounds(known)
            known.setdefault(entry.name, ranges[entry.name])
            if entry.mix:
                leaders[entry.name] = follows[max(entry.mix, key=lambda part: abs(part[1]))[0]]
                follows.setdefault(entry.name, leaders[entry.name])
        regions = {entry.name: entry.region for entry in self.entries}
        lower = np.array([ranges[name][0] for name in self.controls], np.float32)
        upper = np.array([ranges[name][1] for name in self.controls], np.float32)
        never_moves = ~(lower < upper)
        lower[never_moves], upper[never_moves] = -np.inf, np.inf
        lower.setflags(write=False)
        upper.setflags(write=False)
        members: dict[str, tuple[str, ...]] = {}
        for control in self.controls:
            if (own := regions[control]) is not None:
                members[own] = (*members.get(own, ()), control)
        for region, channels in self.source.regions.items():
            inside = {c for c in self.controls if regions[c] is None and leaders.get(c) in channels}
            inside |= set(members.get(region, ()))
            if inside:
                members[region] = tuple(control for control in self.controls if control in inside)
        return Rig(self.name, self.controls, lower, upper, members, self.rotation)

    @cached_property
    def sha256(self) -> str:
        """Of what the map does; comments and spelling of numbers do not change it."""
        entries = [[e.name, e.mix, e.half, e.gain, e.offset, e.clamp, e.region] for e in self.entries]
        whole = [VERSION, self.name, self.source.definition(), entries, self.controls, self.rotation]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()

    def apply(self, motion: Motion) -> Motion:
        """The motion on the map's rig; `meta` says by which map.

        Raises:
            MsmdError: the motion is on another rig than the map's source.
        """
        if motion.rig.channels != self.source.channels:
            raise MsmdError(
                f"curve map {self.name} is for motion on rig {self.source.name}; this one is on {motion.rig.name}",
                hint="apply it to motion that no curve map has been applied to",
            )
        columns = motion.values.astype(np.float64).T  # [D, T]
        values = dict(zip(motion.rig.channels, columns, strict=True))
        controls = {}
        for entry in self.entries:
            controls[entry.name] = entry.compute(values, motion.frames)
            values.setdefault(entry.name, controls[entry.name])
        mapped = np.stack([controls[name] for name in self.controls], axis=1).astype(np.float32)  # [T, controls]
        meta = {**motion.meta, "curve_map": f"{self.name} {self.sha256[:12]}"}
        return Motion(mapped, motion.fps, self.rig, meta)


def shipped_curve_maps() -> dict[str, Path]:
    """The maps that ship, by name."""
    return {path.stem: path for path in sorted((SHIPPED / "curve_maps").glob("*.yaml"))}


def find_curve_map(path_or_name: Path | str) -> Path:
    """The file of a map: the path itself, or a shipped map's where the last word is its bare name.

    Raises:
        UsageError: there is neither.
    """
    path, shipped = Path(path_or_name), shipped_curve_maps()
    if path.is_file():
        return path
    if path.name in shipped and not path.exists():
        return shipped[path.name]
    nearest = did_you_mean(path.name, shipped)
    raise UsageError(f"there is no curve map {path}", hint=f"give a YAML file or one that ships: {nearest}")


def rig_of(name: str) -> Rig:
    """A rig by its name or file, or the one that a curve map of that name or file makes.

    Raises:
        MsmdError: there is neither, or it is wrong.
    """
    if name not in shipped_rigs():
        if name in shipped_curve_maps() or _is_curve_map(name):
            return CurveMap.load(name).rig
        if not Path(name).exists():
            known = [*shipped_rigs(), *shipped_curve_maps()]
            raise MsmdError(f"rig {name!r} is neither a known rig nor a file", hint=did_you_mean(name, known))
    return Rig.load(name)


def _is_curve_map(path: str) -> bool:
    """Whether a file says of itself that it is a curve map and no rig: it has `controls`."""
    try:
        return re.search(r"^[\"']?controls[\"']?\s*:", Path(path).read_text(encoding="utf-8"), re.MULTILINE) is not None
    except (OSError, UnicodeDecodeError):
        return False


class CurveMapReader(Reader):
    """Reads one map and collects what is wrong with it."""

    def read(self) -> CurveMap:
        """The map.

        Raises:
            CurveMapError: with everything that is wrong.
        """
        try:
            root = read_document(self.path)
        except DocumentError as error:
            raise CurveMapError([error.message], self.path) from None
        top = self.mapping(root, "a curve map", TOP_KEYS)
        if isinstance(root.content, dict):
            if "version" not in top:
                self.wrong(root, "the curve map has no version", "begin it with `version: 1`")
            elif top["version"].integer != VERSION:
                self.wrong(top["version"], f"curve map version {self.show(top['version'])}", "this program reads 1")
            if "controls" not in top:
                self.wrong(root, "the curve map has no controls")
        name = self.text_of(top["name"], "name") if "name" in top else None
        source = self.source(top.get("source"))
        found: dict[str, tuple[Entry, Key, dict[str, Node]]] = {}
        controls = self.entries(top, "controls", source, found)
        self.entries(top, "helpers", source, found)
        rotation = self.rotation(top["rotation"], controls) if "rotation" in top else None
        self.check_names(source, found)
        ordered = self.ordered(source, found)
        if not self.problems and not controls:
            self.wrong(top["controls"], "there are no controls")
        if self.problems:
            raise CurveMapError(self.texts(), self.path)
        return CurveMap(name or self.path.stem, source, tuple(ordered), tuple(controls), rotation)

    def source(self, node: Node | None) -> Rig:
        """The rig that goes in: a name, or a file beside the map."""
        name = (self.text_of(node, "source") or "arkit52") if node is not None else "arkit52"
        beside = self.path.parent / name
        try:
            return Rig.load(beside if beside.is_file() else name)
        except MsmdError as error:
            if node is not None:
                self.wrong(node, error.message, error.hint)
            return Rig.load("arkit52")

    def entries(
        self, top: Mapping[str, Node], part: str, source: Rig, found: dict[str, tuple[Entry, Key, dict[str, Node]]]
    ) -> list[str]:
        """The names of the controls or helpers; the entries go into `found`."""
        if part not in top:
            return []
        names = []
        folded = {name.lower(): name for name in found}
        for key, node in self.named(top[part], part):
            name = key.text
            other = folded.setdefault(name.lower(), name)
            if name in found or other != name:
                same = "is there twice" if name in found else f"and {other!r} are one name where case is ignored"
                self.wrong(key, f"the name {name!r} {same}")
                continue
            if part == "helpers" and name in source.channels:
                self.wrong(key, f"a helper cannot have the name of the channel {name!r}", "give it one of its own")
                continue
            found[name] = self.entry(key, node)
            names.append(name)
        return names

    def entry(self, key: Key, node: Node) -> tuple[Entry, Key, dict[str, Node]]:
        """An entry, and where each name in its mix stands."""
        places: dict[str, Node] = {}
        if node.text is not None:
            return Entry(key.text, ((node.text, 1.0),)), key, {node.text: node}
        entries = self.mapping(node, f"{key.text!r}", ENTRY_KEYS)
        ways = [way for way in ("from", "mix", "constant") if way in entries]
        if isinstance(node.content, dict) and len(ways) != 1:
            what = "says both " + " and ".join(ways) if ways else "says not what it follows"
            self.wrong(node, f"{key.text!r} {what}", "give it one of: from, mix, constant")
        mix: list[tuple[str, float]] = []
        if "from" in entries and (name := self.text_of(entries["from"], "from")) is not None:
            mix, places = [(name, 1.0)], {name: entries["from"]}
        if "mix" in entries:
            if not isinstance(entries["mix"].content, dict) or not entries["mix"].content:
                self.wrong(entries["mix"], "a mix is a mapping of names to weights", "example: {jawOpen: 0.8}")
            for part, weight in entries["mix"].entries:
                value = self.number(weight, f"weight of {part.text}")
                if value == 0:
                    self.wrong(weight, f"the weight of {part.text} is 0", "leave it out")
                mix.append((part.text, 1.0 if value is None else value))
                places[part.text] = Node(part.text, part.line, part.column)
        half = self.text_of(entries["half"], "half") if "half" in entries else ""
        if half and half not in HALVES:
            self.wrong(entries["half"], f"half is {half!r}", did_you_mean(half, HALVES))
        gain = self.number(entries["gain"], "gain") if "gain" in entries else 1.0
        if gain == 0:
            self.wrong(entries["gain"], "the gain is 0", "for a control that never moves write `constant`")
        offset = self.number(entries["offset"], "offset") if "offset" in entries else 0.0
        if "constant" in entries:
            offset = self.number(entries["constant"], "constant")
            for other in ("half", "gain", "offset", "clamp"):
                if other in entries:
                    self.wrong(entries[other], f"a constant has no {other}")
        clamp = self.clamp(entries["clamp"]) if "clamp" in entries else (-np.inf, np.inf)
        region = self.text_of(entries["region"], "region") if "region" in entries else None
        return Entry(key.text, tuple(mix), half or "", gain or 1.0, offset or 0.0, clamp, region), key, places

    def clamp(self, node: Node) -> tuple[float, float]:
        """(low, high) of a list of two numbers, infinite for null."""
        ends = node.items
        if len(ends) != 2:
            self.wrong(node, "clamp is a list of two numbers", "example: [0, 1]; null is no bound")
            return -np.inf, np.inf
        low, high = (None if end.is_null else self.number(end, "clamp") for end in ends)
        if low is not None and high is not None and not low < high:
            self.wrong(node, f"clamp [{low:g}, {high:g}] leaves nothing", "the lower bound comes first")
        return -np.inf if low is None else low, np.inf if high is None else high

    def rotation(self, node: Node, controls: Sequence[str]) -> tuple[str, str, str] | None:
        """The three controls that hold the head."""
        names = [self.text_of(item, "rotation") or "" for item in node.items]
        if len(names) != 3 or len(set(names)) != 3:
            self.wrong(node, "rotation is a list of three controls: pitch, yaw, roll")
            return None
        for item, name in zip(node.items, names, strict=True):
            if name and name not in controls:
                self.wrong(item, f"there is no control {name!r}", did_you_mean(name, controls))
        return names[0], names[1], names[2]

    def check_names(self, source: Rig, found: Mapping[str, tuple[Entry, Key, dict[str, Node]]]) -> None:
        """Note the names in mixes that stand for nothing."""
        known = [*source.channels, *found]
        for _, _, places in found.values():
            for name, node in places.items():
                if name not in known:
                    nearest = did_you_mean(name, known)
                    hint = nearest if nearest.startswith("did") else f"`msmd rig show {source.name}` lists its channels"
                    self.wrong(node, f"there is no channel, helper or control {name!r}", hint)

    def ordered(self, source: Rig, found: Mapping[str, tuple[Entry, Key, dict[str, Node]]]) -> list[Entry]:
        """Every entry after all that it mixes; a cycle is reported once, where it closes."""
        done: dict[str, Entry] = {}
        reported: set[str] = set()
        for start in found:
            stack: list[tuple[str, Iterator[str]]] = [(start, _needs(found[start][0], source, found))]
            path = {start}
            while stack and start not in done:
                name, waiting = stack[-1]
                need = next((n for n in waiting if n not in done), None)
                if need is None:
                    done[name] = found[name][0]
                    path.discard(name)
                    stack.pop()
                elif need in path:
                    around = [n for n, _ in stack]
                    cycle = around[around.index(need) :]
                    if not reported & set(cycle):
                        way = " -> ".join([*cycle, need])
                        self.wrong(found[name][2][need], f"a cycle: {way}", "no control can follow itself")
                    reported |= set(cycle)
                else:
                    path.add(need)
                    stack.append((need, _needs(found[need][0], source, found)))
        return list(done.values())

    def number(self, node: Node, what: str) -> float | None:
        """A number of at most `LARGEST` in size."""
        value = node.number
        if value is None or abs(value) > LARGEST:
            self.wrong(node, f"{what} {self.show(node)} is not a finite number of at most {LARGEST:g}")
            return None
        return value


def _needs(entry: Entry, source: Rig, found: Mapping[str, object]) -> Iterator[str]:
    """The helpers and controls that an entry mixes."""
    return (name for name, _ in entry.mix if name not in source.channels and name in found)
