"""What a redo takes over from the run whose lines it does again: its options, and its report's other lines.

`msmd batch redo.yaml --out OUT` makes a few lines of OUT anew. The options of the run stand in OUT/report.json under
`settings.options`, as they were typed; they count as if they had been given again, where the redo's own command line
says nothing. What earlier redos have said of the lines stands under `settings.redone`, and holds on. Its report has all
lines: those that are done again as they are now, the others as they were. `--only` keeps the report's other lines, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.report import STATUSES, Record
from msmdcli.batch.report_file import NAME, read_report
from msmdcli.documents.nodes import DocumentError
from msmdcli.documents.tree import read_document
from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import Manifest, RedoEntry
from msmdcli.manifest.redo import is_redo, source_of
from msmdcli.model.sampling import Sampling

WORD = re.compile(rb"""(?m)^[\s{,"']*redo["']?\s*:""")  # in a manifest of lines to redo
LONGEST = 1 << 20  # bytes of such a manifest that are looked at


def described_options(options: BatchOptions) -> dict[str, Any]:
    """The options of a run that decide what its lines become, for its report."""
    sampling = {name: value for name, value in asdict(options.sampling).items() if value is not None}
    return {
        "folder": str(Path.cwd()),
        "choices": {name: value for name, value in options.asked.items() if value not in (None, ())},
        "sampling": sampling,
        "styles": [str(folder.absolute()) for folder in options.styles],
        "gestures": [str(folder.absolute()) for folder in options.gestures],
        "bundle": None if options.bundle is None else str(options.bundle.absolute()),
    }


def with_earlier(options: BatchOptions) -> tuple[BatchOptions, dict[str, Any] | None]:
    """The options of a redo with those of the run that it belongs to, and that run's report.

    A dub, and a batch of some lines only, add to the report and keep their own options. Anything else, and a redo into
    an OUT without a report of its manifest, is given back as it is, with None.

    Raises:
        UsageError: the report cannot be used.
    """
    if options.adds:
        try:
            return options, read_report(options.out)
        except UsageError:
            return options, None  # there is none yet, or none that could be added to
    named = [] if isinstance(options.manifest, Manifest) else sources(options.manifest)
    source = named[-1] if named else None
    if source is None and (options.redo is not None or options.only):
        given = options.manifest
        source = Path(os.path.realpath(given.path if isinstance(given, Manifest) else given.expanduser()))
    if source is None or not (options.out / NAME).exists():
        return options, None
    report = read_report(options.out)
    if report["settings"].get("manifest") != str(source):
        return options, None
    if options.redo is None and not named:
        return options, report
    return with_run_options(options, report), report


def with_run_options(options: BatchOptions, report: Mapping[str, Any]) -> BatchOptions:
    """The options of a run, where `options` say nothing themselves.

    Args:
        options: style, formats, fps, sampling, folders and bundle that they name win.
        report: of the run, from `read_report`.

    Raises:
        UsageError: the report's options cannot be used.
    """
    earlier = report["settings"].get("options")
    try:
        return _taken_over(options, earlier) if isinstance(earlier, dict) else options
    except (MsmdError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{options.out / NAME} holds options that cannot be used: {error}", hint="choose another --out"
        ) from error


def run_words(report: Mapping[str, Any]) -> str:
    """The options of a run, as they would be typed; empty where it had none."""
    given = report["settings"].get("options")
    options = given if isinstance(given, dict) else {}
    words = []
    for part in ("choices", "sampling"):
        found = options.get(part)
        for name, value in (found if isinstance(found, dict) else {}).items():
            flag = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                words.append(flag if value else f"--no-{flag[2:]}")
            else:
                words += [f"{flag} {item}" for item in (value if isinstance(value, list) else [value])]
    return " ".join(dict.fromkeys(words))


def redone_in(report: Mapping[str, Any] | None) -> dict[str, tuple[RedoEntry, ...]]:
    """Line id -> what redos have said of it since the run, the first one first; what makes no sense is left out."""
    found: dict[str, tuple[RedoEntry, ...]] = {}
    given = {} if report is None else report["settings"].get("redone")
    for line_id, entries in (given if isinstance(given, dict) else {}).items():
        if isinstance(entries, list):
            pairs = [(one.get("folder"), one.get("entry")) for one in entries if isinstance(one, dict)]
            found[line_id] = tuple(RedoEntry(Path(a), b) for a, b in pairs if isinstance(a, str) and isinstance(b, str))
    return found


def described_redone(before: Mapping[str, Any] | None, manifest: Manifest, ids: Iterable[str]) -> dict[str, Any]:
    """The same after a run, for its report.

    Args:
        before: the report of the run before; None where this run is one of its own.
        manifest: of this run.
        ids: of its lines.
    """
    made = set(ids)
    entries = {name: said for name, said in redone_in(before).items() if name not in made} | dict(manifest.redone)
    return {
        name: [{"folder": str(one.folder), "entry": one.text} for one in said] for name, said in sorted(entries.items())
    }


def merged(records: Sequence[Record], report: Mapping[str, Any]) -> tuple[Record, ...]:
    """The records of a redo, and after them those of the other lines of the report of the run before."""
    again = {record.id for record in records}
    others = []
    for line in report["lines"]:
        if line["id"] in again or line.get("status") not in STATUSES:
            continue
        record = _record(line)
        others.append(replace(record, status="unchanged") if record.status == "made" else record)
    return (*records, *others)


def _record(line: Mapping[str, Any]) -> Record:
    """A line of a report; measures of health that are not those of this version are left out."""
    known = {field.name for field in fields(Record)}
    data: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in line.items()}
    record = Record(**{name: value for name, value in data.items() if name in known})
    try:
        _ = record.score, record.concerns
    except (TypeError, KeyError, ValueError, ArithmeticError):
        return replace(record, health={})
    return record


def sources(path: Path) -> list[Path]:
    """The manifests that a manifest of lines to redo is from, one after the other; none of any other.

    The last one is no redo, but where they lead in a circle.
    """
    found: list[Path] = []
    while (named := _named(found[-1] if found else path)) is not None and named not in found:
        found.append(named)
    return found


def _named(path: Path) -> Path | None:
    """The manifest that a manifest of lines to redo names; None of any other."""
    path = path.expanduser()
    try:
        if not path.is_file() or path.suffix.lower() not in (".yaml", ".yml", ".json"):
            return None
        with path.open("rb") as file:
            if not WORD.search(file.read(LONGEST)):
                return None
        document = read_document(path)
        return source_of(document, path) if is_redo(document) else None
    except (OSError, DocumentError):
        return None  # whoever reads the manifest says what is wrong


def _taken_over(options: BatchOptions, earlier: Mapping[str, Any]) -> BatchOptions:
    sampling = {field.name: earlier["sampling"].get(field.name) for field in fields(Sampling)}
    if sampling["guidance_interval"] is not None:
        low, high = sampling["guidance_interval"]
        sampling["guidance_interval"] = float(low), float(high)
    given = {name: value for name, value in asdict(options.sampling).items() if value is not None}
    if "sampler" in given:  # its number of steps goes with its sampler only
        sampling["steps"] = None
    bundle = earlier["bundle"]
    texts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in earlier["choices"].items()
    }
    return replace(
        options,
        earlier=parse_choices(**texts, here=Path(earlier["folder"])),
        sampling=Sampling(**(sampling | given)),
        styles=options.styles or tuple(map(Path, earlier["styles"])),
        gestures=options.gestures or tuple(map(Path, earlier["gestures"])),
        bundle=options.bundle or (None if bundle is None else Path(bundle)),
    )
