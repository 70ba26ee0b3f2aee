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
    import json

    from msmdcli.batch.review import ReviewOptions, write_review

    talk = console(json_lines, quiet=quiet)
    try:
        count = len(json.loads((out / "report.json").read_text(encoding="utf-8"))["lines"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        count = 0  # write_review says what is wrong
    with talk.progress("Lines", count, count) as progress:
        page = write_review(out, ReviewOptions(copy_audio), lambda: progress.advance(1))
    talk.event("review", page=str(page), lines=count)
    talk.result(str(page))
