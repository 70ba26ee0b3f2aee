"""The Gaussian process beneath the network: what it draws, and that it is the best linear denoiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from msmdcli.model.samplers import Schedule, make_sampler
from tests.training.network.test_model import TINY, predict, some_style, tiny, window
from training.network.model import Model
from training.network.prior import LEAST, MotionPrior

N, P, SLOW = 24, 5, 6.0  # frames, frames before, frames until the correlation is 1 / e
LAGS = np.exp(-np.arange(P + N) / SLOW)[None]


@pytest.fixture(scope="module")
def prior() -> MotionPrior:
    made = MotionPrior(1, N, P)
    made.fit(LAGS)
    return made


def test_a_channel_that_never_moves_stays_where_it_is() -> None:
    still = MotionPrior(1, N, P)
    still.fit(np.ones((1, P + N)))
    made = sample(still, "ddpm", 50, rows=50, follows=0.0, previous=torch.zeros(50, P, 1))
    assert np.isfinite(made).all() and np.abs(np.diff(made, axis=1)).max() < 0.05


def denoised(
    prior: MotionPrior,
    x: Tensor,
    previous: Tensor,
    follows: float,
    alpha: float,
    spread: float,
    onto: float | None = None,
) -> Tensor:
    """x0_hat [B, N, 1] without anything from a network."""
    B = len(x)
    later = torch.full((B,), follows)
    sigma = torch.full((B,), (1 - alpha**2) ** 0.5)
    there = None if onto is None else (torch.full((B,), onto), torch.full((B,), (1 - onto**2) ** 0.5))
    nothing = torch.zeros_like(x)
    expected = prior.expected(previous, later)
    size = torch.full((B, 1), spread)
    return prior.denoise(x, nothing, nothing, expected, size, later, torch.full((B,), alpha), sigma, there)


@pytest.mark.parametrize("alpha", [0.1, 0.7, 0.99])
def test_it_is_the_linear_regression_from_noisy_to_clean(prior: MotionPrior, alpha: float) -> None:
    """Against the textbook formula, K alpha (alpha^2 K + sigma^2 I)^-1, in double precision."""
    spread, apart = 0.7, np.abs(np.arange(N)[:, None] - np.arange(N))
    covariance = spread**2 * np.exp(-apart / SLOW)
    x = torch.randn(3, N, 1, generator=torch.Generator().manual_seed(0))
    gain = alpha * covariance @ np.linalg.inv(alpha**2 * covariance + (1 - alpha**2) * np.eye(N))
    found = denoised(prior, x, torch.zeros(3, P, 1), 0.0, alpha, spread)
    np.testing.assert_allclose(found[..., 0].numpy(), x[..., 0].numpy() @ gain.T, atol=2e-4)


@pytest.mark.parametrize(
    ("sampler", "steps", "least"),
    [("ddpm", 200, 0.9), ("dpmpp-2m", 20, 0.8), ("ddim", 1, 0.95), ("ddim", 50, 0.95)],
)
def test_with_a_silent_network_samples_have_the_spread_and_pace_of_the_data(
    prior: MotionPrior, sampler: str, steps: int, least: float
) -> None:
    made = sample(prior, sampler, steps, rows=400, follows=0.0, previous=torch.zeros(400, P, 1))
    assert least < made.std() < 1.08
    pace = np.diff(made, axis=1).std() / made.std()
    assert pace == pytest.approx((2 * (1 - np.exp(-1 / SLOW))) ** 0.5, rel=0.1)


def test_steps_that_go_on_exactly_end_where_many_small_ones_do(prior: MotionPrior) -> None:
    """The probability flow of a Gaussian is known, so the number of steps does not matter."""
    ways = [sample(prior, "ddim", steps, rows=5, follows=1.0, previous=torch.ones(5, P, 1)) for steps in (1, 3, 40)]
    np.testing.assert_allclose(ways[0], ways[2], atol=0.01)
    np.testing.assert_allclose(ways[1], ways[2], atol=0.01)


def test_a_window_goes_on_from_the_frames_before_it(prior: MotionPrior) -> None:
    previous = torch.linspace(0.0, 2.0, P)[None, :, None].repeat(400, 1, 1)
    made = sample(prior, "ddpm", 200, rows=400, follows=1.0, previous=previous)
    step = made[:, 0] - 2.0
    assert step.std() < 1.15 * np.diff(made, axis=1).std()  # no larger than any other step
    assert made[:, 0].mean() == pytest.approx(2.0 * np.exp(-1 / SLOW), abs=0.1)
    assert abs(made[:, -1].mean()) < 0.25  # and comes back to the resting pose
    np.testing.assert_allclose(made[:, -1].std(), 1.0, atol=0.15)


def sample(prior: MotionPrior, sampler: str, steps: int, rows: int, follows: float, previous: Tensor) -> np.ndarray:
    schedule = Schedule.cosine(1000)
    solver = make_sampler(sampler, schedule, steps)
    rng = np.random.default_rng(0)
    draw = lambda: rng.standard_normal((rows, N, 1)).astype(np.float32)  # noqa: E731
    x = draw()
    for i, t in enumerate(solver.timesteps):
        alpha = float(schedule.alpha[t])
        following = solver.following(i)
        onto = 1.0 if following < 0 else float(schedule.alpha[following])
        x0 = denoised(prior, torch.from_numpy(x), previous, follows, alpha, 1.0, onto).numpy()
        noise = draw() if solver.stochastic and i < len(solver.timesteps) - 1 else None
        x = solver.step(x0, i, x, noise)
    return x[..., 0]


def with_prior(**changes: object) -> Model:
    model = tiny(**({"style_anchor": True, "prior": True} | changes))
    channels, before = len(model.denoiser.sampled), TINY.previous
    model.denoiser.prior.fit(np.exp(-np.arange(before + TINY.window) / 4.0)[None].repeat(channels, 0))
    return model


def test_what_the_network_adds_fades_with_the_noise() -> None:
    """At step 0 the window that is shown is taken for what it is."""
    model, w, style = with_prior(), window(), some_style()
    style.anchor[:, TINY.motion_dim :] = 1.0
    near, _, _ = predict(model, w, style, t=0)
    assert (near - w["x"]).abs().max() < 0.2
    far, _, _ = predict(model, w, style, t=999)
    assert (far - w["x"]).abs().max() > 1.0


def test_a_reference_that_moves_more_makes_more_movement() -> None:
    model, w, style = with_prior(), window(), some_style()
    for parameter in model.denoiser.head.parameters():
        torch.nn.init.zeros_(parameter)
    sizes = []
    for deviation in (0.5, 1.0):
        style.anchor[:, TINY.motion_dim :] = deviation
        condition = model.denoiser.condition(
            w["audio"], w["previous"], torch.ones(2), style, w["audio_null"], w["style_null"]
        )
        assert condition.spread is not None
        sizes.append(condition.spread)
    torch.testing.assert_close(sizes[1], torch.full_like(sizes[1], (1 + LEAST**2) ** 0.5))
    assert (sizes[0] < 0.6).all()


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model, w, style = with_prior(), window(rows=5), some_style(rows=5)
    whole, _, _ = predict(model, w, style)
    alone = {name: value[2:3] for name, value in w.items()}
    single, _, _ = predict(model, alone, style.select(torch.tensor([2])))
    torch.testing.assert_close(whole[2:3], single, rtol=0, atol=1e-6)


def test_it_needs_the_anchor() -> None:
    with pytest.raises(ValueError, match="anchor"):
        tiny(prior=True)
