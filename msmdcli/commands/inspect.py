"""`msmd inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from msmdcli.commands.options import Json, console
from msmdcli.console import Console, reports_errors


@reports_errors
def inspect(
    path: Annotated[Path, typer.Argument(help="A bundle's folder, a motion file, a head, or a recording.")],
    json_lines: Json = False,
) -> None:
    """What a file holds: a bundle, motion in any format, a head, or a recording.

    \b
    Examples:
      msmd inspect out/guard_001.csv
      msmd inspect hero.glb
      msmd inspect runs/starter/bundle
    """
    from msmdcli.media.suffixes import RECORDING_SUFFIXES

    talk = console(json_lines)
    if path.is_dir():
        _bundle(path, talk)
    elif path.suffix.lower() in RECORDING_SUFFIXES:
        _recording(path, talk)
    else:
        _motion(path, talk)


def _bundle(path: Path, talk: Console) -> None:
    from msmdcli.model.bundle import Bundle

    bundle = Bundle.load(path)
    size = sum(int(entry["bytes"]) for entry in bundle.files.values())
    known: dict[str, object] = {
        "name": bundle.name,
        "rig": f"{bundle.rig.name}, {bundle.rig.size} channels",
        "frames per second": str(bundle.fps),
        "window": f"{bundle.window} frames, {bundle.previous} carried over",
        "audio encoder": bundle.audio_encoder_name,
        "size": f"{size / 1e6:.1f} MB in {len(bundle.files)} files",
        "sha256": bundle.sha256,
        "model": bundle.model,
        "defaults": bundle.defaults,
        "training": bundle.training,
        "licence": bundle.licence,
    }
    _tell("bundle", known, talk)


def _recording(path: Path, talk: Console) -> None:
    import numpy as np

    from msmdcli.media.audio import load_audio
    from msmdcli.media.voice import level_db

    audio = load_audio(path)
    for note in audio.notes:
        talk.warn(note)
    level = float(level_db(np.mean(np.square(audio.samples), dtype=np.float64), 1e-18))
    known: dict[str, object] = {
        "seconds": round(float(audio.seconds), 4),
        "rate": audio.source_rate,
        "channels": audio.source_channels,
        "peak": round(float(np.abs(audio.samples).max()), 4),
        "level in dB": round(level, 1),
    }
    _tell("recording", known, talk)


def _motion(path: Path, talk: Console) -> None:
    import numpy as np

    from msmdcli.errors import MsmdError
    from msmdcli.formats.registry import format_of, read_motion

    form = format_of(path)
    if form is not None and form.name == "glb":
        from msmdcli.formats.glb import contents

        facts = dict(contents(path))
        _tell("glTF", facts, talk)
        if facts["animations"] == "none":
            return
    if form is not None and not form.readable:
        raise MsmdError(
            f"{path} is {form.name}, which MSMD writes and does not read", hint="inspect the npz or JSON of it"
        )
    motion = read_motion(path)
    known: dict[str, object] = {
        "format": form.name if form else "?",
        "rig": motion.rig.name,
        "frames": motion.frames,
        "frames per second": str(motion.fps),
        "seconds": round(float(motion.seconds), 4),
        "notes": motion.meta,
    }
    _tell("motion", known, talk)
    order = np.argsort(-motion.values.std(axis=0))
    talk.result("channels that move most:")
    for d in order[:12]:
        name, column = motion.rig.channels[d], motion.values[:, d]
        low, mean, high = (float(value) for value in (column.min(), column.mean(), column.max()))
        talk.event("channel", name=name, min=round(low, 4), mean=round(mean, 4), max=round(high, 4))
        talk.result(f"  {name:20} {low:6.2f} to {high:5.2f}, mean {mean:5.2f}")


def _tell(kind: str, known: dict[str, object], talk: Console) -> None:
    talk.event(kind, **{name.replace(" ", "_"): value for name, value in known.items()})
    for name, value in known.items():
        if isinstance(value, dict):
            talk.result(f"{name}:")
            for key, entry in value.items():
                talk.result(f"  {key}: {entry}")
        else:
            talk.result(f"{name}: {value}")
