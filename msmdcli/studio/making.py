"""A line, made as `msmd batch` makes it, with a model that stays loaded.

The way is the batch's own: `tasks_of` encodes the styles, `LineWorker` hears the recording and places the styles, the
engine makes the motion, and the worker finishes it with the performance and what else the line asks for. Only the files
are left out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.tasks import tasks_of
from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.motion import Motion
from msmdcli.workers.line_worker import LineWorker


@dataclass(frozen=True, eq=False)
class MadeLine:
    """A line that was made.

    Attributes:
        motion: as the files of the batch hold it, [T, D].
        drawn: the same before the character's curve map, for heads that do not know its controls.
        audio: the recording.
        health, facts, warnings: see `msmdcli.workers.finishing.Finished`.
        seconds: that it took.
    """

    motion: Motion
    drawn: Motion
    audio: Audio
    health: Mapping[str, float | None]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    seconds: float


class Maker:
    """Makes lines, one at a time. Any thread may ask.

    Args:
        options: of the batch, resolved.
        bundle: the model.
    """

    def __init__(self, options: BatchOptions, bundle: Bundle) -> None:
        self.engine = Engine(bundle, options.device, options.threads, options.batch_size, options.sampling)
        self._styles: dict[str, StyleCode | None] = {}
        self._clips: dict[str, list[Motion]] = {}
        self._worker = LineWorker(self.engine, self._styles, self._clips)
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the model now rather than with the first line."""
        with self._lock:
            self.engine.load()

    def make(self, planned: PlannedLine) -> MadeLine:
        """Make a line.

        Args:
            planned: with its contents (`Planner.with_contents`).

        Raises:
            MsmdError: its recording, a style or a control cannot be used.
        """
        with self._lock:
            began = time.perf_counter()
            tasks = tasks_of([planned], Path(), self.engine, _refuse)
            self._styles.update(tasks.styles)
            self._clips.update(tasks.clips)
            (task,) = tasks.tasks
            recording = self._worker.recording(task)
            job = self._worker.job(task, recording)
            ((_, motion),) = self.engine.animate(iter([job]), clip=False)
            line = self._worker.finished(task, recording, motion)
            drawn = line.motion
            if task.curves is not None:
                drawn = self._worker.finished(replace(task, curves=None), recording, motion).motion
            return MadeLine(
                line.motion,
                drawn,
                recording.audio,
                line.health.as_dict(),
                line.facts,
                line.warnings,
                time.perf_counter() - began,
            )


def _refuse(planned: PlannedLine, error: MsmdError) -> None:
    raise error
