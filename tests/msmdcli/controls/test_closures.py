"""Lips meet where a closure is heard, in any pose, and nowhere else."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.controls.closures import (
    APART,
    ATTACK,
    BITE,
    DEEPEST,
    LESS,
    MEETING,
    RELEASE,
    SOONER,
    Heard,
    bitten,
    close_lips,
    closing_curve,
    parse_closures,
    sealed,
    stretches,
)
from msmdcli.controls.controls import Controls, control
from msmdcli.controls.pins import Pin
from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
CONTACT = LipContact.of(RIG)
assert CONTACT is not None
MOUTH = [RIG.index(name) for name in RIG.channels if name.startswith(("mouth", "jaw", "noseSneer", "cheek"))]
RATE = 50.0
NOISE = np.random.default_rng(0).normal(0, 0.1, 4 * 16000).astype(np.float32)
SOUND = Audio(NOISE, 16000, 16000, 1, Fraction(4))  # nowhere silent


def shout(seconds: float, fps: int = 25) -> Motion:
    """A wide open mouth that bares its teeth and smiles, moving all the time."""
    time = np.arange(round(seconds * fps)) / fps
    values = np.zeros((len(time), RIG.size), np.float32)
    pose = {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.5, "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.35}
    pose |= {"mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "noseSneerLeft": 0.3, "noseSneerRight": 0.3}
    for name, value in pose.items():
        values[:, RIG.index(name)] = value
    values[:, RIG.index("jawOpen")] = 0.35 + 0.1 * np.sin(2 * np.pi * 4 * time)
    return Motion(values, Fraction(fps), RIG)


def heard(*sounds: tuple[float, float, str], seconds: float = 4.0) -> Heard:
    """m from 1.0 to 1.08 s: (1.0, 1.08, "m")."""
    rows = np.zeros((2, round(seconds * RATE)), np.float32)
    for start, stop, sound in sounds:
        rows["mf".index(sound), round(start * RATE) : round(stop * RATE)] = 0.9
    return Heard(rows[0], rows[1], RATE)


poses = st.lists(st.floats(0, 1), min_size=len(MOUTH), max_size=len(MOUTH))


@given(poses)
@settings(max_examples=200, deadline=None)
def test_any_pose_is_sealed_without_going_through_the_other_lip(pose: list[float]) -> None:
    values = np.zeros((1, RIG.size))
    values[0, MOUTH] = pose
    closed = sealed(values, RIG.channels, CONTACT)
    gap = float(CONTACT.middle(closed)[0])
    saturated = closed[0, RIG.index("mouthClose")] in (0.0, 1.0)
    assert DEEPEST - 1e-6 <= gap <= MEETING + 1e-6 or saturated
    untouched = [RIG.index(name) for name in RIG.channels if "Smile" in name or "Sneer" in name or "cheek" in name]
    np.testing.assert_array_equal(closed[0, untouched], values[0, untouched])


def test_a_shout_closes_along_the_whole_mouth_and_keeps_its_smile() -> None:
    motion = shout(4)
    closed = close_lips(motion, heard((1.0, 1.08, "m"), (2.0, 2.12, "m"))).motion
    for moment in (1.0, 2.04):
        gaps = CONTACT.gaps(closed.values[round(moment * 25)][None])[0]
        assert gaps.max() < 1.0
        assert gaps.min() > -1.0
    before = CONTACT.middle(motion.values)
    assert before.min() > 5
    smile = RIG.index("mouthSmileLeft")
    np.testing.assert_array_equal(closed.values[:, smile], motion.values[:, smile])


@pytest.mark.parametrize("fps", [24, 25, 30, 60, 120])
def test_every_heard_closure_falls_on_a_frame(fps: int) -> None:
    motion = shout(4, fps)
    for start in np.arange(1.0, 1.2, 0.013):
        ear = Heard(np.zeros(200, np.float32), np.zeros(200, np.float32), RATE)
        curve = closing_curve([(start, start + 0.02)], fps, motion.frames)
        assert curve.max() == 1.0
        assert np.argmax(curve) / fps == pytest.approx(start - SOONER, abs=0.05)
        assert close_lips(motion, ear).count == 0


def test_what_is_far_from_a_closure_keeps_its_bits() -> None:
    motion = shout(4)
    closed = close_lips(motion, heard((2.0, 2.1, "m"))).motion
    away = np.abs(np.arange(motion.frames) / 25 - 2.05) > 0.05 + ATTACK + RELEASE + SOONER
    np.testing.assert_array_equal(closed.values[away], motion.values[away])
    np.testing.assert_array_equal(close_lips(motion, heard()).motion.values, motion.values)


def test_it_closes_and_opens_in_smooth_steps() -> None:
    fps = 1000
    curve = closing_curve([(0.5 + SOONER, 0.6 + LESS)], fps, 1000)
    assert curve[500:600].min() == 1
    assert np.abs(np.diff(curve)).max() < 1.6 / (ATTACK * fps)
    assert np.abs(np.diff(curve, 2)).max() < 7 / (ATTACK * fps) ** 2
    rise = np.flatnonzero(curve > 0)[0] / fps
    assert rise == pytest.approx(0.5 - ATTACK, abs=0.003)


def test_two_closures_in_a_row_open_no_further_than_one() -> None:
    near = closing_curve([(0.5, 0.56), (0.6, 0.66)], 100, 120)
    assert near[47:61].min() > 0.6
    assert near.max() <= 1


@given(poses)
@settings(max_examples=200, deadline=None)
def test_on_f_the_lower_lip_is_at_the_teeth_and_apart_from_the_upper(pose: list[float]) -> None:
    values = np.zeros((1, RIG.size))
    values[0, MOUTH] = np.asarray(pose) * 0.5
    bite = bitten(values, RIG.channels, CONTACT)
    gap, height = float(CONTACT.middle(bite)[0]), float(CONTACT.bites(bite)[0])
    saturated = bite[0, RIG.index("mouthClose")] == 1 or bite[0, RIG.index("jawOpen")] == 1
    assert gap >= APART - 1e-6 or saturated
    assert height >= BITE[0] - 1e-6 or gap < APART + 1e-6 or saturated  # as high as the upper lip leaves room
    assert height <= BITE[1] + 1e-6 or saturated
    assert bite[0, RIG.index("mouthRollLower")] >= 0.3


def test_a_run_counts_from_its_peak_and_reaches_to_half_of_the_threshold() -> None:
    likely = np.array([0, 0.1, 0.3, 0.6, 0.3, 0.1, 0, 0.4, 0.4, 0])
    assert stretches(likely, 50, 0.5) == [(pytest.approx(1.5 / 50), pytest.approx(4.5 / 50))]
    assert stretches(np.zeros(0), 50, 0.5) == []


def test_nothing_is_heard_within_a_silence_but_at_its_edges() -> None:
    ear = heard((1.0, 1.1, "m"), (2.0, 2.1, "m"), (2.9, 3.0, "f"))
    bilabial, labiodental = ear.stretches([(1.0, 2.96)])
    assert [round(start, 2) for start, _ in bilabial] == [0.99]
    assert len(labiodental) == 1
    assert [len(found) for found in ear.stretches([(0.0, 4.0)])] == [0, 0]


def test_of_two_sounds_at_once_the_likelier_is_shown() -> None:
    bilabial, labiodental = np.zeros((2, 100), np.float32)
    bilabial[20:26], labiodental[22:26] = (0.9, 0.9, 0.4, 0.3, 0.3, 0.1), (0.3, 0.6, 0.8, 0.8)
    ear = Heard(bilabial, labiodental, RATE, (0.2, 0.2))
    ((shut, parted),), ((bites, leaves),) = ear.stretches()
    assert (shut, parted) == (pytest.approx(19.5 / RATE), pytest.approx(22.5 / RATE))
    assert (bites, leaves) == (pytest.approx(22.5 / RATE), pytest.approx(25.5 / RATE))


def test_pins_have_the_last_word() -> None:
    motion, ear = shout(4), heard((2.0, 2.1, "m"))
    jaw, whole = Pin({"jawOpen": 0.4}), Pin({"lips": 0.3, "jawOpen": 0.4}, time=2.05, hold=0.1, blend=0.2)
    pinned = control(motion, Controls(pins=(jaw,)), SOUND, 0, "a", heard=ear).motion
    assert (pinned.values[:, RIG.index("jawOpen")] == np.float32(0.4)).all()
    assert CONTACT.middle(pinned.values)[51] < 1  # the lips close around it
    pinned = control(motion, Controls(pins=(whole,)), SOUND, 0, "a", heard=ear).motion
    lips = [RIG.index(name) for name in RIG.regions["lips"]]
    np.testing.assert_array_equal(pinned.values[52, lips], np.float32(0.3))
    unheard = control(motion, Controls(pins=(whole,)), SOUND, 0, "a").motion
    np.testing.assert_array_equal(pinned.values[52], unheard.values[52])


def test_they_can_be_turned_off() -> None:
    motion, ear = shout(4), heard((2.0, 2.1, "m"))
    off = control(motion, Controls(closures=False, smooth=0.0), SOUND, 0, "a", heard=ear)
    np.testing.assert_array_equal(off.motion.values, motion.values)
    on = control(motion, Controls(), SOUND, 0, "a", heard=ear)
    assert on.facts["closures"] == 1
    assert [parse_closures(word) for word in ("true", "On", "no", "False")] == [True, True, False, False]
    with pytest.raises(MsmdError, match="closures 'maybe'"):
        parse_closures("maybe")


def test_a_rig_without_these_lips_is_left_alone() -> None:
    flame = Rig.load("flame")
    motion = Motion(np.zeros((100, flame.size), np.float32), Fraction(25), flame)
    assert LipContact.of(flame) is None
    assert close_lips(motion, heard((2.0, 2.1, "m"))).motion is motion
