"""What the studio works on: a manifest, the OUT of its batch, and its lines as they are planned.

A line is planned by `msmdcli.batch.plan`, as in a batch; one that was changed on the page is read by the manifest's own
reader, so that it means what it will mean once it is written into the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmdcli.batch.out_lock import NAME as LOCK
from msmdcli.batch.plan import Planner
from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.documents.nodes import DocumentError, Node, number_in
from msmdcli.documents.tree import parse_yaml, read_document
from msmdcli.errors import UsageError
from msmdcli.manifest.lines import CHOICES, Character, Line, Manifest, ManifestError
from msmdcli.manifest.loading import load_manifest
from msmdcli.manifest.reading import ManifestReader
from msmdcli.manifest.redo import is_redo
from msmdcli.model.bundle import Bundle
from msmdcli.paths import shipped_bundle

YAML_SUFFIXES = (".yaml", ".yml")
REPORT = "report.json"

Keys = Mapping[str, Any]  # key of a line -> plain value; None takes the key away


@dataclass(frozen=True)
class Place:
    """Where a line is written in the manifest's document.

    Attributes:
        node: of the line.
        character: below which it is written, or None.
    """

    node: Node
    character: str | None


@dataclass
class State:
    """The manifest as it was read last.

    Attributes:
        manifest: what is to be animated.
        planner: of its batch.
        lines: id -> the line as it is planned, in the manifest's order.
        places: id -> where it is written; only of YAML manifests, whose lines can be changed.
        defaults: of the manifest and of each character ("" is the manifest), as plain values.
        stamp: time and size of the manifest's file, to see that it has changed.
    """

    manifest: Manifest
    planner: Planner
    lines: dict[str, PlannedLine]
    places: dict[str, Place] = field(default_factory=dict)
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)


class Project:
    """A manifest and its OUT.

    Args:
        options: as of the batch that is to write the lines; `manifest` is a path.

    Raises:
        UsageError, MsmdError: the manifest, the model or a folder cannot be used.
    """

    def __init__(self, options: BatchOptions) -> None:
        if isinstance(options.manifest, Manifest):
            raise UsageError("the studio needs a manifest in a file", hint="give its path")
        self.path = options.manifest.expanduser()
        self.bundle = Bundle.load(options.bundle or shipped_bundle())
        self.options = options.resolved(self.bundle)
        self.out = options.out.absolute()
        self._state = self._read()

    @property
    def state(self) -> State:
        """The manifest, read again if its file has changed.

        Raises:
            ManifestError: it has changed, and something is wrong with it now.
        """
        if self._state.stamp != stamp_of(self.path):
            self._state = self._read()
        return self._state

    def reread(self) -> None:
        """Read the manifest again."""
        self._state = self._read()

    def _read(self) -> State:
        stamp = stamp_of(self.path)
        rig = self.bundle.rig
        document: Node | None = None
        if self.path.suffix.lower() in YAML_SUFFIXES and self.path.is_file():
            try:
                document = read_document(self.path)
            except DocumentError as error:
                raise ManifestError([error.message], self.path, error.hint) from None
        if document is None or is_redo(document):
            manifest, document = load_manifest(self.path, rig), None
        else:
            manifest = ManifestReader(self.path, rig).read(document)
        planner = Planner(self.options, self.bundle, manifest)
        state = State(manifest, planner, {one.id: one for one in planner.planned_lines()}, stamp=stamp)
        if document is not None:
            state.places = dict(_places(document))
            state.defaults = dict(_defaults(document))
        return state

    def manifest_of(self, text: str) -> Manifest:
        """What the manifest would say with another text (YAML).

        Raises:
            ManifestError: with everything that is wrong.
        """
        try:
            document = parse_yaml(text, str(self.path))
        except DocumentError as error:
            raise ManifestError([error.message], self.path, error.hint) from None
        return ManifestReader(self.path, self.bundle.rig).read(document)

    def line(self, line_id: str) -> PlannedLine:
        """A line as the manifest has it.

        Raises:
            UsageError: it has no such line.
        """
        found = self.state.lines.get(line_id)
        if found is None:
            raise UsageError(f"{self.path.name} has no line {line_id!r}", hint="load the page again")
        return found

    def why_fixed(self, line_id: str) -> str:
        """Why a line cannot be changed on the page; empty if it can."""
        line = self.line(line_id).line
        if line.noise is not None:
            return f"this is a take of {line.noise}: choose one by writing its seed into that line"
        if line.dub is not None:
            return "this line dubs a performance: change it in the manifest"
        if line_id not in self.state.places:
            return "only lines of a YAML manifest can be changed here"
        return ""

    def own_keys(self, line_id: str) -> dict[str, Any]:
        """The choices that a line itself makes, as plain values."""
        place = self.state.places.get(line_id)
        return {} if place is None else {k: v for k, v in as_plain(place.node).items() if k in CHOICES}

    def inherited(self, line_id: str) -> dict[str, Any]:
        """The choices that its character and the manifest make for it, as plain values."""
        character = self.line(line_id).line.character
        own = self.state.defaults.get(character.name, {}) if character else {}
        given = self.options.all_choices.style  # of the command line, which is stronger than every default
        style = [{"ref": ref.name, "weight": ref.weight} for ref in given or ()]
        return self.state.defaults.get("", {}) | own | ({"style": style} if style else {})

    def changed(self, line_id: str, keys: Keys) -> PlannedLine:
        """A line as it would be with other values of some of its keys, ready to be made.

        Args:
            line_id: of the manifest.
            keys: choices of the line; None takes one away, so that its character's or the manifest's holds again.

        Raises:
            ManifestError: a value is wrong.
            MsmdError: a recording, style or gesture is not there; the line cannot be changed.
        """
        planned = self.line(line_id)
        if keys:
            if why := self.why_fixed(line_id):
                raise UsageError(f"line {line_id} stays as it is", hint=why)
            planned = self.state.planner.with_choices(self._read_line(self.state.places[line_id], keys))
        return self.state.planner.with_contents(planned, self.out.resolve())

    def _read_line(self, place: Place, keys: Keys) -> Line:
        unknown = [key for key in keys if key not in CHOICES or key == "takes"]
        if unknown:
            raise UsageError(
                f"{unknown[0]!r} is no choice that can be changed here", hint=f"choices: {', '.join(CHOICES)}"
            )
        entries = {key: node for key, node in place.node.entries if key.text not in keys}
        given = {key: value for key, value in keys.items() if value is not None}
        if given:
            entries |= dict(parse_yaml(json.dumps(given), "this change").entries)
        reader = ManifestReader(self.path, self.bundle.rig)
        characters = self.characters
        own = characters.get(place.character) if place.character else None
        line = reader.line(Node(entries, place.node.line, place.node.column), characters, own)
        if line is None or reader.problems:
            raise ManifestError(
                [_plainly(text) for text in reader.texts()], Path("this change"), "the line stays as it was"
            )
        return line

    @property
    def characters(self) -> dict[str, Character]:
        """Those of the manifest that have lines, by name."""
        return {line.character.name: line.character for line in self.state.manifest.lines if line.character is not None}

    def records(self) -> dict[str, dict[str, Any]]:
        """Line id -> what OUT's report says of it; empty where there is none that can be read."""
        try:
            lines = json.loads((self.out / REPORT).read_text(encoding="utf-8"))["lines"]
            return {line["id"]: line for line in lines}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}

    @property
    def stamp(self) -> tuple[int, int]:
        """What changes when the manifest's file is written."""
        return stamp_of(self.path)

    @property
    def busy(self) -> bool:
        """Whether a batch is at work in OUT, or was killed there."""
        return (self.out / LOCK).exists()


def stamp_of(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its time in nanoseconds and its size; zeros if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def find_project(given: Path, out: Path | None) -> tuple[Path, Path]:
    """Manifest and OUT of what was given: a manifest (OUT beside the current folder's `out`), or an OUT.

    Raises:
        UsageError: an OUT whose report names no manifest that is there.
    """
    given = given.expanduser()
    report = given / REPORT
    if not report.is_file():
        return given, out or Path("out")
    try:
        named = json.loads(report.read_text(encoding="utf-8"))["settings"]["manifest"]
        manifest = Path(named)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{report} names no manifest: {error}", hint="give the manifest, and --out") from None
    if not manifest.exists():
        raise UsageError(f"the manifest of {given} is not there: {manifest}", hint="give the manifest, and --out")
    return manifest, out or given


def as_plain(node: Node) -> Any:
    """A document's value as JSON has it: a text that was written without quotes becomes the number that it is."""
    if isinstance(node.content, dict):
        return {key.text: as_plain(value) for key, value in node.entries}
    if isinstance(node.content, list):
        return [as_plain(item) for item in node.items]
    if node.is_null:
        return None
    if (whole := node.integer) is not None:
        return whole
    number = None if node.quoted else number_in(node.content)
    return node.content if number is None else number


def _entry(node: Node, name: str) -> Node | None:
    return next((value for key, value in node.entries if key.text == name), None)


def _places(document: Node) -> Iterator[tuple[str, Place]]:
    """Where each line of a document is written, by id."""
    groups: list[tuple[str | None, Node | None]] = [(None, _entry(document, "lines"))]
    characters = _entry(document, "characters")
    if characters is not None:
        groups += [(key.text, _entry(value, "lines")) for key, value in characters.entries]
    for character, lines in groups:
        for item in lines.items if lines is not None else ():
            found = _entry(item, "id")
            if found is not None and found.text is not None:
                yield found.text, Place(item, character)


def _defaults(document: Node) -> Iterator[tuple[str, dict[str, Any]]]:
    found = _entry(document, "defaults")
    yield "", as_plain(found) if found is not None and isinstance(found.content, dict) else {}
    characters = _entry(document, "characters")
    for key, value in characters.entries if characters is not None else ():
        own = _entry(value, "defaults")
        if own is not None and isinstance(own.content, dict):
            yield key.text, as_plain(own)


def _plainly(problem: str) -> str:
    """A problem of the reader without the place of a text that nobody has written."""
    head, _, rest = problem.partition(": ")
    return rest if rest and ":" in head else problem
