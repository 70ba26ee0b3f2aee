"""What is known about one clip after it was looked at: its measures, and its motion and sound. One small file each.

The file is named by a hash of the clip's content and of the settings that its content depends on (`record_key`), so a
killed run finds what it had done, runs over the same clips share their work, and records made on different machines
can be put into one folder.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.audio import RATE
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.system.files import sha256_of
from msmdcli.system.npz_file import read_npz

VERSION = 2  # of the procedure and of the file: what another version made is made again


@dataclass(frozen=True)
class MeasureSettings:
    """What measures, motion and sound depend on, apart from the clip itself.

    Attributes:
        face_model: sha256 of the face model.
        tracker: versions of the tracking procedure and of the solver.
        sync_model: what identifies the model that judges synchronisation.
        max_height: larger pictures are made smaller before they are tracked.
        version: `VERSION`.
    """

    face_model: str
    tracker: str
    sync_model: str
    max_height: int = 720
    version: int = VERSION


@dataclass(frozen=True)
class Measures:
    """Numbers about one clip; None where a step was not reached.

    Attributes:
        error: why the file cannot be read; empty for a good one.
        seconds, frames, fps, width, height: of the picture.
        sound: whether there is a sound track.
        sound_error: why it cannot be decoded; empty for a good one.
        sound_share: how much of the picture it accompanies.
        loudness: dB of full scale of its loudest 50 ms.
        speech_seconds, speech_share: what the voice-activity detector takes for speech.
        cuts: where the picture cuts to another shot, in seconds; of a tracked clip only those between its first and its
            last frame with a face.
        tracked: whether the face was tracked (clips that fail before are not).
        found: share of the frames with a face.
        longest_loss: seconds, the longest stretch without it, apart from the ends.
        several: share of the frames with more than one face.
        turn: median of the degrees by which the face is turned away from the camera.
        turn_often: degrees that it exceeds in a quarter of the frames.
        jump: largest change of the head's pose within 80 ms, in degrees, or in face widths times 45.
        confidence: mean tracking confidence, 0..1.
        face_pixels: median width of the face in the picture.
        unusual: how far its proportions are from people's, in standard deviations (`training.curation.proportions`).
        lag_agreement: agreement of sound and mouth per lag (`training.curation.sync`).
    """

    error: str = ""
    seconds: float = 0.0
    frames: int = 0
    fps: str = ""
    width: int = 0
    height: int = 0
    sound: bool = False
    sound_error: str = ""
    sound_share: float | None = None
    loudness: float | None = None
    speech_seconds: float | None = None
    speech_share: float | None = None
    cuts: tuple[float, ...] = ()
    tracked: bool = False
    found: float | None = None
    longest_loss: float | None = None
    several: float | None = None
    turn: float | None = None
    turn_often: float | None = None
    jump: float | None = None
    confidence: float | None = None
    face_pixels: float | None = None
    unusual: float | None = None
    lag_agreement: tuple[float | None, ...] | None = None

    @classmethod
    def from_json(cls, text: str) -> Measures:
        data: dict[str, Any] = json.loads(text)
        names = {field.name for field in fields(cls)}
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**{name: value for name, value in (data | lists).items() if name in names})


@dataclass(frozen=True, eq=False)
class ClipData:
    """A clip that was looked at.

    Attributes:
        measures: see there.
        motion: at the video's rate, from the first frame with a face to the last; None if not tracked.
        sound: the sound that goes with `motion` (of an untracked clip: none), [S] int16 at 16 kHz mono.
        thumbnail: [h, w, 3] uint8, a small picture of the clip; [0, 0, 3] if it cannot be read.
    """

    measures: Measures
    motion: Motion | None
    sound: np.ndarray
    thumbnail: np.ndarray

    def to_bytes(self) -> bytes:
        """As a file; the same record gives the same bytes."""
        import soundfile

        buffer = io.BytesIO()
        flac = io.BytesIO()
        if len(self.sound):
            soundfile.write(flac, self.sound, RATE, format="FLAC", subtype="PCM_16")
        motion = self.motion
        np.savez_compressed(
            buffer,
            measures=np.array(json.dumps(asdict(self.measures), sort_keys=True, ensure_ascii=False)),
            values=motion.values if motion else np.zeros((0, 0), np.float32),
            fps=np.array(str(motion.fps) if motion else ""),
            flac=np.frombuffer(flac.getvalue(), np.uint8),
            thumbnail=self.thumbnail,
        )
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path) -> ClipData:
        """Read a record whole.

        Raises:
            MsmdError: it is damaged.
        """
        import soundfile

        try:
            file = read_npz(path)
            values, flac = file["values"], file["flac"]
            motion = None
            if len(values):
                motion = Motion(values, parse_fps(Fraction(str(file["fps"]))), Rig.load("arkit52"))
            sound = np.zeros(0, np.int16)
            if len(flac):
                sound, _ = soundfile.read(io.BytesIO(flac.tobytes()), dtype="int16")
            return cls(Measures.from_json(str(file["measures"])), motion, sound, file["thumbnail"])
        except _DAMAGED as error:
            raise _damaged(path, error) from error


_DAMAGED = (MsmdError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)


def load_measures(path: Path) -> Measures:
    """The measures of a record alone.

    Raises:
        MsmdError: it is damaged.
    """
    try:
        return Measures.from_json(str(read_npz(path, ("measures",))["measures"]))
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> MsmdError:
    return MsmdError(f"record {path} is damaged ({error})", hint="delete it and curate again")


def record_key(video: Path, sound: Path | None, settings: MeasureSettings) -> str:
    """The name of a clip's record: sha256 of the content of its files and of the settings.

    Raises:
        MsmdError: a file cannot be read.
    """
    parts = [sha256_of(video), sha256_of(sound) if sound else "", json.dumps(asdict(settings), sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
