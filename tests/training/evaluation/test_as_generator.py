"""What judges a generator: MTM tells a delay, SLCC strength, the Frechet distance where motion comes from."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.media.audio import Audio
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from training.evaluation.as_generator import generator_table
from training.evaluation.distributions import REGIONS, frechet_distance, region_distances
from training.evaluation.lip_timing import mean_temporal_misalignment, speech_lip_intensity

RIG = Rig.load("arkit52")
FPS = 25.0


def syllables(seed: int, frames: int = 200) -> np.ndarray:
    """Openings in mm of a mouth that opens at irregular moments [frames]."""
    rng = np.random.default_rng(seed)
    t, out, at = np.arange(frames), np.zeros(frames), 4.0
    while at < frames:
        out += rng.uniform(3, 9) * np.exp(-(((t - at) / 2.5) ** 2))
        at += rng.uniform(6, 14)
    return out


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_delay_is_told_in_milliseconds(delay: int) -> None:
    real = syllables(0)
    found = mean_temporal_misalignment(real, np.roll(real, delay), FPS)
    assert found == pytest.approx(delay * 40, abs=12)


def test_size_is_no_delay_and_standing_still_is_no_time() -> None:
    real = syllables(1)
    assert mean_temporal_misalignment(real, 0.3 * real + 2, FPS) < 1
    assert np.isnan(mean_temporal_misalignment(real, np.full(200, 3.0), FPS))
    assert mean_temporal_misalignment(real, syllables(7), FPS) > 30  # another line


def test_lips_that_move_with_the_voice() -> None:
    rate = 16000
    loud = np.repeat([0.02, 0.3, 0.05, 0.2, 0.01, 0.4, 0.1, 0.03], rate // 2)
    noise = np.random.default_rng(0).standard_normal(len(loud)) * loud
    audio = Audio(noise.astype(np.float32), rate, rate, 1, Fraction(len(loud), rate))
    t = np.arange(100)
    size = np.repeat([0.02, 0.3, 0.05, 0.2, 0.01, 0.4, 0.1, 0.03], 13)[:100]
    with_voice, against = np.sin(t) * size, np.sin(t) / (size + 0.05)
    assert speech_lip_intensity(with_voice, audio, FPS) > 0.6
    assert speech_lip_intensity(against, audio, FPS) < 0
    assert np.isnan(speech_lip_intensity(np.zeros(100), audio, FPS))


def clip(seed: int, speed: float = 0.3, size: float = 0.1) -> Motion:
    rng = np.random.default_rng(seed)
    t = np.arange(150)[:, None] / 25
    phase = rng.uniform(0, 2 * np.pi, RIG.size)
    values = 0.3 + size * np.sin(2 * np.pi * speed * (1 + rng.uniform(0, 0.5, RIG.size)) * t + phase)
    return Motion(values.astype(np.float32), Fraction(25), RIG)


def test_motion_of_the_same_kind_is_near_and_frozen_or_hurried_motion_far() -> None:
    real, alike = [clip(n) for n in range(30)], [clip(100 + n) for n in range(30)]
    frozen = [clip(200 + n, size=0.01) for n in range(30)]
    hurried = [clip(300 + n, speed=2.0) for n in range(30)]
    near, still, fast = (region_distances(real, other, RIG) for other in (alike, frozen, hurried))
    assert set(near) == set(REGIONS)
    for region in REGIONS:
        assert near[region] < 0.5 * min(still[region], fast[region]), region


def test_a_region_where_nothing_moves_has_no_distance() -> None:
    still = [Motion(np.full((60, RIG.size), 0.2, np.float32), Fraction(25), RIG) for _ in range(3)]
    assert all(np.isnan(value) for value in region_distances(still, still, RIG).values())


def test_the_distance_of_rows_to_themselves_is_nothing() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 5))
    assert abs(frechet_distance(rows, rows)) < 1e-6
    moved = frechet_distance(rows, rows + rows.std(0))
    assert moved == pytest.approx(5.0, rel=0.01)  # one standard deviation in each of five


def test_the_table_names_every_system() -> None:
    line = {"jaw": 0.5, "jaw_mean": 0.6, "lve": 3.0, "lve_mean": 2.9, "mtm": 60.0, "slcc": 0.4, "frechet": {"jaw": 1.0}}
    text = generator_table([{"model": "", "system": "still", **line}, {"model": "m", "system": "right", **line}])
    assert "**m**" in text and "*still*" in text and "0.60" in text and "Frechet head" in text
