"""From measurements to statements: means with confidence intervals, medians, paired tests.

The unit is the clip: halves and seeds of a clip are averaged before anything else. Clips of one person are not
independent of each other, so every test is also made on persons (`per_person`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from training.evaluation.significance import bootstrap_interval, paired_t

Row = dict[str, Any]

TABLE = ("mse", "lve", "fdd", "mod", "head", "agreement")
JAW = ("jaw", "jaw_best", "jaw_lag", "jaw_line", "jaw_heard")
JUDGED = ("sync_zero", "sync", "sync_lag", "look", "look_picks", "movement", "movement_picks", "statistics")
TESTED = ("mse", "lve", "fdd", "mod", "jaw", "agreement", "sync_zero", "look", "movement")
EVERYTHING = "all"  # the group that holds all clips


def summarise(rows: Sequence[Row], emotion: Sequence[Row], models: Sequence[str]) -> dict[str, Any]:
    """Everything that the report states.

    Args:
        rows: one per model ("" for baselines), clip, system and seed.
        emotion: one per model, emotional reference and line.
        models: labels, in the order of the tables.

    Returns:
        `systems`: list of {model, system, group, clips, persons, metrics: {name: {mean, low, high, seed_spread}},
        jaw: {...}, judged: {name: {mean, low, high}}, amplitude: {region: median}}; `tests`: paired tests; `emotion`:
        per model; `sources`: right style by source; `clips`: clip means.
    """
    clips = clip_means(rows)
    groups = sorted({row["group"] for row in clips})
    groups = [*groups, EVERYTHING] if len(groups) > 1 else groups
    order = [(model, system) for model in models for system in ("right", "wrong", "none", "delivered")]
    order += [("", system) for system in ("still", "copy", "average", "straight", "tracked")]
    systems, tests = [], []
    for group in groups:
        for model, system in order:
            chosen = select(clips, model, system, group)
            if chosen:
                systems.append(
                    describe(chosen, [r for r in rows if _is(r, model, system, group)], model, system, group)
                )
        for first, second in _pairs(models, {row["model"] for row in clips if row["system"] == "right"}):
            tests += compare(select(clips, *first, group), select(clips, *second, group), first, second, group)
    return {
        "systems": systems,
        "tests": tests,
        "emotion": {model: emotion_summary([r for r in emotion if r["model"] == model]) for model in models},
        "sources": [
            line for model in models for line in by_source([c for c in clips if _is(c, model, "right", EVERYTHING)])
        ],
        "clips": clips,
    }


def by_source(clips: Sequence[Row]) -> list[Row]:
    """Jaw timing (median) and vertex errors (mean) of one system for each source of clips."""
    lines = []
    for source in sorted({clip["source"] for clip in clips}):
        own = [clip for clip in clips if clip["source"] == source]
        errors = {name: float(nan_mean(np.array([clip[name] for clip in own]))) for name in ("mse", "lve")}
        jaw = {name: nan_median(np.array([clip[name] for clip in own])) for name in ("jaw", "jaw_best", "jaw_lag")}
        lines.append({"model": own[0]["model"], "source": source, "clips": len(own), **errors, **jaw})
    return lines


def _pairs(models: Sequence[str], styled: Collection[str]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """What is tested against what: each model's right style against its other systems, then model against model.

    A model that is not among the `styled` ones takes no style: its `none` is all that it has.
    """
    best = {model: (model, "right" if model in styled else "none") for model in models}
    pairs = []
    for number, model in enumerate(models):
        if model in styled:
            pairs += [(best[model], (model, other)) for other in ("wrong", "none")]
        pairs += [(best[model], ("", other)) for other in ("still", "copy", "straight")]
        pairs += [(best[model], best[other]) for other in models[number + 1 :]]
    return pairs


def _is(row: Row, model: str, system: str, group: str) -> bool:
    return row["model"] == model and row["system"] == system and group in (row["group"], EVERYTHING)


def select(clips: Sequence[Row], model: str, system: str, group: str) -> list[Row]:
    """Rows of one system in one group."""
    return [row for row in clips if _is(row, model, system, group)]


def clip_means(rows: Sequence[Row]) -> list[Row]:
    """One row per model, system and clip: numbers averaged over seeds (NaN left out)."""
    collected: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        collected.setdefault((row["model"], row["system"], row["clip"]), []).append(row)
    means = []
    for same in collected.values():
        mean = {name: same[0][name] for name in ("model", "system", "clip", "person", "source", "group")}
        for name, value in same[0].items():
            if name in mean or name == "seed":
                continue
            values = np.array([row[name] for row in same], np.float64)  # [seeds] or [seeds, lags]
            mean[name] = nan_mean(values, axis=0).tolist() if isinstance(value, list) else float(nan_mean(values))
        means.append(mean)
    return means


def describe(clips: Sequence[Row], rows: Sequence[Row], model: str, system: str, group: str) -> Row:
    """One line of the tables; `clips` are the clip means of one system, `rows` the same with their seeds."""
    rng = np.random.default_rng(0)
    table = {}
    seeds = sorted({row["seed"] for row in rows})
    for name in TABLE:
        values = np.array([clip[name] for clip in clips])
        low, high = bootstrap_interval(values, rng)
        of_seed = [float(nan_mean(np.array([row[name] for row in rows if row["seed"] == seed]))) for seed in seeds]
        table[name] = {"mean": float(nan_mean(values)), "low": low, "high": high, "seed_spread": float(np.std(of_seed))}

    jaw: Row = {}
    for name in JAW:
        values = np.array([clip.get(name, np.nan) for clip in clips])
        low, high = bootstrap_interval(values, rng, "median")
        jaw[name] = {"median": nan_median(values), "low": low, "high": high}
    curve = nan_mean(np.array([clip["jaw_curve"] for clip in clips], np.float64), axis=0)  # [lags]
    peak = int(np.nanargmax(curve)) if np.isfinite(curve).any() else None
    jaw["group_lag"] = None if peak is None else peak - len(curve) // 2
    jaw["per_person"] = nan_median(np.array(list(person_means(clips, "jaw").values())))

    judged: Row = {}
    for name in JUDGED if JUDGED[0] in clips[0] else ():
        values = np.array([clip[name] for clip in clips])
        low, high = bootstrap_interval(values, rng)
        judged[name] = {"mean": float(nan_mean(values)), "low": low, "high": high}

    regions = [name for name in clips[0] if name.startswith("amplitude_")]
    return {
        "model": model,
        "system": system,
        "group": group,
        "clips": len(clips),
        "persons": len({clip["person"] for clip in clips}),
        "metrics": table,
        "jaw": jaw,
        "judged": judged,
        "amplitude": {
            name.removeprefix("amplitude_"): nan_median(np.array([c[name] for c in clips])) for name in regions
        },
        "health": {
            name: nan_median(np.array([c.get(name, math.nan) for c in clips]))
            for name in ("jitter", "blinks", "blinks_tracked", "seam")
        },
        "silence": {name: nan_median(np.array([c[name] for c in clips])) for name in ("silence", "silence_tracked")},
    }


def compare(
    first: Sequence[Row], second: Sequence[Row], first_name: tuple[str, str], second_name: tuple[str, str], group: str
) -> list[Row]:
    """Paired tests of two systems, one per metric, clip by clip and person by person. None where one is absent."""
    if not first or not second:
        return []
    other = {row["clip"]: row for row in second}
    shared = [(row, other[row["clip"]]) for row in first if row["clip"] in other]
    results = []
    for name in TESTED:
        if name not in first[0]:  # the judges were not asked
            continue
        a, b = (np.array([pair[side][name] for pair in shared]) for side in (0, 1))
        by_clip = paired_t(a, b)
        persons_a, persons_b = person_means([p[0] for p in shared], name), person_means([p[1] for p in shared], name)
        by_person = paired_t(np.array(list(persons_a.values())), np.array([persons_b[person] for person in persons_a]))
        mean_b = float(nan_mean(b))
        results.append(
            {
                "group": group,
                "first": list(first_name),
                "second": list(second_name),
                "metric": name,
                "relative": by_clip.difference / mean_b if mean_b else math.nan,
                **asdict(by_clip),
                "per_person": asdict(by_person),
            }
        )
    return results


def person_means(clips: Sequence[Row], name: str) -> dict[str, float]:
    """Mean of a metric over each person's clips."""
    values: dict[str, list[float]] = {}
    for clip in clips:
        values.setdefault(clip["person"], []).append(clip[name])
    return {person: float(nan_mean(np.array(found))) for person, found in values.items()}


def emotion_summary(rows: Sequence[Row]) -> Row:
    """Emotional references: medians over all references and lines, and a line per reference."""
    if not rows:
        return {}
    rng = np.random.default_rng(0)
    references = []
    for reference in sorted({row["reference"] for row in rows}):
        own = [row for row in rows if row["reference"] == reference]
        numbers = {name: nan_median(np.array([r[name] for r in own])) for name in _emotion_numbers(own)}
        references.append({"reference": reference, "person": own[0]["person"], "tag": own[0]["tag"], **numbers})
    summary: Row = {"references": references, "lines": len({row["line"] for row in rows})}
    for name in _emotion_numbers(rows):
        # Lines of one reference are near copies of each other: the interval is drawn over references.
        low, high = bootstrap_interval(np.array([r[name] for r in references]), rng, "median")
        summary[name] = {"median": nan_median(np.array([r[name] for r in rows])), "low": low, "high": high}
    return summary


def _emotion_numbers(rows: Sequence[Row]) -> list[str]:
    return [name for name in ("agreement", "population", "gain") if name in rows[0]]


def nan_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean without NaN; NaN where nothing is left (and no warning)."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def nan_median(values: np.ndarray) -> float:
    """Median without NaN; NaN where nothing is left."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
