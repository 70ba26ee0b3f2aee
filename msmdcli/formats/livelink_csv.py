"""The CSV of Epic's Live Link Face app, as Unreal's importer, Faceit and other tools read it.

**Layout**, as in the app's own recordings: a header of 63 names, then per frame `Timecode`, `BlendshapeCount` (61) and
61 numbers with ten decimals: the 52 blendshapes (Apple's order, except that JawRight comes before JawLeft and
MouthRight before MouthLeft), then yaw, pitch and roll of the head, of the left and of the right eye, in radians.

**Timecode.** `HH:MM:SS:FF.sss`, FF in sixtieths of a second whatever the frame rate, so that the frame rate lies in the
steps, 60 / fps: 2.400 at 25 fps, 2.002 at 30000/1001. How the timecodes of other programs are read is told in
`livelink_clock`. `meta["nominal_fps"]` tells the rate that was meant. Frames that the app dropped, or wrote without a
face, are filled by linear interpolation.

**Tables of others.** Semicolons or tabs in place of commas (then with decimal commas) are read, and a last row that was
cut off is left out, which `meta["left_out"]` tells. Percent in place of 0 to 1 are refused.

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
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.livelink_clock import (
    TIMECODE_RATE,
    Clock,
    nominal_fps,
    parse_timecode,
    read_clock,
    timecode_text,
)
from msmdcli.motion.motion import Motion, parse_fps
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

LOOK_IN, LOOK_OUT, LOOK_DOWN, LOOK_UP = 0.59, 0.65, 0.71, 0.42  # radians per unit of eyeLook
BEYOND, MOST_BEYOND = 1.5, 0.002  # a share of the blendshapes' values above the first that is no overshoot any more
HINT = "a Live Link Face CSV has 63 columns, from Timecode and BlendshapeCount to RightEyeRoll"


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> None:
    """Write the motion.

    Options:
        start: timecode of the first frame, `HH:MM:SS:FF` or `HH:MM:SS:FF.sss`, FF in sixtieths; default 00:00:00:00.
    """
    shapes = motion.values[:, [motion.rig.index(_channel(name)) for name in SHAPES]].astype(np.float64)  # [T, 52]
    rows = np.concatenate([shapes, head_columns(motion), _eye_columns(shapes)], axis=1)  # [T, 61]
    rows = np.round(rows, 10) + 0.0  # + 0.0: no "-0.0000000000"
    start = parse_timecode(str(options.get("start", "00:00:00:00")))
    if start is None or start.frame >= TIMECODE_RATE:
        raise MsmdError(
            f"start timecode {options['start']!r} is not HH:MM:SS:FF with FF below {TIMECODE_RATE}",
            hint="FF counts sixtieths of a second, whatever the frame rate; example: 01:00:00:00",
        )
    first = start.second * TIMECODE_RATE + start.frame + start.sub
    step = TIMECODE_RATE / motion.fps
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        form = ",".join(["%.10f"] * rows.shape[1])  # a whole row in one call: this is where a short line's time went
        for i, row in enumerate(rows):
            file.write(f"{timecode_text(first + i * step)},{rows.shape[1]},{form % tuple(row.tolist())}\n")


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

    if "fps" in options:
        clock = Clock.of_rate(len(table.timecodes), parse_fps(options["fps"]))
    else:
        clock = read_clock(path, table.lines, table.timecodes)
    frames = clock.frames[-1] + 1
    whole = np.arange(frames)
    filled = frames - len(values)
    if filled or len(values) != len(clock.frames):
        known = clock.frames[table.faces]
        values = np.stack([np.interp(whole, known, column) for column in values.T], axis=1)  # [T, D]
    meta = {"source": path.name, "timecode": table.timecodes[0], "nominal_fps": str(nominal_fps(clock.fps))}
    if filled:
        meta["filled_frames"] = str(filled)
    if table.left_out:
        meta["left_out"] = table.left_out
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
class _Table:
    """The rows of a file.

    Attributes:
        timecodes: of every row.
        lines: line number in the file of every row.
        faces: [n] bool per row, whether it holds a face.
        values: [rows with a face, 55] float64: SHAPES, then HEAD.
        left_out: what of the file is not in it.
    """

    timecodes: list[str]
    lines: list[int]
    faces: np.ndarray
    values: np.ndarray
    left_out: str = ""


def _read_table(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MsmdError(f"{path} is not a CSV text file ({error})", hint="save it as CSV UTF-8") from error
    if not rows:
        raise MsmdError(f"{path} is empty")
    names = [name.strip().lower() for name in rows[0][1]]
    needed = ("Timecode", *SHAPES, *HEAD)
    missing = [name for name in needed if name.lower() not in names]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise MsmdError(f"{path} lacks the columns {', '.join(missing[:5])}{more}", hint=HINT)
    twice = [name for name in needed if names.count(name.lower()) > 1]
    if twice:
        raise MsmdError(f"{path} has the column {twice[0]} twice")
    if len(rows) == 1:
        raise MsmdError(f"{path} has a header but no frames")
    at = [names.index(name.lower()) for name in needed[1:]]
    count_at = names.index("blendshapecount") if "blendshapecount" in names else None
    left_out = ""
    if len(rows) > 2 and 2 < len(rows[-1][1]) < len(names) and not text.endswith(("\n", "\r")):
        left_out = f"the last row, line {rows[-1][0]}, which is cut off"
        rows.pop()

    timecodes, lines, faces, values = [], [], [], []
    for line, row in rows[1:]:
        if separator != ",":
            row = [cell.replace(",", ".") for cell in row]
        timecodes.append(row[names.index("timecode")].strip() if len(row) > names.index("timecode") else "")
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
    table = np.array(values)
    shapes = table[:, : len(SHAPES)]
    if (np.abs(shapes) > BEYOND).mean() > MOST_BEYOND:
        raise MsmdError(
            f"{path}: blendshapes reach {np.abs(shapes).max():g} where 1 is the most",
            hint="they may be percent: divide them by 100",
        )
    return _Table(timecodes, lines, np.array(faces), table, left_out)


def _separator(text: str) -> str:
    """What stands between the cells of a table: in its first line, that of comma, semicolon and tab that is there
    most."""
    line = text.lstrip("\r\n ").split("\n", 1)[0]
    return max(",;\t", key=line.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
