"""How large a mouth speaks: how far jaw and lips go while somebody speaks.

A size is the standard deviation of the smoothed curves within speech. It knows neither how fast nor how often somebody
speaks, only how far the mouth goes. One style's size against what a model makes of the style is the gain by which
`mouth_size: reference` articulates: a model that mumbles as the reference does is left alone, one whose mouth is the
same in every style gets the reference's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.performance.rhythm import RATE, rhythm_of

Array = NDArray[np.float64]

JAW = ("jawOpen",)
LIPS = (  # in pairs
    *("mouthPucker", "mouthPucker", "mouthFunnel", "mouthFunnel"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
)
SMOOTH = 5  # frames at `RATE` (0.2 s): a tracker's tremble is no speech
SPEAKS = 0.03  # per second: jaws that move less do not speak (silent takes to 0.025, faint trackers from 0.036)
SMALLEST = 0.004  # a reference whose mouth goes less far does not speak
BOUNDS = (0.55, 1.6)  # of a gain: beyond, reference and model do not speak of the same mouth
DOUBT = 1.5  # seconds of speech of a reference in which half of the gain is believed


@dataclass(frozen=True)
class MouthSize:
    """How far a mouth goes.

    Attributes:
        jaw, lips: standard deviation of the curves while speaking, mean over the shapes.
        seconds: of speech in which it was seen.
    """

    jaw: float
    lips: float
    seconds: float


def has_size(rig: Rig) -> bool:
    """Whether a rig has the channels by which a mouth is measured."""
    return all(name in rig.channels for name in (*JAW, *LIPS))


def size_of(motion: Motion, speaking: NDArray[np.bool_]) -> MouthSize:
    """The size of a mouth.

    Args:
        motion: at `RATE`.
        speaking: [T] where somebody speaks.
    """
    rig, seconds = motion.rig, float(speaking.sum() / RATE)
    if seconds == 0:
        return MouthSize(0.0, 0.0, 0.0)
    columns = [rig.channels.index(name) for name in (*JAW, *LIPS)]
    padded = np.pad(motion.values[:, columns].astype(np.float64), ((SMOOTH // 2, SMOOTH // 2), (0, 0)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, SMOOTH, axis=0).mean(axis=-1)  # [T, n]
    spread = smooth[speaking].std(axis=0)  # [n]
    shapes = spread[len(JAW) :].reshape(-1, 2).mean(axis=1)  # a pair is one shape
    return MouthSize(float(spread[: len(JAW)].mean()), float(shapes.mean()), seconds)


def size_of_clips(clips: Sequence[Motion]) -> MouthSize:
    """The size of a reference's mouth, from its movement alone; no seconds where nobody speaks."""
    sizes = []
    for clip in clips:
        if not speaks(clip):
            continue
        clip = clip.resample(RATE)
        pause = rhythm_of(clip).pause
        sizes.append(size_of(clip, pause[: clip.frames] < 0.5))
    return mean_size(sizes)


def speaks(clip: Motion) -> bool:
    """Whether a mouth moves as if it spoke, by its jaw; where there is none it may."""
    if JAW[0] not in clip.rig.channels:
        return True
    jaw = clip.resample(RATE).values[:, clip.rig.channels.index(JAW[0])].astype(np.float64)
    smooth = np.convolve(jaw, np.ones(SMOOTH) / SMOOTH, "valid") if len(jaw) > SMOOTH else jaw
    steps = np.sort(np.abs(np.diff(smooth)))[: max(1, int(0.98 * len(smooth)))]  # without the turn of an expression
    return bool(len(steps) and steps.mean() * float(RATE) >= SPEAKS)


def mean_size(sizes: Sequence[MouthSize]) -> MouthSize:
    """Of several clips, each weighing as its speech."""
    seconds = sum(size.seconds for size in sizes)
    if seconds == 0:
        return MouthSize(0.0, 0.0, 0.0)
    jaw, lips = (sum(getattr(s, axis) * s.seconds for s in sizes) / seconds for axis in ("jaw", "lips"))
    return MouthSize(jaw, lips, seconds)


def gain(wanted: float, made: float, seconds: float) -> float:
    """By how much a mouth of size `made` is to go further, to be as large as one seen in so many seconds of speech.

    A short reference is believed in part: its size is by chance what it said.
    """
    if wanted < SMALLEST or made < SMALLEST:
        return 1.0
    belief = seconds / (seconds + DOUBT)
    return float(np.clip((wanted / made) ** belief, *BOUNDS))
