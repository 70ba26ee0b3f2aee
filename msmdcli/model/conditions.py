"""What the network is asked in a step: rows put into ONNX calls, and the conditions that hold for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.model.graphs import Graphs
from msmdcli.model.guidance import CallRow, twins
from msmdcli.model.lines import Layer
from msmdcli.model.runtime import on_host
from msmdcli.model.style_codes import scaled_rest
from msmdcli.model.windows import window_mask

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calls:
    """The ONNX calls of one step.

    Attributes:
        rows: what is predicted, R of them.
        owner: [R] the number of the layer that each is for.
        chunks: the rows of each call.
        conditions: of each call, on the device.
        distinct: rows of the last call that the first layer tells apart (`twins`).
    """

    rows: list[CallRow]
    owner: NDArray[np.int64]
    chunks: list[slice]
    conditions: list[dict[str, Any]]
    distinct: int


def calls_of(graphs: Graphs, layers: Sequence[Layer], guided: bool) -> Calls:
    """What a step of these layers computes, with guidance or without, and its conditions on the device."""
    size = graphs.bundle.window
    pairs = [(row, number) for number, layer in enumerate(layers) for row in layer.rows if guided or row.is_plain]
    rows, owner = [row for row, _ in pairs], np.array([number for _, number in pairs])  # [R] row -> layer
    mask = np.stack([window_mask(layer.window, size) for layer in layers])  # [L, N]
    chunks = [slice(a, a + graphs.max_batch) for a in range(0, len(rows), graphs.max_batch)]
    shown = bool(graphs.bundle.model.get("mouth_width"))
    conditions = []
    distinct = twin = np.zeros(0, np.int64)
    for chunk in chunks:
        distinct, twin = twins(rows[chunk], owner[chunk], shown)
        made = conditions_of(graphs, layers, rows[chunk], owner[chunk])
        known = {"mask": mask[owner[chunk]], "distinct": distinct, "twin": twin, **made}
        conditions.append(graphs.denoiser.to_device(known))
    return Calls(rows, owner, chunks, conditions, len(distinct))


def predict(
    graphs: Graphs, calls: Calls, x: Array, t: int, following: int, wanted: Sequence[str]
) -> tuple[Array, list[Array]]:
    """x [L, N, D] at diffusion step t -> predictions of all rows [R, N, D], and alpha [N, K] of each where wanted.

    `following` is the step that the prediction is for, see `Sampler.following`.
    """
    predictions: list[Array] = []
    alphas: list[Array] = []
    for chunk, condition in zip(calls.chunks, calls.conditions, strict=True):
        of = calls.owner[chunk]
        asked = {"x": x[of], **steps_of(len(of), t, following)}
        outputs = graphs.denoiser.run({**asked, **condition}, wanted)
        predictions.append(outputs["x0"])  # [R', N, D]
        alphas.extend(outputs.get("alpha", ()))
    return np.concatenate(predictions), alphas


def steps_of(rows: int, t: int, following: int) -> dict[str, NDArray[np.int64]]:
    """The denoiser's inputs that tell where it is and where its prediction leads; a model without a prior does not ask
    for the latter."""
    return {"t": np.full(rows, t, np.int64), "following": np.full(rows, following, np.int64)}


def conditions_of(
    graphs: Graphs, layers: Sequence[Layer], rows: Sequence[CallRow], owner: NDArray[np.int64]
) -> dict[str, Any]:
    """Compute what does not depend on the step, once per window: the conditioner's outputs for R rows, on the device.

    Args:
        graphs: the model's.
        layers: L of them, each at the window that is asked for.
        rows: R of them.
        owner: [R] the number of each row's layer.
    """
    bundle = graphs.bundle
    D = bundle.rig.size
    audio = {layer: layers[layer].audio for layer in set(owner.tolist())}
    S = int(bundle.model.get("style_dim", 0))
    code = np.stack([np.zeros(S, np.float32) if row.style is None else row.style.code for row in rows])  # [R, S]
    anchor = np.stack([np.zeros(2 * D, np.float32) if row.style is None else row.style.anchor for row in rows])
    intensity = np.array([row.intensity for row in rows], np.float32)  # [R]
    scaled = intensity != 1  # only these: rounding must not let a line's bytes depend on its neighbours
    if scaled.any():
        anchor[scaled, :D] = scaled_rest(bundle, anchor[scaled], intensity[scaled])
    feeds = {
        "audio": np.stack([audio[layer] for layer in owner]),  # [R, P + N, C]
        "previous": np.stack([layers[layer].previous for layer in owner]),  # [R, P, D]
        "start": np.array([layers[layer].window.index == 0 for layer in owner], np.float32),  # [R]
        "code": code,
        "anchor": anchor,
        "audio_null": np.array([row.audio_null for row in rows], np.float32),  # [R]
        "style_null": np.array([row.style is None for row in rows], np.float32),  # [R]
    }
    outputs = graphs.conditioner.run_on_device(feeds)
    if "basis" in outputs and scaled.any():
        outputs["basis"] = on_host(outputs["basis"]) * intensity[:, None, None]  # [R, K, D]
    return outputs
