"""ONNX Runtime: which device, how many threads, and sessions whose feeds are filtered by what the graph declares.

Two builds of ONNX Runtime exist, `onnxruntime` and `onnxruntime-gpu`. They share one folder and overwrite each other
silently, so with both installed nobody knows which runs: that is refused. The GPU build lists CUDA as available on
machines without a GPU and then runs on the CPU without a word: the provider of the session itself is what counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from msmdcli.errors import MsmdError, UsageError

DEVICES = ("auto", "cpu", "cuda")
BUILDS = ("onnxruntime", "onnxruntime-gpu")
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
QUIET = 4  # ONNX Runtime's log level "fatal": failures reach us as exceptions, its own talk would spoil the output

CUDA_OPTIONS = {
    "use_tf32": "0",  # float32 means float32, as on the CPU
    "cudnn_conv_algo_search": "DEFAULT",  # the exhaustive search picks by timing, so not the same algorithm every time
}


class Graph:
    """One ONNX file, loaded.

    Attributes:
        name: its file name, for messages.
        inputs, outputs: the names that it declares, in order.
    """

    def __init__(self, session: Any, name: str) -> None:
        self._session = session
        self.name = name
        self.inputs = tuple(value.name for value in session.get_inputs())
        self.outputs = tuple(value.name for value in session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """Run the graph.

        Args:
            feeds: tensors by name; those that the graph does not declare are left out.
            outputs: the names wanted (None: all).

        Raises:
            MsmdError: a declared input is not among the feeds, or ONNX Runtime gave up (shapes, memory).
        """
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise MsmdError(
                f"{self.name} wants the input {', '.join(missing)}, which this version does not provide",
                hint="export the bundle again with this version of MSMD",
            )
        names = list(self.outputs if outputs is None else outputs)
        try:
            values = self._session.run(names, {name: feeds[name] for name in self.inputs})
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise MsmdError(
                f"{self.name} failed in ONNX Runtime: {_first_line(error)}",
                hint="where memory is short, lower --batch-size or --jobs",
            ) from error
        return dict(zip(names, values, strict=True))


class OnnxRuntime:
    """Loads graphs for one device with a fixed number of threads.

    Attributes:
        device: ``cpu`` or ``cuda``; for ``auto`` it is known after the first graph is loaded.
        threads: threads within one operator (0: ONNX Runtime decides).
    """

    def __init__(self, device: str = "auto", threads: int = 0) -> None:
        if device not in DEVICES:
            raise UsageError(f"device {device!r} is not known", hint=f"choose one of: {', '.join(DEVICES)}")
        if threads < 0:
            raise UsageError(f"{threads} threads", hint="give 1 or more, or 0 for one per core")
        check_one_build()
        self._asked = device
        self.threads = threads
        try:
            import onnxruntime
        except ImportError as error:
            raise MsmdError(
                f"ONNX Runtime cannot be imported: {error}", hint="install one build: pip install 'msmd[cpu]'"
            ) from error
        onnxruntime.set_default_logger_severity(QUIET)
        self._ort = onnxruntime
        has_cuda = CUDA in onnxruntime.get_available_providers()
        if device == "cuda" and not has_cuda:
            raise MsmdError(
                "device cuda was asked for, but this ONNX Runtime is a CPU build",
                hint="pip uninstall onnxruntime, then pip install 'msmd[gpu]'; or leave --device out",
            )
        self.device = "cuda" if has_cuda and device != "cpu" else "cpu"

    def load(self, path: Path, threads: int | None = None) -> Graph:
        """Load one graph and check that it runs where it should.

        Args:
            path: the ONNX file.
            threads: instead of the runtime's.
        """
        session = self._session(path, threads)
        if self.device == "cuda" and session.get_providers()[0] != CUDA:
            if self._asked == "cuda":
                raise MsmdError(
                    f"device cuda was asked for, but {path.name} would run on the CPU",
                    hint="check the GPU driver, CUDA and cuDNN with `msmd doctor`; or leave --device out",
                )
            self.device = "cpu"  # auto: no usable GPU
            session = self._session(path, threads)
        return Graph(session, path.name)

    def _session(self, path: Path, threads: int | None) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self.threads if threads is None else threads
        options.inter_op_num_threads = 1
        options.log_severity_level = QUIET
        options.use_deterministic_compute = True
        providers: list[Any] = [(CUDA, CUDA_OPTIONS), CPU] if self.device == "cuda" else [CPU]
        try:
            return self._ort.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise MsmdError(
                f"{path} cannot be loaded by ONNX Runtime {self._ort.__version__}: {_first_line(error)}",
                hint="update onnxruntime, or export the bundle again",
            ) from error


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
            hint="pip uninstall onnxruntime onnxruntime-gpu, then install one: 'msmd[cpu]' or 'msmd[gpu]'",
        )
    if not builds:
        raise MsmdError("ONNX Runtime is not installed", hint="pip install 'msmd[cpu]', or 'msmd[gpu]' with CUDA")


def available_cores() -> int:
    """The cores that this process may use: affinity and, in a container, the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control group, or an older kind: the affinity stands
    return cores


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
