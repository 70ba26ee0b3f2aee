"""What is in a curated data set, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from training.curation.checks import REASONS, Limits
from training.curation.clip_data import Measures
from training.curation.verdicts import Verdict
from training.data.records import ClipRecord

BINS = 24

Histogram = tuple[str, list[float], list[int], list[int], float | None]
"""Title, edges [n + 1], accepted [n], rejected [n], limit."""


def summary(verdicts: Sequence[Verdict], records: Sequence[ClipRecord]) -> dict[str, Any]:
    """Clips, minutes and persons of the whole, of each source, emotion, language and split; rejections by reason."""
    reasons = Counter(verdict.reason for verdict in verdicts if not verdict.accepted)
    by_source = Counter((verdict.row.source, verdict.reason) for verdict in verdicts if not verdict.accepted)
    return {
        "looked at": len(verdicts),
        "accepted": totals(records),
        "rejected": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "rejected by source": {
            source: {reason: by_source[source, reason] for reason in REASONS if by_source[source, reason]}
            for source in sorted({source for source, _ in by_source})
        },
        "splits": _groups(records, lambda r: r.split),
        "sources": _groups(records, lambda r: r.source),
        "tags": _groups(records, lambda r: r.tag),
        "languages": _groups(records, lambda r: r.language),
        "may train a released model": totals(r for r in records if r.commercial),
    }


def totals(records: Iterable[ClipRecord]) -> dict[str, float]:
    """Clips, minutes, persons."""
    records = list(records)
    return {
        "clips": len(records),
        "minutes": round(sum(r.seconds for r in records) / 60, 2),
        "persons": len({r.speaker for r in records}),
    }


def _groups(records: Sequence[ClipRecord], key: Callable[[ClipRecord], str]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[ClipRecord]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return {name: totals(groups[name]) for name in sorted(groups)}


def histograms(verdicts: Sequence[Verdict], limits: Limits) -> list[Histogram]:
    """Distributions of what clips are judged by, accepted against rejected."""
    wanted: list[tuple[str, Callable[[Verdict, Measures], float | None], float | None]] = [
        ("length, s", lambda v, m: m.seconds or None, limits.min_seconds),
        ("loudest 50 ms, dB", lambda v, m: m.loudness, limits.min_loudness),
        ("speech, share of the clip", lambda v, m: m.speech_share, None),
        ("face found, share of frames", lambda v, m: m.found, limits.min_found),
        ("width of the face, pixels", lambda v, m: m.face_pixels, None),
        ("turn exceeded in a quarter of the frames, degrees", lambda v, m: m.turn_often, limits.max_turn),
        ("largest move within 80 ms, degrees", lambda v, m: m.jump, limits.max_jump),
        ("proportions of the face, standard deviations from people's", lambda v, m: m.unusual, limits.max_unusual),
        ("tracking confidence", lambda v, m: m.confidence, limits.min_confidence),
        ("agreement of sound and mouth", lambda v, m: v.agreement, limits.min_agreement),
    ]
    return [_histogram(title, verdicts, read, limit) for title, read, limit in wanted]


def _histogram(
    title: str, verdicts: Sequence[Verdict], read: Callable[[Verdict, Measures], float | None], limit: float | None
) -> Histogram:
    sides: tuple[list[float], list[float]] = ([], [])
    for verdict in verdicts:
        value = read(verdict, verdict.measures) if verdict.measures is not None else None
        if value is not None:
            sides[0 if verdict.accepted else 1].append(value)
    both = np.array([*sides[0], *sides[1]])
    if not len(both):
        return title, [0.0, 1.0], [0], [0], limit
    low, high = float(both.min()), float(np.quantile(both, 0.995))
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    counts = [np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0].tolist() for side in sides]
    return title, [round(float(edge), 4) for edge in edges], counts[0], counts[1], limit
