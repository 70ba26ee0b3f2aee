"""Pre-roll and post-roll: frames before and after a line, so that an engine can blend into it and out of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from msmdcli.errors import UsageError
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import Motion

EASE, HOLD = "ease", "hold"
MANNERS = (EASE, HOLD)
MAX_SECONDS = 60
NOTES = ("pre_roll", "post_roll", "sound_start")


def roll(
    motion: Motion, before: Fraction | float | str = 0, after: Fraction | float | str = 0, manner: str = EASE
) -> Motion:
    """The motion with whole frames put before and after it; its own frames stay as they are.

    `ease` leads from the neutral face (all channels 0, head straight) to the first pose and from the last pose back to
    neutral, on a curve that starts and ends at rest. `hold` repeats the first and the last pose.

    Args:
        motion: [T, D].
        before, after: seconds, rounded to whole frames of the motion.
        manner: `ease` or `hold`.

    Returns:
        A motion of before + T + after frames. `meta` tells what was added: `pre_roll` and `post_roll` in frames, and
        `sound_start`, the time in seconds (an exact fraction) at which the recording begins.
    """
    if manner not in MANNERS:
        raise UsageError(f"roll {manner!r} is not known", hint=f"known: {', '.join(MANNERS)}")
    first, last = _frames(before, motion.fps, "pre-roll"), _frames(after, motion.fps, "post-roll")
    if first == last == 0:
        return motion
    neutral = np.clip(np.zeros(motion.rig.size), motion.rig.lower, motion.rig.upper)  # [D]
    opening = _lead(neutral, motion.values[0], first, manner)  # [first, D]
    closing = _lead(neutral, motion.values[-1], last, manner)[::-1]  # [last, D]
    first += int(motion.meta.get("pre_roll", 0))
    last += int(motion.meta.get("post_roll", 0))
    notes = {"pre_roll": str(first), "post_roll": str(last), "sound_start": str(first / motion.fps)}
    values = np.concatenate([opening, motion.values, closing]).astype(np.float32)  # [first + T + last, D]
    return replace(motion, values=values, meta={**motion.meta, **notes})


def without_roll(motion: Motion) -> Motion:
    """The line itself, from the start to the end of its recording: what `roll` put around it, and noted, is taken away.

    A motion without such a note (of a format that keeps none) stays as it is.
    """
    try:
        first, last = (max(0, int(motion.meta.get(name, 0))) for name in ("pre_roll", "post_roll"))
        start = Fraction(motion.meta.get("sound_start", "0"))
    except (ValueError, ZeroDivisionError):
        return motion  # somebody else's note
    rate = start * motion.fps / first if first else Fraction(1)  # it was resampled since: frames were others then
    first, last = (int(frames * rate + Fraction(1, 2)) for frames in (first, last))
    if first == last == 0 or first + last >= motion.frames:
        return motion
    line = motion.slice(first, motion.frames - last)
    return replace(line, meta={name: note for name, note in line.meta.items() if name not in NOTES})


def _lead(neutral: np.ndarray, pose: np.ndarray, frames: int, manner: str) -> np.ndarray:
    """Frames [n, D] that lead up to a pose [D], without it. Frame 0 is neutral itself when easing."""
    share = np.arange(frames)[:, None] / max(frames, 1)  # [n, 1] 0 .. just below 1
    share = smooth_step(share) if manner == EASE else np.ones_like(share)
    return neutral + share * (pose - neutral)


def _frames(seconds: Fraction | float | str, fps: Fraction, name: str) -> int:
    try:
        exact = Fraction(str(seconds))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{name} {seconds!r} is not a number of seconds", hint="example: 0.5") from None
    if not 0 <= exact <= MAX_SECONDS:
        raise UsageError(f"{name} {seconds} is not between 0 and {MAX_SECONDS} seconds")
    return int(exact * fps + Fraction(1, 2))
