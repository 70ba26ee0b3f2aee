"""The command line: which commands there are. Each has its file in `msmdcli/commands`; nothing heavy is imported."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from msmdcli import __version__
from msmdcli.commands.audit import audit
from msmdcli.commands.batch import batch
from msmdcli.commands.bench import bench
from msmdcli.commands.convert import convert
from msmdcli.commands.curate import curate
from msmdcli.commands.doctor import doctor
from msmdcli.commands.dub import dub
from msmdcli.commands.evaluate import evaluate
from msmdcli.commands.export_onnx import export_onnx
from msmdcli.commands.inspect import inspect
from msmdcli.commands.preview import preview
from msmdcli.commands.review import review
from msmdcli.commands.rig import rig_app
from msmdcli.commands.schema import schema
from msmdcli.commands.studio import studio
from msmdcli.commands.styles import styles_app
from msmdcli.commands.track import track
from msmdcli.commands.train import train
from msmdcli.commands.watch import watch

app = typer.Typer(
    name="msmd",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback is for our own mistakes; then it should be whole and plain
    help="Voice lines to facial animation in a chosen performance style.",
)

app.command()(batch)
app.command()(audit)
app.command()(dub)
app.command()(track)
app.command()(curate)
app.command()(train)
app.command(name="export-onnx")(export_onnx)
app.command()(evaluate)
app.command()(preview)
app.command()(convert)
app.command()(inspect)
app.command()(review)
app.command()(studio)
app.command()(watch)
app.command()(bench)
app.command()(doctor)
app.command()(schema)
app.add_typer(styles_app, name="styles")
app.add_typer(rig_app, name="rig")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"msmd {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Voice lines to facial animation in a chosen performance style."""


def main() -> None:
    """The entry point `msmd`."""
    # NumPy's matrix products are small here: more threads only wait, and their number would change the last bits.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()
