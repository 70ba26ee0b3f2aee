"""One worker: tasks in, outcomes out. It owns an engine, decodes ahead in one thread and writes files in another.

`msmd batch` runs one in its own process, or several in processes of their own; what it does to a line is the same.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msmdcli.audio import Audio, load_audio
from msmdcli.engine import SAFE_INTENSITY, Engine, Job, StyleCode
from msmdcli.errors import MsmdError
from msmdcli.health import measure
from msmdcli.motion import Motion, frame_count
from msmdcli.outputs import Written, write_temporary
from msmdcli.style_field import StyleField
from msmdcli.styles import sha256_of

DECODE_AHEAD = 3  # recordings held decoded while others are computed
DECODE_PATIENCE = 0.05  # seconds that lines in flight wait for another one to join them
FEATURES_KEPT = 2  # lines that share a recording come one after the other


@dataclass(frozen=True)
class LineTask:
    """What a worker needs to make one line's files. Everything in it can be sent to another process.

    Attributes:
        id: the line.
        audio, audio_sha256: the recording, and its content when the batch was planned.
        field: the style field.
        codes: `StyleRef.key` -> key into the worker's encoded styles.
        seed: of the noise.
        fps: of the output; None is the bundle's.
        targets: format name -> where its file belongs.
        meta: notes for the files.
    """

    id: str
    audio: Path
    audio_sha256: str
    field: StyleField
    codes: Mapping[tuple[str, Path], str]
    seed: int
    fps: Fraction | None
    targets: Mapping[str, Path]
    meta: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a task: files ready to be put in place, or an error.

    Attributes:
        id: the line.
        written: complete files under temporary names.
        frames: of the output.
        seconds: of the recording.
        health: see `Health.as_dict`.
        warnings: what a person should know though the line was made.
        error, hint: why it failed; error is empty if it did not.
        details: a traceback, where the failure is ours.
    """

    id: str
    written: tuple[Written, ...] = ()
    frames: int = 0
    seconds: float = 0.0
    health: Mapping[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    details: str = ""

    @classmethod
    def failed(cls, line_id: str, error: BaseException) -> Outcome:
        """The outcome of a line that ended on an error: the user's to mend, or ours."""
        if isinstance(error, MsmdError):
            return cls(line_id, error=error.message, hint=error.hint)
        return cls(
            line_id,
            error=f"internal error: {type(error).__name__}: {error}",
            hint="please report it, with the details in report.json",
            details="".join(traceback.format_exception(error)),
        )


class LineWorker:
    """Makes lines with one engine.

    Args:
        engine: the model.
        styles: encoded styles by the keys that tasks use.
    """

    def __init__(self, engine: Engine, styles: Mapping[str, StyleCode | None]) -> None:
        self.engine = engine
        self.styles = styles
        self._features: OrderedDict[str, NDArray[np.float32]] = OrderedDict()  # by the recording's sha256

    def run(self, tasks: Iterable[LineTask]) -> Iterator[Outcome]:
        """Make lines, several at a time. An outcome per task comes out, in the order in which they are done."""
        failed: deque[Outcome] = deque()
        in_flight: dict[str, tuple[LineTask, Audio]] = {}
        finishing: deque[Future[Outcome]] = deque()
        exhausted = False

        def busy() -> bool:
            return bool(in_flight or finishing or failed)

        def jobs() -> Generator[Job | None]:
            nonlocal exhausted
            with closing(_decoded_ahead(tasks, busy)) as decoded:
                for item in decoded:
                    if item is None:
                        yield None
                        continue
                    task, audio = item
                    try:
                        if isinstance(audio, Exception):
                            raise audio
                        job = self._job(task, audio)
                    except Exception as error:
                        failed.append(Outcome.failed(task.id, error))
                        continue
                    in_flight[task.id] = task, audio
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
                    finishing.append(writer.submit(self._finish, *in_flight.pop(job.id), motion))
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

    def _job(self, task: LineTask, audio: Audio) -> Job:
        features = self._features.pop(task.audio_sha256, None)
        if features is None:
            features = self.engine.encode_audio(audio)
        self._features[task.audio_sha256] = features
        while len(self._features) > FEATURES_KEPT:
            self._features.popitem(last=False)
        styles = {key: self.styles[code] for key, code in task.codes.items()}
        bundle = self.engine.bundle
        return Job(task.id, features, task.field.entries(styles, len(features), bundle.fps, bundle.rig), task.seed)

    def _finish(self, task: LineTask, audio: Audio, motion: Motion) -> Outcome:
        """Measure, hold within the ranges, resample, write."""
        written: list[Written] = []
        try:
            bundle = self.engine.bundle
            health = measure(motion.values, motion.fps, motion.rig, bundle.window, audio.samples, audio.rate)
            motion = motion.clip()
            if task.fps is not None and task.fps != motion.fps:
                motion = motion.resample(task.fps, frame_count(audio.seconds, task.fps))
            motion.meta.update(task.meta)
            for fmt, target in task.targets.items():
                written.append(write_temporary(motion, target, fmt))
            return Outcome(
                task.id,
                tuple(written),
                motion.frames,
                float(audio.seconds),
                health.as_dict(),
                tuple(_warnings(task, float(audio.seconds))),
            )
        except Exception as error:
            for file in written:
                file.abandon()
            return Outcome.failed(task.id, error)


def _warnings(task: LineTask, seconds: float) -> Iterator[str]:
    low, high = SAFE_INTENSITY
    for segment in task.field.segments:
        intensity = task.field.intensity if segment.intensity is None else segment.intensity
        if not low <= intensity <= high:
            yield f"intensity {intensity:g} is outside the safe range of {low:g} to {high:g}"
        if segment.start >= seconds:
            yield f"the segment at {segment.start:g} s begins after the end of the recording ({seconds:.2f} s)"


def _decoded_ahead(
    tasks: Iterable[LineTask], busy: Callable[[], bool]
) -> Generator[tuple[LineTask, Audio | Exception] | None]:
    """Tasks with their recordings, decoded in a background thread a few lines ahead; None where the next is not ready
    and `busy` says that there is something else to do.
    """
    ready: queue.Queue[tuple[LineTask, Audio | Exception] | BaseException | None] = queue.Queue(DECODE_AHEAD)
    stop = threading.Event()

    def put(item: tuple[LineTask, Audio | Exception] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def feed() -> None:
        try:
            for task in tasks:
                try:
                    put((task, _load(task)))
                except Exception as error:
                    put((task, error))
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=feed, name="msmd-decode", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = ready.get(timeout=DECODE_PATIENCE if busy() else None)
            except queue.Empty:
                yield None
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(timeout=10)  # a thread that decodes while the interpreter ends would crash it


def _load(task: LineTask) -> Audio:
    audio = load_audio(task.audio)
    if sha256_of(task.audio) != task.audio_sha256:
        raise MsmdError(f"{task.audio} has changed since the batch began", hint="run the batch again")
    return audio
