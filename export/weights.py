"""Smaller weights in ONNX files: stored as float16 or int8, computed with as float32.

The stored tensor is followed by a Cast (and, for int8, a multiplication by the scale of each output channel), which
ONNX Runtime folds into a float32 constant when it loads the graph. So a smaller file costs rounding of the weights and
nothing else: no operator changes, and a row's result still does not depend on what else is in the batch, as it would
with activations quantised by the batch's own range.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 256  # numbers; smaller tensors stay as they are


def shrink(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Store the float32 initialisers of `model` as "fp16" (also for "half") or "int8" ("fp32": unchanged). The model is
    changed in place and returned."""
    if precision == "fp32":
        return model
    precision = "fp16" if precision == "half" else precision
    graph = model.graph
    kernels = {name for node in graph.node if node.op_type == "Conv" for name in node.input}
    nodes, kept = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor) if tensor.data_type == TensorProto.FLOAT else None
        if values is None or values.size < SMALLEST or np.abs(values).max() > np.finfo(np.float16).max:
            kept.append(tensor)
            continue
        stored = f"{tensor.name}.{precision}"
        whole = values.ndim > 2 and tensor.name not in kernels  # a prior's bases: rotations, whose digits add up
        if precision == "int8" and values.ndim >= 2 and not whole:
            axis = 0 if values.ndim > 2 else 1  # convolutions: output channels first; matrices [in, out]: last
            others = tuple(i for i in range(values.ndim) if i != axis)
            scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127.0
            kept.append(numpy_helper.from_array(np.round(values / scale).astype(np.int8), stored))
            kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{stored}.scale"))
            nodes.append(helper.make_node("Cast", [stored], [f"{stored}.float"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{stored}.float", f"{stored}.scale"], [tensor.name]))
        else:
            stored = f"{tensor.name}.fp16"
            kept.append(numpy_helper.from_array(values.astype(np.float16), stored))
            nodes.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    del graph.initializer[:]
    graph.initializer.extend(kept)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
    return model
