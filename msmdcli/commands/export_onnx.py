"""`msmd export-onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console, need_training
from msmdcli.console import reports_errors


@reports_errors
def export_onnx(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle. (default: RUN/bundle)", metavar="BUNDLE")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="How weights are stored: fp32, fp16 or int8; they compute in float32. half: as fp16, and the denoiser "
            "computes in float16, for GPUs."
        ),
    ] = "fp32",
    name: Annotated[str | None, typer.Option(help="The model's name. (default: that of the folder)")] = None,
    checkpoint: Annotated[str, typer.Option(help="best or latest.")] = "best",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampling steps that the bundle recommends. (default: 4)")
    ] = None,
    guidance_audio: Annotated[
        float, typer.Option(min=0.0, max=10.0, help="Guidance by sound that the bundle recommends.")
    ] = 0.0,
    licence: Annotated[str | None, typer.Option(help="What the weights may be used for; kept in the bundle.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a training run to a bundle of ONNX files, and print how far each differs from PyTorch.

    Example: msmd export-onnx runs/starter --out bundles/starter --precision fp16
    """
    need_training()
    from export.command import run_export

    talk = console(json_lines, quiet=quiet)
    run_export(
        talk,
        run,
        out=out,
        precision=precision,
        name=name,
        which=checkpoint,
        force=force,
        steps=steps,
        guidance_audio=guidance_audio,
        licence=licence,
    )
