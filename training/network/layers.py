"""Layers that the style encoder and the denoiser are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoidal(positions: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding (Vaswani et al. 2017, section 3.5): positions [...] -> [..., width]."""
    half = width // 2
    rate = torch.exp(-math.log(10000.0) / half * torch.arange(half, device=positions.device, dtype=torch.float32))
    angle = positions[..., None].float() * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout: float = 0.0) -> Tensor:
    """Scaled dot-product attention of [B, heads, T, W / heads].

    Where a CPU trains in bfloat16, attention stays in float32: its gradient in bfloat16 takes nine times as long there
    (PyTorch 2.13) and eats what the faster matrix products gain.
    """
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias, dropout_p=dropout)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


class SelfAttention(nn.Module):
    """Multi-head self-attention; `bias` [B, 1, 1, T] or [1, 1, T, T] is added to the scores."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        B, T, W = x.shape
        q, k, v = (
            self.qkv(x).reshape(B, T, 3, self.heads, W // self.heads).permute(2, 0, 3, 1, 4)
        )  # each [B, heads, T, W / heads]
        y = attend(q, k, v, bias, self.dropout if self.training else 0.0)
        return self.out(y.transpose(1, 2).reshape(B, T, W))


class FeedForward(nn.Sequential):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Pre-norm transformer encoder layer. Paper: order of the norms not stated; here: before, because it trains without
    warm-up."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout)
        self.feedforward = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), bias))
        return x + self.dropout(self.feedforward(self.norm2(x)))


class AudioAttention(nn.Module):
    """Cross-attention of one layer to the audio frames within +-context of each motion frame.

    With context 0 the softmax runs over a single key and is 1: the whole attention is a linear map of that frame's
    audio, which depends neither on the queries nor on the diffusion step. `prepare` then returns the finished term and
    `forward` only adds it (queries and keys do not even exist).
    """

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads, self.context = heads, context
        if context:
            self.norm = nn.LayerNorm(width)
            self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def prepare(self, audio: Tensor) -> Tensor:
        """audio [B, M, W] -> what each step needs of it: [B, M, W], or keys and values one after the other [B, 2 M,
        W]."""
        if not self.context:
            return self.out(audio)
        return torch.cat([self.key(audio), self.value(audio)], dim=1)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """x [B, M, W] (motion tokens only), memory from `prepare`, bias [1, 1, M, M] -> [B, M, W]."""
        if not self.context:
            return memory
        B, M, W = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(B, M, self.heads, W // self.heads).transpose(1, 2)  # [B, heads, M, W / heads]

        key, value = memory[:, :M], memory[:, M:]
        y = attend(split(self.query(self.norm(x))), split(key), split(value), bias)
        return self.out(y.transpose(1, 2).reshape(B, M, W))


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over time of x [B, T, F] where mask [B, T] is 1: [B, F]."""
    weight = mask[..., None]
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
