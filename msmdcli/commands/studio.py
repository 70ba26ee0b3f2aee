"""`msmd studio`."""

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
    Quality,
    Quiet,
    StyleFolders,
    asked_sampling,
    console,
)
from msmdcli.console import reports_errors


@reports_errors
def studio(
    given: Annotated[
        Path, typer.Argument(help="A manifest, or a folder that `msmd batch` wrote.", metavar="MANIFEST|OUT")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the outputs. (default: the one given, or out)")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on, on this machine only. 0: a free one.", min=0)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
    style: Annotated[str | None, typer.Option(help="Style of lines that name none; as for `msmd batch`.")] = None,
    formats: Formats = None,
    fps: Fps = None,
    quality: Quality = None,
    guidance_audio: GuidanceAudio = None,
    guidance_style: GuidanceStyle = None,
    device: Device = "auto",
    bundle: BundleFolder = None,
    styles: StyleFolders = None,
    gestures: Annotated[
        list[Path] | None, typer.Option(help="A folder of gestures. Can be given several times.", metavar="DIR")
    ] = None,
    threads: Annotated[int, typer.Option(help="Threads of the model. 0: as many as there are cores.", min=0)] = 0,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """See, hear and change lines in a browser: what is kept goes into the manifest, and `msmd batch` writes it.

    \b
    Examples:
      msmd studio lines.yaml --out out
      msmd studio out

    Give the options that you give `msmd batch`: then the page shows what it writes, byte for byte. Ctrl-C ends it.
    """
    from msmdcli.batch.planned import BatchOptions
    from msmdcli.manifest.command_line import parse_choices
    from msmdcli.studio.serving import serve

    options = BatchOptions(
        manifest=given,
        out=out or Path("out"),
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
        device=device,
        bundle=bundle,
        styles=tuple(styles or ()),
        gestures=tuple(gestures or ()),
        threads=threads,
    )
    serve(given, out, options, port, not no_browser, console(json_lines, quiet=quiet))
