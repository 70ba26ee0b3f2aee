"""`msmd preview`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import told

if TYPE_CHECKING:
    import numpy as np


@told
def preview(
    motion: Annotated[Path, typer.Argument(help="A motion file: npz or Live Link Face CSV.")],
    out: Annotated[Path, typer.Option(help="Picture sheet (.png) or video (.mp4) to write.")],
    audio: Annotated[Path | None, typer.Option(help="Recording to put under the video.")] = None,
    head: Annotated[
        Path | None, typer.Option(help="Head with ARKit morph targets (GLB). (default: MSMD_HEAD)", envvar="MSMD_HEAD")
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Width and height of the face in pixels.")] = 320,
    columns: Annotated[int, typer.Option(min=1, max=40, help="Pictures in a row of the sheet.")] = 8,
    rows: Annotated[int, typer.Option(min=1, max=40, help="Rows of the sheet.")] = 2,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw a motion on a head: a sheet of pictures, or a video with the sound.

    Example: msmd preview out/guard_001.csv --head head.glb --audio guard_001.wav --out guard_001.mp4
    """
    from msmdcli.errors import UsageError
    from msmdcli.formats import read_motion
    from msmdcli.mesh import MeshDecoder
    from msmdcli.paths import shared_dir
    from msmdcli.preview import contact_sheet, render_frame, write_mp4, write_png

    if out.suffix not in (".png", ".mp4"):
        raise UsageError(f"--out {out} is neither .png nor .mp4", hint="name a .png for a sheet, a .mp4 for a video")
    shared = shared_dir()
    glb = head or (shared / "heads" / "ict_head_arkit52.glb" if shared else None)
    if glb is None or not glb.is_file():
        raise UsageError("no head to draw on", hint="give a GLB with the 52 ARKit morph targets with --head")
    moving = read_motion(motion)
    mesh = MeshDecoder.load(glb, moving.rig)
    talk = console(json_lines, quiet=quiet)
    if out.suffix == ".png":
        write_png(out, contact_sheet(mesh, moving, columns, rows, size))
    else:
        samples = None
        if audio is not None:
            from msmdcli.audio import load_audio

            samples = load_audio(audio).samples
        size += size % 2  # H.264 wants even sides
        with talk.progress("preview", moving.frames, moving.frames) as shown:

            def pictures() -> Iterator[np.ndarray]:
                for values in moving.values:
                    yield render_frame(mesh, values, size, smooth=1)
                    shown.advance(1)

            write_mp4(out, pictures(), moving.fps, samples)
    talk.event("previewed", output=str(out), frames=moving.frames)
    talk.say(str(out))
