"""A guard against getting slower. The work is counted, not timed, so that the machine does not matter; its seconds are
compared in benchmarks/speed_ratios.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore
from msmdcli.model.style_codes import StyleEntry
from msmdcli.model.windows import window_count
from msmdcli.paths import shipped_bundle

SECONDS = 4


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not shipped_bundle().is_dir():
        pytest.skip("the starter bundle is not here")
    return Bundle.load(shipped_bundle())


@pytest.fixture(scope="module")
def sound() -> Audio:
    samples = np.random.default_rng(0).standard_normal(SECONDS * 16000, dtype=np.float32) * np.float32(0.05)
    return Audio(samples, 16000, 16000, 1, Fraction(SECONDS))


class Counted:
    """An engine that counts: calls of each graph, and the rows of them."""

    def __init__(self, bundle: Bundle, sound: Audio, sampling: Sampling) -> None:
        self.engine = Engine(bundle, "cpu", 1, 8, sampling)
        self.features = self.engine.encode_audio(sound)
        self.calls: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        for graph, feed in ((self.engine.graphs.conditioner, "audio_null"), (self.engine.graphs.denoiser, "x")):
            graph.run_on_device = self.counting(graph.run_on_device, graph.name, feed)  # type: ignore[method-assign]

    def counting(self, call: Callable[..., object], name: str, feed: str) -> Callable[..., Any]:
        def counted(feeds: dict[str, Any], *arguments: Any, **named: Any) -> object:
            self.calls[name] += 1
            self.rows[name] += len(feeds[feed])
            return call(feeds, *arguments, **named)

        return counted

    def solve(self, lines: int = 1) -> None:
        """That many lines of one recording."""
        jobs = [Job(f"line{number}", self.features, [StyleEntry(None)]) for number in range(lines)]
        assert len(list(self.engine.animate(jobs))) == lines


@pytest.mark.parametrize("lines", [1, 8])
@pytest.mark.parametrize("steps", [2, 4])
def test_a_line_costs_a_row_in_each_step_and_lines_go_together(
    bundle: Bundle, sound: Audio, steps: int, lines: int
) -> None:
    """One call of the conditioner for a window, one of the denoiser for each of its steps, and no more of them for
    eight lines than for one."""
    counted = Counted(bundle, sound, Sampling("dpmpp-2m", steps, guidance_audio=0.0))  # guidance is a row more
    counted.solve(lines)
    windows = window_count(25 * SECONDS, bundle.window)
    assert counted.calls == {"conditioner.onnx": windows, "denoiser.onnx": steps * windows}
    assert counted.rows["denoiser.onnx"] == lines * steps * windows


def test_only_a_branch_with_weight_costs_a_row(bundle: Bundle, sound: Audio) -> None:
    without, heard = (Counted(bundle, sound, Sampling("dpmpp-2m", 4, guidance_audio=scale)) for scale in (0.0, 1.0))
    without.solve()
    heard.solve()
    assert without.calls == heard.calls
    assert heard.rows["denoiser.onnx"] == 2 * without.rows["denoiser.onnx"]


ROWS = 8


def test_a_step_does_little_beside_its_matrix_products(bundle: Bundle) -> None:
    """Whatever else a step does must not come to outweigh them: numbers that its other nodes write, for each that a
    product writes. They are about a third of its time."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle.file("denoiser.onnx"))
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = ROWS
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.output)}
    written: Counter[bool] = Counter()
    for node in graph.node:
        for name in node.output:
            # An axis whose length is only computed (a slice up to the number of rows) is the one free one, the rows'.
            sizes = [dim.dim_value if dim.HasField("dim_value") else ROWS for dim in shapes[name]]
            assert sum(not dim.HasField("dim_value") for dim in shapes[name]) <= 1, f"the shape of {name} is not known"
            written[node.op_type == "MatMul"] += math.prod(sizes)
    assert 1 < written[False] / written[True] < 4


def test_features_that_are_kept_are_not_heard_again(
    bundle: Bundle, sound: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, store, heard = Engine(bundle, "cpu", 1), FeatureStore(tmp_path, 10**8), 0
    encode = engine.encode_waveform

    def counted(waveform: np.ndarray) -> np.ndarray:
        nonlocal heard
        heard += 1
        return encode(waveform)

    monkeypatch.setattr(engine, "encode_waveform", counted)
    first = engine.features(sound, store)
    assert heard > 0
    before = heard
    again = engine.features(sound, store)
    assert heard == before
    np.testing.assert_array_equal(np.asarray(again[0 : len(again)]), np.asarray(first[0 : len(first)]))
