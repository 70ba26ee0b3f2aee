"""Generation with the PyTorch model, window after window: validation during training, and the reference for the
exported graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from msmdcli.model.normalisation import Normalisation
from msmdcli.model.samplers import Schedule, make_sampler
from msmdcli.model.windows import window_at, window_audio, window_count, window_mask
from msmdcli.motion.rig import Rig
from training.network.model import Model

Array = np.ndarray[Any, np.dtype[np.float32]]


@torch.inference_mode()
def generate(
    model: Model,
    normalisation: Normalisation,
    audio: Array,
    reference: Array | None,
    rng: Callable[[int], np.random.Generator],
    *,
    rig: Rig,
    sampler: str = "dpmpp-2m",
    steps: int = 4,
) -> Array:
    """Motion for one line, without guidance.

    Args:
        audio: features [T, C].
        reference: style reference [R, D] in rig units, or None for no style.
        rng: window index -> the generator of its noise.
        rig: its ranges hold what one window hands to the next.

    Returns:
        motion [T, D] in rig units, not clamped.
    """
    config = model.config
    N, P, D, T = config.window, config.previous, config.motion_dim, len(audio)

    def as_row(values: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]

    frames = normalisation.forward(reference if reference is not None else np.zeros((1, D), np.float32))
    style, _ = model.encode_style(as_row(frames), torch.ones(1, len(frames)))
    style_null = torch.tensor([0.0 if reference is not None else 1.0])
    previous = np.zeros((P, D), np.float32)
    parts = []
    for index in range(window_count(T, N)):
        window = window_at(index, T, N)
        mask = window_mask(window, N)
        start = torch.tensor([1.0 if index == 0 else 0.0])
        features = as_row(window_audio(audio, window, N, P))
        condition = model.denoiser.condition(features, as_row(previous), start, style, torch.zeros(1), style_null)
        solver = make_sampler(sampler, Schedule.cosine(config.diffusion_steps), steps)
        draw = rng(index)
        x = draw.standard_normal((N, D), dtype=np.float32)
        for i, t in enumerate(solver.timesteps):
            last = i == len(solver.timesteps) - 1
            noise = draw.standard_normal((N, D), dtype=np.float32) if solver.stochastic and not last else None
            at, following = torch.tensor([int(t)]), torch.tensor([solver.following(i)])
            x0 = model.denoiser(as_row(x), at, as_row(mask), condition, following)[0].numpy()
            x = solver.step(x0, i, x, noise)
        values = normalisation.inverse(x[: window.frames])
        parts.append(values)
        if len(values) >= P:
            previous = normalisation.forward(np.clip(values[-P:], rig.lower, rig.upper))
    return np.concatenate(parts)
