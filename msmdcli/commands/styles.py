"""`msmd styles`: the tag library. Adding and showing a tag have files of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Rig, StyleFolders, console
from msmdcli.commands.styles_add import add
from msmdcli.commands.styles_show import show_style
from msmdcli.console import reports_errors

styles_app = typer.Typer(
    no_args_is_help=True,
    help="The library of style tags. A tag is looked for in the folders of --styles, then among your own (the folder "
    "MSMD_STYLES, else `msmd/styles` in your user data), then among those that ship.",
)
styles_app.command("add")(add)


@styles_app.command("list")
@reports_errors
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


styles_app.command("show")(show_style)


@styles_app.command("remove")
@reports_errors
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
@reports_errors
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
