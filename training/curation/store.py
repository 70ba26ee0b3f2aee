"""The working folder of a curation, `DATASET/.curation`: a record per clip that was looked at, a list per shard.

    records/ab/<key>.npz    `ClipData`, named by content and settings
    shards/2-of-8.jsonl     the clips of a shard, written when all its records are there

Every file appears whole or not at all. Records never contradict each other, so the folders of several machines may
simply be copied together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.system.files import TEMPORARY, cannot_write, whole_file, write_text
from training.curation.listing import SourceClip

FOLDER = ".curation"
SHARD_NAME = re.compile(r"(\d+)-of-(\d+)\.jsonl")


@dataclass(frozen=True)
class Row:
    """A clip of a shard's list.

    Attributes:
        id, name, source, layout: of the `SourceClip`.
        key: of its record; empty where its label already excludes it.
        speaker, tag, intensity, language, licence, commercial, dropped: of its facts.
    """

    id: str
    name: str
    source: str
    layout: str
    key: str
    speaker: str
    tag: str
    intensity: str
    language: str
    licence: str
    commercial: bool
    dropped: str

    @classmethod
    def of(cls, clip: SourceClip, key: str) -> Row:
        facts = {name: value for name, value in asdict(clip.facts).items() if name != "sound"}
        return cls(clip.id, clip.name, clip.source, clip.layout, key, **facts)


class Store:
    """The working folder below `out`.

    Raises:
        UsageError: `out` holds something else.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / FOLDER
        if out.exists() and not out.is_dir():
            raise UsageError(f"{out} is not a folder")
        if out.is_dir() and not self.folder.is_dir() and any(out.iterdir()):
            raise UsageError(f"{out} holds files that are not of a curation", hint="name a new folder with --out")

    def begin(self) -> None:
        """Make the folders."""
        try:
            (self.folder / "records").mkdir(parents=True, exist_ok=True)
            (self.folder / "shards").mkdir(exist_ok=True)
        except OSError as error:
            raise MsmdError(f"{self.folder} cannot be made: {error.strerror or error}") from error

    def record(self, key: str) -> Path:
        """Where the record `key` lies, or will."""
        return record_path(self.folder, key)

    def write_shard(self, number: int, count: int, rows: Iterable[Row]) -> None:
        """Write a shard's list; lists of another number of shards are dropped."""
        shards = self.folder / "shards"
        text = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
        write_text(shards / f"{number}-of-{count}.jsonl", text)
        for path in shards.iterdir():
            match = SHARD_NAME.fullmatch(path.name)
            if match and int(match[2]) != count:
                path.unlink(missing_ok=True)

    def rows(self) -> list[Row]:
        """The clips of all shards, sorted by id.

        Raises:
            MsmdError: shards are missing.
        """
        shards = self.folder / "shards"
        names = [SHARD_NAME.fullmatch(path.name) for path in shards.iterdir()] if shards.is_dir() else []
        there = {(int(match[1]), int(match[2])): shards / match[0] for match in names if match}
        if not there:
            raise MsmdError(f"{self.out} has nothing to merge", hint="curate first, whole or in shards (--shard 1/8)")
        count = next(iter(there))[1]
        missing = [str(i) for i in range(1, count + 1) if (i, count) not in there]
        if missing:
            raise MsmdError(
                f"{len(missing)} of {count} shards are not done: {', '.join(missing[:20])}",
                hint=f"msmd curate SOURCE... --out {self.out} --shard {missing[0]}/{count}",
            )
        rows = []
        for path in there.values():
            try:
                rows += [Row(**_object(line)) for line in path.read_text(encoding="utf-8").splitlines()]
            except (OSError, ValueError, TypeError) as error:
                raise MsmdError(f"{path} is damaged ({error})", hint="delete it and curate that shard again") from error
        return sorted(rows, key=lambda row: row.id)

    def sweep(self) -> None:
        """Remove temporary files that killed runs left."""
        for path in self.folder.rglob(".*.msmd-tmp"):
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def record_path(folder: Path, key: str) -> Path:
    """Where a record lies in a working folder."""
    return folder / "records" / key[:2] / f"{key}.npz"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise cannot_write(path, error) from error


def _object(line: str) -> dict[str, Any]:
    data = json.loads(line)
    if not isinstance(data, dict):
        raise TypeError("a line is no object")
    return data
