"""The denoiser in float16, for GPUs: half the memory traffic, and their matrix units.

Inputs and outputs stay float32. What leads to the sine and cosine of the diffusion step stays float32, too: float16
knows 999 x 0.9 to half a radian only. On a CPU such a graph runs, but slower than float32.
"""

from __future__ import annotations

import onnx

WAVES = ("Sin", "Cos")


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, computing in float16 between its float32 inputs and outputs."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    halved: onnx.ModelProto = convert_float_to_float16(
        model, keep_io_types=True, node_block_list=sorted(_leading_to_waves(model.graph)), disable_shape_infer=False
    )
    return halved


def _leading_to_waves(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that sines and cosines are computed from, and of these themselves."""
    maker = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    waiting = [node for node in graph.node if node.op_type in WAVES]
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting += [maker[name] for name in node.input if name in maker]
    return found
