"""A guard against getting slower: ratios of things measured in turns in one process, medians, with generous limits.

Seconds depend on the machine and on what else it does; these ratios hardly do. Time is this thread's own computing
time, so a busy machine does not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.audio import Audio
from msmdcli.bundle import Bundle
from msmdcli.engine import Engine, Job, Sampling, StyleEntry
from msmdcli.feature_store import FeatureStore
from msmdcli.paths import shipped_bundle

TURNS = 5


def ratio(ours: Callable[[], object], other: Callable[[], object]) -> float:
    """The median over turns of what `ours` costs against `other`; the first turn warms up."""
    found = []
    for _ in range(TURNS + 1):
        spent = []
        for call in (ours, other):
            begin = time.thread_time()
            call()
            spent.append(time.thread_time() - begin)
        found.append(spent[0] / max(spent[1], 1e-9))
    return statistics.median(found[1:])


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not shipped_bundle().is_dir():
        pytest.skip("the starter bundle is not here")
    return Bundle.load(shipped_bundle())


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Iterator[Engine]:
    yield Engine(bundle, "cpu", 1)


@pytest.fixture(scope="module")
def sound() -> Audio:
    samples = np.random.default_rng(0).standard_normal(4 * 16000, dtype=np.float32) * np.float32(0.05)
    return Audio(samples, 16000, 16000, 1, Fraction(4))


def solve(engine: Engine, sound: Audio) -> Callable[[], object]:
    features = engine.encode_audio(sound)
    return lambda: list(engine.animate([Job("x", features, [StyleEntry(None)])]))


def test_rows_together_cost_less_than_alone(engine: Engine) -> None:
    together, alone = engine.step_timer(8), engine.step_timer(1)
    assert ratio(together, lambda: [alone() for _ in range(8)]) < 1.1


def test_half_the_steps_cost_about_half(bundle: Bundle, sound: Audio) -> None:
    two, four = (solve(Engine(bundle, "cpu", 1, sampling=Sampling("dpmpp-2m", n)), sound) for n in (2, 4))
    assert ratio(two, four) < 0.75


def test_a_branch_without_weight_costs_nothing(bundle: Bundle, sound: Audio) -> None:
    without, with_audio = (
        solve(Engine(bundle, "cpu", 1, sampling=Sampling(guidance_audio=scale)), sound) for scale in (0.0, 1.0)
    )
    assert ratio(without, with_audio) < 0.75


def test_conditions_once_per_window_are_cheaper_than_in_every_step(engine: Engine, sound: Audio) -> None:
    """The step with its conditions made beside it, as they would be without the split into two graphs."""
    step = engine.step_timer(1)
    (layer,) = engine._noise_line().layers
    condition = engine._condition

    def both() -> None:
        condition([layer], layer.rows, np.zeros(1, np.int64))
        step()

    assert ratio(step, both) < 0.95


def test_features_kept_are_cheaper_than_heard_again(engine: Engine, sound: Audio, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 10**8)
    engine.hear(sound, store)
    assert ratio(lambda: engine.hear(sound, store), lambda: engine.encode_audio(sound)) < 0.4
