"""`msmd doctor`."""

from __future__ import annotations

from msmdcli.commands.options import BundleFolder, Device, Json, StyleFolders, console
from msmdcli.console import told


@told
def doctor(
    device: Device = "auto", bundle: BundleFolder = None, styles: StyleFolders = None, json_lines: Json = False
) -> None:
    """What this machine can do, and what is missing. Exit code 1 if lines cannot be animated here.

    Example: msmd doctor
    """
    from msmdcli.doctor import examine
    from msmdcli.errors import MsmdError

    talk = console(json_lines)
    broken = 0
    for finding in examine(device, bundle, styles or ()):
        broken += finding.needed and not finding.fine
        talk.event("finding", what=finding.what, fine=finding.fine, needed=finding.needed, detail=finding.detail)
        mark = "ok  " if finding.fine else "BAD " if finding.needed else "-   "
        talk.result(f"{mark} {finding.what}: {finding.detail}")
    if broken:
        raise MsmdError(f"{broken} things that animating needs are not in order", hint="see the lines marked BAD")
