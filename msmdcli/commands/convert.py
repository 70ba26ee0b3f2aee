"""`msmd convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import told


@told
def convert(
    motion: Annotated[Path, typer.Argument(help="A motion file: npz or Live Link Face CSV.")],
    to: Annotated[str, typer.Option("--to", help="Format to write: livelink-csv, npz.", metavar="FORMAT")],
    out: Annotated[Path | None, typer.Option(help="File to write. (default: beside MOTION)")] = None,
    fps: Annotated[str | None, typer.Option(help="Frame rate to resample to. (default: as it is)")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Convert motion from one format or frame rate to another.

    Example: msmd convert take.csv --to npz --fps 25
    """
    from msmdcli.errors import UsageError
    from msmdcli.formats import get_format, read_motion
    from msmdcli.outputs import write_temporary

    form = get_format(to)
    target = out or motion.with_suffix(form.suffix)
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", hint="--force overwrites it, --out names another file")
    values = read_motion(motion)
    if fps is not None:
        values = values.resample(fps)
    write_temporary(values, target, form.name).commit()
    talk = console(json_lines, quiet=quiet)
    talk.event("converted", output=str(target), frames=values.frames, fps=str(values.fps))
    talk.say(f"{target}: {values.frames} frames at {float(values.fps):g} fps")
