"""The rhythm of speech: what a reference's movement and a new line have in common, so the one can be laid on the other.

Three curves at `RATE` frames per second, of a mouth that moves and, where there is one, of its sound:

- stress: how far the mouth opens (and how loud it is) beyond what is usual around it: stressed syllables;
- activity: how fast the mouth moves;
- pause: 1 where nobody speaks.

All are relative to the clip's own spread, so a mumbled reference fits a shouted line. (Visual prosody: heads and brows
move with the energy of speech; Busso et al., "Rigid head motion in expressive speech animation", IEEE TASLP 15(3),
2007.)
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from msmdcli.media.voice import frame_levels, frames_below_speech
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import MOUTH_REGIONS, mouth_opening

Array = NDArray[np.float64]

RATE = Fraction(25)
SYLLABLE, PHRASE = 0.07, 0.9  # seconds: standard deviations of what is smoothed away, and of what is usual around it
BUSY = 0.12  # seconds over which a mouth's speed is averaged
QUIET = 0.18  # of the usual activity: less is a pause ...
SHORTEST_PAUSE = 0.28  # ... if it lasts so long, in seconds
FAINT = 60.0  # dB under the loud parts of a recording: fainter is no louder than this
LOUDNESS = 0.6  # share of the sound in a line's stress; the rest is its mouth


@dataclass(frozen=True, eq=False)
class Rhythm:
    """Of a clip or a line, at `RATE`.

    Attributes:
        stress, activity, pause: [T] each.
    """

    stress: Array
    activity: Array
    pause: Array

    @property
    def features(self) -> Array:
        """[T, 3], weighted as they count when two rhythms are compared."""
        return np.stack([self.stress, 0.6 * self.activity, 1.2 * self.pause], axis=1)

    def longer(self, frames: int) -> Rhythm:
        """The same, with silence up to so many frames."""
        more = max(0, frames - len(self.stress))
        silent = np.pad(self.stress, (0, more)), np.pad(self.activity, (0, more))
        return Rhythm(*silent, np.pad(self.pause, (0, more), constant_values=1.0))


def rhythm_of(motion: Motion, samples: NDArray[np.float32] | None = None, rate: int = 0) -> Rhythm:
    """The rhythm of a mouth, and of the sound [S] that belongs to it."""
    motion = motion.resample(RATE)
    fps = float(RATE)
    values = motion.values.astype(np.float64)
    columns = [c for name in MOUTH_REGIONS if name in motion.rig.regions for c in motion.rig.indices(name)]
    columns = columns or list(range(motion.rig.size))  # a learned rig: all that it has
    speed = np.zeros(len(values))
    speed[1:] = np.abs(np.diff(values[:, columns], axis=0)).mean(axis=1) * fps
    speed = _smooth(speed, BUSY)
    activity = np.minimum(speed / max(float(np.percentile(speed, 80)), 1e-6), 2.0)
    stress = _stress(np.maximum(mouth_opening(values, motion.rig), 0))
    pause = _pauses(activity < QUIET)
    if samples is not None and rate and len(samples):
        level = frame_levels(samples, rate, RATE, len(values))
        loud = float(np.percentile(level, 95))
        stress = (1 - LOUDNESS) * stress + LOUDNESS * _stress(10 ** (np.maximum(level, loud - FAINT) / 20))
        pause = _pauses(frames_below_speech(samples, rate, RATE, len(values)))
    return Rhythm(stress, activity, pause)


def _stress(curve: Array) -> Array:
    """How far a curve rises beyond what is usual around it, in its own spread: 0 usual, 1 a strong syllable."""
    fine = _smooth(curve, SYLLABLE)
    rise = fine - _smooth(fine, PHRASE)
    return np.clip(rise / max(2 * float(rise.std()), 1e-6), 0.0, 1.5)


def _pauses(quiet: NDArray[np.bool_]) -> Array:
    """[T] 1 in stretches that are quiet for long enough, with soft edges."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    pause = np.zeros(len(quiet))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= SHORTEST_PAUSE * float(RATE):
            pause[start:stop] = 1.0
    return _smooth(pause, 0.08)


def _smooth(curve: Array, seconds: float) -> Array:
    sigma = seconds * float(RATE)
    if len(curve) < 3:
        return curve
    reach = int(np.ceil(3 * sigma))
    padded = np.pad(curve, reach, mode="edge")
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    result = np.zeros(len(curve))
    for offset, weight in enumerate(kernel / kernel.sum()):
        result += weight * padded[offset : offset + len(curve)]
    return result
