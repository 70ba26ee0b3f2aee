"""`msmd review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import reports_errors

MAILED = 20 << 20  # bytes that most mail servers take, once they are encoded for mail


@reports_errors
def review(
    out: Annotated[Path, typer.Argument(help="A folder that `msmd batch` wrote.", metavar="OUT")],
    one_file: Annotated[
        bool, typer.Option("--one-file", help="Everything within the page, the recordings too: to mail it.")
    ] = False,
    copy_audio: Annotated[
        bool, typer.Option("--copy-audio", help="Copy the recordings into OUT/review, so that OUT can be sent away.")
    ] = False,
    taken: Annotated[
        Path | None,
        typer.Option(
            "--import",
            help="First take in what somebody has marked on the page and saved: approvals and notes.",
            metavar="FILE",
        ),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a page on which every line of a batch can be seen, heard and marked: OUT/review.html. It needs no network.

    \b
    Examples:
      msmd review out --one-file                   to mail it
      msmd review out --import out-review.yaml     the marks that came back
      msmd batch out-review.yaml --out out         the lines that are to be made again
    """
    from msmdcli.batch.report_file import read_report
    from msmdcli.review.marks import take_in
    from msmdcli.review.page import ReviewOptions, write_review

    talk = console(json_lines, quiet=quiet)
    if taken is not None:
        found = take_in(taken, out)
        talk.event("import", file=str(taken), **{name: list(ids) for name, ids in vars(found).items()})
        talk.say(f"{taken}: {found.words()}")
        if found.stale:
            named = ", ".join(found.stale[:10]) + (" ..." if len(found.stale) > 10 else "")
            talk.warn(f"made anew since that page, so not approved: {named}")
        if found.unknown:
            talk.warn(f"{out} has no line {', '.join(map(repr, found.unknown[:10]))}")
        if found.redo:
            talk.say(f"msmd batch {taken} --out {out} makes the lines again")
    count = len(read_report(out)["lines"])
    with talk.progress("Lines", count, count) as progress:
        made = write_review(out, ReviewOptions(copy_audio, one_file), lambda: progress.advance(1))
    talk.event("review", page=str(made.page), lines=count, bytes=made.size, bytes_beside=made.beside)
    size = f"{made.size / 1e6:.1f} MB"
    talk.say(f"{size} in one file" if one_file else f"{size}, and {made.beside / 1e6:.1f} MB in {out / 'review'}")
    if one_file and made.size > MAILED:
        talk.warn(f"{size} are more than most mail servers take: share it otherwise")
    talk.result(str(made.page))
