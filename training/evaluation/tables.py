"""Tables of an evaluation's report, in Markdown."""

from __future__ import annotations

import math
from typing import Any

from training.evaluation.scores import Row
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
    "delivered": "*delivered*: its own style, as `msmd batch` writes it",
    "still": "*still*: the reference's mean pose, held",
    "copy": "*copy*: the reference, played as it is",
    "average": "*average*: mean pose of the training persons, held",
    "straight": "*straight*: ridge regression from the sound around the reference's mean pose",
    "tracked": "*tracked*: the real performance",
}
METRIC_WORDS = {
    "mse": "MSE mm",
    "lve": "LVE mm",
    "fdd": "FDD 1e-5 m",
    "mod": "MOD mm",
    "head": "head deg",
    "jaw": "jaw",
    "agreement": "agreement",
    "sync_zero": "sync",
    "look": "look",
    "movement": "movement",
}
IN_TABLE = ("mse", "lve", "fdd", "mod", "head", "agreement")


def summary_table(report: dict[str, Any]) -> str:
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
        rows.append([f"**{model}**", group, number(jaw["jaw"]["median"]), lag, *others])
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
        f"- **{model}**: {follows} {number(found['agreement']['median'])}"
        for model, found in report["emotion"].items()
        if found
    ]
    return "\n".join([table(header, rows), "", *emotion])


def source_table(lines: list[Row]) -> str:
    names = ("jaw", "jaw_best", "jaw_lag", "mse", "lve")
    rows = [[f"**{x['model']}**", x["source"], str(x["clips"]), *(number(x[name]) for name in names)] for x in lines]
    return table(["model", "source", "clips", "jaw", "at best lag", "best lag", "MSE mm", "LVE mm"], rows)


def _percent(value: float) -> str:
    return f"{value:+.1%}" if is_known(value) else "-"


def system_name(line: Row) -> str:
    words = SYSTEM_WORDS[line["system"]]
    return f"**{line['model']}**, {words}" if line["model"] else words


def metric_table(lines: list[Row]) -> str:
    def cell(line: Row, name: str) -> str:
        value = line["metrics"][name]
        digits = 2 if name != "fdd" else 1
        if not is_known(value["mean"]):
            return "-"
        return f"{value['mean']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"

    rows = [
        [system_name(line), *(cell(line, name) for name in IN_TABLE)] for line in lines if line["system"] != "tracked"
    ]
    return table(["system", *(METRIC_WORDS[name] for name in IN_TABLE)], rows)


def judged_table(lines: list[Row]) -> str:
    """What the judges say; empty where they were not asked."""
    rows = []
    for line in lines:
        judged = line["judged"]
        if not judged:
            continue
        rows.append(
            [
                system_name(line),
                with_interval(judged["sync_zero"]),
                number(judged["sync"]["mean"]),
                with_interval(judged["look"]),
                share(judged["look_picks"]["mean"]),
                with_interval(judged["movement"]),
                share(judged["movement_picks"]["mean"]),
                number(judged["statistics"]["mean"]),
            ]
        )
    header = ["system", "sync at lag 0", "at the best lag", "look", "picked", "movement", "picked", "statistics"]
    return table(header, rows) if rows else ""


def with_interval(value: Row) -> str:
    return f"{number(value['mean'])} ({number(value['low'])} to {number(value['high'])})"


def share(value: float | None) -> str:
    return f"{value:.0%}" if is_known(value) and value is not None else "-"


def jaw_table(lines: list[Row]) -> str:
    rows = []
    for line in lines:
        jaw = line["jaw"]
        if line["system"] == "tracked" or not is_known(jaw["jaw"]["median"]):
            continue
        at_zero = f"{number(jaw['jaw']['median'])} ({number(jaw['jaw']['low'])} to {number(jaw['jaw']['high'])})"
        lag = "-" if jaw["group_lag"] is None else f"{jaw['group_lag']:+d}"
        per_clip_lag = f"{jaw['jaw_lag']['median']:+.1f}"
        of_lines = [number(jaw[name]["median"]) for name in ("jaw_line", "jaw_heard")]
        best = number(jaw["jaw_best"]["median"])
        rows.append([system_name(line), at_zero, number(jaw["per_person"]), best, per_clip_lag, lag, *of_lines])
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
    return table(header, rows) + "\n\nLags in frames; positive: the made motion comes late."


def amplitude_table(lines: list[Row]) -> str:
    regions = ["lips", "jawOpen", "jaw", "cheeks", "nose", "eyes", "brows", "head", "face"]
    rows = []
    for line in lines:
        if line["system"] in ("still", "average", "tracked"):
            continue
        silence = f"{number(line['silence']['silence'])} ({number(line['silence']['silence_tracked'])})"
        health = line["health"]
        blinks = f"{number(health['blinks'], 0)} ({number(health['blinks_tracked'], 0)})"
        amplitudes = (number(line["amplitude"].get(region)) for region in regions)
        rows.append([system_name(line), *amplitudes, silence, number(health["jitter"]), blinks, number(health["seam"])])
    note = (
        "Medians over clips. Silence: mouth movement in mm/s while nobody speaks, in brackets the tracked one. "
        "Jitter: mean absolute second difference relative to the tracked face. Blinks per minute, in brackets the "
        "tracked ones. Seam: the largest step at a join of windows relative to the 95th percentile of all other steps."
    )
    return table(["system", *regions, "silence", "jitter", "blinks", "seam"], rows) + "\n\n" + note


def test_table(tests: list[Row]) -> str:
    rows = []
    for test in tests:
        first, second = (
            (f"{model} {system}" if model else system) for model, system in (test["first"], test["second"])
        )
        mark = "**" if is_known(test["p"]) and test["p"] < SIGNIFICANT else ""
        interval = f"{number(test['low'], 3)} to {number(test['high'], 3)}"
        rows.append(
            [
                f"{first} - {second}",
                METRIC_WORDS[test["metric"]],
                f"{number(test['difference'], 3)} ({interval})",
                _percent(test["relative"]),
                f"{mark}{_p(test['p'])}{mark}",
                number(test["effect"]),
                str(test["n"]),
                f"{_p(test['per_person']['p'])} ({test['per_person']['n']})",
            ]
        )
    header = ["pair", "metric", "difference (95 % interval)", "relative", "p", "effect d", "clips", "p by person (n)"]
    return (
        table(header, rows)
        + "\n\nPaired t-tests; p < 0.05 in bold; d is the mean difference over its standard deviation."
    )


def paper_table() -> str:
    return table(
        ["system", "MSE mm", "LVE mm", "FDD 1e-5 m", "MOD mm"],
        [[n, *(f"{v:g}" for v in row)] for n, row in PAPER.items()],
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "-"


def _p(value: float) -> str:
    if not is_known(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
