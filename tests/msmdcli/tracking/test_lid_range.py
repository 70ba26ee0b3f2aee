"""The lids' range of made takes whose gaps are known."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.tracking.contact import meet_lids
from msmdcli.tracking.face_correspondence import shipped_correspondence
from msmdcli.tracking.lid_range import SHUT_SHARE, lid_range

REST = np.array([9.0, 9.0])


def take(open_gap: float, shut_gap: float, frames: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Gaps [T, 2] mm and blink scores [T, 2] of eyes that blink twice."""
    gaps, blinks = np.full((frames, 2), open_gap), np.full((frames, 2), 0.2)
    for peak in (30, 70):
        way = np.maximum(1.0 - np.abs(np.arange(frames) - peak) / 3.0, 0.0)[:, None]
        gaps = gaps + way * (shut_gap - open_gap)
        blinks = np.maximum(blinks, 0.7 * way)
    return gaps, blinks


def test_shut_is_what_the_blinks_of_a_take_come_to() -> None:
    gaps, blinks = take(9.0, 3.0)
    lids = lid_range(gaps, blinks, np.full((100, 2), 0.3), REST, known=True)
    np.testing.assert_allclose(lids.shut, 3.0)
    assert lids.closures(gaps)[30] == pytest.approx([1.0, 1.0]) and lids.closures(gaps)[0] == pytest.approx([0.0, 0.0])
    looking_down = lid_range(gaps, np.full((100, 2), 0.3), np.full((100, 2), 0.3), REST, known=True)
    np.testing.assert_allclose(looking_down.shut, SHUT_SHARE * REST)  # the scores tell of no blink


@pytest.mark.parametrize(("squint", "rest"), [(0.3, 6.0), (0.7, 9.0)])
def test_narrow_eyes_are_the_persons_own_unless_the_scores_say_squint(squint: float, rest: float) -> None:
    gaps, blinks = take(6.0, 1.0)
    squints = np.full((100, 2), squint)
    np.testing.assert_allclose(lid_range(gaps, blinks, squints, REST).rest, rest)
    np.testing.assert_allclose(lid_range(gaps, blinks, squints, REST, known=True).rest, REST)


def test_wide_eyes_do_not_raise_the_rest() -> None:
    gaps, blinks = take(12.0, 1.0)
    np.testing.assert_allclose(lid_range(gaps, blinks, np.full((100, 2), 0.0), REST).rest, REST)


def test_eyes_that_stay_shut_are_shut() -> None:
    gaps, shut = np.full((20, 2), 1.0), np.full((20, 2), 0.8)
    lids = lid_range(gaps, shut, np.full((20, 2), 0.3), REST)
    np.testing.assert_allclose(lids.rest, REST)
    assert (lids.closures(gaps) > 0.9).all()


def test_wide_eyes_stay_wide() -> None:
    face = shipped_correspondence()
    names = ("eyeBlinkLeft", "eyeWideLeft", "eyeBlinkRight", "eyeWideRight")
    wide = np.array([[0.0, 0.9, 0.0, 0.9]])
    by = face.lid_gap_by[[face.index(name) for name in names]]  # [4, 2] mm
    full = -face.lid_gap_by[face.index("eyeBlinkLeft"), 0]
    measured = -(wide @ by) / full  # [1, 2] closures below 0
    np.testing.assert_allclose(meet_lids(wide, names, measured, face), wide)  # nothing closes what is open
    narrower = meet_lids(wide, names, np.zeros((1, 2)), face)
    np.testing.assert_allclose(narrower @ by, 0.0, atol=1e-9)  # lids that are at rest are at rest
