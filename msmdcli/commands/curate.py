"""`msmd curate`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, Verbose, console
from msmdcli.console import reports_errors


@reports_errors
def curate(
    sources: Annotated[
        list[Path] | None, typer.Argument(help="Folders of videos, or videos.", metavar="SOURCE...", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the data set.", metavar="DATASET")] = Path("dataset"),
    layout: Annotated[
        str | None,
        typer.Option(
            help="How clips are named: ravdess, crema-d, mead, celebv-text, grid or plain. (default: found out)"
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV with a column `file` and any of speaker, tag, intensity, language, licence, commercial, source, "
            "drop. (default: labels.csv in each source)",
            metavar="CSV",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    shard: Annotated[
        str | None, typer.Option(help="Look only at part I of N of the clips; finish with --merge.", metavar="I/N")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Finish the data set from the shards in DATASET.")] = False,
    split_file: Annotated[
        Path | None,
        typer.Option(help="YAML with persons: {val: [...], test: [...]}. (default: by hash)", metavar="FILE"),
    ] = None,
    val_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of persons kept for validation.")] = 0.1,
    min_seconds: Annotated[float, typer.Option(min=0.5, help="Shorter clips are rejected.")] = 1.0,
    max_turn: Annotated[
        float, typer.Option(help="Degrees that a face may be turned away for a quarter of the time.")
    ] = 29.0,
    min_agreement: Annotated[
        float, typer.Option(help="Agreement of sound and mouth, -1 to 1; -1 switches the check off.")
    ] = 0.03,
    face_model: Annotated[
        Path | None,
        typer.Option(help="MediaPipe's face_landmarker.task. (default: found or downloaded)", metavar="FILE"),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Who looks at the clips: local (this machine) or ray (a cluster).")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(help="With --engine ray: HOST:6379. (default: RAY_ADDRESS, else this machine)", metavar="ADDRESS"),
    ] = None,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Videos of talking people -> a filtered, split data set, with a reason for every clip that is left out.

    \b
    Examples:
      msmd curate recordings/ --out data/mine --jobs 4
      msmd curate CREMA-D/VideoFlash GRID --out data/commercial --jobs 8
      msmd curate /mnt/videos --out /mnt/data --shard 3/16      (on machine 3 of 16)
      msmd curate --merge --out /mnt/data                       (when all shards are done)

    A run that was interrupted goes on where it stopped. Needs the extra `video`.
    """
    from msmdcli.paths import add_training_to_path

    add_training_to_path()
    from training.curation.checks import Limits
    from training.curation.curate import CurateOptions, run_curate
    from training.curation.split import parse_shard

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a farm sends before it kills
    options = CurateOptions(
        sources=tuple(sources or ()),
        out=out,
        layout=layout,
        labels=labels,
        limits=Limits(min_seconds=min_seconds, max_turn=max_turn, min_agreement=min_agreement),
        jobs=jobs,
        shard=parse_shard(shard) if shard else None,
        merge=merge,
        split_file=split_file,
        val_share=val_share,
        face_model=face_model,
        engine=engine,
        ray_address=ray_address,
    )
    run_curate(console(json_lines, verbose, quiet), options)
