"""A gain about the closed mouth: what is closed stays closed, the style's expression stays."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.controls.articulation import Articulation, MouthScale, articulate, parse_articulation
from msmdcli.errors import MsmdError
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
CONTACT = LipContact.of(RIG)
assert CONTACT is not None
JAW, CLOSE, SMILE = RIG.index("jawOpen"), RIG.index("mouthClose"), RIG.index("mouthSmileLeft")


def talk() -> tuple[Motion, np.ndarray]:
    """Syllables with lips that meet in between over an open jaw, in a smile; and the resting pose."""
    time = np.arange(100) / 25
    values = np.zeros((100, RIG.size), np.float32)
    values[:, JAW] = 0.12 + 0.1 * np.sin(2 * np.pi * 3 * time)
    values[:, RIG.index("mouthLowerDownLeft")] = 0.1 + 0.1 * np.sin(2 * np.pi * 3 * time)
    values[:, SMILE] = 0.5 + 0.05 * np.sin(2 * np.pi * 2 * time)
    values[40:44, CLOSE] = (CONTACT.middle(values[40:44]) - 0.2) / 38.94
    rest = np.zeros(RIG.size, np.float32)
    rest[SMILE] = 0.5
    return Motion(values, Fraction(25), RIG), rest


@pytest.mark.parametrize("gain", [0.5, 0.8, 1.2, 1.5])
def test_the_opening_grows_by_the_gain_and_closures_stay_closed(gain: float) -> None:
    motion, rest = talk()
    louder = articulate(motion, Articulation(gain, gain), rest)
    np.testing.assert_allclose(louder.values[:40, JAW], gain * motion.values[:40, JAW], rtol=1e-5)
    assert (CONTACT.middle(louder.values)[40:44] < 1.0).all()
    np.testing.assert_array_equal(louder.values[:, SMILE], motion.values[:, SMILE])  # the style's smile is not scaled


def test_a_gain_ends_softly_at_the_widest() -> None:
    motion, rest = talk()
    motion.values[:, JAW] *= 3.5  # to 0.77
    wider = articulate(motion, Articulation(1.5), rest).values[:, JAW]
    assert motion.values[:, JAW].max() < wider.max() < 1
    order = np.argsort(motion.values[:40, JAW])
    assert (np.diff(wider[:40][order]) >= 0).all()
    kept = articulate(motion, Articulation(1.0, 1.2), rest)
    np.testing.assert_allclose(kept.values[:, JAW], motion.values[:, JAW], atol=1e-6)


def test_each_axis_has_its_own_gain_and_one_leaves_every_bit() -> None:
    motion, rest = talk()
    assert articulate(motion, Articulation(), rest) is motion
    lips = articulate(motion, Articulation(lips=1.3), rest)
    np.testing.assert_array_equal(lips.values[:, JAW], motion.values[:, JAW])
    upper = [RIG.index(name) for name in RIG.regions["upper"]]
    np.testing.assert_array_equal(lips.values[:, upper], motion.values[:, upper])


@pytest.mark.parametrize("name", ["mouthRollLower", "mouthPressLeft", "mouthShrugLower"])
def test_a_style_whose_lips_do_less_closes_them_all_the_same(name: str) -> None:
    motion, rest = talk()
    motion.values[40:44, RIG.index(name)] += 0.4
    motion.values[40:44, CLOSE] = 0
    motion.values[40:44, CLOSE] = (CONTACT.middle(motion.values[40:44]) - 0.2) / 38.94
    gains = np.ones(RIG.size)
    gains[RIG.index(name)] = 0.05
    less = articulate(motion, Articulation(), rest, MouthScale.of(gains))
    assert less.values[40:44, RIG.index(name)].max() < 0.05
    assert (CONTACT.middle(less.values)[40:44] < 0.4).all()


def test_a_gain_of_the_style_is_of_speech_and_leaves_moods() -> None:
    motion, rest = talk()
    time = np.arange(100) / 25
    mood = 0.2 * np.sin(2 * np.pi * 0.25 * time)
    motion.values[:, SMILE] += mood.astype(np.float32)
    gains = np.ones(RIG.size)
    gains[SMILE] = 2.0
    made = articulate(motion, Articulation(), rest, MouthScale.of(gains)).values[20:80, SMILE]
    syllables = 0.05 * np.sin(2 * np.pi * 2 * time)[20:80]
    np.testing.assert_allclose(made, 0.5 + mood[20:80] + 2 * syllables, atol=0.03)


def test_a_bent_opening_keeps_its_widest_and_comes_to_rest_between() -> None:
    motion, rest = talk()
    closed = float(CONTACT.middle(rest[None])[0])
    plain = CONTACT.middle(motion.values) - closed  # [T] mm
    wide = float(plain.max())
    bent = articulate(motion, Articulation(), rest, MouthScale.of(np.ones(RIG.size), bend=1.6, wide=wide))
    opening = CONTACT.middle(bent.values) - closed
    assert opening.max() == pytest.approx(wide, rel=0.02)
    between = (plain > 0.3 * wide) & (plain < 0.6 * wide)
    assert between.any() and (opening[between] < 0.85 * plain[between]).all()
    assert (opening <= plain + 1e-3).all()
    order = np.argsort(plain)
    assert (np.diff(opening[order]) > -0.05 * wide).all()  # what is wider stays wider
    upper = [RIG.index(name) for name in RIG.regions["upper"]]
    np.testing.assert_array_equal(bent.values[:, upper], motion.values[:, upper])


def test_the_widest_comes_to_the_most_softly() -> None:
    motion, rest = talk()
    closed = float(CONTACT.middle(rest[None])[0])
    plain = CONTACT.middle(motion.values) - closed  # [T] mm
    wide, most = 0.6 * float(plain.max()), 0.8 * float(plain.max())
    held = articulate(motion, Articulation(), rest, MouthScale.of(np.ones(RIG.size), 1.0, wide, most))
    opening = CONTACT.middle(held.values) - closed
    assert 0.9 * most < opening.max() < most
    np.testing.assert_allclose(opening[plain < wide], plain[plain < wide], atol=1e-4)
    order = np.argsort(plain)
    assert (np.diff(opening[order]) > -1e-4).all()


def test_a_bend_of_one_changes_nothing() -> None:
    motion, rest = talk()
    assert articulate(motion, Articulation(), rest, MouthScale.of(np.ones(RIG.size), bend=1.0, wide=5.0)) is motion


def test_a_small_gain_does_not_lift_what_is_below_the_resting_mouth() -> None:
    motion, rest = talk()
    rest[JAW] = 0.1  # a style that hangs open
    mumbled = articulate(motion, Articulation(0.3, 0.3), rest)
    below = motion.values[:, JAW] < 0.1
    assert (mumbled.values[below, JAW] <= motion.values[below, JAW] + 1e-6).all()


def test_it_is_read_as_a_gain_or_by_axis() -> None:
    assert parse_articulation("1.2") == Articulation(1.2, 1.2)
    assert parse_articulation("jaw=1.2, lips=1.1") == Articulation(1.2, 1.1)
    assert parse_articulation("lips=0.9") == Articulation(1.0, 0.9)
    for text, message in (
        ("jaw=", "no gain"),
        ("jwa=1", "no 'jwa'"),
        ("9", "outside 0 to 3"),
        ("jaw=1,jaw=1", "no gain"),
    ):
        with pytest.raises(MsmdError, match=message):
            parse_articulation(text)
