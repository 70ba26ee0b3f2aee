"""An accepted clip into the data set: offset removed, motion at 25 fps, sound at 16 kHz mono, of the same length."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.formats.registry import write_temporary
from msmdcli.media.audio import RATE
from msmdcli.motion.motion import Motion, frame_count
from training.curation.clip_data import ClipData
from training.curation.store import write_bytes
from training.data.corpus import FPS


@dataclass(frozen=True)
class WriteTask:
    """What to write.

    Attributes:
        id, source: of the clip.
        record: its record.
        out: the data set.
        offset: frames at FPS by which its picture is late.
    """

    id: str
    source: str
    record: Path
    out: Path
    offset: float


def write_clip(task: WriteTask) -> float:
    """Write `motion/<id>.npz` and `audio/<id>.flac`; the result is their length in seconds.

    Raises:
        MsmdError: the record is damaged, a file cannot be written.
    """
    import soundfile

    data = ClipData.load(task.record)
    assert data.motion is not None
    motion, sound = aligned(data.motion, data.sound, Fraction(task.offset).limit_denominator(1000) / FPS)
    seconds = Fraction(len(sound), RATE)
    motion = motion.resample(FPS, frames=frame_count(seconds, FPS))
    tracker = ", ".join(data.motion.meta[name] for name in ("tracker", "solver") if name in data.motion.meta)
    meta = {"clip": task.id, "source": task.source, "tracker": tracker or "MediaPipe FaceLandmarker"}
    motion = Motion(motion.values, FPS, motion.rig, meta).clip()

    flac = io.BytesIO()
    soundfile.write(flac, sound, RATE, format="FLAC", subtype="PCM_16")
    write_bytes(task.out / "audio" / f"{task.id}.flac", flac.getvalue())
    write_temporary(motion, task.out / "motion" / f"{task.id}.npz", "npz").commit()
    return float(seconds)


def aligned(motion: Motion, sound: np.ndarray, late: Fraction) -> tuple[Motion, np.ndarray]:
    """Motion [T, D] and sound [S] (16 kHz) without an offset: the picture comes `late` seconds after its sound
    (negative: before). What has no partner is cut off; nothing is interpolated or padded.

    Returns:
        (motion from its first frame that has its sound, sound [S'] of exactly that stretch).
    """
    first = max(0, math.ceil(late * motion.fps))  # frames before it show what was heard before the recording
    if first >= motion.frames:
        first = 0
        late = Fraction(0)
    begin = round((Fraction(first) / motion.fps - late) * RATE)
    motion = motion.slice(first, motion.frames)
    sound = sound[begin:]
    length = min(len(sound), math.floor(motion.seconds * RATE))
    return motion, sound[:length]
