"""One worker: tasks in, outcomes out. It owns an engine, prepares recordings ahead and writes files in other threads.

`msmd batch` runs one in its own process, or several in processes of their own; what it does to a line is the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.pins import Pinned
from msmdcli.errors import MsmdError
from msmdcli.formats.registry import write_temporary
from msmdcli.media.audio import Audio, load_audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore
from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.motion import Motion
from msmdcli.performance.line import Performance
from msmdcli.system.files import Written, sha256_of
from msmdcli.system.machine import available_cores
from msmdcli.workers.finishing import Finished, finished
from msmdcli.workers.mouth_sizes import scale_over_time
from msmdcli.workers.performers import Performers
from msmdcli.workers.read_ahead import read_ahead
from msmdcli.workers.recordings import EncodedRecording, encoded
from msmdcli.workers.task import LineTask, Outcome

AHEAD = 4  # recordings prepared while others are computed
MOST_READERS = 4  # threads that prepare them
RECORDINGS_KEPT = 2  # lines that share a recording come one after the other


class LineWorker:
    """Makes lines with one engine.

    Args:
        engine: the model.
        styles: encoded styles by the keys that tasks use.
        clips: of the styles that perform, likewise.
    """

    def __init__(
        self,
        engine: Engine,
        styles: Mapping[str, StyleCode | None],
        clips: Mapping[str, Sequence[Motion]] = MappingProxyType({}),
    ) -> None:
        self.engine = engine
        self.styles = styles
        self.performers = Performers(clips, engine.bundle)
        self._readers = min(max(1, (engine.runtime.threads or available_cores()) // 2), MOST_READERS)
        self._recordings: OrderedDict[str, Future[EncodedRecording]] = OrderedDict()  # by sha256
        self._features = FeatureStore()
        self._lock = threading.Lock()

    def run(self, tasks: Iterable[LineTask]) -> Iterator[Outcome]:
        """Make lines, several at a time. An outcome per task comes out, in the order in which they are done."""
        failed: deque[Outcome] = deque()
        in_flight: dict[str, tuple[LineTask, EncodedRecording]] = {}
        finishing: deque[Future[Outcome]] = deque()
        exhausted = False

        def busy() -> bool:
            return bool(in_flight or finishing or failed)

        def jobs() -> Generator[Job | None]:
            nonlocal exhausted
            recordings = read_ahead(tasks, self.recording, self._readers, AHEAD, busy)
            with closing(recordings):
                for item in recordings:
                    if item is None:
                        yield None
                        continue
                    task, recording = item
                    try:
                        if isinstance(recording, Exception):
                            raise recording
                        job = self.job(task, recording)
                    except Exception as error:
                        failed.append(Outcome.failed(task.id, error))
                        continue
                    in_flight[task.id] = task, recording
                    yield job
            exhausted = True

        def on_error(job: Job, error: MsmdError) -> None:
            in_flight.pop(job.id)
            failed.append(Outcome.failed(job.id, error))

        source: Generator[Job | None] = jobs()
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="msmd-write")
        try:
            while not exhausted:
                for job, motion in self.engine.animate(source, clip=False, on_error=on_error):
                    finishing.append(writer.submit(self._written, *in_flight.pop(job.id), motion))
                    while finishing and finishing[0].done():
                        yield finishing.popleft().result()
                    while failed:
                        yield failed.popleft()
                while finishing:
                    yield finishing.popleft().result()
                while failed:
                    yield failed.popleft()
        finally:
            source.close()
            writer.shutdown(wait=True, cancel_futures=True)
            for future in finishing:
                if not future.cancelled():
                    for written in future.result().written:
                        written.abandon()

    def recording(self, task: LineTask) -> EncodedRecording:
        """Decode and encode a line's recording; lines that share one share the work. Called in several threads."""
        with self._lock:
            found = self._recordings.get(task.audio_sha256)
            if found is None:
                mine: Future[EncodedRecording] = Future()
                self._recordings[task.audio_sha256] = mine
                while len(self._recordings) > RECORDINGS_KEPT:
                    self._recordings.popitem(last=False)
        if found is not None:
            return found.result()
        try:
            audio = load_audio(task.audio)
            if sha256_of(task.audio) != task.audio_sha256:
                raise MsmdError(f"{task.audio} has changed since the batch began", hint="run the batch again")
            mine.set_result(self.heard(audio))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()

    def heard(self, audio: Audio) -> EncodedRecording:
        """A recording as the model hears it."""
        return encoded(audio, self.engine, self._features)

    def job(self, task: LineTask, recording: EncodedRecording) -> Job:
        styles = {key: self.styles[code] for key, code in task.codes.items()}
        bundle, features = self.engine.bundle, recording.features
        entries = task.field.entries(styles, len(features), bundle.fps, bundle.rig)
        job = Job(task.id, features, entries, task.seed, task.noise, sampling=task.sampling)
        if not task.controls.pins:
            return job
        pinned = Pinned.of(task.controls.pins, bundle.rig, bundle.fps, len(features))
        held = partial(pinned.held, channels=bundle.rig.size)
        return replace(job, constrain=pinned.met_by, held=held)

    def rest(self, task: LineTask, frames: int) -> NDArray[np.float32] | None:
        """[T or 1, D] the pose of the line's styles while their mouths are closed, each with its share; None: not
        known."""
        bundle = self.engine.bundle
        styles = {key: self.styles[code] for key, code in task.codes.items()}
        total = np.zeros((1, bundle.rig.size), np.float32)
        share = np.zeros((1, bundle.rig.size), np.float32)
        for entry in task.field.entries(styles, frames, bundle.fps, bundle.rig):
            if entry.style is not None and entry.style.rest is not None:
                weight = np.atleast_2d(np.asarray(entry.weight, np.float32))  # [T or 1, D or 1]
                total = total + weight * entry.style.rest
                share = share + weight
        return np.asarray(total / share, np.float32) if (share > 0).all() else None

    def finished(self, task: LineTask, recording: EncodedRecording, motion: Motion) -> Finished:
        """A generated line with its performance and its controls; see `msmdcli.workers.finishing`."""
        return self.performed(task, recording, motion, self.performers.perform(task, recording.audio, motion))

    def performed(
        self, task: LineTask, recording: EncodedRecording, motion: Motion, performance: Performance | None
    ) -> Finished:
        """The same with a performance that is planned already."""
        audio, window = recording.audio, self.engine.bundle.window
        rest = self.rest(task, motion.frames) if task.controls.needs_rest else None
        scale = scale_over_time(task.field, task.codes, task.scales, motion) if task.scales else None
        return finished(motion, audio, recording.voice, task, window, rest, performance, recording.heard, scale)

    def _written(self, task: LineTask, recording: EncodedRecording, motion: Motion) -> Outcome:
        """Finish a line and write its files under temporary names."""
        written: list[Written] = []
        try:
            line = self.finished(task, recording, motion)
            for fmt, target in task.targets.items():
                written.append(write_temporary(line.motion, target, fmt, (task.format_options or {}).get(fmt)))
            return Outcome(
                task.id,
                tuple(written),
                line.motion.frames,
                float(recording.audio.seconds),
                line.health.as_dict(),
                (*line.warnings, *_format_warnings(task, written)),
                line.facts,
            )
        except Exception as error:
            for file in written:
                file.abandon()
            return Outcome.failed(task.id, error)


def _format_warnings(task: LineTask, written: Sequence[Written]) -> Iterator[str]:
    """What formats could not hold."""
    for fmt, file in zip(task.targets, written, strict=True):
        for warning in file.notes.get("warnings", ()):
            yield f"{fmt}: {warning}"


@dataclass(frozen=True)
class WorkerConfig:
    """What a process needs to build its worker.

    Attributes:
        bundle: the folder.
        device, threads, max_batch, sampling: see `Engine`.
        styles: encoded styles by the keys that tasks use.
        clips: of the styles that perform, likewise.
    """

    bundle: Path
    device: str
    threads: int
    max_batch: int | None
    sampling: Sampling
    styles: Mapping[str, StyleCode | None]
    clips: Mapping[str, Sequence[Motion]] = field(default_factory=dict)

    def make_worker(self) -> LineWorker:
        """Load the models."""
        engine = Engine(
            Bundle.load(self.bundle, verify=False), self.device, self.threads, self.max_batch, self.sampling
        )
        engine.load()
        return LineWorker(engine, self.styles, self.clips)


def places_of(worker: LineWorker) -> int:
    """Lines that a worker should hold at once: those it computes together, and those it prepares meanwhile."""
    return worker.engine.max_batch + AHEAD
