"""Ratios of speeds, measured in turns in one process: seconds depend on the machine, these hardly do.

    python benchmarks/speed_ratios.py [--turns 15]

Each line has the median over turns, the lowest and the highest, and what it should stay below (exit code 1 otherwise).
Time is this thread's own computing time. The tests count the same work instead (tests/msmdcli/test_speed_ratios.py).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore
from msmdcli.model.style_codes import StyleEntry
from msmdcli.model.trial import step_timer
from msmdcli.paths import shipped_bundle

ROWS = 8
Call = Callable[[], object]


def ratios(ours: Call, other: Call, turns: int) -> list[float]:
    """What `ours` costs against `other`, in each turn; the first, which is left out, warms up."""
    found = []
    for _ in range(turns + 1):
        spent = []
        for call in (ours, other):
            begin = time.thread_time()
            call()
            spent.append(time.thread_time() - begin)
        found.append(spent[0] / max(spent[1], 1e-9))
    return found[1:]


def solve(bundle: Bundle, sound: Audio, sampling: Sampling) -> Call:
    """Solves a line, its sound already encoded."""
    engine = Engine(bundle, "cpu", 1, sampling=sampling)
    features = engine.encode_audio(sound)
    return lambda: list(engine.animate([Job("x", features, [StyleEntry(None)])]))


def products(bundle: Bundle, rows: int) -> Call:
    """The products of a step's tokens with the weights of all layers, in one thread; the one after the attention is
    thrice as wide here, so that each can follow the other."""
    sizes, tokens = bundle.model, 1 + bundle.previous + bundle.window
    W, hidden = sizes["width"], sizes["feedforward"]
    rng = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for inside, outside in ((W, 3 * W), (3 * W, W), (W, hidden), (hidden, W)) * sizes["layers"]:
        values = rng.standard_normal((inside, outside), dtype=np.float32) / np.float32(np.sqrt(inside))
        weights.append(onnx.numpy_helper.from_array(values, f"w{len(nodes)}"))
        nodes.append(onnx.helper.make_node("MatMul", [name, f"w{len(nodes)}"], [f"h{len(nodes)}"]))
        name = f"h{len(nodes) - 1}"
    ends = [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [rows * tokens, W]) for end in ("x", name)]
    graph = onnx.helper.make_graph(nodes, "products", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = rng.standard_normal((rows * tokens, W), dtype=np.float32)
    return lambda: session.run(None, {"x": x})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--turns", type=int, default=15)
    turns = parser.parse_args().turns
    bundle = Bundle.load(shipped_bundle())
    engine = Engine(bundle, "cpu", 1)
    samples = np.random.default_rng(0).standard_normal(4 * 16000, dtype=np.float32) * np.float32(0.05)
    sound = Audio(samples, 16000, 16000, 1, Fraction(4))
    two, four = (solve(bundle, sound, Sampling("dpmpp-2m", steps)) for steps in (2, 4))
    plain, guided = (solve(bundle, sound, Sampling(guidance_audio=scale)) for scale in (0.0, 1.0))
    together, alone = step_timer(engine, ROWS), step_timer(engine, 1)
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder), 10**8)
        engine.features(sound, store)
        for name, ours, other, limit in (
            (f"{ROWS} rows together / alone", together, lambda: [alone() for _ in range(ROWS)], 1.1),
            ("2 steps / 4 steps", two, four, 0.75),
            ("no guidance / guidance by audio", plain, guided, 0.75),
            ("a step / its matrix products", together, products(bundle, ROWS), 2.0),
            ("features kept / heard", lambda: engine.features(sound, store), lambda: engine.encode_audio(sound), 0.4),
        ):
            found = ratios(ours, other, turns)
            median = statistics.median(found)
            fine &= median < limit
            print(f"{name:32} {median:.2f} ({min(found):.2f} to {max(found):.2f}), below {limit}")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
