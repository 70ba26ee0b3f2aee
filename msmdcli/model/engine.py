"""The engine: jobs in, motion out. Lines are batched, window by window, in the same ONNX calls.

Every line goes through its windows in order; in each round one window of every line in flight is solved, with all its
rows (styles x guidance branches) in one call of the conditioner and one call of the denoiser per step. A line leaves
when its last window is done and the next one takes its place, so the device stays full.

The bytes of a line depend on the bundle, its audio, its style field, its pins, its seed and its id; not on its
neighbours, their order, the batch size or the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.model.audio_features import EncoderFormat, audio_features, feature_rows
from msmdcli.model.bundle import Bundle
from msmdcli.model.graphs import Graphs
from msmdcli.model.lines import ActiveLine, Job
from msmdcli.model.runtime import OnnxRuntime
from msmdcli.model.sampling import Sampling
from msmdcli.model.solver import Solver
from msmdcli.model.stores import LONG_ROWS, Features, FeatureStore, StyleStore, features_key
from msmdcli.model.style_codes import StyleCode, StyleEncoder
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.system.machine import lean_heap

Array = NDArray[np.float32]


class Engine:
    """A bundle, loaded and ready. Graphs are loaded when first needed and stay.

    Args:
        bundle: the model.
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.
        threads: per operator of conditioner and denoiser; 0 leaves it to ONNX Runtime (one per core).
        max_batch: rows per ONNX call; None chooses by device. It does not change a byte of the result.
        sampling: how to solve; None takes what the bundle recommends.
        spinning: whether threads that wait keep their core busy. It does not change a byte of the result.

    Attributes:
        graphs: the bundle's graphs.
        style_encoder: what encodes style references.
        solver: what solves windows.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        threads: int = 0,
        max_batch: int | None = None,
        sampling: Sampling | None = None,
        spinning: bool = True,
    ) -> None:
        self.bundle = bundle
        self.sampling = (sampling or Sampling()).resolve(bundle)
        self.runtime = OnnxRuntime(device, threads, spinning)
        self.graphs = Graphs(bundle, self.runtime, max_batch)
        self.style_encoder = StyleEncoder(self.graphs)
        self.solver = Solver(self.graphs)

    @property
    def device(self) -> str:
        """Where it runs: ``cpu``, ``cuda`` or ``tensorrt``."""
        return self.graphs.device

    @property
    def max_batch(self) -> int:
        """Rows per ONNX call."""
        return self.graphs.max_batch

    @property
    def follows_style(self) -> bool:
        """Whether the model takes a style at all (the `unconditioned` variant does not)."""
        return self.graphs.follows_style

    def load(self) -> None:
        """Load the graphs that lines need now, so that an unusable one shows before the first line."""
        self.graphs.load()

    def encode_audio(self, audio: Audio) -> Array:
        """Features [T, C] of a whole line, T = round(seconds x bundle fps), at the rate of the bundle's motion.

        May be called from several threads at once; each call computes in one.
        """
        form, frames = self._encoder_format(audio)
        return audio_features(audio.samples, self.encode_waveform, form, self.bundle.fps, frames)  # [T, C]

    def features(self, audio: Audio, store: FeatureStore) -> Features:
        """The same features, from the store where it has them; those of a long line stay on disk."""
        form, frames = self._encoder_format(audio)
        key = features_key(audio, self.bundle, self.device, self.runtime.version)
        with lean_heap() if frames > LONG_ROWS else nullcontext():
            return store.recall(
                key,
                (frames, form.dim * form.stack),
                lambda: feature_rows(audio.samples, self.encode_waveform, form, self.bundle.fps, frames),
            )

    def _encoder_format(self, audio: Audio) -> tuple[EncoderFormat, int]:
        """What the encoder makes of a recording, and the motion frames T that it has."""
        form = self.bundle.audio_encoder
        if audio.rate != form.rate:
            raise ValueError(f"audio at {audio.rate} Hz for an encoder at {form.rate} Hz")
        return form, frame_count(audio.seconds, self.bundle.fps)

    def encode_waveform(self, waveform: Array) -> Array:
        """The audio encoder itself: samples [1, S] -> features [1, F, C0] at its own rate."""
        features: Array = self.graphs.audio_encoder.run({"waveform": waveform}, ("features",))["features"]
        return features

    def encode_style(self, reference: Motion | Sequence[Motion], store: StyleStore | None = None) -> StyleCode:
        """The code of a style reference, one clip or several; see `StyleEncoder.encode`."""
        return self.style_encoder.encode(reference, store)

    def animate(
        self,
        jobs: Iterable[Job | None],
        *,
        clip: bool = True,
        on_error: Callable[[Job, MsmdError], None] | None = None,
    ) -> Iterator[tuple[Job, Motion]]:
        """Animate lines, several at a time. Jobs are taken as places become free, so a generator stays cheap.

        Args:
            jobs: the lines. None among them means that no other is ready yet: those in flight go on meanwhile, and once
                there is none this ends; the rest of `jobs` can be given to another call.
            clip: hold the motion within the rig's ranges (False: as generated, to measure by how much it leaves them).
            on_error: called for a line that fails; without it the error is raised and ends everything.

        Yields:
            (job, motion) as lines are done, at the bundle's frame rate with as many frames as the job's features.
        """
        source = iter(jobs)
        active: list[ActiveLine] = []
        waiting: ActiveLine | None = None  # taken from the source, but did not fit in the last round
        exhausted = False
        while True:
            used = sum(line.row_count for line in active)
            while not exhausted and (used < self.max_batch or not active):
                if waiting is None:
                    try:
                        job = next(source)
                    except StopIteration:
                        exhausted = True
                        break
                    if job is None:
                        break
                    try:
                        waiting = ActiveLine(job, self.bundle, self.sampling)
                    except MsmdError as error:
                        if on_error is None:
                            raise
                        on_error(job, error)
                        continue
                if active and used + waiting.row_count > self.max_batch:
                    break
                active.append(waiting)
                used += waiting.row_count
                waiting = None
            if not active:
                return
            self._advance(active, on_error)
            done = [line for line in active if line.done]
            active = [line for line in active if not line.done and not line.failed]
            for line in done:
                try:
                    motion = Motion(line.values, self.bundle.fps, self.bundle.rig)
                except MsmdError as error:  # not finite
                    if on_error is None:
                        raise
                    on_error(line.job, error)
                    continue
                yield line.job, motion.clip() if clip else motion

    def _advance(self, lines: list[ActiveLine], on_error: Callable[[Job, MsmdError], None] | None) -> None:
        """One window of each line, those that are solved alike in the same calls. A failing call is tried again with
        half of the lines, down to the one that fails."""
        ways: dict[tuple[object, ...], list[ActiveLine]] = {}
        for line in lines:
            ways.setdefault(line.sampling.process, []).append(line)
        if len(ways) > 1:
            for some in ways.values():
                self._advance(some, on_error)
            return
        layers = [layer for line in lines for layer in line.layers if not layer.done]
        if not layers:
            return  # all that is left of them is held
        try:
            solved = self.solver.solve(layers, lines[0].sampling)  # [L, N, D]
        except MsmdError as error:
            if len(lines) > 1:
                middle = len(lines) // 2
                self._advance(lines[:middle], on_error)
                self._advance(lines[middle:], on_error)
                return
            if on_error is None:
                raise
            lines[0].failed = True
            on_error(lines[0].job, error)
            return
        for layer, x in zip(layers, solved, strict=True):
            layer.accept(x)
