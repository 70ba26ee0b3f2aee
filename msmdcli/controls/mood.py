"""Mood and speech in one mouth: what its corners do slowly is mood, what they do fast is speech.

A smile comes and goes over seconds, and so do a mouth drawn to a side or pulled back; each of these channels moves with
every syllable, too. The slow part follows the reference's performance (`msmdcli.performance`), the fast part the sound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.smoothing import gaussian
from msmdcli.motion.rig import Rig

SLOW = 0.3  # seconds: standard deviation of what is mood
MOODS = (
    *("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthLeft", "mouthRight"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight"),
)


def mood_columns(rig: Rig) -> list[int]:
    """The columns of a rig in which speech and mood meet."""
    return [rig.channels.index(name) for name in MOODS if name in rig.channels]


def slow(values: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """[T, n] what is mood in curves."""
    return gaussian(values, SLOW * fps)
