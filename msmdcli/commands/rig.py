"""`msmd rig`: rigs and their channels."""

from __future__ import annotations

from typing import Annotated

import typer

from msmdcli.commands.options import Json, console
from msmdcli.console import told

rig_app = typer.Typer(no_args_is_help=True, help="Rigs: channels, ranges, regions.")


@rig_app.command("show")
@told
def show_rig(
    rig: Annotated[str, typer.Argument(help="Name of a rig, or its YAML file.")] = "arkit52", json_lines: Json = False
) -> None:
    """The channels of a rig, in order, with region and range.

    Example: msmd rig show arkit52
    """
    from msmdcli.rig import Rig

    talk = console(json_lines)
    shown = Rig.load(rig)
    regions = {name: [r for r, members in shown.regions.items() if name in members] for name in shown.channels}
    width = max(len(name) for name in shown.channels)
    for index, name in enumerate(shown.channels):
        low, high = float(shown.lower[index]), float(shown.upper[index])
        talk.event("channel", index=index, name=name, lower=low, upper=high, regions=regions[name])
        talk.result(f"{index:3}  {name:{width}}  {low:7.3f} to {high:6.3f}  {', '.join(regions[name])}")
