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


@pytest.mark.parametrize("anchor", [False, True])
def test_noise_and_step_do_not_reach_the_mouth_but_the_rest(anchor: bool) -> None:
    model, w, style = mouthed(style_anchor=anchor), window(), some_style()
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


def test_a_null_sound_is_no_sound() -> None:
    model, w, style = mouthed(), window(), some_style()
    w["audio_null"] = torch.ones(2)
    before, _, _ = predict(model, w, style)
    w["audio"] = w["audio"] + 3.0
    torch.testing.assert_close(before, predict(model, w, style)[0], rtol=0, atol=0)


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
