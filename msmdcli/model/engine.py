"""The engine: jobs in, motion out. Lines are batched, window by window, in the same ONNX calls.

Every line goes through its windows in order; in each round one window of every line in flight is solved, with all its
rows (styles x guidance branches) in one call of the conditioner and one call of the denoiser per step. A line leaves
when its last window is done and the next one takes its place, so the device stays full.

The bytes of a line depend on the bundle, its audio, its style field, its pins, its seed and its id; not on its
neighbours, their order, the batch size or the number of threads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.silence_gate import resting_pose
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import Audio
from msmdcli.model.audio_features import EncoderFormat, audio_features, feature_rows
from msmdcli.model.bundle import Bundle
from msmdcli.model.feature_store import LONG_ROWS, Features, FeatureStore, features_key
from msmdcli.model.guidance import WHOLE, Interval, acts, check_interval, rescaled
from msmdcli.model.runtime import Graph, OnnxRuntime, on_host
from msmdcli.model.samplers import Sampler, make_sampler
from msmdcli.model.solver import STEP_GRAPH, DeviceSolver, Mixing
from msmdcli.model.style_store import StyleStore, style_key
from msmdcli.model.windows import Window, window_at, window_audio, window_count, window_mask
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.system.heap import lean_heap

Array = NDArray[np.float32]

MAX_REFERENCE_SECONDS = 60  # a longer style reference is encoded in equal pieces: attention grows with the square
BATCH_ROWS = {
    "cpu": 8,
    "cuda": 64,
    "tensorrt": 64,
}  # rows per ONNX call; more rows than this gain nothing on such a device
INTENSITY_RANGE = (0.0, 3.0)  # what is accepted
SAFE_INTENSITY = (0.5, 1.5)  # under 2 % of values leave their range, the jaw moves as at 1 (measure_style_field.py)


@dataclass(frozen=True, eq=False)
class StyleCode:
    """A style reference as the networks see it.

    Attributes:
        code: [S] s, the mean of the style encoder's posterior.
        anchor: [2 D] the reference's mean pose and its standard deviation over time, normalised.
        key: sha256 of both; equal keys are the same style.
        rest: [D] the reference's pose while its mouth is closed and still, in rig units; None where it is not known.
    """

    code: Array
    anchor: Array
    key: str
    rest: Array | None = None

    @classmethod
    def of(cls, code: Array, anchor: Array, rest: Array | None = None) -> StyleCode:
        return cls(code, anchor, hashlib.sha256(code.tobytes() + anchor.tobytes()).hexdigest(), rest)


@dataclass(frozen=True, eq=False)
class StyleEntry:
    """One style of a line's style field.

    Attributes:
        style: which; None is the learned null style (`--style none`).
        weight: its share: a number, or an array that broadcasts to [T, D]. Over all entries of a line the weights are
            brought to a sum of 1 for each frame and channel.
        intensity: how far the style's resting pose and its basis go: 1 as in the reference, 0 not at all (the average
            manner of the training set), safe between 0.5 and 1.5. It scales the mean of the anchor, and with it the
            offset of eq. 4's basis, and the basis poses themselves.
    """

    style: StyleCode | None
    weight: float | Array = 1.0
    intensity: float = 1.0


@dataclass(frozen=True, eq=False)
class Job:
    """A line to animate.

    Attributes:
        id: its name; part of the seed of its noise unless `noise` is given.
        features: [T, C] audio features, one row per motion frame (`Engine.encode_audio`, `Engine.hear`).
        entries: its style field, at least one entry.
        seed: the user's seed.
        noise: what stands for the id in the seed of its noise: takes of one line share it.
        constrain: called in every step of the sampling with the prediction [n, D] in rig units for the line's frames
            from `first` on (n <= N); what it returns takes the prediction's place. It must depend on nothing else.
        watch_alpha: called once per window, after its last step, with alpha [n, K] of eq. 4 for the line's frames from
            `first` on: the coefficients of the style basis, of the first style that has weight there. It changes
            nothing.
    """

    id: str
    features: Features
    entries: Sequence[StyleEntry]
    seed: int = 0
    noise: str | None = None
    constrain: Callable[[Array, int], Array] | None = None
    watch_alpha: Callable[[Array, int], None] | None = None

    @property
    def noise_name(self) -> str:
        """What the noise is seeded with, besides the seed."""
        return self.id if self.noise is None else self.noise


@dataclass(frozen=True)
class Sampling:
    """How the reverse process is solved. None: what the bundle recommends.

    Attributes:
        sampler: ``ddpm``, ``ddim`` or ``dpmpp-2m``.
        steps: network evaluations per window.
        guidance_audio, guidance_style: lambda of eq. 6; a branch whose scale is 0 is not computed.
        guidance_interval: the shares of the noise between which there is guidance; elsewhere no branch is computed.
        guidance_rescale: 0 to 1, how far what guidance gives is brought back to the spread of the prediction without.
    """

    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    guidance_interval: Interval | None = None
    guidance_rescale: float | None = None

    @property
    def guided(self) -> bool:
        """Whether there is any guidance."""
        return bool(self.guidance_audio or self.guidance_style)

    def description(self) -> dict[str, Any]:
        """For reports and for the keys of lines: an option that has no effect is not in it."""
        described = asdict(self)
        if not self.guided or self.guidance_interval in (None, WHOLE):
            del described["guidance_interval"]
        if not self.guided or not self.guidance_rescale:
            del described["guidance_rescale"]
        return described

    def resolve(self, bundle: Bundle) -> Sampling:
        """With the bundle's recommendations in place of None. Its number of steps goes with its sampler only."""
        defaults = bundle.defaults
        recommended = defaults.get("sampler", "dpmpp-2m")
        name = self.sampler or recommended
        steps = self.steps if self.steps is not None else defaults.get("steps") if name == recommended else None
        solver = make_sampler(name, bundle.schedule, steps)  # refuses unknown names and numbers
        guidance = defaults.get("guidance") or {}
        scales = []
        for what, given in (("audio", self.guidance_audio), ("style", self.guidance_style)):
            scale = float(guidance.get(what, 0.0) if given is None else given)
            if not 0 <= scale <= 10:
                raise UsageError(f"guidance scale {scale} for {what}", hint="give 0 (off) to 10; 0.5 to 1 is usual")
            scales.append(scale)
        interval = check_interval(self.guidance_interval or guidance.get("interval", WHOLE))
        rescale = float(guidance.get("rescale", 0.0) if self.guidance_rescale is None else self.guidance_rescale)
        if not 0 <= rescale <= 1:
            raise UsageError(f"guidance rescale {rescale:g}", hint="give 0 (off) to 1; 0.7 is usual")
        return Sampling(name, len(solver.timesteps), scales[0], scales[1], interval, rescale)


class Engine:
    """A bundle, loaded and ready. Graphs are loaded when first needed and stay.

    Args:
        bundle: the model.
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.
        threads: per operator of conditioner and denoiser; 0 leaves it to ONNX Runtime (one per core).
        max_batch: rows per ONNX call; None chooses by device. It does not change a byte of the result.
        sampling: how to solve; None takes what the bundle recommends.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        threads: int = 0,
        max_batch: int | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        if max_batch is not None and max_batch < 1:
            raise UsageError(f"a batch of {max_batch} rows", hint="give 1 or more")
        self.bundle = bundle
        self.sampling = (sampling or Sampling()).resolve(bundle)
        self.runtime = OnnxRuntime(device, threads)
        self._max_batch = max_batch

    @property
    def device(self) -> str:
        """Where it runs: ``cpu``, ``cuda`` or ``tensorrt``."""
        return self.runtime.device

    @property
    def max_batch(self) -> int:
        """Rows per ONNX call."""
        return self._max_batch or BATCH_ROWS[self.device]

    @cached_property
    def _audio_encoder(self) -> Graph:
        # One thread: ONNX Runtime divides a convolution among threads at places that show in the last bits.
        return self._graph("audio_encoder.onnx", threads=1, varying=True)

    @cached_property
    def _style_encoder(self) -> Graph:
        return self._graph("style_encoder.onnx", threads=1, varying=True)

    @cached_property
    def _conditioner(self) -> Graph:
        return self._graph("conditioner.onnx")

    @cached_property
    def _denoiser(self) -> Graph:
        return self._graph("denoiser.onnx", captured=True)

    def _graph(self, name: str, **how: Any) -> Graph:
        """One of the bundle's graphs."""
        path = self.bundle.file(name)
        return self.runtime.load(path, sha256=self.bundle.files[name]["sha256"], **how)

    @cached_property
    def _solver_step(self) -> Graph:
        return self.runtime.load(STEP_GRAPH)

    @property
    def follows_style(self) -> bool:
        """Whether the model takes a style at all (the `unconditioned` variant does not)."""
        return "style_encoder.onnx" in self.bundle.files

    def load(self) -> None:
        """Load the graphs that lines need now, so that an unusable one shows before the first line. Styles are encoded
        before, or known already."""
        graphs = [self._audio_encoder, self._conditioner, self._denoiser]
        if self.runtime.bound:
            graphs.append(self._solver_step)

    def encode_audio(self, audio: Audio) -> Array:
        """Features [T, C] of a whole line, T = round(seconds x bundle fps), at the rate of the bundle's motion.

        May be called from several threads at once; each call computes in one.
        """
        form, frames = self._heard_as(audio)
        return audio_features(audio.samples, self._encode, form, self.bundle.fps, frames)  # [T, C]

    def hear(self, audio: Audio, store: FeatureStore) -> Features:
        """The same features, from the store where it has them; those of a long line stay on disk."""
        form, frames = self._heard_as(audio)
        key = features_key(audio, self.bundle, self.device, self.runtime.version)
        with lean_heap() if frames > LONG_ROWS else nullcontext():
            return store.hear(
                key,
                (frames, form.dim * form.stack),
                lambda: feature_rows(audio.samples, self._encode, form, self.bundle.fps, frames),
            )

    def _heard_as(self, audio: Audio) -> tuple[EncoderFormat, int]:
        """What the encoder makes of a recording, and the motion frames T that it has."""
        form = self.bundle.audio_encoder
        if audio.rate != form.rate:
            raise ValueError(f"audio at {audio.rate} Hz for an encoder at {form.rate} Hz")
        return form, frame_count(audio.seconds, self.bundle.fps)

    def _encode(self, waveform: Array) -> Array:
        """[1, S] -> [1, F, C0]."""
        features: Array = self._audio_encoder.run({"waveform": waveform}, ("features",))["features"]
        return features

    def encode_style(self, reference: Motion | Sequence[Motion], store: StyleStore | None = None) -> StyleCode:
        """The code of a style reference of any length, at any frame rate.

        Several clips are encoded one by one, and code and anchor averaged, each clip weighing as its number of frames
        (concatenating them would show the encoder jumps that nobody performed). A clip longer than
        `MAX_REFERENCE_SECONDS` counts as several.

        Args:
            reference: one clip or several.
            store: where what was encoded in an earlier run is found, and kept for the next.
        """
        clips = [reference] if isinstance(reference, Motion) else list(reference)
        if not clips:
            raise MsmdError("a style reference without clips")
        if store is None or not store.limit:
            return StyleCode.of(*self._encode_style(clips))
        key = style_key(clips, self.bundle, MAX_REFERENCE_SECONDS, self.device, self.runtime.version)
        D = self.bundle.rig.size
        sizes = (int(self.bundle.model.get("style_dim", 0)), 2 * D, D)  # code, anchor, rest
        return StyleCode.of(*store.recall(key, sizes, lambda: self._encode_style(clips)))

    def _encode_style(self, clips: Sequence[Motion]) -> tuple[Array, Array, Array]:
        """Code [S], anchor [2 D] and resting pose [D] of a style reference."""
        codes, anchors, frames = [], [], []
        rests = []
        for clip in clips:
            rests.append(resting_pose(clip))
            for piece in self._reference_pieces(clip):  # [T', D]
                out = self._style_encoder.run(
                    {"motion": piece[None], "mask": np.ones((1, len(piece)), np.float32)}, ("code", "anchor")
                )
                codes.append(out["code"][0].astype(np.float64))
                anchors.append(out["anchor"][0].astype(np.float64))
                frames.append(len(piece))
        share = np.array(frames) / sum(frames)
        code, anchor = (sum(w * v for w, v in zip(share, parts, strict=True)) for parts in (codes, anchors))
        if not (np.isfinite(code).all() and np.isfinite(anchor).all()):
            raise MsmdError("the style encoder gave NaN or infinity", hint="check the bundle with `msmd doctor`")
        rest = np.mean(rests, axis=0).astype(np.float32)  # [D]
        return np.asarray(code, np.float32), np.asarray(anchor, np.float32), rest

    def _reference_pieces(self, clip: Motion) -> list[Array]:
        """A clip on the bundle's rig and frame rate, normalised, in equal pieces of at most `MAX_REFERENCE_SECONDS`."""
        if clip.rig.channels != self.bundle.rig.channels:
            raise MsmdError(f"a style reference on rig {clip.rig.name}, but the bundle is for {self.bundle.rig.name}")
        values = self.bundle.normalisation.forward(clip.resample(self.bundle.fps).values)  # [T, D]
        longest = int(MAX_REFERENCE_SECONDS * self.bundle.fps)
        return np.array_split(values, window_count(len(values), longest))

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
        active: list[_Line] = []
        waiting: _Line | None = None  # taken from the source, but did not fit in the last round
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
                        waiting = _Line(job, self.bundle, self.sampling)
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

    def seconds_per_second(self) -> float:
        """Seconds of computing per second of sound on this machine, measured on one full batch of windows."""
        audio = self._noise()
        job = Job("warm-up", self.encode_audio(audio), [StyleEntry(None)])
        list(self.animate([job]))  # the first run of a graph is slower
        begin = time.perf_counter()
        jobs = [Job(str(i), self.encode_audio(audio), [StyleEntry(None)]) for i in range(self.max_batch)]
        list(self.animate(jobs))
        return (time.perf_counter() - begin) / (self.max_batch * float(audio.seconds))

    def step_timer(self, rows: int) -> Callable[[], object]:
        """A call that runs one denoising step of `rows` windows of noise, conditions made: what a benchmark times."""
        (layer,) = self._noise_line().layers
        condition = self._condition([layer], layer.rows * rows, np.zeros(rows, np.int64))
        shape = (rows, self.bundle.window, self.bundle.rig.size)  # R, N, D
        each = np.arange(rows)  # no row shares anything with another
        feeds: dict[str, NDArray[Any]] = {
            "x": np.random.default_rng(0).standard_normal(shape, dtype=np.float32),
            "t": np.full(rows, self.bundle.schedule.steps // 2, np.int64),
            **self._denoiser.hold(
                {"mask": np.ones(shape[:2], np.float32), "distinct": each, "twin": each, **condition}
            ),
        }
        return lambda: self._denoiser.run(feeds, ("x0",))

    def window_timer(self) -> Callable[[], object]:
        """A call that solves one window of noise at the engine's settings, its sound already encoded."""
        job = self._noise_line().job
        return lambda: self._solve(_Line(job, self.bundle, self.sampling).layers)

    def _noise_line(self) -> _Line:
        return _Line(Job("noise", self.encode_audio(self._noise()), [StyleEntry(None)]), self.bundle, self.sampling)

    def check_same_bytes(self) -> bool:
        """Whether a line has the same bytes alone and among others on this machine, as it must have."""
        features = self.encode_audio(self._noise())
        jobs = [Job(str(i), features, [StyleEntry(None)]) for i in range(max(self.max_batch, 2))]
        together = {job.id: motion.values for job, motion in self.animate(jobs)}
        return all(
            np.array_equal(together[job.id], motion.values) for one in jobs[:3] for job, motion in self.animate([one])
        )

    def _noise(self) -> Audio:
        """One window of faint noise, to run the model on."""
        rate = self.bundle.audio_encoder.rate
        samples = round(self.bundle.window / self.bundle.fps * rate)
        noise = np.random.default_rng(0).standard_normal(samples, dtype=np.float32) * np.float32(0.05)
        return Audio(noise, rate, rate, 1, Fraction(samples, rate))

    def _advance(self, lines: list[_Line], on_error: Callable[[Job, MsmdError], None] | None) -> None:
        """One window of each line. A failing call is tried again with half of the lines, down to the one that fails."""
        layers = [layer for line in lines for layer in line.layers]
        try:
            solved = self._solve(layers)  # [L, N, D]
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

    def _solve(self, layers: list[_Layer]) -> Array:
        """Solve the current window of each of L layers: noise -> normalised motion [L, N, D]."""
        sampling = self.sampling
        sampler = make_sampler(sampling.sampler or "", self.bundle.schedule, sampling.steps)
        generators = [window_rng(layer.job.seed, layer.job.noise_name, layer.window.index) for layer in layers]
        shape = (self.bundle.window, self.bundle.rig.size)  # N, D
        x = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in generators])  # [L, N, D]
        if self._solves_on_device(layers):
            return self._solve_on_device(layers, sampler, generators, x)
        watched = any(layer.job.watch_alpha for layer in layers)
        calls: dict[bool, _Calls] = {}  # with and without guidance
        for i, t in enumerate(sampler.timesteps):
            guided = acts(sampling.guidance_interval or WHOLE, int(t), self.bundle.schedule.steps)
            if guided not in calls:
                calls[guided] = self._calls(layers, guided)
            now = calls[guided]
            wanted = ("x0", "alpha") if watched and i == len(sampler.timesteps) - 1 else ("x0",)
            predictions, alphas = self._predict(now, x, int(t), wanted)
            x0_hat = _mix(predictions, now.rows, now.owner, guided)  # [R, N, D] -> [L, N, D]
            if guided and sampling.guided and sampling.guidance_rescale:
                plain = _mix(predictions, now.rows, now.owner, False)
                for number, layer in enumerate(layers):
                    x0_hat[number] = rescaled(
                        x0_hat[number], plain[number], layer.window.frames, sampling.guidance_rescale
                    )
            for number, layer in enumerate(layers):
                layer.constrain(x0_hat[number])
            if alphas:
                _show_alpha(layers, now.owner, alphas)
            noise = None
            if sampler.stochastic and i < len(sampler.timesteps) - 1:
                noise = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in generators])
            x = sampler.step(x0_hat, i, x, noise)
        return x

    def _solves_on_device(self, layers: list[_Layer]) -> bool:
        """Whether no step has anything to do on the host: pins and the spread of guided motion are looked at there."""
        rows = sum(len(layer.rows) for layer in layers)
        return (
            self.runtime.bound
            and rows <= self.max_batch
            and not (self.sampling.guided and self.sampling.guidance_rescale)
            and not any(layer.job.constrain for layer in layers)
        )

    def _solve_on_device(
        self, layers: list[_Layer], sampler: Sampler, generators: list[np.random.Generator], x: Array
    ) -> Array:
        """`_solve` with everything on the device but the noise of stochastic samplers; x [L, N, D] is x_T."""
        graph, steps = self._solver_step, sampler.timesteps
        interval = self.sampling.guidance_interval or WHOLE
        guided = [acts(interval, int(t), self.bundle.schedule.steps) for t in steps]
        calls = {way: self._calls(layers, way) for way in dict.fromkeys(guided)}
        mixing = {
            way: Mixing(graph, call.owner, [row.factor if way else row.plain for row in call.rows])
            for way, call in calls.items()
        }
        wanted = ("x0", "alpha") if any(layer.job.watch_alpha for layer in layers) else ("x0",)
        solver = DeviceSolver(graph, x)
        rows = solver.rows(x, calls[guided[0]].owner)
        predicted: dict[str, Any] = {}
        for i, t in enumerate(steps):
            now = calls[guided[i]]
            feeds = {"x": rows, "t": np.full(len(now.rows), t, np.int64), **now.conditions[0]}
            if self._denoiser.captures and len(now.rows) == self.max_batch:  # the shape that comes again and again
                predicted = self._denoiser.replay(feeds, wanted, 2 * now.distinct + len(wanted))
            else:
                predicted = self._denoiser.keep(feeds, wanted)
            is_last = i == len(steps) - 1
            noise = None
            if sampler.stochastic and not is_last:
                noise = np.stack([rng.standard_normal(x.shape[1:], dtype=np.float32) for rng in generators])
            following = now if is_last else calls[guided[i + 1]]
            rows = solver.step(predicted["x0"], mixing[guided[i]], sampler.weights(i), noise, following.owner)
        if "alpha" in predicted:
            _show_alpha(layers, calls[guided[-1]].owner, on_host(predicted["alpha"]))
        return on_host(solver.x)

    def _calls(self, layers: list[_Layer], guided: bool) -> _Calls:
        """What a step of these layers computes, with guidance or without, and its conditions on the device."""
        pairs = [(row, number) for number, layer in enumerate(layers) for row in layer.rows if guided or row.is_plain]
        rows, owner = [row for row, _ in pairs], np.array([number for _, number in pairs])  # [R] row -> layer
        mask = np.stack([window_mask(layer.window, self.bundle.window) for layer in layers])  # [L, N]
        chunks = [slice(a, a + self.max_batch) for a in range(0, len(rows), self.max_batch)]
        conditions = []
        distinct = twin = np.zeros(0, np.int64)
        for chunk in chunks:
            distinct, twin = _twins(rows[chunk], owner[chunk])
            made = self._condition(layers, rows[chunk], owner[chunk])
            known = {"mask": mask[owner[chunk]], "distinct": distinct, "twin": twin, **made}
            conditions.append(self._denoiser.hold(known))
        return _Calls(rows, owner, chunks, conditions, len(distinct))

    def _predict(self, calls: _Calls, x: Array, t: int, wanted: tuple[str, ...]) -> tuple[Array, list[Array]]:
        """x [L, N, D] -> the predictions of all rows [R, N, D], and alpha [N, K] of each where it is wanted."""
        predictions: list[Array] = []
        alphas: list[Array] = []
        for chunk, condition in zip(calls.chunks, calls.conditions, strict=True):
            of = calls.owner[chunk]
            outputs = self._denoiser.run({"x": x[of], "t": np.full(len(of), t, np.int64), **condition}, wanted)
            predictions.append(outputs["x0"])  # [R', N, D]
            alphas.extend(outputs.get("alpha", ()))
        return np.concatenate(predictions), alphas

    def _condition(self, layers: list[_Layer], rows: list[_Row], owner: NDArray[np.int64]) -> dict[str, Any]:
        """Everything that does not depend on the step, once per window: the conditioner's outputs for R rows, on the
        device."""
        D = self.bundle.rig.size
        audio = {layer: layers[layer].audio for layer in set(owner.tolist())}
        S = int(self.bundle.model.get("style_dim", 0))
        code = np.stack([np.zeros(S, np.float32) if row.style is None else row.style.code for row in rows])  # [R, S]
        anchor = np.stack([np.zeros(2 * D, np.float32) if row.style is None else row.style.anchor for row in rows])
        intensity = np.array([row.intensity for row in rows], np.float32)  # [R]
        scaled = intensity != 1  # only these: rounding must not let a line's bytes depend on its neighbours
        if scaled.any():
            anchor[scaled, :D] = self._scaled_rest(anchor[scaled], intensity[scaled])
        feeds = {
            "audio": np.stack([audio[layer] for layer in owner]),  # [R, P + N, C]
            "previous": np.stack([layers[layer].previous for layer in owner]),  # [R, P, D]
            "start": np.array([layers[layer].window.index == 0 for layer in owner], np.float32),  # [R]
            "code": code,
            "anchor": anchor,
            "audio_null": np.array([row.audio_null for row in rows], np.float32),  # [R]
            "style_null": np.array([row.style is None for row in rows], np.float32),  # [R]
        }
        outputs = self._conditioner.keep(feeds)
        if "basis" in outputs and scaled.any():
            outputs["basis"] = on_host(outputs["basis"]) * intensity[:, None, None]  # [R, K, D]
        return outputs

    def _scaled_rest(self, anchor: Array, intensity: Array) -> Array:
        """Resting poses [R, D], normalised, `intensity` [R] times as far from the training set's as those of anchors.

        A channel keeps the room that it moves in: its rest comes no nearer to an end of its range than the smaller of
        its distance in the reference and its standard deviation there. Else most channels, which rest near 0, would be
        pushed below it by a strong intensity, and stand still.
        """
        D, bundle = self.bundle.rig.size, self.bundle
        rest, swing = anchor[:, :D], anchor[:, D:]  # [R, D] each
        std = np.where(bundle.normalisation.std > 0, bundle.normalisation.std, 1)
        lower = (bundle.rig.lower - bundle.normalisation.mean) / std  # [D], normalised
        upper = (bundle.rig.upper - bundle.normalisation.mean) / std
        least = lower + np.clip(rest - lower, 0, swing)
        most = upper - np.clip(upper - rest, 0, swing)
        return np.clip(rest * intensity[:, None], least, np.maximum(least, most)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Row:
    """One row of an ONNX call: a style under one guidance branch, and its factor in the layer's prediction, with
    guidance and without."""

    style: StyleCode | None
    intensity: float
    audio_null: bool
    factor: Array  # [N or 1, 1]
    plain: Array  # [N or 1, 1]

    @property
    def is_plain(self) -> bool:
        """Whether it counts without guidance, too."""
        return bool(self.plain.any())


@dataclass(frozen=True, eq=False)
class _Calls:
    """The ONNX calls of one step.

    Attributes:
        rows: what is predicted, R of them.
        owner: [R] the number of the layer that each is for.
        chunks: the rows of each call.
        conditions: of each call, on the device.
        distinct: rows of the last call that differ in more than their sound.
    """

    rows: list[_Row]
    owner: NDArray[np.int64]
    chunks: list[slice]
    conditions: list[dict[str, Any]]
    distinct: int


class _Line:
    """A line in flight: its layers, which go through their windows together.

    A layer is a group of channels with the same styles at every frame. Each is generated as a whole face, from the same
    noise and sound, and only its own channels are kept. So an upper face in another style does not move the mouth: were
    the layers mixed in every step, the network would answer to the strange half (channels outside a region then moved
    by up to a quarter of what those inside did).
    """

    def __init__(self, job: Job, bundle: Bundle, sampling: Sampling) -> None:
        if len(job.features) == 0:
            raise MsmdError(f"line {job.id}: no audio features", hint="the recording is empty")
        self.job = job
        self.failed = False
        weights = _normalised_weights(job, bundle.rig.size)
        self.layers = [
            _Layer(job, channels, own, number == 0, bundle, sampling)
            for number, (channels, own) in enumerate(_layers(weights, bundle.rig.size))
        ]

    @property
    def done(self) -> bool:
        return self.layers[0].done

    @property
    def row_count(self) -> int:
        return sum(len(layer.rows) for layer in self.layers)

    @property
    def values(self) -> Array:
        """[T, D] in rig units, each channel from its layer."""
        values = self.layers[0].values
        for layer in self.layers[1:]:
            values[:, layer.channels] = layer.values[:, layer.channels]
        return values


class _Layer:
    """Some channels of a line: which window is next, what came before it, what is done.

    Args:
        job: the line.
        channels: [d] its columns.
        weights: of the job's entries, each [T or 1, 1].
        is_first: of the line's layers.
    """

    def __init__(
        self,
        job: Job,
        channels: NDArray[np.int64],
        weights: list[Array],
        is_first: bool,
        bundle: Bundle,
        sampling: Sampling,
    ) -> None:
        self.job = job
        self.channels = channels
        self.is_first = is_first
        self._weights = weights
        self._bundle = bundle
        self._sampling = sampling
        self.values = np.empty((len(job.features), bundle.rig.size), np.float32)  # [T, D], rig units
        self.previous = np.zeros((bundle.previous, bundle.rig.size), np.float32)  # [P, D], normalised
        self._go_to(0)

    def _go_to(self, index: int) -> None:
        self.window: Window = window_at(index, len(self.values), self._bundle.window)
        self.done = self.window.start >= len(self.values)
        self.rows: list[_Row] = [] if self.done else self._make_rows()

    @property
    def audio(self) -> Array:
        """[P + N, C] of the current window."""
        return window_audio(self.job.features, self.window, self._bundle.window, self._bundle.previous)

    def constrain(self, x0_hat: Array) -> None:
        """Let the job correct a prediction [N, D] of the current window, in place. What it leaves keeps its bits."""
        if self.job.constrain is None:
            return
        normalisation, real = self._bundle.normalisation, self.window.frames
        before = normalisation.inverse(x0_hat[:real])
        after = self.job.constrain(before, self.window.start)
        x0_hat[:real] = np.where(after == before, x0_hat[:real], normalisation.forward(after))

    def accept(self, x: Array) -> None:
        """Take the solution [N, D] of the current window, carry its last frames over, go to the next.

        What is carried over is held within the rig's ranges first, as motion in training was; so an excess in one
        window cannot grow from window to window.
        """
        rig, normalisation = self._bundle.rig, self._bundle.normalisation
        values = normalisation.inverse(x[: self.window.frames])
        self.values[self.window.start : self.window.stop] = values
        tail = values[-self._bundle.previous :]
        if len(tail) == self._bundle.previous:
            self.previous = normalisation.forward(np.clip(tail, rig.lower, rig.upper))
        self._go_to(self.window.index + 1)

    def _make_rows(self) -> list[_Row]:
        """The predictions that the current window needs, and their factors (eq. 6 and the style field in one sum).

        x0_hat = sum_e w_e [(1 + l_audio + l_style) M(e) - l_audio M(e, no audio) - l_style M(no style)]

        Styles without weight in this window are left out; predictions that occur twice are computed once.
        """
        l_audio, l_style = self._sampling.guidance_audio or 0.0, self._sampling.guidance_style or 0.0
        rows: dict[tuple[str, float, bool], _Row] = {}

        def add(style: StyleCode | None, intensity: float, audio_null: bool, factor: Array, plain: Array) -> None:
            if style is None:
                intensity = 1.0  # the null style has no strength to scale
            key = ("" if style is None else style.key, intensity, audio_null)
            if key in rows:
                factor, plain = rows[key].factor + factor, rows[key].plain + plain
            rows[key] = _Row(style, intensity, audio_null, factor, plain)

        for entry, weights in zip(self.job.entries, self._weights, strict=True):
            weight = _window_weight(weights, self.window, self._bundle.window)  # [N or 1, 1]
            if not weight.any():
                continue
            nothing = np.zeros((1, 1), np.float32)
            style_scale = l_style if entry.style is not None else 0.0
            add(entry.style, entry.intensity, False, weight * np.float32(1 + l_audio + style_scale), weight)
            if l_audio:
                add(entry.style, entry.intensity, True, weight * np.float32(-l_audio), nothing)
            if style_scale:
                add(None, 1.0, False, weight * np.float32(-style_scale), nothing)
        return list(rows.values())


def _normalised_weights(job: Job, channels: int) -> list[Array]:
    """The entries' weights, each [T or 1, D or 1], with a sum of 1 for each frame and channel."""
    if not job.entries:
        raise MsmdError(f"line {job.id}: no style entry", hint="for no style give one entry with style None")
    weights = [np.atleast_2d(np.asarray(entry.weight, np.float32)) for entry in job.entries]
    for weight in weights:
        if weight.ndim != 2 or weight.shape[0] not in (1, len(job.features)) or weight.shape[1] not in (1, channels):
            raise MsmdError(f"line {job.id}: style weights {weight.shape} for {len(job.features)} frames x {channels}")
        if not np.isfinite(weight).all() or (weight < 0).any():
            raise MsmdError(f"line {job.id}: style weights must be finite and not negative")
    total = sum(weights[1:], start=weights[0])
    if (total <= 0).any():
        raise MsmdError(f"line {job.id}: at some frame no style has any weight")
    return [weight / total for weight in weights]


def _layers(weights: list[Array], channels: int) -> Iterator[tuple[NDArray[np.int64], list[Array]]]:
    """Groups of channels whose weights agree at every frame, and the weights of each, [T or 1, 1]."""
    if all(weight.shape[1] == 1 for weight in weights):
        yield np.arange(channels), weights
        return
    columns = [np.broadcast_to(weight, (len(weight), channels)) for weight in weights]
    groups: dict[bytes, list[int]] = {}
    for channel in range(channels):
        groups.setdefault(b"".join(column[:, channel].tobytes() for column in columns), []).append(channel)
    for group in groups.values():
        yield np.array(group), [column[:, group[:1]] for column in columns]


def _window_weight(weights: Array, window: Window, size: int) -> Array:
    """A window's part of weights [T or 1, 1]: [N or 1, 1]; padding repeats the last."""
    if len(weights) == 1:
        return weights
    return weights[np.minimum(np.arange(window.start, window.start + size), len(weights) - 1)]


def _mix(predictions: Array, rows: list[_Row], owner: NDArray[np.int64], guided: bool) -> Array:
    """Predictions [R, N, D] of all rows -> one per layer [L, N, D]: the sum of its rows times their factors."""
    mixed: list[Array] = []
    for number, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
        term = (row.factor if guided else row.plain) * prediction
        if number and owner[number] == owner[number - 1]:
            mixed[-1] = mixed[-1] + term
        else:
            mixed.append(term)
    return np.stack(mixed)


def _show_alpha(layers: list[_Layer], owner: NDArray[np.int64], alphas: Sequence[Array] | Array) -> None:
    """Give alpha [N, K] of each layer's first row to the jobs that watch it."""
    for number, layer in enumerate(layers):
        if layer.is_first and layer.job.watch_alpha:
            first_row = int(np.searchsorted(owner, number))
            layer.job.watch_alpha(alphas[first_row][: layer.window.frames], layer.window.start)


def _twins(rows: Sequence[_Row], owner: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows of a call differ in more than their sound [U], and which of these each row is like [R]."""
    found: dict[tuple[int, str, float], int] = {}
    distinct: list[int] = []
    twin: list[int] = []
    for number, (row, layer) in enumerate(zip(rows, owner.tolist(), strict=True)):
        key = (layer, "" if row.style is None else row.style.key, row.intensity)
        if key not in found:
            found[key] = len(distinct)
            distinct.append(number)
        twin.append(found[key])
    return np.array(distinct, np.int64), np.array(twin, np.int64)


def window_rng(seed: int, line_id: str, window: int) -> np.random.Generator:
    """The noise of one window: a counter-based generator keyed by sha256 of (seed, line id, window index) alone."""
    digest = hashlib.sha256(f"{seed}\0{line_id}\0{window}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
