"""`msmd rig`: rigs, their channels, and heads made into rigs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import reports_errors

rig_app = typer.Typer(no_args_is_help=True, help="Rigs: channels, ranges, regions; heads made into rigs.")


@rig_app.command("show")
@reports_errors
def show_rig(
    rig: Annotated[str, typer.Argument(help="Name of a rig or of a curve map, or its YAML file.")] = "arkit52",
    picture: Annotated[
        Path | None, typer.Option(help="Picture (.png) to draw of the vertices that measures look at.", metavar="PNG")
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="Head to draw on: GLB or rig file. (default: the rig's own, or MSMD_HEAD)")
    ] = None,
    json_lines: Json = False,
) -> None:
    """The channels of a rig, in order, with region and range.

    Example: msmd rig show hero.yaml --picture hero.png
    """
    from msmdcli.motion.curve_map import rig_of

    talk = console(json_lines)
    shown = rig_of(rig)
    regions = {name: [r for r, members in shown.regions.items() if name in members] for name in shown.channels}
    width = max(len(name) for name in shown.channels)
    for index, name in enumerate(shown.channels):
        low, high = float(shown.lower[index]), float(shown.upper[index])
        bounds = {"lower": _finite(low), "upper": _finite(high)}
        talk.event("channel", index=index, name=name, **bounds, regions=regions[name])
        talk.result(f"{index:3}  {name:{width}}  {low:7.3f} to {high:6.3f}  {', '.join(regions[name])}".rstrip())
    if shown.decoder is not None:
        counts = {name: len(numbers) for name, numbers in shown.vertices.items()}
        talk.event("decoder", file=str(shown.decoder.path), vertices=counts)
        talk.result(f"decoder: {shown.decoder.path.name}")
        for name, count in counts.items():
            talk.result(f"  {name}: {count} vertices")
    if picture is not None:
        from msmdcli.drawing.pictures import draw_sets
        from msmdcli.heads.loading import load_decoder, load_head
        from msmdcli.paths import find_head

        own = head is None and shown.decoder is not None
        sets = draw_sets(load_decoder(shown) if own else load_head(find_head(head), shown), picture)
        talk.event("picture", output=str(picture), sets=sets)
        talk.say(f"{picture}: " + ", ".join(f"{name} {count}" for name, count in sets.items()))


@rig_app.command("import")
@reports_errors
def import_rig(
    head: Annotated[Path, typer.Argument(help="Head with morph targets (.glb, .vrm, .gltf).")],
    out: Annotated[
        Path, typer.Option(help="Rig file to write; the decoder (.npz) goes beside it.", metavar="RIG.yaml")
    ],
    rig: Annotated[str, typer.Option(help="Rig whose channels are looked for.")] = "arkit52",
    use: Annotated[
        list[str] | None,
        typer.Option(help="Name a morph target yourself. Can be given several times.", metavar="CHANNEL=TARGET"),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Picture (.png) to draw of the proposed vertices.", metavar="PNG")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a rig file of a head: its morph targets, its mesh decoder, its lips, upper face and mouth opening.

    Example: msmd rig import hero.glb --out hero.yaml --picture hero.png
    """
    from msmdcli.errors import UsageError
    from msmdcli.heads.loading import RIG_SUFFIXES
    from msmdcli.heads.rig_import import import_head, write_rig
    from msmdcli.motion.curve_map import rig_of

    if out.suffix.lower() not in RIG_SUFFIXES:
        raise UsageError(f"--out {out} is no .yaml file", hint="name a rig file, such as hero.yaml")
    for path in (out, out.with_suffix(".npz")):
        if path.exists() and not force:
            raise UsageError(f"{path} is there already", hint="--force overwrites it, --out names another file")
    given: dict[str, list[str]] = {}
    for text in use or ():
        channel, equals, target = text.partition("=")
        if not (channel and equals and target):
            raise UsageError(f"--use {text!r} is not CHANNEL=TARGET", hint="example: --use jawOpen=Mouth_Open")
        given.setdefault(channel, []).append(target)
    talk = console(json_lines, quiet=quiet)
    found = import_head(head, rig_of(rig), given)
    names = {channel: list(targets) for channel, targets in found.targets.items()}
    comment = [
        f"{out.stem}: made by `msmd rig import` of {head.name}.",
        f"{len(names)} of {len(found.mesh.channels)} channels have a morph target."
        + (f" Missing, so they move nothing: {', '.join(found.missing)}." if found.missing else ""),
        *(f"Doubtful: {channel}, {why}." for channel, why in found.doubtful.items()),
        *found.remarks,
    ]
    decoder = write_rig(out, found.mesh, comment, names)
    counts = {name: len(numbers) for name, numbers in found.mesh.stored.items()}
    talk.event(
        "imported",
        rig=str(out),
        decoder=str(decoder),
        targets=names,
        missing=list(found.missing),
        doubtful=dict(found.doubtful),
        unused=list(found.unused),
        remarks=list(found.remarks),
        vertices=counts,
    )
    talk.say(f"{out}: {len(names)} of {len(found.mesh.channels)} channels have a morph target")
    talk.say("proposed vertices: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if found.missing:
        talk.warn(f"missing: {', '.join(found.missing)}")
    for channel, why in found.doubtful.items():
        talk.warn(f"doubtful: {channel}, {why}; --use {channel}=TARGET decides it")
    if found.unused:
        talk.say(f"morph targets that are no channel: {', '.join(found.unused)}")
    for remark in found.remarks:
        talk.warn(remark)
    if picture is not None:
        from msmdcli.drawing.pictures import draw_sets

        draw_sets(found.mesh, picture)
        talk.say(str(picture))


def _finite(value: float) -> float | None:
    return value if abs(value) != float("inf") else None
