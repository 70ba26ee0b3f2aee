"""A folder with recordings, styles and a manifest, for tests of whole batches."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from voice_lines import write_project, write_sound

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.manifest.command_line import parse_choices
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


class Project:
    """A folder with recordings, styles and a manifest, and what a run of it did."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        self.manifest = write_project(folder)
        self.out = folder / "out"
        self.options = BatchOptions(
            self.manifest,
            self.out,
            bundle=bundle,
            styles=(folder / "styles",),
            threads=1,
            choices=parse_choices(None, "livelink-csv,npz", None, None),
        )
        self.events: list[dict[str, Any]] = []
        self.talk = ""
        self.at_end: list[Callable[[], None]] = []  # called when the test is over

    def run(self, **changes: Any) -> int:
        stdout, stderr = io.StringIO(), io.StringIO()
        try:
            return run_batch(replace(self.options, **changes), Console(True, 1, stdout, stderr))
        finally:
            self.events = [json.loads(line) for line in stdout.getvalue().splitlines()]
            self.talk = stderr.getvalue()

    def write(self, lines: str, defaults: str = "{style: neutral}") -> None:
        self.manifest.write_text(f"version: 1\ndefaults: {defaults}\nlines:\n{lines}", encoding="utf-8")

    def statuses(self) -> dict[str, str]:
        return {event["id"]: event["status"] for event in self.events if event["event"] == "line"}

    def report(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.out / "report.json").read_text(encoding="utf-8"))
        return data

    def bytes_of(self, out: Path | None = None) -> dict[str, str]:
        """Every output (not report and ledger) with the sha256 of its content."""
        out = out or self.out
        skip = ("ledger.jsonl", "report.json", "report.html", ".msmd-lock")
        return {
            path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name not in skip
        }

    def command(self, *arguments: str) -> list[str]:
        fixed = ["--bundle", str(self.options.bundle), "--styles", str(self.folder / "styles"), "--threads", "1"]
        begin = [sys.executable, "-m", "msmdcli", "batch", str(self.manifest), "--out", str(self.out)]
        return [*begin, *fixed, *arguments]


def change_audio(project: Project) -> dict[str, Any]:
    write_sound(project.folder / "audio/line1.wav", 1.3, seed=99)
    return {}
