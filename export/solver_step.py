"""Makes msmdcli/model/solver_step.onnx: one step of any sampler as a graph, so that x never leaves a GPU.

    python -m export.solver_step

Predictions are mixed by index and not by a matrix, so that what fails in one line cannot reach another, and in a fixed
order, so that the same input gives the same bits.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from msmdcli.model.graphs import STEP_GRAPH

TEXT = """
<ir_version: 8, opset_import: ["" : 18]>
solver_step (float[R, N, D] predicted, int64[L, G] rows, float[L, G, F, one] factors, float[L, N, D] x,
             float[L, N, D] last, float[A, B, C] noise, float[four] weights, int64[Q] owner)
    => (float[Q, N, D] next_rows, float[L, N, D] next, float[L, N, D] x0) {
    from_x, from_x0, extrapolate, from_noise = Split <axis = 0, num_outputs = 4> (weights)
    picked = Gather <axis = 0> (predicted, rows)
    weighed = Mul (picked, factors)
    x0 = ReduceSum <keepdims = 0> (weighed, axis)
    change = Sub (x0, last)
    further = Mul (change, extrapolate)
    d = Add (x0, further)
    term_x = Mul (x, from_x)
    term_x0 = Mul (d, from_x0)
    term_noise = Mul (noise, from_noise)
    known = Add (term_x, term_x0)
    next = Add (known, term_noise)
    next_rows = Gather <axis = 0> (next, owner)
}
"""


def make() -> bytes:
    """The file's content."""
    model = onnx.parser.parse_model(TEXT)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


if __name__ == "__main__":
    STEP_GRAPH.write_bytes(make())
    print(f"{STEP_GRAPH}: {STEP_GRAPH.stat().st_size} bytes")
