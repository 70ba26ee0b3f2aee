"""Approvals and notes of lines: `OUT.approvals.json`, beside OUT, which belongs to the batch.

    {"version": 1, "lines": {"guard_001": {"approved": true, "key": "9c1f...", "note": "good"}}}

An approval is of one take. `key` says of which: the key of all that decides a line's motion (`planned.content_key`), as
the ledger has it for the files in OUT. So it is known whether OUT holds what was approved, and whether the line says
something else by now. Without a key, whatever OUT holds is approved.

A batch keeps approved takes (`judged`) and never writes this file. Whoever writes it reads it first, and begins again
where it has changed right before its place is taken: two studios, or one and `msmd review --import`, lose nothing of
each other but what falls into the same instant.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msmdcli.errors import UsageError
from msmdcli.system.files import cannot_write, encoded, whole_file

VERSION = 1
LONGEST_NOTE = 4000  # characters
MAX_BYTES = 256 << 20
ONE_AT_A_TIME = threading.Lock()  # of this process writes

# What an approval is worth: OUT holds the approved take, or will once the line is made (`holds`); OUT holds it, and the
# line says something else by now (`changed`: it stays); the approved take is nowhere (`gone`).
Approval = Literal["", "holds", "changed", "gone"]
APPROVAL_WORDS: Mapping[Approval, str] = {
    "": "",
    "holds": "approved",
    "changed": "approved; it has changed since, and the approved take stays",
    "gone": "its approval is of a take that is not in OUT",
}


@dataclass(frozen=True)
class Mark:
    """What somebody said of a line.

    Attributes:
        approved: whether its take is good.
        key: of the take that is; empty: whatever OUT holds.
        note: in words.
    """

    approved: bool = False
    key: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As the file has it: only what is said."""
        given = {"approved": self.approved, "key": self.key if self.approved else "", "note": self.note}
        return {name: value for name, value in given.items() if value}


def judged(mark: Mark | None, key: str, made: str | None, there: bool) -> Approval:
    """What the approval of a line is worth.

    Args:
        mark: of the line.
        key: of the line as it is planned.
        made: key of the line's files in OUT, by the ledger; None where it has none.
        there: whether a file of the line is in OUT.
    """
    if mark is None or not mark.approved:
        return ""
    if key == (mark.key or made):
        return "holds"
    if not there or (mark.key and made != mark.key):
        return "gone" if mark.key else "holds"  # without a key nothing is approved that is not there
    return "changed"


class Approvals:
    """The approvals of one OUT.

    Args:
        out: OUT.
    """

    def __init__(self, out: Path) -> None:
        out = out.resolve()  # one file for every way that leads to OUT
        self.path = out.parent / f"{out.name or 'out'}.approvals.json"
        self._known: tuple[tuple[int, int, int], dict[str, Mark]] | None = None

    def read(self) -> dict[str, dict[str, Any]]:
        """Line id -> `approved`, `key` and `note`, as far as they are given.

        Raises:
            UsageError: the file is not ours, or of another version.
        """
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise UsageError(f"{self.path} is larger than {MAX_BYTES >> 20} MB", hint="move it away")
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.path} cannot be read: {error}", hint="correct it, or move it away") from None
        lines = data.get("lines") if isinstance(data, dict) and data.get("version") == VERSION else None
        if not isinstance(lines, dict) or not all(_is_mark(mark) for mark in lines.values()):
            raise UsageError(f"{self.path} holds no approvals", hint="correct it, or move it away")
        return lines

    def marks(self) -> Mapping[str, Mark]:
        """The same, as marks; the file is looked into only where it has changed."""
        stamp = self._stamp()
        if self._known is None or self._known[0] != stamp:
            self._known = stamp, {line_id: Mark(**mark) for line_id, mark in self.read().items()}
        return self._known[1]

    def mark(self, line_id: str, approved: bool, note: str, key: str = "") -> dict[str, Any]:
        """Approve a line or not, and note something about it; the result is what is noted now.

        Args:
            line_id: of the line.
            approved: whether its take is good. A line that is approved already stays so as the take that it was.
            note: in words.
            key: of the take.

        Raises:
            MsmdError: the file cannot be read or written.
        """

        def change(marks: dict[str, Mark]) -> None:
            old = marks.get(line_id, Mark())
            marks[line_id] = Mark(approved, old.key if old.approved else key, note.strip()[:LONGEST_NOTE])

        return self._change(change)[line_id].as_dict()

    def update(self, marks: Mapping[str, Mark]) -> None:
        """Take over marks of lines; the others stay.

        Raises:
            MsmdError: the file cannot be read or written.
        """
        self._change(lambda known: known.update(marks))

    def _change(self, change: Callable[[dict[str, Mark]], None]) -> dict[str, Mark]:
        """Change the marks and write them; where somebody else has written meanwhile, once more upon theirs."""
        with ONE_AT_A_TIME:
            while True:
                stamp = self._stamp()
                marks = dict(self.marks())
                change(marks)
                lines = {line_id: said for line_id, mark in sorted(marks.items()) if (said := mark.as_dict())}
                text = json.dumps({"version": VERSION, "lines": lines}, indent=1, ensure_ascii=False)
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    with whole_file(self.path) as temporary:
                        temporary.write_bytes(encoded(text + "\n"))
                        if self._stamp() != stamp:
                            raise _Meanwhile
                except _Meanwhile:
                    continue
                except OSError as error:
                    raise cannot_write(self.path, error) from error
                return marks

    def _stamp(self) -> tuple[int, int, int]:
        """What changes when the file is written."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino


class _Meanwhile(Exception):
    """Somebody else has written the file."""


def _is_mark(mark: Any) -> bool:
    kinds = {"approved": bool, "key": str, "note": str}
    return isinstance(mark, dict) and all(name in kinds and type(mark[name]) is kinds[name] for name in mark)
