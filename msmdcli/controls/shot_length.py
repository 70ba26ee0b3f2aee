"""A fixed length of a shot: what happens when the line is longer or shorter than the picture that it has to fill."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, frame_count

WhenLonger = Literal["trim", "keep", "fail"]
WhenShorter = Literal["hold", "keep"]
LONGER: tuple[WhenLonger, ...] = get_args(WhenLonger)
SHORTER: tuple[WhenShorter, ...] = get_args(WhenShorter)
MAX_SECONDS = 24 * 3600
MAX_FRAMES = 500_000  # more than two hours at 60 fps; what is held has to fit into memory
WRITTEN = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?)\s*(s|seconds|ms|f|frames)?")


@dataclass(frozen=True)
class ShotLength:
    """How long the animation shall be: in seconds, or in frames of the output.

    Attributes:
        seconds: exact; None where frames are given.
        frames: None where seconds are given.
    """

    seconds: Fraction | None = None
    frames: int | None = None

    def frames_at(self, fps: Fraction) -> int:
        """Frames at the output's rate."""
        return self.frames if self.frames is not None else frame_count(self.seconds or Fraction(0), fps)

    def __str__(self) -> str:
        return f"{self.frames} frames" if self.frames is not None else f"{float(self.seconds or 0):g} s"


def parse_length(text: str) -> ShotLength:
    """`4.2` (seconds), `4.2 s`, `4200 ms`, `126 frames` or `126f`."""
    match = WRITTEN.fullmatch(text.strip().lower())
    hint = "4.2 or 4.2 s is seconds, 126 frames counts frames of the output"
    if match is None:
        raise MsmdError(f"length {text[:40]!r} is not a number of seconds or frames", hint=hint)
    number, unit = Fraction(match[1]), match[2] or "s"
    if unit.startswith("f"):
        if number.denominator != 1 or number < 1:
            raise MsmdError(f"length {text[:40]!r} is not a whole number of frames", hint=hint)
        return ShotLength(frames=int(number))
    seconds = number / 1000 if unit == "ms" else number
    if not 0 < seconds <= MAX_SECONDS:
        raise MsmdError(f"length {text[:40]!r} is not between 0 and {MAX_SECONDS} s", hint=hint)
    return ShotLength(seconds=seconds)


@dataclass(frozen=True)
class ShotFit:
    """A motion brought to the length of its shot.

    Attributes:
        motion: the result.
        overrun_ms: by how much the line is longer than its shot (negative: shorter).
        warning: what a person should know; empty if the line fitted.
    """

    motion: Motion
    overrun_ms: float
    warning: str = ""


def fit(motion: Motion, seconds: Fraction, length: ShotLength, longer: WhenLonger, shorter: WhenShorter) -> ShotFit:
    """Bring a motion to the length of its shot.

    Args:
        motion: the line, at the output's frame rate.
        seconds: the exact duration of the recording.
        length: of the shot.
        longer: a line longer than the shot is cut at its end (`trim`), left as it is (`keep`), or fails (`fail`).
        shorter: a shorter one holds its last pose to the end (`hold`), or is left as it is (`keep`).

    Raises:
        MsmdError: it is longer, and the policy is `fail`; or the shot has more than `MAX_FRAMES`.
    """
    wanted = length.frames_at(motion.fps)
    if wanted > MAX_FRAMES:
        raise MsmdError(f"a shot of {length} has {wanted} frames at {float(motion.fps):g} fps, more than {MAX_FRAMES}")
    shot = length.seconds if length.seconds is not None else wanted / motion.fps
    overrun = float((seconds - shot) * 1000)
    if motion.frames > wanted:
        said = f"{overrun:.0f} ms longer than its shot of {length}"
        if longer == "fail":
            raise MsmdError(f"the line is {said}", hint="shorten the recording, or choose when_longer: trim or keep")
        if longer == "keep":
            return ShotFit(motion, overrun, f"the line is {said}; nothing was cut")
        return ShotFit(motion.slice(0, wanted), overrun, f"the line is {said}; its end was cut")
    if motion.frames < wanted and shorter == "hold":
        held = np.repeat(motion.values[-1:], wanted - motion.frames, axis=0)
        values = np.concatenate([motion.values, held])
        return ShotFit(replace(motion, values=values, meta=dict(motion.meta)), overrun)
    return ShotFit(motion, overrun)
