"""The samplers against a distribution whose perfect denoiser is known: a Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.errors import UsageError
from msmdcli.model.samplers import SAMPLERS, Sampler, Schedule, make_sampler, spaced_timesteps

SCHEDULE = Schedule.cosine(1000)
MEAN, STD = 0.7, 0.4


def perfect_x0(x: np.ndarray, t: int) -> np.ndarray:
    """E[x_0 | x_t] for x_0 ~ N(MEAN, STD^2): what a perfectly trained network predicts."""
    alpha, sigma = SCHEDULE.alpha[t], SCHEDULE.sigma[t]
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    return (MEAN + gain * (x - alpha * MEAN)).astype(np.float32)


def solve(sampler: Sampler, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    for i, t in enumerate(sampler.timesteps):
        noise = rng.standard_normal(x.shape, dtype=np.float32) if sampler.stochastic else None
        x = sampler.step(perfect_x0(x, int(t)), i, x, noise)
    return x


def test_cosine_schedule_is_the_published_one() -> None:
    def f(t: float) -> float:
        return float(np.cos((t / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2)

    expected = [f(t + 1) / f(0) for t in range(990)]  # beta is only clipped at the very end
    np.testing.assert_allclose(SCHEDULE.abar[:990], expected, rtol=1e-9)
    assert (np.diff(SCHEDULE.abar) < 0).all() and SCHEDULE.abar[-1] > 0


def test_timesteps_are_every_step_when_all_are_asked_for() -> None:
    assert list(spaced_timesteps(999, 1000)) == list(range(999, -1, -1))
    assert list(spaced_timesteps(999, 4)) == [999, 749, 499, 249]
    for name in SAMPLERS:
        steps = make_sampler(name, SCHEDULE, 7).timesteps
        assert len(steps) == 7 and (np.diff(steps) < 0).all()


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_many_steps_give_the_distribution(name: str) -> None:
    rng = np.random.default_rng(1)
    x = solve(make_sampler(name, SCHEDULE, 250), rng.standard_normal(40_000, dtype=np.float32), rng)
    assert x.mean() == pytest.approx(MEAN, abs=0.01)
    assert x.std() == pytest.approx(STD, rel=0.03)


@pytest.mark.parametrize("name", ["ddim", "dpmpp-2m"])
def test_deterministic_samplers_follow_the_flow(name: str) -> None:
    """The probability flow of a Gaussian carries a quantile to the same quantile; dpmpp-2m needs fewer steps for it."""
    quantiles = np.linspace(-2, 2, 9, dtype=np.float32)
    exact = MEAN + STD * quantiles

    def error(steps: int) -> float:
        x = solve(make_sampler(name, SCHEDULE, steps), quantiles, np.random.default_rng(0))
        return float(np.abs(x - exact).max())

    assert error(400) < 0.02
    assert error(40) < error(5)


def test_dpmpp_is_more_accurate_than_ddim_at_the_same_cost() -> None:
    quantiles = np.linspace(-2, 2, 9, dtype=np.float32)
    exact = MEAN + STD * quantiles

    def error(name: str) -> float:
        x = solve(make_sampler(name, SCHEDULE, 20), quantiles, np.random.default_rng(0))
        return float(np.abs(x - exact).max())

    assert error("dpmpp-2m") < error("ddim")


@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_last_step_returns_the_prediction(name: str, steps: int) -> None:
    sampler = make_sampler(name, SCHEDULE, steps)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 5, 3), dtype=np.float32)
    for i in range(steps):
        x0 = rng.standard_normal(x.shape, dtype=np.float32)
        x = sampler.step(x0, i, x, rng.standard_normal(x.shape, dtype=np.float32))
        assert x.dtype == np.float32
    np.testing.assert_array_equal(x, x0)


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_sample_does_not_depend_on_its_neighbours(name: str) -> None:
    rng = np.random.default_rng(5)
    x, x0, noise = (rng.standard_normal((7, 13, 5), dtype=np.float32) for _ in range(3))
    together, alone = make_sampler(name, SCHEDULE, 6), make_sampler(name, SCHEDULE, 6)
    a, b = x, x[3:4]
    for i in range(6):
        a, b = together.step(x0, i, a, noise), alone.step(x0[3:4], i, b, noise[3:4])
        np.testing.assert_array_equal(a[3:4], b)


def test_ddpm_with_all_steps_is_the_textbook_posterior() -> None:
    sampler = make_sampler("ddpm", SCHEDULE, 1000)
    beta = 1 - SCHEDULE.abar[1:] / SCHEDULE.abar[:-1]
    rng = np.random.default_rng(2)
    x, x0, noise = (rng.standard_normal(11, dtype=np.float32) for _ in range(3))
    for t in (999, 500, 1):
        abar, before, b = SCHEDULE.abar[t], SCHEDULE.abar[t - 1], beta[t - 1]
        mean = (np.sqrt(before) * b * x0 + np.sqrt(1 - b) * (1 - before) * x) / (1 - abar)
        expected = mean + np.sqrt((1 - before) / (1 - abar) * b) * noise
        np.testing.assert_allclose(sampler.step(x0, 999 - t, x, noise), expected, rtol=1e-4, atol=1e-6)


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(UsageError, match="euler") as error:
        make_sampler("euler", SCHEDULE, 4)
    assert "dpmpp-2m" in error.value.hint
    for steps in (0, 1001):
        with pytest.raises(UsageError):
            make_sampler("ddim", SCHEDULE, steps)
