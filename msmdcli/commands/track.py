"""`msmd track`."""

from __future__ import annotations

import signal
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from msmdcli.commands.options import Json, Quiet, Verbose, console
from msmdcli.console import reports_errors


@reports_errors
def track(
    out: Annotated[Path, typer.Option(help="Folder for outputs.", metavar="DIR")],
    videos: Annotated[
        list[Path] | None, typer.Argument(help="Videos, or folders of them.", metavar="VIDEO...")
    ] = None,
    formats: Annotated[
        str, typer.Option(help="Output formats, with commas; `msmd convert --help` lists them.")
    ] = "npz,livelink-csv",
    fps: Annotated[
        str | None, typer.Option(help="Frame rate of the motion: 30, 29.97, 30000/1001. (default: the video's)")
    ] = None,
    face: Annotated[
        int | None, typer.Option(min=1, help="Which face: 1 the most prominent, 2 the next, ... (default: 1)")
    ] = None,
    start: Annotated[float, typer.Option("--from", min=0, help="Second of the video at which to begin.")] = 0.0,
    stop: Annotated[float | None, typer.Option("--to", help="Second of the video at which to end.")] = None,
    solver: Annotated[
        str, typer.Option(help="Channels from MediaPipe's 478 `landmarks`, or its own 52 `scores` as they are.")
    ] = "landmarks",
    neutral: Annotated[
        str | None,
        typer.Option(
            help="Where the performer's face rests: a second of the video (2.4), a still or a clip; `clip` is the take "
            "itself. (default: the performer's profile, else the take)",
            metavar="WHERE",
        ),
    ] = None,
    performer: Annotated[
        Path | None, typer.Option(help="The performer's profile, made by --calibrate.", metavar="FILE")
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="A range-of-motion take: makes the performer's profile, NAME.performer.npz, and uses it for VIDEO...",
            metavar="VIDEO",
        ),
    ] = None,
    keep_head_pose: Annotated[
        bool,
        typer.Option("--keep-head-pose", help="Head and eyes as the camera sees them, not as from rest."),
    ] = False,
    raw_head: Annotated[bool, typer.Option("--raw-head", help="Do not smooth the head's rotation.")] = False,
    landmarks: Annotated[bool, typer.Option("--landmarks", help="Keep the 478 landmarks in the npz.")] = False,
    audio: Annotated[
        bool, typer.Option("--audio", help="Write the sound as WAV, too, beginning with the motion.")
    ] = False,
    max_height: Annotated[int, typer.Option(min=96, help="Larger pictures are made smaller, to this height.")] = 720,
    face_model: Annotated[
        Path | None,
        typer.Option(
            help="MediaPipe's face_landmarker.task. (default: MSMD_FACE_MODEL, or downloaded once)", metavar="FILE"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Videos at a time, each in a process of its own.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Track again and overwrite what is there.")] = False,
    json_lines: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Track the face in videos: video to motion, with a confidence for each frame.

    \b
    Examples:
      msmd track take.mp4 --out tracked
      msmd track takes/*.mov --out tracked --jobs 4 --neutral rest.png
      msmd track --calibrate rom.mp4 takes/*.mov --out tracked
      msmd track interview.mp4 --out tracked --face 2 --from 3.2 --to 9

    Videos that were tracked before in the same way are skipped. Exit code: 0 all well, 1 some videos failed, 2 wrong
    usage, 130 interrupted.
    """
    from msmdcli.errors import MsmdError, UsageError
    from msmdcli.media.folder_scan import scan_all
    from msmdcli.media.suffixes import VIDEO_SUFFIXES
    from msmdcli.media.video import stated_seconds
    from msmdcli.motion.motion import parse_fps
    from msmdcli.system.processes import Done, work_on
    from msmdcli.tracking.face_model import find_face_model
    from msmdcli.tracking.landmarker import need_mediapipe
    from msmdcli.tracking.track import TrackOptions
    from msmdcli.tracking.track_files import clean_up, make_jobs, make_profile, run_job

    talk = console(json_lines, verbose, quiet)
    if not videos and calibrate is None:
        raise UsageError("there is no video to track", hint="msmd track VIDEO... --out DIR")
    videos = videos or []
    options = TrackOptions(
        solver=solver,
        performer=performer,
        keep_head_pose=keep_head_pose,
        face_model=face_model,
        face=face,
        max_height=max_height,
        neutral=neutral,
        smooth=not raw_head,
        fps=None if fps is None else parse_fps(fps),
        start=start,
        stop=stop,
        landmarks=landmarks,
    )
    if videos:
        videos, notes = scan_all(videos, VIDEO_SUFFIXES, [out])
        for note in notes:
            talk.say(note)
        if not videos:
            raise UsageError("there are no videos there", hint=f"looked for {' '.join(VIDEO_SUFFIXES)}")
    names = tuple(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not names:
        raise UsageError("--formats names no format", hint="examples: npz, livelink-csv")
    need_mediapipe()
    find_face_model(face_model)  # fetched once, before many ask for it
    if calibrate is not None:
        if performer is not None or solver != "landmarks":
            raise UsageError("--calibrate makes a profile for --solver landmarks; --performer names one that is there")
        profile = make_profile(calibrate, out, options, force)
        talk.say(f"{profile}: the profile of {calibrate.stem}")
        talk.event("calibrated", video=str(calibrate), profile=str(profile))
        options = replace(options, performer=profile, neutral=None)
    todo = make_jobs(videos, out=out, formats=names, audio=audio, force=force, options=options)
    signal.signal(signal.SIGTERM, _interrupt)
    lengths = [stated_seconds(video) for video in videos]
    tracked = skipped = failed = 0
    try:
        with talk.progress("track", sum(lengths), len(todo)) as shown:
            come = [0.0] * len(todo)
            for step in work_on(run_job, todo, jobs):
                video, length = videos[step.index], lengths[step.index]
                if not isinstance(step, Done):
                    amount = min(max(step.amount - come[step.index], 0.0), length - come[step.index])
                    come[step.index] += amount
                    shown.advance(amount, 0)
                    continue
                shown.advance(length - come[step.index])
                if step.result is None:
                    failed += 1
                    error = step.error or MsmdError("it cannot be tracked")
                    if str(video) not in error.message:
                        error = MsmdError(f"{video}: {error.message}", hint=error.hint)
                    talk.error(error)
                    talk.event("failed", video=str(video), error=error.message, hint=error.hint)
                    continue
                done = step.result
                files = [str(path) for path in done.outputs]
                if done.unchanged:
                    skipped += 1
                    talk.event("skipped", video=str(video), outputs=files)
                    talk.detail(f"{video}: unchanged")
                    continue
                tracked += 1
                for warning in done.warnings:
                    talk.warn(f"{video}: {warning}")
                talk.event("tracked", video=str(video), outputs=files, warnings=list(done.warnings), **done.summary)
                summary = done.summary
                talk.say(
                    f"{files[-1]}: {summary['frames']} frames at {float(Fraction(summary['fps'])):g} fps, face in "
                    f"{summary['found']:.0%}, confidence {summary['confidence']:.2f}"
                )
                for line in summary.get("expression", ()):
                    talk.say(f"  {line}")
    finally:
        clean_up(todo)
    talk.event("finished", tracked=tracked, skipped=skipped, failed=failed)
    if len(todo) > 1:
        talk.say(f"{tracked} tracked, {skipped} unchanged, {failed} failed")
    raise typer.Exit(1 if failed else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
