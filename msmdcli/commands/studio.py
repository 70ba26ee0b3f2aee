"""`msmd studio`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.everyday import Everyday, with_everyday_options
from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import reports_errors


@reports_errors
@with_everyday_options
def studio(
    given: Annotated[
        Path, typer.Argument(help="A manifest, or a folder that `msmd batch` wrote.", metavar="MANIFEST|OUT")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder of the outputs. (default: the one given, or out)")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on, on this machine only. 0: a free one.", min=0)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
    *,
    everyday: Everyday,
    threads: Annotated[int, typer.Option(help="Threads of the model. 0: as many as there are cores.", min=0)] = 0,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """See, hear and change lines in a browser: what is kept goes into the manifest, and `msmd batch` writes it.

    \b
    Examples:
      msmd studio lines.yaml --out out
      msmd studio out

    The page shows what `msmd batch` writes, byte for byte: with OUT, the options of its run count; with a manifest,
    give the options that you give the batch. Ctrl-C ends it.
    """
    from msmdcli.studio.serving import serve

    options = everyday.options(given, out or Path("out"), threads=threads)
    serve(given, out, options, port, not no_browser, console(json_lines, quiet=quiet))
