"""`msmd doctor`."""

from __future__ import annotations

from dataclasses import asdict

from msmdcli.commands.options import BundleFolder, Device, Json, StyleFolders, console
from msmdcli.console import reports_errors


@reports_errors
def doctor(
    device: Device = "auto", bundle: BundleFolder = None, styles: StyleFolders = None, json_lines: Json = False
) -> None:
    """What this machine can do, what is missing, and the command that mends it.

    \b
    Examples:
      msmd doctor
      msmd doctor --device cuda --json

    Exit code 1 if lines cannot be animated here. What only some commands need is marked with a dash.
    """
    from msmdcli.checkup.doctor import examine
    from msmdcli.errors import MsmdError

    talk = console(json_lines)
    broken = 0
    for finding in examine(device, bundle, styles or ()):
        broken += finding.needed and not finding.fine
        talk.event("finding", **asdict(finding))
        mark = "ok  " if finding.fine else "BAD " if finding.needed else "-   "
        talk.result(f"{mark} {finding.what}: {finding.detail}")
        if finding.mend:
            talk.result(f"     -> {finding.mend}")
    if broken:
        raise MsmdError(f"{broken} things that animating needs are not in order", hint="see the lines marked BAD")
