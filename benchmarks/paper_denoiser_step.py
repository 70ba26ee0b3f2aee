"""One denoising step of the paper's size with its three guidance branches: ours in ONNX Runtime against plain PyTorch.

    python benchmarks/paper_denoiser_step.py [--turns 15] [--threads 2]

The plain one is what the paper and its peers describe, written with `torch.nn.TransformerDecoder`: 8 layers, width 512,
8 heads, feed-forward 2048; 111 tokens (style, 10 previous, 100 noisy frames) attend to themselves and to 110 audio
frames in every step. Ours is the exported denoiser: keys, values and, with `audio_context` 0, the whole cross-attention
are made once per window by the conditioner; the branch without audio shares the first layer's attention with the full
one. The floor is ONNX Runtime with nothing but the matrix products of our weights: no attention, norm, addition or
GELU. Weights are random: time does not depend on them. All are measured in turns within one run; ratios are medians
over turns of this process's computing time, so other work on the machine hardly counts. The parity of the exported
denoiser is printed too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export import onnx_export as exporter
from export.graphs import Graph, bundle_graphs
from export.weights import shrink
from msmdcli.motion.rig import Rig
from training.config import load_config
from training.network.model import Model

ROWS = 3  # conditioned, without audio, without style


class Plain(nn.Module):
    """A transformer decoder over noisy frames with cross-attention to audio in every step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layer = nn.TransformerDecoderLayer(512, 8, 2048, dropout=0.0, activation="gelu", batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, 8)
        self.inside, self.outside = nn.Linear(channels, 512), nn.Linear(512, channels)

    def forward(self, x: Tensor, style: Tensor, previous: Tensor, audio: Tensor, blocked: Tensor) -> Tensor:
        tokens = torch.cat([style, previous, self.inside(x)], dim=1)  # [R, 1 + P + N, 512]
        return self.outside(self.decoder(tokens, audio, memory_mask=blocked)[:, -x.shape[1] :])


def plain_step(rig: Rig) -> Callable[[], object]:
    """A step of the plain decoder."""
    model = Plain(rig.size).eval()
    inputs = [torch.randn(ROWS, n, c) for n, c in ((100, rig.size), (1, 512), (10, 512), (110, 512))]
    blocked = torch.ones(111, 110, dtype=torch.bool)
    blocked[0] = False
    blocked[torch.arange(1, 111), torch.arange(110)] = False  # each frame hears its own audio frame

    def step() -> object:
        with torch.inference_mode():
            return model(*inputs, blocked)

    return step


def denoiser_graph(rig: Rig) -> Graph:
    """Our denoiser of the paper's size, with example inputs."""
    config = load_config("paper")
    model = Model(config.model).eval()
    encoder = nn.Identity()  # not exported here
    graphs = bundle_graphs(config, model, encoder)  # type: ignore[arg-type]
    return next(graph for graph in graphs if graph.name == "denoiser")


def onnx_step(graph: Graph, precision: str, threads: int, folder: Path) -> tuple[Callable[[], object], float]:
    """A step of the exported denoiser, and its largest difference from PyTorch relative to the output's spread."""
    path = folder / f"denoiser_{precision}.onnx"
    onnx.save(shrink(exporter.to_onnx(graph), precision), str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    with torch.inference_mode():
        expected = graph.module(*graph.inputs.values())[0].numpy()
    got = session.run(["x0"], {n: v.numpy() for n, v in graph.inputs.items() if n in wanted})[0]
    difference = float(np.abs(got - expected).max() / expected.std())
    feeds = {n: np.resize(v.numpy(), (ROWS, *v.shape[1:])) for n, v in graph.inputs.items() if n in wanted}
    feeds["distinct"], feeds["twin"] = np.array([0, 2]), np.array([0, 0, 1])  # the second row differs in its sound only
    return lambda: session.run(["x0"], feeds), difference


def floor_step(threads: int) -> Callable[[], object]:
    """The matrix products of our step, and nothing else."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def product(name: str, inside: int, outside: int) -> str:
        number = len(nodes)
        values = rng.standard_normal((inside, outside)) / np.sqrt(inside)
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"w{number}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{number}"], [f"h{number}"]))
        return f"h{number}"

    name = "x"
    for _ in range(8):
        wide = product(name, 512, 3 * 512)  # queries, keys, values
        nodes.append(helper.make_node("Split", [wide], [f"{wide}{c}" for c in "qkv"], axis=-1, num_outputs=3))
        name = product(product(product(f"{wide}v", 512, 512), 512, 2048), 2048, 512)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [ROWS, 111, 512]) for n in ("x", name)]
    graph = helper.make_graph(nodes, "floor", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rng.standard_normal((ROWS, 111, 512), dtype=np.float32)
    return lambda: session.run(None, {"x": x})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    rig = Rig.load("arkit52")
    torch.backends.mha.set_fastpath_enabled(False)  # for the export
    graph = denoiser_graph(rig)
    steps = {"plain PyTorch": plain_step(rig), "floor: matrix products alone": floor_step(given.threads)}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "int8"):
            name = f"ours, {precision} weights"
            steps[name], difference = onnx_step(graph, precision, given.threads, Path(folder))
            print(f"{name}: differs from PyTorch by {difference:.1e} of the output's spread", flush=True)
        torch.backends.mha.set_fastpath_enabled(True)  # plain PyTorch at its best
        timed: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(given.turns + 2):
            for name, step in steps.items():
                begin = time.process_time()
                step()
                if turn >= 2:  # the first turns warm up
                    timed[name].append(time.process_time() - begin)
    plain = timed["plain PyTorch"]
    for name, seconds in timed.items():
        ratios = [a / b for a, b in zip(seconds, plain, strict=True)]
        ratio = statistics.median(ratios)
        least = min(seconds) / min(plain)
        print(
            f"{name}: {1000 * statistics.median(seconds):.0f} ms a step, {ratio:.3f} x plain PyTorch"
            f" ({least:.3f} between the fastest of each)"
        )


if __name__ == "__main__":
    main()
