"""`msmd audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import BundleFolder, Json, Quiet, StyleFolders, Verbose, console
from msmdcli.console import reports_errors


@reports_errors
def audit(
    manifest: Annotated[
        Path, typer.Argument(help="A manifest (YAML, JSON, CSV), a folder of recordings, or one recording.")
    ],
    style: Annotated[str | None, typer.Option(help="As for msmd batch.")] = None,
    bundle: BundleFolder = None,
    styles: StyleFolders = None,
    estimate: Annotated[
        bool, typer.Option("--estimate/--no-estimate", help="Measure this machine, and say how long the batch takes.")
    ] = True,
    languages: Annotated[
        bool, typer.Option("--languages", help="List the lengths of every line that is there in several languages.")
    ] = False,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Look for trouble before the night: in the manifest, the styles and the sound of every recording.

    \b
    Examples:
      msmd audit lines.yaml
      msmd audit recordings/ --no-estimate --json

    Found: missing, unreadable, empty, silent, clipped, too quiet, mostly silent, very short and very long recordings,
    low and unusual sample rates, the same sound in several files, files that no line names, unknown styles, and
    translations whose lengths differ. Exit code: 0 nothing would fail, 1 some lines would fail, 2 wrong manifest.
    """
    from msmdcli.checkup.audit import run_audit
    from msmdcli.manifest.command_line import parse_choices

    choices = parse_choices(style, None, None, None)
    talk = console(json_lines, verbose, quiet)
    raise typer.Exit(run_audit(manifest, talk, bundle, tuple(styles or ()), choices, estimate, languages or verbose))
