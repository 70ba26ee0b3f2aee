"""A line's recording for the page: where it lies, copied beside the page, or within it.

Within it, what is small already stays as it is; else it becomes Ogg Vorbis at its own rate. Only what can be decoded as
sound is ever copied.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np

from msmdcli.system.files import cannot_write, encoded, whole_file

SOUNDS = "review/audio"  # below OUT
SMALL = {".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".mp3": "audio/mpeg", ".m4a": "audio/mp4"}
SMALL_RATE = 24_000  # bytes a second above which a recording is not small
BLOCK = 1 << 14  # samples that are handed over at once


def where_it_lies(sound: Path, out: Path) -> str:
    """The address of a recording, as OUT's page finds it on this machine."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(os.path.realpath(sound), os.path.realpath(out))).as_posix()))
    except ValueError:  # another drive
        return sound.resolve().as_uri()


def copied(sound: Path, out: Path) -> str:
    """Copy a recording beside the page; the result is its address.

    Raises:
        MsmdError: it cannot be written.
    """
    name = f"{hashlib.sha256(encoded(os.path.realpath(sound))).hexdigest()[:16]}{sound.suffix}"
    target = out / SOUNDS / name
    try:
        if target.is_symlink() or not target.is_file() or target.stat().st_mtime < sound.stat().st_mtime:
            with whole_file(target) as temporary:
                shutil.copyfile(sound, temporary)
    except OSError as error:
        raise cannot_write(target, error) from error
    return quote(f"{SOUNDS}/{name}")


def within(sound: Path, seconds: float) -> tuple[str, str]:
    """A recording as a part of the page: its media type, and its bytes in base64.

    Args:
        sound: its file, which could be decoded.
        seconds: its duration.
    """
    kind = SMALL.get(sound.suffix.lower())
    if kind is not None and sound.stat().st_size <= SMALL_RATE * max(seconds, 1.0):
        return kind, base64.b64encode(sound.read_bytes()).decode("ascii")
    import soundfile

    samples, rate = _samples(sound)
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", rate, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(samples), BLOCK):
            file.write(samples[start : start + BLOCK])
    return "audio/ogg", base64.b64encode(made.getvalue()).decode("ascii")


def _samples(sound: Path) -> tuple[np.ndarray, int]:
    """[n] float32 and their rate: as it was recorded, where libsndfile reads that, else as the model hears it."""
    import soundfile

    from msmdcli.media.audio import load_audio

    try:
        samples, rate = soundfile.read(os.fsencode(sound), dtype="float32", always_2d=True)
        return samples.mean(axis=1), int(rate)
    except (soundfile.LibsndfileError, OSError):
        audio = load_audio(sound)
        return np.asarray(audio.samples, np.float32), int(audio.rate)
