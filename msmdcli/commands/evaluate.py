"""`msmd evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console, need_training
from msmdcli.console import reports_errors


@reports_errors
def evaluate(
    models: Annotated[list[Path], typer.Argument(help="Folders of exported bundles.", metavar="MODEL...")],
    data: Annotated[Path, typer.Option(help="A data set with people that no model was trained on.", metavar="DATASET")],
    out: Annotated[Path, typer.Option(help="Folder of the report; results there are used again.", metavar="REPORT")],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds.")] = 3,
    split: Annotated[
        str | None, typer.Option(help="Which split of the data set. (default: test, or val where there is no test)")
    ] = None,
    max_clips: Annotated[int | None, typer.Option(min=1, help="Only so many clips. (default: all)")] = None,
    head: Annotated[
        Path | None, typer.Option(help="Head with ARKit morph targets (GLB). (default: the shared one)")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="ddpm, ddim or dpmpp-2m. (default: the bundle's)")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Sampling steps. (default: the bundle's)")] = None,
    guidance_audio: Annotated[float | None, typer.Option(help="Guidance scale. (default: the bundle's)")] = None,
    guidance_style: Annotated[float | None, typer.Option(help="Guidance scale. (default: the bundle's)")] = None,
    straight_sources: Annotated[
        list[str] | None,
        typer.Option("--straight-source", help="Fit the straight line on this source; repeatable. (default: all)"),
    ] = None,
    model_alone: Annotated[
        bool, typer.Option("--model-alone", help="Leave out what batch makes of the model, and its eight takes.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 = one per core.")] = 0,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure models on people they have never seen: errors in mm, lip-sync, style, and what doing nothing would score.

    Example: msmd evaluate bundles/mine --data data/corpus --out reports/mine
    """
    need_training()
    from msmdcli.model.sampling import Sampling
    from training.evaluation.evaluate import evaluate as evaluate_models
    from training.evaluation.material import EvaluateOptions
    from training.evaluation.report import without_nan

    options = EvaluateOptions(
        seeds=tuple(range(seeds)),
        split=split,
        max_clips=max_clips,
        head=head,
        sampling=Sampling(sampler, steps, guidance_audio, guidance_style),
        threads=threads,
        straight_sources=tuple(straight_sources or ()),
        model_alone=model_alone,
    )
    talk = console(json_lines, quiet=quiet)
    report = evaluate_models(models, data, out, options, talk.say)
    brief = {name: without_nan(report[name]) for name in ("data", "models", "systems", "tests", "emotion")}
    talk.event("evaluated", report=str(out / "report.md"), **brief)
    if not quiet:
        talk.result(str(out / "report.md"))
