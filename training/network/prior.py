"""What a face does before anything is learned: a Gaussian process with the movement's own size and slowness.

A network that predicts x_0 has to carry every frame that it is shown through its narrow layers, at each step, and what
it drops is lost: after 1000 steps of DDPM two thirds of the spread are left. Here the best linear denoiser is part of
the model, in closed form, and the network only says what it misses: what Karras et al. 2022 (section 5) do with two
numbers, done with the covariance over a window's frames. A channel is taken for

    x_0 = b_0 + s z,    z a stationary Gaussian process over frames, given the frames before the window,

with s the channel's deviation in the reference and z's covariance measured on the training data (`fit`). Let U and
lambda be the eigenvectors and eigenvalues of z's covariance within a window, m the mean that the frames before leave
to be expected, v = alpha^2 s^2 lambda + sigma^2 the variance of x_t along U. Then, along U,

    x_0 = m + (alpha s^2 lambda / v) (x_t - alpha m) + (sigma^2 / v) y + (sigma s sqrt(lambda) / sqrt(v)) dX

Here y is what the network adds to the mean (the weighted basis of eq. 4) and dX its primary output: at much noise a
guess in units of the movement, at little noise a correction in units of the noise. With y = dX = 0 the reverse process
draws from the Gaussian process itself: with the reference's spread, as slow as faces are, joined to the window before.

A solver of few steps takes x_0 for constant within a step, which for this part is far from true: two steps would leave
a third of the spread. So the part is integrated exactly (`onto`), and steps are spent on what the network adds only.

# Paper: x_0 = dX + sum_k alpha_k b_k (eq. 4); here: an option (`prior`), off in the preset `paper`, because the plain
# network needs many times the training until its samples have the spread of the data.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LEAST = 0.02  # deviation that a channel has at least, in units of its movement over the training set
NUGGET = 1e-5  # of a frame's own variance: what the covariance has at least in any direction
DOUBT = 3e-3  # of the variance: how much the frames before are believed to be noise, so that none is extrapolated

Array = NDArray[np.float32]


class MotionPrior(nn.Module):
    """The linear denoiser of the sampled channels.

    Args:
        channels: D' that are sampled.
        window, previous: N and P frames.

    Two kinds of windows are kept apart: 0 has no frames before it, 1 has P of them.
    """

    basis: Tensor  # [2, D', N, N]: U of each kind, eigenvectors in columns
    variance: Tensor  # [2, D', N]: lambda
    carry: Tensor  # [D', N, P]: frames before -> what they leave to be expected

    def __init__(self, channels: int, window: int, previous: int) -> None:
        super().__init__()
        self.register_buffer("basis", torch.eye(window).repeat(2, channels, 1, 1))
        self.register_buffer("variance", torch.ones(2, channels, window))
        self.register_buffer("carry", torch.zeros(channels, window, previous))

    def fit(self, correlation: NDArray[np.float64]) -> None:
        """Take the correlation of z.

        Args:
            correlation: [D', P + N] of two frames 0, 1, ... frames apart.
        """
        N, P = self.carry.shape[1:]
        M = P + N
        apart = np.abs(np.arange(M)[:, None] - np.arange(M))
        for channel, lags in enumerate(correlation):
            whole = _positive(lags[apart])  # [M, M]
            before, within, across = whole[:P, :P], whole[P:, P:], whole[P:, :P]
            carry = np.linalg.solve(before + DOUBT * np.eye(P), across.T).T  # [N, P]
            left = within - carry @ across.T - across @ carry.T + carry @ before @ carry.T
            self.carry[channel] = torch.from_numpy(carry).float()
            for kind, matrix in enumerate((within, left)):
                values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
                self.basis[kind, channel] = torch.from_numpy(vectors).float()
                self.variance[kind, channel] = torch.from_numpy(np.maximum(values, NUGGET)).float()

    def expected(self, previous: Tensor, follows: Tensor) -> Tensor:
        """What the frames before leave to be expected, relative to b_0.

        Args:
            previous: [B, P, D'], relative to b_0. follows: [B], 1 where they are real, 0 where there are none.

        Returns:
            [B, N, D'].
        """
        carried = torch.einsum("cnp,bpc->bnc", self.carry, previous)
        return carried * follows[:, None, None]

    def denoise(
        self,
        x: Tensor,
        added: Tensor,
        primary: Tensor,
        expected: Tensor,
        spread: Tensor,
        follows: Tensor,
        alpha: Tensor,
        sigma: Tensor,
        onto: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """x_0_hat relative to b_0.

        Args:
            x: x_t - alpha b_0 [B, N, D'].
            added, primary: y and dX of the network [B, N, D'].
            expected: m - b_0 [B, N, D']. spread: s [B, D']. follows: [B], 1 where frames are before.
            alpha, sigma: [B] of the step.
            onto: [B] of the step that a deterministic solver goes to; then the x_0_hat from which its straight line
                (DDIM) ends where the curved way of the process itself does. A row whose step does not change gets
                x_0_hat as above, which is what stochastic solvers want.
        """
        alpha, sigma, later = alpha[:, None, None], sigma[:, None, None], follows[:, None, None]
        B, (D, N) = x.shape[0], self.variance.shape[1:]
        parts = torch.stack([x - alpha * expected, added, primary])  # [3, B, N, D']
        rows = parts.permute(3, 0, 1, 2).reshape(D, 3 * B, N)  # [D', 3 B, N]
        here = alpha[:, 0], sigma[:, 0]  # [B, 1]
        made = x.new_zeros(())
        for kind, counts in enumerate((1.0 - later, later)):
            variance = spread.square().T[..., None] * self.variance[kind][:, None]  # [D', B, N]
            noisy = here[0].square() * variance + here[1].square()
            seen, mean, free = (rows @ self.basis[kind]).reshape(D, 3, B, N).unbind(1)  # [D', B, N] each
            gain = here[0] * variance / noisy
            if onto is not None:
                gain = _carried(gain, variance, noisy, here, (onto[0][:, None], onto[1][:, None]))
            along = gain * seen + (1.0 - here[0] * gain) * (mean + (variance * noisy).sqrt() / here[1] * free)
            # A product with a single row takes another way through ONNX Runtime, with other last digits.
            pair = torch.cat([along, torch.zeros_like(along)], dim=1)  # [D', 2 B, N]
            made = made + counts * (pair @ self.basis[kind].mT)[:, :B].permute(1, 2, 0)  # [B, N, D']
        return expected + made


def _positive(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest matrix without negative directions."""
    values, vectors = np.linalg.eigh(matrix)
    positive: NDArray[np.float64] = (vectors * np.maximum(values, NUGGET)) @ vectors.T
    return positive


def _carried(
    gain: Tensor, variance: Tensor, noisy: Tensor, here: tuple[Tensor, Tensor], onto: tuple[Tensor, Tensor]
) -> Tensor:
    """The gain [D', B, N] whose DDIM step from here onto there multiplies what is away from the mean by the root of the
    variances, as the probability flow of a Gaussian does."""
    kept = onto[1] / here[1]  # [B, 1], of the noise
    length = onto[0] - here[0] * kept
    stays = length <= 0.0
    ahead = onto[0].square() * variance + onto[1].square()
    flow = ((ahead / noisy).sqrt() - kept) / torch.where(stays, torch.ones_like(length), length)
    return torch.where(stays, gain, flow)
