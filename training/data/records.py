"""The index of a data set: one record a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from msmdcli.documents.json_file import read_json_lines
from msmdcli.documents.names import path_problem
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import parse_fps

# What a line of an index may leave out.
NOT_STATED = {
    "audio": None,
    "known": None,
    "tag": "",
    "language": "und",
    "seconds": 0.0,
    "fps": "25/1",
    "av_offset_frames": 0.0,
    "found": 1.0,
    "commercial": False,
    "licence": "not stated",
}


@dataclass(frozen=True)
class ClipRecord:
    """One line of ``index.jsonl``.

    Attributes:
        id: clip name, unique in the data set.
        audio: sound file relative to the data set, or None for a silent clip.
        motion: motion file relative to the data set.
        known: the channels that the motion defines (synthetic speech defines those of the mouth); None: all.
        speaker: person (labels of the same person are merged).
        source: the corpus folder that the clip comes from, such as ``grid_s1`` or ``mead_dreamtalk``.
        tag: emotion or kind of recording.
        language: ISO code or ``und``.
        seconds: length of the sound (of the motion, where there is no sound).
        fps: frame rate of the motion as a fraction, "25/1".
        av_offset_frames: constant audio-picture offset that has been removed, in frames.
        found: share of the clip's pictures in which the tracker found a face.
        split: train, val, test or style.
        commercial: whether the licence allows training a released model.
        licence: data set and terms, as the corpus states them.
        manner: of a performed clip; clips of one manner are each other's style references.
        mouth: file of what the ear learns from the clip (`training.speech.performed`), relative to the data set.
    """

    id: str
    audio: str | None
    motion: str
    known: list[str] | None
    speaker: str
    source: str
    tag: str
    language: str
    seconds: float
    fps: str
    av_offset_frames: float
    found: float
    split: str
    commercial: bool
    licence: str
    manner: str | None = None
    mouth: str | None = None


def unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name only (first 64 bits of its sha256)."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "big") / 2**64


def read_index(dataset: Path) -> list[ClipRecord]:
    """The index of a data set folder.

    Raises:
        MsmdError: no index, or a line that is not a clip.
    """
    path = dataset / "index.jsonl"
    if not path.is_file():
        raise MsmdError(
            f"no data set in {dataset}: it has no index.jsonl",
            hint="make one with `msmd curate CLIPS --out DIR`",
        )
    records = []
    try:
        for number, data in read_json_lines(path):
            try:
                records.append(_record(NOT_STATED | data))
            except (ValueError, TypeError, MsmdError) as error:
                raise DocumentError(f"{path}, line {number}: not a clip ({error})") from error
    except DocumentError as error:
        raise MsmdError(error.message, hint="make the data set again") from error
    return records


def _record(data: dict[str, Any]) -> ClipRecord:
    """A record whose values are what its fields say.

    Raises:
        TypeError, ValueError, MsmdError: one is not.
    """
    record = ClipRecord(**{field.name: data[field.name] for field in fields(ClipRecord) if field.name in data})
    for name in ("id", "motion", "speaker", "source", "tag", "language", "fps", "split", "licence"):
        if not isinstance(getattr(record, name), str):
            raise TypeError(f"`{name}` is no text")
    for name in ("seconds", "av_offset_frames", "found"):
        value = getattr(record, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"`{name}` is no number")
    for name in (record.motion, record.audio or "-"):
        if not isinstance(name, str) or path_problem(name) is not None:
            raise TypeError(f"{name!r:.40} is no path")
    if record.known is not None and not all(isinstance(name, str) for name in record.known):
        raise TypeError("`known` is no list of channels")
    parse_fps(record.fps)
    return record


def counts(records: Iterable[ClipRecord]) -> dict[str, dict[str, float]]:
    """Per split: clips, minutes, persons."""
    by_split: dict[str, list[ClipRecord]] = {}
    for record in records:
        by_split.setdefault(record.split, []).append(record)
    return {
        split: {
            "clips": len(group),
            "minutes": round(sum(r.seconds for r in group) / 60, 2),
            "persons": len({r.speaker for r in group}),
        }
        for split, group in sorted(by_split.items())
    }
