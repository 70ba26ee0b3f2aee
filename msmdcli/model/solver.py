"""The reverse process: from noise to motion, one window of several layers at a time, on the host or on the device.

On the host predictions are mixed and steps taken in NumPy. On a GPU that would carry both over twice in every step;
there a small graph of our own does it, which goes with every bundle and every sampler (`export/solver_step.py` makes
it), and tensors go from graph to graph as ONNX Runtime's device values: neither the noisy window nor a prediction comes
to the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.model.conditions import Calls, calls_of, predict, steps_of
from msmdcli.model.graphs import Graphs
from msmdcli.model.guidance import WHOLE, is_guided, mix, rescaled
from msmdcli.model.lines import Layer
from msmdcli.model.runtime import Graph, on_host
from msmdcli.model.samplers import Sampler, Weights, make_sampler
from msmdcli.model.sampling import Sampling

Array = NDArray[np.float32]

NO_NOISE = np.zeros((1, 1, 1), np.float32)


class Solver:
    """Solves windows.

    Args:
        graphs: the model's.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def solve(self, layers: Sequence[Layer], sampling: Sampling) -> Array:
        """Solve the current window of each of L layers: noise -> normalised motion [L, N, D].

        Args:
            layers: whose own sampling has the same `process`.
            sampling: how to solve, resolved; guidance scales are the layers' own.
        """
        bundle = self._graphs.bundle
        # 1. The steps, and whether each is guided.
        sampler = make_sampler(sampling.sampler or "", bundle.schedule, sampling.steps)
        interval = sampling.guidance_interval or WHOLE
        guided = [is_guided(interval, int(t), bundle.schedule.steps) for t in sampler.timesteps]
        # 2. The network's calls with guidance and without, their conditions on the device.
        calls = {way: calls_of(self._graphs, layers, way) for way in dict.fromkeys(guided)}
        # 3. x_T of each layer, from a generator of its own.
        generators = [window_rng(layer.job.seed, layer.job.noise_name, layer.window.index) for layer in layers]
        shape, rescale = (bundle.window, bundle.rig.size), sampling.guidance_rescale or 0.0
        process = _Process(layers, sampler, guided, calls, generators, shape, rescale)
        x = process.fresh_noise()
        # 4. Step by step to x_0.
        return self._on_device(process, x) if self._fits_device(layers, rescale) else self._on_host(process, x)

    def _fits_device(self, layers: Sequence[Layer], rescale: float) -> bool:
        """Whether no step has anything to do on the host: pins and the spread of guided motion are looked at there."""
        rows = sum(len(layer.rows) for layer in layers)
        return (
            self._graphs.runtime.bound
            and rows <= self._graphs.max_batch
            and not (rescale and any(layer.guided for layer in layers))
            and not any(layer.job.constrain for layer in layers)
        )

    def _on_host(self, process: _Process, x: Array) -> Array:
        """From x_T [L, N, D] to x_0, with NumPy between the steps."""
        layers = process.layers
        for i, t in enumerate(process.sampler.timesteps):
            guided = process.guided[i]
            calls = process.calls[guided]
            wanted = process.wanted if process.is_last(i) else ("x0",)
            predictions, alphas = predict(self._graphs, calls, x, int(t), process.sampler.following(i), wanted)
            x0_hat = mix(predictions, calls.rows, calls.owner, guided)  # [R, N, D] -> [L, N, D]
            if guided and process.rescale:
                plain = mix(predictions, calls.rows, calls.owner, False)
                for number, layer in enumerate(layers):
                    if layer.guided:
                        x0_hat[number] = rescaled(x0_hat[number], plain[number], layer.window.frames, process.rescale)
            for number, layer in enumerate(layers):
                layer.constrain(x0_hat[number])
            if alphas:
                _show_alpha(layers, calls.owner, alphas)
            x = process.sampler.step(x0_hat, i, x, process.noise(i))
        return x

    def _on_device(self, process: _Process, x: Array) -> Array:
        """The same with everything on the device but the noise of stochastic samplers."""
        graph, denoiser = self._graphs.solver_step, self._graphs.denoiser
        steps, guided, calls = process.sampler.timesteps, process.guided, process.calls
        mixing = {
            way: Mixing(graph, call.owner, [row.factor if way else row.plain for row in call.rows])
            for way, call in calls.items()
        }
        wanted = process.wanted
        state = DeviceState(graph, x)
        rows = state.rows(x, calls[guided[0]].owner)
        predicted: dict[str, Any] = {}
        for i, t in enumerate(steps):
            now = calls[guided[i]]
            asked = steps_of(len(now.rows), int(t), process.sampler.following(i))
            feeds = {"x": rows, **asked, **now.conditions[0]}
            # A full call has the shape that comes again and again.
            if denoiser.captures and len(now.rows) == self._graphs.max_batch:
                predicted = denoiser.run_captured(feeds, wanted, 2 * now.distinct + len(wanted))
            else:
                predicted = denoiser.run_on_device(feeds, wanted)
            following = now if process.is_last(i) else calls[guided[i + 1]]
            weights = process.sampler.weights(i)
            rows = state.step(predicted["x0"], mixing[guided[i]], weights, process.noise(i), following.owner)
        if "alpha" in predicted:
            _show_alpha(process.layers, calls[guided[-1]].owner, on_host(predicted["alpha"]))
        return on_host(state.x)


@dataclass(frozen=True, eq=False)
class _Process:
    """One run of the reverse process.

    Attributes:
        layers: L of them.
        sampler: its steps.
        guided: of each step.
        calls: of the network, with guidance and without.
        generators: of each layer's noise.
        shape: N, D.
        rescale: see `Sampling.guidance_rescale`.
    """

    layers: Sequence[Layer]
    sampler: Sampler
    guided: list[bool]
    calls: dict[bool, Calls]
    generators: list[np.random.Generator]
    shape: tuple[int, int]
    rescale: float

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the denoiser is to give: alpha where a job watches it."""
        return ("x0", "alpha") if any(layer.job.watch_alpha for layer in self.layers) else ("x0",)

    def is_last(self, i: int) -> bool:
        """Whether step i is the last."""
        return i == len(self.guided) - 1

    def fresh_noise(self) -> Array:
        """Standard normal [L, N, D], each layer's from its generator."""
        return np.stack([rng.standard_normal(self.shape, dtype=np.float32) for rng in self.generators])

    def noise(self, i: int) -> Array | None:
        """The noise that the sampler adds in step i; None where it adds none."""
        return self.fresh_noise() if self.sampler.stochastic and not self.is_last(i) else None


class Mixing:
    """Which predictions make up each layer's, and with what factors; kept on the device for all steps.

    Args:
        graph: `STEP_GRAPH`, loaded.
        owner: [R] the layer of each row, in rising order.
        factors: of each row, [N or 1, 1].
    """

    def __init__(self, graph: Graph, owner: NDArray[np.int64], factors: Sequence[Array]) -> None:
        layers = int(owner[-1]) + 1
        groups = [np.flatnonzero(owner == layer) for layer in range(layers)]
        most, frames = max(map(len, groups)), max(len(factor) for factor in factors)
        rows = np.empty((layers, most), np.int64)  # [L, G]
        weights = np.zeros((layers, most, frames, 1), np.float32)  # [L, G, F, 1]
        for layer, group in enumerate(groups):
            rows[layer] = group[0]  # stands where a layer has fewer rows than others, and counts nothing
            rows[layer, : len(group)] = group
            for place, row in enumerate(group.tolist()):
                weights[layer, place] = factors[row]
        self.tensors = graph.to_device({"rows": rows, "factors": weights})
        self.owner = owner


class DeviceState:
    """x of several layers, on the device, from noise to the solution.

    Args:
        graph: `STEP_GRAPH`, loaded for the device.
        noise: x_T [L, N, D].
    """

    def __init__(self, graph: Graph, noise: Array) -> None:
        self._graph = graph
        self._x: Any = graph.to_device({"x": noise})["x"]
        self._last: Any = self._x

    def rows(self, noise: Array, owner: NDArray[np.int64]) -> Any:
        """x for the rows of the first call, on the device: [R, N, D]."""
        return self._graph.to_device({"x": noise[owner]})["x"]

    def step(
        self, predicted: Any, mixing: Mixing, weights: Weights, noise: Array | None, owner: NDArray[np.int64]
    ) -> Any:
        """From predictions [R, N, D] to the next x, for the rows of the next call: [Q, N, D], `owner` [Q] their layers.

        Both stay on the device.
        """
        feeds = {
            "predicted": predicted,
            **mixing.tensors,
            "x": self._x,
            "last": self._last,
            "noise": NO_NOISE if noise is None else noise,
            "weights": np.array(weights, np.float32),
            "owner": owner,
        }
        out = self._graph.run_on_device(feeds, ("next_rows", "next", "x0"))
        self._x, self._last = out["next"], out["x0"]
        return out["next_rows"]

    @property
    def x(self) -> Any:
        """[L, N, D] on the device; after the last step the solution."""
        return self._x


def _show_alpha(layers: Sequence[Layer], owner: NDArray[np.int64], alphas: Sequence[Array] | Array) -> None:
    """Give alpha [N, K] of each layer's first row to the jobs that watch it."""
    for number, layer in enumerate(layers):
        if layer.is_first and layer.job.watch_alpha:
            first_row = int(np.searchsorted(owner, number))
            layer.job.watch_alpha(alphas[first_row][: layer.window.frames], layer.window.start)


def window_rng(seed: int, line_id: str, window: int) -> np.random.Generator:
    """The noise of one window: a counter-based generator keyed by sha256 of (seed, line id, window index) alone."""
    digest = hashlib.sha256(f"{seed}\0{line_id}\0{window}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
