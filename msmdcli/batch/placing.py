"""Putting finished files in place: first the ledger, then the renames. What somebody else wrote or edited stays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msmdcli.batch.dubbing import PreparedDub
from msmdcli.batch.ledger import Ledger, LedgerEntry
from msmdcli.batch.plan import path_beside
from msmdcli.batch.planned import Plan, PlannedLine, Result
from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.model.sampling import Sampling
from msmdcli.styles.field import style_words
from msmdcli.system.files import Written, existing_sha256, write_text
from msmdcli.workers.task import Outcome


@dataclass(frozen=True)
class Placed:
    """What became of some files.

    Attributes:
        outputs: paths below OUT that are ours and in place.
        kept: paths below OUT that somebody has edited since they were planned, and that stay.
    """

    outputs: tuple[str, ...]
    kept: tuple[str, ...]


class Placer:
    """Puts files into one OUT.

    Args:
        out: OUT.
        ledger: of OUT.
        force: overwrite what somebody edited.
        beside: put ours next to what somebody edited.
        claimed: the outputs of all lines, see `plan.claimed_by`.
    """

    def __init__(
        self, out: Path, ledger: Ledger, force: bool = False, beside: bool = False, claimed: Set[str] = frozenset()
    ) -> None:
        self.out, self.ledger = out, ledger
        self._force, self._beside, self._claimed = force, beside, claimed

    def plan(self, entry_id: str, key: str, output: str) -> Plan:
        """What is to become of one output: made, left as it is unchanged, or kept as somebody else's.

        Raises:
            MsmdError: the file cannot be read.
        """
        digest = existing_sha256(self.out / output)
        if digest is None or self._force:
            return "make"
        if not self.ledger.wrote(output, digest):
            return "kept"
        return "unchanged" if self.ledger.is_current(entry_id, key, output, digest) else "make"

    def place(self, entry: LedgerEntry, files: Sequence[Written], outputs: Collection[str] = ()) -> Placed:
        """Record an entry with its files, then rename them into place.

        Args:
            entry: its outputs are filled in here.
            files: complete, under temporary names.
            outputs: paths below OUT that may have ours beside them.

        Raises:
            MsmdError: the ledger or a file cannot be written; then no temporary file is left.
        """
        kept: list[str] = []
        ours: dict[str, Written] = {}
        try:
            for written in files:
                path = written.target.relative_to(self.out).as_posix()
                if self._may_write(path):
                    ours[path] = written
                    continue
                kept.append(path)  # edited while we computed
                if self._beside and path in outputs:
                    beside = path_beside(path, self._claimed)
                    if self.ledger.may_write(beside, existing_sha256(self.out / beside)):
                        ours[beside] = replace(written, target=self.out / beside)
                        continue
                written.abandon()
            digests = {path: written.sha256 for path, written in ours.items()}
            before = self.ledger.latest(entry.id)
            if before is not None and before.key == entry.key:
                digests = {**before.outputs, **digests}  # made earlier in other formats, and still of the same content
            self.ledger.record(replace(entry, outputs=digests))
            for written in ours.values():
                written.commit()
        except MsmdError:
            for written in files:
                written.abandon()
            raise
        return Placed(tuple(ours), tuple(kept))

    def place_text(self, name: str, text: str) -> Result:
        """Write a text file of ours into OUT by the same rules.

        Raises:
            MsmdError: it cannot be written.
        """
        new = hashlib.sha256(text.replace("\n", os.linesep).encode()).hexdigest()
        found = existing_sha256(self.out / name)
        if found == new:
            return "unchanged"
        if not self._force and not self.ledger.may_write(name, found):
            return "kept"
        self.ledger.record(LedgerEntry(f"/{name}", new, {name: new}))  # no line has an id with a slash in front
        write_text(self.out / name, text)
        return "made"

    def _may_write(self, path: str) -> bool:
        return self._force or self.ledger.may_write(path, existing_sha256(self.out / path))


def entry_of(
    planned: PlannedLine, outcome: Outcome, dub: PreparedDub | None, bundle: Bundle, sampling: Sampling
) -> LedgerEntry:
    """The ledger's entry of a line that was made, without its outputs."""
    facts: Mapping[str, Any] = {
        "seconds": outcome.seconds,
        "dub": dub.length_facts(outcome.seconds) if dub else {},
        "frames": outcome.frames,
        "health": dict(outcome.health),
        **outcome.facts,
        "warnings": [*outcome.warnings, *(dub.length_warnings(outcome.seconds) if dub else ())],
        "audio_sha256": planned.audio_sha256,
        "style": style_words(planned.styling),
        "bundle": bundle.sha256,
        "seed": planned.seed,
        "sampling": planned.sampling(sampling, bundle).description(),
    }
    return LedgerEntry(planned.id, planned.key, {}, facts)
