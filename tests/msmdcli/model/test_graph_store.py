"""Stored optimised graphs: the same bytes as without, whatever happens to the files, and who may use them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from msmdcli.errors import MsmdError
from msmdcli.model import graph_store
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.graph_store import GraphStore, graph_key
from msmdcli.model.lines import Job
from msmdcli.model.runtime import OnnxRuntime
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.paths import shipped_bundle

NAME = "denoiser.onnx"


def machine(folder: Path, limit: int = 10**9) -> OnnxRuntime:
    runtime = OnnxRuntime("cpu", 1)
    runtime.graph_store = GraphStore(folder, limit)
    return runtime


def load(bundle: Bundle, folder: Path, name: str = NAME, limit: int = 10**9) -> object:
    return machine(folder, limit).load(bundle.file(name), sha256=bundle.files[name]["sha256"])


@pytest.fixture(scope="module")
def bundle(stand_in_bundle: Path) -> Bundle:
    return Bundle.load(stand_in_bundle)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Model files that were optimised."""
    found: list[Path] = []
    original = GraphStore.optimised

    def watched(self: GraphStore, ort: object, path: Path, *others: object) -> object:
        found.append(path)
        return original(self, ort, path, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(GraphStore, "optimised", watched)
    return found


def everything(bundle: Bundle, folder: Path, limit: int) -> list[bytes]:
    """What each graph of a bundle takes part in, as bytes: features, codes, and lines with guidance."""
    engine = Engine(bundle, "cpu", 1, sampling=Sampling(guidance_audio=0.5, guidance_style=0.5))
    engine.runtime.graph_store = GraphStore(folder, limit)
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal((1, 5 * 16000), dtype=np.float32) * np.float32(0.1)
    features = engine.encode_waveform(waveform)
    D = bundle.rig.size
    style = engine.encode_style(Motion(rng.uniform(0, 0.5, (150, D)).astype(np.float32), bundle.fps, bundle.rig))
    form = bundle.audio_encoder
    heard = [rng.standard_normal((n, form.dim * form.stack), dtype=np.float32) for n in (30, 130)]
    jobs = [Job(str(n), rows, [StyleEntry(style)]) for n, rows in enumerate(heard)]
    lines = sorted((job.id, motion.values.tobytes()) for job, motion in engine.animate(jobs))
    return [features.tobytes(), style.code.tobytes(), style.anchor.tobytes(), *(values for _, values in lines)]


@pytest.mark.parametrize("which", ["stand-in", "shipped"])
def test_bytes_are_the_same_with_and_without(bundle: Bundle, which: str, tmp_path: Path, made: list[Path]) -> None:
    if which == "shipped":
        if not shipped_bundle().is_dir():
            pytest.skip("the starter bundle is not here")
        bundle = Bundle.load(shipped_bundle())
    without = everything(bundle, tmp_path / "g", 0)
    assert not made and not (tmp_path / "g").exists()
    first, later = (everything(bundle, tmp_path / "g", 10**9) for _ in range(2))
    assert len(made) == 4 and GraphStore(tmp_path / "g", 10**9).size()[0] == 4  # the first time only
    assert without == first == later


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data[:-200] + bytes([data[-200] ^ 1]) + data[-199:],
        lambda data: b"\xff" * len(data),
    ],
    ids=["cut off", "half", "empty", "a bit at the start", "a bit of the description", "noise"],
)
def test_damage_is_noticed_and_mended(
    bundle: Bundle, tmp_path: Path, made: list[Path], harm: Callable[[bytes], bytes]
) -> None:
    load(bundle, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    for count in (2, 2):
        load(bundle, tmp_path)
        assert len(made) == count and path.read_bytes() == whole


def test_what_onnx_runtime_cannot_load_is_made_again(bundle: Bundle, tmp_path: Path, made: list[Path]) -> None:
    """A file that is whole, but written by nobody knows whom."""
    load(bundle, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    assert GraphStore(tmp_path, 10**9).keep(path.stem, [b"no graph", bytes(8)])
    load(bundle, tmp_path)
    assert len(made) == 2 and path.read_bytes() == whole


def test_large_weights_are_read_from_the_stored_file(bundle: Bundle, tmp_path: Path, made: list[Path]) -> None:
    """Also where another process removes the file later on."""
    if not shipped_bundle().is_dir():
        pytest.skip("the starter bundle is not here")
    starter = Bundle.load(shipped_bundle())
    load(starter, tmp_path)
    (path,) = tmp_path.iterdir()
    graph = load(starter, tmp_path)
    path.unlink()
    other = load(starter, tmp_path, limit=0)
    rng = np.random.default_rng(0)
    feeds: dict[str, np.ndarray] = {
        name: rng.standard_normal([size if isinstance(size, int) else 2 for size in shape], dtype=np.float32)
        for name, shape in other.shapes.items()  # type: ignore[attr-defined]
    }
    feeds |= {name: np.arange(2) for name in ("t", "following", "distinct", "twin")}
    found, expected = (one.run(feeds)["x0"].tobytes() for one in (graph, other))  # type: ignore[attr-defined]
    assert found == expected and len(made) == 1


def test_a_folder_that_cannot_be_written_is_no_error(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert load(bundle, tmp_path / "file").inputs  # type: ignore[attr-defined]
    assert GraphStore(tmp_path / "file", 10**9).size() == (0, 0)


def test_a_file_that_is_not_the_one_it_should_be_is_not_stored(bundle: Bundle, tmp_path: Path) -> None:
    machine(tmp_path).load(bundle.file(NAME), sha256="0" * 64)
    assert not list(tmp_path.iterdir())


def test_large_files_and_those_of_unknown_content_are_not_stored(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path).load(bundle.file(NAME))
    monkeypatch.setattr(graph_store, "LARGEST", bundle.file(NAME).stat().st_size - 1)
    load(bundle, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_cpu_has_stored_graphs(bundle: Bundle, tmp_path: Path) -> None:
    runtime = machine(tmp_path)
    runtime.device = "cuda"  # ONNX Runtime takes the CPU in its place here
    with pytest.raises(MsmdError), pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        runtime._asked = "cuda"
        runtime.load(bundle.file(NAME), sha256=bundle.files[NAME]["sha256"])
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_broken_is_told_of_as_ever(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no graph at all")
    with pytest.raises(MsmdError, match=r"bad\.onnx cannot be loaded by ONNX Runtime"):
        machine(tmp_path / "g").load(tmp_path / "bad.onnx", sha256="0" * 64)
    assert not list((tmp_path / "g").iterdir())


def test_what_another_process_writes_is_left_to_it(bundle: Bundle, tmp_path: Path) -> None:
    place = tmp_path / f".{graph_key(bundle.files[NAME]['sha256'], onnxruntime)}"
    place.mkdir()
    assert load(bundle, tmp_path).inputs  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == [place]
    os.utime(place, (0, 0))  # it was killed long ago
    load(bundle, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".graph"]


def test_the_key_tells_what_decides_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {graph_key("a", onnxruntime), graph_key("b", onnxruntime)}
    monkeypatch.setattr("msmdcli.model.graph_store.processor_kind", lambda: "another")
    keys.add(graph_key("a", onnxruntime))
    monkeypatch.setattr(onnxruntime, "get_build_info", lambda: "another")
    keys.add(graph_key("a", onnxruntime))
    monkeypatch.setattr(onnxruntime, "__version__", "0")
    keys.add(graph_key("a", onnxruntime))
    assert len(keys) == 5


PROCESS = """
import sys
from pathlib import Path
from msmdcli.model.bundle import Bundle
from msmdcli.model.graph_store import GraphStore
from msmdcli.model.runtime import OnnxRuntime
bundle, runtime = Bundle.load(sys.argv[1]), OnnxRuntime("cpu", 1)
runtime.graph_store = GraphStore(Path(sys.argv[2]), 10**9)
for _ in range(5):
    for name, entry in bundle.files.items():
        runtime.load(bundle.file(name), sha256=entry["sha256"])
    for path in Path(sys.argv[2]).glob("*.graph"):
        path.unlink(missing_ok=True)
"""


def test_many_processes_at_once(stand_in_bundle: Path, tmp_path: Path) -> None:
    """They store, use and remove the same files under each other's hands; nobody fails or leaves anything."""
    arguments = [sys.executable, "-c", PROCESS, str(stand_in_bundle), str(tmp_path)]
    processes = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, told = process.communicate()
        assert process.returncode == 0, told
    assert all(path.suffix == ".graph" for path in tmp_path.iterdir())
