"""`msmd convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msmdcli.commands.options import Json, Quiet, console
from msmdcli.console import Console, reports_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msmdcli.formats.registry import Format
    from msmdcli.motion.curve_map import CurveMap


def _list_formats(wanted: bool) -> None:
    if wanted:
        from msmdcli.formats.registry import COMMON, FORMATS, REDUCE

        for form in FORMATS.values():
            print(f"{form.name} (*{form.suffix}): {form.about}{'' if form.readable else '; cannot be read'}")
            for name, meaning in {**form.options, **(REDUCE if form.sparse else {})}.items():
                print(f"    {name}: {meaning}")
        print("all formats:")
        for name, meaning in COMMON.items():
            print(f"    {name}: {meaning}")
        raise typer.Exit


@reports_errors
def convert(
    motion: Annotated[
        list[Path],
        typer.Argument(help="Motion files of any readable format, or folders.", metavar="MOTION..."),
    ],
    to: Annotated[str, typer.Option("--to", help="Format to write; --formats lists them.", metavar="FORMAT")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; of one MOTION also a file. (default: beside each MOTION)")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", help="An option of the format. Can be given several times.", metavar="NAME=VALUE"
        ),
    ] = None,
    read_option: Annotated[
        list[str] | None,
        typer.Option(
            help="An option for reading, such as fps=30 of a CSV with a broken timecode.", metavar="NAME=VALUE"
        ),
    ] = None,
    fps: Annotated[str | None, typer.Option(help="Frame rate to resample to. (default: as it is)")] = None,
    curves: Annotated[
        str | None,
        typer.Option(help="Curve map: a YAML file, or metahuman, vrm, oculus-visemes.", metavar="MAP"),
    ] = None,
    reduce_keys: Annotated[
        float | None, typer.Option(help="Keep the fewest linear keys within this tolerance.", metavar="TOLERANCE")
    ] = None,
    pre_roll: Annotated[str | None, typer.Option(help="Seconds to put before the line.", metavar="SECONDS")] = None,
    post_roll: Annotated[str | None, typer.Option(help="Seconds to put after the line.", metavar="SECONDS")] = None,
    roll: Annotated[
        str | None, typer.Option(help="ease: from and to the neutral face (default); hold: repeat the end poses.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    list_formats: Annotated[
        bool,
        typer.Option(
            "--formats", callback=_list_formats, is_eager=True, help="List formats and their options and stop."
        ),
    ] = False,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Convert motion from one format or frame rate to another.

    \b
    Examples:
      msmd convert take.csv --to npz --fps 25
      msmd convert out --to glb --option head=hero.glb --out glb/
      msmd convert line.npz --to json --curves metahuman
      msmd convert line.npz --to maya --reduce-keys 0.005 --pre-roll 0.5 --option namespace=hero

    Exit code: 0 all well, 1 some files failed, 2 wrong usage, 130 interrupted.
    """
    from msmdcli.errors import MsmdError, UsageError
    from msmdcli.formats.registry import check_options, companions, get_format
    from msmdcli.motion.curve_map import CurveMap
    from msmdcli.motion.motion import parse_fps
    from msmdcli.system.files import write_text

    form = get_format(to)
    rolls = {"pre_roll": pre_roll, "post_roll": post_roll, "roll": roll, "reduce_keys": reduce_keys}
    options = {**_pairs(option), **{name: value for name, value in rolls.items() if value is not None}}
    check_options(to, options)
    rate = None if fps is None else parse_fps(fps)
    curve_map = None if curves is None else CurveMap.load(curves)
    if curve_map is not None and not form.holds(curve_map.rig):
        raise UsageError(
            f"format {to} holds the channels of {form.rig} only, and the curve map {curve_map.name} makes others",
            hint="choose another format; `msmd convert --formats` lists them",
        )
    talk = console(json_lines, quiet=quiet)
    motion, targets = _sources_and_targets(motion, form, out, talk)
    if not force:
        _refuse_existing(targets)
    failed = 0
    with talk.progress("convert", len(motion), len(motion)) as shown:
        for source, target in zip(motion, targets, strict=True):
            try:
                _convert(source, target, form, rate, curve_map, options, _pairs(read_option), talk)
            except MsmdError as error:
                if len(motion) == 1:
                    raise
                failed += 1
                talk.event("failed", input=str(source), error=error.message, hint=error.hint)
                talk.error(error)
            shown.advance(1)
    if failed < len(motion):
        for name, text in companions([to]).items():
            beside = (targets[0].parent if out is None or targets == [out] else out) / name
            write_text(beside, text)
            talk.say(f"{beside}: run it in the Editor; how is written at its top")
    if len(motion) > 1:
        talk.event("end", converted=len(motion) - failed, failed=failed)
        talk.say(f"{len(motion) - failed} of {len(motion)} converted")
    if failed:
        raise typer.Exit(1)


def _convert(
    source: Path,
    target: Path,
    form: Format,
    rate: object,
    curve_map: CurveMap | None,
    options: dict[str, Any],
    read_options: dict[str, str],
    talk: Console,
) -> None:
    from msmdcli.formats.registry import read_motion, write_temporary

    values = read_motion(source, read_options)
    if rate is not None:
        values = values.resample(rate)  # type: ignore[arg-type]
    if curve_map is not None:
        values = curve_map.apply(values)
    written = write_temporary(values, target, form.name, options)
    written.commit()
    notes = dict(written.notes)
    for warning in notes.pop("warnings", ()):
        talk.warn(f"{target}: {warning}")
    frames, rate_text = notes.pop("frames"), f"{float(values.fps):g}"
    talk.event("converted", input=str(source), output=str(target), frames=frames, fps=str(values.fps), **notes)
    kept = ""
    if "keys" in notes:
        share = 100 * notes["keys"] / notes["keys_before"]
        kept = f", {notes['keys']} of {notes['keys_before']} keys ({share:.0f} %), off by {notes['largest_error']:.4g}"
    talk.say(f"{target}: {frames} frames at {rate_text} fps{kept}")


def _sources_and_targets(
    given: Sequence[Path], form: Format, out: Path | None, talk: Console
) -> tuple[list[Path], list[Path]]:
    """The files, those of folders included, and where each goes: a folder's keep their places below it. Two that would
    be one file are refused.
    """
    from msmdcli.errors import UsageError
    from msmdcli.formats.motion_folder import motion_in
    from msmdcli.formats.registry import stem

    several = len(given) > 1 or given[0].is_dir()
    folder = out is not None and (several or out.is_dir() or not out.suffix)  # `--out glb/` has no suffix
    if out is not None and not folder:
        return list(given), [out]
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", hint="of several motions, --out is the folder")
    sources: list[Path] = []
    targets: list[Path] = []
    for path in given:
        if any(character in path.name for character in "*?") and not path.exists():
            raise UsageError(f"no file is called {path}", hint=f"a folder is enough: msmd convert {path.parent}")
        found = motion_in(path, out) if path.is_dir() else None
        for note in found.notes() if found else ():
            talk.say(note)
        for source in found.files if found else [path]:
            place = source.parent if out is None else out / source.parent.relative_to(path) if found else out
            sources.append(source)
            targets.append(place / f"{stem(source)}{form.suffix}")
    seen: dict[Path, Path] = {}
    for source, target in zip(sources, targets, strict=True):
        other = seen.setdefault(target, source)
        if other is not source:
            raise UsageError(f"{other} and {source} would both become {target}", hint="convert them apart")
    return sources, targets


def _refuse_existing(targets: Sequence[Path]) -> None:
    from msmdcli.errors import UsageError

    there = [target for target in targets if target.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UsageError(f"{there[0]}{more} is there already", hint="--force overwrites it, --out names another place")


def _pairs(given: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE texts as a mapping."""
    from msmdcli.errors import UsageError

    def split() -> Iterator[tuple[str, str]]:
        for text in given or ():
            name, equals, value = text.partition("=")
            if not equals or not name:
                raise UsageError(f"option {text!r} is not NAME=VALUE", hint="example: --option head=hero.glb")
            yield name.strip(), value

    return dict(split())
