"""`msmd watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import (
    AsInBatch,
    BundleFolder,
    Device,
    Formats,
    Fps,
    GestureFolders,
    GuidanceAudio,
    GuidanceStyle,
    Json,
    Out,
    Quality,
    Quiet,
    StyleFolders,
    console,
    everyday_options,
)
from msmdcli.console import reports_errors


@reports_errors
def watch(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    style: AsInBatch = None,
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
    gestures: GestureFolders = None,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the batch whenever its manifest, recordings, styles or gestures change, for those who live in an editor.

    \b
    Example:
      msmd watch lines.yaml --out out

    Unchanged lines are skipped; files that somebody edited and approved takes stay. Ctrl-C ends it.
    """
    from msmdcli.batch.watching import watch_batch

    options = everyday_options(
        manifest,
        out,
        style,
        formats,
        fps,
        quality,
        guidance_audio,
        guidance_style,
        device,
        bundle,
        styles,
        gestures,
        jobs=jobs,
    )
    raise typer.Exit(watch_batch(options, console(json_lines, quiet=quiet)))
