"""The mouth's own path: it decides its channels, and nothing of the diffusion reaches them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.training.network.test_model import TINY, predict, some_style, tiny, window
from training.network.losses import lip_gap_loss
from training.network.model import Model, condition_names

MOUTH = (1, 3)
REST = [c for c in range(TINY.motion_dim) if c not in MOUTH]


def mouthed(**changes: object) -> Model:
    return tiny(**({"mouth_width": 8, "mouth_channels": MOUTH} | changes))


@pytest.mark.parametrize("heard", [0, 2])
@pytest.mark.parametrize("anchor", [False, True])
def test_noise_and_step_do_not_reach_the_mouth_but_the_rest(anchor: bool, heard: int) -> None:
    model, w, style = mouthed(style_anchor=anchor, mouth_heard=heard), window(), some_style()
    first, _, condition = predict(model, w, style, t=900)
    w["x"] = torch.randn(w["x"].shape)
    second, _, _ = predict(model, w, style, t=20)
    torch.testing.assert_close(first[..., list(MOUTH)], second[..., list(MOUTH)], rtol=0, atol=0)
    assert (first[..., REST] - second[..., REST]).abs().max() > 1e-3
    assert condition.mouth is not None and (condition.mouth[..., REST] == 0).all()


def test_the_rest_of_the_face_sees_the_finished_mouth() -> None:
    model, w, style = mouthed(), window(), some_style()
    before, _, _ = predict(model, w, style)
    with torch.no_grad():
        model.denoiser.mouth_path.out.bias.add_(1.0)
    after, _, _ = predict(model, w, style)
    assert (before[..., REST] - after[..., REST]).abs().max() > 1e-3


def test_a_frame_s_mouth_hears_that_frame_and_the_style() -> None:
    model, w, style = mouthed(), window(), some_style()
    before, _, _ = predict(model, w, style)
    w["audio"] = w["audio"].clone()
    w["audio"][:, TINY.previous + 4] += 1.0
    moved = (predict(model, w, style)[0] - before)[..., list(MOUTH)].abs().amax((0, 2))  # [N]
    assert moved[4] > 1e-3 and moved[:4].max() == moved[5:].max() == 0
    other, _, _ = predict(model, w, some_style(seed=9))
    assert (other - before)[..., list(MOUTH)].abs().max() > 1e-3


@pytest.mark.parametrize("heard", [0, 2])
def test_a_null_sound_is_no_sound(heard: int) -> None:
    model, w, style = mouthed(mouth_heard=heard), window(), some_style()
    w["audio_null"] = torch.ones(2)
    before, _, _ = predict(model, w, style)
    w["audio"] = w["audio"] + 3.0
    torch.testing.assert_close(before, predict(model, w, style)[0], rtol=0, atol=0)


def test_an_ear_s_mouth_is_carried_on_in_a_straight_line_that_the_style_makes_larger_or_smaller() -> None:
    path = mouthed(mouth_heard=2).denoiser.mouth_path
    torch.nn.init.zeros_(path.out.weight)
    torch.nn.init.zeros_(path.out.bias)
    sound, manner, heard = torch.randn(2, 5, TINY.audio_dim), torch.randn(2, TINY.style_dim), torch.zeros(2, 1, 1)
    line = path(sound, manner, heard)
    torch.testing.assert_close(path(2 * sound, manner, heard), 2 * line)
    unheard = sound.clone()
    unheard[..., 2:] += 1.0
    torch.testing.assert_close(path(unheard, manner, heard), line)
    other = path(sound, torch.randn(2, TINY.style_dim), heard)
    ratio = other / line  # one gain per channel and style, the same in every frame
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-4, atol=1e-4)
    assert (ratio - 1).abs().max() > 1e-2 and (ratio > 0).all()


def test_in_training_the_line_stands_by_itself_now_and_then() -> None:
    path = mouthed(mouth_heard=2).denoiser.mouth_path
    sound, manner = torch.randn(1, 5, TINY.audio_dim).expand(60, -1, -1), torch.randn(1, TINY.style_dim).expand(60, -1)
    heard = torch.zeros(60, 1, 1)
    whole = path(sound, manner, heard)[0]
    torch.manual_seed(3)
    made = path.train()(sound, manner, heard)
    alone = sum(not torch.allclose(row, whole, atol=1e-5) for row in made)
    assert 10 < alone < 50 and len(made.unique(dim=0).round(decimals=4).unique(dim=0)) == 2


def test_only_a_model_with_a_mouth_path_has_its_input() -> None:
    assert "mouth" in condition_names(mouthed().config) and "mouth" not in condition_names(TINY)
    assert predict(tiny(), window(), some_style())[2].mouth is None
    with pytest.raises(ValueError, match="unconditioned"):
        dataclasses.replace(TINY, style="none", basis_size=0, mouth_width=8)


def test_closed_lips_count_most() -> None:
    truth, mask, rest = torch.tensor([[0.0, 9.0]]), torch.ones(1, 2), torch.tensor(0.0)
    closed_wrong = lip_gap_loss(truth + torch.tensor([[1.0, 0.0]]), truth, rest, mask)
    open_wrong = lip_gap_loss(truth + torch.tensor([[0.0, 1.0]]), truth, rest, mask)
    assert closed_wrong > 5 * open_wrong > 0
    assert lip_gap_loss(truth, truth, rest, mask) == 0
    masked = lip_gap_loss(truth + torch.tensor([[1.0, 0.0]]), truth, rest, torch.tensor([[0.0, 1.0]]))
    assert masked == 0
