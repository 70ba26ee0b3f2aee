"""One clip as a task that can be sent to any worker: look at the file, leave a record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from training.curation.checks import Limits, fails_before_tracking
from training.curation.clip_data import ClipData, Measures, MeasureSettings, load_measures, record_key
from training.curation.store import record_path, write_bytes


@dataclass(frozen=True)
class ClipTask:
    """What a worker needs to know.

    Attributes:
        id: of the clip.
        video, sound: its files.
        folder: the working folder, seen by the worker.
        settings, limits, face_model: as for `measure_clip`.
    """

    id: str
    video: Path
    sound: Path | None
    folder: Path
    settings: MeasureSettings
    limits: Limits
    face_model: Path | None


def curate_clip(task: ClipTask) -> str:
    """Make the clip's record, unless it is there. The result is its key.

    Raises:
        MsmdError: the record cannot be written; something is not installed.
    """
    try:
        key = record_key(task.video, task.sound, task.settings)
    except MsmdError as error:
        return leave_unreadable(task, error.message.replace(str(task.video), task.video.name))
    path = record_path(task.folder, key)
    if path.is_file() and _enough(path, task.limits):
        return key
    from training.curation.measure import measure_clip

    data = measure_clip(task.video, task.settings, task.limits, task.sound, task.face_model)
    write_bytes(path, data.to_bytes())
    return key


def leave_unreadable(task: ClipTask, why: str) -> str:
    """Leave a record that says why a clip cannot be looked at. The result is its key."""
    key = hashlib.sha256(f"{task.video.name}\n{why}".encode()).hexdigest()
    data = ClipData(Measures(error=why), None, np.zeros(0, np.int16), np.zeros((0, 0, 3), np.uint8))
    write_bytes(record_path(task.folder, key), data.to_bytes())
    return key


def _enough(path: Path, limits: Limits) -> bool:
    """Whether a record still says enough: limits that were loosened may ask for tracking that was not done."""
    try:
        measures = load_measures(path)
    except MsmdError:
        return False
    return measures.tracked or bool(measures.error) or fails_before_tracking(measures, limits)
