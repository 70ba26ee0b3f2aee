"""A line in flight: the job, its layers, and the window that each is at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.model.guidance import CallRow, rows_of
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import Features
from msmdcli.model.style_codes import StyleEntry
from msmdcli.model.windows import Window, window_at, window_audio, window_weight

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Job:
    """A line to animate.

    Attributes:
        id: its name; part of the seed of its noise unless `noise` is given.
        features: [T, C] audio features, one row per motion frame (`Engine.encode_audio`, `Engine.features`).
        entries: its style field, at least one entry.
        seed: the user's seed.
        noise: what stands for the id in the seed of its noise: takes of one line share it.
        constrain: called in every step of the sampling with the prediction [n, D] in rig units for the line's frames
            from `first` on (n <= N); what it returns takes the prediction's place. It must depend on nothing else.
        held: the values [n, D] of n frames from `first` on, in rig units, where `constrain` decides them all, whatever
            is predicted; None where it leaves anything open. Windows that are held are not sampled.
        watch_alpha: called once per window, after its last step, with alpha [n, K] of eq. 4 for the line's frames from
            `first` on: the coefficients of the style basis, of the first style that has weight there. It changes
            nothing.
        sampling: how it is solved, resolved; None is the engine's.
    """

    id: str
    features: Features
    entries: Sequence[StyleEntry]
    seed: int = 0
    noise: str | None = None
    constrain: Callable[[Array, int], Array] | None = None
    held: Callable[[int, int], Array | None] | None = None
    watch_alpha: Callable[[Array, int], None] | None = None
    sampling: Sampling | None = None

    @property
    def noise_name(self) -> str:
        """What the noise is seeded with, besides the seed."""
        return self.id if self.noise is None else self.noise


class ActiveLine:
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
        self.sampling = sampling = job.sampling or sampling
        weights = normalised_weights(job, bundle.rig.size)
        self.layers = [
            Layer(job, channels, own, number == 0, bundle, sampling)
            for number, (channels, own) in enumerate(layers_of(weights, bundle.rig.size))
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


class Layer:
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

    @property
    def guided(self) -> bool:
        """Whether there is any guidance."""
        return self._sampling.guided

    def _go_to(self, index: int) -> None:
        """Go to a window, or on to the next one that is to be sampled."""
        self.window: Window = window_at(index, len(self.values), self._bundle.window)
        while (held := self._held()) is not None:
            self._keep(self._bundle.normalisation.forward(held))
            self.window = window_at(self.window.index + 1, len(self.values), self._bundle.window)
        self.done = self.window.start >= len(self.values)
        self.rows: list[CallRow] = [] if self.done else self._make_rows()

    def _held(self) -> Array | None:
        """[n, D] the current window, if nothing in it is to be sampled."""
        if self.job.held is None or self.job.watch_alpha is not None or self.window.start >= len(self.values):
            return None
        return self.job.held(self.window.start, self.window.frames)

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
        same = normalisation.kept(after == before)
        x0_hat[:real] = np.where(same, x0_hat[:real], normalisation.forward(after))

    def accept(self, x: Array) -> None:
        """Take the solution [N, D] of the current window, go to the next."""
        self._keep(x)
        self._go_to(self.window.index + 1)

    def _keep(self, x: Array) -> None:
        """Take the solution of the current window and carry its last frames over.

        What is carried over is held within the rig's ranges first, as motion in training was; so an excess in one
        window cannot grow from window to window.
        """
        rig, normalisation = self._bundle.rig, self._bundle.normalisation
        values = normalisation.inverse(x[: self.window.frames])
        self.values[self.window.start : self.window.stop] = values
        tail = values[-self._bundle.previous :]
        if len(tail) == self._bundle.previous:
            self.previous = normalisation.forward(np.clip(tail, rig.lower, rig.upper))

    def _make_rows(self) -> list[CallRow]:
        """The predictions that the current window needs, and their factors."""
        weights = [window_weight(weight, self.window, self._bundle.window) for weight in self._weights]  # [N or 1, 1]
        scales = self._sampling.guidance_audio or 0.0, self._sampling.guidance_style or 0.0
        return rows_of(self.job.entries, weights, scales)


def normalised_weights(job: Job, channels: int) -> list[Array]:
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


def layers_of(weights: list[Array], channels: int) -> Iterator[tuple[NDArray[np.int64], list[Array]]]:
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
