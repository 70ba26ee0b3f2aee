from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.motion.health import Health, measure_health
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
FPS = Fraction(25)
WINDOW = 100


def still(seconds: float = 8) -> np.ndarray:
    return np.full((int(seconds * 25), RIG.size), 0.2, np.float32)


def test_a_mouth_that_moves_in_silence() -> None:
    values = still()
    time = np.arange(200) / 25
    jaw = RIG.index("jawOpen")
    values[:, jaw] = 0.3 + 0.2 * np.sin(2 * np.pi * 4 * time)
    silent = (np.arange(200) >= 75) & (np.arange(200) < 150)
    assert measure_health(values, FPS, RIG, WINDOW, silent).mouth_in_silence == pytest.approx(1, abs=0.1)
    values[75:150, jaw] = 0.3
    quiet = measure_health(values, FPS, RIG, WINDOW, silent)
    assert quiet.mouth_in_silence == pytest.approx(0, abs=0.02)
    assert measure_health(values, FPS, RIG, WINDOW).mouth_in_silence is None


def test_jitter_counts_shaking_and_not_movement() -> None:
    values = still()
    values += (0.2 * np.sin(2 * np.pi * np.arange(200) / 25))[:, None].astype(np.float32)  # 1 Hz
    smooth = measure_health(values, FPS, RIG, WINDOW)
    shaking = values + np.random.default_rng(0).normal(0, 0.05, values.shape).astype(np.float32)
    assert smooth.jitter is not None and smooth.jitter < 0.01
    assert "the face jitters" in measure_health(shaking, FPS, RIG, WINDOW).concerns
    assert "jitters" not in str(smooth.concerns)


def test_blinks_are_counted() -> None:
    values = still(30)
    lids = [RIG.index("eyeBlinkLeft"), RIG.index("eyeBlinkRight")]
    for start in range(50, 700, 75):  # 9 times
        values[start : start + 4, lids] = [[0.4], [0.9], [0.6], [0.4]]
    values[20:24, lids[0]] = 1.0  # a wink is no blink
    assert measure_health(values, FPS, RIG, WINDOW).blinks_per_minute == pytest.approx(18)
    assert "it never blinks" in measure_health(still(30), FPS, RIG, WINDOW).concerns
    assert "it never blinks" not in measure_health(still(5), FPS, RIG, WINDOW).concerns


def test_leaving_the_ranges() -> None:
    values = still()
    values[:, RIG.index("mouthSmileLeft")] = 1.5
    health = measure_health(values, FPS, RIG, WINDOW)
    assert health.outside_most == pytest.approx(0.5) and health.outside_share == pytest.approx(1 / 55)
    assert health.score >= 2 and "a channel leaves its range by far" in health.concerns


def test_what_left_the_ranges_is_measured_before_it_is_held_there() -> None:
    values = still()
    values[:, RIG.index("mouthSmileLeft")] = 1.5
    delivered = np.clip(values, RIG.lower, RIG.upper)
    assert measure_health(delivered, FPS, RIG, WINDOW).outside_most == 0
    assert measure_health(delivered, FPS, RIG, WINDOW, unclipped=values).outside_most == pytest.approx(0.5)


def test_a_frozen_face_comes_before_all_else() -> None:
    health = measure_health(still(30), FPS, RIG, WINDOW)
    first = ["the lips never close", "the head is frozen", "the brows are frozen", "it never blinks"]
    assert health.concerns == first
    assert health.score == pytest.approx(5)
    asked = measure_health(still(30), FPS, RIG, WINDOW, not_judged=("head_speed", "brow_speed"))
    assert asked.concerns == ["the lips never close", "it never blinks"]
    assert not measure_health(still(3), FPS, RIG, WINDOW).concerns


def test_lips_that_meet_once_close() -> None:
    values = still(6)
    values[70, RIG.index("jawOpen")] = 0
    for name in ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"):
        values[70, RIG.index(name)] = 0
    assert "the lips never close" not in measure_health(values, FPS, RIG, WINDOW).concerns
    silent = np.ones(len(values), bool)
    assert measure_health(still(6), FPS, RIG, WINDOW, silent).lips_apart is None


def test_a_head_that_moves_a_little_lives() -> None:
    time = np.arange(200) / 25
    values = still()
    values[:, list(RIG.rotation_indices or ())] = np.radians(2 * np.sin(2 * np.pi * 0.3 * time))[:, None]
    values[:, RIG.indices("brows")] = (0.2 + 0.05 * np.sin(2 * np.pi * 0.5 * time))[:, None]
    concerns = measure_health(values, FPS, RIG, WINDOW).concerns
    assert not any("frozen" in words for words in concerns)
    trembling = still()
    trembling[:, list(RIG.rotation_indices or ())] += np.radians(0.2) * (-1.0) ** np.arange(200)[:, None]
    assert "the head is frozen" in measure_health(trembling, FPS, RIG, WINDOW).concerns


def test_a_jump_at_a_seam() -> None:
    values = still() + np.cumsum(np.full((200, 1), 1e-3, np.float32), axis=0)
    assert measure_health(values, FPS, RIG, WINDOW).seam_jump == pytest.approx(1, abs=0.1)
    values[100:] += 0.05
    health = measure_health(values, FPS, RIG, WINDOW)
    assert health.seam_jump == pytest.approx(51, rel=0.1) and "windows join" in str(health.concerns)
    assert measure_health(still(2), FPS, RIG, WINDOW).seam_jump is None


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_lines_can_be_measured(frames: int) -> None:
    health = measure_health(still()[:frames], FPS, RIG, WINDOW, np.ones(frames, bool))
    assert np.isfinite(health.score) and Health.from_dict(health.as_dict()) == health
