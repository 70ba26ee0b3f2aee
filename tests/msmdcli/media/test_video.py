"""Videos: rates, times, rotation, size, and what is none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_video import constant_times, number_of, numbered, write_video

from msmdcli.drawing.pictures import write_png
from msmdcli.errors import MsmdError
from msmdcli.media.audio import load_audio
from msmdcli.media.suffixes import is_video
from msmdcli.media.video import probe_video, read_video, stated_seconds

NTSC_FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)


def numbers(count: int) -> list[np.ndarray]:
    return [numbered(i) for i in range(count)]


@pytest.mark.parametrize("fps", [Fraction(25), NTSC_FILM, NTSC, Fraction(50), Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_constant_rates_are_exact(tmp_path: Path, fps: Fraction, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", numbers(70), constant_times(70, fps))
    info = probe_video(path)
    assert (info.fps, info.variable, info.frames, info.seconds) == (fps, False, 70, 70 / fps)
    read = list(read_video(path))
    assert [number_of(picture) for _, picture in read] == list(range(70))
    assert max(abs(time - i / fps) for i, (time, _) in enumerate(read)) <= Fraction(1, 1000)  # Matroska counts in ms


def test_a_phones_variable_rate(tmp_path: Path) -> None:
    rng = np.random.Generator(np.random.Philox(1))
    steps = rng.choice([29, 33, 34, 38], size=89) + np.where(np.arange(89) == 40, 66, 0)  # ms; one long pause
    times = [Fraction(int(ms), 1000) for ms in np.concatenate([[0], np.cumsum(steps)])]
    path = write_video(tmp_path / "phone.mp4", numbers(90), times)
    info = probe_video(path)
    assert info.variable and info.fps == 30 and info.frames == 90
    assert abs(info.seconds - times[-1] - Fraction(1, 30)) < Fraction(1, 20)
    read = list(read_video(path))
    assert [number_of(picture) for _, picture in read] == list(range(90))
    assert max(abs(time - wanted) for (time, _), wanted in zip(read, times, strict=True)) < Fraction(1, 10000)


def test_time_starts_at_the_first_picture_for_sound_too(tmp_path: Path) -> None:
    fps, late = Fraction(25), Fraction(2, 5)
    click = np.zeros(16000, np.float32)
    click[4800:5600] = 0.8  # 0.3 s into a sound that starts 0.4 s after the first picture
    path = write_video(
        tmp_path / "late.mkv", numbers(40), constant_times(40, fps, Fraction(1)), sound=(click, 1 + late)
    )
    assert next(read_video(path))[0] == 0
    samples = load_audio(path).samples
    assert probe_video(path).has_audio
    heard = int(np.argmax(np.abs(samples) > 0.3)) / 16000
    assert abs(heard - 0.7) < 0.05


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_metadata_is_applied(tmp_path: Path, rotation: int) -> None:
    upright = numbered(5, 128, 96)
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))  # the player turns it back
    path = write_video(tmp_path / "turned.mp4", [stored] * 5, constant_times(5, Fraction(30)), rotation=rotation)
    info = probe_video(path)
    assert (info.width, info.height, info.rotation) == (128, 96, rotation)
    _, picture = next(read_video(path))
    assert picture.shape == (96, 128, 3) and picture.flags.c_contiguous
    assert np.abs(picture.astype(int) - upright).mean() < 12
    _, small = next(read_video(path, max_height=48))
    assert small.shape == (48, 64, 3)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", [numbered(3)] * 3, constant_times(3, Fraction(25)), aspect=Fraction(4, 3))
    info = probe_video(path)
    assert (info.width, info.height) == (171, 96)
    _, picture = next(read_video(path))
    assert picture.shape == (96, 171, 3) and number_of(picture) == 3


def test_odd_widths_come_without_padding(tmp_path: Path) -> None:
    path = write_video(tmp_path / "odd.mp4", [numbered(7, 360, 288)] * 2, constant_times(2, Fraction(25)))
    _, picture = next(read_video(path))
    assert picture.flags.c_contiguous and number_of(picture) == 7


def test_a_part_of_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", numbers(50), constant_times(50, Fraction(25)))
    part = [(time, number_of(picture)) for time, picture in read_video(path, start=0.4, stop=1.0)]
    assert part == [(Fraction(i, 25), i) for i in range(10, 25)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_far_into_a_video_is_reached_by_its_index(tmp_path: Path, suffix: str) -> None:
    fps = Fraction(10)
    path = write_video(tmp_path / f"long{suffix}", numbers(200), constant_times(200, fps, Fraction(3)))
    part = [(time, number_of(picture)) for time, picture in read_video(path, start=12.25, stop=13.0)]
    assert part == [(i / fps, i) for i in range(123, 130)]


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Files that are no videos, by what they are."""
    good = write_video(
        tmp_path / "good.mp4", numbers(60), constant_times(60, Fraction(25)), options={"movflags": "faststart"}
    )
    files = {name: tmp_path / f"{name}.mp4" for name in ("text", "zero", "picture", "cut", "half", "noise", "folder")}
    files["text"].write_text("a shopping list\n" * 50)
    files["zero"].touch()
    write_png(files["picture"], numbered(1))
    files["cut"].write_bytes(good.read_bytes()[:300])
    data = good.read_bytes()
    files["half"].write_bytes(data[: len(data) * 6 // 10])
    files["noise"].write_bytes(np.random.Generator(np.random.Philox(2)).bytes(30000))
    files["folder"].mkdir()
    files["absent"] = tmp_path / "absent.mp4"
    return files


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("text", "cannot be read as a video"),
        ("zero", "is empty"),
        ("picture", "is a picture"),
        ("cut", "damaged or cut off"),
        ("half", "damaged or cut off"),
        ("noise", "cannot be read as a video"),
        ("folder", "is not a video but a folder"),
        ("absent", "no such video"),
    ],
)
def test_what_is_no_video_gets_one_sentence(bad: dict[str, Path], what: str, says: str) -> None:
    with pytest.raises(MsmdError, match=says) as caught:
        probe_video(bad[what])
    assert str(bad[what]) in caught.value.message and "\n" not in caught.value.message
    assert stated_seconds(bad[what]) >= 0


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(16000, np.float32), 16000)
    with pytest.raises(MsmdError, match="no picture track"):
        probe_video(tmp_path / "a.wav")


def test_names_of_videos() -> None:
    assert is_video("a/B.MOV") and is_video("x.mp4") and not is_video("x.csv") and not is_video("mp4")


def test_half_a_matroska_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", numbers(70), constant_times(70, Fraction(25)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MsmdError, match="cut off"):
        probe_video(path)
