"""The sheet of curves: every channel once, true heights, well-formed SVG."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from msmdcli.drawing.curve_sheet import LEFT, RIGHT, groups_of, write_curve_sheet
from msmdcli.media.audio import Audio
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
SVG = "{http://www.w3.org/2000/svg}"


def motion(frames: int = 50, **peaks: float) -> Motion:
    values = np.zeros((frames, RIG.size), np.float32)
    for name, peak in peaks.items():
        values[:, RIG.index(name)] = peak * np.linspace(0, 1, frames)
    return Motion(values, Fraction(25), RIG)


def test_every_channel_stands_once() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    values = rng.uniform(0, 1, (20, RIG.size)).astype(np.float32)
    groups, still = groups_of(Motion(values, 25, RIG))
    curves = [tuple(values) for group in groups for lane in group.lanes for _, values in lane.curves]
    assert len(curves) == len(set(curves)) == RIG.size and still == ()
    assert sum(len(lane.curves) == 2 for group in groups for lane in group.lanes) == 20  # pairs share a lane


def test_scales_and_sides() -> None:
    groups, still = groups_of(motion(jawOpen=0.42, mouthSmileLeft=1.4, headYaw=-0.2))
    found = {group.name: group for group in groups}
    assert len(still) == RIG.size - 3
    jaw = next(group for group in groups if group.lanes[0].label == "jawOpen")
    assert (jaw.low, jaw.high) == (0.0, 0.5)
    head = next(group for group in groups if group.unit == "°")
    assert head.low == -head.high == -15.0  # 0.2 rad is 11.5 degrees
    smile = next(lane for group in found.values() for lane in group.lanes if lane.label == "mouthSmileLeft")
    assert smile.curves[0][0] == LEFT


def test_the_page_is_svg_with_the_waveform_and_all_names(tmp_path: Path) -> None:
    sound = Audio(np.sin(np.arange(32000) * 0.1).astype(np.float32), 16000, 16000, 1, Fraction(2))
    shown = motion(jawOpen=0.4, browDownLeft=0.5, browDownRight=0.2)
    write_curve_sheet(tmp_path / "a.svg", shown, sound, "guard & co <1>")
    page = ElementTree.parse(tmp_path / "a.svg").getroot()
    words = [element.text for element in page.iter(f"{SVG}text")]
    assert {"guard & co <1>", "sound", "jawOpen", "browDown", "1 s"} <= set(words)
    assert any(word and word.startswith("Still: ") and "eyeBlinkLeft" in word for word in words)
    lines = [line for line in page.iter(f"{SVG}polyline") if len(str(line.get("points")).split()) == 50]
    assert [line.get("stroke") for line in lines].count(LEFT) == 1
    assert [line.get("stroke") for line in lines].count(RIGHT) == 1
    heights = [float(pair.split(",")[1]) for pair in str(lines[0].get("points")).split()]
    assert heights == sorted(heights, reverse=True)  # the jaw opens: the curve rises


def test_short_and_still_motions_have_a_page(tmp_path: Path) -> None:
    for shown in (motion(1), motion(1, jawOpen=1.0), motion(2, jawOpen=1.0)):
        write_curve_sheet(tmp_path / "a.svg", shown, None)
        page = ElementTree.parse(tmp_path / "a.svg").getroot()
        assert page.tag == f"{SVG}svg" and any(True for _ in page.iter(f"{SVG}text"))
