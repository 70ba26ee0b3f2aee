"""Approvals and notes of lines: `OUT.approvals.json`, beside OUT, which belongs to the batch.

    {"version": 1, "lines": {"guard_001": {"approved": true, "note": "good"}}}

The file is read again before each change, so two studios on one OUT lose nothing of each other but a change of the same
line at the same moment.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.system.files import write_text

VERSION = 1
LONGEST_NOTE = 4000  # characters


class Approvals:
    """The approvals of one OUT.

    Args:
        out: OUT.
    """

    def __init__(self, out: Path) -> None:
        self.path = out.with_name(f"{out.name}.approvals.json")
        self._lock = threading.Lock()

    def read(self) -> dict[str, dict[str, Any]]:
        """Line id -> `approved` and `note`, as far as they are given.

        Raises:
            UsageError: the file is not ours, or of another version.
        """
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.path} cannot be read: {error}", hint="correct it, or move it away") from None
        lines = data.get("lines") if isinstance(data, dict) and data.get("version") == VERSION else None
        if not isinstance(lines, dict) or not all(isinstance(mark, dict) for mark in lines.values()):
            raise UsageError(f"{self.path} holds no approvals", hint="correct it, or move it away")
        return lines

    def mark(self, line_id: str, approved: bool, note: str) -> dict[str, Any]:
        """Approve a line or not, and note something about it; the result is what is noted now.

        Raises:
            MsmdError: the file cannot be read or written.
        """
        mark: dict[str, Any] = {}
        if approved:
            mark["approved"] = True
        if note.strip():
            mark["note"] = note.strip()[:LONGEST_NOTE]
        with self._lock:
            lines = self.read()
            lines.pop(line_id, None)
            if mark:
                lines[line_id] = mark
            text = json.dumps({"version": VERSION, "lines": dict(sorted(lines.items()))}, indent=1, ensure_ascii=False)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.path, text + "\n")
            except OSError as error:
                raise MsmdError(f"{self.path} cannot be written: {error.strerror or error}") from error
        return mark
