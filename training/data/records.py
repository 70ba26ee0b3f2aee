"""The index of a data set: one record a clip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msmdcli.errors import MsmdError

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


def unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name only (first 64 bits of its sha256)."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "big") / 2**64


def read_index(dataset: Path) -> list[ClipRecord]:
    """The index of a data set folder.

    Raises:
        MsmdError: no index, or a line that is not a clip.
    """
    path = dataset / "index.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MsmdError(
            f"no data set in {dataset}: cannot read index.jsonl ({error.strerror})",
            hint="make one with `python -m training.data.corpus --out DIR`",
        ) from error
    fields = set(ClipRecord.__dataclass_fields__)
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = NOT_STATED | json.loads(line)
            records.append(ClipRecord(**{key: value for key, value in data.items() if key in fields}))
        except (ValueError, TypeError) as error:
            raise MsmdError(f"{path}, line {number}: not a clip ({error})", hint="make the data set again") from error
    return records


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
