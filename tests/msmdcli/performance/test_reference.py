from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion, multiply, quaternion_from_euler
from msmdcli.paths import shipped_styles
from msmdcli.performance.reference import Reference, groups_of, without_camera

RIG = Rig.load("arkit52")
HEAD = list(RIG.rotation_indices or ())


def take(tag: str = "neutral") -> Motion:
    return load_npz(shipped_styles() / tag / "take1.npz")


def filmed(motion: Motion, yaw: float, roll: float) -> Motion:
    """The same performance before a camera that stands aside and is held askew, in degrees."""
    values = motion.values.astype(np.float64)
    camera = quaternion_from_euler(np.radians([0.0, yaw, roll]))
    values[:, HEAD] = euler_from_quaternion(multiply(camera[None], quaternion_from_euler(values[:, HEAD])))
    return replace(motion, values=values.astype(np.float32), meta={})


@pytest.mark.parametrize(("yaw", "roll"), [(12, -7), (-30, 15), (0, 20)])
def test_the_camera_is_taken_out_of_the_neck(yaw: float, roll: float) -> None:
    motion = take()
    reference = Reference.of([filmed(motion, yaw, roll)])
    assert np.degrees(np.abs(np.median(reference.takes[0].values[:, HEAD[1:]], axis=0))).max() < 0.01
    plain = motion.values[:, HEAD] - motion.values[:, HEAD].mean(axis=0)
    seen = reference.takes[0].values[:, HEAD] - reference.rest[HEAD]
    np.testing.assert_allclose(
        seen, plain, atol=np.radians(0.6)
    )  # the movement is the performer's, wherever it is seen


def test_the_pose_of_a_synthetic_style_is_its_manner() -> None:
    clip = take("sarcastic")
    kept = Reference.of([clip])
    np.testing.assert_allclose(kept.rest[HEAD], clip.values[:, HEAD].mean(axis=0), atol=1e-6)
    assert not kept.camera.any()
    assert np.degrees(np.abs(Reference.of([clip], keep_head_pose=False).rest[HEAD[1:]])).max() < 1
    usual = float(np.median(clip.values[:, HEAD[2]]))
    assert Reference.of([replace(clip, meta={})]).camera[HEAD[2]] == pytest.approx(usual, abs=0.01)


def test_somebody_who_turns_away_rests_where_he_comes_back_to() -> None:
    values = np.zeros((100, RIG.size))
    values[:, HEAD[1]] = 0.2
    values[20:50, HEAD[1]] = 0.9
    straight = without_camera(values, RIG)
    assert straight[0, HEAD[1]] == pytest.approx(0)
    assert straight[30, HEAD[1]] == pytest.approx(0.7)


def test_eyes_that_looked_into_a_camera_aside_look_ahead() -> None:
    values = np.zeros((50, RIG.size))
    values[:, RIG.index("eyeLookOutLeft")] = 0.3
    values[:, RIG.index("eyeLookInRight")] = 0.3
    values[10:20, RIG.index("eyeLookOutLeft")] += 0.2
    straight = without_camera(values, RIG)
    assert straight[0, RIG.index("eyeLookInRight")] == 0
    assert straight[15, RIG.index("eyeLookOutLeft")] == pytest.approx(0.2)  # a glance stays a glance


def test_blinks_of_a_short_reference_are_as_people_blink() -> None:
    still = Motion(np.zeros((25, RIG.size), np.float32), Fraction(25), RIG)
    assert 12 < Reference.of([still]).blinks_per_minute < 18
    assert Reference.of([take()]).blinks_per_minute == pytest.approx(
        60 * len(Reference.of([take()]).takes[0].blinks) / float(take().seconds), rel=0.02
    )


def test_a_short_take_is_unfolded_without_a_step() -> None:
    clip = take("happy").slice(40, 70)
    (one,) = Reference.of([clip]).takes
    assert one.seconds >= 5
    assert one.performed == pytest.approx(29 / 25)
    head = one.values[:, HEAD]
    assert np.abs(np.diff(head, n=2, axis=0)).max() <= 1.5 * np.abs(np.diff(clip.values[:, HEAD], n=2, axis=0)).max()


def test_groups_hold_no_mouth_but_its_corners() -> None:
    columns = {column for name, group in groups_of(RIG).items() for column in group if name != "corners"}
    mouth = {int(column) for region in ("jaw", "lips", "tongue") for column in RIG.indices(region)}
    assert not columns & mouth and set(groups_of(RIG)["corners"]) < mouth
    assert {RIG.channels[c] for c in set(range(RIG.size)) - columns - mouth} == {"cheekPuff"}
