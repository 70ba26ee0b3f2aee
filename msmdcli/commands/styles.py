"""`msmd styles`: the tag library."""

from __future__ import annotations

from typing import Annotated

import typer

from msmdcli.commands.options import Json, Rig, StyleFolders, console
from msmdcli.console import told

styles_app = typer.Typer(no_args_is_help=True, help="The library of style tags.")


@styles_app.command("list")
@told
def list_styles(styles: StyleFolders = None, json_lines: Json = False) -> None:
    """All tags, with what they are.

    Example: msmd styles list
    """
    from msmdcli.styles import StyleLibrary

    talk = console(json_lines)
    library = StyleLibrary(styles or ())
    width = max((len(tag) for tag in library.tags), default=0)
    for tag in library.tags:
        style = library.read(tag)
        talk.event("style", tag=tag, description=style.description, licence=style.licence, synthetic=style.synthetic)
        talk.result(f"{tag:{width}}  {style.description}")
    if not library.tags:
        talk.say("there are no tags; --styles names a folder of them")


@styles_app.command("show")
@told
def show_style(
    tag: Annotated[str, typer.Argument(help="A tag.")], styles: StyleFolders = None, json_lines: Json = False
) -> None:
    """Everything that is known of one tag, and its mean pose.

    Example: msmd styles show angry
    """
    import numpy as np

    from msmdcli.formats import read_motion
    from msmdcli.styles import StyleLibrary

    talk = console(json_lines)
    style = StyleLibrary(styles or ()).read(tag)
    clips = [read_motion(clip) for clip, _ in style.clips]
    mean = np.concatenate([clip.values for clip in clips]).mean(axis=0)  # [D]
    strongest = np.argsort(-np.abs(mean))[:8]
    channels = {clips[0].rig.channels[d]: round(float(mean[d]), 3) for d in strongest}
    known = {
        "description": style.description,
        "licence": style.licence,
        "consent": style.consent,
        "source": style.source,
        "synthetic": style.synthetic,
        "created by": style.created_by,
        "folder": str(style.folder),
    }
    talk.event("style", tag=tag, **known, clips=[str(clip) for clip, _ in style.clips], mean_pose=channels)
    for name, value in known.items():
        talk.result(f"{name}: {value}")
    for (clip, _), motion in zip(style.clips, clips, strict=True):
        talk.result(f"clip: {clip.name}, {motion.frames} frames, {float(motion.seconds):.2f} s")
    talk.result("mean pose: " + ", ".join(f"{name} {value:.2f}" for name, value in channels.items()))


@styles_app.command("check")
@told
def check_styles(
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to check. (default: all)")] = None,
    styles: StyleFolders = None,
    rig: Rig = "arkit52",
    json_lines: Json = False,
) -> None:
    """Check tags: their description, the sha256, rig, ranges and length of their clips. Exit code 1 if any is not fine.

    Example: msmd styles check
    """
    from msmdcli.errors import MsmdError
    from msmdcli.rig import Rig as RigType
    from msmdcli.styles import StyleLibrary, check_style

    talk = console(json_lines)
    library = StyleLibrary(styles or ())
    bad = 0
    for tag in tags or library.tags:
        folder = library.tags.get(tag)
        problems = check_style(folder, RigType.load(rig)) if folder else ["there is no such tag"]
        bad += bool(problems)
        talk.event("style", tag=tag, problems=problems)
        talk.result(f"{tag}: " + ("; ".join(problems) if problems else "fine"))
    if bad:
        raise MsmdError(f"{bad} of {len(tags or library.tags)} tags are not fine")
