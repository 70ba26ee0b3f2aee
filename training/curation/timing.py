"""Sound and picture of a source: the constant offset between them, and clips in which they do not belong together.

An offset of one clip is uncertain; clips of one source share a recording chain, so their agreement curves
(`training.curation.sync`) are averaged, and the peak of the average is the source's offset. It is corrected, not
rejected, where there are enough clips to be sure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.curation.checks import Limits, Rejection
from training.curation.clip_data import Measures
from training.curation.sync import MAX_LAG
from training.data.av_offset import peak
from training.data.records import unit_hash

MIN_CLIPS = 3  # an offset is estimated from at least so many
MIN_SECONDS = 10.0  # and at least so much sound
LEAST_OFFSET = 1.0  # frames; a smaller one is left alone
SURE = 2.5  # standard deviations that it must exceed
LEAST_AGREEMENT = 0.15  # of the average at its peak
BOOTSTRAP = 200
AROUND = 3  # frames on either side of the offset within which a clip's own best lag is looked for
OUTLIER_CLIPS = 8  # a source needs so many before a clip is compared with the others
OUTLIER_SPREADS = 4.0  # so many robust standard deviations below the source's median
OUTLIER_SHARE = 0.5  # and at most so much of the median


@dataclass(frozen=True)
class SourceTiming:
    """What was found about a source.

    Attributes:
        offset: frames (at 25 fps) that its picture comes after its sound; 0 where it is not sure.
        estimate, spread: the estimate and its standard deviation; NaN without enough clips.
        agreement: of the average at its peak.
        clips: how many were heard.
        usual, usual_spread: median and robust standard deviation of the clips' own agreement.
    """

    offset: float
    estimate: float
    spread: float
    agreement: float
    clips: int
    usual: float
    usual_spread: float


def source_timing(source: str, clips: Sequence[Measures], limits: Limits) -> SourceTiming:
    """Timing of a source from its clips that passed all other checks."""
    heard = [clip for clip in clips if clip.lag_agreement]
    curves = np.array([_curve(clip) for clip in heard]).reshape(-1, 2 * MAX_LAG + 1)  # [n, lags]
    weights = np.array([clip.seconds for clip in heard])
    offset, estimate, spread, top = 0.0, np.nan, np.nan, np.nan
    if len(heard) >= MIN_CLIPS and weights.sum() >= MIN_SECONDS:
        mean = _average(curves, weights)
        estimate, top = peak(mean), float(np.nanmax(mean))
        rng = np.random.Generator(np.random.Philox(key=int(unit_hash(source) * 2**63)))
        draws = [rng.integers(len(heard), size=len(heard)) for _ in range(BOOTSTRAP)]
        spread = float(np.std([peak(_average(curves[rows], weights[rows])) for rows in draws]))
        inside = abs(estimate) < MAX_LAG - AROUND
        if inside and abs(estimate) >= max(LEAST_OFFSET, SURE * spread) and top >= LEAST_AGREEMENT:
            offset = round(float(estimate), 2)
    own = np.array([best_agreement(clip, offset) for clip in heard if _judged(clip, limits)])
    usual = float(np.median(own)) if len(own) >= OUTLIER_CLIPS else np.nan
    usual_spread = float(1.4826 * np.median(np.abs(own - usual))) if len(own) >= OUTLIER_CLIPS else np.nan
    return SourceTiming(offset, estimate, spread, top, len(heard), usual, usual_spread)


def best_agreement(clip: Measures, offset: float) -> float:
    """A clip's agreement at its own best lag within AROUND frames of its source's offset."""
    curve = _curve(clip)
    middle = MAX_LAG + round(offset)
    part = curve[max(0, middle - AROUND) : middle + AROUND + 1]
    return float(np.nanmax(part)) if np.isfinite(part).any() else float("nan")


def judge_sync(clip: Measures, timing: SourceTiming, limits: Limits) -> list[Rejection]:
    """Whether sound and mouth of a clip belong together: against the limit, and against the rest of its source."""
    if not _judged(clip, limits):
        return []
    value = round(best_agreement(clip, timing.offset), 4)
    if value < limits.min_agreement:
        text = f"sound and mouth agree by {value:.2f}, at least {limits.min_agreement:g}"
        return [Rejection("out-of-sync", value, limits.min_agreement, text)]
    if np.isfinite(timing.usual):
        floor = min(timing.usual - OUTLIER_SPREADS * timing.usual_spread, OUTLIER_SHARE * timing.usual)
        if value < floor:
            text = f"sound and mouth agree by {value:.2f}, while {timing.usual:.2f} is usual in its source"
            return [Rejection("out-of-sync", value, round(floor, 4), text)]
    return []


def timings(groups: Mapping[str, Sequence[Measures]], limits: Limits) -> dict[str, SourceTiming]:
    """`source_timing` of each source, sorted by name."""
    return {source: source_timing(source, clips, limits) for source, clips in sorted(groups.items())}


def _judged(clip: Measures, limits: Limits) -> bool:
    return bool(clip.lag_agreement) and clip.seconds >= limits.min_sync_seconds


def _curve(clip: Measures) -> np.ndarray:
    """[lags], NaN where it is not known."""
    return np.array([np.nan if value is None else value for value in clip.lag_agreement or ()], np.float64)


def _average(curves: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[lags] weighted mean of curves [n, lags]; a clip too short for a lag does not count there."""
    weight = np.isfinite(curves) * weights[:, None]
    return (np.nan_to_num(curves) * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)
