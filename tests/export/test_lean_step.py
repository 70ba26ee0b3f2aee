"""The step as it is exported against the step that trains."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from export.lean_step import LeanStep, lean_memory
from training.config import apply_variant, load_config
from training.network.model import Model, Style

ROWS = 5


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("variant", ["msmd", "msmd-anchor", "vae-baseline", "unconditioned", "prior"])
def test_it_is_the_same_step(variant: str, context: int) -> None:
    base = load_config("tiny")
    changed = replace(base.model, audio_context=context, style_anchor=variant == "prior", prior=variant == "prior")
    config = apply_variant(replace(base, model=changed), "msmd-anchor" if variant == "prior" else variant).model  # type: ignore[arg-type]
    torch.manual_seed(0)
    denoiser = Model(config).eval().denoiser
    for parameter in denoiser.parameters():  # biases and null features too
        torch.nn.init.normal_(parameter, std=0.15)
    N, P, D = config.window, config.previous, config.motion_dim
    audio, previous, x = (torch.randn(ROWS, *shape) for shape in ((P + N, config.audio_dim), (P, D), (N, D)))
    code, anchor = torch.randn(ROWS, config.style_dim), torch.randn(ROWS, 2 * D)
    audio_null = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    style_null = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    start = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    t = torch.tensor([999, 999, 999, 10, 10])
    mask = torch.ones(ROWS, N)
    mask[3:, N // 2 :] = 0.0
    for like, row in ((0, 1), (3, 4)):  # twins: all the same but the sound
        for tensor in (previous, x, code, anchor, audio):
            tensor[row] = tensor[like]
    with torch.inference_mode():
        condition = denoiser.condition(audio, previous, start, Style(code, anchor), audio_null, style_null)
        expected = denoiser.step(x, t, mask, condition)
        lean = replace(condition, memory=lean_memory(denoiser, condition.memory))
        found = LeanStep(denoiser)(x, t, mask, lean, torch.tensor([0, 2, 3]), torch.tensor([0, 0, 1, 2, 2]))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert not torch.allclose(found[0][0], found[0][1], atol=1e-3)  # the sound is heard
