"""Parity: the exported graphs against the PyTorch modules they came from, and a whole line against the PyTorch
sampler."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from export.graphs import Graph
from msmdcli.media.audio import Audio
from msmdcli.model.audio_features import EncoderFormat, audio_features
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.normalisation import Normalisation
from msmdcli.model.sampling import Sampling
from msmdcli.model.solver import window_rng
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from training.config import TrainConfig
from training.network.encoders import FEATURE_RATE, SAMPLE_RATE
from training.network.generate import generate
from training.network.model import Model


@dataclass(frozen=True)
class Parity:
    """Largest difference between ONNX Runtime and PyTorch: absolute, and relative to the output's largest value."""

    name: str
    absolute: float
    relative: float


def compare(name: str, ours: list[np.ndarray], theirs: list[np.ndarray]) -> Parity:
    absolute = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True) if a.size)
    relative = max(
        float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6)) for a, b in zip(ours, theirs, strict=True) if a.size
    )
    return Parity(name, absolute, relative)


def check_graph(graph: Graph, path: Path) -> Parity:
    """Run the file and the module on the example inputs, and on one row and a shorter time axis of them."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    worst = Parity(graph.name, 0.0, 0.0)
    for rows in (slice(0, 2), slice(1, 2)):
        inputs = {name: value[rows] for name, value in graph.inputs.items()}
        if rows.start:
            for name, axes in graph.dynamic.items():
                if 1 in axes:
                    inputs[name] = inputs[name][:, : inputs[name].shape[1] * 2 // 3]
        with torch.inference_mode():
            out = graph.module(**inputs) if graph.name != "audio_encoder" else graph.module(inputs["waveform"])
        expected = [v.numpy() for v in (out if isinstance(out, tuple) else (out,))]
        found = session.run(list(graph.outputs), {n: v.numpy() for n, v in inputs.items() if n in wanted})
        parity = compare(graph.name, [np.asarray(f) for f in found], expected)
        worst = max(worst, parity, key=lambda p: p.relative)
    return worst


def check_line(
    bundle: Path, config: TrainConfig, model: Model, normalisation: Normalisation, encoder: nn.Module, rig: Rig
) -> Parity:
    """A synthetic line of two and a half windows through the runtime's engine and through the PyTorch sampler; relative
    to the motion's range in rig units."""
    fps = Fraction(config.data.fps)
    rng = np.random.Generator(np.random.Philox(7))
    seconds = Fraction(5 * config.model.window, 2) / fps
    samples = speech_like_noise(int(seconds * SAMPLE_RATE), rng)
    form = EncoderFormat(
        SAMPLE_RATE,
        FEATURE_RATE,
        model.config.audio_dim // config.audio.stack,
        config.audio.stack,
        config.audio.chunk_seconds,
        config.audio.overlap_seconds,
    )

    def encode(waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            features: np.ndarray = encoder(torch.from_numpy(np.ascontiguousarray(waveform))).numpy()
            return features

    frames = frame_count(Fraction(len(samples), SAMPLE_RATE), fps)
    features = audio_features(samples, encode, form, fps, frames)
    reference = np.clip(
        normalisation.mean + normalisation.std * rng.standard_normal((80, rig.size)), rig.lower, rig.upper
    ).astype(np.float32)
    expected = generate(model, normalisation, features, reference, lambda w: window_rng(3, "parity", w), rig=rig)

    engine = Engine(Bundle.load(bundle), sampling=Sampling("dpmpp-2m", 4, 0.0, 0.0))
    audio = Audio(
        samples=samples,
        rate=SAMPLE_RATE,
        source_rate=SAMPLE_RATE,
        source_channels=1,
        seconds=Fraction(len(samples), SAMPLE_RATE),
    )
    style = engine.encode_style(Motion(reference, fps, rig)) if engine.follows_style else None
    job = Job("parity", engine.encode_audio(audio), [StyleEntry(style)], seed=3)
    ((_, motion),) = engine.animate([job])
    face = rig.face_columns
    clipped = np.clip(expected, rig.lower, rig.upper)
    return compare("whole line", [np.clip(motion.values, rig.lower, rig.upper)[:, face]], [clipped[:, face]])


def speech_like_noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Noise [S] whose loudness rises and falls a few times a second."""
    envelope = np.abs(np.sin(np.arange(length) / SAMPLE_RATE * 2 * np.pi * 2.3))
    samples: np.ndarray = (0.1 * envelope * rng.standard_normal(length)).astype(np.float32)
    return samples
