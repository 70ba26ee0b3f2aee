"""From the model's motion to a line's: what its task asks for beyond the style, and measures. No file is written.

The order: the rig's ranges, the frame rate of the output, another head motion, the controls (the performance is the
second), the ranges again, the character's own curves. Controls are applied at the frame rate of the output. The
measures are taken at the model's, whatever the output's, of what is delivered but for the line's own length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.articulation import MouthScale
from msmdcli.controls.closures import Heard
from msmdcli.controls.controls import Controlled, Controls, control
from msmdcli.controls.silence_gate import silent_stretches
from msmdcli.media.audio import Audio
from msmdcli.media.voice import frames_below_speech
from msmdcli.model.style_codes import SAFE_INTENSITY
from msmdcli.motion.health import Health, measure_health
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.performance.line import Performance
from msmdcli.workers.task import LineTask

MOVES = 0.4  # of the movement: with less asked for, a head is not called frozen


@dataclass(frozen=True, eq=False)
class Finished:
    """A line as it is to be written.

    Attributes:
        motion: on the bundle's rig, or on that of the task's curve map; within its ranges.
        health: of the line at the model's frame rate.
        facts: what was measured: `controls` (see `Controlled.facts`) and `voice` (see `measure_voice`).
        warnings: what a person should know though the line was made.
    """

    motion: Motion
    health: Health
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]


def finished(
    motion: Motion,
    audio: Audio,
    voice: Mapping[str, float],
    task: LineTask,
    window: int,
    rest: NDArray[np.float32] | None = None,
    performance: Performance | None = None,
    heard: Heard | None = None,
    scale: MouthScale | None = None,
) -> Finished:
    """Finish a line.

    Args:
        motion: from the model, [T, D], not clipped.
        audio: the recording.
        voice: its measures (`msmdcli.media.voice.measure_voice`).
        task: what is asked of the line.
        window: N, frames of the model's windows, for the measures.
        rest: [T or 1, D] the pose of the line's styles while their mouths are closed, for each frame of `motion`; None:
            not known.
        performance: of the line; None leaves it as it was generated.
        heard: the closures in the recording; None: not known.
        scale: by how much the mouth goes further to move as the styles', for each frame of `motion` or for all.

    Raises:
        MsmdError: a control cannot be met.
    """

    motion_fps = motion.fps
    silences = silent_stretches(audio.samples, audio.rate, task.controls.gate)

    def controlled(line: Motion, controls: Controls) -> Controlled:
        performed = None if performance is None else performance.on
        times = np.arange(line.frames, dtype=np.float64) * float(motion_fps / line.fps)  # in frames of the model
        closed = None if rest is None else between(rest, times)
        own = None if scale is None else scale.taken(lambda rows: between(rows, times))
        return control(line, controls, audio, task.seed, task.noise_name, closed, performed, heard, own, silences)

    own_length = controlled(motion, replace(task.controls, length=None)).motion.values
    silent = frames_below_speech(audio.samples, audio.rate, motion.fps, len(own_length))
    delivered = np.clip(own_length, motion.rig.lower, motion.rig.upper)
    health = measure_health(
        delivered, motion.fps, motion.rig, window, silent, own_length, tuple(_asked_still(task.controls))
    )
    motion = motion.clip()
    if task.fps is not None and task.fps != motion.fps:
        motion = motion.resample(task.fps, frame_count(audio.seconds, task.fps))
    if task.head is not None:
        motion = task.head.on(motion)
    result = controlled(motion, task.controls)
    motion = result.motion.clip()
    motion.meta.update(task.meta)
    if task.curves is not None:
        motion = task.curves.apply(motion)
    performed = performance.facts() if performance is not None else {}
    facts = {"controls": {**performed, **result.facts}, "voice": dict(voice)}
    return Finished(
        motion, health, facts, (*audio.notes, *_style_warnings(task, float(audio.seconds)), *result.warnings)
    )


def between(rows: NDArray[np.floating], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [T, n] at fractional frames [m], the last one held beyond the end; a single row is for all of them."""
    left = np.minimum(at.astype(np.int64), len(rows) - 1)
    right = np.minimum(left + 1, len(rows) - 1)
    share = (at - np.floor(at))[:, None]
    return np.asarray(rows[left] * (1 - share) + rows[right] * share)


def _asked_still(controls: Controls) -> Iterator[str]:
    """Measures of health that say nothing because the line was asked not to move."""
    performance, amount = controls.performance, controls.performance.amount
    off = performance.source == "off"
    if off or controls.head * amount("head") < MOVES:
        yield "head_speed"
    if off or amount("brows") < MOVES:
        yield "brow_speed"
    if controls.blinks.rate == 0 or (controls.blinks.rate is None and (off or amount("eyes") == 0)):
        yield "blinks_per_minute"


def _style_warnings(task: LineTask, seconds: float) -> Iterator[str]:
    """What is doubtful in the style field of a line of this duration."""
    low, high = SAFE_INTENSITY
    for segment in task.field.segments:
        intensity = task.field.intensity if segment.intensity is None else segment.intensity
        if not low <= intensity <= high:
            yield f"intensity {intensity:g} is outside the safe range of {low:g} to {high:g}"
        if segment.start >= seconds:
            yield f"the segment at {segment.start:g} s begins after the end of the recording ({seconds:.2f} s)"
