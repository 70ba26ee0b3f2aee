"""Vowels that open: in the middle of each open vowel that is heard the lips are apart, in a small mouth too.

The lips of a mouth that hardly opens, or that is still busy with the m before and the p after, may miss a short a
altogether. The ear that hears the closures hears open vowels as well. At each of these the mouth of a line opens at
least `SHARE` as far as it usually does on them in that line, so a small mouth stays a small one; whatever opens as far
by itself is left alone. `mouthClose` yields first, the jaw does the rest.

    gap + n max(least - gap, 0)         n: 1 in the middle of the vowel, falling to 0 within `WITHIN` in smooth steps

T frames, D channels, F rows of what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.easing import smooth_step
from msmdcli.motion.lip_contact import LipContact, turn

Array = NDArray[np.float64]

SURE = 0.4  # from where on an open vowel is heard, if nothing else is heard louder
SOONER = 0.02  # seconds by which lips are ahead of the sound
PLATEAU, WITHIN = 0.02, 0.08  # seconds to either side: fully, and in which it fades
SHARE = 0.45  # of the line's usual gap on open vowels
LEAST = 1.6  # mm: seen as an opening at all ...
OF_WIDEST = 0.8  # ... but no more than this share of the widest that the line opens


def find_nuclei(open_vowel: NDArray[np.floating], others: NDArray[np.floating], rate: float) -> list[float]:
    """Seconds of the middles of open vowels, each where it is heard best.

    Args:
        open_vowel: [F] how likely one sounds.
        others: [F] how likely a closure does.
        rate: rows a second.
    """
    heard = (open_vowel >= SURE) & (open_vowel > others)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], heard, [False]]).astype(np.int8)))
    return [_peak(open_vowel, int(a), int(b)) / rate for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _peak(curve: NDArray[np.floating], start: int, stop: int) -> float:
    """The place of the largest value within [start, stop), between rows by a parabola."""
    at = start + int(np.argmax(curve[start:stop]))
    if not 0 < at < len(curve) - 1:
        return float(at)
    before, here, after = (float(curve[at + step]) for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def open_nuclei(
    values: Array, channels: Sequence[str], contact: LipContact, nuclei: Sequence[float], fps: float, free: Array
) -> None:
    """Part the lips at these moments; in place.

    Args:
        values: [T, D] the line.
        channels: of the rig.
        contact: of the rig.
        nuclei: seconds, ascending.
        fps: frames a second.
        free: [T, D] how far each channel may be changed, 0 to 1.
    """
    if not nuclei:
        return
    weights, gap = opening_curves(nuclei, fps, len(values)), contact.middle(values)  # [n, T], [T]
    reached = [gap[weight > 0.5].max() for weight in weights if (weight > 0.5).any()]
    widest = float(gap.max())
    if not reached or widest <= 0:
        return
    least = max(SHARE * float(np.median(reached)), min(LEAST, OF_WIDEST * widest))
    lacking = weights.max(axis=0) * np.maximum(least - gap, 0)  # [T] mm
    for name in ("mouthClose", "jawOpen"):
        before = contact.middle(values)
        turn(values, channels, name, lacking / contact.parted(name, channels), free)
        lacking = np.maximum(lacking - (contact.middle(values) - before), 0)


def opening_curves(nuclei: Sequence[float], fps: float, frames: int) -> Array:
    """[n, T] how far each vowel is open, 0 to 1; fully on one frame at least."""
    times = np.arange(frames) / fps
    away = np.abs(times - (np.asarray(nuclei, np.float64)[:, None] - SOONER))
    plateau = max(PLATEAU, 0.5 / fps)
    return smooth_step(((plateau + WITHIN - away) / WITHIN).clip(0, 1))
