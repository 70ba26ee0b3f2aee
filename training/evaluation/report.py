"""The report of an evaluation: report.json, report.md, the same as a page (report.html), and pictures beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.drawing.pictures import contact_sheet, write_png
from msmdcli.motion.motion import Motion
from training.data.corpus import unit_hash
from training.evaluation.evaluate import Face, Material, Options, TestClip
from training.evaluation.scores import EVERYTHING, Row
from training.evaluation.significance import SIGNIFICANT

# Tables 1 and 2 of the paper (MSE, LVE, MOD in mm, FDD in 1e-5 m): another head, tracker and corpus than ours.
PAPER = {
    "unconditioned": (4.50, 11.0, 52.4, 3.24),
    "diffposetalk": (3.86, 10.0, 48.3, 3.46),
    "vae-baseline": (3.61, 9.13, 47.4, 3.10),
    "no-cross": (3.59, 8.96, 46.3, 3.01),
    "msmd": (3.46, 8.54, 43.4, 2.96),
}
SYSTEM_WORDS = {
    "right": "its own style (other half of the clip)",
    "wrong": "another person's style",
    "none": "no style",
    "still": "*still*: the reference's mean pose, held",
    "copy": "*copy*: the reference, played as it is",
    "average": "*average*: mean pose of the training persons, held",
    "tracked": "*tracked*: the real performance",
}
METRIC_WORDS = {
    "mse": "MSE mm",
    "lve": "LVE mm",
    "fdd": "FDD 1e-5 m",
    "mod": "MOD mm",
    "head": "head deg",
    "agreement": "agreement",
    "sync_zero": "sync",
    "look": "look",
    "movement": "movement",
}
IN_TABLE = ("mse", "lve", "fdd", "mod", "head", "agreement")
CURVES_SHOWN = 12


def write_report(
    report: dict[str, Any],
    rows: list[Row],
    curves: dict[str, dict[str, np.ndarray]],
    material: Material,
    face: Face,
    options: Options,
    out: Path,
) -> None:
    """Write everything into `out`; `rows` go into rows.jsonl, one measurement a line."""
    pictures = draw_curves(curves, material, out) + draw_faces(curves, material, face, options.pictures, out)
    _write(out / "rows.jsonl", "".join(json.dumps(without_nan(row)) + "\n" for row in rows))
    _write(out / "report.json", json.dumps(without_nan(report), indent=1))
    text = markdown(report, pictures)
    _write(out / "report.md", text)
    _write(out / "report.html", page(text))


# ---- Markdown --------------------------------------------------------------------------------------------------------


def markdown(report: dict[str, Any], pictures: list[str]) -> str:
    """report.md from the contents of report.json and the names of the pictures."""
    data, head = report["data"], report["head"]
    groups = ", ".join(f"{number} {group}" for group, number in data["groups"].items())
    conditions = (
        f"{data['clips']} clips of {data['persons']} persons of the split `{data['split']}` ({groups}), seeds "
        f"{', '.join(map(str, report['seeds']))}. Head `{head['file']}`: {head['face']} face and {head['lips']} lip "
        "vertices, without head motion. Style reference: the other half of the same clip. Means over clips with 95 % "
        "bootstrap intervals; definitions in `training/evaluation/metrics.py`, protocol in "
        "`training/evaluation/evaluate.py`."
    )
    parts = [
        "# Evaluation",
        conditions,
        _models(report),
        "## In short",
        _summary_table(report),
    ]
    order = sorted({line["group"] for line in report["systems"]}, key=lambda g: (g == EVERYTHING, g))
    for group in order:
        lines = [line for line in report["systems"] if line["group"] == group]
        parts += [f"## {group[0].upper()}{group[1:]}: {lines[0]['clips']} clips, {lines[0]['persons']} persons"]
        parts += [_metric_table(lines), "### Timing of the jaw", _jaw_table(lines)]
        parts += ["### Amplitude (made / tracked) and health", _amplitude_table(lines)]
        judged = _judged_table(lines)
        if judged:
            parts += ["### What the judges say", judged]
        tests = [test for test in report["tests"] if test["group"] == group]
        if tests:
            parts += ["### Paired tests", _test_table(tests)]
    parts += _judges(report.get("judges"))
    parts += _emotion(report["emotion"])
    parts += ["## By source", _source_table(report["sources"])]
    parts += [f"![{Path(name).stem}]({name})" for name in pictures]
    parts += [
        "## The paper's numbers",
        "Another head, tracker, corpus and test set: for the order, not the values.",
        _paper_table(),
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


def _summary_table(report: dict[str, Any]) -> str:
    """One line per model and group: what one wants to know first."""

    def against(model: str, group: str, other: str) -> str:
        found = [
            f"{test['metric'].upper()} {_percent(test['relative'])} (p {_p(test['p'])})"
            for test in report["tests"]
            if (test["first"], test["second"][1], test["group"]) == ([model, "right"], other, group)
            and test["second"][0] in ("", model)
            and test["metric"] in ("mse", "lve")
        ]
        return ", ".join(found) or "-"

    rows = []
    for line in report["systems"]:
        if line["system"] != "right":
            continue
        model, group, jaw = line["model"], line["group"], line["jaw"]
        lag = "-" if jaw["group_lag"] is None else f"{jaw['group_lag']:+d}"
        others = [against(model, group, other) for other in ("wrong", "none", "still")]
        rows.append([f"**{model}**", group, _number(jaw["jaw"]["median"]), lag, *others])
    header = [
        "model",
        "group",
        "jaw correlation",
        "lag",
        "against a wrong style",
        "against no style",
        "against *still*",
    ]
    follows = "the mean expression follows emotional references with a correlation of"
    emotion = [
        f"- **{model}**: {follows} {_number(found['agreement']['median'])}"
        for model, found in report["emotion"].items()
        if found
    ]
    return "\n".join([_table(header, rows), "", *emotion])


def _source_table(lines: list[Row]) -> str:
    names = ("jaw", "jaw_best", "jaw_lag", "mse", "lve")
    rows = [[f"**{x['model']}**", x["source"], str(x["clips"]), *(_number(x[name]) for name in names)] for x in lines]
    return _table(["model", "source", "clips", "jaw", "at best lag", "best lag", "MSE mm", "LVE mm"], rows)


def _percent(value: float) -> str:
    return f"{value:+.1%}" if _known(value) else "-"


def _name(line: Row) -> str:
    words = SYSTEM_WORDS[line["system"]]
    return f"**{line['model']}**, {words}" if line["model"] else words


def _metric_table(lines: list[Row]) -> str:
    def cell(line: Row, name: str) -> str:
        value = line["metrics"][name]
        digits = 2 if name != "fdd" else 1
        if not _known(value["mean"]):
            return "-"
        return f"{value['mean']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"

    rows = [[_name(line), *(cell(line, name) for name in IN_TABLE)] for line in lines if line["system"] != "tracked"]
    return _table(["system", *(METRIC_WORDS[name] for name in IN_TABLE)], rows)


def _judged_table(lines: list[Row]) -> str:
    """What the judges say; empty where they were not asked."""
    rows = []
    for line in lines:
        judged = line["judged"]
        if not judged:
            continue
        rows.append(
            [
                _name(line),
                _with_interval(judged["sync_zero"]),
                _number(judged["sync"]["mean"]),
                _with_interval(judged["look"]),
                _share(judged["look_picks"]["mean"]),
                _with_interval(judged["movement"]),
                _share(judged["movement_picks"]["mean"]),
                _number(judged["statistics"]["mean"]),
            ]
        )
    header = ["system", "sync at lag 0", "at the best lag", "look", "picked", "movement", "picked", "statistics"]
    return _table(header, rows) if rows else ""


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
        parts += [fares, _table(header, [["agreement", *(f"{value:.2f}" for _, value in shown)]])]
    parts.append(
        f"Halves judged nearer to their own other half than to another person: look {_share(checked['look_picks'])}, "
        f"movement {_share(checked['movement_picks'])}."
    )
    return parts


def _with_interval(value: Row) -> str:
    return f"{_number(value['mean'])} ({_number(value['low'])} to {_number(value['high'])})"


def _share(value: float | None) -> str:
    return f"{value:.0%}" if _known(value) and value is not None else "-"


def _jaw_table(lines: list[Row]) -> str:
    rows = []
    for line in lines:
        jaw = line["jaw"]
        if line["system"] == "tracked" or not _known(jaw["jaw"]["median"]):
            continue
        at_zero = f"{_number(jaw['jaw']['median'])} ({_number(jaw['jaw']['low'])} to {_number(jaw['jaw']['high'])})"
        lag = "-" if jaw["group_lag"] is None else f"{jaw['group_lag']:+d}"
        per_clip_lag = f"{jaw['jaw_lag']['median']:+.1f}"
        of_lines = [_number(jaw[name]["median"]) for name in ("jaw_line", "jaw_heard")]
        best = _number(jaw["jaw_best"]["median"])
        rows.append([_name(line), at_zero, _number(jaw["per_person"]), best, per_clip_lag, lag, *of_lines])
    header = [
        "system",
        "correlation, median of clips",
        "of persons",
        "at each clip's best lag",
        "that lag",
        "best lag of the mean curve",
        "over the line",
        "from the first sound",
    ]
    return _table(header, rows) + "\n\nLags in frames; positive: the made motion comes late."


def _amplitude_table(lines: list[Row]) -> str:
    regions = ["lips", "jaw", "cheeks", "nose", "eyes", "brows", "head", "face"]
    rows = []
    for line in lines:
        if line["system"] in ("still", "average", "tracked"):
            continue
        silence = f"{_number(line['silence']['silence'])} ({_number(line['silence']['silence_tracked'])})"
        health = line["health"]
        blinks = f"{_number(health['blinks'], 0)} ({_number(health['blinks_tracked'], 0)})"
        amplitudes = (_number(line["amplitude"].get(region)) for region in regions)
        rows.append([_name(line), *amplitudes, silence, _number(health["jitter"]), blinks, _number(health["seam"])])
    note = (
        "Medians over clips. Silence: mouth movement in mm/s while nobody speaks, in brackets the tracked one. "
        "Jitter: mean absolute second difference relative to the tracked face. Blinks per minute, in brackets the "
        "tracked ones. Seam: the largest step at a join of windows relative to the 95th percentile of all other steps."
    )
    return _table(["system", *regions, "silence", "jitter", "blinks", "seam"], rows) + "\n\n" + note


def _test_table(tests: list[Row]) -> str:
    rows = []
    for test in tests:
        first, second = (
            (f"{model} {system}" if model else system) for model, system in (test["first"], test["second"])
        )
        mark = "**" if _known(test["p"]) and test["p"] < SIGNIFICANT else ""
        interval = f"{_number(test['low'], 3)} to {_number(test['high'], 3)}"
        rows.append(
            [
                f"{first} - {second}",
                METRIC_WORDS[test["metric"]],
                f"{_number(test['difference'], 3)} ({interval})",
                _percent(test["relative"]),
                f"{mark}{_p(test['p'])}{mark}",
                _number(test["effect"]),
                str(test["n"]),
                f"{_p(test['per_person']['p'])} ({test['per_person']['n']})",
            ]
        )
    header = ["pair", "metric", "difference (95 % interval)", "relative", "p", "effect d", "clips", "p by person (n)"]
    return (
        _table(header, rows)
        + "\n\nPaired t-tests; p < 0.05 in bold; d is the mean difference over its standard deviation."
    )


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
                f"{_number(value['median'])} ({_number(value['low'])} to {_number(value['high'])})" if value else "-"
            )
        rows.append([f"**{model}**", *cells, str(len(summary["references"])), str(summary["lines"])])
    parts.append(_table(["model", "agreement, median", "against the population", "gain", "references", "lines"], rows))
    for model, summary in found.items():
        rows = [
            [row["person"], row["tag"], _number(row["agreement"]), _number(row.get("population")), _number(row["gain"])]
            for row in summary["references"]
        ]
        parts += [
            f"### {model}, reference by reference",
            _table(["person", "reference", "agreement", "population", "gain"], rows),
        ]
    return parts


def _paper_table() -> str:
    return _table(
        ["system", "MSE mm", "LVE mm", "FDD 1e-5 m", "MOD mm"],
        [[n, *(f"{v:g}" for v in row)] for n, row in PAPER.items()],
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _number(value: float | None, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "-"


def _p(value: float) -> str:
    if not _known(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def without_nan(value: Any) -> Any:
    """JSON knows no NaN: null instead."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


# ---- pictures --------------------------------------------------------------------------------------------------------


def shown_clips(material: Material, count: int) -> list[TestClip]:
    """Clips for the pictures: of each group in turn, those with the smallest hash of their name."""
    groups: dict[str, list[TestClip]] = {}
    for clip in sorted(material.clips, key=lambda clip: unit_hash(clip.record.id)):
        groups.setdefault(clip.group, []).append(clip)
    turns = [clips[turn] for turn in range(count) for _, clips in sorted(groups.items()) if turn < len(clips)]
    return turns[:count]


def draw_curves(curves: dict[str, dict[str, np.ndarray]], material: Material, out: Path) -> list[str]:
    """jaw.png: jaw opening, tracked and generated, of a dozen clips. Returns the names of the files written."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    clips = shown_clips(material, CURVES_SHOWN)
    columns = 2
    count = -(-len(clips) // columns)
    figure, axes = plt.subplots(count, columns, figsize=(15, 2.1 * count), squeeze=False, constrained_layout=True)
    for axis in axes.ravel()[len(clips) :]:
        axis.axis("off")
    for axis, clip in zip(axes.ravel(), clips, strict=False):
        rig = clip.motion.rig
        jaw = rig.index("jawOpen") if "jawOpen" in rig.channels else int(rig.face_columns[0])
        seconds = np.arange(clip.motion.frames) / float(clip.motion.fps)
        axis.plot(seconds, clip.motion.values[:, jaw], color="black", linewidth=1.4, label="tracked")
        for model, made in curves.items():
            axis.plot(seconds, made[clip.record.id][:, jaw], linewidth=1.1, label=model)
        axis.axvline(seconds[clip.cut], color="0.8", linewidth=0.8)
        axis.set_title(f"{clip.record.id} ({clip.group})", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.margins(x=0)
    axes[0, 0].legend(fontsize=7, loc="upper right")
    figure.supxlabel("s", fontsize=8)
    figure.supylabel(rig.channels[jaw], fontsize=8)
    figure.savefig(out / "jaw.png", dpi=90)
    plt.close(figure)
    return ["jaw.png"]


def draw_faces(
    curves: dict[str, dict[str, np.ndarray]], material: Material, face: Face, count: int, out: Path, columns: int = 8
) -> list[str]:
    """faces-N.png: tracked faces above each model's, frame by frame. Returns the names of the files written."""
    names = []
    for number, clip in enumerate(shown_clips(material, count), start=1):
        frames = ((np.arange(columns) + 0.5) * clip.motion.frames / columns).astype(int).tolist()
        motions = [clip.motion.values, *(made[clip.record.id] for made in curves.values())]
        sheets = [
            contact_sheet(face.mesh, Motion(values, clip.motion.fps, clip.motion.rig), columns, 1, 200, frames)
            for values in motions
        ]
        names.append(f"faces-{number}.png")
        write_png(out / names[-1], np.concatenate(sheets))
    return names
