"""`msmd watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.everyday import Everyday, with_everyday_options
from msmdcli.commands.options import Json, Out, Quiet, console
from msmdcli.console import reports_errors


@reports_errors
@with_everyday_options
def watch(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    out: Out = Path("out"),
    jobs: Annotated[int | None, typer.Option(help="Workers; as for `msmd batch`.", min=1)] = None,
    *,
    everyday: Everyday,
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

    options = everyday.options(manifest, out, jobs=jobs)
    raise typer.Exit(watch_batch(options, console(json_lines, quiet=quiet)))
