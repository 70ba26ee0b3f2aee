"""What the studio works on: a manifest, the OUT of its batch, and its lines as they are planned.

A line is planned by `msmdcli.batch.plan`, as in a batch; one that was changed on the page is read by the manifest's own
reader, so that it means what it will mean once it is written into the manifest. A take of a line is changed through
that line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from msmdcli.batch.out_lock import NAME as LOCK
from msmdcli.batch.plan import Planner
from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.redoing import redone_in
from msmdcli.documents.nodes import DocumentError, Node
from msmdcli.documents.tree import parse_document, parse_yaml, read_document
from msmdcli.errors import UsageError
from msmdcli.manifest.dubs import NOT_FOR_DUBS, read_dubs
from msmdcli.manifest.lines import Character, Line, Manifest, ManifestError, RedoEntry
from msmdcli.manifest.loading import load_manifest
from msmdcli.manifest.reading import ManifestReader
from msmdcli.manifest.redo import is_redo
from msmdcli.manifest.takes import take_id, with_takes
from msmdcli.model.bundle import Bundle
from msmdcli.paths import shipped_bundle
from msmdcli.studio.places import Place, defaults_of, places_in_table, places_of
from msmdcli.studio.redone import redone_keys
from msmdcli.system.machine import uncollected

TABLES = (".csv", ".tsv")
WRITTEN = (".yaml", ".yml", ".json", *TABLES)  # manifests whose lines can be changed
REPORT = "report.json"
PATIENCE = 2.0  # seconds that a manifest gets to be read before the page is shown without its lines
LARGE = 1 << 18  # bytes of one for which nobody waits
TURNS = 0.0005  # seconds for which it is read at a stretch while others want to work, too

Keys = Mapping[str, Any]  # key of a line -> plain value; None takes the key away


@dataclass
class State:
    """The manifest as it was read last.

    Attributes:
        manifest: what is to be animated.
        planner: of its batch.
        lines: id -> the line as it is planned, in the manifest's order.
        places: id -> where it is written; none in a folder of recordings, or in lines to do again.
        defaults: of the manifest and of each character ("" is the manifest), as plain values.
        stamp: time and size of the manifest's file, to see that it has changed.
    """

    manifest: Manifest
    planner: Planner
    lines: dict[str, PlannedLine]
    places: dict[str, Place] = field(default_factory=dict)
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    stamp: tuple[int, int] = (0, 0)


class Report(NamedTuple):
    """What OUT's report says of lines, by id: their records, and what redos have said of them."""

    records: dict[str, dict[str, Any]]
    redone: dict[str, tuple[RedoEntry, ...]]


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
        self.bundle = Bundle.load(options.bundle or shipped_bundle(), verify=False)  # whoever makes lines verifies it
        self.options = options.resolved(self.bundle)
        self.out = options.out.absolute()
        self._state: State | None = None
        self._lock = threading.Lock()
        self._report: tuple[tuple[int, int], Report] | None = None
        self.first: Future[State] = Future()  # what was read first
        threading.Thread(target=self._read_first, daemon=True, name="msmd-studio-manifest").start()
        if stamp_of(self.path)[1] < LARGE:
            with suppress(TimeoutError):
                self.first.result(PATIENCE)

    def _read_first(self) -> None:
        """Read the manifest for whoever opens it; what is wrong later is said to whoever asks."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(TURNS)  # the page is served meanwhile
        try:
            self.first.set_result(self.state)
        except BaseException as error:
            self.first.set_exception(error)
        finally:
            sys.setswitchinterval(usual)

    @property
    def state(self) -> State:
        """The manifest, read again if its file has changed.

        Raises:
            ManifestError: something is wrong with it.
        """
        with self._lock:
            if self._state is None or self._state.stamp != stamp_of(self.path):
                with uncollected():
                    self._state = self._read()
            return self._state

    def reread(self) -> None:
        """Read the manifest again."""
        with self._lock:
            self._state = None
        _ = self.state

    def _read(self) -> State:
        stamp = stamp_of(self.path)
        rig = self.bundle.rig
        document: Node | None = None
        if self.path.suffix.lower() in WRITTEN and self.path.is_file():
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
            table = self.path.suffix.lower() in TABLES
            reader = ManifestReader(self.path, rig)
            state.places = dict(places_in_table(document, reader) if table else places_of(document))
            state.defaults = dict(defaults_of(document))
        return state

    def manifest_of(self, text: str) -> Manifest:
        """What the manifest would say with another text.

        Raises:
            ManifestError: with everything that is wrong.
        """
        try:
            document = parse_document(text, self.path)
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

    def shown_line(self, line_id: str) -> PlannedLine:
        """A line as an open page shows it: while its manifest is wrong, as that could be read last.

        Raises:
            UsageError: there is no such line.
        """
        try:
            return self.line(line_id)
        except ManifestError:
            if self._state is None or line_id not in self._state.lines:
                raise
            return self._state.lines[line_id]

    def why_fixed(self, line_id: str) -> str:
        """Why a line cannot be changed on the page; empty if it can."""
        if self.written_id(line_id) in self.state.places:
            return ""
        if self.path.suffix.lower() in WRITTEN:
            return "these are lines to do again: change them in the manifest that they are from"
        return "a recording has no place for choices: list it in a manifest (YAML, JSON or CSV) and open that"

    def written_id(self, line_id: str) -> str:
        """The id under which a line is written: that of the line of which it is a take, else its own."""
        line = self.line(line_id).line
        return line.id if line.noise is None else line.noise

    def take_number(self, line_id: str) -> int | None:
        """Which take of its line it is, counted from 1; None for a line with one take."""
        line = self.line(line_id).line
        return None if line.noise is None else int(line.id.removeprefix(take_id(line.noise, 0)[:-1]))

    def choosing(self, line_id: str) -> dict[str, Any]:
        """The keys with which a take becomes its line; none for a line with one take."""
        if self.take_number(line_id) is None:
            return {}
        return {"seed": self.line(line_id).seed, "takes": 1 if self.inherited(line_id).get("takes") else None}

    def own_keys(self, line_id: str) -> dict[str, Any]:
        """The choices that a line itself makes, as plain values; of a take, its line's."""
        place = self.state.places.get(self.written_id(line_id))
        return {} if place is None else place.own()

    def inherited(self, line_id: str) -> dict[str, Any]:
        """The choices that its character and the manifest make for it, as plain values."""
        line = self.line(line_id).line
        character = line.character
        own = self.state.defaults.get(character.name, {}) if character else {}
        given = self.options.all_choices.style  # of the command line, which is stronger than every default
        style = [{"ref": ref.name, "weight": ref.weight} for ref in given or ()]
        found = self.state.defaults.get("", {}) | own | ({"style": style} if style else {})
        return found if line.dub is None else {k: v for k, v in found.items() if k not in (*NOT_FOR_DUBS, "head")}

    def changed(self, line_id: str, keys: Keys) -> PlannedLine:
        """A line as it would be with other values of some of its keys, ready to be made.

        Args:
            line_id: of the manifest. A take is changed as its line is.
            keys: choices of the line; None takes one away, so that its character's or the manifest's holds again.
                `takes` can only be taken away (None, or 1 where others ask for more): then it is the line itself.

        Raises:
            ManifestError: a value is wrong.
            MsmdError: a recording, style or gesture is not there; the line cannot be changed.
        """
        planned = self.line(line_id)
        if keys:
            if why := self.why_fixed(line_id):
                raise UsageError(f"line {line_id} stays as it is", hint=why)
            written = self._read_line(self.state.places[self.written_id(line_id)], keys)
            lines = with_takes(replace(self.state.manifest, lines=(written,)), self.options.all_choices)
            number = self.take_number(line_id)
            line = lines[number - 1] if number is not None and number <= len(lines) else lines[0]
            planned = self.state.planner.with_choices(line)
        return self.state.planner.with_contents(planned, self.out.resolve())

    def _read_line(self, place: Place, keys: Keys) -> Line:
        unknown = [key for key in keys if key not in place.choices or (key == "takes" and keys[key] not in (None, 1))]
        if unknown:
            raise UsageError(
                f"{unknown[0]!r} is no choice that can be changed here", hint=f"choices: {', '.join(place.choices)}"
            )
        entries = {key: node for key, node in place.node.entries if key.text not in keys}
        given = {key: value for key, value in keys.items() if value is not None}
        if given:
            entries |= dict(parse_yaml(json.dumps(given), "this change").entries)
        reader = ManifestReader(self.path, self.bundle.rig)
        characters = self.characters
        own = characters.get(place.character) if place.character else None
        node = Node(entries, place.node.line, place.node.column)
        if place.dub:
            dubs = Node([node], node.line, node.column)
            line = next(iter(read_dubs(reader, dubs, lambda item: reader.line(item, characters))), None)
        else:
            line = reader.line(node, characters, own)
        if line is None or reader.problems:
            raise ManifestError(
                [_plainly(text) for text in reader.texts()], Path("this change"), "the line stays as it was"
            )
        return line

    @property
    def characters(self) -> dict[str, Character]:
        """Those of the manifest that have lines, by name."""
        return {line.character.name: line.character for line in self.state.manifest.lines if line.character is not None}

    def report(self) -> Report:
        """What OUT's report says; nothing where there is none that can be read."""
        path = self.out / REPORT
        stamp = stamp_of(path)
        if self._report is None or self._report[0] != stamp:
            found = Report({}, {})
            try:
                with uncollected():
                    said = json.loads(path.read_text(encoding="utf-8"))
                ours = said["settings"].get("manifest") == os.path.realpath(self.path)
                found = Report({line["id"]: line for line in said["lines"]}, redone_in(said) if ours else {})
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                pass
            self._report = stamp, found
        return self._report[1]

    def redone(self, line_id: str) -> dict[str, Any]:
        """The keys with which a redo made a line that is in OUT, as far as the manifest does not say them.

        Of one take of several a manifest can say nothing alone: these keys make the take its line.
        """
        entries = self.report().redone.get(line_id, ())
        place = self.state.places.get(self.written_id(line_id)) if line_id in self.state.lines else None
        if not entries or place is None:
            return {}
        keys = redone_keys(entries, place, self.path.absolute().parent)
        choosing = self.choosing(line_id)
        if choosing and keys.get("seed") == choosing["seed"]:
            del keys["seed"]  # the take's own
        return choosing | keys if keys else {}

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


def _plainly(problem: str) -> str:
    """A problem of the reader without the place of a text that nobody has written."""
    head, _, rest = problem.partition(": ")
    return rest if rest and ":" in head else problem
