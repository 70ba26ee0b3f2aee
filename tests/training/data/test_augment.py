"""Style augmentation: random, bounded, and the same for target and reference."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.motion.rig import Rig
from training.data.augment import PROTOTYPES, AugmentConfig, Manners, closed_lips, expression_pose, mirror_map

RIG = Rig.load("arkit52")


def walk(frames: int = 80) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(0.2 + 0.05 * rng.standard_normal((frames, RIG.size)).cumsum(0) / 4, RIG.lower, RIG.upper).astype(
        np.float32
    )


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_every_prototype_names_real_channels() -> None:
    for emotion, strengths in PROTOTYPES.items():
        for name in strengths:
            assert any(c in RIG.channels for c in (name, f"{name}Left", f"{name}Right")), (emotion, name)
        pose = expression_pose(RIG, strengths)
        assert 0 < pose.max() <= 1 and (pose >= 0).all()


def test_mirroring_twice_is_nothing() -> None:
    swap, sign = mirror_map(RIG)
    motion = walk()
    once = motion[:, swap] * sign
    np.testing.assert_array_equal(once[:, swap] * sign, motion)
    assert once[0, RIG.index("mouthSmileLeft")] == motion[0, RIG.index("mouthSmileRight")]
    assert once[0, RIG.index("headYaw")] == -motion[0, RIG.index("headYaw")]
    assert once[0, RIG.index("headPitch")] == motion[0, RIG.index("headPitch")]


def test_off_means_off() -> None:
    motion = walk()
    np.testing.assert_array_equal(Manners(RIG, AugmentConfig(probability=0.0)).apply(motion, rng(1)), motion)


@pytest.mark.parametrize("seed", range(20))
def test_a_manner_stays_in_range_and_repeats(seed: int) -> None:
    manners = Manners(RIG, AugmentConfig(probability=1.0))
    changed = manners.apply(walk(), rng(seed))
    assert (changed >= RIG.lower - 1e-6).all() and (changed <= RIG.upper + 1e-6).all() and changed.dtype == np.float32
    np.testing.assert_array_equal(changed, manners.apply(walk(), rng(seed)))
    assert np.abs(changed - walk()).max() > 0.05


def test_a_manner_is_constant_over_the_sample() -> None:
    """Both halves of a still face stay (nearly) still in the new manner: what differs between windows is performance,
    not manner."""
    still = np.repeat(walk()[:1], 200, axis=0)
    manners = Manners(RIG, AugmentConfig(probability=1.0, mirror=0.0, expression_motion=0.0))
    changed = manners.apply(still, rng(3))
    assert np.abs(changed - changed[:1]).max() < 1e-6


def test_expressions_yield_to_closed_lips() -> None:
    """A talking mouth that closes closes in every manner: what an expression adds to the openers is away there."""
    motion = np.zeros((100, RIG.size), np.float32)
    jaw, upper = RIG.index("jawOpen"), RIG.index("mouthUpperUpLeft")
    motion[:, jaw] = 0.15 * (1 + np.sin(np.arange(100) / 3))
    closed = closed_lips(motion, RIG)
    assert closed[motion[:, jaw] < 0.003].min() > 0.9 and closed[motion[:, jaw] > 0.1].max() < 0.1
    manners = Manners(RIG, AugmentConfig(probability=1.0, rest=0.0, mirror=0.0, gain=0.0))
    opened = 0
    for seed in range(40):
        made = manners.apply(motion, rng(seed))
        shut, wide = made[closed > 0.99, upper], made[closed < 0.01, upper]
        assert shut.max(initial=0.0) < 0.01
        opened += wide.mean() > 0.05
    assert opened > 3  # the expression is there when the mouth is open
