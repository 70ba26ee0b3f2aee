"""The Python API: what `msmd batch` does to a line, without files, and a batch as a function.

`animate()` and `Animator` plan, encode and finish a line with the same code as a batch: the motion is, byte for byte,
what `msmd batch` writes for a line of that id, style and seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from msmdcli.batch.planned import BatchOptions, PlannedLine
from msmdcli.batch.report import Record, kept_approved
from msmdcli.batch.run import run_with_records
from msmdcli.batch.tasks import tasks_of
from msmdcli.console import Console
from msmdcli.controls.controls import NO_CONTROLS, Controls
from msmdcli.controls.gesture import GestureLibrary
from msmdcli.documents.names import id_problem
from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.command_line import parse_choices
from msmdcli.manifest.lines import DEFAULT_STYLE, MAX_INTENSITY, MAX_SEED, Choices, Line, Manifest, style_field
from msmdcli.manifest.loading import load_manifest as load_manifest_on
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_bundle
from msmdcli.styles.field import DEFAULT_INTENSITY, StyleRef
from msmdcli.styles.library import StyleLibrary, StyleReference
from msmdcli.system.files import sha256_of
from msmdcli.workers.line_worker import LineWorker
from msmdcli.workers.recordings import EncodedRecording
from msmdcli.workers.task import LineTask

Recording = str | Path | Audio
StyleLike = str | Path | Motion | Mapping[str, float]


@dataclass(frozen=True)
class Style:
    """A style that was found; made by `Animator.style`.

    Attributes:
        refs: its parts as a style field names them.
        references: `StyleRef.key` -> the clips of each part; None is no style.
    """

    refs: tuple[StyleRef, ...]
    references: Mapping[tuple[str, Path], StyleReference | None]


@dataclass(frozen=True)
class MotionReference(StyleReference):
    """A style reference that is a motion in memory."""

    motion: Motion | None = None

    def load(self) -> list[Motion]:
        """The motion."""
        assert self.motion is not None
        return [self.motion]


class Animator:
    """A model that is loaded once and animates many recordings. Use it as a context, or call `close`.

    Args:
        bundle: the folder of a bundle; None is the one that ships.
        device: `auto`, `cpu` or `cuda`.
        threads: of each operator; 0 leaves it to ONNX Runtime. It changes no byte of the result.
        styles: folders of tags, before the library that ships.
        gestures: folders of gestures, before those that ship.
        sampling: sampler, steps and guidance; None is what the bundle recommends.

    Raises:
        MsmdError: the bundle, the device or a folder cannot be used.
    """

    def __init__(
        self,
        *,
        bundle: str | Path | None = None,
        device: str = "auto",
        threads: int = 0,
        styles: Sequence[str | Path] = (),
        gestures: Sequence[str | Path] = (),
        sampling: Sampling | None = None,
    ) -> None:
        self.bundle = Bundle.load(Path(bundle) if bundle else shipped_bundle())
        self.library = StyleLibrary(Path(folder) for folder in styles)
        self._gestures = GestureLibrary(tuple(Path(folder) for folder in gestures))
        self._engine: Engine | None = Engine(self.bundle, device, threads, None, sampling)
        self._features = FeatureStore()

    def __enter__(self) -> Animator:
        self.engine.load()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the model. The animator cannot be used any more."""
        self._engine = None

    @property
    def engine(self) -> Engine:
        """The model."""
        if self._engine is None:
            raise MsmdError("this Animator is closed", hint="make a new one")
        return self._engine

    def style(self, given: StyleLike | Style) -> Style:
        """A style, found and checked.

        Args:
            given: a tag, the path of a take (video, Live Link CSV, motion file; `take.mp4@3.2-9.0` is a part of it), a
                `Motion`, or a mapping of tags and paths to weights, of which only ratios matter.

        Raises:
            MsmdError: there is no such tag or file, or a weight is not positive.
        """
        if isinstance(given, Style):
            return given
        if isinstance(given, Motion):
            reference = MotionReference("motion", (), _sha256_of_motion(given), motion=given)
            ref = StyleRef("motion", Path())
            return Style((ref,), {ref.key: reference})
        weights = given if isinstance(given, Mapping) else {str(given): 1.0}
        if not weights:
            raise UsageError("an empty mix of styles", hint='give tags and weights: {"angry": 0.7, "sad": 0.3}')
        refs = []
        for name, weight in weights.items():
            if not (isinstance(weight, int | float) and 0 < weight < float("inf")):
                raise UsageError(f"weight {weight!r} of style {name!r}", hint="a weight is a number above 0")
            refs.append(StyleRef(str(name), Path(), float(weight)))
        return Style(tuple(refs), {ref.key: self.library.resolve(*ref.key) for ref in refs})

    def animate(
        self,
        audio: Recording,
        *,
        style: StyleLike | Style = DEFAULT_STYLE,
        id: str | None = None,
        seed: int = 0,
        fps: int | float | str | Fraction | None = None,
        intensity: float = DEFAULT_INTENSITY,
        controls: Controls = NO_CONTROLS,
    ) -> Motion:
        """Animate one recording.

        Args:
            audio: a file, or an `Audio` at the model's rate (`load_audio` gives one).
            style: see `style`.
            id: the line's id, from which its noise comes; None is the name of the file without its suffix.
            seed: another seed is another take.
            fps: frames per second, such as 30 or "30000/1001"; None is the model's.
            intensity: of the style; 0.5 to 1.5 is safe.
            controls: what is asked of the line beyond its style.

        Returns:
            The motion, [T, D] with T = round(duration x fps), within the rig's ranges.

        Raises:
            MsmdError: the recording, the style or a control cannot be used.
        """
        key = id or _name_of(audio)
        lines = self.animate_many({key: audio}, style=style, seed=seed, fps=fps, intensity=intensity, controls=controls)
        return next(motion for _, motion in lines)

    def animate_many(
        self,
        recordings: Mapping[str, Recording],
        *,
        style: StyleLike | Style = DEFAULT_STYLE,
        seed: int = 0,
        fps: int | float | str | Fraction | None = None,
        intensity: float = DEFAULT_INTENSITY,
        controls: Controls = NO_CONTROLS,
    ) -> Iterator[tuple[str, Motion]]:
        """Animate recordings, several at a time.

        Args:
            recordings: line id -> recording.
            style, seed, fps, intensity, controls: see `animate`.

        Yields:
            (id, motion), each as it is done.

        Raises:
            MsmdError: a recording, the style or a control cannot be used.
        """
        found = self.style(style)
        choices = _choices(found, seed, fps, intensity)
        located = controls.located(self._gestures)
        planned = [self._planned(key, audio, found, choices, located) for key, audio in recordings.items()]
        tasks = tasks_of(planned, Path(), self.engine, _raise)
        worker = LineWorker(self.engine, tasks.styles, tasks.clips)
        by_id: dict[str, tuple[LineTask, EncodedRecording]] = {}

        def jobs() -> Iterator[Job]:
            for task in tasks.tasks:
                given = recordings[task.id]
                recording = worker.heard(given) if isinstance(given, Audio) else worker.recording(task)
                by_id[task.id] = task, recording
                yield worker.job(task, recording)

        for job, motion in self.engine.animate(jobs(), clip=False):
            task, recording = by_id.pop(job.id)
            yield job.id, worker.finished(task, recording, motion).motion

    def _planned(self, key: str, audio: Recording, style: Style, choices: Choices, controls: Controls) -> PlannedLine:
        why = id_problem(key)
        if why:
            raise UsageError(f"{key!r} cannot be the id of a line: {why}", hint="give another id")
        path = Path() if isinstance(audio, Audio) else Path(audio).expanduser()
        if not isinstance(audio, Audio) and not path.is_file():
            raise MsmdError(f"no such recording: {path}", hint="give a sound file, a video or an Audio")
        return PlannedLine(
            Line(key, path, choices, where=key),
            choices,
            style_field(choices, Path()),
            controls,
            references=style.references,
            audio_sha256="" if isinstance(audio, Audio) else sha256_of(path),
        )


def animate(
    audio: Recording,
    style: StyleLike = DEFAULT_STYLE,
    *,
    id: str | None = None,
    seed: int = 0,
    fps: int | float | str | Fraction | None = None,
    intensity: float = DEFAULT_INTENSITY,
    controls: Controls = NO_CONTROLS,
    bundle: str | Path | None = None,
    device: str = "auto",
) -> Motion:
    """Animate one recording with a model that is loaded for it; see `Animator.animate`. For many, keep an
    `Animator`."""
    with Animator(bundle=bundle, device=device) as animator:
        return animator.animate(audio, style=style, id=id, seed=seed, fps=fps, intensity=intensity, controls=controls)


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch.

    Attributes:
        exit_code: 0 all well, 1 some lines failed, 130 interrupted.
        records: of the lines, as in OUT/report.json; none of a dry run.
    """

    exit_code: int
    records: tuple[Record, ...]

    @property
    def kept_approved(self) -> tuple[str, ...]:
        """Ids of lines that have changed since they were approved, and whose approved takes stay (`force`: made)."""
        return kept_approved(self.records)


def batch(
    manifest: str | Path | Manifest | BatchOptions,
    out: str | Path | None = None,
    *,
    style: str | None = None,
    formats: str | None = None,
    fps: str | None = None,
    seed: int | None = None,
    console: Console | None = None,
    **options: Any,
) -> BatchResult:
    """Do what `msmd batch` does; its contract is the text of `msmdcli.batch`.

    Args:
        manifest: a manifest, a folder of recordings or one recording; or options that say everything.
        out: the folder of the outputs.
        style, formats, fps, seed: as on the command line; lines that say something else keep it.
        console: where it talks; None is quiet but for warnings.
        options: further fields of `BatchOptions`, such as `jobs`, `force`, `device`, `bundle`.

    Raises:
        UsageError: the options or the manifest are wrong, nothing was started.
        MsmdError: the bundle or this machine cannot do it at all.
    """
    if isinstance(manifest, BatchOptions):
        given = manifest
    else:
        if out is None:
            raise UsageError("a batch without a folder for its outputs", hint="give out")
        asked: dict[str, Any] = {"style": style, "formats": formats, "fps": fps, "seed": seed}
        choices = parse_choices(**asked)
        source = manifest if isinstance(manifest, Manifest) else Path(manifest)
        try:
            given = BatchOptions(source, Path(out), choices, asked, **options)
        except TypeError as error:
            raise UsageError(f"batch: {error}", hint="the options are the fields of BatchOptions") from None
    code, records = run_with_records(given, console or Console(verbosity=-1))
    return BatchResult(code, records)


def load_manifest(path: str | Path, rig: Rig | None = None) -> Manifest:
    """Read a manifest in any of its forms: a YAML, JSON or CSV file, a folder of recordings, one recording.

    Args:
        path: of it.
        rig: whose regions and channels the lines may name; None is `arkit52`.

    Raises:
        ManifestError: with everything that is wrong.
    """
    return load_manifest_on(Path(path), rig or Rig.load("arkit52"))


def _choices(style: Style, seed: int, fps: int | float | str | Fraction | None, intensity: float) -> Choices:
    if not (isinstance(seed, int) and 0 <= seed <= MAX_SEED):
        raise UsageError(f"seed {seed!r}", hint=f"a seed is a whole number from 0 to {MAX_SEED}")
    if not (isinstance(intensity, int | float) and 0 <= intensity <= MAX_INTENSITY):
        raise UsageError(f"intensity {intensity!r}", hint=f"an intensity is a number from 0 to {MAX_INTENSITY:g}")
    rate = None if fps is None else parse_fps(fps if isinstance(fps, Fraction | str) else str(fps))
    return Choices(style=style.refs, seed=seed, fps=rate, intensity=float(intensity))


def _name_of(audio: Recording) -> str:
    if isinstance(audio, Audio):
        raise UsageError("a recording in memory has no name", hint="give the line an id")
    return Path(audio).with_suffix("").name


def _sha256_of_motion(motion: Motion) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(motion.values, np.float32).tobytes())
    digest.update(f"{motion.fps} {motion.rig.channels}".encode())
    return digest.hexdigest()


def _raise(planned: PlannedLine, error: MsmdError) -> None:
    raise error
