"""The one way in which a folder is searched for recordings or videos.

Passed over: hidden files and folders, the companions that a Mac, a NAS or a recycle bin puts beside files, folders
that `msmd batch` has written (they hold its ledger), and what the caller leaves out. Links are followed; one that leads
nowhere, or to a folder that is read anyway, is not. What was not taken, and why, is in the result.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msmdcli.errors import MsmdError

COMPANIONS = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information")
LEDGER, REVIEW = "ledger.jsonl", "review"  # what msmd batch and msmd review write into OUT
SHOWN = 3  # names of each kind in a note

HIDDEN = "hidden"
COMPANION = "companions of another system"
OUTPUT = "MSMD's own output"
OTHER = "other kinds of files"
NOWHERE = "links that lead nowhere"
AGAIN = "links to a folder that is read anyway"
SPECIAL = "pipes and devices"
CLOSED = "folders that cannot be read"


@dataclass(frozen=True)
class FolderScan:
    """What a folder holds.

    Attributes:
        folder: that was searched.
        files: those that are wanted, sorted by their path.
        passed_over: path -> why it was not taken; of a folder, nothing below it is named.
    """

    folder: Path
    files: tuple[Path, ...]
    passed_over: dict[Path, str]

    def notes(self) -> tuple[str, ...]:
        """What was passed over, as a sentence; none where nothing was."""
        if not self.passed_over:
            return ()
        kinds: dict[str, list[Path]] = {}
        for path, why in self.passed_over.items():
            kinds.setdefault(why, []).append(path)
        parts = [f"{why} {len(paths)} ({self._shown(paths, why)})" for why, paths in sorted(kinds.items())]
        return (f"{self.folder}: passed over: " + ", ".join(parts),)

    def _shown(self, paths: Sequence[Path], why: str) -> str:
        if why == OTHER:
            kinds = Counter(path.suffix.lower() or "no suffix" for path in paths)
            return ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        names = [path.relative_to(self.folder).as_posix() for path in paths[:SHOWN]]
        return ", ".join(names) + (", ..." if len(paths) > SHOWN else "")


def scan_folder(folder: Path, suffixes: Iterable[str], leave: Iterable[Path] = (), *, below: bool = True) -> FolderScan:
    """Search a folder, by the rules above.

    Args:
        folder: to be searched; it may be an output folder itself, of which only the copies for its review page are
            left out.
        suffixes: those wanted, in lower case with the dot.
        leave: files and folders to leave out.
        below: whether the folders in it are searched, too.

    Raises:
        MsmdError: the folder itself cannot be read.
    """
    return _Scan(folder, frozenset(suffixes), leave, below).run()


class _Scan:
    def __init__(self, folder: Path, suffixes: frozenset[str], leave: Iterable[Path], below: bool) -> None:
        self.folder, self.suffixes, self.below = folder, suffixes, below
        self.leave = {path.resolve() for path in leave} - {folder.resolve()}
        self.files: list[Path] = []
        self.passed_over: dict[Path, str] = {}
        self.read: set[tuple[int, int]] = set()  # folders, by device and number
        self.links: list[Path] = []  # to folders; they come last, so that a folder goes by its own name

    def run(self) -> FolderScan:
        try:
            list(os.scandir(self.folder))
        except OSError as error:
            raise MsmdError(f"{self.folder} cannot be read: {error.strerror or error}") from error
        self._folder(self.folder)
        while self.links:
            link = self.links.pop(0)
            target = link.resolve()
            above = self.folder.resolve().is_relative_to(target)
            if above or self._mark(target) in self.read:
                self.passed_over[link] = AGAIN
            else:
                self._folder(link)
        order = sorted(self.passed_over, key=os.fsencode)
        return FolderScan(self.folder, tuple(sorted(self.files)), {path: self.passed_over[path] for path in order})

    def _folder(self, folder: Path) -> None:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            self.read.add(self._mark(here))
            try:
                entries = sorted(os.scandir(here), key=lambda entry: os.fsencode(entry.name))
            except OSError:
                self.passed_over[here] = CLOSED
                continue
            waiting += [Path(here, entry.name) for entry in reversed(entries) if self._is_open(here, entry)]

    def _is_open(self, here: Path, entry: os.DirEntry[str]) -> bool:
        """Look at one entry; whether it is a folder to be read next."""
        path = here / entry.name
        why = self._why_not(path, entry)
        if why is None and entry.is_dir():
            if entry.is_symlink():
                self.links.append(path)
                return False
            return True
        if why is None:
            self.files.append(path)
        elif why:
            self.passed_over[path] = why
        return False

    def _why_not(self, path: Path, entry: os.DirEntry[str]) -> str | None:
        """Why an entry is not taken; None where it is, "" where that is not worth a word."""
        if entry.name.startswith("."):
            return HIDDEN
        if entry.name in COMPANIONS:
            return COMPANION
        if self.leave and Path(os.path.realpath(path)) in self.leave:
            return OUTPUT
        if not path.exists():
            return NOWHERE
        if entry.is_dir():
            ours = (path / LEDGER).is_file() or (entry.name == REVIEW and (path.parent / LEDGER).is_file())
            return OUTPUT if ours else None if self.below else ""
        if not entry.is_file():
            return SPECIAL
        return None if path.suffix.lower() in self.suffixes else OTHER

    @staticmethod
    def _mark(folder: Path) -> tuple[int, int]:
        stat = folder.stat()
        return stat.st_dev, stat.st_ino


def scan_all(
    given: Iterable[Path], suffixes: Iterable[str], leave: Iterable[Path] = ()
) -> tuple[list[Path], list[str]]:
    """Files as they were given, with each folder replaced by what it holds; and notes on what was passed over."""
    files: list[Path] = []
    notes: list[str] = []
    for path in given:
        if path.is_dir():
            found = scan_folder(path, suffixes, leave)
            files += found.files
            notes += found.notes()
        else:
            files.append(path)
    return files, notes
