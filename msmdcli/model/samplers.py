"""The noise schedule and the solvers of the reverse diffusion, for a network that predicts x_0 ("sample" prediction).

One surface, chosen by name::

    sampler = make_sampler("dpmpp-2m", schedule, steps=4)
    for i, t in enumerate(sampler.timesteps):
        x = sampler.step(predict_x0(x, t), i, x, noise)

- ``ddpm``: ancestral sampling (Ho et al. 2020), re-spaced when fewer than T steps are asked for. With all T steps
  it is the reference that the others are compared with.
- ``ddim``: deterministic (Song et al. 2021, eta = 0), first order; exact in the Gaussian part of a model that has one.
- ``dpmpp-2m``: DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), second order, few steps. The default.

The last step of each returns the network's x_0 as it is. Arithmetic is element by element in float32, so a sample's
bits do not depend on what else is in the batch.

Training and runtime share the schedule, so it exists once: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps. It is
float64; users of a coefficient round it to float32 where they apply it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import MsmdError, UsageError

Array = NDArray[np.float32]

MAX_BETA = 0.999  # Nichol and Dhariwal 2021, section 3.2: keeps the last steps from becoming singular
MIN_LOG_SNR = -5.1  # where dpmpp-2m starts: the cosine schedule's first steps have lambda near -10 and would distort h


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


class Weights(NamedTuple):
    """A step as x' = x from_x + d from_x0 + noise from_noise, where d = x0 + extrapolate (x0 - the x0 before)."""

    from_x: float
    from_x0: float
    extrapolate: float
    from_noise: float


LAST_STEP = Weights(0.0, 1.0, 0.0, 0.0)  # of every sampler: the network's x_0 as it is


class Sampler(Protocol):
    """One way to get from noise to a sample.

    Attributes:
        name: the word that chooses it.
        timesteps: [n] int64, falling; the diffusion step at which the network is asked in solver step i.
        stochastic: whether ``step`` needs fresh noise (all but the last step).
    """

    name: str
    timesteps: NDArray[np.int64]
    stochastic: bool

    def step(self, x0_hat: Array, i: int, x: Array, noise: Array | None = None) -> Array:
        """Go from step i to step i + 1 (after the last: to the clean sample).

        Args:
            x0_hat: the network's prediction at ``timesteps[i]``, same shape as ``x``.
            i: index into ``timesteps``; 0 starts a new solution.
            x: the noisy sample that the network saw.
            noise: standard normal, same shape; only stochastic samplers look at it.
        """
        ...

    def following(self, i: int) -> int:
        """The diffusion step that a model with a prior (`training.network.prior`) should answer for in step i, so that
        its Gaussian part is solved exactly: the next one, -1 for the clean sample; or the step's own, for solvers that
        want the plain x_0."""
        ...

    def weights(self, i: int) -> Weights:
        """The same step as a sum, for a solver that runs elsewhere (`msmdcli.model.solver`)."""
        ...


def make_sampler(name: str, schedule: Schedule, steps: int | None = None) -> Sampler:
    """The sampler of that name with ``steps`` network evaluations (None: all T for ddpm, else 4).

    Raises:
        UsageError: unknown name, or a number of steps outside 1 .. T.
    """
    if name not in SAMPLERS:
        raise UsageError(f"sampler {name!r} is not known", hint=f"choose one of: {', '.join(SAMPLERS)}")
    if steps is None:
        steps = schedule.steps if name == "ddpm" else 4
    if not 1 <= steps <= schedule.steps:
        raise UsageError(f"{steps} sampling steps", hint=f"choose 1 to {schedule.steps} (the bundle's diffusion steps)")
    return SAMPLERS[name](schedule, steps)


def spaced_timesteps(start: int, steps: int) -> NDArray[np.int64]:
    """[steps] diffusion steps, evenly spaced, from ``start`` down: round((start + 1) (1 - i/steps)) - 1.

    The spacing is "trailing": it begins at the noisiest step, which is what the starting noise stands for, and with
    ``steps == start + 1`` it is every step.
    """
    return np.round((start + 1) * (1 - np.arange(steps) / steps)).astype(np.int64) - 1  # [n]


class Ddpm:
    """Ancestral sampling: x_{i+1} ~ q(x_{t'} | x_t, x0_hat) (Ho et al. 2020, eqs. 6-7; variance beta-tilde)."""

    name = "ddpm"
    stochastic = True

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.timesteps = spaced_timesteps(schedule.steps - 1, steps)
        abar = schedule.abar[self.timesteps]  # [n]
        abar_next = np.append(abar[1:], 1.0)  # [n] one step cleaner
        alpha = abar / abar_next  # re-spaced: the step's own 1 - beta
        self._from_x0 = _f32(np.sqrt(abar_next) * (1 - alpha) / (1 - abar))
        self._from_x = _f32(np.sqrt(alpha) * (1 - abar_next) / (1 - abar))
        self._from_noise = _f32(np.sqrt((1 - abar_next) / (1 - abar) * (1 - alpha)))

    def step(self, x0_hat: Array, i: int, x: Array, noise: Array | None = None) -> Array:
        if i == len(self.timesteps) - 1:
            return x0_hat
        if noise is None:
            raise ValueError("ddpm needs noise in every step but the last")
        return self._from_x0[i] * x0_hat + self._from_x[i] * x + self._from_noise[i] * noise

    def following(self, i: int) -> int:
        return int(self.timesteps[i])

    def weights(self, i: int) -> Weights:
        if i == len(self.timesteps) - 1:
            return LAST_STEP
        return Weights(float(self._from_x[i]), float(self._from_x0[i]), 0.0, float(self._from_noise[i]))


class Ddim:
    """Deterministic DDIM (Song et al. 2021, eq. 12 with sigma = 0): keep the implied noise, lower its share."""

    name = "ddim"
    stochastic = False

    def __init__(self, schedule: Schedule, steps: int) -> None:
        self.timesteps = spaced_timesteps(schedule.steps - 1, steps)
        alpha, sigma = schedule.alpha[self.timesteps], schedule.sigma[self.timesteps]  # [n]
        alpha_next, sigma_next = np.append(alpha[1:], 1.0), np.append(sigma[1:], 0.0)
        self._from_x = _f32(sigma_next / sigma)
        self._from_x0 = _f32(alpha_next - alpha * sigma_next / sigma)

    def step(self, x0_hat: Array, i: int, x: Array, noise: Array | None = None) -> Array:
        if i == len(self.timesteps) - 1:
            return x0_hat
        return self._from_x[i] * x + self._from_x0[i] * x0_hat

    def following(self, i: int) -> int:
        return int(self.timesteps[i + 1]) if i + 1 < len(self.timesteps) else -1

    def weights(self, i: int) -> Weights:
        if i == len(self.timesteps) - 1:
            return LAST_STEP
        return Weights(float(self._from_x[i]), float(self._from_x0[i]), 0.0, 0.0)


class DpmPp2m:
    """DPM-Solver++(2M) in its data-prediction form (Lu et al. 2022, algorithm 2).

    With lambda = log(alpha / sigma) and h_i = lambda_{i+1} - lambda_i::

        D = (1 + 1/(2r)) x0_i - 1/(2r) x0_{i-1},  r = h_{i-1} / h_i
        x_{i+1} = (sigma_{i+1} / sigma_i) x_i - alpha_{i+1} (exp(-h_i) - 1) D

    First order in the first step (no history) and in the last (sigma = 0: it returns x0_hat).
    """

    name = "dpmpp-2m"
    stochastic = False

    def __init__(self, schedule: Schedule, steps: int) -> None:
        log_snr = schedule.log_snr  # falling in t
        start = max(int(np.sum(log_snr >= MIN_LOG_SNR)) - 1, steps - 1)  # noisiest step worth solving from
        self.timesteps = spaced_timesteps(start, steps)
        lam = log_snr[self.timesteps]  # [n]
        alpha, sigma = schedule.alpha[self.timesteps], schedule.sigma[self.timesteps]
        h = np.diff(lam)  # [n - 1], positive
        self._from_x = _f32(sigma[1:] / sigma[:-1])
        self._from_d = _f32(-alpha[1:] * np.expm1(-h))
        self._extrapolate = _f32(np.append(0.0, h[1:] / h[:-1] / 2)) if len(h) else _f32(np.zeros(0))  # 1/(2r)
        self._last_x0: Array | None = None

    def step(self, x0_hat: Array, i: int, x: Array, noise: Array | None = None) -> Array:
        if i == len(self.timesteps) - 1:
            self._last_x0 = None
            return x0_hat
        d = x0_hat
        if i > 0:
            if self._last_x0 is None:
                raise ValueError(f"dpmpp-2m: step {i} without step {i - 1}")
            d = x0_hat + self._extrapolate[i] * (x0_hat - self._last_x0)
        self._last_x0 = x0_hat
        return self._from_x[i] * x + self._from_d[i] * d

    def following(self, i: int) -> int:
        return int(self.timesteps[i])

    def weights(self, i: int) -> Weights:
        if i == len(self.timesteps) - 1:
            return LAST_STEP
        return Weights(float(self._from_x[i]), float(self._from_d[i]), float(self._extrapolate[i]), 0.0)


SAMPLERS: dict[str, type[Ddpm] | type[Ddim] | type[DpmPp2m]] = {cls.name: cls for cls in (Ddpm, Ddim, DpmPp2m)}


def _f32(values: NDArray[np.float64]) -> Array:
    return values.astype(np.float32)
