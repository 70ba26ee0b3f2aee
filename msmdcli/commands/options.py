"""Options that several commands share, so that they are called and explained the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msmdcli.console import Console

if TYPE_CHECKING:
    from msmdcli.heads.mesh import MeshDecoder
    from msmdcli.motion.motion import Motion

Json = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout; talk stays on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Warnings and errors only.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt. auto takes a usable GPU through CUDA.")]
BundleFolder = Annotated[Path | None, typer.Option(help="Folder of an exported model. (default: the one that ships)")]
StyleFolders = Annotated[
    list[Path] | None,
    typer.Option(
        help="A folder of style tags, before your own (`msmd styles add`) and those that ship. May be repeated.",
        metavar="DIR",
    ),
]
Head = Annotated[
    Path | None,
    typer.Option(help="Head to draw on (GLB with ARKit morph targets). (default: MSMD_HEAD, else the one that ships)"),
]
Rig = Annotated[str, typer.Option(help="Name of a rig, or its YAML file.")]


def console(json_lines: bool = False, verbose: bool = False, quiet: bool = False) -> Console:
    """Where the command talks."""
    return Console(json_lines, verbosity=1 if verbose else -1 if quiet else 0)


def drawing_head(head: Path | None, motion: Motion, talk: Console, needed: bool) -> MeshDecoder | None:
    """The head to draw on; where there is none that fits, a sentence, or the error if it is needed."""
    from msmdcli.errors import MsmdError
    from msmdcli.heads.loading import load_head
    from msmdcli.paths import find_head

    try:
        return load_head(find_head(head), motion.rig)
    except MsmdError as error:
        if needed or head is not None:
            raise
        talk.say(f"no picture was drawn: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        return None


def need_training() -> None:
    """Make the training code importable, or refuse, in one sentence, where PyTorch is not installed."""
    from importlib.util import find_spec

    from msmdcli.errors import UsageError, install_command
    from msmdcli.paths import add_training_to_path

    missing = [name for name in ("torch", "transformers", "accelerate", "onnx") if find_spec(name) is None]
    if missing:
        raise UsageError(f"this command needs {', '.join(missing)}", hint=install_command("cpu,train"))
    add_training_to_path()
