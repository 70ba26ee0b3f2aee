"""Losses against sums written out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.network.losses import kl_divergence, motion_losses, nt_xent


def by_hand(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, previous: torch.Tensor, has: torch.Tensor
) -> dict[str, float]:
    """Eqs. 1-3 frame by frame, over real frames only."""
    sums = {"simple": [0.0, 0], "velocity": [0.0, 0], "smooth": [0.0, 0]}
    B, N, _ = prediction.shape
    P = previous.shape[1]
    for b in range(B):
        made = [previous[b, p] for p in range(P)] + [prediction[b, n] for n in range(N)]
        true = [previous[b, p] for p in range(P)] + [target[b, n] for n in range(N)]
        real = [bool(has[b])] * P + [bool(mask[b, n]) for n in range(N)]
        for i in range(P, P + N):
            if real[i]:
                sums["simple"][0] += ((made[i] - true[i]) ** 2).mean().item()
                sums["simple"][1] += 1
            if real[i] and real[i - 1]:
                sums["velocity"][0] += (((made[i] - made[i - 1]) - (true[i] - true[i - 1])) ** 2).mean().item()
                sums["velocity"][1] += 1
            if real[i] and real[i - 1] and real[i - 2]:
                sums["smooth"][0] += ((made[i] - 2 * made[i - 1] + made[i - 2]) ** 2).mean().item()
                sums["smooth"][1] += 1
    return {name: total / max(count, 1) for name, (total, count) in sums.items()}


def test_losses_equal_the_sums_by_hand() -> None:
    g = torch.Generator().manual_seed(0)
    prediction, target, previous = (
        torch.randn(3, 8, 4, generator=g),
        torch.randn(3, 8, 4, generator=g),
        torch.randn(3, 3, 4, generator=g),
    )
    mask = torch.ones(3, 8)
    mask[1, 5:] = 0.0
    has = torch.tensor([1.0, 1.0, 0.0])
    losses = motion_losses(prediction, target, mask, previous, has, torch.ones(4))
    for name, expected in by_hand(prediction, target, mask, previous, has).items():
        assert losses[name].item() == pytest.approx(expected, rel=1e-5), name


def test_padding_never_counts() -> None:
    g = torch.Generator().manual_seed(1)
    prediction, target, previous = (
        torch.randn(2, 8, 4, generator=g),
        torch.randn(2, 8, 4, generator=g),
        torch.randn(2, 3, 4, generator=g),
    )
    mask = torch.ones(2, 8)
    mask[:, 6:] = 0.0
    first = motion_losses(prediction, target, mask, previous, torch.ones(2), torch.ones(4))
    prediction[:, 6:] += 1000.0
    second = motion_losses(prediction, target, mask, previous, torch.ones(2), torch.ones(4))
    assert all(torch.equal(first[n], second[n]) for n in first)


def test_a_straight_movement_is_smooth() -> None:
    """The second difference, not the sum that eq. 3 prints: constant velocity costs nothing."""
    line = torch.arange(12.0)[None, :, None].expand(1, 12, 2)
    losses = motion_losses(line[:, 3:], line[:, 3:], torch.ones(1, 9), line[:, :3], torch.ones(1), torch.ones(2))
    assert losses["smooth"].item() == 0.0


def test_kl_against_its_integral() -> None:
    """KL(N(mu, s^2) || N(0, 1)) by numerical integration."""
    mu, log_variance = 0.7, -0.9
    sigma = math.exp(0.5 * log_variance)
    x = torch.linspace(-12, 12, 200001, dtype=torch.float64)
    p = torch.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    log_ratio = -0.5 * ((x - mu) / sigma) ** 2 - math.log(sigma) + 0.5 * x**2
    expected = torch.trapezoid(p * log_ratio, x).item()
    assert kl_divergence(torch.tensor([[mu]]), torch.tensor([[log_variance]])).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_nt_xent_prefers_true_pairs() -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(6, 5, generator=g)
    assert nt_xent(a, a + 0.01).item() < nt_xent(a, a.roll(1, 0)).item()
    z = torch.nn.functional.normalize(torch.cat([a, a.roll(1, 0)]), dim=-1)
    expected = 0.0
    for i in range(12):
        scores = [math.exp(float(z[i] @ z[j]) / 0.1) for j in range(12) if j != i]
        expected -= math.log(math.exp(float(z[i] @ z[(i + 6) % 12]) / 0.1) / sum(scores)) / 12
    assert nt_xent(a, a.roll(1, 0)).item() == pytest.approx(expected, rel=1e-4)
