"""Pretrained, frozen audio encoders: waveform -> features at 50 Hz.

Every encoder is one `torch.nn.Module` with the same surface, from raw samples to features, so that training caches it,
the exporter turns it into one ONNX graph, and the runtime needs no feature extractor of its own:

    forward(waveform [B, S] float32 at 16 kHz) -> features [B, F, C],  F = ceil(S / 320), frame j centred at sample 320
    j

`whisper` is the encoder of OpenAI's Whisper (Radford et al. 2022; log-mel front end and network, MIT); `hubert`,
`wav2vec2` and `wavlm` are the convolutional models of transformers (HuBERT, Hsu et al. 2021, is the one of the paper).
Hidden states other than the last may be chosen with `layers` (several are put side by side): in Whisper the mouth is
best read from the middle, as linear probes of each layer have shown, and the layers above the highest one chosen are
not even kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from msmdcli.errors import MsmdError
from msmdcli.paths import shared_dir

SAMPLE_RATE = 16000
FEATURE_RATE = Fraction(50)
SAMPLES_PER_FEATURE = int(SAMPLE_RATE / FEATURE_RATE)  # 320

HUB_NAMES: dict[str, str] = {
    "whisper": "openai/whisper-tiny.en",
    "whisper-base": "openai/whisper-base",  # multilingual
    "hubert": "facebook/hubert-base-ls960",
    "wav2vec2": "facebook/wav2vec2-base-960h",
    "wavlm": "microsoft/wavlm-base-plus",
}
# Folders of the shared material; of Whisper base the first four layers are kept, which is what the ear hears.
SHARED_FOLDERS = {"whisper": "whisper-tiny.en-encoder", "whisper-base": "whisper-base-encoder-4"}


class LogMel(nn.Module):
    """Whisper's log-mel spectrogram as convolutions with a fixed Fourier basis: exportable to any ONNX opset, and no
    STFT operator needed.

    forward(waveform [B, S]) -> [B, n_mels, S // hop]. Same definition as `WhisperFeatureExtractor` (Hann window,
    centred frames with reflected borders, Slaney mel filters, log10, floor 8 below the maximum, (x + 4) / 4); tests
    compare them.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, n_mels: int = 80, n_fft: int = 400, hop: int = 160) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        self.n_fft, self.hop = n_fft, hop
        window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
        angle = 2 * torch.pi / n_fft * torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)).to(torch.float64)
        basis = (
            torch.cat([angle.cos(), -angle.sin()]) * window
        )  # [2 (n_fft/2 + 1), n_fft]: real parts, then imaginary parts
        filters = mel_filter_bank(
            n_fft // 2 + 1, n_mels, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("basis", basis.float()[:, None, :], persistent=False)
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32).T.contiguous(), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        half = self.n_fft // 2
        x = F.pad(waveform[:, None, :], (half, half), mode="reflect")  # [B, 1, S + n_fft]
        spectrum = F.conv1d(x, self.basis, stride=self.hop)[..., :-1]  # [B, 2 (half + 1), S / hop]
        real, imaginary = spectrum[:, : half + 1], spectrum[:, half + 1 :]
        mel = self.filters @ (real.square() + imaginary.square())  # [B, n_mels, S / hop]
        logarithm = mel.clamp(min=1e-10).log10()
        logarithm = torch.maximum(logarithm, logarithm.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (logarithm + 4.0) / 4.0


def _checked_layers(layers: Sequence[int] | None, first: int, depth: int) -> tuple[int, ...]:
    chosen = (depth,) if layers is None else tuple(sorted(layers))
    if not chosen or not all(first <= layer <= depth for layer in chosen):
        raise MsmdError(
            f"audio encoder layers {list(chosen)} do not exist", hint=f"This encoder has layers {first} to {depth}."
        )
    return chosen


class WhisperFeatures(nn.Module):
    """Hidden states `layers` of Whisper's encoder (0 = its convolutions, n = after layer n; the last one with its final
    norm).

    Whisper expects 30 s of sound. Here: the real length plus `padding` of silence, with the position table cut to that;
    features agree with the full-context ones to 0.99 cosine at a quarter of the cost, and a line's features do not
    depend on how much silence would have filled its 30 s.
    """

    padding = SAMPLE_RATE  # 1 s

    def __init__(self, encoder: Any, layers: Sequence[int] | None = None) -> None:
        super().__init__()
        config = encoder.config
        depth = config.encoder_layers
        self.chosen = _checked_layers(layers, 0, depth)
        self.log_mel = LogMel(config.num_mel_bins)
        self.conv1: Any = encoder.conv1
        self.conv2: Any = encoder.conv2
        self.positions = nn.Parameter(encoder.embed_positions.weight.detach().clone(), requires_grad=False)  # [1500, C]
        self.layers = nn.ModuleList(list(encoder.layers)[: self.chosen[-1]])
        self.norm = encoder.layer_norm if self.chosen[-1] == depth else nn.Identity()
        self.dim: int = config.d_model * len(self.chosen)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = (waveform.shape[1] + SAMPLES_PER_FEATURE - 1) // SAMPLES_PER_FEATURE
        mel = self.log_mel(F.pad(waveform, (0, self.padding + SAMPLES_PER_FEATURE)))  # [B, 80, 2 (F + 50)]
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)  # [B, F + 50, C]
        x = x + self.positions[: x.shape[1]]
        states = [x]
        for block in self.layers:
            x = block(x, None)
            x = x[0] if isinstance(x, tuple) else x
            states.append(x)
        states[-1] = self.norm(states[-1])
        return torch.cat([states[layer] for layer in self.chosen], dim=-1)[:, :frames]  # [B, F, C]


class Wav2Vec2Features(nn.Module):
    """HuBERT, wav2vec 2.0 or WavLM: raw samples through strided convolutions (field of view 400, stride 320), then a
    transformer.

    200 samples of padding on the left put the centre of frame j at sample 320 j, as everywhere else in MSMD.
    """

    field = 400

    def __init__(self, model: Any, layers: Sequence[int] | None = None, normalise: bool = True) -> None:
        super().__init__()
        self.chosen = _checked_layers(layers, 1, model.config.num_hidden_layers)
        model.encoder.layers = nn.ModuleList(list(model.encoder.layers)[: self.chosen[-1]])
        self.model = model
        self.normalise = normalise
        self.dim: int = model.config.hidden_size * len(self.chosen)

    def forward(self, waveform: Tensor) -> Tensor:
        if self.normalise:
            mean, variance = waveform.mean(1, keepdim=True), waveform.var(1, keepdim=True, unbiased=False)
            waveform = (waveform - mean) / torch.sqrt(variance + 1e-7)
        frames = (waveform.shape[1] + SAMPLES_PER_FEATURE - 1) // SAMPLES_PER_FEATURE
        x = F.pad(waveform, (self.field // 2, self.field + SAMPLES_PER_FEATURE))
        out = self.model(x, output_hidden_states=True)
        states = [*out.hidden_states[:-1], out.last_hidden_state]
        return torch.cat([states[layer] for layer in self.chosen], dim=-1)[:, :frames]  # [B, F, C]


def load_encoder(
    name: str, source: str | Path | None = None, layers: Sequence[int] | None = None
) -> WhisperFeatures | Wav2Vec2Features:
    """The frozen encoder `name`, in evaluation mode.

    `source` is a local folder in transformers' layout or a hub name; without it, the material shared beside the
    repository is used where it has the encoder, else the encoder's hub name. Weights are read as safetensors only,
    which cannot run code.

    Raises:
        MsmdError: unknown name, a folder without the needed files, or a hub name that cannot be reached.
    """
    if name not in HUB_NAMES:
        raise MsmdError(f"unknown audio encoder '{name}'", hint=f"Choose one of {', '.join(HUB_NAMES)}.")
    if source is None:
        shared = shared_dir()
        local = shared / "models" / SHARED_FOLDERS[name] if shared and name in SHARED_FOLDERS else None
        source = local if local is not None and local.is_dir() else HUB_NAMES[name]
    if isinstance(source, Path) and not source.is_dir():
        raise MsmdError(
            f"audio encoder folder not found: {source}", hint="Give a folder with config.json and model.safetensors."
        )
    # The shared Whisper folder holds the encoder alone; a download of the whole model holds it under "encoder.".
    from transformers import AutoConfig, AutoModel, WhisperConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        if name.startswith("whisper"):
            from transformers.models.whisper.modeling_whisper import WhisperEncoder

            config = WhisperConfig.from_pretrained(source)
            encoder = WhisperEncoder.from_pretrained(source, config=config, use_safetensors=True, dtype=torch.float32)
            features: WhisperFeatures | Wav2Vec2Features = WhisperFeatures(encoder, layers)
        else:
            AutoConfig.from_pretrained(source)
            model = AutoModel.from_pretrained(source, use_safetensors=True, dtype=torch.float32)
            features = Wav2Vec2Features(model, layers, normalise=_wants_normalised(source))
    except (OSError, ValueError, json.JSONDecodeError) as error:
        raise MsmdError(
            f"audio encoder '{name}' could not be loaded from {source}: {str(error).splitlines()[0]}",
            hint="name a local folder (config.json, model.safetensors) as audio.path in a --config file;"
            " without a network a hub name cannot work",
        ) from error
    features.requires_grad_(False)
    return features.eval()


def _wants_normalised(source: str | Path) -> bool:
    """Whether the model's own feature extractor scales the waveform to zero mean and unit variance (`do_normalize`)."""
    from transformers import AutoFeatureExtractor

    try:
        return bool(AutoFeatureExtractor.from_pretrained(source).do_normalize)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        return True  # all the base models of this family do
