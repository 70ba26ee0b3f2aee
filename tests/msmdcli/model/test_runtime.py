from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError, UsageError
from msmdcli.model import runtime
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.graphs import STEP_GRAPH
from msmdcli.model.lines import Job
from msmdcli.model.runtime import CPU, CUDA, OnnxRuntime, on_host
from msmdcli.model.samplers import LAST_STEP
from msmdcli.model.sampling import Sampling
from msmdcli.model.solver import DeviceState, Mixing
from msmdcli.model.style_codes import StyleCode, StyleEntry


def test_feeds_are_filtered_and_missing_inputs_named(stand_in_bundle: Path) -> None:
    graph = OnnxRuntime("cpu", 1).load(stand_in_bundle / "style_decoder.onnx")
    out = graph.run({"code": np.zeros((2, 8), np.float32), "not declared": np.zeros(3, np.float32)})
    assert out["basis"].shape == (2, 2, 55)
    with pytest.raises(MsmdError, match="code"):
        graph.run({"x": np.zeros(1, np.float32)})
    with pytest.raises(MsmdError, match=r"style_decoder\.onnx failed"):
        graph.run({"code": np.zeros((2, 9), np.float32)})


def test_both_builds_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "installed_builds", lambda: {"onnxruntime": "1", "onnxruntime-gpu": "1"})
    with pytest.raises(MsmdError, match="both installed") as error:
        OnnxRuntime("cpu")
    assert "pip uninstall" in error.value.hint
    monkeypatch.setattr(runtime, "installed_builds", dict)
    with pytest.raises(MsmdError, match="not installed"):
        OnnxRuntime("cpu")


class _SilentFallback:
    """What the GPU build does on a machine without a GPU: CUDA is listed, asked for, and not used."""

    __version__ = "0"

    class SessionOptions:
        pass

    class InferenceSession:
        def __init__(self, path: str, options: object, providers: list[object]) -> None:
            pass

        def get_providers(self) -> list[str]:
            return [CPU]

        def get_inputs(self) -> list[object]:
            return []

        get_outputs = get_inputs

    @staticmethod
    def get_available_providers() -> list[str]:
        return [CUDA, CPU]


def test_cuda_that_silently_runs_on_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, auto = OnnxRuntime("cpu"), OnnxRuntime("cpu")
    for machine, device in ((asked, "cuda"), (auto, "auto")):
        machine._ort, machine._asked, machine.device = _SilentFallback, device, "cuda"
    with pytest.raises(MsmdError, match="would run on the CPU"):
        asked.load(Path("x.onnx"))
    auto.load(Path("x.onnx"))
    assert auto.device == "cpu"


def test_tensors_that_stay_on_the_device_give_the_same_bytes(stand_in_bundle: Path) -> None:
    """IOBinding, as on a GPU, against plain calls; with an intensity, for which the basis comes to the host."""
    bundle = Bundle.load(stand_in_bundle)
    lines = []
    for bound in (False, True):
        engine = Engine(bundle, "cpu", 1)
        engine.runtime.bound = bound
        features = np.random.default_rng(0).standard_normal((50, 12), dtype=np.float32)
        style = StyleEntry(None)
        jobs = [Job(str(i), features[: 20 + i], [style]) for i in range(5)]
        lines.append({job.id: motion.values.tobytes() for job, motion in engine.animate(jobs)})
        assert engine.graphs.denoiser.bound == bound
    assert lines[0] == lines[1]


class Seen:
    """Remembers the coefficients of the basis that it is shown."""

    def __init__(self) -> None:
        self.alphas: list[np.ndarray] = []

    def __call__(self, alpha: np.ndarray, first: int) -> None:
        self.alphas.append(alpha)


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling("dpmpp-2m", 5, 0.5, 0.75),
        Sampling("dpmpp-2m", 5, 0.5, 0.75, guidance_interval=(0.2, 0.6)),
        Sampling("ddim", 3),
        Sampling("ddpm", 4, 0.0, 1.0),
        Sampling("dpmpp-2m", 1),
    ],
)
def test_the_solver_on_the_device_is_that_of_the_host(
    stand_in_bundle: Path, sampling: Sampling, captured: bool
) -> None:
    """The whole reverse process in graphs and IOBinding, on the CPU's provider, against NumPy's."""
    bundle = Bundle.load(stand_in_bundle)
    styles = [style_of(number) for number in range(2)]
    found, alphas = [], []
    for bound in (False, True):
        engine = Engine(bundle, "cpu", 1, max_batch=12, sampling=sampling)
        engine.runtime.bound, engine.runtime.captures = bound, captured and bound
        seen = Seen()
        features = np.random.default_rng(0).standard_normal((50, 12), dtype=np.float32)
        jobs = [Job(str(i), features[: 20 + i], [StyleEntry(styles[i % 2])]) for i in range(7)]
        mixed = [StyleEntry(styles[0], 0.3), StyleEntry(styles[1], 0.7), StyleEntry(None, 0.2)]
        jobs.append(Job("mixed", features, mixed, watch_alpha=seen))
        found.append({job.id: motion.values for job, motion in engine.animate(jobs, clip=False)})
        alphas.append(np.concatenate(seen.alphas))
        full_calls = sampling.guided  # only they fill the batch, and only what does is captured
        assert bool(engine.graphs.denoiser.captured_shapes) == (captured and bound and full_calls)
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, atol=1e-5)
    np.testing.assert_allclose(alphas[1], alphas[0], atol=1e-5)


def test_the_graph_of_a_solver_step_is_what_its_script_makes() -> None:
    pytest.importorskip("onnx")
    from export.solver_step import make

    assert make() == STEP_GRAPH.read_bytes()


def test_a_failing_line_does_not_reach_its_neighbours_on_the_device() -> None:
    machine = OnnxRuntime("cpu", 1)
    machine.bound = True
    graph = machine.load(STEP_GRAPH)
    rng = np.random.default_rng(0)
    noise, predicted = (rng.standard_normal((n, 4, 3), dtype=np.float32) for n in (2, 3))
    predicted[2] = np.nan
    owner = np.array([0, 0, 1])
    solver = DeviceState(graph, noise)
    factors = [np.full((1, 1), value, np.float32) for value in (1.5, -0.5, 1.0)]
    solver.step(predicted, Mixing(graph, owner, factors), LAST_STEP, None, owner)
    first, second = on_host(solver.x)
    np.testing.assert_allclose(first, 1.5 * predicted[0] - 0.5 * predicted[1], rtol=1e-6)
    assert np.isnan(second).all()


def style_of(seed: int) -> StyleCode:
    rng = np.random.default_rng(seed)
    return StyleCode.of(
        rng.standard_normal(8, dtype=np.float32), rng.standard_normal(110, dtype=np.float32) * np.float32(0.25)
    )


def test_held_and_kept_tensors(stand_in_bundle: Path) -> None:
    machine = OnnxRuntime("cpu", 1)
    plain = machine.load(stand_in_bundle / "style_decoder.onnx")
    machine.bound = True
    graph = machine.load(stand_in_bundle / "style_decoder.onnx")
    code = np.random.default_rng(0).standard_normal((8, 3), dtype=np.float32).T  # not contiguous
    held = graph.to_device({"code": code, "not declared": code})
    assert list(held) == ["code"] and not isinstance(held["code"], np.ndarray)
    kept = graph.run_on_device(held)["basis"]
    assert not isinstance(kept, np.ndarray)
    expected = plain.run({"code": code})["basis"]
    np.testing.assert_array_equal(on_host(kept), expected)
    np.testing.assert_array_equal(graph.run(held)["basis"], expected)
    with pytest.raises(MsmdError, match=r"style_decoder\.onnx failed"):
        graph.run({"code": np.zeros((2, 9), np.float32)})


def test_tensorrt_is_refused_where_it_is_not_offered() -> None:
    with pytest.raises(MsmdError, match="tensorrt"):
        OnnxRuntime("tensorrt")


def test_wrong_wishes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tpu"):
        OnnxRuntime("tpu")
    with pytest.raises(UsageError):
        OnnxRuntime("cpu", threads=-1)
    (tmp_path / "x.onnx").write_bytes(b"not a graph")
    with pytest.raises(MsmdError, match=r"x\.onnx cannot be loaded"):
        OnnxRuntime("cpu").load(tmp_path / "x.onnx")
