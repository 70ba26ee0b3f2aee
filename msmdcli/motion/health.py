"""How healthy a generated line is: measures that need no ground truth, to find the lines that a person should look at.

Measured on what is delivered, at the bundle's frame rate; only what left the rig's ranges is measured before it is held
within them. The concerns come in the order in which an animator would send a line back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.mouth import mouth_opening
from msmdcli.motion.rig import Rig

Array = NDArray[np.float32]

SETTLE_SECONDS = 0.16  # the mouth may still close this long after the sound has ended, and open so long before it
SHORTEST_SILENCE = 3  # frames of settled silence that there must be to judge it
TOLERANCE = 0.02  # share of a channel's range that it may leave the range by before it counts
BLINK_CLOSED, BLINK_OPEN = 0.5, 0.3  # a blink: both lids above the one, after having been below the other
BLINKS_FROM_SECONDS = 20  # shorter lines are not judged by their blinks
LIFE_FROM_SECONDS = 4  # shorter lines are not judged by their lips, head and brows
SPOKEN_SECONDS = 2  # of speech in which lips meet
SMOOTH = np.hanning(9)[1:-1] / 4.0  # frames over which the curves of head and brows are averaged: jitter is no life

STILL_MOUTH = 0.002  # mean change of the mouth per frame under which nobody speaks: 5th percentile of real speech

# A measure at its limit is worth a look; see `Health.score`. The limits are near the 99th percentile of what 578 clips
# of real people, tracked at 25 fps, show (medians: mouth in silence 0.38, jitter 0.008, seam 0.34 at any frame).
LIMITS = {
    "lips_apart": 0.03,
    "mouth_in_silence": 0.9,
    "jitter": 0.025,
    "outside_share": 0.02,
    "outside_most": 0.25,
    "seam_jump": 1.7,
    "blinks_per_minute": 60.0,
}
# Measures that are worth a look below these: half of the least of the same clips, and less than any shipped style.
MOST_SHARE = 5.0  # a face that does not move at all is so many times under its floor
FLOORS = {"head_speed": 0.6, "brow_speed": 0.01}
WORDS = {
    "lips_apart": "the lips never close",
    "head_speed": "the head is frozen",
    "brow_speed": "the brows are frozen",
    "no_blinks": "it never blinks",
    "mouth_in_silence": "the mouth moves in silence",
    "jitter": "the face jitters",
    "outside_share": "channels leave the rig's ranges",
    "outside_most": "a channel leaves its range by far",
    "seam_jump": "there is a jump where two windows join",
    "blinks_per_minute": "it blinks too often",
}


@dataclass(frozen=True)
class Health:
    """Measures of one line. None: cannot be judged.

    Attributes:
        mouth_in_silence: mean speed of the jaw and lip channels in silence, relative to that in speech (0 still, 1 as
            lively). Only silence that has lasted `SETTLE_SECONDS` and will last as long counts.
        jitter: mean absolute second difference of the face channels, in rig units per frame^2.
        blinks_per_minute: how often both lids close.
        outside_share: share of all values that leave their channel's range by more than 2 % of it.
        outside_most: by how much at most, as a share of the range.
        seam_jump: the largest step between frames across a join of windows, relative to the 95th percentile of all
            other steps (a step is the mean absolute change over the face channels but the eyes').
        seconds: duration of the line.
        lips_apart: the least opening of the mouth in a line of speech, in units of jawOpen (`mouth_opening`).
        head_speed: degrees per second; brow_speed: rig units per second; of the curves smoothed by `SMOOTH`.
    """

    mouth_in_silence: float | None
    jitter: float | None
    blinks_per_minute: float | None
    outside_share: float
    outside_most: float
    seam_jump: float | None
    seconds: float
    lips_apart: float | None = None
    head_speed: float | None = None
    brow_speed: float | None = None

    @property
    def score(self) -> float:
        """The worst measure relative to its limit: above 1 the line is worth a look."""
        shares = [value / LIMITS[name] for name, value in self._judged().items()]
        shares += [
            floor / max(self.speed(name), floor / MOST_SHARE) for name, floor in FLOORS.items() if self.moves(name)
        ]
        return max([*shares, 1.01 if self._never_blinks() else 0.0])

    @property
    def concerns(self) -> list[str]:
        """What is above its limit, in words."""
        found = {name for name, value in self._judged().items() if value > LIMITS[name]}
        found |= {name for name, floor in FLOORS.items() if self.moves(name) and self.speed(name) < floor}
        found |= {"no_blinks"} if self._never_blinks() else set()
        return [words for name, words in WORDS.items() if name in found]

    def _judged(self) -> dict[str, float]:
        values = {name: getattr(self, name) for name in LIMITS}
        if self.seconds < BLINKS_FROM_SECONDS:
            values["blinks_per_minute"] = None
        if self.seconds < LIFE_FROM_SECONDS:
            values["lips_apart"] = None
        return {name: value for name, value in values.items() if value is not None}

    def moves(self, name: str) -> bool:
        """Whether a measure of `FLOORS` can be judged."""
        return getattr(self, name) is not None and self.seconds >= LIFE_FROM_SECONDS

    def speed(self, name: str) -> float:
        """A measure of `FLOORS`; 0 where there is none."""
        return float(getattr(self, name) or 0.0)

    def _never_blinks(self) -> bool:
        return self.blinks_per_minute == 0 and self.seconds >= BLINKS_FROM_SECONDS

    def as_dict(self) -> dict[str, float | None]:
        """Plain numbers, rounded to four digits, for reports."""
        return {name: None if v is None else round(v, 4) for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, float | None]) -> Health:
        """What `as_dict` gave."""
        return cls(**{name: data.get(name) for name in cls.__dataclass_fields__})  # type: ignore[arg-type]


def measure_health(
    values: Array,
    fps: Fraction,
    rig: Rig,
    window: int,
    silent: NDArray[np.bool_] | None = None,
    unclipped: Array | None = None,
    not_judged: Collection[str] = (),
) -> Health:
    """Measure a line.

    Args:
        values: [T, D] as delivered.
        fps: of the values.
        rig: what the D channels are; measures whose channels it lacks are None.
        window: N, for the joins.
        silent: [T] where nobody speaks (`msmdcli.media.voice.frames_below_speech`); None leaves out what needs it.
        unclipped: [T, D] before they were held within the rig's ranges; None: they were not.
        not_judged: names of measures that say nothing here: a head that was asked to be still.
    """
    seconds = len(values) / float(fps)
    face = rig.face_columns
    still = np.setdiff1d(face, _columns(rig, "eyes"))  # a blink or a saccade at a join is no jump
    steps = np.abs(np.diff(values[:, still], axis=0)).mean(axis=1) if len(still) else np.zeros(0)  # [T - 1]
    jitter = float(np.abs(np.diff(values[:, face], n=2, axis=0)).mean()) if len(values) > 2 and len(face) else None
    share, most = _outside(values if unclipped is None else unclipped, rig)
    in_silence = None if silent is None else _mouth_in_silence(values, silent, fps, rig)
    head = np.degrees(values[:, list(rig.rotation_indices)]) if rig.rotation_indices else np.zeros((0, 3))
    found = Health(
        mouth_in_silence=in_silence,
        jitter=jitter,
        blinks_per_minute=_blinks(values, seconds, rig),
        outside_share=share,
        outside_most=most,
        seam_jump=_seam_jump(steps, len(values), window),
        seconds=seconds,
        lips_apart=_lips_apart(values, silent, fps, rig),
        head_speed=_speed(head, fps),
        brow_speed=_speed(values[:, _columns(rig, "brows")], fps),
    )
    return replace(found, **dict.fromkeys(not_judged))  # type: ignore[arg-type]


def _lips_apart(values: Array, silent: NDArray[np.bool_] | None, fps: Fraction, rig: Rig) -> float | None:
    """The least opening of a mouth that speaks for long enough to close."""
    spoken = len(values) if silent is None else int((~silent).sum())
    if "jawOpen" not in rig.channels or spoken < SPOKEN_SECONDS * float(fps):
        return None
    return float(mouth_opening(values, rig).min())


def _speed(curves: NDArray[np.floating], fps: Fraction) -> float | None:
    """Mean length per second of the step of smoothed curves [T, C]."""
    if len(curves) <= len(SMOOTH) or curves.shape[1] == 0:
        return None
    smooth = (np.lib.stride_tricks.sliding_window_view(curves, len(SMOOTH), axis=0) * SMOOTH).sum(axis=-1)
    return float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).mean() * float(fps))


def seam_frames(frames: int, size: int) -> list[int]:
    """The first frame of every window but the first: where a seam could show."""
    return list(range(size, frames, size))


def _mouth_in_silence(values: Array, silent: NDArray[np.bool_], fps: Fraction, rig: Rig) -> float | None:
    mouth = np.concatenate([_columns(rig, "jaw"), _columns(rig, "lips")])
    if len(mouth) == 0 or len(values) < 2:
        return None
    settle = round(SETTLE_SECONDS * float(fps))
    near_speech = np.convolve(~silent, np.ones(2 * settle + 1), mode="same")[: len(silent)] > 0
    speed = np.abs(np.diff(values[:, mouth], axis=0)).mean(axis=1)  # [T - 1]
    settled, speaking = ~near_speech[1:], ~silent[1:]
    if settled.sum() < SHORTEST_SILENCE or speaking.sum() < SHORTEST_SILENCE:
        return None
    return float(speed[settled].mean() / max(float(speed[speaking].mean()), STILL_MOUTH))


def _blinks(values: Array, seconds: float, rig: Rig) -> float | None:
    lids = [rig.channels.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight") if name in rig.channels]
    if not lids:
        return None
    count, closed = 0, True  # eyes that are closed from the start have not blinked
    for lid in values[:, lids].min(axis=1):
        if not closed and lid > BLINK_CLOSED:
            count, closed = count + 1, True
        elif closed and lid < BLINK_OPEN:
            closed = False
    return 60 * count / seconds


def _outside(values: Array, rig: Rig) -> tuple[float, float]:
    """(share of values outside by more than the tolerance, largest excess), relative to each channel's range."""
    width = rig.upper.astype(np.float64) - rig.lower
    bounded = np.isfinite(width)
    if not bounded.any():
        return 0.0, 0.0
    excess = np.maximum(rig.lower - values, values - rig.upper)[:, bounded] / width[bounded]
    return float((excess > TOLERANCE).mean()), max(float(excess.max()), 0.0)


def _seam_jump(steps: NDArray[np.floating], frames: int, window: int) -> float | None:
    seams = np.array(seam_frames(frames, window), dtype=np.int64) - 1  # step i leads to frame i + 1
    if len(seams) == 0 or len(steps) <= len(seams):
        return None
    usual = float(np.percentile(np.delete(steps, seams), 95))
    return float(steps[seams].max()) / max(usual, 1e-6)


def _columns(rig: Rig, region: str) -> NDArray[np.int64]:
    return rig.indices(region) if region in rig.regions else np.zeros(0, np.int64)
