from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, frame_count, load_npz, parse_fps, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import (
    engine_from_quaternion,
    euler_from_quaternion,
    nearest_euler,
    quaternion_from_engine,
    quaternion_from_euler,
)

RIG = Rig.load("arkit52")
HEAD = [52, 53, 54]
RATES = [Fraction(n) for n in (24, 25, 30, 48, 50, 60, 120)] + [Fraction(n * 1000, 1001) for n in (24, 30, 60)]


def motion(values: np.ndarray, fps: object = 25) -> Motion:
    """A motion from values [T, 55], or [T] for all channels alike."""
    values = np.asarray(values, dtype=np.float32)
    return Motion(np.repeat(values[:, None], RIG.size, axis=1) if values.ndim == 1 else values, fps, RIG)


def tone(hertz: float, fps: Fraction | int, frames: int) -> np.ndarray:
    """0.5 + 0.4 sin, [T]."""
    return 0.5 + 0.4 * np.sin(2 * np.pi * hertz * np.arange(frames) / float(fps))


# --- the container


def test_a_motion_knows_its_time() -> None:
    clip = motion(np.zeros(90), "30000/1001")
    assert clip.frames == 90 and clip.values.dtype == np.float32
    assert clip.seconds == Fraction(3003, 1000)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((3, 54)), r"\(3, 54\)"),
        (np.zeros((0, 55)), "no frames"),
        (np.zeros(55), "shape"),
        (np.full((2, 55), np.nan), "nan in channel eyeBlinkLeft, frame 0"),
        (np.full((2, 55), np.inf), "inf"),
    ],
)
def test_wrong_values_are_refused(values: np.ndarray, says: str) -> None:
    with pytest.raises(MsmdError, match=says):
        Motion(values, Fraction(25), RIG)


def test_clip_and_slice_leave_the_original_alone() -> None:
    clip = motion(np.linspace(-2, 2, 9))
    clipped = clip.clip()
    assert clipped.values[:, :52].min() == 0 and clipped.values[:, :52].max() == 1
    assert clipped.values[:, 53].max() == pytest.approx(np.pi / 2)
    part = clip.slice(2, 5)
    part.values[:] = 9
    assert part.frames == 3 and clip.values.min() == -2 and clip.values.max() == 2
    for start, stop in ((3, 3), (-1, 2), (0, 10)):
        with pytest.raises(MsmdError):
            clip.slice(start, stop)


@pytest.mark.parametrize(
    ("given_", "fps"),
    [
        ("25", Fraction(25)),
        (25, Fraction(25)),
        ("25/1", Fraction(25)),
        ("30000/1001", Fraction(30000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (Fraction(2997, 100), Fraction(2997, 100)),  # a fraction is meant exactly
    ],
)
def test_parse_fps(given_: object, fps: Fraction) -> None:
    assert parse_fps(given_) == fps


@pytest.mark.parametrize("wrong", ["fast", "0", "-25", "1/0", "1e9", "nan", ""])
def test_parse_fps_refuses(wrong: str) -> None:
    with pytest.raises(MsmdError):
        parse_fps(wrong)


def test_frame_count_rounds_halves_up() -> None:
    assert frame_count(Fraction(58, 100), 25) == frame_count(0.58, 25) == 15  # 14.5
    assert frame_count(0.579, 25) == 14
    assert frame_count(1.3, 25) == 33  # 32.5
    assert frame_count(Fraction(3003, 1000), "30000/1001") == 90
    assert frame_count(Fraction(1, 48000), 25) == 1  # never none


# --- resampling


@given(st.integers(1, 400), st.sampled_from(RATES), st.sampled_from(RATES), st.floats(-1, 1, width=32))
def test_resampling_keeps_duration_and_constants(frames: int, fps: Fraction, target: Fraction, value: float) -> None:
    clip = motion(np.full(frames, value), fps)
    result = clip.resample(target)
    assert result.fps == target
    assert result.frames == frame_count(clip.seconds, target)
    np.testing.assert_array_equal(result.values, np.float32(value))  # exactly


@given(st.integers(2, 200), st.sampled_from(RATES), st.sampled_from(RATES))
def test_a_ramp_stays_where_it_is_in_time(frames: int, fps: Fraction, target: Fraction) -> None:
    """value = time: any shift in time, at any frame up to the last source frame, would show as it is, in seconds."""
    clip = motion(np.arange(frames) / float(fps), fps)
    result = clip.resample(target)
    expected = np.minimum(np.arange(result.frames) / float(target), (frames - 1) / float(fps))
    tolerance = 2e-6 if target >= fps else 0.02 / float(target)
    np.testing.assert_allclose(result.values[:, 0], expected, atol=tolerance * max(1, frames / float(fps)))


def test_long_clips_do_not_drift() -> None:
    fps, target = Fraction(30000, 1001), Fraction(25)
    clip = motion((np.arange(40_000) / float(fps)) % 2 < 1, fps)  # a square wave, 22 minutes
    result = clip.resample(target).values[:, 0]
    times = np.arange(len(result)) / 25
    edges = times[1:][np.diff(result > 0.5)]
    assert len(edges) > 1300
    assert np.abs(edges - np.round(edges)).max() < 1.5 / float(fps)


def test_the_same_rate_changes_nothing() -> None:
    clip = motion(np.random.default_rng(0).random((40, 55)))
    np.testing.assert_array_equal(clip.resample(25).values, clip.values)


@settings(deadline=None)
@given(st.integers(26, 200), st.floats(0.5, 3.5), st.floats(0, 6), st.floats(0.05, 0.4))
def test_up_and_down_again_gives_the_same_motion(frames: int, hertz: float, phase: float, size: float) -> None:
    clip = motion(0.5 + size * np.sin(2 * np.pi * hertz * np.arange(frames) / 25 + phase))
    back = clip.resample(60).resample(25)
    assert back.frames == frames
    error = np.abs(back.values - clip.values)
    assert error[:-2].max() < 0.08 * size
    assert error[-2:].max() < 0.2 * size  # at 60 fps the last pose is held for a moment longer: a corner


@pytest.mark.parametrize("hertz", [15.0, 18.0, 22.0, 29.0])
def test_going_down_removes_what_would_alias(hertz: float) -> None:
    clip = motion(tone(hertz, 60, 600), 60)
    naive = clip.values[(np.arange(250) * 60) // 25, 0]
    result = clip.resample(25).values[10:-10, 0]
    assert naive.std() > 0.2
    assert result.std() < (0.06 if hertz < 18 else 0.02)


@pytest.mark.parametrize("hertz", [1.0, 3.0, 6.0, 8.0])
def test_going_down_keeps_what_fits(hertz: float) -> None:
    result = motion(tone(hertz, 60, 600), 60).resample(25).values[:, 0]
    np.testing.assert_allclose(result[10:-10], tone(hertz, 25, 250)[10:-10], atol=0.02)


def test_ends_and_range_are_kept() -> None:
    values = np.random.default_rng(1).random((121, 55)).astype(np.float32)
    for target in (24, 25, 30):
        result = motion(values, 60).resample(target).values
        np.testing.assert_array_equal(result[0], values[0])
        assert result.min() >= 0 and result.max() <= 1
    tail = motion(values, 60).resample(25, frames=80).values
    np.testing.assert_allclose(tail[51:], np.repeat(values[-1:], 29, axis=0), atol=1e-6)  # held


def test_a_chosen_number_of_frames() -> None:
    clip = motion(np.arange(10) / 10)
    assert clip.resample(25, frames=7).frames == 7
    assert clip.resample(30, frames=100).frames == 100
    with pytest.raises(MsmdError):
        clip.resample(25, frames=0)
    assert motion(np.ones(1)).resample(60).values[:, 0].tolist() == [1, 1]


def test_head_angles_do_not_spin_round() -> None:
    values = np.zeros((50, 55))
    roll = np.linspace(3.0, 3.4, 50)
    values[:, 54] = np.where(roll > np.pi, roll - 2 * np.pi, roll)  # a jump from pi to -pi
    for target in (60, 15):
        result = motion(values).resample(target).values[:, 54]
        assert np.abs(np.diff(result)).max() < 0.03
        assert result.min() >= 2.99


def test_large_head_angles_are_interpolated_as_rotations() -> None:
    """Halfway between two poses near yaw = 90 degrees, pitch and roll mean the same axis: angles alone go astray."""
    a, b = np.radians([40.0, 89.0, 0.0]), np.radians([0.0, 89.0, -40.0])
    values = np.zeros((2, 55))
    values[:, HEAD] = [a, b]
    middle = motion(values, 10).resample(20).values[1, HEAD]
    q = quaternion_from_euler(np.stack([a, b, middle]))
    dots = np.abs(q @ q.T)
    angles = 2 * np.arccos(np.clip(dots, 0, 1))
    assert angles[0, 2] == pytest.approx(angles[1, 2], abs=1e-3)  # as far from either
    assert angles[0, 2] + angles[1, 2] == pytest.approx(angles[0, 1], abs=1e-3)  # on the shortest way


# --- rotations

ANGLE = st.floats(-1.4, 1.4)


def matrix(axis: int, angle: float) -> np.ndarray:
    i, j = (axis + 1) % 3, (axis + 2) % 3
    m = np.eye(3)
    m[i, i] = m[j, j] = np.cos(angle)
    m[i, j], m[j, i] = -np.sin(angle), np.sin(angle)
    return m


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    u = np.cross(q[1:], v) * 2
    return v + q[0] * u + np.cross(q[1:], u)


@given(ANGLE, ANGLE, ANGLE)
def test_angles_mean_what_the_rig_says(pitch: float, yaw: float, roll: float) -> None:
    angles = np.array([pitch, yaw, roll])
    ours = matrix(2, roll) @ matrix(1, yaw) @ matrix(0, pitch)
    engine = matrix(1, yaw) @ matrix(0, pitch) @ matrix(2, roll)
    for axis in np.eye(3):
        np.testing.assert_allclose(rotate(quaternion_from_euler(angles), axis), ours @ axis, atol=1e-9)
        np.testing.assert_allclose(rotate(quaternion_from_engine(angles), axis), engine @ axis, atol=1e-9)
    np.testing.assert_allclose(euler_from_quaternion(quaternion_from_euler(angles)), angles, atol=1e-7)
    np.testing.assert_allclose(engine_from_quaternion(quaternion_from_engine(angles)), angles, atol=1e-7)
    other = np.array([pitch + np.pi, np.pi - yaw, roll - np.pi])
    np.testing.assert_allclose(nearest_euler(other, angles + 0.1), angles, atol=1e-7)


# --- npz


def test_npz_round_trip(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((7, 55))
    clip = Motion(values, Fraction(24000, 1001), RIG, {"source": "a take", "note": "ü"})
    path = tmp_path / "clip.anything"
    save_npz(path, clip)
    loaded = load_npz(path)
    np.testing.assert_array_equal(loaded.values, clip.values)
    assert (loaded.fps, loaded.rig, loaded.meta) == (clip.fps, RIG, clip.meta)

    with np.load(path, allow_pickle=False) as file:  # what the design promises to other programs
        assert file["values"].shape == (7, 55) and file["values"].dtype == np.float32
        assert file["channels"].tolist() == list(RIG.channels)
        assert (str(file["fps"]), str(file["rig"]), int(file["format_version"])) == ("24000/1001", "arkit52", 1)
        assert json.loads(str(file["meta"])) == clip.meta
    again = tmp_path / "again.npz"
    save_npz(again, clip)
    assert again.read_bytes() == path.read_bytes()


def npz(path: Path, **changes: object) -> Path:
    fields: dict[str, object] = {
        "values": np.zeros((2, 55), np.float32),
        "channels": np.array(RIG.channels),
        "fps": np.array("25/1"),
        "rig": np.array("arkit52"),
        "format_version": np.array(1),
        "meta": np.array("{}"),
    }
    fields.update(changes)
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def test_npz_channels_are_matched_by_name(tmp_path: Path) -> None:
    values = np.arange(110, dtype=np.float32).reshape(2, 55)
    path = npz(tmp_path / "a.npz", values=values[:, ::-1], channels=np.array(RIG.channels[::-1]))
    np.testing.assert_array_equal(load_npz(path).values, values)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fps": None}, "no fps"),
        ({"rig": np.array("alien")}, "alien"),
        ({"format_version": np.array(2)}, "motion format 2"),
        ({"values": np.zeros((2, 54), np.float32)}, "54"),
        ({"values": np.full((2, 55), np.nan, np.float32)}, "nan"),
        ({"fps": np.array("quick")}, "quick"),
        ({"channels": np.array(["x", *RIG.channels[1:]])}, "eyeBlinkLeft"),
        ({"meta": np.array("[1]")}, "is no motion"),
        ({"values": np.array([{}], dtype=object)}, "not a readable npz"),  # a pickle is never opened
    ],
)
def test_npz_errors_name_the_file(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = npz(tmp_path / "wrong.npz", **changes)
    with pytest.raises(MsmdError, match=says) as error:
        load_npz(path)
    assert "wrong.npz" in error.value.message


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_npz_of_rubbish(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rubbish.npz"
    path.write_bytes(content)
    with pytest.raises(MsmdError, match=r"rubbish\.npz"):
        load_npz(path)
    with pytest.raises(MsmdError, match="no such file"):
        load_npz(tmp_path / "absent.npz")
