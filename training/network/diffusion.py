"""Forward diffusion: the cosine schedule and the noising of x_0."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from msmdcli.model.samplers import Schedule


class CosineSchedule(nn.Module):
    """abar_t of Nichol and Dhariwal 2021, eq. 17 (s = 0.008), computed by the runtime's own function so that training
    and sampling cannot disagree.

    q(x_0, t, eps) = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps for t in 0..T-1.
    """

    alpha: Tensor  # [T], sqrt(abar_t)
    sigma: Tensor  # [T], sqrt(1 - abar_t)

    def __init__(self, steps: int) -> None:
        super().__init__()
        schedule = Schedule.cosine(steps)
        self.register_buffer("alpha", torch.from_numpy(schedule.alpha).float(), persistent=False)
        self.register_buffer("sigma", torch.from_numpy(schedule.sigma).float(), persistent=False)

    def noise(self, x0: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """x0 [B, N, D], t [B], epsilon like x0 -> x_t."""
        return self.alpha[t][:, None, None] * x0 + self.sigma[t][:, None, None] * epsilon
