"""The manifest: which lines to animate, and how. YAML, JSON, CSV, a folder of recordings, or one recording.

Strict: an unknown key, a wrong type or an impossible id is an error with file, line, column and the nearest valid word,
and all errors are told at once. Nothing is read but the manifest; whether recordings exist shows when they are loaded.

Who wins, for each setting: the line itself, then the command line, then its character's `defaults`, then the
manifest's `defaults`. Where a stronger level names a `style`, the `regions` and `segments` of weaker ones do not apply;
`format_options` are taken together option by option.
"""

from __future__ import annotations

import difflib
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msmdcli.controls.blinks import Blinks, parse_blinks
from msmdcli.controls.gesture import BLENDS, MAX_SCALE, MAX_SECONDS, Gesture
from msmdcli.controls.gesture import DEFAULT_FADE as GESTURE_FADE
from msmdcli.controls.head_scale import parse_head
from msmdcli.controls.pins import DEFAULT_BLEND, MAX_BLEND, Pin, clash
from msmdcli.controls.shot_length import LONGER, SHORTER, ShotLength, WhenLonger, WhenShorter, parse_length
from msmdcli.controls.silence_gate import SilenceGate, parse_gate
from msmdcli.controls.smoothing import parse_smooth
from msmdcli.documents.names import folded, id_problem, path_problem
from msmdcli.documents.tree import DocumentError, Key, Node, parse_yaml, read_document
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.formats import get_format
from msmdcli.formats.motion_file import MotionFile
from msmdcli.manifest.format_options import FormatOptions, merge_options, read_format_options
from msmdcli.manifest.redo import is_redo, load_redo
from msmdcli.manifest.takes import parse_takes
from msmdcli.motion.motion import parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import DEFAULT_FADE, NO_STYLE, Segment, StyleField, StyleMix, StyleRef

if TYPE_CHECKING:
    from msmdcli.manifest.dubs import Dub

T = TypeVar("T")
W = TypeVar("W", bound=str)

VERSION = 1
DEFAULT_STYLE = "neutral"
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff", ".aifc"),
    *(".wma", ".w64", ".rf64", ".caf", ".au"),
)
TABLE_SUFFIXES = (".yaml", ".yml", ".json", ".csv", ".tsv")
MAX_SEED = 2**63 - 1
MAX_INTENSITY = 3.0  # see msmdcli.model.engine.INTENSITY_RANGE
MAX_PROBLEMS = 50  # told in one message; their number is always told

MAX_SEGMENT_START, MAX_SEGMENT_FADE, MAX_WEIGHT = 1e6, 60.0, 1e6
MAX_TIME = 1e6  # seconds at which a pin or a gesture may be

STYLING = ("style", "regions", "segments", "intensity", "seed", "formats", "format_options", "fps", "language")
CONTROLS = (  # see msmdcli.controls.controls
    *("head", "blinks", "silence_gate", "smooth", "length", "when_longer", "when_shorter"),
    *("gestures", "pins", "takes"),
)
CHOICES = (*STYLING, *CONTROLS)
LINE_KEYS = ("id", "audio", *CHOICES, "text", "character", "fields")
CHARACTER_KEYS = ("head", "curves", "styles", "defaults", "lines")
TOP_KEYS = ("version", "defaults", "characters", "lines", "dub")
SEGMENT_KEYS = ("start", "style", "regions", "fade", "intensity")
GESTURE_KEYS = ("name", "at", "scale", "length", "blend", "fade", "channels")
PIN_KEYS = ("time", "hold", "channels", "blend", "file")
COLUMN_NAMES = {  # CSV: what spreadsheets call our columns
    "id": ("line", "line_id", "lineid", "name", "key"),
    "audio": ("file", "filename", "path", "wav", "audio_file"),
    "language": ("lang", "locale"),
    "length": ("shot_length", "shot_duration"),
    "text": ("transcript", "dialogue", "dialog"),
}
CARRIED = ("fields", "character", "length")  # CSV: in a table these columns are somebody else's; see COLUMN_NAMES


class ManifestError(UsageError):
    """Everything that is wrong with a manifest, at once.

    Attributes:
        problems: one text per error, each beginning with file:line:column.
    """

    def __init__(self, problems: Sequence[str], path: Path, hint: str = "") -> None:
        self.problems = list(problems)
        shown = self.problems[:MAX_PROBLEMS]
        more = len(self.problems) - len(shown)
        if len(self.problems) == 1:
            message = self.problems[0]
        else:
            message = f"{len(self.problems)} errors in {path}:\n  " + "\n  ".join(shown)
            message += f"\n  ... and {more} more" if more else ""
        super().__init__(message, hint or "nothing was started; mend the manifest and run again (--dry-run checks it)")


@dataclass(frozen=True)
class Choices:
    """How to animate, as one level (line, command line, character, manifest) says it; None: it does not say."""

    style: StyleMix | None = None
    regions: Mapping[str, StyleMix] | None = None
    segments: tuple[Segment, ...] | None = None
    intensity: float | None = None
    seed: int | None = None
    formats: tuple[str, ...] | None = None
    format_options: FormatOptions | None = None
    fps: Fraction | None = None
    language: str | None = None
    head: float | None = None
    blinks: Blinks | None = None
    silence_gate: SilenceGate | None = None
    smooth: float | None = None
    length: ShotLength | None = None
    when_longer: WhenLonger | None = None
    when_shorter: WhenShorter | None = None
    gestures: tuple[Gesture, ...] | None = None
    pins: tuple[Pin, ...] | None = None
    takes: int | None = None


@dataclass(frozen=True)
class Character:
    """A group of lines.

    Attributes:
        name: its key in `characters`.
        head: the head (GLB) that formats animate which hold one, and to preview on.
        curves: a curve map.
        styles: a folder of tags that its lines know besides the library.
        choices: its `defaults`.
    """

    name: str
    head: Path | None = None
    curves: Path | None = None
    styles: Path | None = None
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True)
class Line:
    """One recording to animate.

    Attributes:
        id: where its outputs go: OUT/<id>.<suffix>.
        audio: the recording.
        choices: what the line itself says.
        where: `file:line:column`, for messages.
        text: what is said, if known; carried to the report.
        character: whose line it is.
        fields: other columns of the table that the line comes from, carried to the report.
        dub: the performance that the line dubs, where it is an entry of `dub`.
        noise: what stands for the id where something is random; None is the id (takes of a line share the line's).
    """

    id: str
    audio: Path
    choices: Choices
    where: str
    text: str | None = None
    character: Character | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    dub: Dub | None = None
    noise: str | None = None


@dataclass(frozen=True)
class Manifest:
    """All lines, in the order in which they were written, and the defaults of the manifest."""

    path: Path
    lines: tuple[Line, ...]
    defaults: Choices = field(default_factory=Choices)

    def choices(self, line: Line, command_line: Choices | None = None) -> Choices:
        """What applies to a line, all levels taken together (see the module's text for who wins)."""
        levels = [line.choices, command_line or Choices()]
        if line.character is not None:
            levels.append(line.character.choices)
        return merge([*levels, self.defaults])


def merge(levels: Sequence[Choices]) -> Choices:
    """Levels, strongest first, as one. A level with a `style` hides the `regions` and `segments` of weaker ones."""
    result: dict[str, Any] = {}
    for level in levels:
        styled = "style" in result
        for name in (entry.name for entry in fields(Choices)):
            value = getattr(level, name)
            if name == "format_options" and value is not None and name in result:
                result[name] = merge_options(result[name], value)
            if value is None or name in result or (styled and name in ("regions", "segments")):
                continue
            result[name] = value
    return Choices(**result)


def style_field(choices: Choices, base: Path) -> StyleField:
    """The style field that merged choices describe; `base` is where the default style's name would be looked up."""
    style = choices.style or (StyleRef(DEFAULT_STYLE, base),)
    intensity = 1.0 if choices.intensity is None else choices.intensity
    regions = dict(choices.regions or {})
    segments = list(choices.segments or ())
    if not segments or segments[0].start > 0:
        segments.insert(0, Segment(start=0.0, style=style, regions=regions, fade=0.0))
    full = tuple(Segment(s.start, s.style or style, {**regions, **s.regions}, s.fade, s.intensity) for s in segments)
    return StyleField(full, intensity)


def load_manifest(path: Path, rig: Rig) -> Manifest:
    """Read a manifest in any of its forms.

    Args:
        path: a YAML, JSON or CSV file, a folder of recordings (searched through), or one recording.
        rig: whose regions the lines may name.

    Raises:
        ManifestError: with everything that is wrong.
    """
    path = path.expanduser()
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise UsageError(f"there is no manifest {path}", hint="give a YAML, JSON or CSV file, a folder, or a recording")
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return _from_files(path, path.parent, [path])
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise UsageError(
            f"{path} is neither a manifest nor a recording that MSMD knows by its suffix",
            hint=f"manifests: {' '.join(TABLE_SUFFIXES)}; recordings: {' '.join(AUDIO_SUFFIXES)}",
        )
    try:
        with _no_collection():
            document = read_document(path)
            return load_redo(document, path, rig) if is_redo(document) else _Reader(path, rig).read(document)
    except DocumentError as error:
        raise ManifestError([error.message], path, error.hint) from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """A large manifest is a million small objects, none of them in a cycle: looking for cycles takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _from_folder(folder: Path) -> Manifest:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
    if not files:
        raise UsageError(f"there are no recordings in {folder}", hint=f"known suffixes: {' '.join(AUDIO_SUFFIXES)}")
    return _from_files(folder, folder, files)


def _from_files(path: Path, base: Path, files: Iterable[Path]) -> Manifest:
    lines = [
        Line(file.relative_to(base).with_suffix("").as_posix(), file, Choices(), where=str(file)) for file in files
    ]
    problems = [f"{line.where}: {line.id!r} cannot be an id: {why}" for line in lines if (why := id_problem(line.id))]
    problems += _collisions(lines)
    if problems:
        raise ManifestError(problems, path, hint="rename these files, or list them in a manifest with ids")
    return Manifest(path, tuple(lines))


def _collisions(lines: Iterable[Line]) -> Iterator[str]:
    """Ids that would be one file on a file system that ignores case."""
    first: dict[str, Line] = {}
    for line in lines:
        other = first.setdefault(folded(line.id), line)
        if other is not line:
            same = "is there twice" if other.id == line.id else f"and {other.id!r} are one file where case is ignored"
            yield f"{line.where}: the id {line.id!r} {same} (first at {other.where})"


class _Reader:
    """Reads one manifest and collects what is wrong with it."""

    def __init__(self, path: Path, rig: Rig) -> None:
        self.path = path
        self.base = path.parent
        self.rig = rig
        self.problems: list[tuple[int, int, str]] = []

    def wrong(self, at: Node | Key, what: str, hint: str = "") -> None:
        where = f"{self.path}:{at.line}:{at.column}"
        self.problems.append((at.line, at.column, f"{where}: {what}" + (f"; {hint}" if hint else "")))

    def read(self, root: Node) -> Manifest:
        if isinstance(root.content, list) and self.path.suffix.lower() in (".csv", ".tsv"):
            defaults = Choices()
            lines = [line for row in root.items if (line := self.table_row(row)) is not None]
        else:
            defaults, lines = self.top(root)
        if not lines and not self.problems:
            self.wrong(root, "there are no lines")
        problems = [text for *_, text in sorted(self.problems)]
        problems += _collisions(lines)
        if problems:
            raise ManifestError(problems, self.path)
        return Manifest(self.path, tuple(lines), defaults)

    def top(self, root: Node) -> tuple[Choices, list[Line]]:
        entries = self.mapping(root, "a manifest", TOP_KEYS)
        if not isinstance(root.content, dict):
            return Choices(), []
        if "version" not in entries:
            self.wrong(root, "the manifest has no version", "begin it with `version: 1`")
        elif entries["version"].integer != VERSION:
            self.wrong(entries["version"], f"manifest version {self.show(entries['version'])}", "this program reads 1")
        defaults = self.choices(entries["defaults"], "defaults") if "defaults" in entries else Choices()
        characters: dict[str, Character] = {}
        lines: list[Line] = []
        if "characters" in entries:
            for key, node in self.named(entries["characters"], "characters"):
                character, own_lines = self.character(key, node)
                characters[key.text] = character
                lines += [line for item in own_lines if (line := self.line(item, characters, character)) is not None]
        if "lines" in entries:
            lines += [
                line
                for item in self.list_of(entries["lines"], "lines")
                if (line := self.line(item, characters)) is not None
            ]
        if "dub" in entries:
            from msmdcli.manifest.dubs import read_dubs

            lines += read_dubs(self, entries["dub"], characters)
        return defaults, lines

    def character(self, key: Key, node: Node) -> tuple[Character, list[Node]]:
        entries = self.mapping(node, f"character {key.text!r}", CHARACTER_KEYS)
        paths = {name: self.path_of(entries[name], name) for name in ("head", "curves", "styles") if name in entries}
        choices = self.choices(entries["defaults"], "defaults") if "defaults" in entries else Choices()
        lines = self.list_of(entries["lines"], "lines") if "lines" in entries else []
        return Character(key.text, **paths, choices=choices), lines

    def line(self, node: Node, characters: Mapping[str, Character], own: Character | None = None) -> Line | None:
        entries = self.mapping(node, "a line", LINE_KEYS)
        if not isinstance(node.content, dict):
            return None
        before = len(self.problems)
        audio = self.path_of(entries["audio"], "audio") if "audio" in entries else None
        if "audio" not in entries:
            self.wrong(node, "the line has no audio", "audio: the path of its recording")
        line_id = self.text_of(entries["id"], "id") if "id" in entries else None
        if "id" not in entries:
            self.wrong(node, "the line has no id", "id: the name of its outputs")
        elif line_id is not None and (why := id_problem(line_id)):
            self.wrong(entries["id"], f"{line_id!r} cannot be an id: {why}")
        character = own
        if "character" in entries:
            name = self.text_of(entries["character"], "character") or ""
            if name in characters:
                character = characters[name]
            else:
                known = did_you_mean(name, characters) if characters else "the manifest has no `characters`"
                self.wrong(entries["character"], f"there is no character {name!r}", known)
        extra: dict[str, str] = {}
        if "fields" in entries:
            named = self.named(entries["fields"], "fields")
            extra = {key.text: self.text_of(value, key.text) or "" for key, value in named if not value.is_null}
        choices = self.choices_from(entries)
        text = self.text_of(entries["text"], "text") if "text" in entries else None
        if len(self.problems) > before or line_id is None or audio is None:
            return None
        where = f"{self.path}:{node.line}:{node.column}"
        return Line(line_id, audio, choices, where, text, character, extra)

    def table_row(self, row: Node) -> Line | None:
        """A row of a CSV table: our columns by name, all others carried along. Lists are written as YAML in a cell."""
        entries: dict[Key, Node] = {}
        carried: dict[str, str] = {}
        given = {_column(key.text) for key, _ in row.entries}
        for key, node in row.entries:
            name = _column(key.text)
            if name not in LINE_KEYS:
                free = (o for o, names in COLUMN_NAMES.items() if name in names and (o not in given or o in CARRIED))
                name = next(free, name)
            if name in LINE_KEYS and (name not in CARRIED or name != _column(key.text)):
                entries[Key(name, key.line, key.column)] = self.cell(node)
                continue
            near = difflib.get_close_matches(name, LINE_KEYS, n=1, cutoff=0.8)
            if near and near[0] not in given and name not in CARRIED:
                self.wrong(key, f"unknown column {key.text!r}", f"did you mean {near[0]}?")
            carried[key.text] = node.text or ""
        if not any(key.text == "id" for key in entries):
            audio = next((node for key, node in entries.items() if key.text == "audio"), None)
            if audio is not None and audio.text:
                stem = Path(audio.text.replace("\\", "/")).stem
                entries[Key("id", audio.line, audio.column)] = Node(stem, audio.line, audio.column)
        line = self.line(Node(entries, row.line, row.column), {})
        return None if line is None else Line(line.id, line.audio, line.choices, line.where, line.text, None, carried)

    def cell(self, node: Node) -> Node:
        text = node.text or ""
        if not text.startswith(("[", "{")):
            return node
        try:
            return _placed(parse_yaml(text, f"{self.path}:{node.line}"), node)
        except DocumentError as error:
            self.wrong(node, error.message.split(": ", 1)[-1])
            return node

    def choices(self, node: Node, what: str) -> Choices:
        return self.choices_from(self.mapping(node, what, CHOICES))

    def choices_from(self, entries: Mapping[str, Node]) -> Choices:
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
            head=when("head", lambda node: self.parsed(node, "head", parse_head)),
            blinks=when("blinks", lambda node: self.parsed(node, "blinks", parse_blinks)),
            silence_gate=when("silence_gate", lambda node: self.parsed(node, "silence_gate", parse_gate)),
            smooth=when("smooth", lambda node: self.parsed(node, "smooth", parse_smooth)),
            length=when("length", lambda node: self.parsed(node, "length", parse_length)),
            when_longer=when("when_longer", lambda node: self.one_of(node, "when_longer", LONGER)),
            when_shorter=when("when_shorter", lambda node: self.one_of(node, "when_shorter", SHORTER)),
            gestures=when("gestures", self.gestures),
            pins=when("pins", self.pins),
            takes=when("takes", lambda node: self.parsed(node, "takes", parse_takes)),
        )

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
            place = entries["name"]
            result.append(
                Gesture(
                    self.text_of(place, "name") or "",
                    self.base,
                    number("at", 0, MAX_TIME, 0),
                    number("scale", 0, MAX_SCALE, 1),
                    length,
                    self.one_of(entries["blend"], "blend", BLENDS) if "blend" in entries else None,
                    number("fade", 0, MAX_SECONDS, GESTURE_FADE),
                    self.channel_names(entries["channels"]) if "channels" in entries else (),
                    where=f"{self.path}:{place.line}:{place.column}",
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
        """Whether the rig has such a channel or region; if not, it is told."""
        if name in self.rig.regions or name in self.rig.channels:
            return True
        known = did_you_mean(name, [*self.rig.regions, *self.rig.channels])
        hint = known if known.startswith("did") else f"regions: {', '.join(self.rig.regions)}"
        self.wrong(at, f"rig {self.rig.name} has no region or channel {name!r}", hint)
        return False

    def parsed(self, node: Node, what: str, parse: Callable[[str], T]) -> T | None:
        """A scalar in the words of a control; see its file."""
        text = self.text_of(node, what)
        if text is None:
            return None
        if node.quoted and Node(node.content, node.line, node.column).number is not None:
            self.wrong(node, f"{what} {self.show(node)} is a text", "a number has no quotes")
            return None
        try:
            return parse(text)
        except MsmdError as error:
            self.wrong(node, error.message, error.hint)
            return None

    def one_of(self, node: Node, what: str, known: Sequence[W]) -> W | None:
        """One of a few words."""
        text = self.text_of(node, what)
        found = next((word for word in known if word == text), None)
        if found is None and text is not None:
            self.wrong(node, f"{what} {self.show(node)} is not one of {', '.join(known)}")
        return found

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
        name = NO_STYLE if name.lower() == NO_STYLE else name
        if (why := path_problem(name)) is not None:
            self.wrong(node, f"style {self.show(node)} is no name or path: {why}")
        return StyleRef(name, self.base, weight, f"{self.path}:{node.line}:{node.column}")

    def regions(self, node: Node) -> dict[str, StyleMix] | None:
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
        return self.number_of(node, "intensity", 0, MAX_INTENSITY)

    def seed(self, node: Node) -> int | None:
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
        try:
            return parse_fps(self.text_of(node, "fps") or "")
        except MsmdError as error:
            self.wrong(node, error.message, error.hint)
            return None

    def mapping(self, node: Node, what: str, keys: Sequence[str]) -> dict[str, Node]:
        """The entries of a mapping with known keys only. Keys whose value is null count as not given."""
        if not isinstance(node.content, dict):
            self.wrong(node, f"{what} is a mapping of keys, not a {node.kind}", f"keys: {', '.join(keys)}")
            return {}
        for key, _ in node.entries:
            if key.text not in keys:
                hint = did_you_mean(key.text, keys)
                if what == "a line" and not hint.startswith("did"):
                    hint += "; columns of your own go under `fields:`"
                self.wrong(key, f"unknown key {key.text!r} in {what}", hint)
        return {key.text: value for key, value in node.entries if key.text in keys and not value.is_null}

    def named(self, node: Node, what: str) -> Iterator[tuple[Key, Node]]:
        """The entries of a mapping whose keys are free."""
        if not isinstance(node.content, dict):
            self.wrong(node, f"{what} is a mapping of names, not a {node.kind}")
        return node.entries

    def list_of(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node.content, list):
            self.wrong(node, f"{what} is a list, not a {node.kind}", "each entry begins with `- `")
        return node.items

    def text_of(self, node: Node, what: str) -> str | None:
        if node.text is None:
            self.wrong(node, f"{what} is a text, not " + ("empty" if node.is_null else f"a {node.kind}"))
        return node.text

    def path_of(self, node: Node, what: str) -> Path | None:
        text = self.text_of(node, what)
        if text is None:
            return None
        if (why := path_problem(text)) is not None:
            self.wrong(node, f"{what} {self.show(node)} is no path: {why}")
            return None
        try:
            return self.base / Path(text).expanduser()
        except RuntimeError:
            self.wrong(node, f"{what} {self.show(node)} begins with a user that this machine does not know")
            return None

    def number_of(self, node: Node, what: str, low: float, high: float) -> float | None:
        value = node.number
        if value is None or not low <= value <= high:
            hint = "a number has no quotes" if node.quoted else ""
            self.wrong(node, f"{what} {self.show(node)} is not a number from {low:g} to {high:g}", hint)
            return None
        return value

    @staticmethod
    def show(node: Node) -> str:
        return repr(node.content[:40]) if isinstance(node.content, str) else f"(a {node.kind})"


def _column(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _placed(node: Node, at: Node) -> Node:
    """A tree parsed from a cell, with the cell's place."""
    content = node.content
    if isinstance(content, list):
        content = [_placed(item, at) for item in content]
    elif isinstance(content, dict):
        content = {Key(key.text, at.line, at.column): _placed(value, at) for key, value in content.items()}
    return Node(content, at.line, at.column, node.quoted)
