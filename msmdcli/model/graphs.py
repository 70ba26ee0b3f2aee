"""A bundle's graphs, each loaded when first needed; they stay."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from msmdcli.errors import UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.runtime import Graph, OnnxRuntime

# Rows per ONNX call; more rows than this gain nothing on such a device.
BATCH_ROWS = {"cpu": 8, "cuda": 64, "tensorrt": 64}
STEP_GRAPH = Path(__file__).parent / "solver_step.onnx"  # ours, the same for every bundle and sampler


class Graphs:
    """The ONNX sessions of a bundle on one device.

    Args:
        bundle: the model.
        runtime: what loads and runs it.
        max_batch: rows per ONNX call; None chooses by device.

    Raises:
        UsageError: a batch of less than a row.
    """

    def __init__(self, bundle: Bundle, runtime: OnnxRuntime, max_batch: int | None = None) -> None:
        if max_batch is not None and max_batch < 1:
            raise UsageError(f"a batch of {max_batch} rows", hint="give 1 or more")
        self.bundle = bundle
        self.runtime = runtime
        self._max_batch = max_batch

    @property
    def device(self) -> str:
        """Where they run: ``cpu``, ``cuda`` or ``tensorrt``."""
        return self.runtime.device

    @property
    def max_batch(self) -> int:
        """Rows per ONNX call."""
        return self._max_batch or BATCH_ROWS[self.device]

    @property
    def follows_style(self) -> bool:
        """Whether the model takes a style at all (the `unconditioned` variant does not)."""
        return "style_encoder.onnx" in self.bundle.files

    @cached_property
    def audio_encoder(self) -> Graph:
        """Waveform [1, S] -> features [1, F, C0]."""
        # One thread: ONNX Runtime divides a convolution among threads at places that show in the last bits.
        return self._load("audio_encoder.onnx", threads=1, varying=True)

    @cached_property
    def style_encoder(self) -> Graph:
        """Motion [1, T, D] -> style code [1, S] and anchor [1, 2 D]."""
        return self._load("style_encoder.onnx", threads=1, varying=True)

    @cached_property
    def conditioner(self) -> Graph:
        """Audio, past motion and style of R rows -> all that does not change from step to step."""
        return self._load("conditioner.onnx")

    @cached_property
    def denoiser(self) -> Graph:
        """x_t [R, N, D] and conditions -> x0_hat [R, N, D]."""
        return self._load("denoiser.onnx", captured=True)

    @cached_property
    def closure_ear(self) -> Graph | None:
        """Features [F, C0] -> how likely a closure sounds [F, 3]; None where the bundle has none."""
        if "closures.onnx" not in self.bundle.files:
            return None
        return self._load("closures.onnx", threads=1, varying=True)

    @cached_property
    def solver_step(self) -> Graph:
        """Predictions of a step -> x of the next, on the device."""
        return self.runtime.load(STEP_GRAPH)

    def _load(self, name: str, **options: Any) -> Graph:
        return self.runtime.load(self.bundle.file(name), sha256=self.bundle.files[name]["sha256"], **options)

    def load(self) -> None:
        """Load the graphs that lines need now, so that an unusable one shows before the first line. The style encoder
        is not among them: styles are encoded before, or known already."""
        graphs = [self.audio_encoder, self.conditioner, self.denoiser]
        if self.closure_ear is not None:
            graphs.append(self.closure_ear)
        if self.runtime.bound:
            graphs.append(self.solver_step)
