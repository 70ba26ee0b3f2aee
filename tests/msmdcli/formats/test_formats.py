from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.errors import MsmdError, UsageError
from msmdcli.formats.description import described_rig
from msmdcli.formats.livelink_csv import HEADER
from msmdcli.formats.registry import FORMATS, read_motion, write_motion
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir

RIG = Rig.load("arkit52")
GOLDEN = Path(__file__).parents[2] / "data" / "livelink.csv"
FPS = ["24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60", "120"]


def recordings() -> list[Path]:
    """The app's own recordings, of the shared material."""
    shared = shared_dir()
    files = sorted((shared / "corpus" / "livelink").glob("*.csv")) if shared else []
    if not files:
        pytest.skip("needs recordings of Live Link Face: MSMD_SHARED/corpus/livelink")
    return files


def example(frames: int = 4, fps: str = "30000/1001") -> Motion:
    """Values that are easy to follow by eye: channel d is d/100, a bit more in every frame."""
    values = np.arange(RIG.size) / 100 + np.arange(frames)[:, None] / 1000
    values[:, RIG.index("tongueOut")] = 0
    values[:, -3:] = [[0.2 - 0.01 * i, -0.3 + 0.02 * i, 0.1] for i in range(frames)]
    return Motion(values, parse_fps(fps), RIG)


def random_motion(frames: int, fps: str, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    values = rng.random((frames, RIG.size))
    values[:, -3:] = rng.uniform(-1.2, 1.2, (frames, 3))
    return Motion(values, parse_fps(fps), RIG)


# --- the registry


def test_unknown_formats_options_and_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as usage:
        write_motion(example(), tmp_path / "a.csv", "livelink_csv")
    assert "livelink-csv" in usage.value.hint and usage.value.exit_code == 2
    with pytest.raises(UsageError, match="no option 'begin'"):
        write_motion(example(), tmp_path / "a.csv", "livelink-csv", {"begin": "0"})
    with pytest.raises(MsmdError, match="cannot be written"):
        write_motion(example(), tmp_path / "no" / "folder" / "a.csv", "livelink-csv")
    for name in ("absent.csv", "."):
        with pytest.raises(MsmdError):
            read_motion(tmp_path / name)
    (tmp_path / "song.txt").write_text("la la la")
    with pytest.raises(MsmdError) as error:
        read_motion(tmp_path / "song.txt")
    assert "npz (.npz)" in error.value.hint


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.read])
def test_readable_formats_return_what_was_written(tmp_path: Path, name: str) -> None:
    clip = random_motion(50, "30000/1001")
    suffix = FORMATS[name].suffix
    for file in (f"clip{suffix}", f"CLIP{suffix.upper()}", "clip.take"):  # the last is told by its content
        write_motion(clip, tmp_path / file, name)
        back = read_motion(tmp_path / file)
        assert (back.fps, back.frames, back.rig) == (clip.fps, clip.frames, RIG)
        np.testing.assert_allclose(back.values, clip.values, atol=1e-6)


# --- Live Link Face: writing


def test_golden_file(tmp_path: Path) -> None:
    """To make it anew: write_motion(example(), GOLDEN, "livelink-csv", {"start": "01:02:03:58.5"})."""
    path = tmp_path / "out.csv"
    write_motion(example(), path, "livelink-csv", {"start": "01:02:03:58.5"})
    assert path.read_bytes() == GOLDEN.read_bytes()


def test_an_independent_reader_finds_every_value(tmp_path: Path) -> None:
    clip = random_motion(20, "25")
    path = tmp_path / "out.csv"
    write_motion(clip, path, "livelink-csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 and all(len(row) == 63 and row["BlendshapeCount"] == "61" for row in rows)
    for row, values in zip(rows, clip.values, strict=True):
        for name, value in zip(RIG.channels[:52], values, strict=False):
            assert float(row[name[0].upper() + name[1:]]) == pytest.approx(value, abs=1e-9)
        assert all(len(number.split(".")[1]) == 10 for key, number in row.items() if key not in HEADER[:2])
    assert [row["Timecode"] for row in rows[:4]] == [
        "00:00:00:00.000",
        "00:00:00:02.400",
        "00:00:00:04.800",
        "00:00:00:07.200",
    ]


@pytest.mark.parametrize(
    ("channel", "column", "sign"),
    [("headPitch", "HeadPitch", 1), ("headYaw", "HeadYaw", -1), ("headRoll", "HeadRoll", -1)],
)
def test_signs_of_the_head(tmp_path: Path, channel: str, column: str, sign: int) -> None:
    values = np.zeros((1, 55))
    values[0, RIG.index(channel)] = 0.25
    path = tmp_path / "out.csv"
    write_motion(Motion(values, Fraction(60), RIG), path, "livelink-csv")
    with path.open(newline="") as file:
        row = next(csv.DictReader(file))
    assert {name: float(row[name]) for name in HEADER[54:]} == pytest.approx(
        {name: sign * 0.25 * (name == column) for name in HEADER[54:]}, abs=1e-7
    )
    assert "-0.0000000000" not in path.read_text()


def test_eyes_follow_their_channels(tmp_path: Path) -> None:
    """To the person's right, the left eye looks inwards, the right one outwards: both yaws are positive, as down is."""
    values = np.zeros((1, 55))
    look = {"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5, "eyeLookDownLeft": 0.2, "eyeLookUpRight": 0.2}
    for channel, value in look.items():
        values[0, RIG.index(channel)] = value
    path = tmp_path / "out.csv"
    write_motion(Motion(values, Fraction(60), RIG), path, "livelink-csv")
    with path.open(newline="") as file:
        row = next(csv.DictReader(file))
    eyes = [float(row[name]) for name in HEADER[57:]]
    assert eyes == pytest.approx([0.295, 0.142, 0.295 * 0.142, 0.325, -0.084, 0.325 * -0.084], abs=1e-6)


@pytest.mark.parametrize("start", ["noon", "1:2:3", "00:00:00:60", "24:00:00:00", "00:60:00:00", "00:00:00:-1"])
def test_wrong_start(tmp_path: Path, start: str) -> None:
    with pytest.raises(MsmdError) as error:
        write_motion(example(), tmp_path / "out.csv", "livelink-csv", {"start": start})
    assert start in error.value.message and "sixtieths" in error.value.hint


def test_a_rig_without_the_channels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "format_version: 1\nname: small\nchannels: [{name: open, region: mouth, range: [0, 1]}]\n"
    )
    small = Rig.load(tmp_path / "small.yaml")
    with pytest.raises(MsmdError, match="eyeBlinkLeft"):
        write_motion(Motion(np.zeros((1, 1)), Fraction(25), small), tmp_path / "out.csv", "livelink-csv")


# --- Live Link Face: reading


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 150),
    st.sampled_from(FPS),
    st.sampled_from(["00:00:00:00", "01:00:00:00", "13:12:41:17.586", "23:59:59:58.999"]),
)
def test_the_frame_rate_survives(tmp_path_factory: pytest.TempPathFactory, frames: int, fps: str, start: str) -> None:
    path = tmp_path_factory.mktemp("fps") / "out.csv"
    clip = Motion(np.full((frames, RIG.size), 0.25), parse_fps(fps), RIG)
    write_motion(clip, path, "livelink-csv", {"start": start})
    back = read_motion(path)
    assert (back.fps, back.frames) == (clip.fps, frames)
    assert back.meta["timecode"].startswith(start)


def rewrite(path: Path, change: object) -> Path:
    """The golden file with its rows (lists of cells, the header first) changed by a function."""
    with GOLDEN.open(newline="") as file:
        rows = list(csv.reader(file))
    rows = change(rows) or rows  # type: ignore[operator]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_names_in_any_case_and_order_and_a_bom(tmp_path: Path) -> None:
    original = read_motion(GOLDEN)
    turned = rewrite(tmp_path / "a.csv", lambda rows: [row[::-1] for row in rows]).read_text().splitlines()
    path = tmp_path / "a.csv"
    path.write_text("\n".join([turned[0].upper(), *turned[1:]]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(read_motion(path).values, original.values)
    eyeless = rewrite(tmp_path / "b.csv", lambda rows: [row[:57] for row in rows])
    np.testing.assert_array_equal(read_motion(eyeless).values, original.values)


def timecodes(*codes: str) -> object:
    def change(rows: list[list[str]]) -> list[list[str]]:
        return [rows[0], *([code, *rows[1 + i % 4][1:]] for i, code in enumerate(codes))]

    return change


def test_timecode_that_counts_in_its_own_rate(tmp_path: Path) -> None:
    """Other programs write the frame's number within the second."""
    codes = [f"00:00:{i // 30:02d}:{i % 30:02d}" for i in range(70)]
    clip = read_motion(rewrite(tmp_path / "a.csv", timecodes(*codes)))
    assert (clip.fps, clip.frames) == (30, 70)


def test_dropped_frames_are_filled(tmp_path: Path) -> None:
    path = rewrite(tmp_path / "a.csv", timecodes(*(f"00:00:00:{i:02d}.000" for i in (0, 1, 2, 3, 6, 7, 8))))
    clip = read_motion(path)
    assert (clip.fps, clip.frames, clip.meta["filled_frames"]) == (60, 9, "2")
    blink = clip.values[:, 0] * 1000  # the rows hold 0 1 2 3 0 1 2
    np.testing.assert_allclose(blink, [0, 1, 2, 3, 2, 1, 0, 1, 2], atol=1e-4)


def test_frames_without_a_face_are_filled(tmp_path: Path) -> None:
    def lose(rows: list[list[str]]) -> None:
        rows[2][1:] = ["0", *["0.0"] * 61]
        rows[4][1:] = ["0"]  # some versions of the app write no numbers at all

    clip = read_motion(rewrite(tmp_path / "a.csv", lose))
    np.testing.assert_allclose(clip.values[:, 0], [0, 0.001, 0.002, 0.002], atol=1e-6)
    assert clip.fps == Fraction(30000, 1001)

    def lose_all(rows: list[list[str]]) -> None:
        for row in rows[1:]:
            row[1] = "0"

    with pytest.raises(MsmdError, match="no frame holds a face"):
        read_motion(rewrite(tmp_path / "b.csv", lose_all))


def test_the_rate_can_be_given(tmp_path: Path) -> None:
    path = rewrite(tmp_path / "a.csv", timecodes("1", "2", "3"))
    with pytest.raises(MsmdError) as error:
        read_motion(path)
    assert "line 2" in error.value.message and "fps" in error.value.hint
    clip = read_motion(path, {"fps": 24})
    assert (clip.fps, clip.frames) == (24, 3)
    assert read_motion(rewrite(path, timecodes("00:00:00:05.000"))).frames == 1


def edit(row: int, column: int, text: str) -> object:
    def change(rows: list[list[str]]) -> None:
        rows[row][column] = text

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edit(0, 19, "Jaw"), r"lacks the columns JawOpen \("),
        (lambda rows: [row[:40] for row in rows], "MouthLowerDownRight, .* and 12 more"),
        (edit(0, 3, "JawOpen"), "lacks the columns EyeLookDownLeft"),
        (lambda rows: [[*row, row[5]] for row in rows], "twice"),
        (edit(3, 19, "wide"), "line 4: 'wide' in column JawOpen is no number"),
        (edit(3, 19, "nan"), "line 4: nan in column JawOpen"),
        (lambda rows: [*rows[:3], rows[3][:30]], "line 4: 30 columns, the header has 63"),
        (edit(3, 0, "01:02:03:04"), "line 4: the timecode runs backwards"),
        (edit(3, 0, "01:02:04:00.502"), "line 4: the timecode stands still"),
        (edit(3, 0, "01:02:99:04"), "line 4: timecode '01:02:99:04'"),
        (lambda rows: rows[:1], "no frames"),
        (lambda rows: [["a", "b"], ["1", "2"]], "lacks the columns Timecode"),
    ],
)
def test_errors_say_what_and_where(tmp_path: Path, change: object, says: str) -> None:
    path = rewrite(tmp_path / "wrong.csv", change)
    with pytest.raises(MsmdError, match=says) as error:
        read_motion(path)
    assert "wrong.csv" in error.value.message


@pytest.mark.parametrize("content", [b"", b"\n\n", bytes(range(256)), b"\x00" * 100])
def test_rubbish(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rubbish.csv"
    path.write_bytes(content)
    with pytest.raises(MsmdError, match=r"rubbish\.csv"):
        read_motion(path)


# --- against the app's own files


def test_recordings_are_read_in_time(tmp_path: Path) -> None:
    for path in recordings():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        clip = read_motion(path)
        assert clip.frames == len(rows) and clip.meta["nominal_fps"] == "60"
        for i in (0, 100, len(rows) - 1):  # what the timecode says, by hand
            h, m, s, f = (float(part) for part in rows[i]["Timecode"].split(":"))
            h0, m0, s0, f0 = (float(part) for part in rows[0]["Timecode"].split(":"))
            seconds = (h - h0) * 3600 + (m - m0) * 60 + (s - s0) + (f - f0) / 60
            assert float(i / clip.fps) == pytest.approx(seconds, abs=0.0005)
            assert clip.values[i, RIG.index("mouthLeft")] == pytest.approx(float(rows[i]["MouthLeft"]), abs=1e-7)


def test_recordings_are_written_as_the_app_wrote_them(tmp_path: Path) -> None:
    """Header, layout, number format and blendshapes byte for byte; the eyes as well as their formula can."""
    for path in recordings():
        copy = tmp_path / "copy.csv"
        clip = read_motion(path)
        write_motion(clip, copy, "livelink-csv", {"start": clip.meta["timecode"]})
        theirs, ours = path.read_text().splitlines(), copy.read_text().splitlines()
        assert ours[0] == theirs[0] and len(ours) == len(theirs)
        a = [line.split(",") for line in theirs[1:]]
        b = [line.split(",") for line in ours[1:]]
        assert [row[1:57] for row in a] == [row[1:57] for row in b]
        assert len(a[0][0]) == len(b[0][0]) and a[0][0] == b[0][0]
        eyes_a, eyes_b = (np.array([row[57:] for row in rows], float) for rows in (a, b))
        for column in (0, 1, 3, 4):  # yaw and pitch of either eye
            assert np.corrcoef(eyes_a[:, column], eyes_b[:, column])[0, 1] > 0.94
            assert np.median(np.abs(eyes_a[:, column] - eyes_b[:, column])) < np.radians(1)


@pytest.mark.parametrize("targets", [3, "a", {"jawOpen": 3}, {"jawOpen": "a"}])
def test_a_note_of_targets_that_is_none_is_refused(targets: object) -> None:
    with pytest.raises(MsmdError, match="no list of names"):
        described_rig({"targets": targets})
    assert described_rig({"targets": {"jawOpen": ["a", "b"]}}).targets == {"jawOpen": ("a", "b")}
