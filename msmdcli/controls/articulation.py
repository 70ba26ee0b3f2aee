"""How far jaw and lips go while speaking: a gain about the closed mouth, so what is closed stays closed.

    articulation: 1.2                      both
    articulation: {jaw: 1.2, lips: 1.1}    each by itself

A channel's distance from where the style's closed mouth holds it is scaled, and smile and frown are left alone, so the
style's own expression stays as it is. `mouthClose` follows the jaw, by which it is opened, and makes up for whatever
else would part lips that met: no gain opens a closure. What parts the lips is not lifted where it lies below the
resting mouth. Jaws and puckers that a gain takes further come to their widest softly.

What the style asks for, a mouth that moves as its reference's does (`mouth_size: reference`), comes before the dial: a
gain of each channel, and a bend of the opening (`MouthScale`). Of a channel that has moods (`mood`), it is a gain of
what speech does with it.

These are the two axes of Edwards et al. 2016, "JALI: An animator-centric viseme model for expressive lip
synchronization": the same words spoken with the jaw, with the lips, mumbled or over-articulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.mood import mood_columns, slow
from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError, did_you_mean
from msmdcli.motion.easing import smooth_step, soft_end
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

MAX_GAIN = 3.0
MouthSizeSource = Literal["reference", "generated"]
MOUTH_SIZES: tuple[MouthSizeSource, ...] = get_args(MouthSizeSource)
WIDE = {  # from where on a gain counts less and less, and how far it takes a channel: lips that are said to be round
    # are no kiss
    "jawOpen": (0.8, 1.0),
    "mouthPucker": (0.5, 0.75),
    "mouthFunnel": (0.5, 0.75),
    "mouthSmileLeft": (0.8, 1.0),
    "mouthSmileRight": (0.8, 1.0),
}
UNBOUNDED = 1e3  # mm: no lips part so far
LEAST_OPEN = 1e-3  # a jaw that is opened less than this has nothing that mouthClose could follow
EXPRESSION = ("mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight")  # no dial on these
MEET, APART = 0.6, 1.4  # mm: lips with a smaller gap meet, with a larger one they do not
PARTING = (
    *("jawOpen", "mouthFunnel", "mouthShrugUpper", "tongueOut"),
    *("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
)


@dataclass(frozen=True)
class Articulation:
    """Gains; 1 is as generated, 0 a mouth that does not move.

    Attributes:
        jaw: of the opening and the movements of the jaw.
        lips: of all that the lips do.
    """

    jaw: float = 1.0
    lips: float = 1.0

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return self.jaw == 1 and self.lips == 1

    def words(self) -> str:
        """In a few words."""
        both = f"articulation x{self.jaw:g}"
        return both if self.jaw == self.lips else f"articulation jaw x{self.jaw:g}, lips x{self.lips:g}"


AXES = tuple(entry.name for entry in fields(Articulation))


@dataclass(frozen=True, eq=False)
class MouthScale:
    """By how much a mouth goes further, and how soon it comes to rest between its sounds, to move as its style's.

    Lips that are opened by a share s < 1 of `wide` are opened by `s ** bend` of it: the widest vowels stay, what lies
    between them closes. Beyond `wide` they come to `most` softly. T rows over a line, or one for all of it.

    Attributes:
        gains: [T, D] of each channel about the closed mouth; 1 leaves it.
        bend: [T] from 1 on, which leaves the opening.
        wide: [T] mm by which the style's lips part in a wide vowel, from where its closed mouth holds them.
        most: [T] mm by which they part at most, likewise.
    """

    gains: NDArray[np.floating]
    bend: NDArray[np.floating]
    wide: NDArray[np.floating]
    most: NDArray[np.floating]

    @classmethod
    def of(
        cls, gains: NDArray[np.floating], bend: float = 1.0, wide: float = 1.0, most: float = UNBOUNDED
    ) -> MouthScale:
        """One row, of gains [D]."""
        return cls(np.asarray(gains)[None], np.array([bend]), np.array([wide]), np.array([most]))

    @property
    def idle(self) -> bool:
        """Whether it changes nothing."""
        return bool(np.all(self.gains == 1)) and not self.shapes

    @property
    def shapes(self) -> bool:
        """Whether it changes how the opening goes, beside the gains."""
        return bool(np.any(self.bend != 1) or np.any(self.most < UNBOUNDED))

    def taken(self, rows: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> MouthScale:
        """With each of its arrays [T, ...] exchanged for `rows` of it."""
        shape = rows(np.stack([self.bend, self.wide, self.most], axis=1))  # [T, 3]
        return MouthScale(rows(self.gains), *shape.T)


def parse_articulation(text: str) -> Articulation:
    """`1.2`, or `jaw=1.2,lips=1.1`; an axis that is not named keeps 1."""
    gain = number_in(text)
    if gain is not None:
        return Articulation(*[_checked("articulation", gain)] * len(AXES))
    gains: dict[str, float] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w+)\s*=\s*(\S+)\s*", part)
        value = number_in(found[2]) if found else None
        if found is None or value is None or found[1] in gains:
            raise MsmdError(
                f"articulation {text[:40]!r} is no gain, and not of the form jaw=1.2,lips=1.1",
                hint="1 is as generated, 1.2 opens further, 0.8 mumbles",
            )
        if found[1] not in AXES:
            raise MsmdError(f"articulation has no {found[1]!r}", hint=did_you_mean(found[1], list(AXES)))
        gains[found[1]] = _checked(f"articulation {found[1]}", value)
    return Articulation(**gains)


def _checked(what: str, gain: float) -> float:
    if not 0 <= gain <= MAX_GAIN:
        raise MsmdError(f"{what} {gain:g} is outside 0 to {MAX_GAIN:g}", hint="1 is as generated")
    return gain


def parse_mouth_size(text: str) -> MouthSizeSource:
    """One of `MOUTH_SIZES`."""
    word = text.strip().lower()
    for source in MOUTH_SIZES:
        if word == source:
            return source
    raise MsmdError(f"mouth_size {text[:40]!r} is not known", hint=did_you_mean(word, MOUTH_SIZES))


def articulate(
    motion: Motion,
    articulation: Articulation,
    rest: NDArray[np.floating],
    style: MouthScale | None = None,
) -> Motion:
    """The motion with the gains.

    Args:
        motion: the line.
        articulation: the dial.
        rest: [D] or [T, D] the style's pose while its mouth is closed.
        style: by how much the mouth goes further to move as the style's, of T rows or one; None leaves it.
    """
    if articulation.idle and (style is None or style.idle):
        return motion
    rig, values = motion.rig, motion.values.astype(np.float64)
    closed = np.broadcast_to(np.asarray(rest, np.float64), values.shape)
    result = values.copy()
    if style is not None:
        centre, moods = closed.copy(), mood_columns(rig)
        centre[:, moods] = slow(values[:, moods], float(motion.fps))
        result += (style.gains - 1) * (values - centre)
        _bend(result, closed, rig, style)
    for region in AXES:
        columns = _dialled(rig, region)
        result[:, columns] += (getattr(articulation, region) - 1) * (result[:, columns] - closed[:, columns])
    for column in (rig.channels.index(name) for name in PARTING if name in rig.channels):
        below = values[:, column] <= closed[:, column]
        result[below, column] = np.minimum(result[below, column], values[below, column])
    for name, (wide, widest) in WIDE.items():
        if name in rig.channels:
            column = rig.channels.index(name)
            # What was as wide stays so, but for a kiss.
            before = np.minimum(result[:, column], values[:, column]) if widest == 1 else np.zeros(len(result))
            result[:, column] = np.maximum(soft_end(result[:, column], wide, widest), before)
    if "jawOpen" in rig.channels and "mouthClose" in rig.channels:
        jaw, close = rig.channels.index("jawOpen"), rig.channels.index("mouthClose")
        opened = values[:, jaw] > LEAST_OPEN
        share = np.where(opened, result[:, jaw] / np.where(opened, values[:, jaw], 1), 1)
        result[:, close] = values[:, close] * share.clip(0, MAX_GAIN)
    result = np.clip(result, rig.lower, rig.upper)
    _keep_closed(result, values, rig)
    return replace(motion, values=result.astype(np.float32), meta=dict(motion.meta))


def _bend(result: NDArray[np.float64], closed: NDArray[np.float64], rig: Rig, style: MouthScale) -> None:
    """Close the mouth where it is neither shut nor wide open, and keep the widest within reach; in place."""
    contact = LipContact.of(rig)
    if contact is None or not style.shapes:
        return
    parting = [(int(column), mm) for column, mm in zip(contact.columns, contact.middle_parting, strict=True)]
    columns = [column for column, _ in parting if rig.channels[column] in PARTING]
    slope = np.array([mm for column, mm in parting if rig.channels[column] in PARTING])  # [n] mm by unit
    above = np.maximum(result[:, columns] - closed[:, columns], 0)  # [T, n]
    opening = (above @ slope).clip(1e-6)  # [T] mm
    bent = opening * (opening / style.wide).clip(0, 1) ** (style.bend - 1)
    led = soft_end(bent, style.wide, style.most)
    result[:, columns] -= (1 - led / opening)[:, None] * above


def _keep_closed(result: NDArray[np.float64], values: NDArray[np.float64], rig: Rig) -> None:
    """Close lips that met in `values` [T, D] again where a gain has parted them, by `mouthClose`; in place."""
    contact = LipContact.of(rig)
    if contact is None:
        return
    gap = contact.middle(values)
    meeting = 1 - smooth_step(((gap - MEET) / (APART - MEET)).clip(0, 1))  # [T]
    parted = np.maximum(contact.middle(result) - gap, 0)
    close = rig.channels.index("mouthClose")
    result[:, close] = np.minimum(result[:, close] - meeting * parted / contact.parted("mouthClose", rig.channels), 1)


def _dialled(rig: Rig, region: str) -> list[int]:
    names = rig.regions.get(region, ())
    return [rig.channels.index(name) for name in names if name not in (*EXPRESSION, "mouthClose")]
