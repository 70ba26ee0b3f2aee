"""How far a performer's lids go: open at rest, shut, and narrowed for long.

People's eyes differ, and so do MediaPipe's lids on them: where some shut eyes keep a tenth of their opening, others
keep a third. Both ends of the range are therefore taken from the take itself. *Shut* is what its blinks come to. *Open*
is the resting face's opening; where that face is not known, a take whose lids hang lower for most of its time may show
narrow eyes or a narrowed look, and MediaPipe's score for squinting decides between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHUT_SHARE = 0.15  # of the opening at rest, that MediaPipe's lids keep when the eye is shut (a median over 500 blinks)
MOST_SHUT = 0.4  # of the opening at rest: lids that stay farther apart were not shut
BLINK_SCORE = 0.5  # of eyeBlink, at the deepest frame of a blink
BLINKS_QUANTILE = 0.25  # over a take's blinks: some fall between two frames
OPEN_QUANTILE = 0.75  # over a take's frames without blinks: the lids open
SQUINT_SCORES = (0.40, 0.65)  # of eyeSquint: people at rest, and a narrowed look


@dataclass(frozen=True, eq=False)
class LidRange:
    """mm between the lids of the left and the right eye [2]: `rest`, open without expression, and `shut`."""

    rest: np.ndarray
    shut: np.ndarray

    def closures(self, gaps: np.ndarray) -> np.ndarray:
        """[T, 2] of gaps [T, 2] mm: 0 as at rest, 1 shut, below 0 wider than at rest."""
        return np.asarray((self.rest - gaps) / np.maximum(self.rest - self.shut, 1e-3))


def lid_range(
    gaps: np.ndarray, blinks: np.ndarray, squints: np.ndarray, rest: np.ndarray, *, known: bool = False
) -> LidRange:
    """The range of a take.

    Args:
        gaps: [T, 2] mm between the lids.
        blinks, squints: [T, 2] MediaPipe's scores.
        rest: [2] mm of the resting face.
        known: that face is known, and not found in the take.
    """
    if not known:
        squinted = np.clip((np.median(squints, axis=0) - SQUINT_SCORES[0]) / np.ptp(SQUINT_SCORES), 0.0, 1.0)
        rest = rest - (1.0 - squinted) * np.array([_lower(gaps[:, i], blinks[:, i], rest[i]) for i in range(2)])
    shut = SHUT_SHARE * rest
    for side in range(2):
        gap, inner = gaps[:, side], gaps[1:-1, side]
        deepest = 1 + np.flatnonzero((inner <= gap[:-2]) & (inner < gap[2:]))
        deepest = deepest[(blinks[deepest, side] >= BLINK_SCORE) & (gap[deepest] < MOST_SHUT * rest[side])]
        if len(deepest):
            shut[side] = max(shut[side], float(np.quantile(gap[deepest], BLINKS_QUANTILE)))
    return LidRange(rest, shut)


def _lower(gaps: np.ndarray, blinks: np.ndarray, rest: float) -> float:
    """mm by which an eye that is not shut stays below its opening at rest for most of a take."""
    seen = gaps[blinks < BLINK_SCORE]
    return max(rest - float(np.quantile(seen, OPEN_QUANTILE)), 0.0) if len(seen) else 0.0
