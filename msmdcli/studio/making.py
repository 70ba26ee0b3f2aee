"""A line, made as `msmd batch` makes it, with a model that stays loaded.

The way is the batch's own: `tasks_of` encodes the styles, `LineWorker` hears the recording and places the styles, the
engine makes the motion, and the worker finishes it with the performance and what else the line asks for. Only the files
are left out.

What a change does not touch is not made again: the recording is heard once, a style read once; the motion as it was
sampled, the performance as it was planned and the line as it was made are kept for the changes that came last (undo, a
slider that goes back).
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.tasks import Tasks, tasks_of
from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.motion.motion import Motion
from msmdcli.performance.line import Performance
from msmdcli.performance.reference import Reference
from msmdcli.workers.line_worker import LineWorker
from msmdcli.workers.task import LineTask

KEPT = 24  # motions and performances; one of a minute has 0.3 MB

T = TypeVar("T")


class Recent(Generic[T]):
    """What was made last, by all that decided it."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit = limit
        self._found: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for this key, else what `make` gives."""
        if key not in self._found:
            self._found[key] = make()
        self._found.move_to_end(key)
        while len(self._found) > self._limit:
            self._found.popitem(last=False)
        return self._found[key]


@dataclass(frozen=True, eq=False)
class Performer:
    """A style that performs in a line.

    Attributes:
        name: of the style.
        clips: its clips.
        reference: what is performed of them.
    """

    name: str
    clips: list[Motion]
    reference: Reference


@dataclass(frozen=True, eq=False)
class MadeLine:
    """A line that was made.

    Attributes:
        motion: as the files of the batch hold it, [T, D].
        drawn: the same before the character's curve map, for heads that do not know its controls.
        audio: the recording.
        health, facts, warnings: see `msmdcli.workers.finishing.Finished`.
        performance: of the line; None where no style performs.
        performers: name of a style -> the key of its clips.
        seconds: that it took.
    """

    motion: Motion
    drawn: Motion
    audio: Audio
    health: Mapping[str, float | None]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    performance: Performance | None
    performers: Mapping[str, str]
    seconds: float


class Maker:
    """Makes lines, one at a time. Any thread may ask.

    Args:
        options: of the batch, resolved.
        bundle: the model; its files are compared with their sha256 here.

    Raises:
        MsmdError: it is damaged, or cannot be used here.
    """

    def __init__(self, options: BatchOptions, bundle: Bundle) -> None:
        bundle.verify()
        # Threads that wait give their core away: between two lines the browser draws.
        self.engine = Engine(bundle, options.device, options.threads, options.batch_size, options.sampling, False)
        self._known = Tasks()
        self._worker = LineWorker(self.engine, self._known.styles, self._known.clips)
        self._sampled: Recent[Motion] = Recent()
        self._planned: Recent[Performance | None] = Recent()
        self._made: Recent[MadeLine] = Recent()
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
            return self._made.get((planned.id, planned.key), lambda: self._make(planned))

    def _make(self, planned: PlannedLine) -> MadeLine:
        began = time.perf_counter()
        tasks = tasks_of([planned], Path(), self.engine, _refuse, known=self._known)
        self._known.sizes = tasks.sizes
        (task,) = tasks.tasks
        curves, task = task.curves, replace(task, curves=None)
        recording = self._worker.recording(task)
        job = self._worker.job(task, recording)
        key = sampling_key(job, task)
        motion = self._sampled.get(key, lambda: next(self.engine.animate(iter([job]), clip=False))[1])
        performance = self._planned.get(
            (key, performance_key(task)),
            lambda: self._worker.performers.perform(task, recording.audio, motion),
        )
        if performance is not None:
            performance = replace(performance, options=task.controls.performance)
        line = self._worker.performed(task, recording, motion, performance)
        return MadeLine(
            line.motion if curves is None else curves.apply(line.motion),
            line.motion,
            recording.audio,
            line.health.as_dict(),
            line.facts,
            line.warnings,
            performance,
            {name: digest for (name, _), digest in task.performers.items() if digest},
            time.perf_counter() - began,
        )

    def performers(self, made: MadeLine) -> list[Performer]:
        """The styles that perform in a line that was made, each once."""
        keep = None if made.performance is None else made.performance.options.keep_head_pose
        with self._lock:
            return [
                Performer(name, self._known.clips[key], self._worker.performers.reference(key, keep))
                for name, key in made.performers.items()
                if key in self._known.clips
            ]


def sampling_key(job: Job, task: LineTask) -> str:
    """sha256 of all that decides the motion which the model samples for a line.

    Args:
        job: the line as the engine gets it. task: what the job was made from.
    """
    found = hashlib.sha256(task.audio_sha256.encode())
    solved = None if job.sampling is None else job.sampling.description()
    said = [job.noise_name, job.seed, solved, [pin.description() for pin in task.controls.pins]]
    found.update(json.dumps(said).encode())
    for entry in job.entries:
        weight = np.ascontiguousarray(entry.weight)
        style = None if entry.style is None else entry.style.key
        found.update(f"{style} {entry.intensity!r} {weight.dtype} {weight.shape}".encode() + weight.tobytes())
    return found.hexdigest()


def performance_key(task: LineTask) -> str:
    """All that decides a line's plan of its performance beside its motion; amounts are laid on the plan later, but for
    eyes that do not move at all, whose blinks are not planned either."""
    options, controls = task.controls.performance, task.controls
    said = [
        [(name, str(base), digest) for (name, base), digest in task.performers.items()],
        task.field.description(),
        [options.source, options.keep_head_pose, options.amount("eyes") > 0],
        [str(controls.length), str(task.fps)],
        [task.kept, task.generated, task.head is None],
    ]
    return json.dumps(said)


def _refuse(planned: PlannedLine, error: MsmdError) -> None:
    raise error
