"""How much of the generated head motion a line keeps: all, none, or a part of it.

Body animation often brings a head of its own. The head's angles are scaled towards 0, the neutral pose of the rig, so a
tilt that the whole style has goes with the movement.
"""

from __future__ import annotations

from dataclasses import replace

from msmdcli.documents.tree import number_in
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion

MAX_SCALE = 3.0
WORDS = {"generated": 1.0, "on": 1.0, "true": 1.0, "off": 0.0, "false": 0.0, "no": 0.0}


def parse_head(text: str) -> float:
    """The factor that `generated`, `off` or a number means."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    scale = number_in(text)
    if scale is None or not 0 <= scale <= MAX_SCALE:
        raise MsmdError(
            f"head {text[:40]!r} is not generated, off or a factor from 0 to {MAX_SCALE:g}",
            hint="a head to preview on belongs to a character: characters: {guard: {head: guard.glb}}"
            if text.lower().endswith((".glb", ".gltf"))
            else "head: 0.5 is half of the generated head motion",
        )
    return scale


def scale_head(motion: Motion, scale: float) -> Motion:
    """The motion with its head angles times `scale`. A rig without a head is left as it is."""
    columns = motion.rig.rotation_indices
    if columns is None or scale == 1:
        return motion
    values = motion.values.copy()
    values[:, list(columns)] *= values.dtype.type(scale)
    return replace(motion, values=values, meta=dict(motion.meta))
