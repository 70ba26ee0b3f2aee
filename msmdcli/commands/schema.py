"""`msmd schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Quiet, Rig, console
from msmdcli.console import reports_errors


@reports_errors
def schema(
    out: Annotated[Path | None, typer.Option(help="File to write. (default: stdout)")] = None,
    rig: Rig = "arkit52",
    quiet: Quiet = False,
) -> None:
    """Print the JSON Schema of manifests, for editors.

    \b
    Example: msmd schema --out msmd.schema.json
    and as the first line of a manifest: # yaml-language-server: $schema=msmd.schema.json
    """
    import json

    from msmdcli.manifest.schema import manifest_schema
    from msmdcli.motion.rig import Rig as Channels
    from msmdcli.system.files import write_text

    text = json.dumps(manifest_schema(Channels.load(rig)), indent=1) + "\n"
    if out is None:
        print(text, end="")
        return
    write_text(out, text)
    console(quiet=quiet).say(str(out))
