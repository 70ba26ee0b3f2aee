"""`msmd watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import (
    BundleFolder,
    Device,
    Formats,
    Fps,
    GuidanceAudio,
    GuidanceStyle,
    Json,
    Out,
    Quality,
    Quiet,
    StyleFolders,
    asked_sampling,
    console,
)
from msmdcli.console import reports_errors


@reports_errors
def watch(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    style: Annotated[str | None, typer.Option(help="Style of lines that name none; as for `msmd batch`.")] = None,
    out: Out = Path("out"),
    formats: Formats = None,
    fps: Fps = None,
    quality: Quality = None,
    guidance_audio: GuidanceAudio = None,
    guidance_style: GuidanceStyle = None,
    jobs: Annotated[int | None, typer.Option(help="Workers; as for `msmd batch`.", min=1)] = None,
    device: Device = "auto",
    bundle: BundleFolder = None,
    styles: StyleFolders = None,
    gestures: Annotated[
        list[Path] | None, typer.Option(help="A folder of gestures. Can be given several times.", metavar="DIR")
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the batch whenever its manifest, recordings, styles or gestures change, for those who live in an editor.

    \b
    Example:
      msmd watch lines.yaml --out out

    Unchanged lines are skipped, and files that somebody edited stay. Ctrl-C ends it.
    """
    from msmdcli.batch.planned import BatchOptions
    from msmdcli.batch.watching import watch_batch
    from msmdcli.manifest.command_line import parse_choices

    options = BatchOptions(
        manifest=manifest,
        out=out,
        choices=parse_choices(
            style=style,
            formats=formats,
            fps=fps,
            seed=None,
            guidance_audio=guidance_audio,
            guidance_style=guidance_style,
            quality=quality,
        ),
        sampling=asked_sampling(quality, None, None, guidance_audio, guidance_style, None, None),
        jobs=jobs,
        device=device,
        bundle=bundle,
        styles=tuple(styles or ()),
        gestures=tuple(gestures or ()),
    )
    raise typer.Exit(watch_batch(options, console(json_lines, quiet=quiet)))
