"""What a line, a character or the whole manifest may choose: styles, regions, segments, gestures, pins, formats ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from msmdcli.controls.articulation import AXES, MAX_GAIN, Articulation, parse_articulation, parse_mouth_size
from msmdcli.controls.blinks import parse_blinks
from msmdcli.controls.closures import parse_closures
from msmdcli.controls.gesture import BLENDS, MAX_SCALE, MAX_SECONDS, Gesture
from msmdcli.controls.gesture import DEFAULT_FADE as GESTURE_FADE
from msmdcli.controls.head import parse_head
from msmdcli.controls.performance import (
    MAX_AMOUNT,
    checked_amounts,
    parse_amounts,
    parse_keep,
    parse_performance,
)
from msmdcli.controls.pins import DEFAULT_BLEND, MAX_BLEND, Pin, clash
from msmdcli.controls.shot_length import LONGER, SHORTER, parse_length
from msmdcli.controls.silence_gate import parse_gate
from msmdcli.controls.smoothing import parse_smooth
from msmdcli.documents.names import path_problem
from msmdcli.documents.nodes import Key, Node
from msmdcli.documents.reader import Reader
from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.formats.motion_file import MotionFile
from msmdcli.formats.registry import get_format
from msmdcli.manifest.format_options import read_format_options
from msmdcli.manifest.lines import CHOICES, MAX_INTENSITY, MAX_SEED, NO_CHOICES, Choices
from msmdcli.manifest.takes import parse_takes
from msmdcli.model.guidance import parse_interval
from msmdcli.model.samplers import SAMPLERS
from msmdcli.model.sampling import MAX_GUIDANCE, MAX_STEPS, QUALITIES
from msmdcli.motion.motion import parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import DEFAULT_FADE, NO_STYLE, Segment, StyleMix, StyleRef

T = TypeVar("T")

MAX_SEGMENT_START, MAX_SEGMENT_FADE, MAX_WEIGHT = 1e6, 60.0, 1e6
MAX_TIME = 1e6  # seconds at which a pin or a gesture may be

SEGMENT_KEYS = ("start", "style", "regions", "fade", "intensity")
GESTURE_KEYS = ("name", "at", "scale", "length", "blend", "fade", "channels")
KNOWN = frozenset(CHOICES)
PIN_KEYS = ("time", "hold", "channels", "blend", "file")


class ChoicesReader(Reader):
    """Reads the choices of one level.

    Attributes:
        rig: whose regions and channels the choices may name.
    """

    def __init__(self, path: Path, rig: Rig) -> None:
        super().__init__(path)
        self.rig = rig

    def choices(self, node: Node, what: str) -> Choices:
        """The choices of a mapping that holds nothing else."""
        return self.choices_from(self.mapping(node, what, CHOICES))

    def choices_from(self, entries: Mapping[str, Node]) -> Choices:
        """The choices among the entries of a mapping."""
        if KNOWN.isdisjoint(entries):
            return NO_CHOICES

        def when(name: str, read: Callable[[Node], T | None]) -> T | None:
            return read(entries[name]) if name in entries else None

        return Choices(
            style=when("style", self.mix),
            regions=when("regions", self.regions),
            segments=when("segments", self.segments),
            intensity=when("intensity", self.intensity),
            seed=when("seed", self.seed),
            formats=when("formats", self.formats),
            format_options=when("format_options", lambda node: read_format_options(self, node)),
            fps=when("fps", self.fps),
            language=when("language", lambda node: self.text_of(node, "language")),
            sampler=when("sampler", lambda node: self.one_of(node, "sampler", tuple(SAMPLERS))),
            steps=when("steps", self.steps),
            quality=when("quality", lambda node: self.quality(node, entries)),
            guidance_audio=when("guidance_audio", lambda node: self.number_of(node, "guidance_audio", 0, MAX_GUIDANCE)),
            guidance_style=when("guidance_style", lambda node: self.number_of(node, "guidance_style", 0, MAX_GUIDANCE)),
            guidance_interval=when(
                "guidance_interval", lambda node: self.parsed(node, "guidance_interval", parse_interval)
            ),
            guidance_rescale=when("guidance_rescale", lambda node: self.number_of(node, "guidance_rescale", 0, 1)),
            performance=when("performance", lambda node: self.parsed(node, "performance", parse_performance)),
            performance_amount=when("performance_amount", self.performance_amount),
            keep_head_pose=when("keep_head_pose", lambda node: self.parsed(node, "keep_head_pose", parse_keep)),
            head=when("head", lambda node: self.parsed(node, "head", parse_head)),
            blinks=when("blinks", lambda node: self.parsed(node, "blinks", parse_blinks)),
            silence_gate=when("silence_gate", lambda node: self.parsed(node, "silence_gate", parse_gate)),
            smooth=when("smooth", lambda node: self.parsed(node, "smooth", parse_smooth)),
            mouth_size=when("mouth_size", lambda node: self.parsed(node, "mouth_size", parse_mouth_size)),
            articulation=when("articulation", self.articulation),
            closures=when("closures", lambda node: self.parsed(node, "closures", parse_closures)),
            length=when("length", lambda node: self.parsed(node, "length", parse_length)),
            when_longer=when("when_longer", lambda node: self.one_of(node, "when_longer", LONGER)),
            when_shorter=when("when_shorter", lambda node: self.one_of(node, "when_shorter", SHORTER)),
            gestures=when("gestures", self.gestures),
            pins=when("pins", self.pins),
            takes=when("takes", lambda node: self.parsed(node, "takes", parse_takes)),
        )

    def steps(self, node: Node) -> int | None:
        """A whole number from 1 to `MAX_STEPS`."""
        value = node.integer
        if value is None or not 1 <= value <= MAX_STEPS:
            self.wrong(node, f"steps {self.show(node)} is not a whole number from 1 to {MAX_STEPS}")
            return None
        return value

    def quality(self, node: Node, entries: Mapping[str, Node]) -> str | None:
        """A word for sampler and steps, which do not stand beside it."""
        if "sampler" in entries or "steps" in entries:
            self.wrong(node, "quality chooses sampler and steps", "give quality, or sampler and steps")
        return self.one_of(node, "quality", tuple(QUALITIES))

    def performance_amount(self, node: Node) -> tuple[tuple[str, float], ...] | None:
        """A factor, or a factor per region."""
        if not isinstance(node.content, dict):
            return self.parsed(node, "performance_amount", parse_amounts)
        before = len(self.problems)
        amounts = {}
        for key, value in self.named(node, "performance_amount"):
            number = self.number_of(value, f"performance_amount of {key.text}", 0, MAX_AMOUNT)
            if number is not None:
                amounts[key.text] = number
        try:
            return checked_amounts(amounts) if len(self.problems) == before else None
        except MsmdError as error:
            self.wrong(node, error.message, error.hint)
            return None

    def articulation(self, node: Node) -> Articulation | None:
        """A gain for both, or a mapping of jaw and lips to theirs."""
        if not isinstance(node.content, dict):
            return self.parsed(node, "articulation", parse_articulation)
        entries = self.mapping(node, "articulation", AXES)
        gains = {axis: self.number_of(entries[axis], axis, 0, MAX_GAIN) for axis in AXES if axis in entries}
        return Articulation(**{axis: gain for axis, gain in gains.items() if gain is not None})

    def gestures(self, node: Node) -> tuple[Gesture, ...] | None:
        """A list of {name, at, ...}. An empty list takes those of a weaker level away."""
        before = len(self.problems)
        result = []
        for item in self.list_of(node, "gestures"):
            entries = self.mapping(item, "a gesture", GESTURE_KEYS)
            for name, why in (("name", "the gesture's name or file"), ("at", "seconds from the start of the line")):
                if name not in entries and isinstance(item.content, dict):
                    self.wrong(item, f"the gesture has no {name}", f"{name}: {why}")
            if "name" not in entries or "at" not in entries:
                continue

            def number(key: str, low: float, high: float, otherwise: float, given: dict[str, Node] = entries) -> float:
                value = self.number_of(given[key], key, low, high) if key in given else otherwise
                return otherwise if value is None else value

            if (problem := path_problem(entries["name"].text or "")) is not None:
                self.wrong(entries["name"], f"gesture {self.show(entries['name'])} is no name or path: {problem}")
            length = number("length", 0.01, MAX_SECONDS, 0) if "length" in entries else None
            named = entries["name"]
            result.append(
                Gesture(
                    self.text_of(named, "name") or "",
                    self.base,
                    number("at", 0, MAX_TIME, 0),
                    number("scale", 0, MAX_SCALE, 1),
                    length,
                    self.one_of(entries["blend"], "blend", BLENDS) if "blend" in entries else None,
                    number("fade", 0, MAX_SECONDS, GESTURE_FADE),
                    self.channel_names(entries["channels"]) if "channels" in entries else (),
                    where=self.place(named),
                )
            )
        return tuple(result) if len(self.problems) == before else None

    def pins(self, node: Node) -> tuple[Pin, ...] | None:
        """A list of {time, channels, ...}. An empty list takes those of a weaker level away."""
        before = len(self.problems)
        result = []
        for item in self.list_of(node, "pins"):
            entries = self.mapping(item, "a pin", PIN_KEYS)
            if not isinstance(item.content, dict):
                continue
            if "channels" not in entries:
                self.wrong(item, "the pin has no channels", "channels: {jawOpen: 0.2}, or a list with a file")
                continue
            if "hold" in entries and "time" not in entries:
                self.wrong(entries["hold"], "a pin without a time is held all the time", "leave hold out")
            file = self.path_of(entries["file"], "file") if "file" in entries else None
            if file is not None:
                channels = dict.fromkeys(self.channel_names(entries["channels"]), 0.0)
            else:
                channels = self.channel_values(entries["channels"])
            time = self.number_of(entries["time"], "time", 0, MAX_TIME) if "time" in entries else None
            hold = self.number_of(entries["hold"], "hold", 0, MAX_TIME) if "hold" in entries else 0.0
            blend = self.number_of(entries["blend"], "blend", 0, MAX_BLEND) if "blend" in entries else DEFAULT_BLEND
            found = MotionFile(file) if file is not None else None
            result.append(Pin(channels, time, hold or 0.0, DEFAULT_BLEND if blend is None else blend, found))
            if len(self.problems) == before and (twice := clash(result, self.rig)) is not None:
                self.wrong(item, twice[1], "a channel has one value at a time")
        return tuple(result) if len(self.problems) == before else None

    def channel_names(self, node: Node) -> tuple[str, ...]:
        """A list of channels and regions."""
        names = []
        for item in self.list_of(node, "channels"):
            name = self.text_of(item, "a channel")
            if name is not None and self.is_channel(item, name):
                names.append(name)
        if isinstance(node.content, list) and not node.content:
            self.wrong(node, "channels is empty")
        return tuple(names)

    def channel_values(self, node: Node) -> dict[str, float]:
        """A mapping of channels and regions to values within the rig's ranges."""
        values = {}
        for key, value in self.named(node, "channels"):
            if not self.is_channel(key, key.text):
                continue
            names = self.rig.regions.get(key.text, (key.text,))
            columns = [self.rig.channels.index(name) for name in names]
            low, high = float(self.rig.lower[columns].max()), float(self.rig.upper[columns].min())
            number = self.number_of(value, key.text, low, high)
            if number is not None:
                values[key.text] = number
        if isinstance(node.content, dict) and not node.content:
            self.wrong(node, "channels is empty")
        return values

    def is_channel(self, at: Node | Key, name: str) -> bool:
        """Whether the rig has such a channel or region; if not, the problem is noted."""
        if name in self.rig.regions or name in self.rig.channels:
            return True
        known = did_you_mean(name, [*self.rig.regions, *self.rig.channels])
        hint = known if known.startswith("did") else f"regions: {', '.join(self.rig.regions)}"
        self.wrong(at, f"rig {self.rig.name} has no region or channel {name!r}", hint)
        return False

    def mix(self, node: Node) -> StyleMix | None:
        """A tag, a path, or a list of {ref, weight}."""
        if (name := node.text) is not None:
            return (self.ref(node, name),)
        if not isinstance(node.content, list) or not node.content:
            self.wrong(node, "a style is a tag, a path or a list of {ref, weight}")
            return None
        refs = []
        for item in node.items:
            if (name := item.text) is not None:
                refs.append(self.ref(item, name))
                continue
            entries = self.mapping(item, "an entry of a style list", ("ref", "weight"))
            name = self.text_of(entries["ref"], "ref") if "ref" in entries else None
            if "ref" not in entries and isinstance(item.content, dict):
                self.wrong(item, "an entry of a style list has no ref", "ref: a tag or a path")
            weight = self.number_of(entries["weight"], "weight", 0, MAX_WEIGHT) if "weight" in entries else 1.0
            if name is not None and weight is not None:
                refs.append(self.ref(entries["ref"], name, weight))
        if refs and sum(ref.weight for ref in refs) <= 0:
            self.wrong(node, "all weights of the style list are 0")
            return None
        return tuple(ref for ref in refs if ref.weight > 0) or None

    def ref(self, node: Node, name: str, weight: float = 1.0) -> StyleRef:
        """A reference to a style, by its name as it is written at `node`."""
        name = NO_STYLE if name.lower() == NO_STYLE else name
        if (why := path_problem(name)) is not None:
            self.wrong(node, f"style {self.show(node)} is no name or path: {why}")
        return StyleRef(name, self.base, weight, self.place(node))

    def regions(self, node: Node) -> dict[str, StyleMix] | None:
        """A mapping of regions and channels to styles; of two that overlap one is smaller, and wins."""
        result = {}
        sizes: dict[frozenset[str], str] = {}
        for key, value in self.named(node, "regions"):
            if not self.is_channel(key, key.text):
                continue
            channels = frozenset(self.rig.regions.get(key.text, (key.text,)))
            for others, name in sizes.items():
                if len(others) == len(channels) and others & channels:
                    self.wrong(key, f"the regions {name!r} and {key.text!r} overlap and are equally large")
            sizes[channels] = key.text
            mix = self.mix(value)
            if mix is not None:
                result[key.text] = mix
        return result

    def segments(self, node: Node) -> tuple[Segment, ...] | None:
        """A list of {start, ...} by rising start."""
        result: list[Segment] = []
        last = -1.0
        for item in self.list_of(node, "segments"):
            entries = self.mapping(item, "a segment", SEGMENT_KEYS)
            if not isinstance(item.content, dict):
                continue
            if "start" not in entries:
                self.wrong(item, "the segment has no start", "start: seconds from the start of the line")
                continue
            if "style" not in entries and "regions" not in entries and "intensity" not in entries:
                self.wrong(item, "the segment changes nothing", "give it a style, regions or an intensity")
            start = self.number_of(entries["start"], "start", 0, MAX_SEGMENT_START)
            if start is None:
                continue
            if start <= last:
                self.wrong(entries["start"], f"start {start:g} is not after the segment before it ({last:g})")
            last = max(last, start)
            fade = self.number_of(entries["fade"], "fade", 0, MAX_SEGMENT_FADE) if "fade" in entries else DEFAULT_FADE
            result.append(
                Segment(
                    start,
                    self.mix(entries["style"]) if "style" in entries else None,
                    (self.regions(entries["regions"]) or {}) if "regions" in entries else {},
                    DEFAULT_FADE if fade is None else fade,
                    self.intensity(entries["intensity"]) if "intensity" in entries else None,
                )
            )
        return tuple(result) or None

    def intensity(self, node: Node) -> float | None:
        """A number from 0 to `MAX_INTENSITY`."""
        return self.number_of(node, "intensity", 0, MAX_INTENSITY)

    def seed(self, node: Node) -> int | None:
        """A whole number from 0 to `MAX_SEED`."""
        value = node.integer
        if value is None or not 0 <= value <= MAX_SEED:
            self.wrong(node, f"seed {self.show(node)} is not a whole number from 0 to 2^63 - 1")
            return None
        return value

    def formats(self, node: Node) -> tuple[str, ...] | None:
        """A list of format names, or one text with commas."""
        items = node.items
        if (text := node.text) is not None:
            items = [Node(part.strip(), node.line, node.column) for part in text.split(",") if part.strip()]
        names: list[str] = []
        for item in items:
            try:
                names.append(get_format(self.text_of(item, "formats") or "").name)
            except MsmdError as error:
                self.wrong(item, error.message, error.hint)
        if not items:
            self.wrong(node, "formats is a list of format names")
        return tuple(dict.fromkeys(names)) or None

    def fps(self, node: Node) -> Fraction | None:
        """A frame rate, as `parse_fps` reads it."""
        try:
            return parse_fps(self.text_of(node, "fps") or "")
        except MsmdError as error:
            self.wrong(node, error.message, error.hint)
            return None
