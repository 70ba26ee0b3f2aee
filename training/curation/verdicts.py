"""From records to a decision on every clip."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.curation.checks import REASONS, Limits, Rejection, judge
from training.curation.clip_data import Measures, load_measures
from training.curation.store import Row
from training.curation.timing import SourceTiming, best_agreement, judge_sync, timings


@dataclass(frozen=True)
class Verdict:
    """What became of a clip.

    Attributes:
        row: the clip.
        measures: what was measured; None where its label excluded it unseen.
        rejections: why it is not taken, the first being its reason; empty if it is.
        offset: frames by which its picture was late and is moved.
        agreement: of sound and mouth; None where it was not judged.
    """

    row: Row
    measures: Measures | None
    rejections: tuple[Rejection, ...]
    offset: float = 0.0
    agreement: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether it belongs to the data set."""
        return not self.rejections

    @property
    def reason(self) -> str:
        """The first reason; empty if accepted."""
        return self.rejections[0].reason if self.rejections else ""


def decide(
    rows: Sequence[Row], record: Callable[[str], Path], limits: Limits
) -> tuple[list[Verdict], dict[str, SourceTiming]]:
    """A verdict for each clip, in the order of `rows`, and the timing of each source.

    Args:
        rows: all clips of the data set, sorted by id.
        record: key -> file of its record.
        limits: see there.

    Raises:
        MsmdError: a record is missing or damaged.
    """
    first: dict[str, str] = {}
    alone: list[Verdict] = []
    groups: dict[str, list[Measures]] = defaultdict(list)
    for row in rows:
        if row.dropped:
            alone.append(Verdict(row, None, (Rejection("label", None, None, row.dropped),)))
            continue
        measures = load_measures(record(row.key))
        rejections = judge(measures, limits)
        twin = first.setdefault(row.key, row.id)
        if twin != row.id:
            rejections = [*rejections, Rejection("duplicate", None, None, f"the same file as {twin}")]
            rejections.sort(key=lambda r: list(REASONS).index(r.reason))
        verdict = Verdict(row, measures, tuple(rejections))
        alone.append(verdict)
        if verdict.accepted:
            groups[row.source].append(measures)
    found = timings(groups, limits)
    return [_in_sync(verdict, found, limits) for verdict in alone], found


def _in_sync(verdict: Verdict, found: dict[str, SourceTiming], limits: Limits) -> Verdict:
    timing = found.get(verdict.row.source)
    measures = verdict.measures
    if measures is None or not measures.lag_agreement:
        return verdict
    timing = timing or SourceTiming(0.0, float("nan"), float("nan"), float("nan"), 0, float("nan"), float("nan"))
    own = best_agreement(measures, timing.offset)
    agreement = round(own, 4) if own == own else None
    rejections = (*verdict.rejections, *judge_sync(measures, timing, limits))
    return Verdict(verdict.row, measures, rejections, timing.offset, agreement)
