"""Is a face alive? Measures of generated motion against its reference's own, that an animator sees at once.

Spread fools: a pose that each window holds for itself has the right standard deviation and is dead. So movement is
measured here: the speed of smoothed curves, the energy within bands of frequency, blinks one by one, and what happens
where windows or stretches join. Everything is a share of the reference's own: 1 is as lively as the performer.

Regions are groups of channels, by name; a rig without them, or a reference in which they are still (a tracker that
knows no cheeks, a take without a head), has no such measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.motion import Motion

Array = NDArray[np.float64]

RATE = 25  # frames per second at which everything is measured
REGIONS: Mapping[str, tuple[str, ...]] = {
    "head": ("headPitch", "headYaw", "headRoll"),
    "brows": ("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "gaze": ("eyeLookDownLeft", "eyeLookUpLeft", "eyeLookInLeft", "eyeLookOutLeft"),
    "cheeks": ("cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight"),
    "jaw": ("jawOpen",),
    "lips": ("mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthUpperUpLeft", "mouthSmileLeft"),
}
BANDS = ((0.3, 1.0), (1.0, 3.0), (3.0, 8.0))  # Hz: where somebody looks, nods and turns, beats and trembling
SMOOTH = 5  # frames (0.2 s) that curves are averaged over before their speed is taken: jitter is no life
KEPT = 0.98  # share of the steps that count: a jump where windows join is no life either
STILL = 0.004  # speed of a region under which a reference does not move it: a share of it would say nothing
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
CLOSED, SHUT, OPEN = (
    0.5,
    0.8,
    0.3,
)  # of eyeBlink: a blink goes above the first, should reach the second, comes from below


@dataclass(frozen=True)
class Blinks:
    """Blinks of a motion.

    Attributes:
        per_minute: how often the lids close.
        whole: share of them that shut the lids.
        half: a minute, movements of the lids that go down by a third and do not close.
    """

    per_minute: float
    whole: float
    half: float


@dataclass(frozen=True)
class Life:
    """Generated motion against its reference.

    Attributes:
        movement: region -> speed of the smoothed curves as a share of the reference's own.
        bands: region -> amplitude within each of `BANDS` as a share of the reference's own.
        jitter: region -> mean absolute second difference as a share of the reference's own.
        blinks: of the generated motion; of the reference in `own_blinks`.
        joins: region -> mean speed at joins over that elsewhere; empty without joins.
    """

    movement: Mapping[str, float]
    bands: Mapping[str, tuple[float, ...]]
    jitter: Mapping[str, float]
    blinks: Blinks
    own_blinks: Blinks
    joins: Mapping[str, float]


def measure_life(made: Sequence[Motion], reference: Sequence[Motion], joins: Sequence[Sequence[float]] = ()) -> Life:
    """Compare generated lines with the clips of their style.

    Args:
        made: lines in one style.
        reference: its clips.
        joins: for each line the seconds at which windows or stretches join.
    """
    lines, clips = [motion.resample(RATE) for motion in made], [motion.resample(RATE) for motion in reference]
    known = [name for name in REGIONS if all(channel in lines[0].rig.channels for channel in REGIONS[name])]
    regions = [name for name in known if speed(clips, name) >= STILL]
    return Life(
        movement={name: share(speed(lines, name), speed(clips, name)) for name in regions},
        bands={
            name: tuple(share(a, b) for a, b in zip(amplitude(lines, name), amplitude(clips, name), strict=True))
            for name in regions
        },
        jitter={name: share(jitter(lines, name), jitter(clips, name)) for name in regions},
        blinks=count_blinks(lines),
        own_blinks=count_blinks(clips),
        joins={name: speed_at_joins(lines, joins, name) for name in regions} if joins else {},
    )


def share(value: float, of: float) -> float:
    """NaN where there is nothing to be a share of."""
    return value / of if of > 1e-9 else float("nan")


def curves(motion: Motion, region: str) -> Array:
    """[T, C] of a region."""
    columns = [motion.rig.channels.index(name) for name in REGIONS[region]]
    return motion.values[:, columns].astype(np.float64)


def speed(motions: Sequence[Motion], region: str) -> float:
    """Mean absolute speed per second of curves smoothed over `SMOOTH` frames, the largest steps left out.

    The same measure as `checks/life.py` of the trial from which the targets come.
    """
    found = []
    for motion in motions:
        values = curves(motion, region)
        if len(values) <= SMOOTH:
            continue
        smooth = np.lib.stride_tricks.sliding_window_view(values, SMOOTH, axis=0).mean(axis=-1)
        steps = np.sort(np.abs(np.diff(smooth, axis=0)), axis=0)
        found.append(steps[: max(1, int(KEPT * len(steps)))].mean() * RATE)
    return float(np.mean(found)) if found else 0.0


def amplitude(motions: Sequence[Motion], region: str) -> tuple[float, ...]:
    """Root mean square within each of `BANDS`, by Parseval's theorem on the Hann-windowed curves."""
    power = np.zeros(len(BANDS))
    for motion in motions:
        values = curves(motion, region)
        window = np.hanning(len(values) + 2)[1:-1, None]
        spectrum = np.abs(np.fft.rfft((values - values.mean(axis=0)) * window, axis=0)) ** 2
        hertz = np.fft.rfftfreq(len(values), 1 / RATE)
        total = 2 * spectrum / (len(values) * np.square(window).sum())
        power += [total[(hertz >= low) & (hertz < high)].sum() / values.shape[1] for low, high in BANDS]
    return tuple(float(value) for value in np.sqrt(power / max(len(motions), 1)))


def jitter(motions: Sequence[Motion], region: str) -> float:
    """Mean absolute second difference per frame^2."""
    found = [np.abs(np.diff(curves(motion, region), n=2, axis=0)).mean() for motion in motions if motion.frames > 2]
    return float(np.mean(found)) if found else 0.0


def count_blinks(motions: Sequence[Motion]) -> Blinks:
    """Blinks of both lids: whole ones, and movements that come to nothing."""
    closed = shut = half = 0
    for motion in motions:
        lid = motion.values[:, [motion.rig.channels.index(name) for name in LIDS]].min(axis=1)
        peak, low, ready = 0.0, 1.0, False
        for value in lid:
            low = min(low, float(value))
            peak = max(peak, float(value)) if ready else 0.0
            if not ready and value < OPEN:
                ready, peak, low = True, 0.0, float(value)
            elif ready and value < max(OPEN, peak - 0.2) and peak - low > 0.33:
                closed, shut = closed + (peak >= CLOSED), shut + (peak >= SHUT)
                half += peak < CLOSED
                ready = value < OPEN
                peak, low = 0.0, float(value)
    minutes = sum(float(motion.seconds) for motion in motions) / 60
    return Blinks(closed / minutes, shut / closed if closed else float("nan"), half / minutes)


def speed_at_joins(motions: Sequence[Motion], joins: Sequence[Sequence[float]], region: str) -> float:
    """Mean length of a step across joins over the mean of all other steps."""
    there, elsewhere = [], []
    for motion, times in zip(motions, joins, strict=True):
        steps = np.linalg.norm(np.diff(curves(motion, region), axis=0), axis=1)
        at = np.zeros(len(steps), bool)
        for time in times:
            frame = int(time * RATE)
            at[max(0, frame - 1) : frame + 2] = True
        there.append(steps[at])
        elsewhere.append(steps[~at])
    return share(float(np.mean(np.concatenate(there))), float(np.mean(np.concatenate(elsewhere))))
