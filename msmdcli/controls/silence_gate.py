"""The silence gate: where nobody speaks, the mouth eases to rest and stays there.

Silence is found in the sound's energy, with hysteresis (it takes 6 dB more to end a silence than to keep it) and a
shortest length, so the mouth does not flutter at the threshold. The mouth starts to close a moment after the sound has
ended and is open again before the next begins; both are smooth steps, so nothing pops. The pose it goes to keeps the
expression that the line has there, but is neither further open nor pressed harder than the style's own resting mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from msmdcli.documents.nodes import number_in
from msmdcli.errors import MsmdError
from msmdcli.media.voice import SILENCE_BELOW_SPEECH, SILENCE_FLOOR, level_db
from msmdcli.motion.easing import smooth_step
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import MOUTH_REGIONS, mouth_opening, resting_pose

Array = NDArray[np.float32]

HOP = 0.01  # seconds between measurements of the level
SMOOTH = 3  # measurements that are averaged
ABOVE_NOISE, NOISE_BELOW_SPEECH = 6.0, 25.0  # a steady noise floor is silence, if speech is so much louder
HYSTERESIS = 6.0  # dB
SHORTEST_SOUND = 0.06  # seconds: shorter bursts (clicks) do not end a silence
SHORTEST_SILENCE = 0.3  # seconds
HANG, CLOSING = 0.05, 0.2  # seconds: the mouth starts to close after the sound's end, and takes so long
OPENING, AHEAD = 0.2, 0.04  # seconds: it takes so long to open, and is done before the sound begins
STRENGTH = 0.8  # share of the way to rest; the rest keeps a still face from looking frozen
OPENERS = (
    "jawOpen",
    "mouthFunnel",
    "mouthClose",
    "tongueOut",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
)
PRESSERS = (
    "mouthPressLeft",
    "mouthPressRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
)
LOWEST_DB, HIGHEST_DB = -90.0, -10.0
ON, OFF = ("true", "on", "yes"), ("false", "off", "no")


@dataclass(frozen=True)
class SilenceGate:
    """Whether a line is gated.

    Attributes:
        on: whether at all.
        threshold: level in dB of full scale under which it is silent; None finds one in the line's own levels.
    """

    on: bool = False
    threshold: float | None = None


def parse_gate(text: str) -> SilenceGate:
    """`true`, `off`, or a threshold in dB of full scale such as -45."""
    word = text.lower()
    if word in ON:
        return SilenceGate(True)
    if word in OFF:
        return SilenceGate(False)
    level = number_in(text)
    if level is None or not LOWEST_DB <= level <= HIGHEST_DB:
        raise MsmdError(
            f"silence_gate {text[:40]!r} is not true, off or a level from {LOWEST_DB:g} to {HIGHEST_DB:g} dB",
            hint="silence_gate: true finds the level by itself; -45 is 45 dB under full scale",
        )
    return SilenceGate(True, level)


def silent_stretches(samples: Array, rate: int, gate: SilenceGate) -> list[tuple[float, float]]:
    """Where nobody speaks: (start, stop) in seconds, ascending.

    Args:
        samples: [S] the sound.
        rate: samples per second.
        gate: the threshold.
    """
    level = _levels(samples, rate)  # [H] dB
    if gate.threshold is not None:
        low = gate.threshold
    else:
        loud, quiet = np.percentile(level, 95), np.percentile(level, 5)
        noise = float(min(quiet + ABOVE_NOISE, loud - NOISE_BELOW_SPEECH))
        low = max(float(loud) - SILENCE_BELOW_SPEECH, SILENCE_FLOOR, noise)
    heard = np.where(level >= low + HYSTERESIS, 1, np.where(level < low, 0, -1))  # [H] sound, silence, as before
    last = np.maximum.accumulate(np.where(heard >= 0, np.arange(len(heard)), 0))
    state = np.maximum(heard[last], 0)  # [H] before the first word: silence
    state = _without_short(state, 1, SHORTEST_SOUND)
    state = _without_short(state, 0, SHORTEST_SILENCE)
    end = len(samples) / rate
    return [(a * HOP, min(b * HOP, end)) for a, b in _runs(state, 0)]


def gate_curve(stretches: list[tuple[float, float]], times: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """[T] how far the mouth is at rest, 0 to 1, at the given times.

    Args:
        stretches: of silence.
        times: [T] seconds.
        seconds: duration of the sound: a silence that reaches an end of it has no slope there.
    """
    curve = np.zeros(len(times))
    for start, stop in stretches:
        inside = (times >= start).astype(float)
        down = smooth_step(np.clip((times - (start + HANG)) / CLOSING, 0, 1)) if start > HOP else inside
        up = smooth_step(np.clip(((stop - AHEAD) - times) / OPENING, 0, 1)) if stop < seconds - HOP else inside
        curve = np.maximum(curve, np.minimum(down, up))
    return curve


def gate_motion(
    motion: Motion, silent: Sequence[tuple[float, float]], seconds: float, rest: Array | None
) -> tuple[Motion, list[tuple[float, float]]]:
    """Ease the mouth of a motion to rest wherever its sound is silent.

    Args:
        motion: the line. It may be longer than the sound; what is beyond its end is silent.
        silent: the sound's silences (`silent_stretches`).
        seconds: its duration.
        rest: [D] or [T, D] the style's pose while its mouth is closed; None takes it from the line itself.

    Returns:
        the motion, and the silent stretches in seconds.
    """
    stretches = list(silent)
    times = np.arange(motion.frames) / float(motion.fps)  # [T]
    if len(times) and times[-1] > seconds:
        if stretches and stretches[-1][1] >= seconds - HOP:
            stretches[-1] = (stretches[-1][0], float(times[-1]))
        else:
            stretches.append((seconds, float(times[-1])))
    rig, fps = motion.rig, float(motion.fps)
    mouth = [column for region in MOUTH_REGIONS if region in rig.regions for column in rig.indices(region)]
    if not stretches or not mouth:
        return motion, stretches
    values = motion.values.astype(np.float64)  # [T, D]
    own = resting_pose(motion) if rest is None else rest
    style = np.broadcast_to(np.asarray(own, np.float64), values.shape)  # [T, D]
    bounded = [rig.channels.index(name) for name in (*OPENERS, *PRESSERS) if name in rig.channels]
    result = values.copy()
    for start, stop in stretches:
        at = slice(max(0, int(np.floor(start * fps))), min(motion.frames, int(np.ceil(stop * fps)) + 1))
        if at.stop - at.start < 1:
            continue
        inside = values[at]
        order = np.argsort(mouth_opening(inside, rig), kind="stable")[: max(1, len(inside) // 2)]
        pose = np.median(inside[order], axis=0)  # [D] the half of the silence in which the mouth is least open
        pose[bounded] = np.minimum(pose[bounded], style[at][:, bounded].mean(axis=0))
        weight = STRENGTH * gate_curve([(start, stop)], times[at], max(seconds, float(times[-1])))[:, None]  # [t, 1]
        result[at, mouth] = inside[:, mouth] + weight * (pose[mouth] - inside[:, mouth])
    return replace(motion, values=result.astype(np.float32), meta=dict(motion.meta)), stretches


def _levels(samples: Array, rate: int) -> NDArray[np.float64]:
    """[H] dB of full scale, one every `HOP` seconds."""
    count = max(1, int(np.ceil(len(samples) / rate / HOP)))
    edges = np.minimum((np.arange(count + 1) * HOP * rate).astype(np.int64), len(samples))
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    power = (energy[edges[1:]] - energy[edges[:-1]]) / np.maximum(edges[1:] - edges[:-1], 1)  # [H]
    padded = np.pad(power, SMOOTH // 2, mode="edge")
    power = np.lib.stride_tricks.sliding_window_view(padded, SMOOTH).mean(axis=1)
    return level_db(power)


def _runs(state: NDArray[np.int64], value: int) -> list[tuple[int, int]]:
    """[start, stop) of the stretches in which `state` has the value."""
    same = np.concatenate([[0], (state == value).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(same))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _without_short(state: NDArray[np.int64], value: int, seconds: float) -> NDArray[np.int64]:
    """Stretches of `value` shorter than this become the other. One that reaches an end of the line stays."""
    result = state.copy()
    for start, stop in _runs(state, value):
        if (stop - start) * HOP < seconds - 1e-9 and start > 0 and stop < len(state):
            result[start:stop] = 1 - value
    return result
