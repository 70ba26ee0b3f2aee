from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import UsageError
from msmdcli.formats.registry import read_motion, write_motion
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.motion.roll import roll, without_roll

RIG = Rig.load("arkit52")


def line(frames: int = 20, fps: str = "30000/1001") -> Motion:
    return Motion(np.random.default_rng(0).random((frames, RIG.size)), parse_fps(fps), RIG, {"line": "a"})


@pytest.mark.parametrize("manner", ["ease", "hold"])
def test_the_line_itself_stays_as_it_is(manner: str) -> None:
    clip = line()
    longer = roll(clip, 0.5, "1/3", manner)
    assert longer.frames == 15 + 20 + 10
    np.testing.assert_array_equal(longer.values[15:35], clip.values)
    assert longer.meta == {"line": "a", "pre_roll": "15", "post_roll": "10", "sound_start": "1001/2000"}
    assert clip.meta == {"line": "a"} and roll(clip) is clip


def test_ease_starts_and_ends_at_rest_without_a_jump() -> None:
    clip = line(fps="60")
    eased = roll(clip, 1, 1).values
    assert not eased[0].any() and not eased[-1].any()
    steps = np.abs(np.diff(eased, axis=0))
    assert steps[:60].max() <= 1.6 / 60 * np.abs(clip.values[0]).max()  # smoothstep is at most 1.5 times as steep
    assert steps[0].max() < steps[29].max() / 5 and steps[-1].max() < steps[-30].max() / 5


def test_what_was_put_around_a_line_can_be_taken_away(tmp_path: Path) -> None:
    clip = line(fps="30")
    write_motion(clip, tmp_path / "a.npz", "npz", {"pre_roll": 0.5, "post_roll": 0.2})
    longer = read_motion(tmp_path / "a.npz")
    assert longer.frames == 15 + 20 + 6
    again = without_roll(longer)
    np.testing.assert_array_equal(again.values, clip.values)
    assert again.meta == {"line": "a"} and without_roll(clip) is clip
    faster = without_roll(longer.resample(60))
    np.testing.assert_allclose(faster.values[::2], clip.values, atol=1e-6)
    strange = replace(longer, meta={"pre_roll": "a while"})
    assert without_roll(strange) is strange


def test_hold_repeats_the_end_poses() -> None:
    held = roll(line(), 0.1, 0.1, "hold").values
    assert (held[:3] == held[3]).all() and (held[-3:] == held[-4]).all()


def test_twice_adds_up() -> None:
    twice = roll(roll(line(fps="25"), 0.2), 0.4, 0.2)
    assert twice.meta["pre_roll"] == "15" and Fraction(twice.meta["sound_start"]) == Fraction(3, 5)


def test_as_an_option_of_any_format(tmp_path) -> None:
    clip = line()
    for fmt, suffix in (("npz", "npz"), ("livelink-csv", "csv"), ("json", "json"), ("glb", "glb")):
        path = tmp_path / f"a.{suffix}"
        notes = write_motion(clip, path, fmt, {"pre-roll": "0.5", "post_roll": 0.1, "roll": "hold"})
        assert notes["frames"] == read_motion(path).frames == 15 + 20 + 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pre_roll": -1}, "between 0 and 60"),
        ({"post_roll": "long"}, "no.* number of seconds"),
        ({"roll": "x"}, "ease"),
    ],
)
def test_wrong_rolls(tmp_path, options: dict, says: str) -> None:
    with pytest.raises(UsageError) as error:
        write_motion(line(), tmp_path / "a.npz", "npz", options)
    import re

    assert re.search(says, f"{error.value.message} {error.value.hint}")
