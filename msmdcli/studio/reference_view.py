"""The reference performance for the page: the clips of a line's styles, and what of them plays at each of its frames.

In step with the line: a line's head (or, without one, another group above the mouth) is performed from stretches of the
clips (`msmdcli.performance`). The whole clip is shown at the moment that plays, so what the line took over can be
compared with what the performer did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.motion.curve_map import CurveMap
from msmdcli.motion.motion import Motion
from msmdcli.performance.interpolation import sample, slopes
from msmdcli.performance.line import Performance
from msmdcli.performance.reference import GROUPS
from msmdcli.studio.line_view import curves_of
from msmdcli.studio.making import MadeLine, Performer

LONGEST = 60.0  # seconds of a clip that are sent


Film = dict[str, Any]  # see `msmdcli.studio.films`


def reference_view(
    made: MadeLine,
    performers: list[Performer],
    curves: CurveMap | None,
    films: Mapping[str, Sequence[Film | None]] = MappingProxyType({}),
) -> dict[str, Any]:
    """What the page shows beside a line.

    Args:
        made: the line.
        performers: of its styles.
        curves: of its character, if its head knows no other channels.
        films: name of a style -> the video of each of its clips.
    """

    def shown(motion: Motion) -> dict[str, Any]:
        return curves_of(motion if curves is None else curves.apply(motion.clip()))

    clips = [
        {
            "name": one.name if len(one.clips) == 1 else f"{one.name} {number}",
            "curves": shown(cut(clip)),
            "film": dict(enumerate(films.get(one.name, ()), start=1)).get(number),
        }
        for one in performers
        for number, clip in enumerate(one.clips, start=1)
    ]
    step, plays, source = in_step(made, performers)
    return {"clips": clips, "step": None if step is None else shown(step), "plays": plays, "source": source}


def cut(clip: Motion) -> Motion:
    """The beginning of a clip that is too long to be sent whole."""
    return clip.slice(0, min(clip.frames, max(1, round(LONGEST * float(clip.fps)))))


def in_step(
    made: MadeLine, performers: list[Performer]
) -> tuple[Motion | None, list[list[Any]], dict[str, list[Any]] | None]:
    """The clips at the moments that play, [T, D] at the line's frames; from when on which plays: seconds on the line,
    name, seconds in the clip; and of each frame which of all clips plays, at which second, and whether mirrored.
    Nothing where no clip is performed."""
    performance = made.performance
    group, sources = (None, []) if performance is None else shown_group(performance, performers)
    if performance is None or group is None:
        return None, [], None
    motion = made.drawn
    before = {id(one): sum(len(other.clips) for other in performers[:k]) for k, one in enumerate(performers)}
    source: dict[str, list[Any]] = {"clip": [], "seconds": [], "mirrored": []}  # each [T]
    times = np.arange(motion.frames) / float(motion.fps)
    values = np.zeros((motion.frames, performance.rig.size), np.float32)
    plays: list[list[Any]] = []
    stretches = performance.stretches[group]
    starts = [stretch.start for stretch in stretches]
    number = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)  # [T] which stretch plays
    for k, stretch in enumerate(stretches):
        mine = np.flatnonzero(number == k)
        if not len(mine):
            continue
        one = sources[stretch.reference]
        clip = one.clips[stretch.take]
        at = folded(stretch.source(times[mine]), (clip.frames - 1) / float(clip.fps))
        there = clip.values.astype(np.float64)
        found = sample(there, slopes(there), at * float(clip.fps))
        values[mine] = mirrored(found, performance.rig.channels) if stretch.mirrored else found
        plays.append([round(float(times[mine[0]]), 3), one.name, round(float(at[0]), 2)])
        source["clip"] += [before[id(one)] + stretch.take] * len(mine)
        source["seconds"] += at.round(3).tolist()
        source["mirrored"] += [stretch.mirrored] * len(mine)
    return replace(motion, values=values, rig=performance.rig, meta={}), plays, source


def shown_group(performance: Performance, performers: list[Performer]) -> tuple[str | None, list[Performer]]:
    """The first group that the line's own styles perform, and who the numbers in its stretches mean. A head that is
    lent to a style without one (`Part.performer`) is nothing that the style's performer did."""
    for group in GROUPS:
        if group not in performance.stretches:
            continue
        taking = [reference for part in performance.parts if (reference := part.performer(group)) is not None]
        found = [next((one for one in performers if one.reference is reference), None) for reference in taking]
        sources = [one for one in found if one is not None]
        if len(sources) == len(taking):
            return group, sources
    return None, []


def folded(times: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Moments of a clip that runs to and fro: a short one is unfolded (`msmdcli.performance.reference.unfolded`)."""
    if seconds <= 0:
        return np.zeros_like(times)
    there = np.mod(times, 2 * seconds)
    return np.where(there <= seconds, there, 2 * seconds - there)


def mirrored(values: NDArray[np.float64], channels: tuple[str, ...]) -> NDArray[np.float64]:
    """Values [n, D] with left and right exchanged."""
    other = {name: name.replace("Left", "\0").replace("Right", "Left").replace("\0", "Right") for name in channels}
    columns = [channels.index(other[name]) if other[name] in channels else k for k, name in enumerate(channels)]
    signs = np.array([-1.0 if name in ("headYaw", "headRoll") else 1.0 for name in channels])
    return values[:, columns] * signs
