"""The report of an evaluation: report.json, report.md, the same as a page (report.html), and pictures beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.system.files import write_text
from training.evaluation.as_generator import generator_table
from training.evaluation.delivered import life_table
from training.evaluation.material import EvaluateOptions, Material
from training.evaluation.measuring import ComparisonHead
from training.evaluation.report_pictures import draw_curves, draw_faces
from training.evaluation.scores import EVERYTHING, Row
from training.evaluation.tables import (
    amplitude_table,
    jaw_table,
    judged_table,
    metric_table,
    number,
    paper_table,
    share,
    source_table,
    summary_table,
    table,
    test_table,
)


def write_report(
    report: dict[str, Any],
    rows: list[Row],
    curves: dict[str, dict[str, np.ndarray]],
    material: Material,
    face: ComparisonHead,
    options: EvaluateOptions,
    out: Path,
) -> None:
    """Write everything into `out`; `rows` go into rows.jsonl, one measurement a line."""
    pictures = draw_curves(curves, material, out) + draw_faces(curves, material, face, options.pictures, out)
    write_text(out / "rows.jsonl", "".join(json.dumps(without_nan(row)) + "\n" for row in rows))
    write_text(out / "report.json", json.dumps(without_nan(report), indent=1))
    text = markdown(report, pictures)
    write_text(out / "report.md", text)
    write_text(out / "report.html", page(text))


def markdown(report: dict[str, Any], pictures: list[str]) -> str:
    """report.md from the contents of report.json and the names of the pictures."""
    data, head = report["data"], report["head"]
    groups = ", ".join(f"{number} {group}" for group, number in data["groups"].items())
    conditions = (
        f"{data['clips']} clips of {data['persons']} persons of the split `{data['split']}` ({groups}), seeds "
        f"{', '.join(map(str, report['seeds']))}. Tracked by {'; '.join(data.get('trackers', ['nobody named']))}. "
        f"Head `{head['file']}`: {head['face']} face and {head['lips']} lip "
        "vertices, without head motion. Style reference: the other half of the same clip. Means over clips with 95 % "
        "bootstrap intervals; definitions in `training/evaluation/metrics.py`, protocol in "
        "`training/evaluation/evaluate.py`."
    )
    parts = [
        "# Evaluation",
        conditions,
        _models(report),
        "## In short",
        summary_table(report),
    ]
    if report.get("generators"):
        parts += ["## As a generator: all clips", generator_table(report["generators"])]
    if report.get("life"):
        parts += [
            "## Life: movement and jitter as a share of the reference's own, all clips",
            life_table(report["life"]),
        ]
    order = sorted({line["group"] for line in report["systems"]}, key=lambda g: (g == EVERYTHING, g))
    for group in order:
        lines = [line for line in report["systems"] if line["group"] == group]
        parts += [f"## {group[0].upper()}{group[1:]}: {lines[0]['clips']} clips, {lines[0]['persons']} persons"]
        parts += [metric_table(lines), "### Timing of the jaw", jaw_table(lines)]
        parts += ["### Amplitude (made / tracked) and health", amplitude_table(lines)]
        judged = judged_table(lines)
        if judged:
            parts += ["### What the judges say", judged]
        tests = [test for test in report["tests"] if test["group"] == group]
        if tests:
            parts += ["### Paired tests", test_table(tests)]
    parts += _judges(report.get("judges"))
    parts += _emotion(report["emotion"])
    parts += ["## By source", source_table(report["sources"])]
    parts += [f"![{Path(name).stem}]({name})" for name in pictures]
    parts += [
        "## The paper's numbers",
        "Another head, tracker, corpus and test set: for the order, not the values.",
        paper_table(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Evaluation</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin: 1rem 0; font-size: 13px; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top }}
thead th {{ border-bottom: 2px solid #888 }}
tbody tr:hover {{ background: #f4f6f8 }}
img {{ max-width: 100% }}
code {{ background: #f2f2f2; padding: 0 .2em }}
</style>
{body}
</html>
"""


def page(text: str) -> str:
    """Markdown as a page that stands alone but for its pictures; HTML in the text stays text."""
    from markdown_it import MarkdownIt

    return PAGE.format(body=MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def _models(report: dict[str, Any]) -> str:
    lines = []
    for model in report["models"]:
        s = model["sampling"]
        lines.append(
            f"- **{model['label']}**: {s['sampler']}, {s['steps']} steps, guidance audio {s['guidance_audio']:g}, "
            f"style {s['guidance_style']:g}"
        )
    return "\n".join(lines)


def _judges(checked: Row | None) -> list[str]:
    """What the judges are and how they fare on real clips of people they never saw."""
    if not checked:
        return []
    explained = (
        "Two stand-ins for the paper's user studies, trained on real motion of the training persons only. *Sync*: how "
        "much better mouth and sound agree than at other shifts in time (cosine; 0 is chance). *Look* (resting pose "
        "and movement) and *movement* (movement alone): cosine with the other half of the real clip; *picked*: how "
        "often it is judged nearer to that than to another person, the negative anchor. *Statistics*: distance from "
        "that half in standard deviations. They show whether a mouth goes with its sound and whether a manner is the "
        "reference's; not whether a viewer likes it, and not whether shapes are large enough (the sync judge sees each "
        "mouth in units of its own movement)."
    )
    parts = ["## The judges", explained]
    if "sync_curve" in checked:
        shown = [
            (shift, value)
            for shift, value in zip(checked["sync_shifts"], checked["sync_curve"], strict=True)
            if shift % 2 == 0
        ]
        fares = (
            f"On {checked['clips']} real clips of unseen people: a clip's own mouth scores {checked['sync_zero']:.2f}, "
            f"another clip's {checked['sync_other']:.2f} (own above other with probability "
            f"{checked['sync_auc']:.2f}). Real sound shifted against the real mouth:"
        )
        header = ["shift, frames", *(f"{shift:+d}" for shift, _ in shown)]
        parts += [fares, table(header, [["agreement", *(f"{value:.2f}" for _, value in shown)]])]
    parts.append(
        f"Halves judged nearer to their own other half than to another person: look {share(checked['look_picks'])}, "
        f"movement {share(checked['movement_picks'])}."
    )
    return parts


def _emotion(emotion: dict[str, Row]) -> list[str]:
    found = {model: summary for model, summary in emotion.items() if summary}
    if not found:
        return []
    explained = (
        "How the mean expression follows a silent emotional performance: correlation over the face channels of the "
        "generated and the reference's offset from the same person's neutral; the same against the mean pose of the "
        "training persons; and how far along the reference's offset the generated one goes (1 = all the way)."
    )
    parts = ["## Emotional references on neutral lines", explained]
    rows = []
    for model, summary in found.items():
        cells = []
        for name in ("agreement", "population", "gain"):
            value = summary.get(name)
            cells.append(
                f"{number(value['median'])} ({number(value['low'])} to {number(value['high'])})" if value else "-"
            )
        rows.append([f"**{model}**", *cells, str(len(summary["references"])), str(summary["lines"])])
    parts.append(table(["model", "agreement, median", "against the population", "gain", "references", "lines"], rows))
    for model, summary in found.items():
        rows = [
            [row["person"], row["tag"], number(row["agreement"]), number(row.get("population")), number(row["gain"])]
            for row in summary["references"]
        ]
        parts += [
            f"### {model}, reference by reference",
            table(["person", "reference", "agreement", "population", "gain"], rows),
        ]
    return parts


def without_nan(value: Any) -> Any:
    """JSON knows no NaN: null instead."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
