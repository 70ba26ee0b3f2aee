"""`msmd dub`: one recording in the manner of one performance.

It is a batch of one line, so the contract of `msmdcli.batch` holds here too: outputs appear whole or not at all, an
unchanged dub is skipped, files that somebody edited are kept, the same input gives the same bytes, OUT has a ledger and
a report. Whole scenes are the `dub` list of a manifest (`msmdcli.manifest.dubs`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from msmdcli.batch.dubbing import Original, find_originals, is_motion_file
from msmdcli.batch.ledger import Ledger, LedgerEntry, key_of
from msmdcli.batch.placing import Placer
from msmdcli.batch.planned import DEFAULT_FORMATS, BatchOptions
from msmdcli.batch.run import run_batch
from msmdcli.console import Console
from msmdcli.documents.names import id_problem
from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.registry import get_format
from msmdcli.manifest.lines import Choices, Dub, Line, Manifest
from msmdcli.system.files import Written, remove, sha256_of, sweep, temporary_path
from msmdcli.system.interrupts import Interrupts

if TYPE_CHECKING:
    from msmdcli.motion.motion import Motion

PREVIEW_SUFFIX = ".mp4"
PREVIEW_VERSION = 2  # raise it when previews look different
WHERE = "the command line"


@dataclass(frozen=True)
class DubOptions:
    """What `msmd dub` was asked for.

    Attributes:
        dub: the performance and how to follow it.
        audio: the new recording.
        batch: all settings that a batch has too; its manifest is not looked at.
        id: of the dub, its outputs are OUT/<id>.<suffix>; None is the recording's name without suffix.
        intensity: of the manner; see `StyleEntry`.
        preview: also write OUT/<id>.mp4, original and dub side by side with the new sound.
        head_model: the head to draw the preview on (GLB or rig file); None: see `heads.find_head`.
        preview_height: in pixels.
    """

    dub: Dub
    audio: Path
    batch: BatchOptions
    id: str | None = None
    intensity: float | None = None
    preview: bool = False
    head_model: Path | None = None
    preview_height: int = 320


def run_dub(options: DubOptions, console: Console) -> int:
    """Make the dub, and its preview where that is wanted; the result is the exit code (see `run_batch`).

    Raises:
        UsageError: the command is wrong, nothing was started.
        MsmdError: the model or this machine cannot do it at all; the preview could not be made.
    """
    dub_id = options.id or options.audio.stem
    if why := id_problem(dub_id):
        raise UsageError(f"{dub_id!r} cannot be an id: {why}", hint="name the dub with --id")
    here = Path.cwd()
    choices = Choices(style=(options.dub.style(here),), intensity=options.intensity)
    line = Line(dub_id, options.audio, choices, WHERE, dub=options.dub)
    batch = replace(options.batch, manifest=Manifest(here / WHERE, (line,)), adds=True)
    head = None
    if options.preview:
        from msmdcli.paths import find_head

        head = find_head(options.head_model)
        batch = replace(batch, choices=replace(batch.choices, formats=_readable(batch.choices.formats)))
    code = run_batch(batch, console)
    if head is not None and code == 0 and not batch.dry_run:
        with Interrupts():
            _preview(line, options, batch, head, console)
    return code


def _readable(formats: tuple[str, ...] | None) -> tuple[str, ...]:
    """The formats with one among them that the preview can be drawn from."""
    names = formats or DEFAULT_FORMATS
    return names if any(get_format(name).readable for name in names) else (*names, "npz")


def _preview(line: Line, options: DubOptions, batch: BatchOptions, head: Path, console: Console) -> None:
    """Write OUT/<id>.mp4 by the rules of every output: whole or not at all, skipped when unchanged, kept when it is not
    ours.
    """
    ledger = Ledger(batch.out)
    made = ledger.latest(line.id)
    source = next((name for name in made.outputs if is_motion_file(Path(name))), None) if made else None
    if source is None:
        raise MsmdError("there is no preview: the dub's motion file is not ours to read", hint="--force makes it again")
    (original,) = find_originals(line).values()
    output = f"{line.id}{PREVIEW_SUFFIX}"
    target = batch.out / output
    key = key_of(
        {
            "preview": PREVIEW_VERSION,
            "motion": sha256_of(batch.out / source),
            "original": original.sha256,
            "audio": sha256_of(line.audio),
            "head": sha256_of(head),
            "height": options.preview_height,
        }
    )
    entry = LedgerEntry(f"preview:{line.id}", key, {}, {"dub": line.id})  # no line can be called so
    placer = Placer(batch.out, ledger, batch.force)
    plan = placer.plan(entry.id, key, output)
    if plan == "unchanged":
        console.detail(f"unchanged {target}")
        return
    if plan == "make":
        sweep([target])
        written = _drawn(target, batch.out / source, original, line, options, head, console)
        try:
            plan = "make" if placer.place(entry, [written]).outputs else "kept"
        finally:
            written.abandon()
    if plan == "kept":
        console.warn(f"kept {target}: not as MSMD wrote it; --force overwrites it")
        return
    console.event("preview", id=line.id, output=output, original="stretched to the length of the dub")
    console.say(f"{target}: left the original, stretched to the length of the dub; right the dub")


def _drawn(
    target: Path, source: Path, original: Original, line: Line, options: DubOptions, head: Path, console: Console
) -> Written:
    """The film of a preview, under a temporary name.

    Args:
        target: where it belongs.
        source: the dub's motion file.
        original, line, options, head, console: as everywhere here.
    """
    from msmdcli.drawing.side_by_side import face_window, write_side_by_side
    from msmdcli.formats.registry import read_motion
    from msmdcli.media.audio import load_audio
    from msmdcli.motion.roll import without_roll

    temporary = temporary_path(target)
    motion = without_roll(read_motion(source))  # in step with the sound
    audio = load_audio(line.audio)
    (path,) = original.clips
    shown: Path | Motion = original.load()[0] if is_motion_file(path) else path
    track = None if is_motion_file(path) else original.track(path)
    window = None
    if track is not None and track.found.any():
        window = face_window(track.box[track.found], track.info.width / track.info.height)
    try:
        with console.progress("Preview", float(motion.seconds), motion.frames) as progress:
            write_side_by_side(
                temporary,
                shown,
                motion,
                head,
                audio.samples,
                audio.rate,
                start=original.start,
                stop=original.stop,
                height=options.preview_height,
                window=window,
                advance=progress.advance,
            )
        return Written(target, temporary, sha256_of(temporary))
    except BaseException:
        remove(temporary)
        raise
