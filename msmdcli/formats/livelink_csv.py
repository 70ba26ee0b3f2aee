"""The CSV of Epic's Live Link Face app, as Unreal's importer, Faceit and other tools read it.

**Layout**, as in the app's own recordings: a header of 63 names, then per frame `Timecode`, `BlendshapeCount` (61) and
61 numbers with ten decimals: the 52 blendshapes (Apple's order, except that JawRight comes before JawLeft and
MouthRight before MouthLeft), then yaw, pitch and roll of the head, of the left and of the right eye, in radians.

**Timecode** `HH:MM:SS:FF.sss`. FF.sss counts sixtieths of a second *whatever the frame rate*: the app writes a 30 fps
take in steps of 2, and Unreal's importer divides by 60. So the frame rate lies in the steps, 60 / fps: 2.400 at 25 fps,
2.002 at 30000/1001. Reading: other programs count in their own rate, so how far FF counts is taken from where it rolls
over (60 if it never does). The frame rate is then the usual one (24, 25, 30, ... or n * 1000/1001) that explains every
timecode to the last digit; if none does, it is the measured one, to 1/1000: the frames of a "60 fps" recording of the
app are really some 59.904 a second. `meta["nominal_fps"]` tells the rate that was meant. Frames that the app dropped,
or wrote without a face, are filled by linear interpolation.

**Head.** On the rig's axes (x to the person's own left, y up, z out of the face),
R = Ry(-HeadYaw) Rx(HeadPitch) Rz(-HeadRoll). So positive is: HeadPitch nods down, HeadYaw turns to the person's right,
HeadRoll tilts to the person's left shoulder. Signs and order are those of Unreal's conversion of ARKit's transforms,
which treats head and eyes alike; in recordings, the eyes' columns follow eyeLookIn/Out/Up/Down in just this sense.

**Eyes.** The rig has no eye rotations; they follow from the eyeLook channels (positive: down, to the person's right):

    EyePitch = 0.71 LookDown - 0.42 LookUp
    LeftEyeYaw = 0.59 LookInLeft - 0.65 LookOutLeft,  RightEyeYaw = 0.65 LookOutRight - 0.59 LookInRight
    EyeRoll = EyeYaw EyePitch

The factors are a least-squares fit to three recordings of the app (5,566 frames, both eyes; residual 0.6 degrees in
pitch, 1.3 in yaw). The roll is what a rotation about those two axes gives in this order of angles; in the recordings
its factor is 1.00 to 1.02. On reading, these columns are not used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import NTSC, Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import (
    engine_from_quaternion,
    euler_from_quaternion,
    quaternion_from_engine,
    quaternion_from_euler,
)

SHAPES = tuple(  # a block of text, not a list: one can read it
    """
    EyeBlinkLeft EyeLookDownLeft EyeLookInLeft EyeLookOutLeft EyeLookUpLeft EyeSquintLeft EyeWideLeft
    EyeBlinkRight EyeLookDownRight EyeLookInRight EyeLookOutRight EyeLookUpRight EyeSquintRight EyeWideRight
    JawForward JawRight JawLeft JawOpen
    MouthClose MouthFunnel MouthPucker MouthRight MouthLeft
    MouthSmileLeft MouthSmileRight MouthFrownLeft MouthFrownRight MouthDimpleLeft MouthDimpleRight
    MouthStretchLeft MouthStretchRight MouthRollLower MouthRollUpper MouthShrugLower MouthShrugUpper
    MouthPressLeft MouthPressRight MouthLowerDownLeft MouthLowerDownRight MouthUpperUpLeft MouthUpperUpRight
    BrowDownLeft BrowDownRight BrowInnerUp BrowOuterUpLeft BrowOuterUpRight
    CheekPuff CheekSquintLeft CheekSquintRight NoseSneerLeft NoseSneerRight TongueOut
    """.split()  # noqa: SIM905
)
HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = ("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll")
HEADER = ("Timecode", "BlendshapeCount", *SHAPES, *HEAD, *EYES)

TIMECODE_RATE = 60  # what FF counts to
TICKS = 1000  # of a frame of timecode: its three decimals
LOOK_IN, LOOK_OUT, LOOK_DOWN, LOOK_UP = 0.59, 0.65, 0.71, 0.42  # radians per unit of eyeLook
USUAL_RATES = tuple(Fraction(n) for n in (24, 25, 30, 48, 50, 60, 72, 90, 100, 120)) + tuple(
    n * NTSC for n in (24, 30, 48, 60, 120)
)
DAY = 24 * 3600


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> None:
    """Write the motion.

    Options:
        start: timecode of the first frame, `HH:MM:SS:FF` or `HH:MM:SS:FF.sss`, FF in sixtieths; default 00:00:00:00.
    """
    shapes = motion.values[:, [motion.rig.index(_channel(name)) for name in SHAPES]].astype(np.float64)  # [T, 52]
    rows = np.concatenate([shapes, head_columns(motion), _eye_columns(shapes)], axis=1)  # [T, 61]
    rows = np.round(rows, 10) + 0.0  # + 0.0: no "-0.0000000000"
    start = _parse_timecode(str(options.get("start", "00:00:00:00")))
    if start is None or start.frame >= TIMECODE_RATE:
        raise MsmdError(
            f"start timecode {options['start']!r} is not HH:MM:SS:FF with FF below {TIMECODE_RATE}",
            hint="FF counts sixtieths of a second, whatever the frame rate; example: 01:00:00:00",
        )
    first = start.second * TIMECODE_RATE + start.frame
    step = TIMECODE_RATE / motion.fps
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        form = ",".join(["%.10f"] * rows.shape[1])  # a whole row in one call: this is where a short line's time went
        for i, row in enumerate(rows):
            file.write(f"{_timecode(first + i * step)},{rows.shape[1]},{form % tuple(row.tolist())}\n")


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read a recording as a motion on the rig arkit52.

    Columns are found by name, in any case and order. The columns of the eyes need not be there.

    Options:
        fps: take the rows as frames at this rate and do not look at the timecode.
    """
    table = _read_table(path)
    rig = Rig.load("arkit52")
    values = np.zeros((len(table.values), rig.size))  # [rows, D]
    values[:, [rig.index(_channel(name)) for name in SHAPES]] = table.values[:, : len(SHAPES)]
    values[:, list(rig.rotation_indices or ())] = head_angles(table.values[:, len(SHAPES) :])

    clock = _Clock.of_rate(table, parse_fps(options["fps"])) if "fps" in options else _read_clock(path, table)
    frames = clock.frames[-1] + 1
    whole = np.arange(frames)
    filled = frames - len(values)
    if filled or len(values) != len(clock.frames):
        known = clock.frames[table.faces]
        values = np.stack([np.interp(whole, known, column) for column in values.T], axis=1)  # [T, D]
    meta = {"source": path.name, "timecode": table.timecodes[0], "nominal_fps": str(_nominal(clock.fps))}
    if filled:
        meta["filled_frames"] = str(filled)
    return Motion(values.astype(np.float32), clock.fps, rig, meta)


def _channel(name: str) -> str:
    """EyeBlinkLeft -> eyeBlinkLeft."""
    return name[0].lower() + name[1:]


def head_columns(motion: Motion) -> np.ndarray:
    """HeadYaw, HeadPitch, HeadRoll [T, 3] in radians, as the app and Unreal have them."""
    columns = motion.rig.rotation_indices
    if columns is None:
        return np.zeros((motion.frames, len(HEAD)))
    pitch, yaw, roll = engine_from_quaternion(quaternion_from_euler(motion.values[:, list(columns)])).T
    return np.stack([-yaw, pitch, -roll], axis=1)


def head_angles(columns: np.ndarray) -> np.ndarray:
    """The inverse of `head_columns`: the rig's pitch, yaw, roll [T, 3], without jumps."""
    yaw, pitch, roll = columns.T
    angles = euler_from_quaternion(quaternion_from_engine(np.stack([pitch, -yaw, -roll], axis=-1)))
    return np.unwrap(angles, axis=0)


def _eye_columns(shapes: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll of both eyes [T, 6] from the blendshapes [T, 52]; formulas in the module's docstring."""
    columns = []
    for side, to_right in (("Left", 1.0), ("Right", -1.0)):
        look = {to: shapes[:, SHAPES.index(f"EyeLook{to}{side}")] for to in ("In", "Out", "Down", "Up")}
        yaw = to_right * (LOOK_IN * look["In"] - LOOK_OUT * look["Out"])
        pitch = LOOK_DOWN * look["Down"] - LOOK_UP * look["Up"]
        columns += [yaw, pitch, yaw * pitch]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class _Timecode:
    second: int  # of the day
    frame: Fraction  # FF.sss


def _timecode(frames: Fraction) -> str:
    """HH:MM:SS:FF.sss of a time in sixtieths of a second."""
    ticks = floor(frames * TICKS + Fraction(1, 2)) % (DAY * TIMECODE_RATE * TICKS)
    seconds, ticks = divmod(ticks, TIMECODE_RATE * TICKS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    frame, sub = divmod(ticks, TICKS)
    return f"{hour:02d}:{minute:02d}:{second:02d}:{frame:02d}.{sub:03d}"


def _parse_timecode(text: str) -> _Timecode | None:
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,3}(?:\.\d{1,9})?)", text.strip())
    if not found:
        return None
    hour, minute, second = (int(part) for part in found.groups()[:3])
    if hour >= 24 or minute >= 60 or second >= 60:
        return None
    return _Timecode((hour * 60 + minute) * 60 + second, Fraction(found[4]))


@dataclass(frozen=True)
class _Table:
    """The rows of a file.

    Attributes:
        timecodes: of every row.
        lines: line number in the file of every row.
        faces: [n] bool per row, whether it holds a face.
        values: [rows with a face, 55] float64: SHAPES, then HEAD.
    """

    timecodes: list[str]
    lines: list[int]
    faces: np.ndarray
    values: np.ndarray


def _read_table(path: Path) -> _Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MsmdError(f"{path} is not a CSV text file ({error})") from error
    if not rows:
        raise MsmdError(f"{path} is empty")
    names = [name.strip().lower() for name in rows[0][1]]
    needed = ("Timecode", *SHAPES, *HEAD)
    missing = [name for name in needed if name.lower() not in names]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise MsmdError(
            f"{path} lacks the columns {', '.join(missing[:5])}{more}",
            hint="a Live Link Face CSV has 63 columns, from Timecode and BlendshapeCount to RightEyeRoll",
        )
    twice = [name for name in needed if names.count(name.lower()) > 1]
    if twice:
        raise MsmdError(f"{path} has the column {twice[0]} twice")
    if len(rows) == 1:
        raise MsmdError(f"{path} has a header but no frames")
    at = [names.index(name.lower()) for name in needed[1:]]
    count_at = names.index("blendshapecount") if "blendshapecount" in names else None

    timecodes, lines, faces, values = [], [], [], []
    for line, row in rows[1:]:
        timecodes.append(row[names.index("timecode")].strip())
        lines.append(line)
        # Where the app lost the face, it writes a count of 0, and the numbers are zero or missing.
        lost = len(row) <= 2 or (count_at is not None and row[count_at].strip() == "0")
        faces.append(not lost)
        if lost:
            continue
        if len(row) != len(names):
            raise MsmdError(f"{path}, line {line}: {len(row)} columns, the header has {len(names)}")
        try:
            numbers = [float(row[i]) for i in at]
        except ValueError:
            wrong = next(i for i in at if not _is_number(row[i]))
            raise MsmdError(f"{path}, line {line}: {row[wrong]!r} in column {rows[0][1][wrong]} is no number") from None
        if not np.isfinite(numbers).all():
            wrong = at[int(np.argmin(np.isfinite(numbers)))]
            raise MsmdError(f"{path}, line {line}: {row[wrong]} in column {rows[0][1][wrong]}")
        values.append(numbers)
    if not values:
        raise MsmdError(f"{path}: no frame holds a face (BlendshapeCount is 0 throughout)")
    return _Table(timecodes, lines, np.array(faces), np.array(values))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class _Clock:
    """The frame rate of a recording, and the frame that each of its rows is: [n] int64, ascending from 0."""

    fps: Fraction
    frames: np.ndarray

    @staticmethod
    def of_rate(table: _Table, fps: Fraction) -> _Clock:
        """Row i is frame i."""
        return _Clock(fps, np.arange(len(table.timecodes)))


def _read_clock(path: Path, table: _Table) -> _Clock:
    """Frame rate and frame numbers from the timecodes; how is told in the module's docstring."""
    hint = "give the frame rate (option fps) to read the rows without their timecode"
    parsed: list[_Timecode] = []
    for line, text in zip(table.lines, table.timecodes, strict=True):
        code = _parse_timecode(text)
        if code is None:
            raise MsmdError(f"{path}, line {line}: timecode {text!r} does not have the form HH:MM:SS:FF.sss", hint=hint)
        parsed.append(code)
    if len(parsed) == 1:
        return _Clock.of_rate(table, Fraction(TIMECODE_RATE))

    rate = _timecode_rate(parsed)
    times = [code.second * rate + code.frame for code in parsed]  # in frames of timecode
    for i in range(1, len(times)):
        if times[i] < times[i - 1] - DAY * rate // 2:  # past midnight
            times[i:] = [time + DAY * rate for time in times[i:]]
        if times[i] <= times[i - 1]:
            how = "stands still" if times[i] == times[i - 1] else "runs backwards"
            raise MsmdError(f"{path}, line {table.lines[i]}: the timecode {how}", hint=hint)
    steps = [after - before for before, after in pairwise(times)]
    typical = median(steps)
    frames = np.cumsum([0, *(max(1, round(step / typical)) for step in steps)])
    total, elapsed = int(frames[-1]), times[-1] - times[0]
    offsets = np.array([float(time - times[0]) for time in times])
    errors = [float(np.abs(offsets - frames * float(rate / fps)).max()) for fps in USUAL_RATES]
    best = int(np.argmin(errors))
    if errors[best] <= 1 / TICKS + 1e-6:  # two timecodes, each rounded by half a tick
        return _Clock(USUAL_RATES[best], frames)
    measured = rate * total / elapsed
    return _Clock(Fraction(round(measured * 1000), 1000), frames)


def _timecode_rate(codes: list[_Timecode]) -> int:
    """How far FF counts: at a change of second it jumps back by this, less one step."""
    pairs = list(pairwise(codes))
    steps = [b.frame - a.frame for a, b in pairs if a.second == b.second]
    jumps = [a.frame - b.frame for a, b in pairs if b.second - a.second == 1]
    if not steps or not jumps:
        return max(TIMECODE_RATE, floor(max(code.frame for code in codes)) + 1)
    return max(round(median(jumps) + median(steps)), floor(max(code.frame for code in codes)) + 1)


def _nominal(fps: Fraction) -> Fraction:
    """The rate that a measured one stands for: itself if it is a usual one, else the nearest usual whole number."""
    whole = [usual for usual in USUAL_RATES if usual.denominator == 1]
    return fps if fps in USUAL_RATES else min(whole, key=lambda usual: abs(usual - fps))
