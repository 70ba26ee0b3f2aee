"""`msmd preview`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msmdcli.commands.options import Json, Quiet, Verbose, console
from msmdcli.console import Console, reports_errors

if TYPE_CHECKING:
    from msmdcli.drawing.film import Film, FilmTake
    from msmdcli.motion.motion import Motion

SOUND_RATE = 48000  # samples per second in the film
SUFFIXES = {".mp4": "a video", ".png": "a sheet of pictures", ".svg": "a sheet of curves"}


@reports_errors
def preview(
    motion: Annotated[Path, typer.Argument(help="A motion file, in any format that MSMD reads.")],
    out: Annotated[Path, typer.Option(help="Video (.mp4), sheet of pictures (.png) or of curves (.svg) to write.")],
    audio: Annotated[
        Path | None, typer.Option(help="Recording for the video or above the curves. (default: that of --beside)")
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(help="Head with morph targets (.glb, .vrm, .gltf), or a rig file. (default: MSMD_HEAD, or ours)"),
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="A video or another motion to show to the left of it, in a .mp4.")
    ] = None,
    view: Annotated[str, typer.Option(help="front, three-quarter or both.")] = "front",
    size: Annotated[
        str, typer.Option(help="Of the video, WIDTHxHEIGHT in pixels; of each picture of a sheet, one number.")
    ] = "",
    columns: Annotated[int, typer.Option(min=1, max=40, help="Pictures in a row of the sheet.")] = 6,
    rows: Annotated[int, typer.Option(min=1, max=40, help="Rows of the sheet.")] = 3,
    renderer: Annotated[str, typer.Option(help="auto, opengl (fast) or numpy (runs anywhere).")] = "auto",
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Look at a motion: a video of the head with the sound, a sheet of pictures, or a sheet of curves.

    \b
    Examples:
      msmd preview out/guard_001.csv --audio guard_001.wav --out guard_001.mp4
      msmd preview take2.npz --beside performance.mov --out compare.mp4
      msmd preview out/guard_001.npz --head hero.glb --view both --out guard_001.png
      msmd preview out/guard_001.npz --audio guard_001.wav --out guard_001.svg
    """
    from msmdcli.drawing.film import VIEWS
    from msmdcli.drawing.renderer import CHOICES
    from msmdcli.errors import MsmdError, UsageError
    from msmdcli.formats.registry import read_motion

    kind = out.suffix.lower()
    if kind not in SUFFIXES:
        known = ", ".join(f"{suffix} for {what}" for suffix, what in SUFFIXES.items())
        raise UsageError(
            f"--out {out}: a preview is no {out.suffix or 'file without a suffix'}", hint=f"name a {known}"
        )
    for option, given, choices in (("--view", view, VIEWS), ("--renderer", renderer, CHOICES)):
        if given not in choices:
            raise UsageError(f"{option} {given!r} is not known", hint=f"choose from {', '.join(choices)}")
    if beside is not None and kind != ".mp4":
        raise UsageError("--beside is for videos", hint="name a .mp4 with --out")
    if not out.parent.is_dir():
        raise UsageError(f"no such folder: {out.parent}", hint="make it, or name another --out")
    talk = console(json_lines, verbose, quiet)
    moving = read_motion(motion)
    if moving.frames == 0:
        raise MsmdError(f"{motion} has no frames")
    if kind == ".svg":
        _curves(out, moving, audio, motion.name)
    elif kind == ".png":
        _pictures(out, _take(moving, head), (view, renderer), _side(size), (columns, rows), talk)
    else:
        from msmdcli.drawing.film import Film

        width, height = _frame_size(size)
        _film(out, _take(moving, head), Film(width, height, view, renderer), (audio, beside, head), talk)
    talk.event("previewed", output=str(out), frames=moving.frames)
    talk.say(str(out))


def _take(motion: Motion, head: Path | None) -> FilmTake:
    from msmdcli.drawing.film import FilmTake
    from msmdcli.errors import MsmdError
    from msmdcli.heads.loading import load_head
    from msmdcli.paths import find_head

    path = find_head(head)
    mesh = load_head(path, motion.rig)
    if mesh.rig.channels != motion.rig.channels:
        raise MsmdError(
            f"the motion is on rig {motion.rig.name}, the head {path} on {mesh.rig.name}",
            hint="give a --head for that rig, or convert the motion: msmd convert",
        )
    if len(mesh.triangles) == 0:
        raise MsmdError(f"the head {path} has no triangles to draw", hint="give another --head")
    return FilmTake(motion, mesh)


def _curves(out: Path, motion: Motion, audio: Path | None, title: str) -> None:
    from msmdcli.drawing.curve_sheet import write_curve_sheet
    from msmdcli.media.audio import load_audio

    write_curve_sheet(out, motion, load_audio(audio) if audio else None, title)


def _pictures(
    out: Path, take: FilmTake, how: tuple[str, str], side: int, shape: tuple[int, int], talk: Console
) -> None:
    from msmdcli.drawing.film import VIEWS
    from msmdcli.drawing.pictures import contact_sheet, write_png
    from msmdcli.drawing.renderer import open_renderer
    from msmdcli.errors import MsmdError

    view, choice = how
    columns, rows = shape
    columns = min(columns, take.motion.frames)
    rows = min(rows, -(-take.motion.frames // columns))
    width = side * len(VIEWS[view])
    drawing = open_renderer(take.mesh, width, side, VIEWS[view], choice=choice)
    try:
        talk.detail(f"drawn by {drawing.name}")
        sheet = contact_sheet(take.mesh, take.motion, columns, rows, (width, side), renderer=drawing)
    finally:
        drawing.close()
    try:
        write_png(out, sheet)
    except OSError as error:
        raise MsmdError(f"{out} cannot be written: {error.strerror or error}") from error


def _film(
    out: Path, take: FilmTake, film: Film, inputs: tuple[Path | None, Path | None, Path | None], talk: Console
) -> None:
    from msmdcli.drawing.film import write_film
    from msmdcli.errors import MsmdError
    from msmdcli.formats.registry import read_motion
    from msmdcli.media.audio import load_audio
    from msmdcli.media.suffixes import is_video
    from msmdcli.media.video import probe_video

    audio, beside, head = inputs
    other: FilmTake | Path | None = None
    if beside is not None:
        if not beside.is_file():
            raise MsmdError(f"no such file: {beside}", hint="--beside is a video or a motion file")
        if is_video(beside):
            other = beside
            if audio is None and probe_video(beside).has_audio:
                audio = beside
        else:
            other = _take(read_motion(beside), head)
    samples = None
    if audio is not None:
        sound = load_audio(audio, SOUND_RATE)
        for note in sound.notes:
            talk.warn(note)
        samples = sound.samples
        if abs(sound.seconds - take.motion.seconds) > 0.1:
            talk.warn(
                f"{audio} is {float(sound.seconds):.2f} s long, the motion {float(take.motion.seconds):.2f} s: "
                "the video ends with the motion"
            )
            samples = samples[: round(take.motion.seconds * SOUND_RATE)]
    with talk.progress("Preview", float(take.motion.seconds), take.motion.frames) as shown:
        name = write_film(out, take, film, beside=other, samples=samples, rate=SOUND_RATE, advance=shown.advance)
    talk.detail(f"drawn by {name}")


def _side(size: str) -> int:
    """Of a picture of a sheet, in pixels."""
    from msmdcli.errors import UsageError

    if not size:
        return 320
    if not size.isdecimal() or not 64 <= int(size) <= 2048:
        raise UsageError(f"--size {size!r}: pictures of a sheet are 64 to 2048 pixels wide", hint="such as --size 320")
    return int(size)


def _frame_size(size: str) -> tuple[int, int]:
    """Width and height of the video; H.264 wants even numbers."""
    from msmdcli.errors import UsageError

    width, _, height = (size or "1280x720").lower().partition("x")
    height = height or width
    if not (width.isdecimal() and height.isdecimal() and 64 <= int(width) <= 4096 and 64 <= int(height) <= 4096):
        raise UsageError(f"--size {size!r} is no size of a video of 64 to 4096 pixels", hint="such as --size 1280x720")
    return int(width) + int(width) % 2, int(height) + int(height) % 2
