"""The ear: from an audio encoder's features to what the sound tells of the mouth, once per line.

An encoder of speech (Whisper) knows its sounds, but spreads them over a thousand numbers, of which a denoiser that
hears each frame by itself makes little. The ear hears 0.7 s around each frame and says what the mouth does in a plain
voice. Two paths, added:

- a straight line (ridge regression in closed form, `training.loop.ear_fitting`): all that few recordings of real
  people can teach safely;
- under it a small temporal network (dilated convolutions with residuals, as in Bai, Kolter, Koltun 2018) that learns
  what the straight line leaves, with phones as an auxiliary task.

It works at the encoder's own rate and is exported as a part of the audio encoder's graph: the runtime computes it once
per line, outside the diffusion, and needs to know nothing of it.

# Paper: the features meet a learned linear map (section 4.3); here: `ear.width` 0 keeps that (preset `paper`), above 0
# this network stands between them, because a frame that hears nothing but itself follows real speech worse than a
# straight line that hears its neighbours.

Letters: F frames at the encoder's rate, C its features, R principal axes, M mouth channels, Q phone classes,
E = M + width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from msmdcli.errors import MsmdError
from training.network.encoders import load_encoder

EAR_FILE = "ear.safetensors"  # within a run


@dataclass(frozen=True)
class EarConfig:
    """Attributes: see the comments; `width` 0 means no ear."""

    width: int = 0  # channels of the temporal network
    rank: int = 160  # R: principal axes of the features that are listened to
    kernel: int = 5
    dilations: tuple[int, ...] = (2, 4, 8, 2)  # of frames at the encoder's rate: 0.64 s either way at 50 Hz
    dropout: float = 0.1
    reach: int = 4  # taps of the straight line on either side, two frames apart
    ridge: float = 0.03  # of the straight line, in units of the axes' variance
    real: tuple[str, ...] = ()  # sources whose tracked mouths are learned from besides synthetic ones; `*`: all
    real_share: float = 0.35  # of the samples
    iterations: int = 1000
    batch: int = 20  # stretches of `seconds`
    seconds: float = 5.0
    lr: float = 2e-3
    phones: float = 0.3  # weight of the auxiliary task


class Hearing(NamedTuple):
    """What the ear makes of a line."""

    mouth: Tensor  # [B, F, M], in units of the training targets' spread
    phones: Tensor  # [B, F, Q] logits
    hidden: Tensor  # [B, F, width]

    @property
    def features(self) -> Tensor:
        """[B, F, E]: what the denoiser hears."""
        return torch.cat([self.mouth, self.hidden], dim=-1)


class DilatedBlock(nn.Module):
    """Residual convolution over time [B, W, F] -> the same; frames beyond the ends are zeros."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.conv = nn.Conv1d(width, width, kernel, dilation=dilation, padding=dilation * (kernel // 2))
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.mix(F.gelu(self.conv(self.norm(x)))))


class Ear(nn.Module):
    """forward(features [B, F, C]) -> `Hearing`."""

    mean: Tensor  # [C]
    axes: Tensor  # [R, C]: principal axes over the root of their variance

    def __init__(self, config: EarConfig, dim: int, channels: Sequence[str], classes: int) -> None:
        super().__init__()
        self.config, self.channels, self.classes = config, tuple(channels), classes
        M, W, R = len(self.channels), config.width, config.rank
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("axes", torch.zeros(R, dim))
        taps = 2 * config.reach + 1
        self.straight = nn.Conv1d(R, M, taps, dilation=2, padding=2 * config.reach)
        self.straight.requires_grad_(False)  # in closed form
        self.input = nn.Conv1d(R, W, 1)
        self.blocks = nn.ModuleList(DilatedBlock(W, config.kernel, d, config.dropout) for d in config.dilations)
        self.norm = nn.BatchNorm1d(W)
        self.drop_input = nn.Dropout1d(config.dropout)
        self.mouth = nn.Conv1d(W, M, 1)
        nn.init.zeros_(self.mouth.weight)
        self.phones = nn.Conv1d(W, classes, 1)

    @property
    def dim(self) -> int:
        """E, the width of `Hearing.features`."""
        return len(self.channels) + self.config.width

    def project(self, features: Tensor) -> Tensor:
        """[B, F, C] -> [B, R, F], the line's own mean removed: what stays is what is said, not who says it where."""
        x = features - features.mean(1, keepdim=True)
        return F.linear(x, self.axes).transpose(1, 2)

    def heard(self, x: Tensor) -> Hearing:
        """[B, R, F], as `project` gives it."""
        h = self.input(self.drop_input(x))
        for block in self.blocks:
            h = block(h)
        h = F.gelu(self.norm(h))
        mouth = self.straight(x) + self.mouth(h)
        return Hearing(mouth.transpose(1, 2), self.phones(h).transpose(1, 2), h.transpose(1, 2))

    def forward(self, features: Tensor) -> Hearing:
        return self.heard(self.project(features))


class HearingEncoder(nn.Module):
    """An audio encoder with an ear behind it, with an encoder's surface: waveform [B, S] -> [B, F, E]."""

    def __init__(self, encoder: Any, ear: Ear) -> None:
        super().__init__()
        self.encoder, self.ear = encoder, ear
        self.chosen: tuple[int, ...] = encoder.chosen
        self.dim = ear.dim

    def forward(self, waveform: Tensor) -> Tensor:
        return self.ear(self.encoder(waveform)).features


def save_ear(ear: Ear, path: Path) -> None:
    """Weights, with what is needed to build the network again."""
    described = {"channels": ",".join(ear.channels), "classes": str(ear.classes), "dim": str(len(ear.mean))}
    save_file({k: v.contiguous() for k, v in ear.state_dict().items()}, path, described)


def load_ear(path: Path, config: EarConfig) -> Ear:
    """The ear of a run, in evaluation mode.

    Raises:
        MsmdError: the file is not there or does not fit the configuration.
    """
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata()
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        ear = Ear(config, int(told["dim"]), told["channels"].split(","), int(told["classes"]))
        ear.load_state_dict(weights)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise MsmdError(f"ear {path} cannot be read: {str(error).splitlines()[0]}", hint="train it again") from error
    ear.requires_grad_(False)
    return ear.eval()


def run_encoder(run: Path, audio: Any, config: EarConfig) -> Any:
    """The audio encoder of a run as its bundle has it: with the ear behind it, where the run has one.

    Args:
        audio: the run's `AudioConfig`.
    """
    encoder = load_encoder(audio.encoder, audio.path, audio.layers)
    return HearingEncoder(encoder, load_ear(run / EAR_FILE, config)).eval() if config.width else encoder
