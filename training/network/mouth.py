"""The mouth's own path: what the sound determines is not sampled.

A diffusion gives one of the motions that could have been; for head, brows and eyes that is what is wanted. The mouth,
given the sound and the style, is all but known, and a sample of it is its mean plus noise: two takes of one line
follow a real jaw worse than their mean does. So the mouth gets a small network of its own from the ear's features and
the style to the motion, trained on the mean; the denoiser is shown its mouth and samples the rest of the face.

Where an ear stands before it, its first features are the ear's own mouth curves, and a straight line carries them on:
channels are mixed, and each is made larger or smaller by the style. The line is fitted beforehand
(`training.loop.mouth_line`). The network beneath only adds what the line misses, as little as it can (`added`), and is
left out of some training samples, so that the line stands by itself: made voices would else teach the network to
overrule what the ear has learned from real people.

It looks at single frames (the ear has heard their neighbours), so a line's mouth knows nothing of windows and their
joins. It runs once per window, outside the diffusion steps.

# Paper: all channels are sampled (section 4.3); here: an option (`mouth_width`), off in the preset `paper`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class StyledBlock(nn.Module):
    """Residual layer over features [B, N, W] whose scale and shift a style [B, W] sets (FiLM, Perez et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.style = nn.Linear(width, 2 * width)
        self.hidden, self.out = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.style(style)[:, None].chunk(2, dim=-1)  # [B, 1, W] each
        return x + self.out(F.gelu(self.hidden(self.norm(x) * (1.0 + scale) + shift)))


LARGEST = 1.5  # of the logarithm of a style's gain
LEFT_OUT = 0.3  # share of the training samples without the network beneath the line


class MouthPath(nn.Module):
    """forward(audio [B, N, C], style [B, S'], audio_null [B, 1, 1]) -> mouth channels [B, N, m], relative to the
    style's resting pose.

    Args:
        heard: how many of the first audio features are mouth curves of an ear; 0: no straight line.

    Attributes:
        added: [B, N, m] what the network added to the line in the last training pass; None where there is no line.
    """

    def __init__(
        self, audio_dim: int, style_dim: int, width: int, channels: int, heard: int = 0, blocks: int = 3
    ) -> None:
        super().__init__()
        self.heard = heard
        self.added: Tensor | None = None
        if heard:
            self.straight, self.gain = nn.Linear(heard, channels, bias=False), nn.Linear(width, channels)
            for parameter in (self.straight.weight, self.gain.weight, self.gain.bias):
                nn.init.zeros_(parameter)
        self.audio, self.null = nn.Linear(audio_dim, width), nn.Parameter(torch.zeros(width))
        self.style = nn.Sequential(nn.Linear(style_dim, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.blocks = nn.ModuleList(StyledBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, channels)
        nn.init.zeros_(self.out.weight)  # begin at "the reference's resting pose, held"
        nn.init.zeros_(self.out.bias)

    def keep_line(self, weight: NDArray[np.float32] | None) -> None:
        """Training leaves the straight line alone from now on.

        Args:
            weight: [m, heard] of it; None: as it stands.
        """
        if weight is not None:
            self.straight.weight.data.copy_(torch.from_numpy(weight))
        self.straight.requires_grad_(False)

    def forward(self, audio: Tensor, style: Tensor, audio_null: Tensor) -> Tensor:
        x = torch.where(audio_null > 0.5, self.null, self.audio(audio))  # [B, N, W]
        manner = self.style(style)
        for block in self.blocks:
            x = block(x, manner)
        out: Tensor = self.out(self.norm(x))
        if not self.heard:
            return out
        if self.training:
            self.added = out
            out = out * (torch.rand(len(out), 1, 1, device=out.device) >= LEFT_OUT)
        gain = self.gain(manner)[:, None].clamp(-LARGEST, LARGEST).exp()  # [B, 1, m]
        line = self.straight(audio[..., : self.heard]) * gain  # [B, N, m]
        return out + torch.where(audio_null > 0.5, torch.zeros_like(line), line)
