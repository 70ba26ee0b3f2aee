"""The network cut into the ONNX graphs of a bundle: one small module each, with named inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim

from export.lean_step import LeanStep, lean_memory
from training.config import TrainConfig
from training.network.encoders import SAMPLE_RATE, Wav2Vec2Features, WhisperFeatures
from training.network.model import Condition, Denoiser, Model, Style, StyleEncoder, condition_names


@dataclass(frozen=True)
class Graph:
    """One graph to export.

    Attributes:
        name: file name without suffix.
        module: its forward takes `inputs` in order and returns a tensor or a tuple, in the order of `outputs`.
        inputs: examples of two rows (a single row would be baked in as a constant).
        dynamic: input name -> names of the axes that may have any length.
        opset: of ONNX.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: dict[str, dict[int, str]]
    opset: int = 20

    def dynamic_shapes(self) -> tuple[dict[int, object], ...]:
        axes: dict[str, object] = {}
        return tuple(
            {axis: axes.setdefault(name, Dim.DYNAMIC) for axis, name in self.dynamic[i].items()} for i in self.inputs
        )


class StyleEncoderGraph(nn.Module):
    """motion [B, T, D], mask [B, T] -> code [B, S] (the mean), logvar [B, S], anchor [B, 2 D]."""

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, motion: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out: tuple[Tensor, Tensor, Tensor] = self.encoder(motion, mask)
        return out


class ConditionerGraph(nn.Module):
    """`Denoiser.condition` with plain tensors, its memory as `LeanStep` wants it."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        audio: Tensor,
        previous: Tensor,
        start: Tensor,
        code: Tensor,
        anchor: Tensor,
        audio_null: Tensor,
        style_null: Tensor,
    ) -> tuple[Tensor, ...]:
        condition = self.denoiser.condition(audio, previous, start, Style(code, anchor), audio_null, style_null)
        condition.memory = lean_memory(self.denoiser, condition.memory)
        return tuple(condition.named().values())


class DenoiserGraph(nn.Module):
    """`LeanStep` with plain tensors."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.step = LeanStep(denoiser)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        mask: Tensor,
        style_token: Tensor,
        previous_tokens: Tensor,
        memory: Tensor,
        basis: Tensor,
        offset: Tensor,
        distinct: Tensor,
        twin: Tensor,
    ) -> tuple[Tensor, Tensor]:
        condition = Condition(style_token, previous_tokens, memory, basis, offset)
        out: tuple[Tensor, Tensor] = self.step(x, t, mask, condition, distinct, twin)
        return out


class MouthedDenoiserGraph(nn.Module):
    """The same for a model whose mouth has a path of its own."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.step = LeanStep(denoiser)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        mask: Tensor,
        style_token: Tensor,
        previous_tokens: Tensor,
        memory: Tensor,
        basis: Tensor,
        offset: Tensor,
        mouth: Tensor,
        distinct: Tensor,
        twin: Tensor,
    ) -> tuple[Tensor, Tensor]:
        condition = Condition(style_token, previous_tokens, memory, basis, offset, mouth)
        out: tuple[Tensor, Tensor] = self.step(x, t, mask, condition, distinct, twin)
        return out


class PlacedDenoiserGraph(nn.Module):
    """The same for a model with a prior, and a mouth of its own."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.step = LeanStep(denoiser)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        mask: Tensor,
        style_token: Tensor,
        previous_tokens: Tensor,
        memory: Tensor,
        basis: Tensor,
        offset: Tensor,
        mouth: Tensor,
        expected: Tensor,
        spread: Tensor,
        follows: Tensor,
        following: Tensor,
        distinct: Tensor,
        twin: Tensor,
    ) -> tuple[Tensor, Tensor]:
        condition = Condition(style_token, previous_tokens, memory, basis, offset, mouth, expected, spread, follows)
        out: tuple[Tensor, Tensor] = self.step(x, t, mask, condition, distinct, twin, following)
        return out


def bundle_graphs(config: TrainConfig, model: Model, encoder: WhisperFeatures | Wav2Vec2Features) -> list[Graph]:
    """All graphs of a bundle, with example inputs drawn from a fixed seed."""
    draw = torch.Generator().manual_seed(0)
    c = config.model
    N, P, D, S = c.window, c.previous, c.motion_dim, c.style_dim

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    rows = {0: "batch"}
    mask = torch.ones(2, N)
    mask[1, N // 2 :] = 0.0
    graphs = [
        Graph(
            "audio_encoder",
            encoder,
            {"waveform": normal(2, 2 * SAMPLE_RATE) * 0.1},
            ("features",),
            {"waveform": {0: "batch", 1: "samples"}},
            opset=23,  # its Attention needs half the memory for 20 s of sound, and a quarter less time
        )
    ]
    if hasattr(model, "style_encoder"):
        inputs = {"motion": normal(2, 60, D), "mask": torch.ones(2, 60)}
        axes = {0: "batch", 1: "frames"}
        graphs.append(
            Graph(
                "style_encoder",
                StyleEncoderGraph(model.style_encoder),
                inputs,
                ("code", "logvar", "anchor"),
                {"motion": axes, "mask": axes},
            )
        )
    if c.basis_size:
        graphs.append(
            Graph("style_decoder", model.denoiser.style_decoder, {"code": normal(2, S)}, ("basis",), {"code": rows})
        )
    window = {
        "audio": normal(2, P + N, c.audio_dim),
        "previous": normal(2, P, D),
        "start": torch.tensor([1.0, 0.0]),
        "code": normal(2, S),
        "anchor": normal(2, 2 * D),
        "audio_null": torch.zeros(2),
        "style_null": torch.zeros(2),
    }
    names = condition_names(c)
    graphs.append(Graph("conditioner", ConditionerGraph(model.denoiser), window, names, dict.fromkeys(window, rows)))
    with torch.inference_mode():
        condition = ConditionerGraph(model.denoiser)(**window)
    step = {
        "x": normal(2, N, D),
        "t": torch.tensor([999, 10]),
        "mask": mask,
        **dict(zip(names, condition, strict=True)),
        **({"following": torch.tensor([500, -1])} if c.prior else {}),
        "distinct": torch.tensor([1, 0]),  # crossed, so that both are used
        "twin": torch.tensor([1, 0]),
    }
    step = {name: value.clone() for name, value in step.items()}
    kind = PlacedDenoiserGraph if c.prior else MouthedDenoiserGraph if c.mouth_width else DenoiserGraph
    network = kind(model.denoiser)
    free = dict.fromkeys(step, rows) | {"distinct": {0: "distinct"}}
    graphs.append(Graph("denoiser", network, step, ("x0", "alpha"), free, opset=23))
    return graphs
