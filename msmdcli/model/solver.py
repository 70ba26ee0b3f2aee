"""The reverse process on the device: neither the noisy window nor a prediction comes to the host between steps.

The host's solver (`Engine._solve`) mixes predictions and steps in NumPy; on a GPU that would carry them over twice in
every step. Here both are done by a small graph of our own that goes with every bundle and every sampler
(`export/solver_step.py` makes it), and tensors go from graph to graph as ONNX Runtime's device values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.model.runtime import Graph
from msmdcli.model.samplers import Weights

Array = NDArray[np.float32]

STEP_GRAPH = Path(__file__).parent / "solver_step.onnx"
NO_NOISE = np.zeros((1, 1, 1), np.float32)


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
        self.held = graph.hold({"rows": rows, "factors": weights})
        self.owner = owner


class DeviceSolver:
    """One window of several layers, from noise to the solution.

    Args:
        graph: `STEP_GRAPH`, loaded for the device.
        noise: x_T [L, N, D].
    """

    def __init__(self, graph: Graph, noise: Array) -> None:
        self._graph = graph
        self._x: Any = graph.hold({"x": noise})["x"]
        self._last: Any = self._x

    def rows(self, noise: Array, owner: NDArray[np.int64]) -> Any:
        """x for the rows of the first call, on the device: [R, N, D]."""
        return self._graph.hold({"x": noise[owner]})["x"]

    def step(
        self, predicted: Any, mixing: Mixing, weights: Weights, noise: Array | None, owner: NDArray[np.int64]
    ) -> Any:
        """From predictions [R, N, D] to the next x, for the rows of the next call: [Q, N, D], `owner` [Q] their layers.

        Both stay on the device.
        """
        feeds = {
            "predicted": predicted,
            **mixing.held,
            "x": self._x,
            "last": self._last,
            "noise": NO_NOISE if noise is None else noise,
            "weights": np.array(weights, np.float32),
            "owner": owner,
        }
        out = self._graph.keep(feeds, ("next_rows", "next", "x0"))
        self._x, self._last = out["next"], out["x0"]
        return out["next_rows"]

    @property
    def x(self) -> Any:
        """[L, N, D] on the device; after the last step the solution."""
        return self._x
