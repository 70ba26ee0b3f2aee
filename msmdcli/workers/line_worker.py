"""One worker: tasks in, outcomes out. It owns an engine, prepares recordings ahead and writes files in other threads.

`msmd batch` runs one in its own process, or several in processes of their own; what it does to a line is the same.
"""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msmdcli.batch.delivery import measure_voice
from msmdcli.controls.controls import NO_CONTROLS, Controlled, Controls, control
from msmdcli.controls.head_motion import HeadMotion
from msmdcli.controls.pins import Pinned
from msmdcli.errors import MsmdError
from msmdcli.formats.registry import write_temporary
from msmdcli.manifest.format_options import FormatOptions
from msmdcli.media.audio import Audio, load_audio
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.runtime import available_cores
from msmdcli.model.stores import Features, FeatureStore
from msmdcli.model.style_codes import SAFE_INTENSITY, StyleCode
from msmdcli.motion.curve_map import CurveMap
from msmdcli.motion.health import measure
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.styles.field import StyleField
from msmdcli.system.files import Written, sha256_of
from msmdcli.workers.read_ahead import read_ahead

AHEAD = 4  # recordings prepared while others are computed
MOST_READERS = 4  # threads that prepare them
RECORDINGS_KEPT = 2  # lines that share a recording come one after the other


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
        format_options: format name -> what is asked of it; see `msmdcli.manifest.format_options`.
        meta: notes for the files.
        head: head motion that takes the place of the model's, stretched to the line's length.
        curves: the curve map that makes the character's own controls of the motion; None leaves it on the bundle's rig.
        controls: what is asked of the line beyond its style.
        noise: what stands for the id where something is random; None is the id.
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
    head: HeadMotion | None = None
    curves: CurveMap | None = None
    controls: Controls = NO_CONTROLS
    noise: str | None = None
    format_options: FormatOptions | None = None


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
        controls: what the line's controls did, see `Controlled.facts`.
        voice: see `measure_voice`.
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
    controls: Mapping[str, float] = field(default_factory=dict)
    voice: Mapping[str, float] = field(default_factory=dict)

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


@dataclass(frozen=True)
class Recording:
    """A recording, and what the audio encoder heard: features [T, C]."""

    audio: Audio
    features: Features


class LineWorker:
    """Makes lines with one engine.

    Args:
        engine: the model.
        styles: encoded styles by the keys that tasks use.
    """

    def __init__(self, engine: Engine, styles: Mapping[str, StyleCode | None]) -> None:
        self.engine = engine
        self.styles = styles
        self._readers = min(max(1, (engine.runtime.threads or available_cores()) // 2), MOST_READERS)
        self._recordings: OrderedDict[str, Future[Recording]] = OrderedDict()  # by sha256
        self._features = FeatureStore()
        self._lock = threading.Lock()

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
            recordings = read_ahead(tasks, self._recording, self._readers, AHEAD, busy)
            with closing(recordings):
                for item in recordings:
                    if item is None:
                        yield None
                        continue
                    task, recording = item
                    try:
                        if isinstance(recording, Exception):
                            raise recording
                        job = self._job(task, recording)
                    except Exception as error:
                        failed.append(Outcome.failed(task.id, error))
                        continue
                    in_flight[task.id] = task, recording.audio
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

    def _recording(self, task: LineTask) -> Recording:
        """Decode and encode a line's recording; lines that share one share the work. Called in several threads."""
        with self._lock:
            found = self._recordings.get(task.audio_sha256)
            if found is None:
                mine: Future[Recording] = Future()
                self._recordings[task.audio_sha256] = mine
                while len(self._recordings) > RECORDINGS_KEPT:
                    self._recordings.popitem(last=False)
        if found is not None:
            return found.result()
        try:
            audio = load_audio(task.audio)
            if sha256_of(task.audio) != task.audio_sha256:
                raise MsmdError(f"{task.audio} has changed since the batch began", hint="run the batch again")
            mine.set_result(Recording(audio, self.engine.features(audio, self._features)))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()

    def _job(self, task: LineTask, recording: Recording) -> Job:
        styles = {key: self.styles[code] for key, code in task.codes.items()}
        bundle, features = self.engine.bundle, recording.features
        entries = task.field.entries(styles, len(features), bundle.fps, bundle.rig)
        constrain = None
        if task.controls.pins:
            constrain = Pinned.of(task.controls.pins, bundle.rig, bundle.fps, len(features)).met_by
        return Job(task.id, features, entries, task.seed, task.noise, constrain)

    def _rest(self, task: LineTask, frames: int) -> NDArray[np.float32] | None:
        """[D] the pose of the line's styles while their mouths are closed, each with its share; None: not known."""
        bundle = self.engine.bundle
        styles = {key: self.styles[code] for key, code in task.codes.items()}
        total = np.zeros(bundle.rig.size, np.float32)
        share = np.zeros(bundle.rig.size, np.float32)
        for entry in task.field.entries(styles, frames, bundle.fps, bundle.rig):
            if entry.style is not None and entry.style.rest is not None:
                weight = np.mean(np.atleast_2d(np.asarray(entry.weight, np.float32)), axis=0)  # [D] or [1]
                total += weight * entry.style.rest
                share += weight
        return total / share if (share > 0).all() else None

    def _finish(self, task: LineTask, audio: Audio, motion: Motion) -> Outcome:
        """Resample, do what the controls ask for, measure, hold within the ranges, write.

        Controls are applied at the frame rate of the output. The measures are taken at the bundle's, whatever the
        output's, of a motion with the same controls but the line's own length.
        """
        written: list[Written] = []
        try:
            bundle = self.engine.bundle
            rest = self._rest(task, motion.frames) if task.controls.gate.on else None
            name = task.id if task.noise is None else task.noise

            def controlled(line: Motion, controls: Controls) -> Controlled:
                return control(line, controls, audio, task.seed, name, rest)

            own_length = controlled(motion, replace(task.controls, length=None)).motion.values
            health = measure(own_length, motion.fps, motion.rig, bundle.window, audio.samples, audio.rate)
            motion = motion.clip()
            if task.fps is not None and task.fps != motion.fps:
                motion = motion.resample(task.fps, frame_count(audio.seconds, task.fps))
            if task.head is not None:
                motion = task.head.on(motion)
            result = controlled(motion, task.controls)
            motion = result.motion.clip()
            motion.meta.update(task.meta)
            if task.curves is not None:
                motion = task.curves.apply(motion)
            for fmt, target in task.targets.items():
                written.append(write_temporary(motion, target, fmt, (task.format_options or {}).get(fmt)))
            return Outcome(
                task.id,
                tuple(written),
                motion.frames,
                float(audio.seconds),
                health.as_dict(),
                (*_warnings(task, float(audio.seconds)), *result.warnings, *_format_warnings(task, written)),
                controls=result.facts,
                voice=measure_voice(audio.samples, audio.rate),
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


def _warnings(task: LineTask, seconds: float) -> Iterator[str]:
    low, high = SAFE_INTENSITY
    for segment in task.field.segments:
        intensity = task.field.intensity if segment.intensity is None else segment.intensity
        if not low <= intensity <= high:
            yield f"intensity {intensity:g} is outside the safe range of {low:g} to {high:g}"
        if segment.start >= seconds:
            yield f"the segment at {segment.start:g} s begins after the end of the recording ({seconds:.2f} s)"
