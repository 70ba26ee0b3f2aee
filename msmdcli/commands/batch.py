"""`msmd batch`."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from msmdcli.commands.options import BundleFolder, Device, Json, Quiet, StyleFolders, Verbose, console
from msmdcli.console import told


@told
def batch(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    style: Annotated[
        str | None,
        typer.Option(
            help="Style of all lines that name none themselves: a tag, a motion file (npz, Live Link CSV), none, or a "
            "mix such as angry=0.7,sad=0.3. A line's own style wins; this wins over every `defaults`.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for outputs, report and ledger.")] = Path("out"),
    formats: Annotated[
        str | None, typer.Option(help="Output formats, with commas: livelink-csv, npz. (default: livelink-csv)")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(help="Frame rate of the outputs: 30, 29.97, 30000/1001. (default: the model's)")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed is another take. (default: 0)", min=0)] = None,
    sampler: Annotated[
        str | None, typer.Option(help="ddpm, ddim or dpmpp-2m. (default: what the model recommends)")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Network evaluations per window: speed against accuracy.")] = None,
    guidance_audio: Annotated[
        float | None, typer.Option(help="Guidance scale of the sound; 0 is off and fastest.", metavar="X")
    ] = None,
    guidance_style: Annotated[
        float | None, typer.Option(help="Guidance scale of the style; 0 is off and fastest.", metavar="X")
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Processes. Each loads the model; the cores are divided among them.", min=1)
    ] = 1,
    threads: Annotated[int, typer.Option(help="Threads per process. 0: as many as it has cores.", min=0)] = 0,
    batch_size: Annotated[
        int | None, typer.Option(help="Windows computed at once. Lower it where memory is short.", min=1)
    ] = None,
    device: Device = "auto",
    bundle: BundleFolder = None,
    styles: StyleFolders = None,
    engine: Annotated[str, typer.Option(help="Who computes: local (this machine).")] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would happen and how long, touch nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Make unchanged lines again and overwrite files edited by hand.")
    ] = False,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Animate voice lines.

    \b
    Examples:
      msmd batch lines.yaml --style angry
      msmd batch recordings/ --formats livelink-csv,npz --fps 30 --jobs 4
      msmd batch lines.yaml --dry-run

    Unchanged lines are skipped. Exit code: 0 all well, 1 some lines failed, 2 wrong usage or manifest, 130 interrupted.
    """
    from msmdcli.batch import BatchOptions, run_batch
    from msmdcli.command_line_choices import parse_choices
    from msmdcli.errors import UsageError

    if engine != "local":
        raise UsageError(f"engine {engine!r} is not known", hint="this version has: local")
    signal.signal(signal.SIGTERM, _interrupt)  # what a farm sends before it kills
    options = BatchOptions(
        manifest=manifest,
        out=out,
        choices=parse_choices(style, formats, fps, seed),
        sampler=sampler,
        steps=steps,
        guidance_audio=guidance_audio,
        guidance_style=guidance_style,
        jobs=jobs,
        threads=threads,
        batch_size=batch_size,
        device=device,
        bundle=bundle,
        styles=tuple(styles or ()),
        dry_run=dry_run,
        force=force,
    )
    raise typer.Exit(run_batch(options, console(json_lines, verbose, quiet)))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
