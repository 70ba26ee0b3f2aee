"""OUT/report.json as it is read back: of a folder that came from somebody else it may say anything, and is not
believed.

Every value has the type that `msmdcli.batch.report` gives it, and every output lies below OUT; else nothing of the file
is used.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from msmdcli.documents.json_file import read_json
from msmdcli.documents.names import path_problem
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import UsageError

NAME = "report.json"
TEXTS = (
    "status",
    "audio",
    "style",
    "error",
    "hint",
    "details",
    "language",
    "text",
    "character",
    "controls",
    "key",
    "approval",
    "take_of",
    "head",
)
NUMBERS = ("seconds", "frames", "seed", "score")
LISTS = ("outputs", "kept", "warnings", "concerns")
OBJECTS = ("health", "fields", "dub", "controlled")


def read_report(out: Path) -> dict[str, Any]:
    """The report of the batch in OUT, with `lines`, `bundle`, `settings`, `counts` and `limits`.

    Raises:
        UsageError: there is none, or it is none that MSMD wrote.
    """
    path = out / NAME
    if not path.exists():
        raise UsageError(f"{out} holds no {NAME}", hint="give the folder that `msmd batch --out` wrote")
    hint = "run `msmd batch` again; it skips finished lines"
    try:
        report = read_json(path)
    except DocumentError as error:
        raise UsageError(f"{path} cannot be read: {error.message}", hint=hint) from error
    try:
        if not isinstance(report, dict) or not isinstance(report.get("lines"), list):
            raise ValueError("it has no lines")
        for number, line in enumerate(report["lines"], start=1):
            _check_line(line, f"line {number} of its lines")
        for name in ("bundle", "settings", "counts", "limits"):
            if not isinstance(report.setdefault(name, {}), dict):
                raise ValueError(f"`{name}` is no object")
    except ValueError as error:
        raise UsageError(f"{path} is no report that MSMD wrote: {error}", hint=hint) from None
    return report


def _check_line(line: Any, where: str) -> None:
    if not isinstance(line, dict) or not isinstance(line.get("id"), str) or not line["id"]:
        raise ValueError(f"{where} has no id")
    for name in TEXTS:
        if line.get(name) is not None and not isinstance(line[name], str):
            raise ValueError(f"`{name}` of {where} is no text")
    for name in NUMBERS:
        value = line.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"`{name}` of {where} is no number")
    for name in LISTS:
        values = line.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"`{name}` of {where} is no list of texts")
    for name in OBJECTS:
        if not isinstance(line.get(name, {}), dict):
            raise ValueError(f"`{name}` of {where} is no object")
    for value in line.get("health", {}).values():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"`health` of {where} holds what is no number")
    for name in ("audio", "head"):
        if path_problem(line.get(name) or "-") is not None:
            raise ValueError(f"`{name}` of {where} is no path")
    for output in line.get("outputs", []):
        place = PurePosixPath(output.replace("\\", "/"))
        if path_problem(output) is not None or place.is_absolute() or ".." in place.parts or ":" in output:
            raise ValueError(f"an output of {where} would lie outside OUT: {output[:80]!r}")
