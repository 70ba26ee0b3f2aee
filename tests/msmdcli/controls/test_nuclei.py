"""Open vowels open in a small mouth too, closures beside them stay closed, and wide mouths are left alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.controls.closures import ATTACK, Heard, close_lips
from msmdcli.controls.nuclei import LEAST, PLATEAU, SHARE, SOONER, SURE, WITHIN, find_nuclei, opening_curves
from msmdcli.controls.pins import Pin, Pinned
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
CONTACT = LipContact.of(RIG)
assert CONTACT is not None
RATE, SECONDS = 25.0, 4.0
JAW = RIG.index("jawOpen")


def mouth(jaw: float, fps: int = 50) -> Motion:
    """A jaw that swings between closed (0.375 s, 0.875 s, ...) and `jaw`."""
    time = np.arange(round(SECONDS * fps)) / fps
    values = np.zeros((len(time), RIG.size), np.float32)
    values[:, JAW] = 0.5 * jaw * (1 + np.sin(2 * np.pi * 2 * time))
    return Motion(values, Fraction(fps), RIG)


def ear(*sounds: tuple[float, str]) -> Heard:
    """a at 1 s, m at 1.12 s: (1.0, "a"), (1.12, "m"); each lasts one row and a half to either side."""
    rows = np.zeros((3, round(SECONDS * RATE)), np.float32)
    for at, sound in sounds:
        away = np.abs(np.arange(rows.shape[1]) / RATE - at) * RATE
        rows["mfa".index(sound)] = np.maximum(rows["mfa".index(sound)], (0.95 - 0.3 * away).clip(0))
    return Heard(rows[0], rows[1], RATE, (0.5, 0.5), rows[2])


def gap_at(motion: Motion, second: float) -> float:
    assert CONTACT is not None
    return float(np.interp(second, np.arange(motion.frames) / float(motion.fps), CONTACT.middle(motion.values)))


def test_a_shut_mouth_opens_on_an_open_vowel() -> None:
    motion, low = mouth(0.25), 1.375
    after = close_lips(motion, ear((low, "a"))).motion
    assert gap_at(motion, low) < 1.0 < gap_at(after, low - SOONER)
    away = np.abs(np.arange(motion.frames) / 50 - low + SOONER) > PLATEAU + WITHIN
    np.testing.assert_array_equal(after.values[away], motion.values[away])


def test_a_mouth_that_is_open_is_left_alone() -> None:
    motion = mouth(0.4)
    tops = [(2 * n + 0.5) / 4 for n in range(1, 6)]  # where the jaw is widest
    np.testing.assert_array_equal(close_lips(motion, ear(*((t, "a") for t in tops))).motion.values, motion.values)


def test_a_vowel_opens_by_the_measure_of_its_line() -> None:
    tops = [(n + 0.25) / 2 for n in (1, 3, 5)]
    lowest = 1.875  # seconds: the jaw is shut
    opened = [
        gap_at(close_lips(mouth(jaw), ear(*((t, "a") for t in tops), (lowest, "a"))).motion, lowest - SOONER)
        for jaw in (0.1, 0.3, 0.6)
    ]
    usual = [gap_at(mouth(jaw), tops[0]) for jaw in (0.1, 0.3, 0.6)]
    assert opened[0] < opened[1] < opened[2]
    assert opened[2] == pytest.approx(SHARE * usual[2], rel=0.1)
    assert opened[0] == pytest.approx(max(LEAST, SHARE * usual[0]), rel=0.1)


def test_a_mouth_that_does_not_move_stays_shut() -> None:
    """An `articulation` of 0, or somebody who hums."""
    motion = Motion(np.zeros((200, RIG.size), np.float32), Fraction(50), RIG)
    motion.values[:, RIG.index("mouthPressLeft")] = 1.0
    assert CONTACT is not None
    rest = CONTACT.middle(motion.values)
    after = CONTACT.middle(close_lips(motion, ear((1.5, "a"))).motion.values)
    assert after.max() <= max(rest.max(), 0) + 1e-6


@given(st.floats(0.06, 0.3), st.floats(0.05, 0.5))
@settings(max_examples=60, deadline=None)
def test_a_closure_beside_a_vowel_closes_all_the_same(apart: float, jaw: float) -> None:
    motion = mouth(jaw)
    after = close_lips(motion, ear((1.5, "a"), (1.5 + apart, "m"))).motion
    assert CONTACT is not None
    around = slice(round((1.5 + apart - 0.06) * 50), round((1.5 + apart + 0.06) * 50))
    assert CONTACT.middle(after.values[around]).min() < 0.7


def test_a_vowel_between_two_closures_is_seen() -> None:
    """mama: the closing step alone would keep the lips shut throughout."""
    motion = mouth(0.3)
    with_vowels = close_lips(motion, ear((1.0, "m"), (1.12, "a"), (1.24, "m"))).motion
    without = close_lips(motion, ear((1.0, "m"), (1.24, "m"))).motion
    inside = slice(round(1.06 * 50), round(1.16 * 50))
    assert CONTACT is not None
    assert CONTACT.middle(with_vowels.values[inside]).max() > max(1.2, CONTACT.middle(without.values[inside]).max())
    for moment in (1.0, 1.24):
        around = slice(round((moment - ATTACK) * 50), round((moment + 0.06) * 50))
        assert CONTACT.middle(with_vowels.values[around]).min() < 0.7


def test_vowels_are_found_between_rows_and_only_where_nothing_closes() -> None:
    heard = ear((1.01, "a"), (2.0, "a"), (2.0, "m"))
    assert heard.open_vowel is not None
    found = find_nuclei(heard.open_vowel, heard.bilabial, RATE)
    assert found == [pytest.approx(1.01, abs=0.012)]
    assert find_nuclei(np.full(50, SURE - 0.01), np.zeros(50), RATE) == []
    assert heard.nuclei([(0.5, 1.5)]) == []


@pytest.mark.parametrize("fps", [24, 25, 30, 60, 120])
def test_every_vowel_falls_on_a_frame_and_opens_smoothly(fps: int) -> None:
    for at in np.arange(1.0, 1.1, 0.007):
        assert opening_curves([at], fps, 4 * fps).max() == 1.0
    fine = opening_curves([1.0], 1000, 2000)[0]
    assert np.abs(np.diff(fine)).max() < 1.6 / (WITHIN * 1000)


def test_a_pin_has_the_last_word() -> None:
    motion, low = mouth(0.25), 1.375
    pinned = Pinned.of((Pin({"lips": 0.0, "jawOpen": 0.0}, time=low, hold=0.2),), RIG, motion.fps, motion.frames)
    after = close_lips(motion, ear((low, "a")), pinned).motion
    held = round(low * 50)
    np.testing.assert_array_equal(after.values[held], motion.values[held])
