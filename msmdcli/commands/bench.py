"""`msmd bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import BundleFolder, Device, Json, Quiet, console
from msmdcli.console import reports_errors


@reports_errors
def bench(
    audio: Annotated[
        list[Path] | None,
        typer.Argument(help="Recordings or folders of them. (default: 50 made-up lines of 5 s)", metavar="[AUDIO]..."),
    ] = None,
    bundle: BundleFolder = None,
    repeat: Annotated[int, typer.Option(min=1, help="How often each thing is measured; the median counts.")] = 3,
    steps: Annotated[int | None, typer.Option(min=1, help="Sampling steps. (default: the model's)")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes of the main job.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Threads per process. 0: one per core.")] = 0,
    device: Device = "auto",
    no_memory: Annotated[bool, typer.Option("--no-memory", help="Leave out the line of 10 minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the numbers here: .json, or .md for the table.")] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure speed and memory on this machine, with the conditions.

    \b
    Examples:
      msmd bench
      msmd bench recordings/ --repeat 5 --out bench.json
    """
    import json

    from msmdcli.checkup.bench import BenchOptions
    from msmdcli.checkup.bench import bench as measure

    talk = console(json_lines, quiet=quiet)
    options = BenchOptions(
        bundle=bundle,
        audio=tuple(audio or ()),
        repeat=repeat,
        jobs=jobs,
        threads=threads,
        device=device,
        steps=steps,
        memory=not no_memory,
    )
    result = measure(options, talk.say)
    if out is not None:
        text = result.markdown() if out.suffix == ".md" else json.dumps(result.as_dict(), indent=1) + "\n"
        out.write_text(text, encoding="utf-8")
    talk.event("bench", **result.as_dict())
    for line in result.markdown().splitlines():
        talk.result(line)
