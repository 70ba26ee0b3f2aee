"""The network of "Model See Model Do": style encoder, style basis, audio map and denoiser.

Dimension letters used everywhere in `training`:

    B  batch                     N  frames of a window (100)         P  previous frames (10)
    T  frames of a reference     D  channels of the rig (55)         C  audio features per motion frame
    S  style code (128)          K  poses of the style basis (4)     W  width of the network (512)     L  its layers (8)

Motion inside the network is normalised per channel. The forward pass is split where the exported graphs are split:
`StyleEncoder` once per reference, `Denoiser.condition` once per window (everything that does not depend on the
diffusion step), `Denoiser.step` once per diffusion step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from training.network.diffusion import CosineSchedule
from training.network.layers import AudioAttention, EncoderLayer, FeedForward, SelfAttention, masked_mean, sinusoidal
from training.network.mouth import MouthPath
from training.network.prior import LEAST, MotionPrior

StyleSource = Literal["vae", "frozen", "none"]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and switches of the network; the defaults are the paper's."""

    # Data
    motion_dim: int = 55  # D
    audio_dim: int = 1536  # C: features of the audio encoder times `audio_stack`
    head_channels: tuple[int, ...] = (52, 53, 54)  # take the basis as a constant offset, see `head_basis`
    # Windows
    window: int = 100  # N: 4 s at 25 frames/s
    previous: int = 10  # P
    # Denoiser
    width: int = 512
    layers: int = 8
    heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    audio_dropout: float = 0.0  # of the audio features themselves; they over-fit first when speakers are few
    audio_bottleneck: int = 0  # rank of the audio map; 0 = a plain linear map as in the paper
    audio_directions: Literal["learned", "fitted"] = "learned"  # the bottleneck; see `training.loop.audio_directions`
    audio_context: int = 0  # audio frames on either side that a motion frame may attend to
    mouth_width: int = 0  # of the mouth's own path (`training.network.mouth`); 0 = the mouth is sampled like the rest
    mouth_channels: tuple[int, ...] = ()  # the columns that it gives
    mouth_heard: int = (
        0  # how many of the first audio features are an ear's mouth curves, carried on in a straight line
    )
    # Style
    style_width: int = 512
    style_layers: int = 4
    style_heads: int = 4
    style_dim: int = 128  # S
    style: StyleSource = "vae"  # "frozen": encoder trained before, by contrast (DiffPoseTalk); "none": unconditioned
    basis_size: int = 4  # K; 0 = no style basis
    head_basis: Literal["constant", "scaled"] = "constant"
    style_anchor: bool = False  # ours, not the paper's: the reference's mean pose as b_0 (design: "Style anchor")
    # Diffusion
    diffusion_steps: int = 1000
    prior: bool = False  # ours: a Gaussian process that the network departs from, see `training.network.prior`

    def __post_init__(self) -> None:
        if self.width % self.heads or self.style_width % self.style_heads:
            raise ValueError("width must be a multiple of heads, style_width of style_heads")
        if self.style != "vae" and self.basis_size and self.style == "none":
            raise ValueError("an unconditioned model has no style basis: set basis_size to 0")
        if self.audio_directions == "fitted" and not self.audio_bottleneck:
            raise ValueError("audio_directions: fitted needs an audio_bottleneck")
        if self.mouth_width and self.style == "none":
            raise ValueError("an unconditioned model has no styled mouth: set mouth_width to 0")
        if self.prior and not self.style_anchor:
            raise ValueError("the prior moves about the anchor's pose: set style_anchor, or prior to false")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        columns = {name: tuple(values.get(name, ())) for name in ("head_channels", "mouth_channels")}
        return cls(**{**values, **columns})


@dataclass
class Style:
    """What the denoiser knows of a reference. `code` is s; `anchor` its per-channel mean and standard deviation, side
    by side."""

    code: Tensor  # [B, S]
    anchor: Tensor  # [B, 2 D]

    def select(self, index: Tensor) -> Style:
        return Style(self.code[index], self.anchor[index])


@dataclass
class Condition:
    """Everything of a window that does not depend on the diffusion step; the inputs of the exported denoiser."""

    style_token: Tensor  # [B, W]
    previous_tokens: Tensor  # [B, P, W]
    # [B, L, P + N, W], audio_context 0: the finished cross-attention of each layer; else [B, L, 2 (P + N), W]: keys,
    # then values
    memory: Tensor
    basis: Tensor  # [B, K, D]
    offset: Tensor  # [B, D]: b_0 of the style anchor, zero without it
    # [B, N, D]: the mouth's own path, zero in other channels; None without it and without the prior
    mouth: Tensor | None = None
    # Of the prior, None without it:
    expected: Tensor | None = None  # [B, N, D']: what the frames before leave to be expected, relative to b_0
    spread: Tensor | None = None  # [B, D']: deviation of the reference
    follows: Tensor | None = None  # [B]: 1 where there are frames before

    def named(self) -> dict[str, Tensor]:
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def condition_names(config: ModelConfig) -> tuple[str, ...]:
    """Inputs of the exported denoiser that the conditioner makes, in order."""
    names = ("style_token", "previous_tokens", "memory", "basis", "offset")
    if config.prior:
        return (*names, "mouth", "expected", "spread", "follows")
    return (*names, "mouth") if config.mouth_width else names


class DecoderLayer(nn.Module):
    """Pre-norm transformer decoder layer: self-attention over all tokens, audio attention of the motion tokens,
    feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads, config.dropout)
        self.audio = AudioAttention(config.width, config.heads, config.audio_context)
        self.feedforward = FeedForward(config.width, config.feedforward, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, memory: Tensor, self_bias: Tensor, audio_bias: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), self_bias))  # [B, 1 + P + N, W]
        style, motion = x[:, :1], x[:, 1:]  # the style token does not listen to the audio
        motion = motion + self.dropout(self.audio(motion, memory, audio_bias))
        x = torch.cat([style, motion], dim=1)
        return x + self.dropout(self.feedforward(self.norm2(x)))


class StyleEncoder(nn.Module):
    """E_style: reference motion -> mean and log variance of the style code (paper section 4.1), and the anchor's
    statistics.

    forward(motion [B, T, D] normalised, mask [B, T], 1 = real frame) -> mu [B, S], log_variance [B, S], anchor [B, 2
    D]. Padded frames change nothing.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.style_width
        self.input = nn.Linear(config.motion_dim, width)
        self.layers = nn.ModuleList(
            EncoderLayer(width, config.style_heads, 4 * width, config.dropout) for _ in range(config.style_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2 * config.style_dim)  # 512 -> 256: mu and log sigma^2

    def features(self, motion: Tensor, mask: Tensor) -> Tensor:
        """Masked mean of the per-frame features: [B, style_width]. The contrastive pre-training works on these."""
        x = self.input(motion) + sinusoidal(
            torch.arange(motion.shape[1], device=motion.device), self.input.out_features
        )
        bias = (1.0 - mask)[:, None, None, :] * -1e9  # [B, 1, 1, T]: nobody attends to padding
        for layer in self.layers:
            x = layer(x, bias)
        return masked_mean(self.norm(x), mask)

    def forward(self, motion: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_variance = self.head(self.features(motion, mask)).chunk(2, dim=-1)
        mean = masked_mean(motion, mask)  # [B, D]
        deviation = (masked_mean((motion - mean[:, None]).square(), mask) + 1e-8).sqrt()
        return mu, log_variance.clamp(-20.0, 10.0), torch.cat([mean, deviation], dim=-1)


class StyleDecoder(nn.Module):
    """D_style: K separate MLPs of three layers, s [B, S] -> basis poses b_1..b_K [B, K, D] (paper section 4.2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = 2 * config.style_dim
        self.poses = nn.ModuleList(
            nn.Sequential(
                nn.Linear(config.style_dim, hidden),
                nn.GELU(),
                nn.Linear(hidden, hidden),
                nn.GELU(),
                nn.Linear(hidden, config.motion_dim),
            )
            for _ in range(config.basis_size)
        )

    def forward(self, code: Tensor) -> Tensor:
        return torch.stack([pose(code) for pose in self.poses], dim=1)  # [B, K, D]


class Denoiser(nn.Module):
    """M(x_t, t, C): predicts x_0 = dX + sum_k alpha_k b_k (paper eq. 4) from the noisy window, the previous frames,
    audio and style."""

    audio_mean: Tensor  # [C]
    audio_std: Tensor  # [C]
    face: Tensor  # [D]
    mouth_places: Tensor  # [m, D]
    given: Tensor  # [D]
    sampled: Tensor  # [D']
    sampled_places: Tensor  # [D', D]
    audio_bias: Tensor  # [1, 1, P + N, P + N]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        D, W, M = config.motion_dim, config.width, config.previous + config.window
        self.schedule = CosineSchedule(config.diffusion_steps)
        # Audio: features brought to the spread of the training set, then the learned linear map.
        self.register_buffer("audio_mean", torch.zeros(config.audio_dim))
        self.register_buffer("audio_std", torch.ones(config.audio_dim))
        rank = config.audio_bottleneck
        self.audio_map: nn.Module = (
            nn.Sequential(nn.Linear(config.audio_dim, rank), nn.Linear(rank, W))
            if rank
            else nn.Linear(config.audio_dim, W)
        )
        if config.audio_directions == "fitted":  # in closed form, by the trainer; gradients leave them alone
            self.audio_directions.requires_grad_(False)
        self.audio_dropout = nn.Dropout(config.audio_dropout)
        self.audio_null = nn.Parameter(torch.zeros(W))
        self.audio_start = nn.Parameter(
            torch.randn(config.previous, W) * 0.02
        )  # stand in for the audio before the first window
        # Motion tokens: a noisy or previous frame and its 0/1 mark for real against padded.
        self.motion_map = nn.Linear(D + 1, W)
        self.previous_map = nn.Linear(D + 1, W)
        self.previous_start = nn.Parameter(torch.randn(config.previous, W) * 0.02)
        self.positions = nn.Parameter(torch.randn(1 + M, W) * 0.02)
        # Style
        if config.style != "none":
            self.style_map = nn.Linear(config.style_dim, W)
            self.code_null = nn.Parameter(
                torch.zeros(config.style_dim)
            )  # one null code: token *and* basis come from it
        if config.style_anchor:
            self.anchor_map = nn.Linear(2 * D, W)
        if config.basis_size:
            self.style_decoder = StyleDecoder(config)
        if config.mouth_width:
            style_dim = config.style_dim + (2 * D if config.style_anchor else 0)
            self.mouth_path = MouthPath(
                config.audio_dim, style_dim, config.mouth_width, len(config.mouth_channels), config.mouth_heard
            )
        places = torch.eye(D)[list(config.mouth_channels if config.mouth_width else ())]
        self.register_buffer("mouth_places", places, persistent=False)  # [m, D]
        self.register_buffer("given", places.sum(0), persistent=False)  # [D], 1 where the mouth's path decides
        sampled = [d for d in range(D) if not (config.mouth_width and d in config.mouth_channels)]
        self.register_buffer("sampled", torch.tensor(sampled), persistent=False)  # [D'], columns that are
        self.register_buffer("sampled_places", torch.eye(D)[sampled], persistent=False)  # [D', D]
        if config.prior:
            self.prior = MotionPrior(len(sampled), config.window, config.previous)
        self.time_map = nn.Sequential(nn.Linear(W, W), nn.SiLU(), nn.Linear(W, W))
        self.layers: Any = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(W)
        self.head = nn.Linear(W, D + config.basis_size)
        if config.style_anchor:  # start at "the reference's resting pose, held" and learn the departure from it
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        face = torch.ones(D)
        if config.head_basis == "constant":
            face[list(config.head_channels)] = 0.0
        self.register_buffer("face", face, persistent=False)  # 1 where alpha scales the basis
        within = (torch.arange(M)[:, None] - torch.arange(M)[None, :]).abs() <= config.audio_context
        self.register_buffer("audio_bias", torch.where(within, 0.0, -1e9)[None, None], persistent=False)  # [1, 1, M, M]

    @property
    def audio_directions(self) -> nn.Linear:
        """The first half of the audio map, where it has a bottleneck: [C] -> [rank]."""
        return cast(nn.Linear, cast(nn.Sequential, self.audio_map)[0])

    def condition(
        self, audio: Tensor, previous: Tensor, start: Tensor, style: Style, audio_null: Tensor, style_null: Tensor
    ) -> Condition:
        """Everything of a window that no diffusion step changes.

        Args:
            audio: features [B, P + N, C] at the motion's rate.
            previous: the P normalised frames before the window [B, P, D].
            start: [B], 1 where there is no window before; learned features stand in for previous motion and audio.
            style: code [B, S] and anchor [B, 2 D] of the reference.
            audio_null, style_null: [B], 1 where the condition is dropped. A null style nulls token, basis and anchor
                alike.
        """
        config, P = self.config, self.config.previous
        B = audio.shape[0]
        start, audio_null, style_null = (
            start[:, None],
            audio_null[:, None, None],
            style_null[:, None],
        )  # [B, 1], [B, 1, 1], [B, 1]

        first = start[..., None] > 0.5  # [B, 1, 1]
        sound = self.audio_dropout((audio - self.audio_mean) / self.audio_std)
        a = self.audio_map(sound)  # [B, P + N, W]
        before = torch.where(first, self.audio_start, a[:, :P])
        a = torch.where(audio_null > 0.5, self.audio_null, torch.cat([before, a[:, P:]], dim=1))
        memory = torch.stack([layer.audio.prepare(a) for layer in self.layers], dim=1)

        offset = torch.zeros_like(previous[:, 0])  # [B, D]
        token = previous.new_zeros(B, config.width)
        basis = previous.new_zeros(B, config.basis_size, config.motion_dim)
        if config.style != "none":
            code = torch.where(style_null > 0.5, self.code_null, style.code)
            token = self.style_map(code)
            if config.basis_size:
                basis = self.style_decoder(code)
        if config.style_anchor:
            anchor = style.anchor * (1.0 - style_null)
            offset = anchor[:, : config.motion_dim]
            token = token + self.anchor_map(anchor)
        mouth = None
        if config.mouth_width:
            manner = torch.cat([code, anchor], dim=-1) if config.style_anchor else code
            moved = self.mouth_path(sound[:, P:], manner, audio_null)  # [B, N, m]
            mouth = moved @ self.mouth_places + (offset * self.given)[:, None]  # [B, N, D]
        elif config.prior:
            mouth = previous.new_zeros(B, config.window, config.motion_dim)

        # With the anchor the network sees motion relative to b_0: a resting face it has never met looks like any other
        # to it.
        mark = (1.0 - start)[..., None].expand(-1, P, 1)
        tokens = self.previous_map(torch.cat([previous - offset[:, None], mark], dim=-1))
        tokens = torch.where(first, self.previous_start, tokens)  # [B, P, W]
        made = Condition(token, tokens, memory, basis, offset, mouth)
        if config.prior:
            made.follows = 1.0 - start[:, 0]
            made.expected = self.prior.expected((previous - offset[:, None])[..., self.sampled], made.follows)
            deviation = torch.where(style_null > 0.5, torch.ones_like(offset), style.anchor[:, config.motion_dim :])
            made.spread = (deviation.square() + LEAST**2).sqrt()[:, self.sampled]
        return made

    def step(
        self, x: Tensor, t: Tensor, mask: Tensor, condition: Condition, following: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One network evaluation: x_t [B, N, D], t [B] in 0..T-1, mask [B, N] (1 = real frame) -> x0_hat [B, N, D],
        alpha [B, N, K].

        `following` [B] is the step that the prediction is for, see `msmdcli.model.samplers.Sampler`; only a prior asks
        for it.
        """
        config = self.config
        B, _, D = x.shape
        scale = self.schedule.alpha[t][:, None, None]  # the mean of x_t is scale x_0, so b_0's share of it is scale b_0
        frames = self.shown(x - scale * condition.offset[:, None], condition) * mask[..., None]
        motion = self.motion_map(torch.cat([frames, mask[..., None]], dim=-1))  # [B, N, W]
        token = condition.style_token + self.time_map(sinusoidal(t, config.width))  # [B, W]
        h = torch.cat([token[:, None], condition.previous_tokens, motion], dim=1) + self.positions  # [B, 1 + P + N, W]
        real = torch.cat([mask.new_ones(B, 1 + config.previous), mask], dim=1)
        self_bias = (1.0 - real)[:, None, None, :] * -1e9
        for i, layer in enumerate(self.layers):
            h = layer(h, condition.memory[:, i], self_bias, self.audio_bias)
        out = self.head(self.norm(h[:, 1 + config.previous :]))  # [B, N, D + K]
        primary, alpha = out[..., :D], out[..., D:]
        return self.joined(x, t, mask, primary, alpha, condition, following), alpha

    def joined(
        self,
        x: Tensor,
        t: Tensor,
        mask: Tensor,
        primary: Tensor,
        alpha: Tensor,
        condition: Condition,
        following: Tensor | None = None,
    ) -> Tensor:
        """Eq. 4: x0_hat [B, N, D] from x_t, t [B], mask [B, N], dX [B, N, D] and alpha [B, N, K].

        Design: alpha scales the face channels; head channels take their part of the basis as a constant offset.
        """
        styled = torch.zeros_like(primary)  # [B, N, D]
        if self.config.basis_size:
            constant = condition.basis.sum(1, keepdim=True)  # [B, 1, D]
            styled = (alpha @ condition.basis) * self.face + constant * (1.0 - self.face)
        if not self.config.prior:
            return self.decided(primary + styled + condition.offset[:, None], condition)
        # The prior ties frames together: what the network says of frames that do not count would reach the others.
        primary, styled = primary * mask[..., None], styled * mask[..., None]
        if torch.is_autocast_enabled(x.device.type):  # what is kept of x at little noise needs all its digits
            with torch.autocast(x.device.type, enabled=False):
                return self.placed(x, t, primary.float(), styled.float(), condition, following)
        return self.placed(x, t, primary, styled, condition, following)

    def placed(
        self,
        x: Tensor,
        t: Tensor,
        primary: Tensor,
        styled: Tensor,
        condition: Condition,
        following: Tensor | None,
    ) -> Tensor:
        """x0_hat [B, N, D] from the prior and what the network adds to it."""
        assert condition.expected is not None and condition.spread is not None and condition.follows is not None
        offset = condition.offset[:, None]
        scale, sigma = self.schedule.alpha[t], self.schedule.sigma[t]
        onto = None
        if following is not None:
            clean, place = following < 0, following.clamp(min=0)
            onto = (
                torch.where(clean, 1.0, self.schedule.alpha[place]),
                torch.where(clean, 0.0, self.schedule.sigma[place]),
            )
        relative = x - scale[:, None, None] * offset
        relative, styled, primary = (part[..., self.sampled] for part in (relative, styled, primary))
        made = self.prior.denoise(
            relative, styled, primary, condition.expected, condition.spread, condition.follows, scale, sigma, onto
        )
        return self.decided(made @ self.sampled_places + offset, condition)

    def shown(self, frames: Tensor, condition: Condition) -> Tensor:
        """Noisy frames [B, N, D], relative to b_0, with the finished mouth in place of the noisy one."""
        if condition.mouth is None:
            return frames
        return frames * (1.0 - self.given) + (condition.mouth - condition.offset[:, None]) * self.given

    def decided(self, x0: Tensor, condition: Condition) -> Tensor:
        """A prediction [B, N, D] with the mouth of its own path, where there is one."""
        return x0 if condition.mouth is None else x0 * (1.0 - self.given) + condition.mouth

    def forward(
        self, x: Tensor, t: Tensor, mask: Tensor, condition: Condition, following: Tensor | None = None
    ) -> Tensor:
        return self.step(x, t, mask, condition, following)[0]


class Model(nn.Module):
    """Style encoder and denoiser, trained together."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.style != "none" or config.style_anchor:
            self.style_encoder = StyleEncoder(config)
        self.denoiser = Denoiser(config)

    def encode_style(self, motion: Tensor, mask: Tensor) -> tuple[Style, Tensor]:
        """Reference [B, T, D], mask [B, T] -> Style with the mean code, and log sigma^2 [B, S]."""
        if not hasattr(self, "style_encoder"):  # unconditioned: nothing of the reference is looked at
            B = motion.shape[0]
            empty = motion.new_zeros(B, self.config.style_dim)
            return Style(empty, motion.new_zeros(B, 2 * self.config.motion_dim)), empty
        mu, log_variance, anchor = self.style_encoder(motion, mask)
        return Style(mu, anchor), log_variance
