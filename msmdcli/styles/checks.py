"""Whether a take can serve as a style reference: long enough, a face well seen, and a mouth that speaks.

The limits were set on 1,023 tracked clips of real talking people (1.2 to 34 s, most of them 3 s): none of them that is
long enough is refused, and a face at rest, a frozen picture or a face that only changes its expression slowly is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.motion.motion import Motion
from msmdcli.styles.library import SHORTEST_SECONDS

if TYPE_CHECKING:
    from msmdcli.tracking.track import Track

RATE = Fraction(25)  # frames per second at which movement is measured, so that the limits hold for every take
STRETCH = 12  # frames, about half a second: a syllable or two
SPEAKING_SPEED = 0.05  # mean speed of the jaw and lip channels in speech, units per second: exceeded by 95 % of clips
LEAST_SPEAKING, FEW_SPEAKING = 0.15, 0.4  # share of half seconds with that speed: the least of real clips is 0.17
LEAST_SPREAD = 0.004  # mean standard deviation of the face's channels: the least of real clips is 0.006
SHORT_SECONDS = 3.0  # below it a manner is shown, but hardly all of it
LEAST_FOUND, GOOD_FOUND = 0.8, 0.95  # share of frames in which the face was seen
LEAST_CONFIDENCE = 0.4  # median of the frames
TURNED_DEGREES = 45.0  # a face turned farther than this is half hidden
MOST_TURNED = 0.2  # share of frames
ODD_DEGREES = 25.0  # mean turn from which blendshapes of the far side are guesswork


@dataclass(frozen=True)
class TakeMeasures:
    """What was measured of a take. None: not known, as the take was no video.

    Attributes:
        seconds: its length.
        speaking: share of half seconds in which the mouth moves as in speech.
        spread: mean over the face's channels of their standard deviation over time.
        found: share of frames in which the face was seen.
        confidence: median over these frames.
        turned: share of frames in which the face is turned by more than `TURNED_DEGREES`.
        turn: mean turn in degrees.
    """

    seconds: float
    speaking: float
    spread: float
    found: float | None = None
    confidence: float | None = None
    turned: float | None = None
    turn: float | None = None

    def as_dict(self) -> dict[str, float]:
        """The numbers that are known, rounded to three digits."""
        return {name: round(value, 3) for name, value in asdict(self).items() if value is not None}


def measure_take(motion: Motion, track: Track | None = None) -> TakeMeasures:
    """Measure a take.

    Args:
        motion: on a rig with the regions jaw, lips and face; without them the mouth is not judged.
        track: what the motion was taken from, if it was tracked; same frames.
    """
    values = motion.resample(RATE).values if motion.fps != RATE else motion.values  # [T, D]
    rig = motion.rig
    mouth = [channel for region in ("jaw", "lips") for channel in rig.regions.get(region, ())]
    face = rig.indices("face") if "face" in rig.regions else np.arange(rig.size)
    speaking = 1.0
    if mouth:
        moved = np.abs(np.diff(values[:, [rig.index(name) for name in mouth]], axis=0)).mean(axis=1)  # [T - 1]
        speed = moved * float(RATE)
        stretches = np.array_split(speed, max(1, round(len(speed) / STRETCH))) if len(speed) else []
        speaking = float(np.mean([part.mean() > SPEAKING_SPEED for part in stretches])) if stretches else 0.0
    spread = float(values[:, face].std(axis=0).mean())
    if track is None:
        return TakeMeasures(float(motion.seconds), speaking, spread)
    seen = track.found
    return TakeMeasures(
        float(motion.seconds),
        speaking,
        spread,
        found=float(seen.mean()),
        confidence=float(np.median(track.confidence[seen])) if seen.any() else 0.0,
        turned=float((track.turn > TURNED_DEGREES).mean()),
        turn=float(track.turn.mean()),
    )


def faults(measures: TakeMeasures) -> list[str]:
    """Why a take cannot be a style reference, with the numbers; empty if it can."""
    m = measures
    found = []
    if m.seconds < SHORTEST_SECONDS:
        found.append(f"it lasts {m.seconds:.2f} s; {SHORTEST_SECONDS} s is the least")
    if m.found is not None and m.found < LEAST_FOUND:
        found.append(f"the face is seen in {m.found:.0%} of the frames; {LEAST_FOUND:.0%} is the least")
    if m.confidence is not None and m.confidence < LEAST_CONFIDENCE:
        found.append(f"the face is tracked poorly (confidence {m.confidence:.2f}; {LEAST_CONFIDENCE} is the least)")
    if m.turned is not None and m.turned > MOST_TURNED:
        found.append(f"the face is turned away by more than {TURNED_DEGREES:.0f} degrees {m.turned:.0%} of the time")
    if m.spread < LEAST_SPREAD:
        found.append(f"it is one frozen pose (channels vary by {m.spread:.4f})")
    elif m.speaking < LEAST_SPEAKING:
        found.append(f"nobody seems to speak: the mouth moves {m.speaking:.0%} of the time")
    return found


def doubts(measures: TakeMeasures) -> list[str]:
    """What is not good about a take that can be a style reference."""
    m = measures
    found = []
    if SHORTEST_SECONDS <= m.seconds < SHORT_SECONDS:
        found.append(f"it lasts only {m.seconds:.1f} s; 4 to 20 s show a manner better")
    if m.found is not None and LEAST_FOUND <= m.found < GOOD_FOUND:
        found.append(f"the face is not seen in {1 - m.found:.0%} of the frames; motion is filled in there")
    if m.turn is not None and m.turn > ODD_DEGREES and (m.turned or 0.0) <= MOST_TURNED:
        found.append(f"the face is turned by {m.turn:.0f} degrees on average; a frontal take is tracked better")
    if m.spread >= LEAST_SPREAD and LEAST_SPEAKING <= m.speaking < FEW_SPEAKING:
        found.append(f"the mouth moves only {m.speaking:.0%} of the time; cut the silence off with --from and --to")
    return found
