"""What is to be made, skipped, kept or refused. Nothing is written and nothing is computed here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from msmdcli.batch import dubbing
from msmdcli.batch.approvals import Mark, judged
from msmdcli.batch.ledger import Ledger
from msmdcli.batch.planned import DEFAULT_FORMATS, BatchOptions, Libraries, Plan, PlannedLine, content_key
from msmdcli.controls.controls import Controls
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.documents.names import folded
from msmdcli.documents.spelling import missing_hint
from msmdcli.errors import MsmdError, UsageError, did_you_mean
from msmdcli.formats.registry import get_format
from msmdcli.formats.unreal_import import asset_name
from msmdcli.manifest.format_options import OptionKeys, options_for, unused_options
from msmdcli.manifest.lines import Choices, Line, Manifest, ManifestError, style_field
from msmdcli.manifest.loading import curve_maps_of
from msmdcli.manifest.takes import with_takes
from msmdcli.model.bundle import Bundle
from msmdcli.styles.field import NO_STYLE, StyleField
from msmdcli.system.files import existing_sha256, sha256_of

HASH_THREADS = 8  # reading recordings waits for disks and networks


class Planner:
    """Plans the lines of a batch.

    Args:
        options: with the bundle's recommendations (`BatchOptions.resolved`).
        bundle: the model.
        manifest: what is to be animated.

    Raises:
        UsageError: a curve map or a folder of styles or gestures cannot be used.
    """

    def __init__(self, options: BatchOptions, bundle: Bundle, manifest: Manifest) -> None:
        self.options = options
        self.bundle = bundle
        self.manifest = manifest
        self.curve_maps = curve_maps_of(manifest, bundle.rig)
        self.libraries = Libraries(manifest, options.styles)
        self.gestures = GestureLibrary(options.gestures, manifest.path.parent / "gestures")
        self._option_keys = OptionKeys()
        self._meant: dict[int, tuple[Choices, StyleField, Controls]] = {}  # merged choices, which many lines share

    def planned_lines(self) -> list[PlannedLine]:
        """Lines with all options merged.

        Raises:
            ManifestError, UsageError: a tag, gesture or option is unknown, or two outputs cannot be side by side.
        """
        path, lines = self.manifest.path, with_takes(self.manifest, self.options.all_choices)
        planned = [self.with_choices(line) for line in lines]
        _check_tags(planned, self.libraries, path)
        _check_gestures(planned, self.gestures, path)
        _check_outputs(planned, path)
        _check_assets(planned, path)
        _check_curves(planned, path)
        _check_options(planned, self.options.choices)
        return planned

    def plan(
        self, lines: Sequence[PlannedLine], ledger: Ledger, marks: Mapping[str, Mark] = MappingProxyType({})
    ) -> list[PlannedLine]:
        """The lines with what is to become of each.

        Args:
            lines: from `planned_lines`.
            ledger: of OUT.
            marks: approvals of lines, by id.
        """
        claimed, out = claimed_by(lines), self.options.out.resolve()

        def planned(line: PlannedLine) -> PlannedLine:
            try:
                found = self.against_ledger(self.with_contents(line, out), ledger, out, claimed)
                return self.with_approval(found, marks.get(line.id), ledger, out)
            except MsmdError as error:
                return line.failed(error)

        with ThreadPoolExecutor(HASH_THREADS) as pool:
            return list(pool.map(planned, lines))

    def with_choices(self, line: Line) -> PlannedLine:
        """The line with its style field, controls, curve map and outputs."""
        choices = self.manifest.choices(line, self.options.all_choices)
        names = choices.formats or DEFAULT_FORMATS
        outputs = {name: f"{line.id}{get_format(name).suffix}" for name in names}
        if id(choices) not in self._meant:
            meant = choices, style_field(choices, self.manifest.path.parent), choices.controls()
            self._meant[id(choices)] = meant
        _, styling, controls = self._meant[id(choices)]
        styling = dubbing.followed(styling, line)
        curves = self.curve_maps.get(line.character.curves) if line.character and line.character.curves else None
        if line.dub is not None:  # a dub says itself what its head does
            controls = replace(controls, head=1.0)
        asked = options_for(names, choices.format_options, line.character.head if line.character else None)
        return PlannedLine(
            line, choices, styling, controls, curves=curves, outputs=outputs, format_options=asked, targets=outputs
        )

    def with_contents(self, planned: PlannedLine, out: Path) -> PlannedLine:
        """The line with the contents that decide its motion, and their key.

        Raises:
            MsmdError: a recording, style, gesture or original is not there; an output would lie outside OUT.
        """
        line = planned.line
        for path in planned.outputs.values():
            if not (out / path).parent.resolve().is_relative_to(out):
                raise MsmdError(f"{out / path} would be written outside {out}", hint="a folder there is a link")
        originals = dubbing.find_originals(line)
        if not line.audio.is_file():
            raise MsmdError(f"no such recording: {line.audio}", hint=missing_hint(line.audio, f"named at {line.where}"))
        audio_sha256, seconds = sha256_of(line.audio), _seconds(line.audio)
        others = (ref for ref in planned.styling.refs() if ref.key not in originals)
        planned = replace(
            planned,
            references={**originals, **{ref.key: self.libraries.resolve(line, *ref.key) for ref in others}},
            audio_sha256=audio_sha256,
            seconds=seconds,
            controls=planned.controls.located(self.gestures),
            option_keys=self._option_keys.of(planned.format_options),
        )
        return replace(planned, key=content_key(planned, self.bundle, self.options.sampling))

    def against_ledger(self, planned: PlannedLine, ledger: Ledger, out: Path, claimed: Set[str]) -> PlannedLine:
        """The line compared with the ledger and the files in OUT: which outputs are ours, and whether they are new."""
        if self.options.force:
            return planned
        current, kept, targets = True, [], {}
        for fmt, path in planned.outputs.items():
            digest = existing_sha256(out / path)
            if not ledger.may_write(path, digest):
                kept.append(path)
                if not self.options.beside:
                    continue
                path = path_beside(path, claimed)
                digest = existing_sha256(out / path)
                if not ledger.may_write(path, digest):
                    kept.append(path)
                    continue
            targets[fmt] = path
            current &= ledger.is_current(planned.id, planned.key, path, digest)
        plan: Plan = "kept" if not targets else "unchanged" if current else "make"
        return replace(planned, plan=plan, kept=tuple(kept), targets=targets)

    def with_approval(self, planned: PlannedLine, mark: Mark | None, ledger: Ledger, out: Path) -> PlannedLine:
        """The line with what its approval is worth; an approved take that is in OUT stays there, whole."""
        if mark is None or not mark.approved:
            return planned
        entry = ledger.latest(planned.id)
        made = entry.key if entry is not None else None
        if self.options.force:  # what is there will be this line's
            return replace(planned, approval=judged(mark, planned.key, planned.key, True))
        wanted = dict.fromkeys([*planned.outputs.values(), *(entry.outputs if entry is not None else ())])
        there = [path for path in wanted if (out / path).is_file()]
        approval = judged(mark, planned.key, made, bool(there))
        if approval != "changed":
            return replace(planned, approval=approval)
        ours = {fmt: path for fmt, path in planned.outputs.items() if path in there and path not in planned.kept}
        return replace(planned, plan="kept", approval=approval, targets=ours)


def chosen(lines: Sequence[PlannedLine], only: Sequence[str]) -> list[PlannedLine]:
    """The lines that are asked for.

    Args:
        lines: all.
        only: ids, with * and ? for any characters; empty: all lines.

    Raises:
        UsageError: an id is that of no line.
    """
    if not only:
        return list(lines)
    wanted: set[str] = set()
    for pattern in only:
        found = {line.id for line in lines if line.id == pattern or fnmatchcase(line.id, pattern)}
        if not found:
            known = did_you_mean(pattern, [line.id for line in lines])
            raise UsageError(f"--only {pattern}: there is no such line", hint=known)
        wanted |= found
    return [line for line in lines if line.id in wanted]


def claimed_by(lines: Iterable[PlannedLine]) -> set[str]:
    """Every output of the lines, in the form in which equal ones are one file on some systems."""
    return {folded(path) for planned in lines for path in planned.outputs.values()}


def path_beside(path: str, claimed: Set[str]) -> str:
    """Where our version of a kept file goes.

    Raises:
        MsmdError: another line has its output there.
    """
    place = PurePosixPath(path)
    new = place.with_name(f"{place.stem}.new{place.suffix}").as_posix()
    if folded(new) in claimed:
        raise MsmdError(f"{path} was edited, and {new} is the output of another line", hint="rename that line")
    return new


def _seconds(audio: Path) -> float:
    """The duration in a recording's header; 0 where there is none."""
    import soundfile

    try:
        return float(soundfile.info(os.fsencode(audio)).duration)
    except (soundfile.LibsndfileError, OSError):
        return 0.0


def _check_tags(plan: Iterable[PlannedLine], libraries: Libraries, path: Path) -> None:
    """Refuse tags that no library has, all at once."""
    problems: dict[str, None] = {}
    looked: set[tuple[int, int]] = set()
    for planned in plan:
        library = libraries.of(planned.line)
        if (seen := (id(library), id(planned.styling))) in looked:
            continue
        looked.add(seen)
        for ref in planned.styling.refs():
            if not library.knows(ref.name, ref.base):
                known = did_you_mean(ref.name, [*library.tags, NO_STYLE])
                place = ref.where or ("--style" if planned.choices.style else "the default style")
                problems[f"{place}: there is no style {ref.name!r}; {known}"] = None
    if problems:
        hint = "`msmd styles list` shows the tags; --styles adds a folder of them"
        raise ManifestError(list(problems), path, hint)


def _check_gestures(plan: Iterable[PlannedLine], library: GestureLibrary, path: Path) -> None:
    """Refuse gestures that no folder has, all at once."""
    problems: dict[str, None] = {}
    for gesture in (gesture for planned in plan for gesture in planned.controls.gestures):
        if not library.knows(gesture.name):
            known = did_you_mean(gesture.name, library.names)
            problems[f"{gesture.where}: there is no gesture {gesture.name!r}; {known}"] = None
    if problems:
        raise ManifestError(list(problems), path, hint="--gestures adds a folder of them")


def _check_outputs(plan: Iterable[PlannedLine], path: Path) -> None:
    """Refuse ids of which one needs a folder where another has its file, as `a.csv/b` beside `a`."""
    files = {output: planned.line for planned in plan for output in planned.outputs.values()}
    problems = [
        f"{planned.line.where}: the id {planned.id!r} needs a folder where line {files[folder].id!r} has its file"
        for planned in plan
        for folder in folders_of(planned.id)
        if folder in files
    ]
    if problems:
        raise ManifestError(problems, path)


def folders_of(line_id: str) -> list[str]:
    """The folders below OUT that an id needs, the innermost first: `a/b/c` -> `a/b`, `a`."""
    found = []
    while "/" in line_id:
        line_id = line_id.rpartition("/")[0]
        found.append(line_id)
    return found


def _check_assets(plan: Iterable[PlannedLine], path: Path) -> None:
    """Refuse ids that are different files and one asset in Unreal, whose names have letters, digits and _ only."""
    first: dict[str, Line] = {}
    problems = []
    for line in (planned.line for planned in plan if "unreal" in planned.outputs):
        other = first.setdefault(asset_name(line.id).lower(), line)
        if other is not line:
            name = asset_name(line.id)
            problems.append(f"{line.where}: {line.id!r} and {other.id!r} would be one Unreal asset, {name}")
    if problems:
        raise ManifestError(problems, path, hint="change these ids, or leave out the format unreal")


def _check_curves(plan: Iterable[PlannedLine], path: Path) -> None:
    """Refuse formats that cannot hold what a curve map makes."""
    problems = [
        f"{planned.line.where}: format {name} holds the channels of {get_format(name).rig} only, and the curve map"
        f" {planned.curves.name} makes others"
        for planned in plan
        if planned.curves is not None
        for name in planned.outputs
        if not get_format(name).holds(planned.curves.rig)
    ]
    if problems:
        raise ManifestError(problems, path, hint="choose other `formats` for this character, such as npz or json")


def _check_options(plan: Iterable[PlannedLine], given: Choices) -> None:
    """Refuse options of the command line that would do nothing."""
    formats = {name for planned in plan for name in planned.outputs}
    if given.format_options and (unused := unused_options(given.format_options, formats)):
        known = "no line is written in a format that has it"
        raise UsageError(
            f"option {unused[0]}: {known}", hint=f"the formats of this batch: {', '.join(sorted(formats))}"
        )
