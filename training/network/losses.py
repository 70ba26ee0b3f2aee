"""The training losses (paper eqs. 1-3 and 5); padded frames never count."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    simple: float = 1.0
    velocity: float = 0.5
    smooth: float = 5e-6
    kl: float = 1e-6
    gap: float = 0.0  # of the lip gap in millimetres (`lip_gap_loss`). Paper: none
    mouth_added: float = 0.0  # of what the mouth's network adds to its straight line (`training.network.mouth`)
    # how much more little noise weighs than much: at most so many times, else 1 / sigma^2 (Hang et al. 2023, section
    # 3.4, for x_0). Paper: all steps alike
    low_noise: float = 1.0
    regions: dict[str, float] = field(
        default_factory=dict
    )  # weight of the channels of a region; 1 where not named. Paper: all alike


def masked_mean_square(x: Tensor, mask: Tensor, channels: Tensor) -> Tensor:
    """Mean of x^2 [B, F, D] over the frames whose mask [B, F] is 1 and over the channels, weighted by `channels`
    [D]."""
    return ((x.square() * channels).mean(-1) * mask).sum() / mask.sum().clamp(min=1.0)


def motion_losses(
    prediction: Tensor, target: Tensor, mask: Tensor, previous: Tensor, has_previous: Tensor, channels: Tensor
) -> dict[str, Tensor]:
    """Simple, velocity and smoothness loss of a window.

    Args:
        prediction, target: x0_hat and x_0 [B, N, D]; mask: [B, N], 0 for padding, else the weight of the row.
        previous: the true P frames before the window [B, P, D]; has_previous: [B], 1 where there are any.
        channels: weight of each channel [D], 1 on average.

    Velocity (eq. 2) and smoothness (eq. 3) run across the join with the previous frames.
    Paper: eq. 3 is printed without the 2; here: the second difference x[n+2] - 2 x[n+1] + x[n], because that is what
    penalises jerks.
    """
    before = (has_previous * mask[:, 0])[:, None].expand(-1, previous.shape[1])  # [B, P]
    real = torch.cat([before, mask], dim=1)  # [B, P + N]
    joined, truth = torch.cat([previous, prediction], dim=1), torch.cat([previous, target], dim=1)
    P = previous.shape[1]
    # Differences that touch at least one predicted frame; those within the previous frames are zero for any prediction.
    velocity = (joined.diff(dim=1) - truth.diff(dim=1))[:, P - 1 :]  # [B, N, D]
    velocity_mask = torch.minimum(real[:, 1:], real[:, :-1])[:, P - 1 :]
    jerk = joined.diff(n=2, dim=1)[:, P - 2 :]  # [B, N, D]
    jerk_mask = torch.minimum(torch.minimum(real[:, 2:], real[:, 1:-1]), real[:, :-2])[:, P - 2 :]
    return {
        "simple": masked_mean_square(prediction - target, mask, channels),
        "velocity": masked_mean_square(velocity, velocity_mask, channels),
        "smooth": masked_mean_square(jerk, jerk_mask, channels),
    }


CLOSED_GAP, CLOSED_WEIGHT = 1.5, 8.0  # mm at which lips still count as closed; how much more such frames count


def lip_gap_loss(made: Tensor, truth: Tensor, rest: Tensor, mask: Tensor) -> Tensor:
    """Squared error of the gap between the lips [B, N], in square centimetres times 100; closed lips count most.

    A mean over what could be said opens the lips a little on every m, b, p; an animator sees nothing sooner. Weighing
    the frames in which they are closed buys closures for a little opening elsewhere.

    Args:
        made, truth: what the motion adds to the gap, mm. rest: the gap at normalised zero, mm.
        mask: [B, N], weight of each frame.
    """
    closed = torch.exp(-((truth + rest).clamp(min=0.0) / CLOSED_GAP).square())
    weight = mask * (1.0 + CLOSED_WEIGHT * closed)
    return 0.01 * ((made - truth).square() * weight).sum() / weight.sum().clamp(min=1.0)


def kl_divergence(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)), summed over the code, mean over the batch: mu, log_variance [B, S]."""
    return 0.5 * (mu.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Normalised temperature-scaled cross entropy (Chen et al. 2020): row i of a [B, F] and of b [B, F] show one clip,
    all other rows are others."""
    B = a.shape[0]
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=-1)  # [2 B, F]
    similarity = z @ z.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * B, dtype=torch.bool, device=z.device), -torch.inf)
    partner = torch.arange(2 * B, device=z.device).roll(B)
    return torch.nn.functional.cross_entropy(similarity, partner)
