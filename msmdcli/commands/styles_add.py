"""`msmd styles add`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Head, Json, Quiet, Verbose, console, drawing_head
from msmdcli.console import reports_errors


@reports_errors
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
    neutral: Annotated[
        str | None,
        typer.Option(
            help="Where the performer's face rests: a second of the take (2.4), a still or a clip. (default: the "
            "performer's profile, else found in the take, which keeps less of a lasting expression)",
            metavar="WHERE",
        ),
    ] = None,
    performer: Annotated[
        Path | None, typer.Option(help="The performer's profile, made by `msmd track --calibrate`.", metavar="FILE")
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
    from msmdcli.paths import user_styles
    from msmdcli.styles.adding import TagWords, add_style, check_words, command_of, preview_of
    from msmdcli.styles.describing import NEAREST, Manner, nearest_tags, neighbours_in_words
    from msmdcli.styles.library import StyleLibrary
    from msmdcli.styles.takes import check_clips, read_clips, takes_of

    talk = console(json_lines, verbose, quiet)
    folder = styles or user_styles()
    wanted = takes_of(takes, start or (), stop or ())
    words = TagWords(tag, description, licence, consent, private, command_of(tag, wanted, licence, consent, private))
    check_words(words, folder, force)
    clips = read_clips(wanted, face_model, face, talk, neutral, performer)

    check_clips(clips, no_check, talk, tag)
    library = StyleLibrary([folder] if folder.is_dir() else [])
    near = nearest_tags(Manner.of([clip.motion for clip in clips]), library, leave_out=[tag])[:NEAREST]
    mesh = drawing_head(head, clips[0].motion, talk, needed=False)
    style = add_style(words, clips, folder, preview_of(clips, mesh) if mesh is not None else None, force)

    seconds = sum(float(clip.motion.seconds) for clip in clips)
    talk.event(
        "added",
        tag=tag,
        folder=str(style.folder),
        private=private,
        seconds=round(seconds, 3),
        clips=[{"take": clip.take.words, **clip.measures.as_dict(), "expression": clip.expression} for clip in clips],
        preview=str(style.preview) if style.preview else None,
        nearest=[{"tag": n.tag, "distance": round(n.distance, 3)} for n in near],
    )
    many = f"{len(clips)} clips" if len(clips) > 1 else "1 clip"
    talk.say(f"{tag}: {many}, {seconds:.1f} s, in {style.folder}")
    if style.preview:
        talk.say(f"picture: {style.preview}")
    if near:
        talk.say("nearest tags: " + neighbours_in_words(near))
    twins = [n.tag for n in near if n.twin]
    if twins:
        talk.warn(f"{tag} is hardly told apart from {' and '.join(twins)}")
    hidden = StyleLibrary().tags.get(tag)
    if styles is None and len([d for d in StyleLibrary().folders if (d / tag / "style.yaml").is_file()]) > 1:
        talk.warn(f"{tag} hides the tag of this name that ships")
    elif styles is not None and hidden != style.folder:
        talk.say(f"use it with --style {tag} --styles {styles}")
