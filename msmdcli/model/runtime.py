"""ONNX Runtime: which device, how many threads, and sessions whose feeds are filtered by what the graph declares.

Two builds of ONNX Runtime exist, `onnxruntime` and `onnxruntime-gpu`. They share one folder and overwrite each other
silently, so with both installed nobody knows which runs: that is refused. The GPU build lists CUDA as available on
machines without a GPU and then runs on the CPU without a word: the provider of the session itself is what counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.model.graph_store import GraphStore
from msmdcli.paths import cache_dir

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
BUILDS = ("onnxruntime", "onnxruntime-gpu")
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
CPU = "CPUExecutionProvider"
QUIET = 4  # ONNX Runtime's log level "fatal": failures reach us as exceptions, its own talk would spoil the output

CUDA_OPTIONS = {
    "use_tf32": "0",  # float32 means float32, as on the CPU
    "cudnn_conv_algo_search": "DEFAULT",  # the exhaustive search picks by timing, so not the same algorithm every time
}

TENSORRT_OPTIONS = {
    "trt_engine_cache_enable": "1",  # TensorRT names engines by graph, its own version and the GPU
    "trt_timing_cache_enable": "1",
    "trt_fp16_enable": "0",  # float32 means float32
}
CUDA_GRAPHS = "MSMD_CUDA_GRAPHS"  # environment variable: 1 lets graphs of unchanging shape be captured and replayed
NOT_CAPTURED = "-1"  # ONNX Runtime's number for a run that is neither
PROVIDERS = {"cuda": CUDA, "tensorrt": TENSORRT}  # device -> the provider that must come first in its sessions


class Graph:
    """One ONNX file, loaded.

    What stays the same from call to call need not travel to the device each time: `run_on_device` leaves outputs where
    they were computed, and `to_device` keeps inputs there (ONNX Runtime's IOBinding). `run_captured` goes further:
    every tensor has a place of its own for good, which lets a GPU capture the whole call once and repeat it without the
    host (CUDA graphs).

    Attributes:
        name: its file name, for messages.
        inputs, outputs: the names that it declares, in order.
        shapes: input -> its declared shape; an axis of free length is no int.
        captures: whether calls may be captured (`run_captured`).
        bound: whether tensors stay on the device between calls.
    """

    def __init__(
        self,
        session: Any,
        name: str,
        device: str = "cpu",
        bound: bool = False,
        captures: bool = False,
    ) -> None:
        self._session = session
        self._device = device  # as ONNX Runtime calls it: cpu or cuda
        self.bound = bound
        self.captures = captures
        self._places: dict[int, _Places] = {}
        self.name = name
        self.inputs = tuple(value.name for value in session.get_inputs())
        self.outputs = tuple(value.name for value in session.get_outputs())
        self.shapes: dict[str, tuple[int | str | None, ...]] = {v.name: tuple(v.shape) for v in session.get_inputs()}

    def run(self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run the graph.

        Args:
            feeds: tensors by name, arrays or what `run_on_device` gave; those that the graph does not declare are left
                out.
            outputs: the names wanted (None: all).

        Raises:
            MsmdError: a declared input is not among the feeds, or ONNX Runtime gave up (shapes, memory).
        """
        return {name: on_host(value) for name, value in self.run_on_device(feeds, outputs, on_device=False).items()}

    def run_on_device(
        self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None, on_device: bool = True
    ) -> dict[str, Any]:
        """Like `run`, but what comes out stays on the device; `on_host` brings it over. Without a device of its own
        these are arrays."""
        self._check(feeds)
        names = list(self.outputs if outputs is None else outputs)
        try:
            if not self.bound:
                inputs = {name: feeds[name] for name in self.inputs}
                values = self._session.run(names, inputs, self._run_options(NOT_CAPTURED))
            else:
                binding = self._session.io_binding()
                for name in self.inputs:
                    binding.bind_ortvalue_input(name, self._on_device(feeds[name]))
                for name in names:
                    binding.bind_output(name, self._device if on_device else "cpu")
                self._session.run_with_iobinding(binding, self._run_options(NOT_CAPTURED))
                values = binding.get_outputs()
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise self._failed(error) from error
        return dict(zip(names, values, strict=True))

    def run_captured(self, feeds: Mapping[str, Any], outputs: Sequence[str], number: int) -> dict[str, Any]:
        """Like `run_on_device` of a graph that `captures`, for calls of one and the same shape.

        What comes out is overwritten by the next call of that number.

        Args:
            feeds: as for `run_on_device`; always of the same shapes. What is the very object of the call before is not
                copied again.
            outputs: the names wanted, always the same.
            number: of the shape; each has places, and a capture, of its own.
        """
        import onnxruntime

        self._check(feeds)
        try:
            if number not in self._places:
                inputs = {name: self._copied(feeds[name]) for name in self.inputs}
                self._places[number] = _Places(inputs, self.run_on_device(inputs, outputs), {})
            places = self._places[number]
            for name, place in places.inputs.items():
                value = feeds[name]
                if places.fed.get(name) is not value:
                    onnxruntime.copy_tensors([self._on_device(value)], [place])
                    places.fed[name] = value
            binding = self._session.io_binding()
            for name, place in places.inputs.items():
                binding.bind_ortvalue_input(name, place)
            for name, place in places.outputs.items():
                binding.bind_ortvalue_output(name, place)
            self._session.run_with_iobinding(binding, self._run_options(str(number)))
        except Exception as error:
            raise error if isinstance(error, MsmdError) else self._failed(error) from error
        return dict(places.outputs)

    def _check(self, feeds: Mapping[str, Any]) -> None:
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise MsmdError(
                f"{self.name} wants the input {', '.join(missing)}, which this version does not provide",
                hint="export the bundle again with this version of MSMD",
            )

    def _failed(self, error: Exception) -> MsmdError:
        return MsmdError(
            f"{self.name} failed in ONNX Runtime: {_first_line(error)}",
            hint="where memory is short, lower --batch-size or --jobs",
        )

    def _run_options(self, number: str) -> Any:
        if not self.captures:
            return None
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", number)
        return options

    def _copied(self, value: Any) -> Any:
        """On the device, in a place that nothing else uses."""
        import onnxruntime

        return onnxruntime.OrtValue.ortvalue_from_numpy(on_host(value), self._device, 0)

    @property
    def captured_shapes(self) -> tuple[int, ...]:
        """The numbers of the shapes that were captured (`run_captured`)."""
        return tuple(self._places)

    def to_device(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the feeds that the graph declares, on the device, for many calls of `run`."""
        return {name: self._on_device(feeds[name]) for name in self.inputs if name in feeds}

    def _on_device(self, value: Any) -> Any:
        if not self.bound or not hasattr(value, "__array_interface__"):
            return value
        import onnxruntime

        array = value if value.flags.c_contiguous else value.copy()
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, 0)


@dataclass(frozen=True)
class _Places:
    """Where the tensors of a replayed call live, and what was last copied to each."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    fed: dict[str, Any]


def on_host(value: Any) -> NDArray[Any]:
    """An array, wherever the value was."""
    array: NDArray[Any] = value if hasattr(value, "__array_interface__") else value.numpy()
    return array


class OnnxRuntime:
    """Loads graphs for one device with a fixed number of threads.

    Attributes:
        device: ``cpu``, ``cuda`` or ``tensorrt``; for ``auto`` it is known after the first graph is loaded.
        bound: whether tensors stay on the device between calls (`Graph.to_device`); without a GPU it gains nothing.
        captures: whether graphs that ask for it may be captured (`Graph.run_captured`): with CUDA, where `CUDA_GRAPHS`
            is 1.
        threads: threads within one operator (0: ONNX Runtime decides).
        spinning: whether threads that wait keep their core busy, which starts the next operator sooner.
        version: of ONNX Runtime.
        graph_store: where optimised graphs are kept.
    """

    def __init__(self, device: str = "auto", threads: int = 0, spinning: bool = True) -> None:
        if device not in DEVICES:
            raise UsageError(f"device {device!r} is not known", hint=f"choose one of: {', '.join(DEVICES)}")
        if threads < 0:
            raise UsageError(f"{threads} threads", hint="give 1 or more, or 0 for one per core")
        check_one_build()
        self._asked = device
        self.threads = threads
        self.spinning = spinning
        try:
            import onnxruntime
        except ImportError as error:
            raise MsmdError(
                f"ONNX Runtime cannot be imported: {error}", hint=f"install one build: {install_command('cpu')}"
            ) from error
        onnxruntime.set_default_logger_severity(QUIET)
        self._ort = onnxruntime
        self.version: str = onnxruntime.__version__
        offered = onnxruntime.get_available_providers()
        for name, provider in PROVIDERS.items():
            if device == name and provider not in offered:
                raise MsmdError(
                    f"device {name} was asked for, but this ONNX Runtime "
                    + ("is a CPU build" if CUDA not in offered else f"lacks {provider}"),
                    hint=f"pip uninstall onnxruntime, then {install_command('gpu')}; or leave --device out",
                )
        self.device = device if device != "auto" else "cuda" if CUDA in offered else "cpu"
        self.bound = self.device != "cpu"
        self.captures = self.device == "cuda" and os.environ.get(CUDA_GRAPHS) == "1"
        self.graph_store = GraphStore()

    def load(
        self,
        path: Path,
        threads: int | None = None,
        *,
        sha256: str = "",
        varying: bool = False,
        captured: bool = False,
    ) -> Graph:
        """Load one graph and check that it runs where it should.

        Args:
            path: the ONNX file.
            threads: instead of the runtime's.
            sha256: of the file, where it is known: then the graph is optimised once for all runs on the CPU
                (`GraphStore`).
            varying: whether its inputs differ much in length from call to call: then memory goes back after each on the
                CPU, since what one length leaves in ONNX Runtime's arena does not fit the next.
            captured: whether it is to be captured where that is possible.
        """
        session = self._session(path, sha256, threads, varying, captured)
        wanted = PROVIDERS.get(self.device)
        if wanted is not None and session.get_providers()[0] != wanted:
            if self._asked != "auto":
                raise MsmdError(
                    f"device {self.device} was asked for, but {path.name} would run on the CPU"
                    if self.device == "cuda"
                    else f"device {self.device} was asked for, but {path.name} would run without it",
                    hint="check the GPU driver, CUDA and cuDNN with `msmd doctor`; or leave --device out",
                )
            self.device, self.bound, self.captures = "cpu", False, False  # auto: no usable GPU
            session = self._session(path, sha256, threads, varying, captured)
        device = "cpu" if self.device == "cpu" else "cuda"
        return Graph(session, path.name, device, self.bound, captured and self.captures)

    def _session(self, path: Path, sha256: str, threads: int | None, varying: bool, captured: bool) -> Any:
        def options() -> Any:
            made = self._ort.SessionOptions()
            made.intra_op_num_threads = self.threads if threads is None else threads
            made.inter_op_num_threads = 1
            if not self.spinning:
                made.add_session_config_entry("session.intra_op.allow_spinning", "0")
            made.log_severity_level = QUIET
            made.use_deterministic_compute = True
            made.enable_cpu_mem_arena = not varying
            return made

        providers = self._providers(captured)
        try:
            if sha256 and self.device == "cpu":
                return self.graph_store.session(self._ort, path, sha256, options, providers)
            return self._ort.InferenceSession(str(path), options(), providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise MsmdError(
                f"{path} cannot be loaded by ONNX Runtime {self._ort.__version__}: {_first_line(error)}",
                hint="update onnxruntime, or export the bundle again",
            ) from error

    def _providers(self, captured: bool) -> list[Any]:
        """The device's provider first, then those that take what it cannot do."""
        if self.device == "cpu":
            return [CPU]
        graphs = {"enable_cuda_graph": "1"} if captured and self.captures else {}
        providers: list[Any] = [(CUDA, CUDA_OPTIONS | graphs), CPU]
        if self.device == "tensorrt":
            engines = cache_dir() / "tensorrt"  # building an engine takes minutes: they are kept
            engines.mkdir(parents=True, exist_ok=True)
            kept = {"trt_engine_cache_path": str(engines), "trt_timing_cache_path": str(engines)}
            providers.insert(0, (TENSORRT, TENSORRT_OPTIONS | kept))
        return providers


def installed_builds() -> dict[str, str]:
    """The installed builds of ONNX Runtime and their versions."""
    found = {}
    for build in BUILDS:
        try:
            found[build] = metadata.version(build)
        except metadata.PackageNotFoundError:
            continue
    return found


def check_one_build() -> None:
    """Refuse to go on with both builds of ONNX Runtime, or none, installed."""
    builds = installed_builds()
    if len(builds) > 1:
        raise MsmdError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other",
            hint=f"pip uninstall onnxruntime onnxruntime-gpu, then {install_command('cpu')}, or with [gpu]",
        )
    if not builds:
        raise MsmdError("ONNX Runtime is not installed", hint=f"{install_command('cpu')}, or with [gpu] for CUDA")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
