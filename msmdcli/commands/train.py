"""`msmd train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console, need_training
from msmdcli.console import reports_errors


@reports_errors
def train(
    preset: Annotated[
        str | None, typer.Option(help="starter, quick, research, paper or tiny. (default: starter)")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings over a preset's.", metavar="FILE")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A data set folder. Can be given several times. (default: the preset's own recipe)", metavar="DIR"
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="msmd, msmd-anchor, no-cross, vae-baseline, diffposetalk or unconditioned. (default: the preset's)"
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Distil: a run; what it does in many guided steps the new model learns to do in two plain ones.",
            metavar="RUN",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, log, TensorBoard.", metavar="RUN")] = Path(
        "runs/msmd"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in RUN.")] = False,
    iterations: Annotated[int | None, typer.Option(min=1, help="Training steps. (default: the preset's)")] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads; 0 = PyTorch's choice. (default: the preset's)")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random. (default: the preset's)")] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that synthesise speech, where the recipe wants some.")
    ] = 1,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model. Needs the extra `train`; several GPUs: accelerate launch -m msmdcli train ...

    \b
    Examples:
      msmd train --preset starter --out runs/starter
      msmd train --teacher runs/starter --out runs/student
    """
    need_training()
    from training.command import run_train

    talk = console(json_lines, quiet=quiet)
    run_train(
        talk,
        preset=preset,
        config_file=config,
        data=data or [],
        variant=variant,
        out=out,
        resume=resume,
        iterations=iterations,
        threads=threads,
        seed=seed,
        jobs=jobs,
        teacher=teacher,
    )
