"""What a file says about itself, in words of ours: enough to read the motion back exactly, and how it was made.

The same entries stand in the extras of glTF, the custom layer data of USD and the head of a Maya script.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msmdcli.errors import MsmdError
from msmdcli.formats.curves import MOST_FRAMES
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig


def describe(motion: Motion, name: str) -> dict[str, Any]:
    """Name, frame rate ("30000/1001"), frames, rig and notes of a motion."""
    description: dict[str, Any] = {
        "name": name,
        "fps": f"{motion.fps.numerator}/{motion.fps.denominator}",
        "frames": motion.frames,
        "rig": motion.rig.name,
        "meta": dict(sorted(motion.meta.items())),
    }
    if not motion.rig.shipped:
        description["rig_definition"] = json.loads(motion.rig.definition())
    if motion.rig.targets:
        description["targets"] = {channel: list(names) for channel, names in motion.rig.targets.items()}
    return description


def described_rig(description: Mapping[str, Any]) -> Rig:
    """The rig of a file that says its own; arkit52 for one that does not."""
    definition = description.get("rig_definition")
    rig = (
        Rig.from_definition(json.dumps(definition))
        if definition
        else Rig.shipped_as(str(description.get("rig", "arkit52")))
    )
    noted = description.get("targets") or {}
    if not isinstance(noted, Mapping) or not all(isinstance(names, list) for names in noted.values()):
        raise MsmdError("its note of morph targets is no list of names for each channel")
    targets = {str(channel): tuple(map(str, names)) for channel, names in noted.items()}
    return replace(rig, targets=targets) if targets else rig


def described_clock(description: Mapping[str, Any]) -> tuple[Any, int | None]:
    """(frame rate or None, number of frames or None) that a file says."""
    frames = description.get("frames")
    if frames is not None and (type(frames) is not int or not 0 < frames <= MOST_FRAMES):
        raise MsmdError(f"its note says {frames!r} frames")
    return (parse_fps(str(description["fps"])) if "fps" in description else None), frames


def described_meta(description: Mapping[str, Any]) -> dict[str, str]:
    """Notes that travel with the clip."""
    meta = description.get("meta")
    return {str(key): str(value) for key, value in meta.items()} if isinstance(meta, dict) else {}
