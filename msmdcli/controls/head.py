"""The head of a line: how much of the generated motion it keeps, or the original's motion in its place.

**Scaled.** Body animation often brings a head of its own. The head's angles are scaled towards 0, the neutral pose of
the rig, so a tilt that the whole style has goes with the movement.

**The original's**, in a dub: stretched in time as a rotation. Between two measured poses the head turns at constant
speed about one axis (spherical linear interpolation of quaternions; Shoemake 1985, "Animating rotation with quaternion
curves"). Angles are never interpolated: pitch, yaw and roll are only how a rotation is written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.rotation import (
    euler_from_quaternion,
    interpolate_rotation,
    nearest_euler,
    on_one_side,
    quaternion_from_euler,
)

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
            if text.lower().endswith((".glb", ".vrm", ".gltf"))
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


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """How a head turns over a whole performance of any length.

    Attributes:
        angles: [T, 3] float64, the rig's pitch, yaw, roll in radians, without jumps of a whole turn.
    """

    angles: np.ndarray

    @classmethod
    def still(cls) -> HeadMotion:
        """A head that looks straight ahead."""
        return cls(np.zeros((1, 3)))

    @classmethod
    def of(cls, motion: Motion) -> HeadMotion:
        """The head motion of a performance.

        Raises:
            MsmdError: its rig has no head channels.
        """
        columns = motion.rig.rotation_indices
        if columns is None:
            raise MsmdError(f"rig {motion.rig.name} has no head channels", hint="choose --head generated or off")
        return cls(np.unwrap(motion.values[:, list(columns)].astype(np.float64), axis=0))

    def stretched(self, frames: int) -> np.ndarray:
        """Angles [frames, 3]: the whole motion over so many frames, the first and last poses at the ends.

        Where time is compressed, the poses that fall into a frame are averaged (as unit quaternions, which for the
        small turns within a frame is the mean rotation), so that a fast nod does not flicker.
        """
        source = on_one_side(quaternion_from_euler(self.angles), first_up=True)  # [T, 4]
        last = len(source) - 1
        at = np.linspace(0, last, frames) if frames > 1 else np.zeros(1)  # [frames] in source frames
        step = last / max(frames - 1, 1)
        # 1 where time is not compressed; odd, so that the frame's moment is among them.
        samples = int(np.ceil(step)) | 1
        offsets = ((np.arange(samples) + 0.5) / samples - 0.5) * step
        around = np.clip(at[:, None] + offsets, 0, last)  # [frames, samples]
        around[[0, -1]] = at[[0, -1], None]  # the ends are poses, not averages
        poses = interpolate_rotation(np.arange(len(source)), source, around.ravel())
        mean = on_one_side(poses, first_up=True).reshape(frames, samples, 4).mean(axis=1)
        nearest = self.angles[np.round(at).astype(np.int64)]  # only says which of a rotation's triples is meant
        return nearest_euler(euler_from_quaternion(mean), nearest)

    def on(self, motion: Motion) -> Motion:
        """A motion with this head motion, stretched to its length, in place of its own; unchanged without a head."""
        columns = motion.rig.rotation_indices
        if columns is None:
            return motion
        values = motion.values.copy()
        values[:, list(columns)] = self.stretched(motion.frames)
        return replace(motion, values=values, meta=dict(motion.meta))
