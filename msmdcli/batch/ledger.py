"""The ledger in OUT: which file was made from what. One JSON object per line, only ever appended to.

A line that the disk had no room for, or that a kill has torn, stays as it is, and the next entry begins a line of its
own: what it was to say is not believed. An entry is written before the files that it names are put in place. So
whenever the program is killed, each file in OUT is either one that the ledger knows by its sha256, or one that somebody
else wrote. Nothing of another run, even one at the same time on another machine, is lost.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError
from msmdcli.system.files import encoded

FORMAT_VERSION = 1
NAME = "ledger.jsonl"
BEGIN = b'{"ledger": '  # of every entry


@dataclass(frozen=True)
class LedgerEntry:
    """What a line was made from, and into.

    Attributes:
        id: the line.
        key: sha256 of everything that decides its motion (see `planned.content_key`).
        outputs: path below OUT, with slashes -> sha256.
        facts: for the report of later runs, which skip the line: seconds, frames, health, inputs.
    """

    id: str
    key: str
    outputs: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """The ledger of one output folder.

    Args:
        out: the folder; it need not exist until something is recorded.
    """

    def __init__(self, out: Path) -> None:
        self.path = out / NAME
        self._latest: dict[str, LedgerEntry] = {}
        self._ours: dict[str, set[str]] = {}  # output -> every sha256 that we ever wrote there
        self._torn = False
        self._there = False  # there is a ledger, and it must not vanish
        if self.path.is_symlink():  # what is appended to it would land wherever the link leads
            raise MsmdError(f"{self.path} is a link", hint="put the ledger itself there, or choose another --out")
        try:
            if self.path.exists() and not self.path.is_file():
                raise MsmdError(f"{self.path} is not a file", hint="remove it, or choose another --out")
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise MsmdError(f"{self.path} cannot be read: {error.strerror or error}") from error
        self._there = True
        self._torn = not content.endswith(b"\n") and bool(content)
        for number, line in enumerate(content.splitlines(), start=1):
            self._read(line, number)

    def _read(self, line: bytes, number: int) -> None:
        begin = line.rfind(BEGIN)  # another machine's entry may follow a torn one in the same line
        try:
            data = json.loads(line[max(0, begin) :])
            version = data["ledger"]
            entry = LedgerEntry(data["id"], data["key"], dict(data["outputs"]), dict(data["facts"]))
            if not all(
                isinstance(text, str) for text in (entry.id, entry.key, *entry.outputs, *entry.outputs.values())
            ):
                raise TypeError("an id, a key, a path or a checksum is no text")
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # torn by a kill while it was written: that line was in flight and will be made again
        if version != FORMAT_VERSION:
            raise MsmdError(
                f"{self.path}, line {number}: ledger format {version!r}; this program reads {FORMAT_VERSION}",
                hint="update MSMD, or choose another --out",
            )
        self._remember(entry)

    def _remember(self, entry: LedgerEntry) -> None:
        self._latest[entry.id] = entry
        for output, digest in entry.outputs.items():
            self._ours.setdefault(output, set()).add(digest)

    def latest(self, line_id: str) -> LedgerEntry | None:
        """The last entry of a line."""
        return self._latest.get(line_id)

    def is_current(self, line_id: str, key: str, output: str, digest: str | None) -> bool:
        """Whether the line's last entry has this key, and this sha256 for an output that is there."""
        entry = self.latest(line_id)
        return digest is not None and entry is not None and entry.key == key and entry.outputs.get(output) == digest

    def may_write(self, output: str, digest: str | None) -> bool:
        """Whether a place below OUT is free (no sha256), or holds what we wrote there."""
        return digest is None or self.wrote(output, digest)

    @property
    def outputs(self) -> Iterable[str]:
        """Every path below OUT that we ever wrote."""
        return self._ours

    def wrote(self, output: str, digest: str) -> bool:
        """Whether a file with that content, at that place, is one that we wrote (in whichever run)."""
        return digest in self._ours.get(output, ())

    def record(self, entry: LedgerEntry) -> None:
        """Append an entry. Call it before the entry's files are renamed into place.

        Raises:
            MsmdError: it cannot be written whole, or the ledger has been removed; then nothing is remembered of it.
        """
        data = {"ledger": FORMAT_VERSION, "id": entry.id, "key": entry.key}
        line = json.dumps(data | {"outputs": dict(entry.outputs), "facts": dict(entry.facts)}, ensure_ascii=False)
        try:
            create = 0 if self._there else os.O_CREAT
            descriptor = os.open(self.path, os.O_WRONLY | create | os.O_APPEND, 0o666)
            self._there = True
            try:
                # One write: entries of two processes cannot mix. A torn line of a killed run is closed off first.
                content = (b"\n" if self._torn else b"") + encoded(line) + b"\n"
                written = os.write(descriptor, content)
                self._torn = written < len(content)
                if self._torn:  # the disk is full: only a part was written, which is no error to the system
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise MsmdError(
                f"{self.path} is gone: it was removed during the run", hint="run the batch again"
            ) from error
        except OSError as error:
            raise MsmdError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._remember(entry)


def key_of(content: Mapping[str, Any]) -> str:
    """sha256 of plain data, the same for equal data."""
    return hashlib.sha256(encoded(json.dumps(content, sort_keys=True, ensure_ascii=False))).hexdigest()
