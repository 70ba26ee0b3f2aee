"""What the page gets: the list of lines, and of one line its curves, its waveform and what was measured."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli.batch.planned import PlannedLine
from msmdcli.motion.health import LIMITS, Health
from msmdcli.motion.motion import Motion
from msmdcli.styles.field import style_words

if TYPE_CHECKING:  # what makes lines is loaded after the list
    from msmdcli.studio.making import MadeLine

PEAKS = 1200  # of the waveform, at most
COLUMNS = (
    *("id", "status", "style", "character", "language", "text", "score", "concerns", "seconds", "approved", "note"),
    "approval",  # what the report says of it: whether what was approved is what is there
    "redone",  # whether a redo made it, with keys that the manifest does not have
)


def lines_table(
    lines: Mapping[str, PlannedLine],
    records: Mapping[str, Mapping[str, Any]],
    marks: Mapping[str, Mapping[str, Any]],
    redone: Set[str] = frozenset(),
) -> dict[str, Any]:
    """All lines, the worst first, as the list shows them: names of columns, and a row of values for each line.

    Args:
        lines: as planned, in the manifest's order.
        records: what the report says of them, by id.
        marks: approvals and notes, by id.
        redone: ids of lines that a redo made, with keys that the manifest does not have.
    """
    rows = []
    words: dict[int, str] = {}  # of styles, which many lines share
    for number, (line_id, planned) in enumerate(lines.items()):
        record, mark, line = records.get(line_id, {}), marks.get(line_id, {}), planned.line
        status = record.get("status", "new")
        rank = {"failed": 0, "not reached": 1}.get(status, 2)
        style = words.get(id(planned.styling))
        if style is None:
            style = words[id(planned.styling)] = style_words(planned.styling)
        row = [
            line_id,
            status,
            style,
            line.character.name if line.character else "",
            planned.choices.language or "",
            line.text or "",
            record.get("score", 0),
            record.get("concerns", []) + ([record["error"]] if record.get("error") else []),
            record.get("seconds", 0),
            bool(mark.get("approved")),
            mark.get("note", ""),
            record.get("approval", ""),
            line_id in redone,
        ]
        rows.append((rank, -row[6], number, row))
    rows.sort(key=lambda one: one[:3])
    return {"columns": COLUMNS, "rows": [row for *_, row in rows]}


def line_view(made: MadeLine, planned: PlannedLine, head: str) -> dict[str, Any]:
    """One line that was made.

    Args:
        made: the line.
        planned: how it was planned.
        head: the name of the head that shows it; `mapped` if that knows the character's own controls.
    """
    motion = made.motion
    health = Health.from_dict(made.health)
    return {
        "id": planned.id,
        "key": planned.key,
        "style": style_words(planned.styling),
        "controls": planned.controls.words(),
        "seed": str(planned.seed),  # larger than a page's numbers are exact
        "seconds": float(made.audio.seconds),
        "curves": curves_of(motion),
        "drawn": None if made.drawn is motion or head == "mapped" else curves_of(made.drawn),
        "peaks": _text(peaks_of(made.audio.samples)),
        "health": {name: value for name, value in made.health.items() if value is not None},
        "limits": LIMITS,
        "concerns": health.concerns,
        "warnings": list(made.warnings),
        "made_in": made.seconds,
    }


def curves_of(motion: Motion) -> dict[str, Any]:
    """A motion for the page: float32 values, frame after frame, and how its channels belong together."""
    rig = motion.rig
    grouped = {name: [c for c in channels if c in rig.channels] for name, channels in _smallest(rig.regions).items()}
    rest = [name for name in rig.channels if not any(name in channels for channels in grouped.values())]
    return {
        "fps": float(motion.fps),
        "rate": str(motion.fps),
        "frames": motion.frames,
        "channels": list(rig.channels),
        "rotation": list(rig.rotation or ()),
        "lower": [float(value) for value in rig.lower],
        "upper": [float(value) for value in rig.upper],
        "regions": {name: channels for name, channels in grouped.items() if channels}
        | ({"other": rest} if rest else {}),
        "values": _text(np.asarray(motion.values, "<f4")),  # [T, D]
    }


def peaks_of(samples: np.ndarray) -> np.ndarray:
    """[n] uint8: the loudest sample of each of n equal stretches, relative to the loudest of all."""
    if not len(samples):
        return np.zeros(0, np.uint8)
    loud = np.abs(samples)
    edges = np.linspace(0, len(loud), min(PEAKS, len(loud)) + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(loud, edges)
    return np.asarray(np.round(255 * peaks / max(float(peaks.max()), 1e-4)), np.uint8)


def _smallest(regions: Mapping[str, Any]) -> dict[str, list[str]]:
    """Regions with each channel in the smallest that has it."""
    by_size = sorted(regions, key=lambda name: len(regions[name]))
    owner: dict[str, str] = {}
    for name in by_size:
        for channel in regions[name]:
            owner.setdefault(channel, name)
    return {name: [channel for channel in regions[name] if owner[channel] == name] for name in regions}


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
