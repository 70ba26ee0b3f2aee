"""When the rows of Live Link CSVs are, as the app, other writers, editors and spreadsheets leave them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.formats.livelink_csv import HEADER
from msmdcli.formats.registry import read_motion
from msmdcli.motion.motion import Motion

JAW = HEADER.index("JawOpen")


def write(path: Path, rows: int, label: Callable[[int], str], separator: str = ",", scale: float = 1.0) -> Path:
    """A take whose jaw opens evenly, so that each value tells its row."""
    lines = [separator.join(HEADER)]
    for i in range(rows):
        values = ["0"] * 61
        values[JAW - 2] = f"{scale * i / rows:.6f}"
        values = [value.replace(".", ",") for value in values] if separator == ";" else values
        lines.append(separator.join([label(i), "61", *values]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows_of(motion: Motion, rows: int) -> np.ndarray:
    """Which row each frame is: [T]."""
    return motion.values[:, motion.rig.index("jawOpen")] * rows


def at_their_time(motion: Motion, rows: int, fps: float) -> bool:
    """Whether each row lies within half a frame of its time."""
    frames = np.arange(motion.frames) / float(motion.fps)
    return bool(np.abs(rows_of(motion, rows) / fps - frames).max() < 0.6 / fps)


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_decimals_that_are_milliseconds_of_the_second(tmp_path: Path, fps: int) -> None:
    def label(i: int) -> str:
        within = (i / fps) % 1
        return f"{clock(i / fps)}:{int(within * 60 + 1e-9):02d}.{int(within * 1000 + 1e-9):03d}"

    motion = read_motion(write(tmp_path / "a.csv", 700, label))
    assert at_their_time(motion, 700, fps)
    assert abs(float(motion.fps) - fps) < 0.05 and abs(motion.frames - 700) <= 1


@pytest.mark.parametrize("fps", [24, 25, 30, 60])
def test_decimals_that_count_rows(tmp_path: Path, fps: int) -> None:
    path = write(tmp_path / "a.csv", 20 * fps, lambda i: f"{clock(i // fps)}:{i % fps:02d}.{i % 1000:03d}")
    motion = read_motion(path)
    assert (motion.fps, motion.frames) == (fps, 20 * fps)


def test_the_app_at_59_94_is_not_taken_for_a_counter(tmp_path: Path) -> None:
    def label(i: int) -> str:
        ticks = round(i * 60 / Fraction(60000, 1001) * 1000)  # thousandths of sixtieths
        return f"{clock(ticks // 60000)}:{ticks % 60000 // 1000:02d}.{ticks % 1000:03d}"

    motion = read_motion(write(tmp_path / "a.csv", 1500, label))
    assert (motion.fps, motion.frames) == (Fraction(60000, 1001), 1500)


def test_jitter_does_not_add_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    jitter = np.cumsum(rng.normal(0, 0.02, 3600))  # sixtieths of a second
    jitter -= np.linspace(jitter[0], jitter[-1], 3600)
    times = np.arange(3600) * 60 / 59.904 + np.clip(jitter, -0.3, 0.3)

    def label(i: int) -> str:
        ticks = round(float(times[i]) * 1000) + 60_000
        return f"{clock(ticks // 60000)}:{ticks % 60000 // 1000:02d}.{ticks % 1000:03d}"

    motion = read_motion(write(tmp_path / "a.csv", 3600, label))
    assert motion.frames == 3600 and at_their_time(motion, 3600, 59.904)


def test_drop_frame_timecode(tmp_path: Path) -> None:
    def label(
        i: int,
    ) -> str:  # SMPTE ST 12-1: of the labels of a minute the first two are left out, but for every tenth
        i += 1790
        tens, left = divmod(i, 17982)
        i += 18 * tens + (2 * ((left - 2) // 1798) if left > 1 else 0)
        return f"00:{i // 1800:02d}:{i // 30 % 60:02d};{i % 30:02d}"

    assert label(9) == "00:00:59;29" and label(10) == "00:01:00;02"
    motion = read_motion(write(tmp_path / "a.csv", 4000, label))
    assert (motion.fps, motion.frames) == (Fraction(30000, 1001), 4000)


def test_dropped_rows_are_filled_at_their_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 300, lambda i: f"00:00:{i // 30:02d}:{i % 30 * 2:02d}.000")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:40] + lines[55:]) + "\n")
    motion = read_motion(path)
    assert (motion.fps, motion.frames, motion.meta["filled_frames"]) == (30, 300, "15")
    assert at_their_time(motion, 300, 30)


def test_a_rate_that_the_rows_contradict_is_refused(tmp_path: Path) -> None:
    def label(i: int) -> str:  # thirty rows a second, labelled in steps of one sixtieth from each whole second on
        return f"00:00:{i // 30:02d}:{i % 30:02d}.000" if i >= 30 else f"00:00:00:{30 + i:02d}.000"

    with pytest.raises(MsmdError) as error:
        read_motion(write(tmp_path / "a.csv", 100, lambda i: label(i) if i != 40 else "00:00:01:59.000"))
    assert "fps" in error.value.hint


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_spreadsheets(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path / "a.csv", 90, lambda i: f"00:00:{i // 30:02d}:{i % 30 * 2:02d}.000", separator)
    motion = read_motion(path)
    assert (motion.fps, motion.frames) == (30, 90) and at_their_time(motion, 90, 30)


def test_a_last_row_that_was_cut_off_is_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 90, lambda i: f"00:00:{i // 30:02d}:{i % 30 * 2:02d}.000")
    path.write_text(path.read_text()[:-60])
    motion = read_motion(path)
    assert motion.frames == 89 and "line 91" in motion.meta["left_out"]


def test_percent_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 90, lambda i: f"00:00:{i // 30:02d}:{i % 30 * 2:02d}.000", scale=100)
    with pytest.raises(MsmdError, match="reach 98") as error:
        read_motion(path)
    assert "percent" in error.value.hint
