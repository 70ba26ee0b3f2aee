"""JSON with a schema version, for tools of your own. `motion.schema.json` beside this file is its JSON Schema.

Dense (as written by default), `values` has one list per frame, in the order of `channels`. With `reduce_keys`, `keys`
has for each channel the frames that were kept and their values; between them the curve is linear. Numbers are the
shortest decimals that give back the same float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.documents.json_file import read_json
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import MsmdError
from msmdcli.formats.curves import check_frames
from msmdcli.formats.description import described_meta, described_rig
from msmdcli.formats.numbers import decimals, start_frame, timecode
from msmdcli.motion.key_reduction import reduce_each
from msmdcli.motion.motion import Motion

FORMAT = "msmd-motion"
VERSION = 1
SCHEMA = Path(__file__).with_name("motion.schema.json")


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Write the motion.

    Options:
        start: number or timecode of the first frame, default 0.
        reduce_keys: tolerance; every channel keeps keys of its own.
    """
    rig, tolerance = motion.rig, options.get("reduce_keys")
    start = start_frame(options.get("start", 0), motion.fps)
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": str(options["name"]),
        "rig": rig.name,
        "fps": {"numerator": motion.fps.numerator, "denominator": motion.fps.denominator},
        "frames": motion.frames,
        "start_frame": start,
        "start_timecode": timecode(start, motion.fps),
        "channels": list(rig.channels),
        "rotation": list(rig.rotation) if rig.rotation else None,
        "meta": dict(sorted(motion.meta.items())),
    }
    if not rig.shipped:
        head["rig_definition"] = json.loads(rig.definition())
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    kept, count = reduce_each(motion.values, tolerance)
    if tolerance is None:
        rows = ["  [" + ", ".join(decimals(row)) + "]" for row in motion.values]
        body = ' "values": [\n' + ",\n".join(rows) + "\n ]"
    else:
        entries = []
        for name, keys, column in zip(rig.channels, kept, motion.values.T, strict=True):
            frames, values = json.dumps(keys.tolist()), ", ".join(decimals(column[keys]))
            entries.append(f'  {json.dumps(name)}: {{"frames": {frames}, "values": [{values}]}}')
        body = ' "keys": {\n' + ",\n".join(entries) + "\n }"
    path.write_text("{\n" + "\n".join(lines) + "\n" + body + "\n}\n", encoding="utf-8", newline="\n")
    return count.as_notes() if count else None


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read what `write` wrote, or a file of the same schema; there are no options."""
    try:
        data = read_json(path)
    except DocumentError as error:
        raise MsmdError(error.message, hint=error.hint) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise MsmdError(f'{path} is no motion: it does not say "format": "{FORMAT}"')
    if data.get("version") != VERSION:
        raise MsmdError(f"{path}: motion JSON version {data.get('version')!r}; this program reads {VERSION}")
    try:
        return _parse(data)
    except MsmdError as error:
        raise MsmdError(f"{path}: {error.message}", hint=error.hint) from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise MsmdError(
            f"{path} is no motion ({why})", hint="its schema: msmdcli/formats/motion.schema.json"
        ) from error


def _parse(data: Mapping[str, Any]) -> Motion:
    rig = described_rig(data)
    fps = Fraction(int(data["fps"]["numerator"]), int(data["fps"]["denominator"]) or 1)
    frames, names = check_frames(int(data["frames"]), fps), [str(name) for name in data["channels"]]
    absent = [name for name in rig.channels if name not in names]
    if absent:
        raise MsmdError(f"no channel {absent[0]} of rig {rig.name} ({len(absent)} missing)")
    if "keys" in data:
        columns = [_dense(name, data["keys"][name], frames) for name in rig.channels]
        values = np.stack(columns, axis=1)
    else:
        values = np.array(data["values"], dtype=np.float64)
        if values.shape != (frames, len(names)):
            raise MsmdError(f"values have the shape {values.shape} instead of {(frames, len(names))}")
        values = values[:, [names.index(name) for name in rig.channels]]
    meta = described_meta(data)
    if data.get("start_frame"):
        meta["start_frame"] = str(data["start_frame"])
    return Motion(values.astype(np.float32), fps, rig, meta)


def _dense(name: str, keys: Mapping[str, Any], frames: int) -> np.ndarray:
    """A channel's values [T] from its keys."""
    at, values = np.array(keys["frames"], dtype=np.int64), np.array(keys["values"], dtype=np.float64)
    if at.ndim != 1 or at.shape != values.shape or not len(at):
        raise MsmdError(f"keys of {name}: {at.size} frames and {values.size} values")
    if (np.diff(at) <= 0).any() or at[0] < 0 or at[-1] >= frames:
        raise MsmdError(f"keys of {name} are not ascending frames below {frames}")
    return np.interp(np.arange(frames), at, values)
