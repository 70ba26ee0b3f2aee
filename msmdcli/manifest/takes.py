"""Takes: variants of one line with different seeds, to choose from.

Take k of a line is what the line itself would be with its seed raised by k - 1. So the one that was chosen can be had
under the line's own id: take `takes` out of the manifest and write the take's seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from msmdcli.documents.names import folded, id_problem
from msmdcli.errors import MsmdError
from msmdcli.manifest.lines import MAX_SEED, Choices, Line, Manifest, ManifestError, seed_of

MAX_TAKES = 100


def parse_takes(text: str) -> int:
    """A whole number of takes."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_TAKES):
        raise MsmdError(f"takes {text[:40]!r} is not a whole number from 1 to {MAX_TAKES}")
    return int(text)


def take_id(line_id: str, number: int) -> str:
    """The id of a take, counted from 1."""
    return f"{line_id}_take{number}"


def with_takes(manifest: Manifest, command_line: Choices | None = None) -> list[Line]:
    """The lines of a manifest, each as often as its `takes` say, with ids and seeds of their own.

    Raises:
        ManifestError: the id of a take is the id of another line, or no file name everywhere.
    """
    lines: list[Line] = []
    for line in manifest.lines:
        choices = manifest.choices(line, command_line)
        lines += [line] if choices.takes is None or choices.takes == 1 else _takes(line, choices)
    problems = list(_problems(lines))
    if problems:
        raise ManifestError(problems, manifest.path)
    return lines


def _takes(line: Line, merged: Choices) -> Iterator[Line]:
    first = seed_of(merged)
    for number in range(merged.takes or 1):
        own = replace(line.choices, seed=(first + number) % (MAX_SEED + 1), takes=1)
        yield replace(line, id=take_id(line.id, number + 1), choices=own, noise=line.id)


def _problems(lines: Sequence[Line]) -> Iterator[str]:
    first: dict[str, Line] = {}
    for line in lines:
        other = first.setdefault(folded(line.id), line)
        if other is not line:
            yield f"{line.where}: the id {line.id!r} is that of a take, too (at {other.where})"
        if line.noise is not None and (why := id_problem(line.id)):
            yield f"{line.where}: {line.id!r}, a take of {line.noise!r}, cannot be an id: {why}"
