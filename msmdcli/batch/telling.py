"""What a batch says: events, talk, and the record of each line for the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msmdcli.batch import dubbing
from msmdcli.batch.ledger import Ledger
from msmdcli.batch.plan import path_beside
from msmdcli.batch.planned import PlannedLine, Result
from msmdcli.batch.report import Record, Report, kept_words
from msmdcli.console import Console, duration
from msmdcli.errors import MsmdError
from msmdcli.styles.field import style_words


@dataclass(frozen=True)
class Estimate:
    """How long a batch would take.

    Attributes:
        seconds: roughly.
        device: that it was measured on.
        workers: that it is divided by.
        here: whether they are this machine's.
    """

    seconds: float
    device: str
    workers: int
    here: bool


class Teller:
    """Says what becomes of the lines of one batch, and remembers it.

    Args:
        console: where to.
        ledger: of OUT; it knows what earlier runs measured of lines that are unchanged.
        single: whether there is one line only: then the length of a dub is said in any case.

    Attributes:
        records: line id -> what is known of it, in the order in which lines were done with.
    """

    def __init__(self, console: Console, ledger: Ledger, single: bool = False) -> None:
        self.console, self.ledger = console, ledger
        self.records: dict[str, Record] = {}
        self._single = single

    def announce(self, plan: Sequence[PlannedLine], dry_run: bool) -> None:
        """Say what is going to happen; with `dry_run` line by line."""
        counts = {name: sum(p.plan == name for p in plan) for name in ("make", "unchanged", "kept", "failed")}
        making = [planned for planned in plan if planned.plan == "make"]
        seconds = sum(planned.expected_seconds for planned in making)
        self.console.event("plan", lines=len(plan), seconds=round(seconds, 2), dry_run=dry_run, **counts)
        parts = [f"{counts['make']} to make ({duration(seconds)} of sound)"]
        parts += [f"{counts[name]} {name}" for name in ("unchanged", "kept", "failed") if counts[name]]
        self.console.say(f"{len(plan)} lines: " + ", ".join(parts))
        references = [reference for planned in making for reference in planned.references.values()]
        for name in sorted({reference.name for reference in references if reference and reference.private}):
            self.console.warn(f"style {name} is private: keep what it makes until licence and consent are stated")
        for planned in making if dry_run else ():
            outputs = list(planned.targets.values())
            self.console.event("would make", id=planned.id, outputs=outputs, kept=list(planned.kept))
            self.console.detail(f"would make {planned.id}: {', '.join(outputs)}")

    def estimate(self, estimate: Estimate) -> None:
        """Say how long the batch would take."""
        workers = estimate.workers
        self.console.event("estimate", seconds=round(estimate.seconds, 1), device=estimate.device, workers=workers)
        where = "here" if estimate.here else f"with {workers} workers like this machine"
        self.console.say(f"that would take about {duration(estimate.seconds)} {where}; nothing was touched")

    def record(
        self, planned: PlannedLine, result: Result, outputs: tuple[str, ...] | None = None, details: str = ""
    ) -> Record:
        """The record of a line.

        Args:
            planned: the line.
            result: what became of it.
            outputs: paths below OUT that are in place; None is its targets.
            details: of an error.
        """
        line = planned.line
        entry = self.ledger.latest(line.id)
        stays = result == "kept" and planned.approval == "changed"  # the approved take, of which the ledger knows
        there = result in ("made", "unchanged") or stays
        facts = entry.facts if there and entry is not None and (stays or entry.key == planned.key) else {}
        written = (tuple(planned.targets.values()) if outputs is None else outputs) if there else ()
        return Record(
            id=line.id,
            status=result,
            audio=str(line.audio),
            outputs=written,
            kept=planned.kept,
            seconds=float(facts.get("seconds") or planned.seconds),
            frames=int(facts.get("frames") or 0),
            style=str(facts.get("style")) if stays and facts.get("style") else style_words(planned.styling),
            controls="" if stays else planned.controls.words(),
            controlled=facts.get("controls") or {},
            seed=int(facts.get("seed", planned.seed)) if stays else planned.seed,
            health=facts.get("health") or {},
            warnings=(
                *(facts.get("warnings") or ()),
                *self._mixed(planned, result, written),
                *(_approval_warnings(planned, written) if result != "failed" else ()),
            ),
            error=planned.error,
            hint=planned.hint,
            details=details,
            language=planned.choices.language,
            text=line.text,
            character=line.character.name if line.character else None,
            fields=dict(line.fields),
            dub=facts.get("dub") or {},
            key=entry.key if entry is not None and result in ("made", "unchanged", "kept") else "",
            approval=planned.approval,
            take_of=line.noise,
            head=str(line.character.head) if line.character and line.character.head else None,
        )

    def _mixed(self, planned: PlannedLine, result: Result, written: Sequence[str]) -> list[str]:
        """That a kept file does not show the motion of those that were made, in a sentence; none where it may."""
        entry = self.ledger.latest(planned.id)
        same = set(entry.outputs) if entry is not None and entry.key == planned.key else set()
        other = [path for path in planned.kept if path not in same and path_beside(path, frozenset()) not in written]
        if result != "made" or not written or not other:
            return []
        what = f"{', '.join(written)} {'is' if len(written) == 1 else 'are'} new"
        stays = "stay" if len(other) > 1 else "stays"
        return [f"{what}, while {', '.join(other)} {stays} as it was: the files of the line show different motion"]

    def tell(self, record: Record) -> None:
        """Say what became of a line that is done with, and remember it."""
        self.records[record.id] = record
        self.console.event("line", **record.as_event())
        if record.status == "failed":
            self.console.error(MsmdError(f"line {record.id}: {record.error}", hint=record.hint))
        elif record.kept:
            how = "--beside writes ours next to it, --force overwrites it"
            self.console.warn(f"kept {', '.join(record.kept)}: not as MSMD wrote it; {how}")
        for warning in record.warnings if record.status == "made" else ():
            self.console.warn(f"line {record.id}: {warning}")
        self.console.detail(f"{record.status} {record.id}")
        if record.dub:
            say = self.console.say if self._single else self.console.detail
            say(f"{record.id}: {dubbing.length_words(record.dub, record.seconds)}")

    def add_not_reached(self, plan: Iterable[PlannedLine]) -> None:
        """Remember the lines of which nothing was said."""
        for planned in plan:
            if planned.id not in self.records:
                self.records[planned.id] = self.record(planned, "not reached")

    def tell_lost(self, out: Path) -> None:
        """Fail the lines whose files are no longer in OUT: somebody has removed them, or OUT, while the batch ran."""
        for record in tuple(self.records.values()):
            lost = [path for path in record.outputs if not (out / path).is_file()]
            if lost:
                error = f"{out / lost[0]} was removed while the batch ran"
                failed = replace(record, status="failed", outputs=(), error=error, hint="run the batch again")
                self.tell(failed)

    def tell_deliveries(self, warnings: Mapping[str, str]) -> None:
        """Say which voices contradict their styles, and remember it.

        Args:
            warnings: line id -> a sentence.
        """
        for line, warning in warnings.items():
            record = self.records[line]
            self.records[line] = replace(record, warnings=(*record.warnings, warning))
            self.console.event("delivery", id=line, warning=warning)
            self.console.warn(f"line {line}: {warning}")

    def tell_companion(self, path: Path, result: Result) -> None:
        """Say what became of a file that the files of a format need once beside them."""
        if result == "kept":
            self.console.warn(f"kept {path.name}: not as MSMD wrote it; --force overwrites it")
        elif result == "made":
            self.console.say(f"{path}: how it is used is written at its top")

    def tell_kept_approved(self, ids: Sequence[str]) -> None:
        """Say which lines would be other ones by now, and stay because they are approved."""
        if ids:
            self.console.event("kept approved", ids=list(ids))
            self.console.say(kept_words(ids))

    def end(self, report: Report, path: Path, interrupted: bool) -> None:
        """Say how many lines came to which end, and where the report is."""
        counts = report.counts
        elapsed = round(report.elapsed, 2)
        self.console.event("end", exit_code=report.exit_code, report=str(path), elapsed=elapsed, **counts)
        summary = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        self.tell_kept_approved(report.kept_approved)
        start = "Interrupted: " if interrupted else ""
        self.console.say(f"{start}{summary} in {duration(report.elapsed)}; see {path}")


def _approval_warnings(planned: PlannedLine, written: Sequence[str]) -> list[str]:
    """What an approval leaves open, in sentences."""
    if planned.approval == "gone":
        return ["its approval is of a take that is not in OUT: look at it again"]
    missing = [path for path in planned.outputs.values() if path not in (*written, *planned.kept)]
    if planned.approval != "changed" or not missing:
        return []
    return [f"not made: {', '.join(missing)}, which would show another take than the approved one"]
