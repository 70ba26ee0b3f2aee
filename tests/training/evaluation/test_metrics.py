"""Metrics against slow, obvious references and against cases computed by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from msmdcli.motion.rig import Rig
from training.data.lags import lag_correlations
from training.evaluation import metrics


def random_mesh(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(7, 5, 3)), rng.normal(size=(7, 5, 3)), rng.normal(size=(5, 3))  # real, made, neutral


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


@pytest.mark.parametrize("seed", range(5))
def test_vertex_metrics_equal_slow_references(seed: int) -> None:
    real, made, neutral = random_mesh(seed)
    frames, vertices = real.shape[:2]

    total = sum(distance(real[t, v], made[t, v]) for t in range(frames) for v in range(vertices))
    assert metrics.vertex_error(real, made) == pytest.approx(total / (frames * vertices), abs=1e-9)

    worst = [max(distance(real[t, v], made[t, v]) for v in range(vertices)) for t in range(frames)]
    assert metrics.lip_vertex_error(real, made) == pytest.approx(sum(worst) / frames, abs=1e-9)

    deviations = []
    for v in range(vertices):
        dynamics = []
        for positions in (real, made):
            moved = [distance(positions[t, v], neutral[v]) for t in range(frames)]
            mean = sum(moved) / frames
            dynamics.append(math.sqrt(sum((m - mean) ** 2 for m in moved) / frames))
        deviations.append(abs(dynamics[0] - dynamics[1]))
    expected = sum(deviations) / vertices * 1e-3 / 1e-5  # mm -> m -> 1e-5 m
    assert metrics.upper_face_dynamics_deviation(real, made, neutral) == pytest.approx(expected, abs=1e-9)

    lips, made_lips = real[:, :2], made[:, :2]
    openings = [
        abs(distance(lips[t, 0], lips[t, 1]) - distance(made_lips[t, 0], made_lips[t, 1])) for t in range(frames)
    ]
    assert metrics.mouth_opening_difference(lips, made_lips) == pytest.approx(sum(openings) / frames, abs=1e-9)


def test_vertex_metrics_by_hand() -> None:
    # Two frames, two vertices; in frame 0 one vertex is off by (3, 4, 0), in frame 1 both by (0, 0, 1).
    real = np.zeros((2, 2, 3))
    made = np.array([[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])
    assert metrics.vertex_error(real, made) == (5 + 0 + 1 + 1) / 4
    assert metrics.lip_vertex_error(real, made) == (5 + 1) / 2
    # Vertex 0 moves 5 then 1 mm from rest (std 2), vertex 1 moves 0 then 1 mm (std 0.5); the real ones stand still.
    assert metrics.upper_face_dynamics_deviation(real, made, np.zeros((2, 3))) == pytest.approx((2 + 0.5) / 2 * 100)
    # The real mouth is shut; the made one is open by 5 mm, then by 0.
    assert metrics.mouth_opening_difference(real, made) == 5 / 2


def test_dynamics_deviation_does_not_let_errors_cancel() -> None:
    still, moving = np.zeros((4, 1, 3)), np.zeros((4, 1, 3))
    moving[::2, 0, 1] = 2.0  # std 1
    real, made = np.concatenate([still, moving], axis=1), np.concatenate([moving, still], axis=1)
    assert metrics.upper_face_dynamics_deviation(real, made, np.zeros((2, 3))) == pytest.approx(100.0)


def test_identical_motion_has_no_error() -> None:
    real, _, neutral = random_mesh(0)
    assert metrics.vertex_error(real, real) == metrics.lip_vertex_error(real, real) == 0
    assert metrics.upper_face_dynamics_deviation(real, real, neutral) == 0
    assert metrics.mouth_opening_difference(real[:, :2], real[:, :2]) == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.vertex_error(np.zeros((3, 4, 3)), np.zeros((4, 4, 3)))


@pytest.mark.parametrize("late", [-5, -1, 0, 1, 3, 8])
def test_sync_finds_the_lag(late: int) -> None:
    curve = np.random.default_rng(1).normal(size=120).cumsum()
    curve = curve - np.linspace(curve[0], curve[-1], len(curve))
    real = curve[20:100]
    made = 0.5 * curve[20 - late : 100 - late] + 3  # the same curve, `late` frames later
    found = metrics.sync(real, made)
    assert found.lag == late
    assert found.best == pytest.approx(1.0)
    assert found.at_zero == pytest.approx(np.corrcoef(real, made)[0, 1])


def test_lag_correlations_equal_a_slow_reference() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=30), rng.normal(size=30)
    for lag, value in zip(range(-4, 5), lag_correlations(first, second, 4), strict=True):
        pairs = [(first[t], second[t + lag]) for t in range(30) if 0 <= t + lag < 30]
        assert value == pytest.approx(np.corrcoef(*np.array(pairs).T)[0, 1])


def test_what_does_not_move_has_no_sync() -> None:
    assert math.isnan(metrics.sync(np.sin(np.arange(50.0)), np.full(50, 0.3)).at_zero)
    assert math.isnan(metrics.sync(np.arange(5.0), np.arange(5.0)).best)  # too short


def test_amplitude_ratios() -> None:
    rig = Rig.load("arkit52")
    real = np.zeros((4, rig.size))
    real[::2, rig.index("jawOpen")] = 0.4  # std 0.2
    real[::2, rig.index("browInnerUp")] = 0.2  # std 0.1
    made = real.copy()
    made[:, rig.index("jawOpen")] *= 0.5
    ratios = metrics.amplitude_ratios(real, made, rig)
    assert ratios["jaw"] == ratios["jawOpen"] == pytest.approx(0.5)
    made[::2, rig.index("jawLeft")] = 0.4  # what a tracker does and no sound tells
    assert metrics.amplitude_ratios(real, made, rig)["jawOpen"] == pytest.approx(0.5)
    made[:, rig.index("jawLeft")] = 0.0
    assert ratios["brows"] == pytest.approx(1.0)
    assert ratios["face"] == pytest.approx((0.1 + 0.1) / (0.2 + 0.1))
    assert math.isnan(ratios["tongue"])


def test_expression_agreement_with_and_without_origin() -> None:
    origin = np.array([5.0, 1.0, 0.0])
    a, b = origin + [0.1, 0.0, -0.1], origin + [-0.1, 0.0, 0.1]
    assert metrics.expression_agreement(a, b) > 0.99
    assert metrics.expression_agreement(a, b, origin) == pytest.approx(-1.0)


def test_head_error_in_degrees() -> None:
    real = np.zeros((2, 3))
    made = np.radians([[3.0, 0.0, 0.0], [0.0, -6.0, 3.0]])
    assert metrics.head_error(real, made) == pytest.approx(12 / 6)


def test_movement_in_silence() -> None:
    rate, fps = 16000, Fraction(25)
    samples = np.zeros(2 * rate, np.float32)
    samples[:rate] = np.sin(np.arange(rate) * 0.3)  # one second of tone, one of silence
    silent = metrics.silent_frames(samples, rate, fps, 50)
    assert not silent[: 25 + metrics.SILENCE_MARGIN].any()
    assert silent[25 + metrics.SILENCE_MARGIN + 1 :].all()
    opening = np.where(np.arange(50) < 25, 9.0, 0.0)
    opening[40] = 1.0  # opens by 1 mm and closes again within the silence
    steps = silent.sum() - 1
    assert metrics.movement_in_silence(opening, silent, fps) == pytest.approx(2.0 / steps * 25)
    assert math.isnan(metrics.movement_in_silence(opening, np.zeros(50, bool), fps))


def test_all_silence_and_no_silence() -> None:
    assert metrics.silent_frames(np.zeros(16000, np.float32), 16000, Fraction(25), 25).all()
    noise = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1
    assert not metrics.silent_frames(noise, 16000, Fraction(25), 25).any()


def test_the_first_sound() -> None:
    rate, fps = 16000, Fraction(25)
    samples = np.random.default_rng(0).normal(0, 0.003, 2 * rate).astype(np.float32)  # 35 dB below what follows
    samples[rate:] += np.sin(np.arange(rate) * 0.3)
    assert metrics.first_sound(samples, rate, fps, 50) == 25
    assert metrics.first_sound(np.zeros(rate, np.float32), rate, fps, 25) == 0
