"""A table of curves for Unreal, and the Editor script that makes AnimSequences of such tables.

The table is CSV as Unreal's CurveTable importer takes it: times in seconds across the top, then one row per curve. The
corner cell, which the importer passes over, tells the exact frame rate and the number of frames.

Curves are named like the channels (Unreal's names ignore case, so `jawOpen` is Live Link's `JawOpen`). The head is
`HeadYaw`, `HeadPitch`, `HeadRoll` in radians with the signs of Live Link Face, which MetaHuman's animation blueprint
and others expect; see `msmdcli.formats.livelink_csv`.

The Editor script is the same for all tables and lies once beside them. It was checked against a stand-in for Unreal's
Python module and the documentation of the calls it makes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.curves import assemble, match_channels, on_frames, shapes_of
from msmdcli.formats.livelink_csv import HEAD, head_angles, head_columns
from msmdcli.formats.numbers import decimals, seconds
from msmdcli.motion.key_reduction import reduce_together
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig

CORNER = "MSMD curve table"
SCRIPT = Path(__file__).with_name("unreal_import.py")


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the table.

    Options:
        reduce_keys: tolerance; all curves of a table share their times.
    """
    names, columns = shapes_of(motion)
    if motion.rig.rotation is not None:
        names, columns = [*names, *HEAD], np.concatenate([columns, head_columns(motion)], axis=1)
    keys, count = reduce_together(columns, options.get("reduce_keys"))
    clock = motion.fps.numerator, motion.fps.denominator
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        corner = f"{CORNER} {clock[0]}/{clock[1]} fps {motion.frames} frames"
        table.writerow([corner, *(seconds(int(key), *clock) for key in keys)])
        for name, column in zip(names, columns.T, strict=True):
            table.writerow([name, *decimals(column[keys])])
    return {"warnings": [], **(count.as_notes() if count else {})}


def editor_script() -> tuple[str, str]:
    """(file name, text) of the Editor script."""
    return "msmd_unreal_import.py", SCRIPT.read_text(encoding="utf-8")


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read a table that `write` wrote, on the rig arkit52; there are no options."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MsmdError(f"{path} is not a CSV text file ({error})") from error
    header = re.fullmatch(rf"{CORNER} (\d+/\d+) fps (\d+) frames", rows[0][0]) if rows else None
    if header is None:
        raise MsmdError(f"{path} is no curve table of MSMD's: its first cell does not tell the frame rate")
    fps, frames = parse_fps(header[1]), int(header[2])
    rig = Rig.load("arkit52")
    try:
        times = np.array(rows[0][1:], dtype=np.float64)
        curves = {row[0]: np.array(row[1:], dtype=np.float64) for row in rows[1:]}
    except ValueError as error:
        raise MsmdError(f"{path}: a cell is no number ({error})") from error
    for name, curve in curves.items():
        if len(curve) != len(times) or not len(times):
            raise MsmdError(f"{path}: curve {name} has {len(curve)} values and there are {len(times)} times")
    dense = {name: on_frames((times, curve), fps, frames) for name, curve in curves.items()}
    channels, _ = match_channels((name for name in dense if name not in HEAD), rig)
    shapes = {channel: dense[name] for name, channel in channels.items()}
    turns = [dense[name] for name in HEAD if name in dense]
    return assemble(path, rig, fps, shapes, head_angles(np.stack(turns, axis=1)) if len(turns) == 3 else None, {})
