"""Lips that close: on m, b and p they meet, on f and v the lower lip goes to the teeth, in every style.

A style is a constant pose beneath the speech, and a pose that bares teeth keeps the lips apart on every sound, on those
too that cannot be said so. Here the last word on them is the sound's: where a closure is heard (`msmdcli.model`'s
closure ear, no transcript), what opens the lips yields, and `mouthClose` takes away what is left of the gap, solved for
the pose at hand. Corners, cheeks and nose keep the style: a smile stays a smile while its lips meet.

    closed pose = pose, its openers yielded, its mouthClose solved for a gap of `MEETING`     (linear: one division)
    result      = pose + w (closed pose - pose)

w rises to 1 in `ATTACK` seconds and falls within `RELEASE`, in smooth steps: the lips of a bilabial are shut for 50 to
100 ms and need about as long to get there and back (Loefqvist and Gracco 1997, "Lip and jaw kinematics in bilabial stop
consonant production"). They are ahead of the sound: shut before it is heard as one, and parting while it still is (on
tracked faces the gap follows best so, `benchmarks/closures.md`). A channel that is pinned stays as it is; where a pin
has a word on the lips, nothing is closed.

T frames, D channels, F rows of what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.nuclei import find_nuclei, open_nuclei
from msmdcli.controls.pins import Pinned
from msmdcli.errors import MsmdError
from msmdcli.motion.lip_contact import LipContact, turn
from msmdcli.motion.motion import Motion

Array = NDArray[np.float64]
Stretch = tuple[float, float]  # start and stop in seconds

ON, OFF = ("true", "on", "yes"), ("false", "off", "no")
ATTACK, RELEASE = 0.07, 0.08  # seconds to close and to open again
ROOM, LATEST = 0.04, 0.02  # seconds from the middle of an open vowel to shut lips; these are so late at the latest
SOONER, LESS = 0.03, 0.05  # seconds by which lips are shut before the sound is one, and part before it has gone
MEETING = 0.2  # mm: the gap of lips that meet
DEEPEST = -0.6  # mm: lips overlap no further
FADES, BEGINS = 0.15, 0.1  # seconds of a silence in which a sound may end, and in which the lips of the next may meet
BILABIAL_KEPT = {  # share of what opens the lips that stays
    "jawOpen": 0.7, "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15, "mouthLowerDownLeft": 0.1,
    "mouthLowerDownRight": 0.1, "mouthFunnel": 0.4, "mouthShrugUpper": 0.3, "tongueOut": 0.0,
}  # fmt: skip
BILABIAL_LEAST = {"mouthPressLeft": 0.08, "mouthPressRight": 0.08, "mouthRollLower": 0.08, "mouthRollUpper": 0.06}
BITE = (0.8, 1.7)  # mm: on f and v the lower lip stands so high above the teeth's edge, least and most ...
APART = 0.8  # mm: ... and so far from the upper lip at least
LABIODENTAL_KEPT = {
    "jawOpen": 0.7, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2, "mouthFunnel": 0.5, "mouthPucker": 0.7,
    "mouthShrugLower": 0.4, "mouthPressLeft": 0.5, "mouthPressRight": 0.5, "mouthUpperUpLeft": 0.8,
    "mouthUpperUpRight": 0.8, "tongueOut": 0.0,
}  # fmt: skip
LABIODENTAL_LEAST = {"mouthRollLower": 0.3}


def parse_closures(text: str) -> bool:
    """Whether lips close where a closure is heard: `true` or `off`, in the usual words."""
    word = text.lower()
    if word not in (*ON, *OFF):
        raise MsmdError(f"closures {text[:40]!r} is neither true nor off", hint="true: lips meet on m, b and p")
    return word in ON


@dataclass(frozen=True, eq=False)
class Heard:
    """What the closure ear heard in a line.

    Attributes:
        bilabial, labiodental: [F] how likely each sounds, 0 to 1.
        rate: rows a second; row i is about the sound at i / rate.
        likely: [2] from where on a bilabial and a labiodental count as heard.
        open_vowel: [F] how likely an open vowel sounds; None: not listened for.
    """

    bilabial: NDArray[np.float32]
    labiodental: NDArray[np.float32]
    rate: float
    likely: tuple[float, float] = (0.5, 0.5)
    open_vowel: NDArray[np.float32] | None = None

    def stretches(self, silent: Sequence[Stretch] = ()) -> tuple[list[Stretch], list[Stretch]]:
        """(start, stop) in seconds of the bilabials, and of the labiodentals; where both are heard, of the likelier: an
        f is no p, and lips that meet are not at the teeth.

        Args:
            silent: where nobody speaks; what is heard well within is a breath or somebody else.
        """
        first, second = self.likely
        meets = self.bilabial >= self.labiodental
        bilabial, labiodental = np.where(meets, self.bilabial, 0), np.where(meets, 0, self.labiodental)
        heard = stretches(bilabial, self.rate, first), stretches(labiodental, self.rate, second)
        return _spoken(heard[0], silent), _spoken(heard[1], silent)

    def nuclei(self, silent: Sequence[Stretch] = ()) -> list[float]:
        """Seconds of the middles of open vowels that are spoken; `silent` as above."""
        if self.open_vowel is None:
            return []
        found = find_nuclei(self.open_vowel, np.maximum(self.bilabial, self.labiodental), self.rate)
        return [at for at, _ in _spoken([(at, at) for at in found], silent)]


def stretches(likely: NDArray[np.floating], rate: float, threshold: float) -> list[Stretch]:
    """Where a sound is heard: runs above `threshold`, widened as far as it stays above half of that."""
    above = np.concatenate([[False], likely >= 0.5 * threshold, [False]])
    edges = np.flatnonzero(np.diff(above.astype(np.int8)))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if likely[start:stop].max() >= threshold:
            found.append((max(0.0, (start - 0.5) / rate), (stop - 0.5) / rate))
    return found


def _spoken(found: Sequence[Stretch], silent: Sequence[Stretch]) -> list[Stretch]:
    """Those whose middle is not well within a silence."""
    middles = [(start + stop) / 2 for start, stop in found]
    within = [any(a + FADES < middle < b - BEGINS for a, b in silent) for middle in middles]
    return [stretch for stretch, lost in zip(found, within, strict=True) if not lost]


def closing_curve(found: Sequence[Stretch], fps: float, frames: int, nuclei: Sequence[float] = ()) -> Array:
    """[T] how far the mouth is closed, 0 to 1: fully throughout each stretch of sound as the lips make it, and on one
    frame at least; a little later or shorter where an open vowel in `nuclei` [seconds] needs the time."""
    times = np.arange(frames) / fps
    opening = np.ones(frames)
    for sound in found:
        start, stop = _made_room(sound, nuclei)
        middle, half = (start + stop) / 2, max(stop - start, 1 / fps) / 2
        rise = (times - (middle - half - ATTACK)) / ATTACK
        fall = ((middle + half + RELEASE) - times) / RELEASE
        u = np.minimum(rise, fall).clip(0, 1)
        opening *= 1 - u * u * (3 - 2 * u)
    return 1 - opening


def _made_room(sound: Stretch, nuclei: Sequence[float]) -> Stretch:
    """From when to when lips are shut for a sound: ahead of it, unless that takes a vowel its middle."""
    start, stop = sound[0] - SOONER, sound[1] - LESS
    middle = (sound[0] + sound[1]) / 2
    before = max((n for n in nuclei if n <= middle), default=-np.inf) + ROOM
    after = min((n for n in nuclei if n > middle), default=np.inf) - ROOM
    start = max(start, min(before, sound[0] + LATEST))
    return start, max(start, min(stop, after))


@dataclass(frozen=True, eq=False)
class Closed:
    """The result.

    Attributes:
        motion: with the lips closed.
        count: bilabials and labiodentals that were heard.
    """

    motion: Motion
    count: int


def close_lips(motion: Motion, heard: Heard, pinned: Pinned | None = None, silent: Sequence[Stretch] = ()) -> Closed:
    """The motion, its lips closed where a closure is heard.

    Args:
        motion: the line, at any frame rate.
        heard: in the line's recording.
        pinned: the pins of the line at this frame rate.
        silent: (start, stop) in seconds of the recording's silences.
    """
    contact = LipContact.of(motion.rig)
    if contact is None:
        return Closed(motion, 0)
    rig, values = motion.rig, motion.values.astype(np.float64)
    free = np.ones(values.shape) if pinned is None else 1 - _near(pinned, motion)  # [T, D]
    yielding = free[:, rig.indices("lips")].min(axis=1) if "lips" in rig.regions else np.ones(motion.frames)
    bilabial, labiodental = heard.stretches(silent)
    nuclei, fps = heard.nuclei(silent), float(motion.fps)
    open_nuclei(values, rig.channels, contact, nuclei, fps, free * yielding[:, None])
    for found, shape in ((labiodental, bitten), (bilabial, sealed)):
        weight = closing_curve(found, fps, motion.frames, nuclei) * yielding
        at = np.flatnonzero(weight)
        if len(at):
            closed = shape(values[at], rig.channels, contact, free[at])
            values[at] += weight[at, None] * (closed - values[at])
    closed_motion = replace(motion, values=values.astype(np.float32), meta=dict(motion.meta))
    return Closed(closed_motion, len(bilabial) + len(labiodental))


def sealed(values: Array, channels: Sequence[str], contact: LipContact, free: Array | float = 1.0) -> Array:
    """[T, D] -> [T, D] the poses with lips that meet.

    Args:
        values: the poses.
        channels: of the rig.
        contact: of the rig.
        free: [T, D] how far each channel may be changed, 0 to 1.
    """
    pose = _yielded(values, channels, BILABIAL_KEPT, BILABIAL_LEAST, free)
    gap = contact.middle(pose)
    excess = np.maximum(gap - MEETING, 0) + np.minimum(gap - DEEPEST, 0)
    turn(pose, channels, "mouthClose", excess / -contact.parted("mouthClose", channels), free)
    return pose


def bitten(values: Array, channels: Sequence[str], contact: LipContact, free: Array | float = 1.0) -> Array:
    """[T, D] -> [T, D] the poses with the lower lip at the upper teeth; arguments as of `sealed`."""
    pose = _yielded(values, channels, LABIODENTAL_KEPT, LABIODENTAL_LEAST, free)
    least, most = BITE
    too_low = np.maximum(least - contact.bites(pose), 0)
    turn(pose, channels, "mouthClose", too_low / contact.lifted("mouthClose", channels), free)
    for name in ("mouthClose", "jawOpen"):
        too_high = np.minimum(most - contact.bites(pose), 0)
        turn(pose, channels, name, too_high / contact.lifted(name, channels), free)
        too_near = np.maximum(APART - contact.middle(pose), 0)
        turn(pose, channels, name, too_near / contact.parted(name, channels), free)
    return pose


def _yielded(
    values: Array, channels: Sequence[str], kept: dict[str, float], least: dict[str, float], free: Array | float
) -> Array:
    """The poses with shares of some channels, and others raised to a least value."""
    pose = values.copy()
    for name, share in kept.items():
        if name in channels:
            pose[:, channels.index(name)] *= share
    for name, value in least.items():
        if name in channels:
            column = channels.index(name)
            pose[:, column] = np.maximum(pose[:, column], value)
    changed: Array = values + free * (pose - values)
    return changed


def _near(pinned: Pinned, motion: Motion) -> Array:
    """[T, D] 1 where a channel is pinned, falling to 0 beside it."""
    near = np.zeros(motion.values.shape)
    found = pinned.nearness(motion.frames)
    near[:, : found.shape[1]] = found
    return near
