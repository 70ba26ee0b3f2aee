"""A guard against getting slower: ratios of things measured in turns in one process, medians, with generous limits.

Seconds depend on the machine and on what else it does; these ratios hardly do. Time is this thread's own computing
time, so a busy machine does not count.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from msmdcli.audio import Audio
from msmdcli.bundle import Bundle
from msmdcli.engine import Engine, Job, Sampling, StyleEntry
from msmdcli.feature_store import FeatureStore
from msmdcli.paths import shipped_bundle
from msmdcli.windows import window_count

TURNS = 5


def ratio(ours: Callable[[], object], other: Callable[[], object]) -> float:
    """The median over turns of what `ours` costs against `other`; the first turn warms up."""
    found = []
    for _ in range(TURNS + 1):
        spent = []
        for call in (ours, other):
            begin = time.thread_time()
            call()
            spent.append(time.thread_time() - begin)
        found.append(spent[0] / max(spent[1], 1e-9))
    return statistics.median(found[1:])


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not shipped_bundle().is_dir():
        pytest.skip("the starter bundle is not here")
    return Bundle.load(shipped_bundle())


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[Engine]:
    yield Engine(bundle, "cpu", 1)


@pytest.fixture(scope="module")
def sound() -> Audio:
    samples = np.random.default_rng(0).standard_normal(4 * 16000, dtype=np.float32) * np.float32(0.05)
    return Audio(samples, 16000, 16000, 1, Fraction(4))


def solve(engine: Engine, sound: Audio) -> Callable[[], object]:
    features = engine.encode_audio(sound)
    return lambda: list(engine.animate([Job("x", features, [StyleEntry(None)])]))


def test_rows_together_cost_less_than_alone(engine: Engine) -> None:
    together, alone = engine.step_timer(8), engine.step_timer(1)
    assert ratio(together, lambda: [alone() for _ in range(8)]) < 1.1


def test_half_the_steps_cost_about_half(bundle: Bundle, sound: Audio) -> None:
    two, four = (solve(Engine(bundle, "cpu", 1, sampling=Sampling("dpmpp-2m", n)), sound) for n in (2, 4))
    assert ratio(two, four) < 0.75


def test_a_branch_without_weight_costs_nothing(bundle: Bundle, sound: Audio) -> None:
    without, with_audio = (
        solve(Engine(bundle, "cpu", 1, sampling=Sampling(guidance_audio=scale)), sound) for scale in (0.0, 1.0)
    )
    assert ratio(without, with_audio) < 0.75


def test_conditions_are_made_once_per_window(bundle: Bundle, sound: Audio) -> None:
    """One call of the conditioner for a window of four steps, and one of the denoiser for each: counted, not timed,
    because the conditioner costs too little beside a step to be seen in a ratio."""
    engine = Engine(bundle, "cpu", 1, sampling=Sampling("dpmpp-2m", 4))
    calls: Counter[str] = Counter()
    for graph in (engine._conditioner, engine._denoiser):
        graph.keep = counting(graph.keep, graph.name, calls)  # type: ignore[method-assign]
    solve(engine, sound)()
    windows = window_count(100, bundle.window)
    assert calls == {"conditioner.onnx": windows, "denoiser.onnx": 4 * windows}


def counting(call: Callable[..., object], name: str, calls: Counter[str]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> object:
        calls[name] += 1
        return call(*arguments, **named)

    return counted


def test_a_step_costs_little_more_than_its_matrix_products(bundle: Bundle, engine: Engine) -> None:
    """Against a graph of nothing but the same products, in ONNX Runtime, too: whatever else a step does must not come
    to outweigh them."""
    assert ratio(engine.step_timer(8), products(bundle, 8)) < 2


def products(bundle: Bundle, rows: int) -> Callable[[], object]:
    """The products of a step's tokens with the weights of all layers, in one thread; the one after the attention is
    thrice as wide here, so that each can follow the other."""
    onnx = pytest.importorskip("onnx")
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


def test_features_kept_are_cheaper_than_heard_again(engine: Engine, sound: Audio, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**8)
    engine.hear(sound, store)
    assert ratio(lambda: engine.hear(sound, store), lambda: engine.encode_audio(sound)) < 0.4
