"""`msmd styles show`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from msmdcli.commands.options import BundleFolder, Device, Head, Json, StyleFolders, console, drawing_head
from msmdcli.console import reports_errors

if TYPE_CHECKING:
    from msmdcli.console import Console
    from msmdcli.motion.motion import Motion
    from msmdcli.styles.library import StyleReference


@reports_errors
def show_style(
    tag: Annotated[str, typer.Argument(help="A tag, or a take: a video, Live Link Face CSV, motion npz.")],
    picture: Annotated[
        Path | None, typer.Option(help="Draw its basis poses (or with --line: alpha) into this .svg or .png.")
    ] = None,
    line: Annotated[
        Path | None, typer.Option(help="A recording: with --picture draw alpha over time for it.", metavar="AUDIO")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise, with --line.", min=0)] = 0,
    bundle: BundleFolder = None,
    device: Device = "auto",
    head: Head = None,
    styles: StyleFolders = None,
    json_lines: Json = False,
) -> None:
    """Everything that is known of one style: what it is, its mean pose, how each region moves, the nearest tags.

    \b
    Examples:
      msmd styles show angry
      msmd styles show angry --picture basis.svg                       (the model's basis poses as faces)
      msmd styles show angry --line guard_001.wav --picture alpha.svg  (what they do over time)
    """
    from msmdcli.errors import MsmdError, UsageError
    from msmdcli.styles.describing import (
        NEAREST,
        Manner,
        nearest_tags,
        neighbours_in_words,
        region_activity,
        stated,
        strongest,
    )
    from msmdcli.styles.library import StyleLibrary

    if line is not None and picture is None:
        raise UsageError("--line needs --picture", hint="name the .svg or .png to draw into")
    if picture is not None:
        from msmdcli.drawing.canvas import check_suffix

        check_suffix(picture)
    talk = console(json_lines)
    library = StyleLibrary(styles or ())
    reference = library.resolve(tag)
    if reference is None:
        raise UsageError("none is no style", hint="`msmd styles list` shows the tags")
    clips = reference.load()
    if len({clip.rig.channels for clip in clips}) > 1:
        raise MsmdError(f"{tag}: its clips are on different rigs", hint="`msmd styles check` tells which")
    manner = Manner.of(clips)
    near = nearest_tags(manner, library, leave_out=[tag])[:NEAREST]
    known = stated(library, tag, reference)
    mean = {name: round(value, 3) for name, value in strongest(manner)}
    regions = region_activity(manner, clips)
    lengths = [(clip.name, motion) for clip, motion in zip(reference.clips, clips, strict=True)]
    talk.event(
        "style",
        tag=tag,
        **known,
        clips=[{"file": name, "frames": motion.frames, "seconds": float(motion.seconds)} for name, motion in lengths],
        mean_pose=mean,
        regions=regions,
        nearest=[{"tag": n.tag, "distance": round(n.distance, 3)} for n in near],
    )
    for name, value in known.items():
        talk.result(f"{name}: {value}")
    for name, motion in lengths:
        talk.result(f"clip: {name}, {motion.frames} frames, {float(motion.seconds):.2f} s")
    talk.result("mean pose: " + ", ".join(f"{name} {value:.2f}" for name, value in mean.items()))
    talk.result(f"{'region':8}  {'mean':>5}  {'moves':>5}  {'per s':>5}  most active")
    for name, region in regions.items():
        numbers = f"{region['mean']:5.2f}  {region['moves']:5.2f}  {region['speed']:5.2f}"
        unit = f" (in {region['unit']})" if region["unit"] else ""
        talk.result(f"{name:8}  {numbers}  {', '.join(region['most active'])}{unit}")
    if near:
        talk.result("nearest tags: " + neighbours_in_words(near))
    if picture is not None:
        _draw(picture, tag, reference, clips, line, seed, bundle, device, head, talk)


def _draw(
    picture: Path,
    tag: str,
    reference: StyleReference,
    clips: Sequence[Motion],
    line: Path | None,
    seed: int,
    bundle: Path | None,
    device: str,
    head: Path | None,
    talk: Console,
) -> None:
    """The figure of a style: its basis poses, or alpha over time for a recording."""
    from msmdcli.drawing.style_figures import alpha_figure, alpha_of_line, basis_figure, style_basis
    from msmdcli.model.bundle import Bundle
    from msmdcli.model.engine import Engine
    from msmdcli.paths import shipped_bundle

    engine = Engine(Bundle.load(bundle or shipped_bundle()), device)
    code = engine.encode_style(clips)
    basis = style_basis(engine, code)
    name, model = Path(tag).name, engine.bundle.name
    if line is None:
        mesh = drawing_head(head, clips[0], talk, needed=True)
        assert mesh is not None
        canvas = basis_figure(basis, mesh, name, model)
    else:
        from msmdcli.media.audio import load_audio

        drawn = alpha_of_line(engine, code, basis, load_audio(line), seed)
        canvas = alpha_figure(drawn, basis, drawing_head(head, clips[0], talk, needed=False), name, line.name, model)
    canvas.save(picture)
    talk.event("drawn", tag=tag, picture=str(picture))
    talk.say(str(picture))
