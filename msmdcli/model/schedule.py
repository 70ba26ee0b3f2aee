"""The noise schedule of the forward diffusion: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.

Training and runtime share this file, so the schedule exists once. Everything is float64; users of a
coefficient round it to float32 where they apply it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import MsmdError

MAX_BETA = 0.999  # Nichol and Dhariwal 2021, section 3.2: keeps the last steps from becoming singular


@dataclass(frozen=True)
class Schedule:
    """Cumulative signal power abar over the diffusion steps.

    Attributes:
        abar: [T] float64, strictly falling, abar[t] belongs to step t = 0 .. T - 1 (t = 0 is nearly clean).
    """

    abar: NDArray[np.float64]

    @classmethod
    def cosine(cls, steps: int = 1000, s: float = 0.008) -> Schedule:
        """The cosine schedule of Nichol and Dhariwal 2021 (eq. 17): f(t) = cos^2(((t/T + s) / (1 + s)) pi/2)."""
        if steps < 1:
            raise MsmdError(f"a diffusion schedule of {steps} steps", hint="give at least 1")
        time = np.arange(steps + 1, dtype=np.float64) / steps  # [T + 1]
        f = np.cos((time + s) / (1 + s) * np.pi / 2) ** 2
        beta = np.minimum(1 - f[1:] / f[:-1], MAX_BETA)  # [T]
        return cls(abar=np.cumprod(1 - beta))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """The schedule that a bundle's ``diffusion`` entry describes."""
        name = config.get("schedule", "cosine")
        if name != "cosine":
            raise MsmdError(f"diffusion schedule {name!r} is not known", hint="this version knows: cosine")
        return cls.cosine(int(config.get("steps", 1000)), float(config.get("s", 0.008)))

    @property
    def steps(self) -> int:
        """T, the number of diffusion steps."""
        return len(self.abar)

    @property
    def alpha(self) -> NDArray[np.float64]:
        """[T] the factor of the signal, sqrt(abar)."""
        return np.sqrt(self.abar)

    @property
    def sigma(self) -> NDArray[np.float64]:
        """[T] the factor of the noise, sqrt(1 - abar)."""
        return np.sqrt(1 - self.abar)

    @property
    def log_snr(self) -> NDArray[np.float64]:
        """[T] lambda = log(alpha / sigma), the time variable of DPM-Solver (half the log signal-to-noise ratio)."""
        return np.log(self.alpha) - np.log(self.sigma)
