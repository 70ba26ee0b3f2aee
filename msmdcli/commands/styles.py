"""`msmd styles`: the tag library."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msmdcli.commands.options import BundleFolder, Device, Json, Quiet, Rig, StyleFolders, Verbose, console
from msmdcli.console import told

if TYPE_CHECKING:
    from msmdcli.console import Console
    from msmdcli.heads.mesh import MeshDecoder
    from msmdcli.motion.motion import Motion
    from msmdcli.styles.adding import StyleClip, Take
    from msmdcli.styles.describing import Neighbour
    from msmdcli.styles.library import StyleLibrary, StyleReference

styles_app = typer.Typer(
    no_args_is_help=True,
    help="The library of style tags. A tag is looked for in the folders of --styles, then among your own (the folder "
    "MSMD_STYLES, else `msmd/styles` in your user data), then among those that ship.",
)

Head = Annotated[
    Path | None,
    typer.Option(help="Head to draw on (GLB with ARKit morph targets). (default: MSMD_HEAD, else the one that ships)"),
]
NEAREST = 3  # tags shown


@styles_app.command("add")
@told
def add(
    tag: Annotated[str, typer.Argument(help="Its name: a word of a-z, 0-9, - and _.")],
    takes: Annotated[
        list[str], typer.Argument(help="Takes: videos, Live Link Face CSV, motion npz; also parts: take.mp4@3.2-9.0.")
    ],
    start: Annotated[
        list[float] | None,
        typer.Option("--from", help="Where the part begins, in seconds. Once for each take.", metavar="SECONDS"),
    ] = None,
    stop: Annotated[
        list[float] | None, typer.Option("--to", help="Where it ends. Once for each take.", metavar="SECONDS")
    ] = None,
    description: Annotated[str, typer.Option(help="What manner it is, in words.", metavar="TEXT")] = "",
    licence: Annotated[str, typer.Option(help="What the material may be used for.", metavar="TEXT")] = "",
    consent: Annotated[str, typer.Option(help="What the person who is seen agreed to.", metavar="TEXT")] = "",
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="For you alone: instead of licence and consent. `check --for-release` refuses it."
        ),
    ] = False,
    styles: Annotated[
        Path | None, typer.Option(help="Folder of tags to add to. (default: your own)", metavar="DIR")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a tag of this name.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Add it though it shows no speech, too little face, or a frozen pose.")
    ] = False,
    face: Annotated[int | None, typer.Option(help="Which face, where a video has several: 1 is the largest.")] = None,
    face_model: Annotated[
        Path | None, typer.Option(help="MediaPipe's face model. (default: MSMD_FACE_MODEL, else downloaded once)")
    ] = None,
    head: Head = None,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Add a tag, made from takes of a performance. From then on `--style TAG` works.

    Videos are tracked. What is stored is their motion and a picture of it on a head, not the video. Several takes, or
    several parts of one, make a tag of several clips.

    \b
    Examples:
      msmd styles add grumpy take.mp4 --from 3.2 --to 9.0 --licence "ours" --consent "signed by the actor, 2026-03-01"
      msmd styles add grumpy take1.mp4 take2.mov phone.csv --private
      msmd batch lines.yaml --style grumpy
    """
    from msmdcli.errors import MsmdError
    from msmdcli.paths import user_styles
    from msmdcli.styles.adding import TagWords, add_style, check_words, preview_of, takes_of
    from msmdcli.styles.checks import doubts, faults
    from msmdcli.styles.describing import Manner, nearest_tags
    from msmdcli.styles.library import SHORTEST_SECONDS, StyleLibrary

    talk = console(json_lines, verbose, quiet)
    folder = styles or user_styles()
    wanted = takes_of(takes, start or (), stop or ())
    words = TagWords(tag, description, licence, consent, private, _command(tag, wanted, licence, consent, private))
    check_words(words, folder, force)
    clips = _read_clips(wanted, face_model, face, talk)

    for clip in clips:
        name = clip.take.words
        for text in [*clip.warnings, *doubts(clip.measures)]:
            talk.warn(f"{name}: {text}")
        wrong = faults(clip.measures)
        short = clip.measures.seconds < SHORTEST_SECONDS
        if short or (wrong and not no_check):
            hint = "name a longer part with --from and --to" if short else "--no-check adds it all the same"
            raise MsmdError(f"{name} cannot be a style: {'; '.join(wrong)}", hint=hint)
        for text in wrong:
            talk.warn(f"{name}: {text}")
        talk.detail(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in clip.measures.as_dict().items()))
    rigs = {clip.motion.rig.name for clip in clips}
    if len(rigs) > 1:
        raise MsmdError(f"the takes are on different rigs ({', '.join(sorted(rigs))})", hint="one tag, one rig")

    library = StyleLibrary([folder] if folder.is_dir() else [])
    near = nearest_tags(Manner.of([clip.motion for clip in clips]), library, leave_out=[tag])[:NEAREST]
    mesh = _mesh(head, clips[0].motion, talk, needed=False)
    style = add_style(words, clips, folder, preview_of(clips, mesh) if mesh is not None else None, force)

    seconds = sum(float(clip.motion.seconds) for clip in clips)
    talk.event(
        "added",
        tag=tag,
        folder=str(style.folder),
        private=private,
        seconds=round(seconds, 3),
        clips=[{"take": clip.take.words, **clip.measures.as_dict()} for clip in clips],
        preview=str(style.preview) if style.preview else None,
        nearest=[{"tag": n.tag, "distance": round(n.distance, 3)} for n in near],
    )
    many = f"{len(clips)} clips" if len(clips) > 1 else "1 clip"
    talk.say(f"{tag}: {many}, {seconds:.1f} s, in {style.folder}")
    if style.preview:
        talk.say(f"picture: {style.preview}")
    if near:
        talk.say("nearest tags: " + _near_words(near))
    twins = [n.tag for n in near if n.twin]
    if twins:
        talk.warn(f"{tag} is hardly told apart from {' and '.join(twins)}")
    hidden = StyleLibrary().tags.get(tag)
    if styles is None and len([d for d in StyleLibrary().folders if (d / tag / "style.yaml").is_file()]) > 1:
        talk.warn(f"{tag} hides the tag of this name that ships")
    elif styles is not None and hidden != style.folder:
        talk.say(f"use it with --style {tag} --styles {styles}")


@styles_app.command("list")
@told
def list_styles(styles: StyleFolders = None, json_lines: Json = False) -> None:
    """All tags: what they are, how long, where from, and what they may be used for.

    Example: msmd styles list
    """
    from msmdcli.errors import MsmdError
    from msmdcli.styles.library import StyleLibrary

    talk = console(json_lines)
    _recover(styles)
    library = StyleLibrary(styles or ())
    rows = []
    for tag, folder in library.tags.items():
        try:
            style = library.read(tag)
            seconds = sum(float(clip.seconds) for clip in style.reference(tag).load())
        except MsmdError as error:
            talk.event("style", tag=tag, error=error.message, folder=str(folder))
            talk.warn(f"{tag} cannot be used: {error.message}")
            continue
        where = _where(folder)
        talk.event(
            "style",
            tag=tag,
            description=style.description,
            licence=style.licence,
            private=style.private,
            synthetic=style.synthetic,
            seconds=round(seconds, 2),
            clips=len(style.clips),
            source=style.source,
            where=where,
            folder=str(folder),
        )
        licence = "private" if style.private else style.licence
        kind = "synthetic" if style.synthetic else "performed"
        rows.append((tag, f"{seconds:.1f} s", where, kind, licence, style.description))
    widths = [max(len(row[i]) for row in rows) for i in range(5)] if rows else []
    widths = [min(width, 24) for width in widths]
    for row in rows:
        cells = [_fit(text, width) for text, width in zip(row[:5], widths, strict=True)]
        talk.result("  ".join(cells) + "  " + row[5])
    if not rows:
        talk.say("there are no tags; `msmd styles add` makes one, --styles names a folder of them")


@styles_app.command("show")
@told
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
    from msmdcli.styles.describing import Manner, nearest_tags
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
    known = _known(library, tag, reference)
    mean = {name: round(value, 3) for name, value in _strongest(manner, manner.mean)}
    regions = _regions(manner, clips)
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
        talk.result("nearest tags: " + _near_words(near))
    if picture is not None:
        _draw(picture, tag, reference, clips, line, seed, bundle, device, head, talk)


@styles_app.command("remove")
@told
def remove(
    tag: Annotated[str, typer.Argument(help="One of your own tags.")],
    styles: Annotated[
        Path | None, typer.Option(help="Folder of tags to remove it from. (default: your own)", metavar="DIR")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_lines: Json = False,
) -> None:
    """Remove a tag of yours, with its clips. Those that ship stay.

    Example: msmd styles remove grumpy --yes
    """
    from msmdcli.errors import MsmdError, UsageError, did_you_mean
    from msmdcli.paths import shipped_styles, user_styles
    from msmdcli.styles.adding import remove_style
    from msmdcli.styles.library import StyleLibrary

    talk = console(json_lines)
    folder = styles or user_styles()
    library = StyleLibrary([folder] if folder.is_dir() else [], shipped=False)
    found = library.tags.get(tag)
    if found is None:
        if (shipped_styles() / tag).is_dir() and styles is None:
            raise MsmdError(f"{tag} ships with MSMD and stays", hint="a tag of yours with this name hides it")
        known = did_you_mean(tag, library.tags) if library.tags else "there are none; --styles names another folder"
        raise MsmdError(f"there is no tag {tag} in {folder}", hint=known)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"remove {tag} ({found})?", hint="say --yes where nobody can be asked")
        if not typer.confirm(f"Remove {tag} ({found}, {len(list(found.iterdir()))} files)?", err=True):
            talk.say("nothing was removed")
            raise typer.Exit(1)
    remove_style(found)
    talk.event("removed", tag=tag, folder=str(found))
    talk.say(f"removed {found}")
    if tag in StyleLibrary().tags:
        talk.say(f"{tag} is now the one in {StyleLibrary().tags[tag]}")


@styles_app.command("check")
@told
def check_styles(
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to check. (default: all)")] = None,
    for_release: Annotated[
        bool, typer.Option("--for-release", help="Also: may they be handed on? Private tags may not.")
    ] = False,
    styles: StyleFolders = None,
    rig: Rig = "arkit52",
    json_lines: Json = False,
) -> None:
    """Check tags: their description, the sha256, rig, ranges and length of their clips. Exit code 1 if any is not fine.

    \b
    Examples:
      msmd styles check
      msmd styles check grumpy --for-release
    """
    from msmdcli.errors import MsmdError
    from msmdcli.motion.rig import Rig as RigType
    from msmdcli.styles.library import StyleLibrary, check_style

    talk = console(json_lines)
    _recover(styles)
    library = StyleLibrary(styles or ())
    bad = 0
    for tag in tags or library.tags:
        folder = library.tags.get(tag)
        problems = check_style(folder, RigType.load(rig), for_release) if folder else ["there is no such tag"]
        bad += bool(problems)
        talk.event("style", tag=tag, problems=problems)
        talk.result(f"{tag}: " + ("; ".join(problems) if problems else "fine"))
    if bad:
        raise MsmdError(f"{bad} of {len(tags or library.tags)} tags are not fine")


def _read_clips(takes: Sequence[Take], face_model: Path | None, face: int | None, talk: Console) -> list[StyleClip]:
    """Read all takes; that each is there, and has the part that is meant, is looked at before the first is tracked."""
    from msmdcli.media.video import is_video, probe_video
    from msmdcli.styles.adding import read_clip
    from msmdcli.styles.library import check_range

    lengths = []
    for take in takes:
        if not is_video(take.path):
            lengths.append(0.0)
            continue
        seconds = float(probe_video(take.path).seconds)
        check_range(take.start, take.stop, seconds, str(take.path))
        lengths.append((seconds if take.stop is None else min(take.stop, seconds)) - take.start)
    clips = []
    with talk.progress("Tracking", max(sum(lengths), 1e-3), len(takes)) as progress:
        for take, length in zip(takes, lengths, strict=True):
            done = 0.0

            def tell(seconds: float) -> None:
                nonlocal done
                progress.advance(seconds - done, 0)
                done = seconds

            clips.append(read_clip(take, face_model, face, tell))
            progress.advance(length - done)
    return clips


def _command(tag: str, takes: Sequence[Take], licence: str, consent: str, private: bool) -> str:
    """The command that makes a tag, with the names of files alone: where they lay is nobody's business."""
    from shlex import join

    names = []
    for take in takes:
        whole = not take.start and take.stop is None
        end = "" if take.stop is None else f"{take.stop:g}"
        names.append(take.path.name if whole else f"{take.path.name}@{take.start:g}-{end}")
    words = ["msmd", "styles", "add", tag, *names]
    for option, text in (("--licence", licence), ("--consent", consent)):
        words += [option, text] if text else []
    return join([*words, *(["--private"] if private else [])])


def _mesh(head: Path | None, motion: Motion, talk: Console, needed: bool) -> MeshDecoder | None:
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
        mesh = _mesh(head, clips[0], talk, needed=True)
        assert mesh is not None
        canvas = basis_figure(basis, mesh, name, model)
    else:
        from msmdcli.media.audio import load_audio

        drawn = alpha_of_line(engine, code, basis, load_audio(line), seed)
        canvas = alpha_figure(drawn, basis, _mesh(head, clips[0], talk, needed=False), name, line.name, model)
    canvas.save(picture)
    talk.event("drawn", tag=tag, picture=str(picture))
    talk.say(str(picture))


def _known(library: StyleLibrary, tag: str, reference: StyleReference) -> dict[str, Any]:
    """What a tag's style.yaml says; nothing for a take."""
    from msmdcli.styles.library import read_style

    folder = reference.clips[0].parent
    if not (tag in library.tags or (folder / "style.yaml").is_file()):
        return {}
    style = read_style(folder)
    known: dict[str, Any] = {
        "description": style.description,
        "licence": style.licence,
        "consent": style.consent,
        "private": style.private,
        "source": style.source,
        "synthetic": style.synthetic,
        "created by": style.created_by,
        "folder": str(style.folder),
    }
    if style.preview is not None:
        known["preview"] = str(style.preview)
    trackers = dict.fromkeys(str(origin["tracker"]) for origin in style.made_from if "tracker" in origin)
    if trackers:
        known["tracked by"] = "; ".join(trackers)
    return known


def _strongest(manner: Any, values: Any, count: int = 8) -> Iterable[tuple[str, float]]:
    import numpy as np

    return [(manner.rig.channels[d], float(values[d])) for d in np.argsort(-np.abs(values))[:count]]


def _regions(manner: Any, clips: Sequence[Motion]) -> dict[str, dict[str, Any]]:
    """Region -> mean pose and standard deviation (mean of absolutes), speed in units per second, most active channels.

    The head is in degrees.
    """
    import numpy as np

    rig = manner.rig
    proper = [name for name, members in rig.regions.items() if not _is_union(rig, name, members)]
    frames = sum(clip.frames for clip in clips)
    found = {}
    for name in proper:
        columns = rig.indices(name)
        unit = np.degrees(1.0) if rig.rotation and set(rig.regions[name]) == set(rig.rotation) else 1.0
        speed = sum(float(np.abs(np.diff(clip.values[:, columns], axis=0)).sum()) * float(clip.fps) for clip in clips)
        moving = columns[np.argsort(-manner.deviation[columns])][:3]
        found[name] = {
            "mean": round(float(np.abs(manner.mean[columns]).mean()) * unit, 3),
            "moves": round(float(manner.deviation[columns].mean()) * unit, 3),
            "speed": round(speed / max(frames - len(clips), 1) / len(columns) * unit, 3),
            "unit": "degrees" if unit != 1.0 else "",
            "most active": [rig.channels[d] for d in moving if manner.deviation[d] > 0.005],
        }
    return found


def _is_union(rig: Any, name: str, members: Sequence[str]) -> bool:
    """Whether a region is put together from others: another region lies wholly within it."""
    return any(other != name and set(parts) < set(members) for other, parts in rig.regions.items())


def _near_words(near: Sequence[Neighbour]) -> str:
    return ", ".join(f"{n.tag} {n.distance:.2f} (pose {n.pose:.2f}, dynamics {n.dynamics:.2f})" for n in near)


def _where(folder: Path) -> str:
    from msmdcli.paths import shipped_styles, user_styles

    for word, library in (("ships", shipped_styles()), ("yours", user_styles())):
        if folder.parent == library:
            return word
    return str(folder.parent)


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _recover(styles: Sequence[Path] | None) -> None:
    """Tidy folders that are the user's after a program that was killed."""
    from msmdcli.paths import shipped_styles, user_styles
    from msmdcli.styles.adding import recover

    for folder in (*(styles or ()), user_styles()):
        if folder.is_dir() and folder.resolve() != shipped_styles().resolve():
            recover(folder)
