"""What somebody has marked on a review page, taken in: approvals and notes go into `OUT.approvals.json`.

    version: 1
    redo: lines.yaml
    lines: [{id: l2, seed: 1, style: sad, note: "slower"}]     # to do again: `msmd batch FILE` does that
    approved: [{id: l1, key: 9c1f..., note: "good"}]           # without a key: what OUT holds now
    withdrawn: [{id: l4}]                                      # approved before, and no longer
    noted: [{id: l5, note: "ask Jo"}]

An approval is of the take that the page has shown. Where OUT holds another one by now, the line is not approved, and is
named. A line that is to be made again loses its approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msmdcli.batch.approvals import LONGEST_NOTE, Approvals, Mark
from msmdcli.batch.ledger import Ledger
from msmdcli.batch.report_file import read_report
from msmdcli.documents.nodes import DocumentError, Node
from msmdcli.documents.reader import ProblemList, Reader
from msmdcli.documents.tree import read_document
from msmdcli.errors import UsageError
from msmdcli.manifest.redo import TOP_KEYS, is_redo

HINT = "nothing was taken in; the file is what the review page saves"


@dataclass(frozen=True)
class Taken:
    """What was taken in; ids of lines.

    Attributes:
        approved, withdrawn: of lines whose approval is given, or taken away.
        stale: not approved, since OUT holds another take than the page has shown.
        noted: with a note.
        redo: to be made again.
        unknown: that OUT's report does not have.
    """

    approved: tuple[str, ...]
    withdrawn: tuple[str, ...]
    stale: tuple[str, ...]
    noted: tuple[str, ...]
    redo: tuple[str, ...]
    unknown: tuple[str, ...]

    def words(self) -> str:
        """The same in a sentence."""
        counts = {"approved": self.approved, "approval withdrawn": self.withdrawn, "noted": self.noted}
        parts = [f"{len(ids)} {name}" for name, ids in counts.items() if ids]
        return ", ".join([*parts, f"{len(self.redo)} to make again"] if self.redo else parts) or "nothing to take in"


def take_in(path: Path, out: Path) -> Taken:
    """Take in a file that a review page has saved.

    Args:
        path: the file.
        out: the batch's folder.

    Raises:
        UsageError: the file or OUT's report cannot be used; then nothing is taken in.
        MsmdError: the approvals cannot be written.
    """
    found = _read(path)
    known = {line["id"] for line in read_report(out)["lines"]}
    ledger, approvals = Ledger(out), Approvals(out)
    before, marks = approvals.marks(), dict[str, Mark]()
    lists: dict[str, list[str]] = {name: [] for name in ("approved", "withdrawn", "stale", "noted", "redo", "unknown")}
    for part, entries in found.items():
        for line_id, mark in entries.items():
            if line_id not in known:
                lists["unknown"].append(line_id)
                continue
            old = before.get(line_id, Mark())
            entry = ledger.latest(line_id)
            made = entry.key if entry is not None else ""
            kind = part
            if part == "approved" and mark.key and mark.key != made:
                kind = "stale"
            if kind in ("stale", "noted"):
                mark = replace(old, note=mark.note or old.note)
            elif kind == "approved":
                mark = Mark(True, mark.key or made, mark.note)
            else:
                mark = Mark(note=mark.note)
            if kind != "redo" or mark.note or old.approved:
                marks[line_id] = mark
            lists[kind].append(line_id)
    if marks:
        approvals.update(marks)
    return Taken(**{name: tuple(ids) for name, ids in lists.items()})


def _read(path: Path) -> Mapping[str, Mapping[str, Mark]]:
    """What a file says: `approved`, `withdrawn`, `noted` and `redo` -> line id -> its mark."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint=HINT)
    try:
        document = read_document(path)
    except DocumentError as error:
        raise UsageError(error.message, error.hint or HINT) from None
    if not is_redo(document):
        raise UsageError(f"{path} is not what a review page saves: it has no `redo`", hint=HINT)
    reader = MarksReader(path)
    top = reader.mapping(document, "a review", TOP_KEYS)
    if "version" not in top or top["version"].integer != 1:
        reader.wrong(top.get("version", document), "the version of a review is 1: `version: 1`")
    names = {"redo": "lines", "approved": "approved", "withdrawn": "withdrawn", "noted": "noted"}
    parts = {kind: reader.marks(top[name], name) if name in top else {} for kind, name in names.items()}
    seen: set[str] = set()
    for kind, entries in parts.items():
        for line_id in entries:
            if line_id in seen:
                reader.wrong(top[names[kind]], f"{line_id!r} is named twice")
            seen.add(line_id)
    if reader.problems:
        raise ProblemList(reader.texts(), path, HINT)
    return parts


class MarksReader(Reader):
    """Reads the marks of such a file."""

    def marks(self, node: Node, what: str) -> dict[str, Mark]:
        """Line id -> mark, of one list. What a line to do again says besides its note is the batch's business."""
        found: dict[str, Mark] = {}
        for item in self.list_of(node, what):
            keys = {key.text for key, _ in item.entries} if what == "lines" else set()
            entries = self.mapping(item, f"an entry of `{what}`", tuple({"id", "key", "note"} | keys))
            texts = {name: self.text_of(entries[name], name) for name in ("id", "key", "note") if name in entries}
            line_id = texts.get("id")
            if line_id is None:
                self.wrong(item, f"an entry of `{what}` needs an `id`")
            elif line_id in found:
                self.wrong(item, f"{line_id!r} stands here twice")
            else:
                found[line_id] = Mark(False, texts.get("key") or "", (texts.get("note") or "").strip()[:LONGEST_NOTE])
        return found
