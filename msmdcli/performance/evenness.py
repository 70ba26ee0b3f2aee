"""A line moves about as much as its reference: by how much each group's movement is made larger or smaller.

Nobody moves evenly. Of a take of half a minute in which a third moves, a line of ten seconds shows the third that
moves, or what is between. Stretches are chosen for it (`placing`), for all groups together; what is left is taken up
here, by a factor that no eye sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.motion import Motion
from msmdcli.performance.joins import Movement
from msmdcli.performance.reference import Reference
from msmdcli.performance.rhythm import RATE
from msmdcli.performance.stretches import Stretch

Array = NDArray[np.float64]

BOUNDS = (0.75, 1.3)  # of a factor: beyond, a gesture is not the performer's
GAZE_LEAST = 0.9  # ... but of a gaze, which jumps to where somebody looks: how fast it is says little of how large
SMOOTH = 5  # frames at `RATE`: a tracker's tremble is no movement
KEPT = 0.98  # share of the steps that count: a jump is none either
STILL = 1e-5  # per frame: less is no movement
WITHIN = 75  # frames at `RATE` (3 s) within which it is measured how far a movement goes: what is further apart than a
#              line lasts is no movement of the line


def evening(movement: Movement, stretches: Sequence[Stretch], seconds: float) -> float:
    """The factor by which a movement over so many seconds becomes as large as that in its references' takes, each of
    them weighing as its stretches do."""
    frames = int(seconds * float(RATE))
    if frames <= 2 * SMOOTH:
        return 1.0
    made = _size(movement.at(np.arange(frames) / float(RATE)))
    ends = [*(stretch.start for stretch in stretches[1:]), seconds]
    shown = np.zeros(len(movement.references))
    for stretch, end in zip(stretches, ends, strict=True):
        shown[stretch.reference] += max(end - stretch.start, 0.0)
    least, most = BOUNDS if movement.group != "gaze" else (GAZE_LEAST, BOUNDS[1])
    usual = usual_size(movement.references, shown, movement.columns, movement.gains)
    return float(np.clip(usual / made, least, most)) if made > STILL and usual > STILL else 1.0


def usual_size(references: Sequence[Reference], shares: Array, columns: Sequence[int], gains: Sequence[float]) -> float:
    """How much these columns move in the takes of references, each weighing as its share."""
    own = [_own(reference, tuple(columns), gain) for reference, gain in zip(references, gains, strict=True)]
    return float(np.average(own, weights=shares)) if shares.sum() > 0 else 0.0


def evened(motion: Motion, columns: Sequence[int], usual: float) -> Array:
    """[T, C] generated curves about their mean, made as large as is usual; a model knows that from the reference's
    spread alone."""
    curves = motion.values[:, columns].astype(np.float64)
    middle = curves.mean(axis=0)
    return middle + (curves - middle) * float(np.clip(lacking(motion, columns, usual), *BOUNDS))


def lacking(motion: Motion, columns: Sequence[int], usual: float) -> float:
    """By how much generated curves are to move more, to move as much as is usual; 1 where nothing is known."""
    made = _size(motion.resample(RATE).values[:, columns].astype(np.float64))
    return usual / made if min(made, usual) > STILL else 1.0


_OWN: WeakKeyDictionary[Reference, dict[tuple[tuple[int, ...], float], float]] = WeakKeyDictionary()


def _own(reference: Reference, columns: tuple[int, ...], gain: float) -> float:
    """How much a reference moves in its takes, as it is performed here; kept as long as the reference is."""
    known = _OWN.setdefault(reference, {})
    key = columns, gain
    if key not in known:
        sizes, weights = [], []
        for take in reference.takes:
            times = np.arange(int(take.seconds * float(RATE)) + 1) / float(RATE)
            sizes.append(_size(take.at(times, columns) * gain))
            weights.append(len(times))
        known[key] = float(np.average(sizes, weights=weights))
    return known[key]


def _size(curves: Array) -> float:
    """Of curves [T, C]: the geometric mean of how far they go within some seconds and how fast, in rig units."""
    if len(curves) <= SMOOTH + 1:
        return 0.0
    smooth = np.lib.stride_tricks.sliding_window_view(curves, SMOOTH, axis=0).mean(axis=-1)
    steps = np.sort(np.abs(np.diff(smooth, axis=0)), axis=0)
    fast = steps[: max(1, int(KEPT * len(steps)))].mean()
    parts = np.array_split(smooth, max(1, len(smooth) // WITHIN))
    far = np.average([part.std(axis=0).mean() for part in parts], weights=[len(part) for part in parts])
    return float(fast**0.75 * far**0.25)
