"""Metrics of facial animation. NumPy only.

T frames, V vertices (or vertices of one region), D channels. Positions are in millimetres without head motion
(`mesh`), channels in rig units. `real` is the tracked performance, `made` the animation under test; both have
the same length.

The four vertex metrics are those of the paper's tables ("Model See Model Do", Pan, Singh, Hafemann, SIGGRAPH 2025):

=====  ======  =========================================================================================================
MSE    mm      mean vertex distance (the paper's name; no square is taken)
LVE    mm      lip vertex error (MeshTalk, Richard et al., ICCV 2021)
FDD    1e-5 m  upper-face dynamics deviation (CodeTalker, Xing et al., CVPR 2023)
MOD    mm      mouth opening difference (DiffPoseTalk, Sun et al., SIGGRAPH 2024)
=====  ======  =========================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from msmdcli.motion.rig import Rig
from training.data.lags import MAX_LAG, correlation, lag_correlations

STILL_REGION = (
    0.003  # a region whose channels move less on average (standard deviation) has no amplitude to compare with
)
FDD_UNITS_PER_MM = 100.0  # 1 mm = 100 x 1e-5 m
SILENCE_DB = -40.0  # below the loudest 50 ms of the clip
SILENCE_FLOOR_DB = -60.0  # of full scale: below it everything is silence
FIRST_SOUND_DB = -20.0
SILENCE_MARGIN = 4  # frames next to speech that belong to it: lips move before the sound and close after it


def vertex_error(real: np.ndarray, made: np.ndarray) -> float:
    """MSE in mm: mean over frames and vertices of |v - v_hat|, positions [T, V, 3]."""
    return float(np.linalg.norm(_same(real, made), axis=2).mean())


def lip_vertex_error(real: np.ndarray, made: np.ndarray) -> float:
    """LVE in mm: of each frame the largest |v - v_hat| over the lips, mean over frames; lip positions [T, V, 3]."""
    return float(np.linalg.norm(_same(real, made), axis=2).max(axis=1).mean())


def upper_face_dynamics_deviation(real: np.ndarray, made: np.ndarray, neutral: np.ndarray) -> float:
    """FDD in 1e-5 m: how differently the upper face moves, as a whole and without regard to when.

    dyn(v) is the standard deviation over time of |v_t - v_neutral|. CodeTalker reports the mean over vertices of
    dyn(real) - dyn(made); here the mean of the absolute differences, in which too much here does not pay for too little
    there.

    Args:
        real, made: upper-face positions [T, V, 3], mm.
        neutral: their positions at rest [V, 3].
    """
    _same(real, made)
    dynamics = [np.linalg.norm(x - neutral, axis=2).std(axis=0) for x in (real, made)]  # 2 x [V]
    return float(np.abs(dynamics[0] - dynamics[1]).mean() * FDD_UNITS_PER_MM)


def mouth_opening(positions: np.ndarray) -> np.ndarray:
    """[T] mm: distance between the middle of the upper and of the lower inner lip, positions [T, 2, 3]."""
    return np.asarray(np.linalg.norm(positions[:, 0] - positions[:, 1], axis=1))


def mouth_opening_difference(real: np.ndarray, made: np.ndarray) -> float:
    """MOD in mm: mean over frames of |opening(real) - opening(made)|; mid-lip positions [T, 2, 3]."""
    _same(real, made)
    return float(np.abs(mouth_opening(real) - mouth_opening(made)).mean())


def _same(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """real - made, after a check that they can be compared."""
    if real.shape != made.shape or real.ndim != 3 or real.shape[2] != 3 or 0 in real.shape:
        raise ValueError(
            f"positions of shapes {real.shape} and {made.shape} cannot be compared; both must be [T, V, 3]"
        )
    return real - made


@dataclass(frozen=True)
class Sync:
    """How well a curve follows another: correlation as it is, and at the lag that fits best.

    Attributes:
        at_zero: correlation at lag 0.
        best: the highest correlation within +-MAX_LAG frames.
        lag: where it is, in frames; positive: the made curve comes late.
    """

    at_zero: float
    best: float
    lag: float


def sync(real: np.ndarray, made: np.ndarray, max_lag: int = MAX_LAG) -> Sync:
    """Timing of a made curve [T] (jaw opening, as a rule) against the real one; NaN where one does not move."""
    curve = lag_correlations(real, made, max_lag)
    if np.isnan(curve).all():
        return Sync(float("nan"), float("nan"), float("nan"))
    top = int(np.nanargmax(curve))
    return Sync(float(curve[max_lag]), float(curve[top]), float(top - max_lag))


def amplitude_ratio(real: np.ndarray, made: np.ndarray) -> float:
    """How much a region moves against the real one.

    Sum over its channels of the standard deviations over time, made / real. The sums are divided, not the channels one
    by one, so that channels which hardly move do not decide. Values [T, D]. NaN where the real one hardly moves
    (trackers leave some channels at rest).
    """
    moves = real.std(axis=0)  # [D]
    return float(made.std(axis=0).sum() / moves.sum()) if moves.mean() > STILL_REGION else float("nan")


def amplitude_ratios(real: np.ndarray, made: np.ndarray, rig: Rig) -> dict[str, float]:
    """amplitude_ratio of each region of the rig (unions such as `face` included) and of `jawOpen`, of all that a jaw
    does the part that is heard; values [T, D]."""
    columns = {region: rig.indices(region) for region in rig.regions}
    if "jawOpen" in rig.channels:
        columns["jawOpen"] = np.array([rig.index("jawOpen")])
    return {region: amplitude_ratio(real[:, at], made[:, at]) for region, at in columns.items()}


def expression_agreement(real: np.ndarray, made: np.ndarray, origin: np.ndarray | None = None) -> float:
    """Correlation over channels of two mean expressions, each [D]; with `origin` [D], of their offsets from it.

    Plain, it is high for any two faces, because resting faces are alike on most channels; the offsets from a
    population's mean, or from the same person's neutral face, say whether the *manner* agrees.
    """
    return correlation(real if origin is None else real - origin, made if origin is None else made - origin)


def head_error(real: np.ndarray, made: np.ndarray) -> float:
    """Mean absolute difference of head pitch, yaw and roll in degrees, values [T, 3] in radians."""
    return float(np.degrees(np.abs(real - made)).mean())


def silent_frames(samples: np.ndarray, rate: int, fps: Fraction, frames: int) -> np.ndarray:
    """[frames] bool: where nobody speaks.

    A frame is loud when the sound within 25 ms of its time is above the silence threshold: 40 dB below the loudest such
    moment of the clip, but at least -60 dB of full scale. Frames within 4 of a loud one are not silent.
    """
    level = _levels(samples, rate, fps, frames)
    loud = level > max(level.max() + SILENCE_DB, SILENCE_FLOOR_DB)
    near = np.convolve(loud, np.ones(2 * SILENCE_MARGIN + 1), mode="same") > 0 if len(loud) else loud
    return ~near[:frames] if frames >= 2 * SILENCE_MARGIN + 1 else np.zeros(frames, bool)


def first_sound(samples: np.ndarray, rate: int, fps: Fraction, frames: int) -> int:
    """The first frame at which the sound comes within 20 dB of the clip's loudest moment."""
    level = _levels(samples, rate, fps, frames)
    return int(np.argmax(level >= level.max() + FIRST_SOUND_DB))


def _levels(samples: np.ndarray, rate: int, fps: Fraction, frames: int) -> np.ndarray:
    """[frames] level of the sound within 25 ms of each frame's time, in dB of full scale."""
    at = (np.arange(frames) / float(fps) * rate).round().astype(int)
    reach = int(0.025 * rate)
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    low, high = np.clip(at - reach, 0, len(samples)), np.clip(at + reach, 0, len(samples))
    power = (energy[high] - energy[low]) / np.maximum(high - low, 1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def movement_in_silence(opening: np.ndarray, silent: np.ndarray, fps: Fraction) -> float:
    """Mouth movement in silence in mm/s: mean |opening[t + 1] - opening[t]| x fps over neighbouring silent frames.

    Args:
        opening: [T] mouth opening, mm.
        silent: [T] bool (see silent_frames).

    Returns:
        NaN where fewer than two neighbouring frames are silent.
    """
    both = silent[1:] & silent[:-1]
    return float(np.abs(np.diff(opening))[both].mean() * float(fps)) if both.any() else float("nan")
