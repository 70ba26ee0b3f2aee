"""How large a mouth speaks: how far each of its channels goes while somebody speaks.

A size is the standard deviation of the smoothed curves within speech. It knows neither how fast nor how often somebody
speaks, only how far the mouth goes. One style's size against what a model makes of the style is the gain by which
`mouth_size: reference` articulates: a model that mumbles as the reference does is left alone, one whose mouth is the
same in every style gets the reference's. Each channel has its own, because people differ less in how far they open the
mouth than in how they do it: one speaks with the lower lip, another bares the upper teeth or hardly rounds the lips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.mood import mood_columns, slow
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import MOUTH_REGIONS
from msmdcli.motion.rig import Rig
from msmdcli.performance.rhythm import RATE, rhythm_of

Array = NDArray[np.float64]

JAW = "jawOpen"
VISEMES = (  # what makes sounds: no reference does without them
    *("jawOpen", "mouthPucker", "mouthFunnel"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
)
SMOOTH = 5  # frames at `RATE` (0.2 s): a tracker's tremble is no speech
SPEAKS = 0.03  # per second: jaws that move less do not speak (silent takes to 0.025, faint trackers from 0.036)
SMALLEST = 0.0005  # a channel that goes less far does not move
LARGEST = 2.0  # of a gain: beyond, reference and model do not speak of the same mouth
LEAST, LITTLE = 0.5, 0.05  # of a gain: of a viseme, and of what else a mouth does: a reference may not do it at all
WIDE = 90  # per cent of the frames of speech: what is further open says a wide vowel
DOUBT = 1.5  # seconds of speech of a reference in which half of the gain is believed


@dataclass(frozen=True, eq=False)
class MouthSize:
    """How far a mouth goes.

    Attributes:
        spread: [D] standard deviation of each channel while speaking; of one that has moods (`controls.mood`), of what
            is faster than these.
        seconds: of speech in which it was seen.
        open_jaw: how far the jaw is open where it is wide, the `WIDE`th percentile; 0 where there is none.
        opening: mm between the middles of the lips, likewise.
        widest: mm between them where they are furthest apart.
    """

    spread: Array
    seconds: float
    open_jaw: float = 0.0
    opening: float = 0.0
    widest: float = 0.0


def sized_columns(rig: Rig) -> list[int]:
    """The columns of a rig that have a size: of jaw, lips and tongue, and cheeks that hold air. `mouthClose` has none:
    it follows the jaw."""
    regions = [name for name in MOUTH_REGIONS if name in rig.regions]
    columns = [int(column) for name in regions for column in rig.indices(name)]
    columns += [rig.channels.index("cheekPuff")] if "cheekPuff" in rig.channels else []
    return [column for column in columns if rig.channels[column] != "mouthClose"]


def has_size(rig: Rig) -> bool:
    """Whether a rig has the channels by which a mouth is measured."""
    return all(name in rig.channels for name in VISEMES)


def size_of(motion: Motion, speaking: NDArray[np.bool_]) -> MouthSize:
    """The size of a mouth.

    Args:
        motion: at `RATE`.
        speaking: [T] where somebody speaks.
    """
    seconds = float(speaking.sum() / RATE)
    if seconds == 0:
        return nothing(motion.rig)
    values, moods = motion.values.astype(np.float64), mood_columns(motion.rig)
    if moods:
        values[:, moods] -= slow(values[:, moods], float(motion.fps))
    padded = np.pad(values, ((SMOOTH // 2, SMOOTH // 2), (0, 0)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, SMOOTH, axis=0).mean(axis=-1)  # [T, D]
    said, contact = smooth[speaking], LipContact.of(motion.rig)
    open_jaw = opening = widest = 0.0
    if JAW in motion.rig.channels:
        open_jaw = float(np.percentile(said[:, motion.rig.channels.index(JAW)], WIDE))
    if contact is not None:
        gap = contact.middle(said).clip(0)  # [T] mm
        opening, widest = float(np.percentile(gap, WIDE)), float(gap.max())
    return MouthSize(said.std(axis=0), seconds, open_jaw, opening, widest)


def nothing(rig: Rig) -> MouthSize:
    """The size of a mouth that nobody has seen speaking."""
    return MouthSize(np.zeros(rig.size), 0.0)


def size_of_clips(clips: Sequence[Motion]) -> MouthSize:
    """The size of a reference's mouth, from its movement alone; no seconds where nobody speaks."""
    sizes = [nothing(clips[0].rig)]
    for clip in clips:
        if not speaks(clip):
            continue
        clip = clip.resample(RATE)
        pause = rhythm_of(clip).pause
        sizes.append(size_of(clip, pause[: clip.frames] < 0.5))
    return mean_size(sizes)


def speaks(clip: Motion) -> bool:
    """Whether a mouth moves as if it spoke, by its jaw; where there is none it may."""
    if JAW not in clip.rig.channels:
        return True
    jaw = clip.resample(RATE).values[:, clip.rig.channels.index(JAW)].astype(np.float64)
    smooth = np.convolve(jaw, np.ones(SMOOTH) / SMOOTH, "valid") if len(jaw) > SMOOTH else jaw
    steps = np.sort(np.abs(np.diff(smooth)))[: max(1, int(0.98 * len(smooth)))]  # without the turn of an expression
    return bool(len(steps) and steps.mean() * float(RATE) >= SPEAKS)


def mean_size(sizes: Sequence[MouthSize]) -> MouthSize:
    """Of several clips, each weighing as its speech; `widest` is that of all."""
    seconds = sum(size.seconds for size in sizes)
    if seconds == 0:
        return sizes[0]
    spread = np.sum([size.spread * size.seconds for size in sizes], axis=0) / seconds
    jaw, opening = (
        sum(wide * size.seconds for wide, size in zip(wides, sizes, strict=True)) / seconds
        for wides in ([size.open_jaw for size in sizes], [size.opening for size in sizes])
    )
    return MouthSize(spread, seconds, jaw, opening, max(size.widest for size in sizes))


def gains_of(wanted: MouthSize, made: MouthSize, rig: Rig) -> Array:
    """[D] by how much the channels of a mouth of size `made` are to go further, to go as far as `wanted`; 1 for those
    that have no size.

    A short reference is believed in part.
    """
    found = np.ones(rig.size)
    columns = [column for column in sized_columns(rig) if made.spread[column] > SMALLEST]
    if wanted.seconds > 0:
        ratio = np.maximum(wanted.spread[columns], SMALLEST) / made.spread[columns]
        found[columns] = bounded(rig, ratio ** belief(wanted), columns)
    return found


def belief(size: MouthSize) -> float:
    """How far a size is believed, 0 to 1: a short reference's is by chance what it said."""
    return size.seconds / (size.seconds + DOUBT)


def bounded(rig: Rig, gains: Array, columns: Sequence[int]) -> Array:
    """Gains [n] of these columns, within bounds."""
    least = [LEAST if rig.channels[column] in VISEMES else LITTLE for column in columns]
    return np.clip(gains, least, LARGEST)
