"""Numbers about a tracked face: jumps, losses, proportions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.media.video import VideoInfo
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.tracking.track import Track
from training.curation.checks import Limits
from training.curation.measure import _between_losses, largest_jump
from training.curation.proportions import PROPORTIONS, unusual

RIG = Rig.load("arkit52")
YAW = RIG.index("headYaw")


def track(yaw: np.ndarray, x: np.ndarray | None = None, found: np.ndarray | None = None) -> Track:
    """A face of a tenth of the width of a picture, turning by yaw [T] degrees, moving to x [T] in shares of it."""
    frames = len(yaw)
    values = np.zeros((frames, RIG.size), np.float32)
    values[:, YAW] = np.radians(yaw)
    x = np.full(frames, 0.5) if x is None else x
    found = np.ones(frames, bool) if found is None else found
    box = np.stack([x - 0.05, np.full(frames, 0.4), x + 0.05, np.full(frames, 0.6)], axis=1).astype(np.float32)
    box[~found] = np.nan
    info = VideoInfo(1280, 720, Fraction(25), False, Fraction(frames, 25), frames, 0, True)
    ones = np.ones(frames, np.float32)
    motion = Motion(values, Fraction(25), RIG)
    return Track(motion, ones, found, ones.astype(np.int32), ones, box, None, (), info, ())


def test_a_slow_turn_is_no_jump_and_a_sudden_one_is() -> None:
    slow = np.linspace(0, 40, 50)
    assert largest_jump(track(slow)) < 3
    assert largest_jump(track(np.where(np.arange(50) < 25, 0.0, 40.0))) == pytest.approx(40, abs=0.1)


def test_a_face_that_is_suddenly_elsewhere_jumps() -> None:
    there = np.where(np.arange(50) < 25, 0.3, 0.5)  # by two widths of the face
    assert largest_jump(track(np.zeros(50), there)) == pytest.approx(90, rel=0.01)


def test_filled_in_frames_do_not_jump() -> None:
    yaw = np.where(np.arange(50) < 25, 0.0, 40.0)
    found = np.ones(50, bool)
    found[24:27] = False
    assert largest_jump(track(yaw, found=found)) < 1


def test_the_motion_begins_and_ends_with_the_face() -> None:
    found = np.ones(50, bool)
    found[[0, 1, 20, 48, 49]] = False
    motion, first = _between_losses(track(np.linspace(0, 10, 50), found=found))
    assert first == 2 and motion.frames == 46
    np.testing.assert_allclose(np.degrees(motion.values[:, YAW]), np.linspace(0, 10, 50)[2:48], atol=0.05)


def face(eyes: float = 1.0, nose: float = 1.0) -> np.ndarray:
    """Landmarks [3, 478, 3] with people's mean proportions, eyes and nose times a factor."""
    (_, _, eye, _), (_, _, between, _), (_, _, width, _), (_, _, length, _) = PROPORTIONS
    points = np.zeros((478, 3))
    points[454, 0] = points[152, 1] = 1.0  # width and height of the face; 234 and 10 lie at the origin
    points[[33, 133, 362, 263], 0] = np.cumsum([0.1, eye * eyes, between, eye * eyes])
    points[327, 0] = width * nose
    points[2, 1] = length * nose
    return np.repeat(points[None], 3, axis=0)


def test_proportions_of_people_are_usual_and_large_eyes_are_not() -> None:
    assert unusual(face(), 1.0) == pytest.approx(0, abs=1e-6)
    assert unusual(face(eyes=1.4), 1.0) > Limits().max_unusual
    assert unusual(face(nose=0.7), 1.0) > Limits().max_unusual
    wide = face() / np.array([16 / 9, 1, 16 / 9])  # the same face in a wide picture
    assert unusual(wide, 16 / 9) == pytest.approx(0, abs=1e-6)
