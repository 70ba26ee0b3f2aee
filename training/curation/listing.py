"""Which clips there are: the videos in the sources, what is known about each, and a name for each in the data set."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

from msmdcli.documents.names import readable_name
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.folder_scan import scan_folder
from msmdcli.media.suffixes import VIDEO_SUFFIXES
from msmdcli.system.files import encoded
from training.curation.clip_names import LAYOUTS, ClipFacts, find_layout

LABEL_FIELDS = ("file", "speaker", "tag", "intensity", "language", "licence", "commercial", "source", "drop")
LABELS = "labels.csv"  # read where it lies in a source folder
UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class SourceClip:
    """A clip that is to be looked at.

    Attributes:
        id: its name in the data set.
        video: the file.
        name: its path below the source folder, with slashes; for reports.
        source: the data set or folder it comes from. Clips of one source share one recording chain: a constant offset
            between sound and picture is looked for in them together.
        layout: whose manner it is named in.
        facts: see there.
    """

    id: str
    video: Path
    name: str
    source: str
    layout: str
    facts: ClipFacts


def list_clips(
    sources: Sequence[Path],
    layout: str | None = None,
    labels: Path | None = None,
    besides: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[SourceClip]:
    """The clips of all sources, sorted by id.

    Args:
        sources: folders, or single files.
        layout: name of the layout; None finds it for each source.
        labels: CSV with a column `file` (the path below the source) and any of LABEL_FIELDS; it overrides what names
            say. None: `labels.csv` of each source folder, if there is one.
        besides: a folder to leave out (the data set, where it lies in a source).
        tell: called with what a folder holds that is not taken.

    Raises:
        UsageError: no such source, unknown layout.
        MsmdError: the sources hold no videos; labels that cannot be read.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"unknown layout '{layout}'", hint=f"choose one of: {', '.join(LAYOUTS)}")
    clips: list[SourceClip] = []
    for source in sources:
        if not source.exists():
            raise UsageError(f"there is no {source}", hint="name folders of videos, or videos")
        folder = source if source.is_dir() else source.parent
        names = _videos(source, besides, tell) if source.is_dir() else [PurePosixPath(source.name)]
        if names:
            clips += _describe(folder.resolve(), names, layout, labels)
    if not clips:
        raise MsmdError(
            f"no video in {', '.join(str(source) for source in sources)}", hint=f"looked for {' '.join(VIDEO_SUFFIXES)}"
        )
    return sorted(_distinct(clips), key=lambda clip: clip.id)


def _videos(folder: Path, besides: Path | None, tell: Callable[[str], None]) -> list[PurePosixPath]:
    found = scan_folder(folder, VIDEO_SUFFIXES, [] if besides is None else [besides])
    for note in found.notes():
        tell(note)
    return [PurePosixPath(file.relative_to(folder).as_posix()) for file in found.files]


def _describe(
    folder: Path, names: list[PurePosixPath], layout: str | None, labels: Path | None
) -> Iterable[SourceClip]:
    if layout is None:
        manner, notes = find_layout(folder, names)
    else:
        manner = LAYOUTS[layout]
        notes = manner.notes(folder)
    table = _labels(labels or folder / LABELS, needed=labels is not None)
    plain = LAYOUTS["plain"]
    for name in names:
        facts = manner.read(folder, name, notes) or plain.read(folder, name, None)
        assert facts is not None
        texts = {field.name: getattr(facts, field.name) for field in fields(facts)}
        readable = {key: readable_name(text) for key, text in texts.items() if isinstance(text, str)}
        facts = replace(facts, **readable)  # type: ignore[arg-type]
        source = readable_name(folder.name) if manner is plain else manner.name
        shown = PurePosixPath(readable_name(str(name)))
        label = table.get(shown.as_posix())
        if label:
            facts, source = _overridden(facts, label), label.get("source") or source
        yield SourceClip(
            _safe(f"{source}_{shown.with_suffix('')}"), folder / name, str(shown), source, manner.name, facts
        )


def _labels(path: Path, needed: bool) -> dict[str, dict[str, str]]:
    if not path.is_file():
        if needed:
            raise UsageError(f"there is no {path}", hint=f"a CSV file with the columns {', '.join(LABEL_FIELDS)}")
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = set(reader.fieldnames or ())
            if "file" not in names or names - set(LABEL_FIELDS):
                wrong = ", ".join(sorted(names - set(LABEL_FIELDS))) or "no column 'file'"
                raise MsmdError(f"{path} has other columns: {wrong}", hint=f"known: {', '.join(LABEL_FIELDS)}")
            return {
                PurePosixPath(row["file"]).as_posix(): {k: (v or "").strip() for k, v in row.items()} for row in reader
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MsmdError(f"{path} cannot be read as CSV: {error}") from error


def _overridden(facts: ClipFacts, label: dict[str, str]) -> ClipFacts:
    given = {name: label[name] for name in ("speaker", "tag", "intensity", "language", "licence") if label.get(name)}
    facts = replace(facts, **given)  # type: ignore[arg-type]
    if label.get("commercial"):
        facts = replace(facts, commercial=label["commercial"].lower() in ("1", "yes", "true"))
    if label.get("drop"):
        facts = replace(facts, dropped=label["drop"])
    return facts


def _safe(name: str) -> str:
    return UNSAFE.sub("_", name).strip("._") or "clip"


def _distinct(clips: list[SourceClip]) -> list[SourceClip]:
    """Ids that no two clips share, whatever else is in the sources' order: twins get a hash of their path."""
    times = Counter(clip.id.lower() for clip in clips)
    once = [
        clip if times[clip.id.lower()] == 1 else replace(clip, id=f"{clip.id}-{_hash(str(clip.video))}")
        for clip in clips
    ]
    return list({clip.id: clip for clip in once}.values())  # a file named twice is one clip


def _hash(text: str) -> str:
    return hashlib.sha256(encoded(text)).hexdigest()[:8]
