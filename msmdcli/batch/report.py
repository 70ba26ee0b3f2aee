"""The report of a batch: OUT/report.json for programs, OUT/report.html for people (one file, no network)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any, get_args

from msmdcli.batch.approvals import APPROVAL_WORDS, Approval
from msmdcli.batch.dubbing import length_words
from msmdcli.batch.planned import Result
from msmdcli.motion.health import LIMITS, Health
from msmdcli.system.files import write_text

FORMAT_VERSION = 1
NAMES = ("report.json", "report.html")  # in OUT
STATUSES: tuple[Result, ...] = get_args(Result)


@dataclass(frozen=True)
class Record:
    """What the report says of one line.

    Attributes:
        id, audio, style, seed, language, text, character, fields: from the manifest.
        status: one of `STATUSES`.
        outputs, kept: paths below OUT: ours, and those left to whoever edited them.
        seconds, frames: of the recording and of the output.
        health: see `Health.as_dict`; empty where it is not known.
        warnings, error, hint, details: what to know, and why it failed.
        controls, controlled: what was asked for beyond the style, in words; what it did, see `Controlled.facts`.
        dub: of a line that dubs a performance, see `PreparedDub.length_facts`.
        key: of the files in OUT, by the ledger; empty where there are none.
        approval: what its approval is worth, see `msmdcli.batch.approvals`.
        take_of: the line of which it is a take.
        head: the head of its character.
    """

    id: str
    status: Result
    audio: str = ""
    outputs: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    seconds: float = 0.0
    frames: int = 0
    style: str = ""
    seed: int = 0
    health: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    details: str = ""
    language: str | None = None
    text: str | None = None
    character: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    dub: Mapping[str, Any] = field(default_factory=dict)
    controls: str = ""
    controlled: Mapping[str, float] = field(default_factory=dict)
    key: str = ""
    approval: Approval = ""
    take_of: str | None = None
    head: str | None = None

    @property
    def score(self) -> float:
        """See `Health.score`; 0 where there are no measures."""
        return Health.from_dict(self.health).score if self.health else 0.0

    @property
    def concerns(self) -> list[str]:
        """See `Health.concerns`."""
        return Health.from_dict(self.health).concerns if self.health else []

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts the worst first."""
        order = {"failed": 0, "not reached": 1}.get(self.status, 2)
        return order, -self.score, self.id

    def as_dict(self) -> dict[str, Any]:
        """Everything that is known, as plain data."""
        data = asdict(self) | {"score": round(self.score, 3), "concerns": self.concerns}
        return {key: value for key, value in data.items() if value not in (None, "", (), {}, [])}

    def as_event(self) -> dict[str, Any]:
        """What the event of a line says."""
        names = ("id", "status", "outputs", "kept", "seconds", "frames", "score", "concerns", "warnings", "approval")
        data = self.as_dict()
        return {name: data[name] for name in (*names, "controlled", "dub", "error", "hint") if name in data}


@dataclass(frozen=True)
class Report:
    """A whole batch.

    Attributes:
        version: of MSMD.
        bundle, settings: what it was made with.
        elapsed: seconds.
        exit_code: of the run.
        records: one per line, in any order.
    """

    version: str
    bundle: Mapping[str, Any]
    settings: Mapping[str, Any]
    elapsed: float
    exit_code: int
    records: tuple[Record, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Lines by status."""
        return {status: sum(record.status == status for record in self.records) for status in STATUSES}

    @property
    def kept_approved(self) -> tuple[str, ...]:
        """See `kept_approved`."""
        return kept_approved(self.records)

    @property
    def worst_first(self) -> list[Record]:
        """Failed lines, then those not reached, then the others by falling score."""
        return sorted(self.records, key=lambda record: record.rank)

    def as_dict(self) -> dict[str, Any]:
        """As report.json has it."""
        return {
            "format_version": FORMAT_VERSION,
            "msmd": self.version,
            "bundle": dict(self.bundle),
            "settings": dict(self.settings),
            "run": {"elapsed_seconds": round(self.elapsed, 2), "exit_code": self.exit_code},
            "counts": self.counts,
            **({"kept_approved": list(self.kept_approved)} if self.kept_approved else {}),
            "limits": LIMITS,
            "lines": [record.as_dict() for record in self.worst_first],
        }


def kept_approved(records: Iterable[Record]) -> tuple[str, ...]:
    """Ids of lines that have changed since they were approved, and whose approved takes stay."""
    return tuple(record.id for record in records if record.status == "kept" and record.approval == "changed")


def kept_words(ids: Sequence[str], most: int = 10) -> str:
    """That approved lines stay, in a sentence.

    Args:
        ids: of the lines, at least one.
        most: of them that are named.
    """
    named = ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
    what = f"{len(ids)} approved line{'s' if len(ids) > 1 else ''} kept: {named}"
    return f"{what}; changed since approved; `--force` makes {'them' if len(ids) > 1 else 'it'} again"


def write_report(report: Report, out: Path) -> Path:
    """Write both files; the result is the path of the one for people."""
    write_text(out / "report.json", json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    page = out / "report.html"
    write_text(page, as_html(report))
    return page


STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --warn: #b9770e; --good: #1e8449; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { position: sticky; top: 0; background: Canvas; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.failed, .not { color: var(--bad); } .concern { color: var(--warn); } .made { color: var(--good); }
small { opacity: .75; } code { font-size: .92em; }
input { font: inherit; padding: .3rem .6rem; width: 20rem; margin: .8rem 0; }
"""

SCRIPT = """
const rows = [...document.querySelectorAll("tbody tr")];
document.querySelector("input").addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
"""

COLUMNS = (
    ("mouth_in_silence", "mouth in silence", "speed of the mouth in silence, relative to speech"),
    ("jitter", "jitter", "mean second difference of the face channels"),
    ("blinks_per_minute", "blinks/min", "both lids close"),
    ("outside_share", "outside", "share of values that left the rig's ranges"),
    ("seam_jump", "seam", "largest step across a join of windows, relative to ordinary fast steps"),
)


def as_html(report: Report) -> str:
    """The page: a summary and a table of all lines, the worst first, with a filter."""
    counts = ", ".join(f"{number} {status}" for status, number in report.counts.items() if number)
    seconds = sum(record.seconds for record in report.records if record.status == "made")
    sampling = report.settings.get("sampling", {})
    approved = f"<p>{escape(kept_words(report.kept_approved, 100))}</p>" if report.kept_approved else ""
    head = "".join(f'<th title="{escape(title)}">{escape(name)}</th>' for _, name, title in COLUMNS)
    rows = "\n".join(_row(record) for record in report.worst_first)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>MSMD report</title><style>{STYLE}</style></head>
<body>
<h1>{escape(counts or "no lines")}</h1>
<p>{seconds:.1f} s of sound made in {report.elapsed:.1f} s with model <b>{escape(str(report.bundle.get("name")))}</b>
({escape(str(sampling.get("sampler")))}, {escape(str(sampling.get("steps")))} steps), msmd {escape(report.version)}.
The worst lines come first: failed ones, then by the measure that is furthest above its limit.
A number in <span class="concern">this colour</span> is above its limit; hold the pointer on a column's name for its
meaning.</p>
{approved}<input type="search" placeholder="filter" aria-label="filter">
<table><thead><tr><th>line</th><th>status</th><th>style</th><th>seconds</th>{head}<th>notes</th></tr></thead>
<tbody>
{rows}
</tbody></table>
<script>{SCRIPT}</script>
</body></html>
"""


def _row(record: Record) -> str:
    about = " · ".join(part for part in (record.character, record.language, record.text) if part)
    line = f"<code>{escape(record.id)}</code>" + (f"<br><small>{escape(about)}</small>" if about else "")
    cells = [
        f"<td>{line}</td>",
        f'<td class="{record.status.split()[0]}">{escape(record.status)}</td>',
        f"<td>{escape(record.style)}</td>",
        f'<td class="number">{record.seconds:.2f}</td>',
    ]
    cells += [_measure(name, record.health.get(name)) for name, *_ in COLUMNS]
    notes = [record.error, record.hint, APPROVAL_WORDS.get(record.approval, ""), *record.concerns, *record.warnings]
    if record.controls:
        notes.append(record.controls)
    if record.dub:
        notes.append(f"dub of {record.dub['original']}: {length_words(record.dub, record.seconds)}")
    notes += [f"kept: {path}" for path in record.kept]
    cells.append("<td>" + "<br>".join(escape(note) for note in notes if note) + "</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _measure(name: str, value: float | None) -> str:
    if value is None:
        return '<td class="number">-</td>'
    concern = " concern" if value > LIMITS[name] else ""
    return f'<td class="number{concern}">{value:.3g}</td>'
