"""Curves of a motion on one page (SVG), the waveform above them: to see timing and size at a glance, and to print.

One lane a channel; a left and a right one that differ in nothing else share a lane. Lanes stand under the name of
their region, and all lanes of a region have one scale, which is said beside its name. Rotations are in degrees.
Channels that do not move are named at the bottom instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.drawing.canvas import INK, PALE, Canvas
from msmdcli.media.audio import Audio
from msmdcli.motion.motion import Motion

LEFT, RIGHT, SINGLE = "#1f6fd0", "#d9591c", "#3a4048"  # the person's own left and right
GRID, BAND, WAVE = "#e4e7eb", "#f5f7f9", "#7d8894"
MARGIN, LABELS = 24.0, 150.0  # points: around the page; for the names to the left of the curves
PER_SECOND, NARROWEST, WIDEST = 110.0, 760.0, 4000.0  # points of time axis
LANE, HEADER, WAVEFORM = 28.0, 26.0, 64.0  # heights in points
STILL = 0.005  # of a channel that moves less than this altogether, no curve is drawn
NICE = (
    0.05,
    0.1,
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.6,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
    15.0,
    20.0,
    30.0,
    45.0,
    60.0,
    90.0,
    180.0,
)
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # s between the lines of the time grid


@dataclass(frozen=True)
class Lane:
    """One row of the sheet.

    Attributes:
        label: the channel's name, without its side where both share the lane.
        curves: (colour, [T] values) each.
    """

    label: str
    curves: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class Group:
    """The lanes of one region, from `low` to `high`, in `unit`."""

    name: str
    lanes: tuple[Lane, ...]
    low: float
    high: float
    unit: str


def write_curve_sheet(path: Path, motion: Motion, audio: Audio | None = None, title: str = "") -> None:
    """Write the page as SVG.

    Args:
        path: .svg file.
        motion: whose curves.
        audio: its recording, or None: no waveform.
        title: words above it all.

    Raises:
        MsmdError: the file cannot be written.
    """
    curve_sheet(motion, audio, title).save(path)


def curve_sheet(motion: Motion, audio: Audio | None = None, title: str = "") -> Canvas:
    """The page; see `write_curve_sheet`."""
    groups, still = groups_of(motion)
    seconds = float(motion.seconds)
    length = float(np.clip(seconds * PER_SECOND, NARROWEST, WIDEST))
    left = MARGIN + LABELS
    words = list(_wrapped(", ".join(still), int((LABELS + length) / 5.4)))
    lanes = sum(len(group.lanes) * LANE + HEADER for group in groups)
    top = MARGIN + 40 + (WAVEFORM + 10 if audio else 0)
    height = top + lanes + 26 + (len(words) + 1.2) * 13 * bool(words) + MARGIN
    page = Canvas(left + length + MARGIN + 10, height)

    def across(time: np.ndarray | float) -> np.ndarray:
        return left + np.asarray(time, np.float64) / max(seconds, 1e-9) * length

    page.text(MARGIN, MARGIN + 6, title or "Motion", 15)
    about = f"{motion.frames} frames, {float(motion.fps):.5g} per second, {seconds:.2f} s, rig {motion.rig.name}"
    page.text(MARGIN, MARGIN + 22, about, 10.5, colour="#5b636d")
    for colour, word, back in ((LEFT, "left", 110.0), (RIGHT, "right", 50.0)):  # the legend
        x = left + length - back
        page.line([(x, MARGIN + 18), (x + 16, MARGIN + 18)], colour, 2.4)
        page.text(x + 21, MARGIN + 22, word, 10.5)

    y, plan = top, []
    for group in groups:
        plan.append((group, y))
        for number in range(0, len(group.lanes), 2):
            first = y + HEADER + number * LANE
            page.area(_box(left, first, left + length, first + LANE), BAND)
        y += HEADER + len(group.lanes) * LANE
    bottom = y + 4
    step = next((s for s in STEPS if length * s / max(seconds, 1e-9) >= 55), STEPS[-1])
    for time in np.arange(0.0, seconds + 1e-6, step):
        x = float(across(time))
        page.line([(x, MARGIN + 34), (x, bottom)], GRID, 0.8)
        page.text(x, bottom + 13, f"{time:.3g} s", 9.5, "middle", "#5b636d")
    if audio is not None:
        _draw_waveform(page, audio, across, seconds, MARGIN + 38)
    for group, start in plan:
        _draw_group(page, group, start, left, across(np.arange(motion.frames) / float(motion.fps)))
    for number, line in enumerate(words):
        page.text(MARGIN, bottom + 34 + 13 * number, ("Still: " if number == 0 else "") + line, 10, colour="#5b636d")
    return page


def groups_of(motion: Motion) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """What to draw where, and the names of the channels that do not move.

    Every channel of the rig is in one of them, once: under the first region of the rig that has it.
    """
    rig, taken = motion.rig, set[str]()
    still = tuple(
        name for name, range_ in zip(rig.channels, np.ptp(motion.values, axis=0), strict=True) if range_ < STILL
    )
    rotation = set(rig.rotation or ())
    # Small regions first: a region `face` that holds all the others is left with what they have not.
    regions = sorted(rig.regions, key=lambda name: len(rig.regions[name]))
    owned: dict[str, list[str]] = {}
    for region in regions:
        owned[region] = [name for name in rig.regions[region] if name not in taken and name not in still]
        taken.update(rig.regions[region])
    owned["others"] = [name for name in rig.channels if name not in taken and name not in still]
    place = {name: number for number, name in enumerate(rig.channels)}
    order = sorted((r for r in owned if owned[r]), key=lambda r: min(place[name] for name in owned[r]))
    groups = []
    for region in order:
        turns = [name for name in owned[region] if name in rotation]
        for names, unit in (([n for n in owned[region] if n not in rotation], ""), (turns, "°")):
            if names:
                groups.append(_group(motion, region, names, unit))
    return tuple(groups), still


def _group(motion: Motion, region: str, names: list[str], unit: str) -> Group:
    factor = 180 / np.pi if unit else 1.0
    values = {name: motion.values[:, motion.rig.index(name)].astype(np.float64) * factor for name in names}
    lanes, done = [], set[str]()
    for name in names:
        if name in done:
            continue
        twin = name.replace("Left", "Right") if "Left" in name else name.replace("Right", "Left")
        if twin != name and twin in values:
            done.update((name, twin))
            sides = sorted((name, twin), key=lambda side: "Left" not in side)
            label = name.replace("Left", "").replace("Right", "")
            lanes.append(Lane(label, ((LEFT, values[sides[0]]), (RIGHT, values[sides[1]]))))
        else:
            colour = LEFT if "Left" in name else RIGHT if "Right" in name else SINGLE
            lanes.append(Lane(name, ((colour, values[name]),)))
    least = min(float(column.min()) for column in values.values())
    most = max(float(column.max()) for column in values.values())
    reach = max(most, -least if unit else 0.0)
    high = next((nice for nice in NICE if nice >= reach - 1e-6), reach)
    low = -high if unit else 0.0 if least > -0.02 else -next((n for n in NICE if n >= -least - 1e-6), -least)
    return Group(region, tuple(lanes), low, high, unit)


def _draw_group(page: Canvas, group: Group, top: float, left: float, x: np.ndarray) -> None:
    """Name, lanes and curves of a group whose upper edge is at `top`; x [T] of each frame."""
    page.text(MARGIN, top + HEADER - 9, group.name, 12.5)
    scale = f"{group.low:g}{group.unit} to {group.high:g}{group.unit}"
    page.text(left - 10, top + HEADER - 9, scale, 9, "end", "#5b636d")
    page.line([(MARGIN, top + HEADER - 3), (float(x[-1]), top + HEADER - 3)], PALE, 0.8)
    span = group.high - group.low
    for number, lane in enumerate(group.lanes):
        floor = top + HEADER + (number + 1) * LANE - 2
        room = LANE - 4
        page.text(left - 10, floor - room / 2 + 3.5, lane.label, 10.5, "end", INK)
        rest = floor + group.low / span * room  # where 0 is
        page.line([(left, rest), (float(x[-1]), rest)], "#cfd5db", 0.6)
        for order, (colour, values) in enumerate(lane.curves):
            height = np.clip((values - group.low) / span, 0, 1) * room
            # Where both sides are the same the wide one below still shows.
            page.line(np.column_stack([x, floor - height]), colour, 2.6 if order + 1 < len(lane.curves) else 1.2)


def _draw_waveform(page: Canvas, audio: Audio, across: object, seconds: float, top: float) -> None:
    assert callable(across)
    page.text(MARGIN + LABELS - 10, top + WAVEFORM / 2 + 3.5, "sound", 10.5, "end")
    samples = audio.samples[: max(1, int(seconds * audio.rate))]
    columns = min(len(samples), max(1, int(across(seconds) - across(0.0))))  # one a point
    starts = np.linspace(0, len(samples), columns, endpoint=False).astype(int)
    loud = max(float(np.abs(samples).max(initial=0.0)), 1e-4)
    middle, reach = top + WAVEFORM / 2, WAVEFORM / 2 - 2
    x = across(starts / audio.rate)
    upper = middle - np.maximum.reduceat(samples, starts) / loud * reach
    lower = middle - np.minimum.reduceat(samples, starts) / loud * reach + 0.5
    page.area(np.concatenate([np.column_stack([x, upper]), np.column_stack([x, lower])[::-1]]), WAVE)


def _box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _wrapped(text: str, width: int) -> Iterator[str]:
    from textwrap import wrap

    yield from wrap(text, width)
