"""One training step as a function of a batch: conditioning strategy, diffusion and losses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from msmdcli.motion.rig import Rig
from training.config import TrainConfig
from training.network.losses import kl_divergence, lip_gap_loss, motion_losses, nt_xent
from training.network.model import Condition, Model, Style

Batch = dict[str, Tensor]
CLOSES = "mouthClose"  # the channel that closes the lips whatever the jaw does; where a rig has none, its lips do


def region_columns(rig: Rig, region: str) -> np.ndarray:
    """The columns of a region; none where the rig has no such, but arkit52 has: presets name its regions.

    Raises:
        MsmdError: no rig has a region of that name.
    """
    if region not in rig.regions and region in Rig.load("arkit52").regions:
        return np.zeros(0, np.int64)
    return rig.indices(region)


def channel_weights(rig: Rig, regions: Mapping[str, float]) -> Tensor:
    """[D] weight of each channel in the losses, 1 on average; `regions` as in `LossWeights`."""
    weights = torch.ones(rig.size)
    for region, weight in regions.items():
        weights[region_columns(rig, region)] = weight
    return weights / weights.mean()


def held(x0: Tensor, mask: Tensor) -> Tensor:
    """x0 [B, N, D] that stands still where mask [B, N] ends; a prior looks at those frames, too."""
    last = mask.sum(1).long().clamp(min=1) - 1  # [B]
    end = x0[torch.arange(len(x0), device=x0.device), last][:, None]  # [B, 1, D]
    return torch.where(mask[..., None] > 0.5, x0, end)


class Objective(nn.Module):
    """The model together with its losses, so that data-parallel training wraps one module.

    forward(batch) -> losses by name; `total` is the one to minimise. The batch is that of
    `training.data.dataset.PairBatches`: 2B rows, row i and row i + B adjacent.
    """

    channels: Tensor  # [D], weights of 1 on average
    gap: Tensor  # [D], mm of lip gap per normalised unit of each channel
    closes: Tensor  # [D], 1 where a channel closes the lips
    rest_gap: Tensor  # mm, at normalised zero

    def __init__(self, model: Model, config: TrainConfig, rig: Rig) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.register_buffer("channels", channel_weights(rig, config.loss.regions), persistent=False)
        self.register_buffer("gap", torch.zeros(rig.size), persistent=False)
        closes = torch.zeros(rig.size)
        closes[[rig.index(CLOSES)] if CLOSES in rig.channels else region_columns(rig, "lips")] = 1.0
        self.register_buffer("closes", closes, persistent=False)
        self.register_buffer("rest_gap", torch.zeros(()), persistent=False)

    def forward(self, batch: Batch, contrast: bool = False, mouth_only: bool = False) -> dict[str, Tensor]:
        if contrast:
            return self.contrast(batch)
        config, model = self.config, self.model
        x0, mask = batch["motion"], batch["mask"]  # [2B, N, D], [2B, N]
        rows, device = x0.shape[0], x0.device

        style, log_variance = model.encode_style(x0, mask)
        divergence = x0.new_zeros(())
        if config.model.style == "vae":
            divergence = kl_divergence(style.code, log_variance)
            noise = torch.randn_like(style.code)
            style = Style(style.code + noise * (0.5 * log_variance).exp(), style.anchor)
        style = style.select(self.references(rows, device))

        drop = config.drop_condition
        audio_null = torch.maximum((torch.rand(rows, device=device) < drop).float(), batch["silent"])
        style_null = (torch.rand(rows, device=device) < drop).float()
        condition = model.denoiser.condition(
            batch["audio"], batch["previous"], batch["start"], style, audio_null, style_null
        )

        # With the anchor, motion is measured in units of movement; without a style the whole of a resting face would
        # then drown everything else.
        counted = mask * (1.0 - (1.0 - config.null_weight) * style_null[:, None])
        if mouth_only:
            return self.mouth_losses(batch, condition, counted, divergence)

        share = torch.rand(rows, device=device) ** config.time_power  # Paper: t uniform (power 1)
        t = (share * config.model.diffusion_steps).long().clamp(max=config.model.diffusion_steps - 1)
        x_t = model.denoiser.schedule.noise(held(x0, mask), t, torch.randn_like(x0))
        prediction = model.denoiser(x_t, t, mask, condition)

        weights = config.loss
        emphasis = model.denoiser.schedule.sigma[t].square().reciprocal().clamp(max=weights.low_noise)  # [2B]
        weighed = counted * emphasis[:, None]
        losses = motion_losses(prediction, x0, weighed, batch["previous"], 1.0 - batch["start"], self.channels)
        losses["kl"] = divergence
        losses["total"] = (
            weights.simple * losses["simple"]
            + weights.velocity * losses["velocity"]
            + weights.smooth * losses["smooth"]
            + weights.kl * divergence
        )
        return self._with_mouth(losses, prediction, x0, counted)

    def mouth_losses(
        self, batch: Batch, condition: Condition, counted: Tensor, divergence: Tensor
    ) -> dict[str, Tensor]:
        """Losses of the mouth's own path alone; the denoiser does not run."""
        given = self.model.denoiser.given
        assert condition.mouth is not None  # the configuration has seen to it
        truth, before = batch["motion"] * given, batch["previous"] * given
        channels = self.channels * given
        losses = motion_losses(condition.mouth, truth, counted, before, 1.0 - batch["start"], channels)
        losses["kl"] = divergence
        weights = self.config.loss
        losses["total"] = weights.simple * losses["simple"] + weights.velocity * losses["velocity"]
        losses["total"] = losses["total"] + weights.kl * divergence
        return self._with_mouth(losses, condition.mouth, truth, counted)

    def _with_mouth(self, losses: dict[str, Tensor], made: Tensor, truth: Tensor, counted: Tensor) -> dict[str, Tensor]:
        """The losses with those of the mouth: the lip gap (`lip_gap_loss`), and what its network adds to its line.

        One channel closes the gap, jaw and lips are told nothing of it: bent to every m, b, p that is not sure, a jaw
        follows real ones worse, those of performed voices (0.73 for 0.80) like those of people in the wild (0.46 for
        0.49).
        """
        path = getattr(self.model.denoiser, "mouth_path", None)
        if self.config.loss.mouth_added and path is not None and path.training and path.added is not None:
            losses["added"] = path.added.square().mean()
            losses["total"] = losses["total"] + self.config.loss.mouth_added * losses["added"]
        if self.config.loss.gap:
            made = torch.where(self.closes > 0.5, made, made.detach())
            losses["gap"] = lip_gap_loss(made @ self.gap, truth @ self.gap, self.rest_gap, counted)
            losses["total"] = losses["total"] + self.config.loss.gap * losses["gap"]
        return losses

    def set_lip_gap(self, slope: Tensor, rest: float) -> None:
        """Tell how normalised motion parts the lips: `slope` [D] and `rest`, in millimetres."""
        self.gap.copy_(slope)
        self.rest_gap.fill_(rest)

    def references(self, rows: int, device: torch.device) -> Tensor:
        """Which window each window takes its style from [2B]: the adjacent one or itself, by the toss of a coin for
        each pair (paper section 4.4)."""
        own = torch.arange(rows, device=device)
        if not self.config.cross:
            return own
        pairs = rows // 2
        cross = (torch.rand(pairs, device=device) < 0.5).repeat(2)
        return torch.where(cross, own.roll(pairs), own)

    def contrast(self, batch: Batch) -> dict[str, Tensor]:
        """Contrastive pre-training of the style encoder: two windows of one clip against those of all others."""
        style, _ = self.model.encode_style(batch["motion"], batch["mask"])
        first, second = style.code.chunk(2)
        return {"total": nt_xent(first, second, self.config.contrastive_temperature)}
