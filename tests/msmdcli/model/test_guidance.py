"""Guidance in an interval of the noise and rescaled, and what `--quality` stands for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from msmdcli.cli import app
from msmdcli.errors import UsageError
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.guidance import is_guided, parse_interval, rescaled
from msmdcli.model.lines import Job
from msmdcli.model.sampling import QUALITIES, Sampling, apply_quality
from msmdcli.model.style_codes import StyleCode, StyleEntry

FEATURES = np.random.default_rng(0).standard_normal((50, 12), dtype=np.float32)
STYLE = StyleCode.of(
    np.random.default_rng(1).standard_normal(8, dtype=np.float32),
    np.random.default_rng(2).standard_normal(110, dtype=np.float32) * np.float32(0.25),
)


def solve(bundle: Bundle, sampling: Sampling) -> tuple[np.ndarray, list[int]]:
    """A line's motion, and the rows of each call of the denoiser."""
    engine = Engine(bundle, "cpu", 1, sampling=sampling)
    run, rows = engine.graphs.denoiser.run, []

    def counted(feeds: dict[str, np.ndarray], outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
        rows.append(len(feeds["x"]))
        return run(feeds, outputs)

    engine.graphs.denoiser.run = counted  # type: ignore[method-assign,assignment]
    ((_, motion),) = engine.animate([Job("line", FEATURES[:18], [StyleEntry(STYLE)])], clip=False)
    return motion.values, rows


def test_outside_the_interval_no_branch_is_computed(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    _, everywhere = solve(bundle, Sampling("ddim", 5, 1.0, 1.0))
    _, middle = solve(bundle, Sampling("ddim", 5, 1.0, 1.0, (0.3, 0.7)))
    assert everywhere == [3] * 5 and middle == [1, 1, 3, 3, 1]  # noise of 1, 0.8, 0.6, 0.4, 0.2
    nowhere, rows = solve(bundle, Sampling("ddim", 5, 1.0, 1.0, (0.0, 0.0)))
    plain, _ = solve(bundle, Sampling("ddim", 5))
    assert rows == [1] * 5
    np.testing.assert_array_equal(nowhere, plain)


def test_guidance_of_zero_costs_nothing(stand_in_bundle: Path) -> None:
    assert solve(Bundle.load(stand_in_bundle), Sampling())[1] == [1] * 4
    assert solve(Bundle.load(stand_in_bundle), Sampling(guidance_audio=0.5))[1] == [2] * 4


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_a_line_has_its_own_guidance_beside_others(stand_in_bundle: Path, rescale: float) -> None:
    """Bit for bit as in a batch with that guidance for all."""
    bundle, entries = Bundle.load(stand_in_bundle), [StyleEntry(STYLE)]
    usual = Sampling(guidance_audio=0.25, guidance_rescale=rescale)
    scales = {"off": (0.0, 0.0), "sound": (1.0, 0.0), "both": (0.5, 2.0), "usual": None}
    own = {
        name: replace(usual, guidance_audio=scale[0], guidance_style=scale[1]) if scale else usual
        for name, scale in scales.items()
    }
    engine = Engine(bundle, "cpu", 1, sampling=usual)
    jobs = [
        Job(name, FEATURES, entries, sampling=own[name].resolve(bundle) if scale else None)
        for name, scale in scales.items()
    ]
    together = {job.id: motion.values for job, motion in engine.animate(jobs, clip=False)}
    for name in scales:
        alone = Engine(bundle, "cpu", 1, sampling=own[name])
        ((_, motion),) = alone.animate([Job(name, FEATURES, entries)], clip=False)
        np.testing.assert_array_equal(together[name], motion.values)


def test_rescaled_motion_has_the_spread_of_the_unguided(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)

    def spread(sampling: Sampling) -> float:
        values = bundle.normalisation.forward(solve(bundle, sampling)[0])
        return float(np.sqrt(np.square(values - values.mean(axis=0)).mean()))

    plain, guided = spread(Sampling("ddim", 1)), spread(Sampling("ddim", 1, 1.0, 1.0))
    assert guided > 1.2 * plain
    assert spread(Sampling("ddim", 1, 1.0, 1.0, guidance_rescale=1.0)) == pytest.approx(
        plain, rel=0.01
    )  # but for the channel that never moves
    assert plain < spread(Sampling("ddim", 1, 1.0, 1.0, guidance_rescale=0.5)) < guided


def test_rescaling_keeps_the_resting_pose_and_ignores_padding() -> None:
    rng = np.random.default_rng(0)
    guided, plain = (rng.standard_normal((20, 3)).astype(np.float32) for _ in range(2))
    guided[12:] = 1e6
    found = rescaled(guided, plain, 12, 1.0)
    np.testing.assert_allclose(found[:12].mean(axis=0), guided[:12].mean(axis=0), atol=1e-5)
    still = np.ones((20, 3), np.float32)
    np.testing.assert_array_equal(rescaled(still, plain, 12, 1.0), still)
    np.testing.assert_allclose(found[:12].std(axis=0), plain[:12].std(axis=0), rtol=1e-4)  # channel by channel


def test_intervals_as_they_are_typed() -> None:
    assert parse_interval("0.2-0.8") == (0.2, 0.8) and is_guided((0.2, 0.8), 499, 1000)
    assert not is_guided((0.2, 0.8), 999, 1000) and not is_guided((0.2, 0.8), 0, 1000)
    for wrong in ("0.8-0.2", "0.2", "a-b", "0-2", ""):
        with pytest.raises(UsageError, match="guidance interval"):
            parse_interval(wrong)


def test_an_option_without_effect_changes_no_key() -> None:
    plain = Sampling("ddim", 5, 0.0, 0.0, (0.0, 1.0), 0.0).description()
    assert Sampling("ddim", 5, 0.0, 0.0, (0.2, 0.8), 0.7).description() == plain
    assert set(plain) == {"sampler", "steps", "guidance_audio", "guidance_style"}
    assert Sampling("ddim", 5, 1.0, 0.0, (0.2, 0.8), 0.0).description()["guidance_interval"] == (0.2, 0.8)


def test_quality_is_a_sampler_and_steps(stand_in_bundle: Path) -> None:
    bundle = Bundle.load(stand_in_bundle)
    steps = {}
    for word in QUALITIES:
        chosen = apply_quality(word, None, None)
        steps[word] = Sampling(chosen.sampler, chosen.steps).resolve(bundle).steps
    assert steps == {"draft": 1, "standard": 4}
    assert apply_quality(None, "ddim", 3).steps == 3
    with pytest.raises(UsageError, match="quality"):
        apply_quality("best", None, None)
    run = CliRunner().invoke(app, ["batch", "nothing", "--quality", "draft", "--steps", "3"])
    assert run.exit_code == 2 and "--quality chooses" in run.stderr
