"""`msmd review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import reports_errors


@reports_errors
def review(
    out: Annotated[Path, typer.Argument(help="A folder that `msmd batch` wrote.", metavar="OUT")],
    copy_audio: Annotated[
        bool, typer.Option("--copy-audio", help="Copy the recordings into OUT/review, so that OUT can be sent away.")
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a page on which every line of a batch can be seen, heard and marked: OUT/review.html. It needs no network.

    \b
    Examples:
      msmd review out
      msmd batch redo.yaml --out out      the lines that were marked on the page, with new seeds
    """
    from msmdcli.batch.report_file import read_report
    from msmdcli.batch.review import ReviewOptions, write_review

    talk = console(json_lines, quiet=quiet)
    count = len(read_report(out)["lines"])
    with talk.progress("Lines", count, count) as progress:
        page = write_review(out, ReviewOptions(copy_audio), lambda: progress.advance(1))
    talk.event("review", page=str(page), lines=count)
    talk.result(str(page))
