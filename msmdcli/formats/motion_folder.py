"""The motion in a folder, such as the OUT of a batch: of each line one file, whatever formats it was written in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msmdcli.errors import UsageError
from msmdcli.formats.registry import FORMATS, format_of, stem
from msmdcli.media.folder_scan import OTHER, FolderScan, scan_folder

READABLE = tuple(form for form in FORMATS.values() if form.readable)  # the exact one comes first
NO_MOTION = ("report.json", "dataset.json")  # of those that end like motion
SNIFFED = 64
SAME = "the same line in another format"


def motion_in(folder: Path, leave: Path | None = None) -> FolderScan:
    """The motion files in a folder and below; of several formats of a line the one that holds it best.

    Args:
        folder: to be searched.
        leave: a folder below it to leave out.

    Raises:
        UsageError: there is none.
        MsmdError: the folder cannot be read.
    """
    suffixes = {Path("x" + suffix).suffix for form in READABLE for suffix in (form.suffix, *form.also)}
    scan = scan_folder(folder, suffixes, [] if leave is None else [leave])
    passed_over = dict(scan.passed_over)
    best: dict[Path, tuple[int, Path]] = {}
    for file in scan.files:
        rank = _rank(file)
        if rank is None:
            passed_over[file] = OTHER
            continue
        line = file.with_name(stem(file))
        if line in best:
            passed_over[max((rank, file), best[line])[1]] = SAME
        best[line] = min(best.get(line, (rank, file)), (rank, file))
    files = tuple(sorted(file for _, file in best.values()))
    if not files:
        known = ", ".join(f"*{form.suffix}" for form in READABLE)
        raise UsageError(f"there is no motion in {folder}", hint=f"looked for {known}")
    return replace(scan, files=files, passed_over=passed_over)


def _rank(file: Path) -> int | None:
    """The place of a file's format among those that can be read; None where its beginning is not of that format."""
    form = format_of(file)
    if form not in READABLE or file.name in NO_MOTION:
        return None
    if file.suffix.lower() in (".csv", ".json"):  # many other files are called so
        with file.open("rb") as opened:
            start = opened.read(SNIFFED).lower()
        if not start.startswith(form.begins) or (form.name == "json" and b"msmd-motion" not in start):
            return None
    return READABLE.index(form)
