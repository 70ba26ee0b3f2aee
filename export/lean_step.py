"""`Denoiser.step` and `Denoiser.condition` as they are exported: the same sums in fewer passes.

What differs from the module that trains, all of it algebra:

- Attention is ONNX's own operator (opset 23), which takes the heads side by side as the linear maps leave them.
- With `audio_context` 0 each layer's audio term is a constant of the window. The conditioner brings it to the length of
  the token sequence and adds the bias of the attention's output map, so a step adds both at once, with nothing to cut
  and to join.
- Rows that differ in their sound only (the guidance branch without audio) are the same until the first audio term: the
  first layer's attention, the dearest thing before it, runs once for them (`distinct`, `twin`). Where the denoiser is
  shown a mouth that the sound has made they are not.
- The last layer computes what the head reads, the noisy frames; of the other tokens only keys and values.

Rounding differs in the last bits; every export checks the parity of graphs and of a whole line.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.network.layers import AudioAttention, SelfAttention, sinusoidal
from training.network.model import Condition, DecoderLayer, Denoiser

UNHEARD = -1e9  # added to the scores of padded frames


def lean_memory(denoiser: Denoiser, memory: Tensor) -> Tensor:
    """Audio terms [B, L, P + N, W] of `Denoiser.condition` -> [B, L, 1 + P + N, W]: with the style token, which hears
    nothing, and with the bias of each layer's attention. Keys and values (`audio_context` > 0) stay as they are."""
    if denoiser.config.audio_context:
        return memory
    bias = torch.stack([layer.attention.out.bias for layer in denoiser.layers])  # [L, W]
    return F.pad(memory, (0, 0, 1, 0)) + bias[:, None]


class LeanStep(nn.Module):
    """`Denoiser.step`, with a condition whose memory is `lean_memory`'s."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        mask: Tensor,
        condition: Condition,
        distinct: Tensor,
        twin: Tensor,
        following: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One network evaluation.

        Args:
            x, t, mask: x_t [B, N, D], steps [B], [B, N] with 1 for real frames.
            distinct: [U] rows that differ in more than their sound.
            twin: [B] which of `distinct` each row is like, sound apart.
            following: [B] steps that come after; see `Denoiser.step`.

        Returns:
            x0_hat [B, N, D] and alpha [B, N, K].
        """
        net, config = self.denoiser, self.denoiser.config
        (B, N, D), W, P = x.shape, config.width, config.previous
        scale = net.schedule.alpha[t][:, None, None]
        frames = net.shown(x - scale * condition.offset[:, None], condition) * mask[..., None]
        motion = net.motion_map(torch.cat([frames, mask[..., None]], dim=-1))  # [B, N, W]
        token = condition.style_token + net.time_map(sinusoidal(t, W))  # [B, W]
        h = torch.cat([token[:, None], condition.previous_tokens, motion], dim=1) + net.positions  # [B, 1 + P + N, W]
        real = torch.cat([mask.new_ones(B, 1 + P), mask], dim=1)
        row = ((1.0 - real) * UNHEARD)[:, None, None, :]  # [B, 1, 1, 1 + P + N]
        bias = row + mask.new_zeros(1, 1, 1 + P + N, 1)  # ONNX Runtime's Attention wants a row for each query
        last = len(net.layers) - 1
        for i, layer in enumerate(net.layers):
            skipped = 1 + P if i == last else 0
            if i == 0:
                heard = _listen(layer, h[distinct], bias[distinct], skipped)[twin]
            else:
                heard = _listen(layer, h, bias, skipped)
            h = self._rest(layer, h[:, skipped:], heard, condition.memory[:, i], skipped)
        out = net.head(net.norm(h))  # [B, N, D + K]
        primary, alpha = out[..., :D], out[..., D:]
        return net.joined(x, t, mask, primary, alpha, condition, following), alpha

    def _rest(self, layer: DecoderLayer, x: Tensor, heard: Tensor, memory: Tensor, skipped: int) -> Tensor:
        """What comes after a layer's self-attention: tokens x and heard [B, 1 + P + N - skipped, W], the same out."""
        if self.denoiser.config.audio_context:
            x = x + heard + layer.attention.out.bias
            style = 0 if skipped else 1  # the style token does not listen to the audio
            told = self._cross(layer.audio, x[:, style:], memory, skipped)
            x = torch.cat([x[:, :style], x[:, style:] + told], dim=1)
        else:
            x = (x + memory[:, skipped:]) + heard
        grown: Tensor = layer.feedforward(layer.norm2(x))
        return x + grown

    def _cross(self, attention: AudioAttention, x: Tensor, memory: Tensor, skipped: int) -> Tensor:
        """Attention of motion tokens x [B, m, W], the last m of P + N, to keys and values [B, 2 (P + N), W]."""
        M = memory.shape[1] // 2
        bias = self.denoiser.audio_bias[0, 0, M - x.shape[1] :] if skipped else self.denoiser.audio_bias[0, 0]
        query = attention.query(attention.norm(x))
        told: Tensor = attention.out(_attend(query, memory[:, :M], memory[:, M:], bias, attention.heads))
        return told


def _listen(layer: DecoderLayer, x: Tensor, bias: Tensor, skipped: int) -> Tensor:
    """Self-attention of tokens x [B, T, W], without the bias of its output map -> [B, T - skipped, W]: the first
    `skipped` tokens are listened to, but do not listen."""
    attention: SelfAttention = layer.attention
    W = x.shape[-1]
    y = layer.norm1(x)
    if skipped:
        weight, offset = attention.qkv.weight, attention.qkv.bias  # [3 W, W]
        query = F.linear(y[:, skipped:], weight[:W], offset[:W])
        key, value = F.linear(y, weight[W:], offset[W:]).chunk(2, dim=-1)
    else:
        query, key, value = attention.qkv(y).chunk(3, dim=-1)
    return F.linear(_attend(query, key, value, bias[:, :, skipped:], attention.heads), attention.out.weight)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, heads: int) -> Tensor:
    """query [B, q, W], key and value [B, k, W], bias [B, 1, q, k] or [q, k] -> [B, q, W]."""
    attended: Tensor = torch.onnx.ops.attention(
        query, key, value, attn_mask=bias, q_num_heads=heads, kv_num_heads=heads
    )[0]
    return attended
