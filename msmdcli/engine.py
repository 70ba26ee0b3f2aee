"""The engine: jobs in, motion out. Lines are batched, window by window, in the same ONNX calls.

Every line goes through its windows in order; in each round one window of every line in flight is solved, with all its
rows (styles x guidance branches) in one call of the conditioner and one call of the denoiser per step. A line leaves
when its last window is done and the next one takes its place, so the device stays full.

The bytes of a line depend on the bundle, its audio, its style field, its seed and its id; not on its neighbours, their
order, the batch size or the number of threads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.audio import Audio
from msmdcli.audio_features import audio_features
from msmdcli.bundle import Bundle
from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion import Motion, frame_count
from msmdcli.runtime import Graph, OnnxRuntime
from msmdcli.sampler import make_sampler
from msmdcli.windows import Window, window_at, window_audio, window_count, window_mask

Array = NDArray[np.float32]

MAX_REFERENCE_SECONDS = 60  # a longer style reference is encoded in equal pieces: attention grows with the square
BATCH_ROWS = {"cpu": 8, "cuda": 64}  # rows per ONNX call; more rows than this gain nothing on such a device
INTENSITY_RANGE = (0.0, 3.0)  # what is accepted
SAFE_INTENSITY = (0.5, 1.5)  # beyond it, channels run into the rig's limits and the mouth loses to the manner


@dataclass(frozen=True, eq=False)
class StyleCode:
    """A style reference as the networks see it.

    Attributes:
        code: [S] s, the mean of the style encoder's posterior.
        anchor: [2 D] the reference's mean pose and its standard deviation over time, normalised.
        key: sha256 of both; equal keys are the same style.
    """

    code: Array
    anchor: Array
    key: str

    @classmethod
    def of(cls, code: Array, anchor: Array) -> StyleCode:
        return cls(code, anchor, hashlib.sha256(code.tobytes() + anchor.tobytes()).hexdigest())


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
        id: its name; part of the seed of its noise.
        features: [T, C] audio features, one row per motion frame (`Engine.encode_audio`).
        entries: its style field, at least one entry.
        seed: the user's seed.
    """

    id: str
    features: Array
    entries: Sequence[StyleEntry]
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """How the reverse process is solved. None: what the bundle recommends.

    Attributes:
        sampler: ``ddpm``, ``ddim`` or ``dpmpp-2m``.
        steps: network evaluations per window.
        guidance_audio, guidance_style: lambda of eq. 6; a branch whose scale is 0 is not computed.
    """

    sampler: str | None = None
    steps: int | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None

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
        return Sampling(name, len(solver.timesteps), scales[0], scales[1])


class Engine:
    """A bundle, loaded and ready. Graphs are loaded when first needed and stay.

    Args:
        bundle: the model.
        device: ``auto``, ``cpu`` or ``cuda``.
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
        """Where it runs: ``cpu`` or ``cuda``."""
        return self.runtime.device

    @property
    def max_batch(self) -> int:
        """Rows per ONNX call."""
        return self._max_batch or BATCH_ROWS[self.device]

    @cached_property
    def _audio_encoder(self) -> Graph:
        # One thread: ONNX Runtime divides a convolution among threads at places that show in the last bits.
        return self.runtime.load(self.bundle.file("audio_encoder.onnx"), threads=1)

    @cached_property
    def _style_encoder(self) -> Graph:
        return self.runtime.load(self.bundle.file("style_encoder.onnx"), threads=1)

    @cached_property
    def _conditioner(self) -> Graph:
        return self.runtime.load(self.bundle.file("conditioner.onnx"))

    @cached_property
    def _denoiser(self) -> Graph:
        return self.runtime.load(self.bundle.file("denoiser.onnx"))

    @property
    def follows_style(self) -> bool:
        """Whether the model takes a style at all (the `unconditioned` variant does not)."""
        return "style_encoder.onnx" in self.bundle.files

    def load(self) -> None:
        """Load all graphs now, so that a missing or unusable one shows before the first line."""
        graphs = [self._audio_encoder, self._conditioner, self._denoiser]
        if self.follows_style:
            graphs.append(self._style_encoder)

    def encode_audio(self, audio: Audio) -> Array:
        """Features [T, C] of a whole line, T = round(seconds x bundle fps), at the rate of the bundle's motion.

        May be called from several threads at once; each call computes in one.
        """
        form = self.bundle.audio_encoder
        if audio.rate != form.rate:
            raise ValueError(f"audio at {audio.rate} Hz for an encoder at {form.rate} Hz")

        def encode(waveform: Array) -> Array:  # [1, S] -> [1, F, C0]
            return self._audio_encoder.run({"waveform": waveform}, ("features",))["features"]

        frames = frame_count(audio.seconds, self.bundle.fps)
        return audio_features(audio.samples, encode, form, self.bundle.fps, frames)  # [T, C]

    def encode_style(self, reference: Motion | Sequence[Motion]) -> StyleCode:
        """The code of a style reference of any length, at any frame rate.

        Several clips are encoded one by one, and code and anchor averaged, each clip weighing as its number of frames
        (concatenating them would show the encoder jumps that nobody performed). A clip longer than
        `MAX_REFERENCE_SECONDS` counts as several.
        """
        clips = [reference] if isinstance(reference, Motion) else list(reference)
        if not clips:
            raise MsmdError("a style reference without clips")
        codes, anchors, frames = [], [], []
        for clip in clips:
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
        return StyleCode.of(np.asarray(code, np.float32), np.asarray(anchor, np.float32))

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
        try:
            solved = self._solve(lines)  # [L, N, D]
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
        for line, x in zip(lines, solved, strict=True):
            line.accept(x)

    def _solve(self, lines: list[_Line]) -> Array:
        """Solve the current window of each of L lines: noise -> normalised motion [L, N, D]."""
        rows = [row for line in lines for row in line.rows]
        owner = np.repeat(np.arange(len(lines)), [len(line.rows) for line in lines])  # [R] row -> line
        chunks = [slice(a, a + self.max_batch) for a in range(0, len(rows), self.max_batch)]
        mask = np.stack([window_mask(line.window, self.bundle.window) for line in lines])  # [L, N]
        conditions = [self._condition(lines, rows[chunk], owner[chunk]) for chunk in chunks]

        sampler = make_sampler(self.sampling.sampler or "", self.bundle.schedule, self.sampling.steps)
        generators = [window_rng(line.job.seed, line.job.id, line.window.index) for line in lines]
        shape = (self.bundle.window, self.bundle.rig.size)  # N, D
        x = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in generators])  # [L, N, D]
        for i, t in enumerate(sampler.timesteps):
            predictions = []
            for chunk, condition in zip(chunks, conditions, strict=True):
                of = owner[chunk]
                feeds: dict[str, NDArray[Any]] = {
                    "x": x[of],
                    "t": np.full(len(of), t, np.int64),
                    "mask": mask[of],
                    **condition,
                }
                predictions.append(self._denoiser.run(feeds, ("x0",))["x0"])  # [R', N, D]
            x0_hat = _mix(np.concatenate(predictions), lines)  # [R, N, D] -> [L, N, D]
            noise = None
            if sampler.stochastic and i < len(sampler.timesteps) - 1:
                noise = np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in generators])
            x = sampler.step(x0_hat, i, x, noise)
        return x

    def _condition(self, lines: list[_Line], rows: list[_Row], owner: NDArray[np.int64]) -> dict[str, Array]:
        """Everything that does not depend on the step, once per window: the conditioner's outputs for R rows."""
        D = self.bundle.rig.size
        audio = {line: lines[line].audio for line in set(owner.tolist())}
        S = int(self.bundle.model.get("style_dim", 0))
        code = np.stack([np.zeros(S, np.float32) if row.style is None else row.style.code for row in rows])  # [R, S]
        anchor = np.stack([np.zeros(2 * D, np.float32) if row.style is None else row.style.anchor for row in rows])
        intensity = np.array([row.intensity for row in rows], np.float32)  # [R]
        anchor[:, :D] *= intensity[:, None]  # the resting pose, relative to the training set's
        feeds = {
            "audio": np.stack([audio[line] for line in owner]),  # [R, P + N, C]
            "previous": np.stack([lines[line].previous for line in owner]),  # [R, P, D]
            "start": np.array([lines[line].window.index == 0 for line in owner], np.float32),  # [R]
            "code": code,
            "anchor": anchor,
            "audio_null": np.array([row.audio_null for row in rows], np.float32),  # [R]
            "style_null": np.array([row.style is None for row in rows], np.float32),  # [R]
        }
        outputs = self._conditioner.run(feeds)
        if "basis" in outputs and np.any(intensity != 1):
            outputs["basis"] = outputs["basis"] * intensity[:, None, None]  # [R, K, D]
        return outputs


@dataclass(frozen=True, eq=False)
class _Row:
    """One row of an ONNX call: a style under one guidance branch, and its factor in the line's prediction."""

    style: StyleCode | None
    intensity: float
    audio_null: bool
    factor: Array  # broadcasts to [N, D]


class _Line:
    """A line in flight: which window is next, what came before it, what is done."""

    def __init__(self, job: Job, bundle: Bundle, sampling: Sampling) -> None:
        if len(job.features) == 0:
            raise MsmdError(f"line {job.id}: no audio features", hint="the recording is empty")
        self.job = job
        self._bundle = bundle
        self._sampling = sampling
        self._weights = _normalised_weights(job, bundle.rig.size)
        self.values = np.empty((len(job.features), bundle.rig.size), np.float32)  # [T, D], rig units
        self.previous = np.zeros((bundle.previous, bundle.rig.size), np.float32)  # [P, D], normalised
        self.failed = False
        self._go_to(0)

    def _go_to(self, index: int) -> None:
        self.window: Window = window_at(index, len(self.values), self._bundle.window)
        self.done = self.window.start >= len(self.values)
        self.rows: list[_Row] = [] if self.done else self._make_rows()

    @property
    def row_count(self) -> int:
        return len(self.rows)

    @property
    def audio(self) -> Array:
        """[P + N, C] of the current window."""
        return window_audio(self.job.features, self.window, self._bundle.window, self._bundle.previous)

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

        def add(style: StyleCode | None, intensity: float, audio_null: bool, factor: Array) -> None:
            if style is None:
                intensity = 1.0  # the null style has no strength to scale
            key = ("" if style is None else style.key, intensity, audio_null)
            total = rows[key].factor + factor if key in rows else factor
            rows[key] = _Row(style, intensity, audio_null, total)

        for entry, weights in zip(self.job.entries, self._weights, strict=True):
            weight = _window_weight(weights, self.window, self._bundle.window)  # [N or 1, D or 1]
            if not weight.any():
                continue
            style_scale = l_style if entry.style is not None else 0.0
            add(entry.style, entry.intensity, False, weight * np.float32(1 + l_audio + style_scale))
            if l_audio:
                add(entry.style, entry.intensity, True, weight * np.float32(-l_audio))
            if style_scale:
                add(None, 1.0, False, weight * np.float32(-style_scale))
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


def _window_weight(weights: Array, window: Window, size: int) -> Array:
    """A window's part of weights [T or 1, D or 1]: [N or 1, D or 1]; padding repeats the last."""
    if len(weights) == 1:
        return weights
    return weights[np.minimum(np.arange(window.start, window.start + size), len(weights) - 1)]


def _mix(predictions: Array, lines: list[_Line]) -> Array:
    """Predictions [R, N, D] of all rows -> one per line [L, N, D]: the sum of its rows times their factors."""
    mixed, at = [], 0
    for line in lines:
        x0 = line.rows[0].factor * predictions[at]
        for offset, row in enumerate(line.rows[1:], start=1):
            x0 = x0 + row.factor * predictions[at + offset]
        at += len(line.rows)
        mixed.append(x0)
    return np.stack(mixed)


def window_rng(seed: int, line_id: str, window: int) -> np.random.Generator:
    """The noise of one window: a counter-based generator keyed by sha256 of (seed, line id, window index) alone."""
    digest = hashlib.sha256(f"{seed}\0{line_id}\0{window}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
