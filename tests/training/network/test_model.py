"""The network: what it computes, and what its variants do not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from training.config import TrainConfig, apply_variant
from training.network.layers import AudioAttention, attend, sinusoidal
from training.network.model import Condition, Model, ModelConfig, Style, StyleEncoder

TINY = ModelConfig(
    motion_dim=7, audio_dim=6, head_channels=(5, 6), window=12, previous=3, width=16, layers=2, heads=2, feedforward=32,
    dropout=0.0, style_width=16, style_layers=1, style_heads=2, style_dim=8, basis_size=3,
)  # fmt: skip


def tiny(**changes: object) -> Model:
    torch.manual_seed(0)
    model = Model(dataclasses.replace(TINY, **changes)).eval()  # type: ignore[arg-type]
    for parameter in model.parameters():  # the anchor's head starts at zero, which would make every test below pass
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def window(rows: int = 2, seed: int = 0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    c = TINY
    return {
        "audio": torch.randn(rows, c.previous + c.window, c.audio_dim, generator=g),
        "previous": torch.randn(rows, c.previous, c.motion_dim, generator=g),
        "start": torch.zeros(rows),
        "audio_null": torch.zeros(rows),
        "style_null": torch.zeros(rows),
        "x": torch.randn(rows, c.window, c.motion_dim, generator=g),
        "mask": torch.ones(rows, c.window),
    }


def predict(model: Model, w: dict[str, Tensor], style: Style, t: int = 500) -> tuple[Tensor, Tensor, Condition]:
    condition = model.denoiser.condition(w["audio"], w["previous"], w["start"], style, w["audio_null"], w["style_null"])
    x0, alpha = model.denoiser.step(w["x"], torch.full((len(w["x"]),), t), w["mask"], condition)
    return x0, alpha, condition


def some_style(rows: int = 2, seed: int = 1) -> Style:
    g = torch.Generator().manual_seed(seed)
    return Style(torch.randn(rows, TINY.style_dim, generator=g), torch.randn(rows, 2 * TINY.motion_dim, generator=g))


def test_the_paper_s_size() -> None:
    """34.4 M parameters in the denoiser of the paper's size with HuBERT's 768 features (measured independently), within
    what the audio map of context 0 saves."""
    attention = Model(ModelConfig(audio_dim=768, audio_context=1)).denoiser
    count = sum(p.numel() for p in attention.parameters())
    assert 33e6 < count < 36e6
    shapes = attention.condition(
        torch.zeros(1, 110, 768),
        torch.zeros(1, 10, 55),
        torch.ones(1),
        Style(torch.zeros(1, 128), torch.zeros(1, 110)),
        torch.zeros(1),
        torch.zeros(1),
    )
    assert shapes.memory.shape == (1, 8, 220, 512) and shapes.basis.shape == (1, 4, 55)


def test_padded_reference_frames_change_nothing() -> None:
    torch.manual_seed(0)
    encoder = StyleEncoder(TINY).eval()
    motion = torch.randn(1, 20, TINY.motion_dim)
    padded = torch.cat([motion, 100 * torch.randn(1, 9, TINY.motion_dim)], dim=1)
    mask = torch.cat([torch.ones(1, 20), torch.zeros(1, 9)], dim=1)
    for alone, with_padding in zip(encoder(motion, torch.ones(1, 20)), encoder(padded, mask), strict=True):
        torch.testing.assert_close(alone, with_padding, atol=1e-5, rtol=1e-5)


def test_padded_window_frames_change_no_real_frame() -> None:
    model, style = tiny(), some_style()
    w = window()
    w["mask"][:, 8:] = 0.0
    first = predict(model, w, style)[0][:, :8]
    w["x"] = w["x"].clone()
    w["x"][:, 8:] = 50.0
    torch.testing.assert_close(predict(model, w, style)[0][:, :8], first)


def test_equation_4_with_the_head_s_constant_part() -> None:
    """x0 = dX + sum_k alpha_k b_k on face channels, dX + sum_k b_k on head channels."""
    model, style, w = tiny(), some_style(), window()
    x0, alpha, condition = predict(model, w, style)
    without = dataclasses.replace(condition, basis=torch.zeros_like(condition.basis))
    primary, _ = model.denoiser.step(w["x"], torch.full((2,), 500), w["mask"], without)
    for row in range(2):
        for frame in range(TINY.window):
            for channel in range(TINY.motion_dim):
                weights = alpha[row, frame] if channel < 5 else torch.ones(TINY.basis_size)
                expected = primary[row, frame, channel] + sum(
                    weights[k] * condition.basis[row, k, channel] for k in range(TINY.basis_size)
                )
                assert x0[row, frame, channel].item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_null_style_nulls_token_basis_and_anchor() -> None:
    model = tiny(style_anchor=True)
    w = window()
    w["style_null"] = torch.ones(2)
    one, _, condition = predict(model, w, some_style(seed=1))
    other, _, _ = predict(model, w, some_style(seed=2))
    torch.testing.assert_close(one, other)
    assert condition.offset.abs().max() == 0
    torch.testing.assert_close(condition.basis[0], model.denoiser.style_decoder(model.denoiser.code_null[None])[0])


def test_null_audio_hears_nothing_and_sound_otherwise_does() -> None:
    model, style = tiny(), some_style()
    w, other = window(), window()
    other["audio"] = other["audio"] + 1.0
    assert not torch.allclose(predict(model, w, style)[0], predict(model, other, style)[0])
    for each in (w, other):
        each["audio_null"] = torch.ones(2)
    torch.testing.assert_close(predict(model, w, style)[0], predict(model, other, style)[0])


def test_the_first_window_does_not_look_back() -> None:
    model, style = tiny(style_anchor=True), some_style()
    w, other = window(), window()
    other["previous"] = other["previous"] + 3.0
    other["audio"] = other["audio"].clone()
    other["audio"][:, : TINY.previous] += 3.0
    assert not torch.allclose(predict(model, w, style)[0], predict(model, other, style)[0])
    for each in (w, other):
        each["start"] = torch.ones(2)
    torch.testing.assert_close(predict(model, w, style)[0], predict(model, other, style)[0])


def test_with_the_anchor_a_shifted_face_gives_a_shifted_result() -> None:
    """b_0 is added to the result and taken from all that the network sees, so only the anchor's own token can tell two
    resting faces apart."""
    model = tiny(style_anchor=True)
    torch.nn.init.zeros_(model.denoiser.anchor_map.weight)
    w, style = window(), some_style()
    shift = torch.randn(1, 1, TINY.motion_dim)
    t = 400
    first = predict(model, w, style, t)[0]
    moved = dict(w)
    moved["previous"] = w["previous"] + shift
    moved["x"] = w["x"] + model.denoiser.schedule.alpha[t] * shift
    anchor = style.anchor.clone()
    anchor[:, : TINY.motion_dim] += shift[0]
    torch.testing.assert_close(
        predict(model, moved, Style(style.code, anchor), t)[0], first + shift, atol=1e-4, rtol=1e-4
    )


def test_audio_context_0_is_attention_over_a_single_key() -> None:
    """The collapsed term equals real attention with a window of one frame, with the value map folded into the output
    map."""
    torch.manual_seed(0)
    full, collapsed = AudioAttention(16, 2, context=1), AudioAttention(16, 2, context=0)
    collapsed.out.weight.data = full.out.weight.data @ full.value.weight.data
    collapsed.out.bias.data = full.out.weight.data @ full.value.bias.data + full.out.bias.data
    x, audio = torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    own = torch.where(torch.eye(9, dtype=torch.bool), 0.0, -1e9)[None, None]
    attended = full(x, full.prepare(audio), own)
    torch.testing.assert_close(attended, collapsed(x, collapsed.prepare(audio), None), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("context", [0, 2])
def test_a_motion_frame_hears_only_its_surroundings(context: int) -> None:
    """One layer, one motion token attended by nobody else: audio further away than the context changes nothing."""
    torch.manual_seed(0)
    attention = AudioAttention(16, 2, context)
    frames = 11
    within = (torch.arange(frames)[:, None] - torch.arange(frames)[None]).abs() <= context
    bias = torch.where(within, 0.0, -1e9)[None, None]
    x, audio = torch.randn(1, frames, 16), torch.randn(1, frames, 16)
    changed = audio.clone()
    changed[:, 5] += 1.0
    difference = (
        (attention(x, attention.prepare(audio), bias) - attention(x, attention.prepare(changed), bias))
        .abs()
        .amax(-1)[0]
    )
    heard = torch.arange(frames).sub(5).abs() <= context
    assert (difference[heard] > 1e-4).all() and (difference[~heard] < 1e-6).all()


def test_variants_compute_what_they_say() -> None:
    base = TrainConfig(model=TINY)
    names = {
        v: {n for n, _ in Model(apply_variant(base, v).model).named_parameters()}
        for v in ("msmd", "msmd-anchor", "no-cross", "vae-baseline", "diffposetalk", "unconditioned")
    }  # type: ignore[arg-type]
    has = lambda variant, part: any(part in name for name in names[variant])  # noqa: E731
    assert has("msmd", "style_decoder") and has("no-cross", "style_decoder") and not has("msmd", "anchor_map")
    assert has("msmd-anchor", "anchor_map")
    for variant in ("vae-baseline", "diffposetalk", "unconditioned"):
        assert not has(variant, "style_decoder")
    assert not has("unconditioned", "style_encoder") and not has("unconditioned", "style_map")
    assert apply_variant(base, "no-cross").cross is False and apply_variant(base, "msmd").cross is True
    assert apply_variant(base, "diffposetalk").contrastive_iterations > 0


def test_sinusoidal_embedding_tells_neighbours_apart() -> None:
    embedded = sinusoidal(torch.arange(1000), 32)
    distance = (embedded[:, None] - embedded[None]).norm(dim=-1) + torch.eye(1000)
    assert embedded.shape == (1000, 32) and distance.min() > 0.1


def test_attention_in_bfloat16_is_computed_in_float32() -> None:
    rng = torch.Generator().manual_seed(5)
    q, k, v = (torch.randn(2, 3, 40, 16, generator=rng).bfloat16() for _ in range(3))
    expected = torch.nn.functional.scaled_dot_product_attention(q.float(), k.float(), v.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = attend(q, k, v, None)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected)
