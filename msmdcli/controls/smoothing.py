"""Light smoothing of a finished motion, against jitter: nothing comes later, and lips that close still close.

A Gaussian kernel, the same to both sides, has no lag. It would also leave lips apart that touch for one frame (p, b, m)
and lids that shut for two, so those moments are kept as they were: around each closure of the mouth the jaw and lips,
and around each blink the eyes, fade back to the motion before smoothing.

Unless somebody says otherwise the mouth alone is smoothed, by `MOUTH`. A network's mouth goes to and fro from frame to
frame more than a face does: such zigzags are 0.17 of the jaw's movement and 0.20 of the lips', of eight tracked talkers
0.09 and 0.13, with `MOUTH` 0.11 and 0.12, at 0.96 of the movement. The rest is a performer's and stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import MOUTH_REGIONS, mouth_opening
from msmdcli.motion.rig import Rig

MOUTH = 0.2  # strength for the mouth where nobody asks for one
WIDEST, GROWTH = 0.08, 0.7  # seconds: standard deviation of the kernel at `smooth: 1`, and how it grows up to there
OFF = ("off", "false", "no")
REACH = 3.0  # standard deviations to each side
CLOSURE_DEPTH = 0.03  # how far the opening must rise again on both sides of a closure ...
CLOSURE_REACH = 0.2  # ... within so many seconds
KEEP_MOUTH = 0.06  # seconds to each side of a closure over which smoothing fades back in
KEEP_LIDS = 0.16
LID_RISE = 0.15  # a lid so far above where it rests (its lower envelope) is blinking
LID_SPAN = 0.6  # seconds: blinks are shorter


def parse_smooth(text: str) -> float:
    """The strength, 0 (off) to 1."""
    if text.lower() in OFF:
        return 0.0
    strength = number_in(text)
    if strength is None or not 0 <= strength <= 1:
        raise MsmdError(f"smooth {text[:40]!r} is not a number from 0 to 1", hint="0 is off, 0.3 is light")
    return strength


def smooth_motion(motion: Motion, strength: float | None) -> Motion:
    """The motion, smoothed: a little at 0.1, lightly at 0.3, softly at 1; None is the mouth by `MOUTH`.

    Both ends are continued by point reflection, so the first and the last pose stay where they are.
    """
    mouth = _columns(motion.rig, MOUTH_REGIONS)
    smoothed = np.arange(motion.rig.size) if strength is not None else mouth
    strength = MOUTH if strength is None else strength
    if strength <= 0 or motion.frames < 3:
        return motion
    sigma = strength**GROWTH * WIDEST * float(motion.fps)  # frames
    source = motion.values.astype(np.float64)  # [T, D]
    smooth = gaussian(source, sigma)
    keep = np.zeros_like(source)  # [T, D] share of the unsmoothed motion
    fps = float(motion.fps)
    keep[:, mouth] = _around(closures(source, motion.rig, fps), KEEP_MOUTH * fps)[:, None]
    eyes = _columns(motion.rig, ("eyes",))
    keep[:, eyes] = _around(_blinking(source, motion.rig, fps), KEEP_LIDS * fps)[:, None]
    values = source.copy()
    values[:, smoothed] = (smooth + keep * (source - smooth))[:, smoothed]
    return replace(motion, values=values.astype(np.float32), meta=dict(motion.meta))


def closures(values: NDArray[np.floating], rig: Rig, fps: float) -> NDArray[np.bool_]:
    """[T] the frames at which the lips close for a moment: a lowest point of the opening with a rise on both sides."""
    opening = mouth_opening(values, rig)
    reach = max(1, round(CLOSURE_REACH * fps))
    padded = np.pad(opening, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)  # [T, 2 reach + 1]
    before = windows[:, :reach].max(axis=1)
    after = windows[:, reach + 1 :].max(axis=1)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(opening, 1, mode="edge"), 3).min(axis=1)
    return (opening <= near) & (np.minimum(before, after) - opening >= CLOSURE_DEPTH)


def lower_envelope(curve: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """[T] the curve without its peaks narrower than `width` frames (a morphological opening; Serra 1982)."""
    half = max(1, width // 2)
    size = 2 * half + 1
    low = np.lib.stride_tricks.sliding_window_view(np.pad(curve, half, mode="edge"), size).min(axis=1)
    return np.lib.stride_tricks.sliding_window_view(np.pad(low, half, mode="edge"), size).max(axis=1)


def _blinking(values: NDArray[np.float64], rig: Rig, fps: float) -> NDArray[np.bool_]:
    """[T] the frames at which a lid is on its way down or up."""
    busy = np.zeros(len(values), bool)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        if name in rig.channels:
            lid = values[:, rig.channels.index(name)]
            busy |= lid - lower_envelope(lid, round(LID_SPAN * fps)) > LID_RISE
    return busy


def gaussian(source: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """[T, D] -> [T, D], convolved along time with a normalised, symmetric kernel of `sigma` frames."""
    reach = max(1, int(np.ceil(REACH * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(source, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    result = np.zeros_like(source)
    for offset, weight in enumerate(kernel):
        result += weight * padded[offset : offset + len(source)]
    return result


def _around(moments: NDArray[np.bool_], reach: float) -> NDArray[np.float64]:
    """[T] 1 at the moments, falling smoothly to 0 over `reach` frames on both sides."""
    keep = moments.astype(np.float64)
    whole = min(int(np.ceil(reach)), len(moments) - 1)
    for distance in range(1, whole + 1):
        weight = 0.5 + 0.5 * np.cos(np.pi * min(distance / (reach + 1e-9), 1.0))
        shifted = np.zeros_like(keep)
        shifted[distance:] = moments[:-distance]
        shifted[: len(keep) - distance] = np.maximum(shifted[: len(keep) - distance], moments[distance:])
        keep = np.maximum(keep, weight * shifted)
    return keep


def _columns(rig: Rig, regions: Sequence[str]) -> NDArray[np.int64]:
    found = [rig.indices(region) for region in regions if region in rig.regions]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
