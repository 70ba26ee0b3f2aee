"""Head and eyes of a performance: posture and nods; fixations, saccades, lids and blinks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from msmdcli.performance.fixations import DOWN_RANGE, UP_RANGE, YAW_RANGE
from training.speech.acted_manner import ActedManner, BlinkManner, GazeManner
from training.speech.shapes import pulse, random_stream, smooth, wave
from training.speech.stress import Stress, phrase_starts
from training.speech.visemes import Phone

LID_FOLLOWS_DOWN, LID_FOLLOWS_UP = 0.35, 0.15
SACCADE_SECONDS = 0.07
LARGE_SACCADE = 6.0  # degrees; one as large often comes with a blink


def head_curve(
    times: np.ndarray, manner: ActedManner, stresses: Sequence[Stress], phones: Sequence[Phone], seed: str
) -> np.ndarray:
    """[T, 3] pitch, yaw, roll in degrees."""
    rng = random_stream(seed, "head")
    head = manner.head
    drift = np.stack([wave(times, head.period, rng) for _ in range(3)], axis=1)  # [T, 3]
    angles = np.array(head.pose) + np.array(head.drift) * drift
    turn = 1.0
    for stress in stresses:
        size = stress.strength * rng.uniform(0.5, 1.2)
        angles[:, 0] += head.nod * size * pulse(times, stress.time + 0.04, 0.20, 0.04, 0.34)
        turn *= -1.0 if rng.random() < 0.7 else 1.0
        angles[:, 1] += head.shake * size * turn * pulse(times, stress.time, 0.26, 0.06, 0.40)
        angles[:, 2] += head.tilt * size * rng.choice([-1.0, 1.0]) * pulse(times, stress.time, 0.30, 0.10, 0.50)
    for pause, start in phrase_starts(phones):
        angles[:, 0] -= 0.9 * manner.breath * pulse(times, start - 0.1, min(0.35, start - pause), 0.0, 0.3)
    if head.tremor:
        swelling = 0.6 + 0.4 * wave(times, 1.5, rng)
        for axis, share in enumerate((1.0, 0.7, 0.4)):
            angles[:, axis] += share * head.tremor * swelling * wave(times, 0.16, rng)
    return angles


def add_eyes(
    face: dict[str, np.ndarray],
    times: np.ndarray,
    phones: Sequence[Phone],
    manner: ActedManner,
    head: np.ndarray,
    seed: str,
) -> None:
    """Adds gaze, lids and blinks to `face` (channel -> [T]); `head` [T, 3] in degrees is what the eyes take back."""
    gaze, jumps = _gaze(times, manner.gaze, random_stream(seed, "gaze"))  # [T, 2] degrees in space: yaw, pitch
    yaw = gaze[:, 0] - head[:, 1]  # the eyes take back what the head turns
    pitch = gaze[:, 1] - head[:, 0]
    left, right = np.maximum(yaw, 0.0) / YAW_RANGE, np.maximum(-yaw, 0.0) / YAW_RANGE
    down, up = np.maximum(pitch, 0.0) / DOWN_RANGE, np.maximum(-pitch, 0.0) / UP_RANGE
    for channel, curve in (
        ("eyeLookOutLeft", left), ("eyeLookInRight", left), ("eyeLookInLeft", right), ("eyeLookOutRight", right),
        ("eyeLookDownLeft", down), ("eyeLookDownRight", down), ("eyeLookUpLeft", up), ("eyeLookUpRight", up),
    ):  # fmt: skip
        face[channel] += curve

    blink = _blinks(times, manner.blinks, phones, jumps, random_stream(seed, "blinks"))  # [T] 0..1
    for side in ("Left", "Right"):
        lid = face[f"eyeBlink{side}"] + LID_FOLLOWS_DOWN * down
        face[f"eyeBlink{side}"] = lid + (np.maximum(manner.blinks.depth, lid) - lid) * blink
        face[f"eyeWide{side}"] = (face[f"eyeWide{side}"] + LID_FOLLOWS_UP * up) * (1.0 - blink)
        face[f"eyeSquint{side}"] += 0.10 * blink
        face[f"eyeLookDown{side}"] += 0.15 * blink  # Bell's phenomenon is for firm closures; a blink dips the eye
        face[f"browDown{side}"] += 0.03 * blink


def _gaze(times: np.ndarray, gaze: GazeManner, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
    """([T, 2] yaw and pitch in degrees in space, times of large saccades)."""
    place = np.array([gaze.yaw, gaze.pitch])
    out = np.tile(place, (len(times), 1))
    jumps: list[float] = []
    clock = float(rng.gamma(3.0, gaze.fixation / 3.0))
    away = False
    while clock < times[-1]:
        shares = [0.0 if away else glance.share for glance in gaze.glances]
        pick = rng.random()
        target = np.array([gaze.yaw, gaze.pitch]) + gaze.wander * rng.standard_normal(2) * (1.0, 0.7)
        away = pick < sum(shares)
        if away:
            glance = gaze.glances[int(np.searchsorted(np.cumsum(shares), pick, side="right"))]
            target = np.array([glance.yaw, glance.pitch]) + rng.standard_normal(2)
        if np.linalg.norm(target - place) > LARGE_SACCADE:
            jumps.append(clock)
        out += smooth((times - clock) / SACCADE_SECONDS)[:, None] * (target - place)
        place = target
        clock += SACCADE_SECONDS + float(rng.gamma(3.0, gaze.fixation / 3.0)) * (0.6 if away else 1.0)
    out += 0.15 * np.stack([wave(times, 0.5, rng), wave(times, 0.5, rng)], axis=1)
    return out, jumps


def _blinks(
    times: np.ndarray, blinks: BlinkManner, phones: Sequence[Phone], jumps: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """[T] 0 open, 1 closed. Blinks come at irregular intervals and are drawn to pauses and large saccades nearby."""
    lures = [at for at in [pause for pause, _ in phrase_starts(phones)] + list(jumps) if at > 0.3]
    spacing = blinks.close + blinks.hold + blinks.open + 0.15
    out = np.zeros(len(times))
    interval = 60.0 / blinks.per_minute
    clock = float(rng.uniform(0.2, 0.8)) * interval
    last = -math.inf
    while clock < times[-1] - blinks.close:
        near = [lure for lure in lures if abs(lure - clock) < 0.25 * interval and lure - last > spacing]
        at = min(near, key=lambda lure: abs(lure - clock)) if near and rng.random() < 0.7 else clock
        at = max(at, last + spacing)
        stretch = float(rng.uniform(0.85, 1.2))
        depth = float(rng.uniform(0.85, 1.0))
        out = np.maximum(out, depth * pulse(times, at, stretch * blinks.close, blinks.hold, stretch * blinks.open))
        last = at
        clock = at + max(spacing, float(rng.gamma(5.0, interval / 5.0)))
    return out
