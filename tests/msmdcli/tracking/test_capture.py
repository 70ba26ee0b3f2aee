"""The landmark solver on landmarks whose weights are known: made from the correspondence itself, posed, with noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion, matrix_of_quaternion, quaternion_from_euler
from msmdcli.tracking.capture import Capture, Landmarks, calibrate, capture, neutral_of_frames
from msmdcli.tracking.contact import complete_blinks
from msmdcli.tracking.expression import contradiction, region_lines
from msmdcli.tracking.face_correspondence import (
    LEFT_EYE_CORNERS,
    LEFT_IRIS,
    RIGHT_EYE_CORNERS,
    RIGHT_IRIS,
    UNSEEN,
    shipped_correspondence,
)
from msmdcli.tracking.gaze import IRIS_RADIUS, LOOK_DEGREES
from msmdcli.tracking.landmark_solver import non_negative, solved_channels
from msmdcli.tracking.neutral_face import shipped_resting_faces
from msmdcli.tracking.performer import load_performer, save_performer
from msmdcli.tracking.resting_head import relative_to, resting_direction
from msmdcli.tracking.sharp_smoothing import jitter_of, smooth

FACE = shipped_correspondence()
SOLVED = solved_channels(FACE)
FPS = 25.0


def seen_face(
    weights: dict[str, np.ndarray], frames: int, angles: np.ndarray | None = None, noise: float = 0.0, seed: int = 0
) -> Landmarks:
    """Landmarks of the mean face under channel curves [T] and head angles [T, 3], before a camera, with scores that
    know the mouth and the lids."""
    rng = np.random.Generator(np.random.Philox(seed))
    points = np.repeat(shipped_resting_faces().mean[None], frames, axis=0)
    points[:, [14, 87, 317], 1] += 1.6  # the mean face's lips are parted: here they rest closed
    for name, curve in weights.items():
        points = points + curve[:, None, None] * FACE.seen_deltas[FACE.index(name)]
    irises = np.zeros((frames, 10, 3))
    look = {
        n: weights.get(n, np.zeros(frames))
        for n in ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft")
    }
    yaw = np.radians(LOOK_DEGREES) * (look["eyeLookOutLeft"] - look["eyeLookInLeft"])
    pitch = np.radians(LOOK_DEGREES) * (look["eyeLookUpLeft"] - look["eyeLookDownLeft"])
    gaze = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1)
    mean = shipped_resting_faces().mean
    for iris, corners, ball in ((LEFT_IRIS, LEFT_EYE_CORNERS, 0), (RIGHT_IRIS, RIGHT_EYE_CORNERS, 1)):
        middle = mean[list(corners)].mean(axis=0) + FACE.eyeballs[ball] - FACE.points[list(corners)].mean(axis=0)
        irises[:, iris - 468] = middle + IRIS_RADIUS * gaze
    points = np.concatenate([points, irises], axis=1)
    if angles is not None:
        points = np.einsum("tij,tvj->tvi", matrix_of_quaternion(quaternion_from_euler(angles)), points)
    points = points + rng.normal(0, noise, points.shape)
    places = points / 300.0 * (1.0, -1.0, -1.0) + (0.5, 0.5, 0.0)
    names = tuple(c for c in FACE.channels if c not in ("tongueOut", "noseSneerLeft", "noseSneerRight"))
    scores = np.stack([0.9 * weights.get(name, np.zeros(frames)) for name in names], axis=1)
    return Landmarks(places, scores, names, 1.0, FPS)


def hill(frames: int, start: int, stop: int, height: float) -> np.ndarray:
    curve = np.zeros(frames)
    curve[start:stop] = height * np.sin(np.linspace(0, np.pi, stop - start)) ** 2
    return curve


def solved(
    weights: dict[str, np.ndarray], frames: int, angles: np.ndarray | None = None, noise: float = 0.0
) -> Capture:
    rest = neutral_of_frames(seen_face({}, 10), known=True)
    return capture(seen_face(weights, frames, angles, noise), rest, gaze_from_rest=False)


@pytest.mark.parametrize(
    "name",
    ["browDownLeft", "browInnerUp", "noseSneerRight", "cheekSquintLeft", "eyeWideLeft", "jawOpen", "mouthSmileLeft"]
    + ["mouthUpperUpRight", "mouthStretchLeft"],
)
def test_a_channel_alone_is_found_on_its_side(name: str) -> None:
    truth = hill(60, 10, 50, 0.7)
    taken = solved({name: truth}, 60, noise=0.2)
    found = taken.values[:, taken.channels.index(name)]
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    assert 0.6 < np.polyfit(truth, found, 1)[0] < 1.2
    other = {"Left": "Right", "Right": "Left"}
    for side, opposite in other.items():
        if name.endswith(side):
            assert taken.values[:, taken.channels.index(name[: -len(side)] + opposite)].max() < 0.2


def test_a_turning_head_is_no_expression() -> None:
    time = np.arange(80) / FPS
    angles = np.radians(np.stack([8 * np.sin(time * 3), 20 * np.sin(time * 2), 6 * np.sin(time)], axis=1))
    taken = solved({}, 80, angles)
    face = [i for i, name in enumerate(taken.channels) if not name.startswith("eyeLook")]
    assert taken.values[:, face].max() < 0.12
    turned = euler_from_quaternion(taken.head)
    assert np.degrees(np.abs(turned - turned[0] - (angles - angles[0]))).max() < 1.5


def test_the_resting_direction_is_taken_off_and_movement_kept() -> None:
    time = np.arange(100) / FPS
    moved = np.radians(np.stack([4 * np.sin(time * 5), 3 * np.sin(time * 4), 0 * time], axis=1))
    camera = quaternion_from_euler(np.radians(np.array([-5.0, 25.0, -7.0])))
    from msmdcli.motion.rotation import multiply

    seen = multiply(np.broadcast_to(camera, (100, 4)), quaternion_from_euler(moved))
    relative = euler_from_quaternion(relative_to(resting_direction(seen), seen))
    assert np.degrees(np.abs(relative - moved)).max() < 2.0
    assert np.degrees(np.abs(np.median(relative, axis=0))).max() < 1.0


def test_lips_and_lids_touch_where_the_landmarks_do() -> None:
    frames = 60
    jaw = hill(frames, 5, 55, 0.5)
    close = np.where((np.arange(frames) > 25) & (np.arange(frames) < 35), jaw, 0.0) * 32.8 / 38.9
    blink = hill(frames, 10, 16, 1.0)
    taken = solved(
        {"jawOpen": jaw, "mouthClose": close, "eyeBlinkLeft": blink, "eyeBlinkRight": blink}, frames, noise=0.05
    )
    gap = FACE.lip_gap + taken.values @ FACE.lip_gap_by
    assert gap[27:34].max() < 1.0 and gap[20] > 5 and gap[45] > 4
    assert taken.values[:, taken.channels.index("eyeBlinkLeft")].max() > 0.9


def test_gaze_is_the_eyes_own_whatever_the_head_does() -> None:
    frames = 80
    time = np.arange(frames) / FPS
    left = np.where(time > 1.5, 0.5, 0.0)
    angles = np.radians(np.stack([5 * np.sin(time), 15 * np.sin(time), 0 * time], axis=1))
    taken = solved({"eyeLookOutLeft": left}, frames, angles)
    found = taken.values[:, taken.channels.index("eyeLookOutLeft")]
    assert np.abs(found - left)[np.abs(time - 1.5) > 0.15].max() < 0.12
    assert abs(found[-1] - 0.5) < 0.1  # no drift
    assert np.abs(np.diff(found)).max() > 0.3  # a saccade stays one


def test_what_cannot_be_seen_is_said_to_be_unseen_and_the_far_side_is_trusted_less() -> None:
    frames = 20
    angles = np.zeros((frames, 3))
    angles[:, 1] = np.radians(40)
    taken = solved({}, frames, angles)
    for name in UNSEEN:
        assert not taken.confidence[:, taken.channels.index(name)].any()
    index = taken.channels.index
    near, far = taken.confidence[:, index("browDownRight")], taken.confidence[:, index("browDownLeft")]
    assert (far < 0.6 * near).all() and near.min() > 0.3


def test_a_lasting_expression_is_partly_kept_without_a_known_neutral() -> None:
    frames = 60
    kinds = ("browDown", "noseSneer", "mouthUpperUp")  # brows that are lowered alone may be the person's
    angry = {f"{kind}{side}": np.full(frames, 0.6) for kind in kinds for side in ("Left", "Right")}
    robust = capture(seen_face(angry, frames, noise=0.2))
    brow = robust.values[:, robust.channels.index("browDownLeft")].mean()
    calm = capture(seen_face({}, frames, noise=0.2))
    assert brow > 0.25 and calm.values[:, calm.channels.index("browDownLeft")].mean() < 0.05


def test_a_still_face_is_still_and_a_blink_is_sharp() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    curve = 0.3 + rng.normal(0, 0.01, (200, 1))
    curve[100:103] += 0.6
    calmed = smooth(curve, FPS)
    assert jitter_of(calmed)[0] < 0.5 * jitter_of(curve)[0]
    assert calmed[101, 0] > curve[101, 0] - 0.05 and calmed[99, 0] < 0.34


def test_half_seen_blinks_are_completed_and_long_squints_left() -> None:
    lids = np.zeros((100, 2))
    lids[20:25] = np.array([0.3, 0.7, 0.75, 0.5, 0.2])[:, None]
    lids[50:90] = 0.7
    done = complete_blinks(lids, FPS)
    assert done[:40].max() == pytest.approx(1.0) and done[50:90].max() == pytest.approx(0.7)


def test_non_negative_least_squares_meets_its_conditions() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    factor = rng.normal(size=(5, 12, 8))
    square, linear = factor.transpose(0, 2, 1) @ factor, rng.normal(size=(5, 8)) * 3
    found = non_negative(square, linear)
    slope = np.einsum("tab,tb->ta", square, found) - linear
    assert (np.abs(slope[(found > 1e-6) & (found < 1 - 1e-6)]) < 1e-2).all()
    assert (slope[found <= 1e-6] > -1e-2).all() and (slope[found >= 1 - 1e-6] < 1e-2).all()


def test_frames_are_solved_alike_whatever_their_number() -> None:
    curves = {"jawOpen": hill(40, 5, 35, 0.5)}
    rest = neutral_of_frames(seen_face({}, 10), known=True)
    whole = seen_face(curves, 40)
    part = Landmarks(whole.places[:25], whole.scores[:25], whole.names, 1.0, FPS)
    a, b = capture(whole, rest).values[:18], capture(part, rest).values[:18]
    face = [i for i, name in enumerate(FACE.channels) if not name.startswith("eye")]
    np.testing.assert_allclose(a[:, face], b[:, face], atol=0.02)


def test_a_profile_comes_back_and_a_wrong_file_is_refused(tmp_path: Path) -> None:
    frames = 120
    moves = {"mouthSmileLeft": hill(frames, 30, 60, 0.6), "mouthSmileRight": hill(frames, 30, 60, 0.6)}
    profile = calibrate(seen_face(moves, frames), "hero", "rom.mp4")
    assert profile.gains[SOLVED.index("mouthSmileLeft")] > 1.1 and profile.gains[SOLVED.index("browDownLeft")] == 1.0
    save_performer(tmp_path / "hero.performer.npz", profile)
    again = load_performer(tmp_path / "hero.performer.npz", SOLVED)
    np.testing.assert_allclose(again.neutral.points, profile.neutral.points, atol=1e-3)
    full = capture(seen_face(moves, frames), performer=again)
    assert full.values[:, full.channels.index("mouthSmileLeft")].max() > 0.85
    (tmp_path / "other.npz").write_bytes(b"no profile")
    with pytest.raises(MsmdError, match="no performer profile"):
        load_performer(tmp_path / "other.npz", SOLVED)
    with pytest.raises(MsmdError, match="no file"):
        load_performer(tmp_path / "none.npz", SOLVED)


def test_a_take_is_told_in_words_and_a_wrong_word_is_noticed() -> None:

    rig = Rig.load("arkit52")
    values = np.zeros((30, rig.size), np.float32)
    for name in ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"):
        values[:, rig.index(name)] = 0.7
    motion = Motion(values, Fraction(25), rig, {})
    lines = region_lines(motion, np.full(values.shape, 0.5, np.float32), np.ones(30, bool))
    assert any(line.startswith("mouth: mouthSmile") for line in lines) and "tongueOut" in lines[-1]
    assert "looks happy" in str(contradiction("furious_take_3", motion))
    assert contradiction("happy", motion) is None and contradiction("take_3", motion) is None


def test_low_brows_of_a_stranger_are_no_anger() -> None:
    rig = Rig.load("arkit52")
    values = np.zeros((30, rig.size), np.float32)
    for name in ("browDownLeft", "browDownRight", "noseSneerLeft", "noseSneerRight"):
        values[:, rig.index(name)] = 0.4
    found, known = (Motion(values, Fraction(25), rig, {"neutral": how}) for how in ("found in the take", "2.4"))
    assert contradiction("happy", found) is None  # they may be the person's own
    assert "looks angry" in str(contradiction("happy", known))
    assert contradiction("crying", known) is None  # who weeps scowls, too


def test_the_files_that_ship_say_how_they_were_made() -> None:
    assert "training.faces.landmark_correspondence" in FACE.made
    assert "training.faces.neutral_faces" in shipped_resting_faces().made
    np.testing.assert_array_equal(FACE.mirror[FACE.mirror], np.arange(468))
    left, right = (FACE.deltas[FACE.index(f"noseSneer{side}")] for side in ("Left", "Right"))
    np.testing.assert_allclose(left[FACE.mirror] * (-1, 1, 1), right, atol=0.02)


def test_heads_are_drawn_with_the_angle_that_gaze_is_told_in() -> None:
    from msmdcli.drawing.scene import LOOK_ANGLE

    assert np.degrees(LOOK_ANGLE) == pytest.approx(LOOK_DEGREES)


@pytest.mark.parametrize(("company", "least", "most"), [({}, 0.0, 0.3), ({"mouthLowerDown": 0.5}, 0.6, 1.0)])
def test_low_brows_are_a_frown_where_more_of_the_face_frowns(
    company: dict[str, float], least: float, most: float
) -> None:
    """A take whose brows are low throughout: a person's face, unless the mouth is bared, too."""
    frames, sides = 40, ("Left", "Right")
    curves = {f"browDown{side}": np.full(frames, 0.8) for side in sides}
    curves |= {f"{kind}{side}": np.full(frames, level) for kind, level in company.items() for side in sides}
    seen = seen_face(curves, frames)
    scores = np.zeros((frames, len(seen.names)))
    for name, curve in curves.items():
        scores[:, seen.names.index(name)] = 0.6 * curve
    taken = capture(Landmarks(seen.places, scores, seen.names, seen.aspect, seen.fps))
    assert least <= taken.values[:, taken.channels.index("browDownLeft")].mean() <= most
