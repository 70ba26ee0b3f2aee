"""The report of a curation, `DATASET/report`: report.json for programs, report.html for people (one file, no network),
rejects.png: pictures of what was rejected, and why."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from msmdcli.batch.report import STYLE
from msmdcli.drawing.canvas import PALE, Canvas
from msmdcli.drawing.pictures import png_bytes
from msmdcli.system.files import write_text
from training.curation.checks import REASONS
from training.curation.clip_data import ClipData
from training.curation.statistics import Histogram
from training.curation.store import write_bytes
from training.curation.timing import SourceTiming
from training.curation.verdicts import Verdict

MOST_ROWS = 2000  # rejected clips that the page lists; report.json lists all
MOST_PICTURES = 48
COLUMNS = 6
PICTURE = (128.0, 72.0)  # points
GOOD, BAD = "#1e8449", "#c0392b"


def write_report(
    out: Path,
    verdicts: Sequence[Verdict],
    facts: Mapping[str, Any],
    timing: Mapping[str, SourceTiming],
    histograms: Sequence[Histogram],
    record: Callable[[str], Path],
) -> Path:
    """Write all three files; the result is the path of the page.

    Args:
        out: the data set.
        verdicts: of all clips.
        facts: `statistics.summary`.
        timing: of each source.
        histograms: `statistics.histograms`.
        record: key -> file of its record, for the pictures.
    """
    folder = out / "report"
    data = {
        "format_version": 1,
        "summary": dict(facts),
        "timing": {source: _timing(t) for source, t in timing.items()},
        "histograms": [
            dict(zip(("title", "edges", "accepted", "rejected", "limit"), h, strict=True)) for h in histograms
        ],
        "clips": [_clip(verdict) for verdict in verdicts],
    }
    write_text(folder / "report.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    sheet = contact_sheet([v for v in verdicts if not v.accepted], record)
    if sheet is not None:
        write_bytes(folder / "rejects.png", png_bytes(sheet.pixels()))
    else:
        (folder / "rejects.png").unlink(missing_ok=True)
    page = folder / "report.html"
    write_text(page, _page(verdicts, facts, timing, histograms, sheet is not None))
    return page


def _clip(verdict: Verdict) -> dict[str, Any]:
    data: dict[str, Any] = {"id": verdict.row.id, "source": verdict.row.source, "file": verdict.row.name}
    data["accepted"] = verdict.accepted
    if verdict.agreement is not None:
        data["agreement"] = verdict.agreement
    if verdict.rejections:
        data["rejections"] = [
            {"reason": r.reason, "value": r.value, "limit": r.limit, "text": r.text} for r in verdict.rejections
        ]
    return data


def _timing(timing: SourceTiming) -> dict[str, float | None]:
    numbers = {name: getattr(timing, name) for name in ("offset", "estimate", "spread", "agreement", "usual")}
    return {name: round(v, 3) if math.isfinite(v) else None for name, v in numbers.items()} | {"clips": timing.clips}


# ---- pictures --------------------------------------------------------------------------------------------------------


def contact_sheet(rejected: Sequence[Verdict], record: Callable[[str], Path]) -> Canvas | None:
    """Pictures of rejected clips with their reasons, the reasons taking turns; None without a picture to show."""
    shown: list[tuple[Verdict, ClipData]] = []
    for verdict in _in_turns(rejected):
        if len(shown) == MOST_PICTURES:
            break
        data = ClipData.load(record(verdict.row.key))
        if data.thumbnail.size:
            shown.append((verdict, data))
    if not shown:
        return None
    width, height = PICTURE[0] + 12, PICTURE[1] + 34
    rows = -(-len(shown) // COLUMNS)
    canvas = Canvas(COLUMNS * width + 12, rows * height + 12)
    for number, (verdict, data) in enumerate(shown):
        x, y = 12 + number % COLUMNS * width, 12 + number // COLUMNS * height
        h, w = data.thumbnail.shape[:2]
        scale = min(PICTURE[0] / w, PICTURE[1] / h)
        canvas.picture(x + (PICTURE[0] - w * scale) / 2, y, w * scale, h * scale, data.thumbnail)
        canvas.text(x, y + PICTURE[1] + 11, _short(verdict.reason + _number(verdict), 24), 10, colour=BAD)
        canvas.text(x, y + PICTURE[1] + 22, _short(verdict.row.id, 27), 8)
    return canvas


def _in_turns(rejected: Sequence[Verdict]) -> list[Verdict]:
    queues: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in rejected:
        if verdict.row.key:
            queues[verdict.reason].append(verdict)
    turns = [(place, list(REASONS).index(reason), v) for reason, q in queues.items() for place, v in enumerate(q)]
    return [verdict for _, _, verdict in sorted(turns, key=lambda turn: turn[:2])]


def _number(verdict: Verdict) -> str:
    value = verdict.rejections[0].value
    return "" if value is None else f" {value:.3g}"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _chart(histogram: Histogram) -> Canvas:
    title, edges, accepted, rejected, limit = histogram
    canvas = Canvas(330, 130)
    canvas.text(8, 16, title, 12)
    highest = max(max(a + r for a, r in zip(accepted, rejected, strict=True)), 1)
    left, right, bottom, top = 8.0, 322.0, 108.0, 26.0
    step = (right - left) / len(accepted)
    for i, (good, bad) in enumerate(zip(accepted, rejected, strict=True)):
        y = bottom
        for count, colour in ((good, GOOD), (bad, BAD)):
            high = (bottom - top) * count / highest
            if count:
                x = left + i * step
                canvas.area(
                    [(x + 0.5, y), (x + step - 0.5, y), (x + step - 0.5, y - high), (x + 0.5, y - high)], colour
                )
            y -= high
    if limit is not None and edges[0] <= limit <= edges[-1]:
        x = left + (limit - edges[0]) / (edges[-1] - edges[0]) * (right - left)
        canvas.line([(x, top), (x, bottom)])
    canvas.line([(left, bottom), (right, bottom)], PALE)
    canvas.text(left, 122, f"{edges[0]:.3g}", 10)
    canvas.text(right, 122, f"{edges[-1]:.3g}", 10, anchor="end")
    return canvas


# ---- the page --------------------------------------------------------------------------------------------------------


def _page(
    verdicts: Sequence[Verdict],
    facts: Mapping[str, Any],
    timing: Mapping[str, SourceTiming],
    histograms: Sequence[Histogram],
    pictures: bool,
) -> str:
    rejected = [v for v in verdicts if not v.accepted]
    total = facts["accepted"]
    head = (
        f"<p><b>{total['clips']}</b> of {len(verdicts)} clips accepted: {total['minutes']:.1f} min, "
        f"{total['persons']} persons. Rejected: {len(rejected)}.</p>"
    )
    reasons = _table(
        ("reason", "what it means", "clips"),
        [(name, REASONS[name], count) for name, count in facts["rejected"].items()],
    )
    groups = "".join(
        f"<h2>{escape(name)}</h2>"
        + _table((name, "clips", "minutes", "persons"), [(key, *row.values()) for key, row in facts[name].items()])
        for name in ("splits", "sources", "tags", "languages")
    )
    times = _table(
        ("source", "picture late by, frames at 25 fps", "estimate", "agreement", "clips heard"),
        [
            (
                source,
                f"{t.offset:+.2f}",
                _estimate(t),
                "-" if math.isnan(t.agreement) else f"{t.agreement:.2f}",
                t.clips,
            )
            for source, t in timing.items()
        ],
    )
    rows = [
        (v.row.id, v.row.name, v.reason, "; ".join(f"{r.reason}: {r.text}" for r in v.rejections))
        for v in rejected[:MOST_ROWS]
    ]
    more = f"<p>and {len(rejected) - MOST_ROWS} more, in report.json</p>" if len(rejected) > MOST_ROWS else ""
    sheet = (
        '<h2>Pictures of rejected clips</h2><p><img src="rejects.png" style="max-width:100%"></p>' if pictures else ""
    )
    charts = "".join(f"<span>{_chart(histogram).svg()}</span> " for histogram in histograms)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Curation</title><style>{STYLE}</style>'
        f"<h1>Curation</h1>{head}<h2>Why clips were rejected</h2>{reasons}{groups}"
        f"<h2>Sound against picture</h2>{times}"
        f"<h2>Distributions</h2><p>Green: accepted. Red: rejected. Line: the limit.</p>{charts}"
        f"{sheet}<h2>Rejected clips</h2>{_table(('clip', 'file', 'reason', 'all that is wrong'), rows)}{more}</html>\n"
    )


def _estimate(timing: SourceTiming) -> str:
    return "too few clips" if math.isnan(timing.estimate) else f"{timing.estimate:+.2f} ± {timing.spread:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
