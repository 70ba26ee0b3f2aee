"""A performance: from phonemes and a manner to the motion of a whole face and head.

The style library is not recorded from people but made here, so that it belongs to everybody. A manner (`ActedManner`,
read from ``style_manners.yaml``) says how somebody looks and moves; `perform` plays a take of speech in it:

- mouth: the visemes of the phonemes (`training.speech.visemes`), articulated as strongly as the manner says;
- expression: a pose of facial action units (FACS), which swells slowly, grows on stressed syllables and lets go a
  little in pauses. Lips serve speech first: a pose that opens them yields to a closure, a smile to a rounded vowel;
- brows: flashes on stressed syllables;
- eyes: fixations and saccades that compensate the head's turning, lids that follow the gaze, blinks that close faster
  than they open and that like to fall on pauses and on large saccades;
- head: a posture, slow drift, nods on stressed syllables, a breath before each phrase.

Everything is a function of time in seconds, sampled at the frames: nothing depends on the frame rate. Everything
random comes from one seed; each part draws from a stream of its own, so changing one leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from training.data.augment import expression_pose
from training.speech.acted_manner import ActedManner
from training.speech.head_and_eyes import add_eyes, head_curve
from training.speech.lips import wanted_lips, yielding
from training.speech.shapes import pulse, random_stream, soft_limit, wave
from training.speech.stress import Stress, emphasis, phrase_starts, retimed, speaking, stressed
from training.speech.visemes import Phone, SpeechManner, VisemeTable

BROWS, LIDS = ("brow",), ("eye", "cheekSquint")
RESTLESS = ("brow", "eyeSquint", "cheekSquint", "mouth")
# The face at rest: nobody's is all zeros.
RESTING = {"eyeBlink": 0.035, "eyeSquint": 0.05, "browInnerUp": 0.02, "browDown": 0.02, "noseSneer": 0.01}
CLOSURE = 0.8  # mouthClose on a bilabial, as a share of jawOpen
LETS_GO = 0.15  # share of an expression that fades in pauses
MICRO = 0.010  # standard deviation of the small unrest that every living face has
RESOLUTION = 4  # decimals kept: far below what can be seen, and the same on every machine


def perform(
    phones: Sequence[Phone], manner: ActedManner, seed: str, rig: Rig, table: VisemeTable, fps: Fraction
) -> Motion:
    """Play a take in a manner.

    Args:
        phones: the take at tempo 1, from 0 on without gaps (silences have the symbol "").
        manner: how.
        seed: any text; the same text gives the same motion.
        rig: arkit52.
        table: the visemes.
        fps: frame rate of the motion.

    Returns:
        motion within the rig's ranges, as long as the take is at the manner's tempo.
    """
    phones = retimed(phones, manner.speech.tempo, manner.speech.pause)
    frames = frame_count(Fraction(phones[-1].end).limit_denominator(1000), fps)
    times = np.arange(frames) / float(fps)  # [T]
    stresses = stressed(phones, table)

    face: dict[str, np.ndarray] = {name: np.zeros(frames) for name in rig.channels}  # channel -> [T]
    head = head_curve(times, manner, stresses, phones, seed)  # [T, 3] degrees
    _mouth(face, times, phones, manner, table, seed)
    _expression(face, times, phones, manner, stresses, table, rig, seed)
    add_eyes(face, times, phones, manner, head, seed)
    for name, angle in zip(rig.rotation or (), head.T, strict=True):
        face[name] = np.radians(angle)
    values = np.stack([face[name] for name in rig.channels], axis=1)  # [T, D]
    values[:, rig.indices("face")] = soft_limit(values[:, rig.indices("face")])
    values = np.clip(values, rig.lower, rig.upper).round(RESOLUTION)
    return Motion(values.astype(np.float32), fps, rig)


def _mouth(
    face: dict[str, np.ndarray],
    times: np.ndarray,
    phones: Sequence[Phone],
    manner: ActedManner,
    table: VisemeTable,
    seed: str,
) -> None:
    speech = manner.speech
    side = float(random_stream(seed, "side").normal(0.0, 0.06))
    articulation = SpeechManner(speech.jaw, speech.lips, speech.effort, side, speech.channels)
    for name, curve in zip(table.channels, table.curves(phones, times, articulation).T, strict=True):
        face[name] += curve


def _expression(
    face: dict[str, np.ndarray],
    times: np.ndarray,
    phones: Sequence[Phone],
    manner: ActedManner,
    stresses: Sequence[Stress],
    table: VisemeTable,
    rig: Rig,
    seed: str,
) -> None:
    rng = random_stream(seed, "expression")
    active = speaking(phones, times)
    stress = emphasis(times, stresses, 0.20, 0.06, 0.40)
    periods = {"all": 2.8, "brow": 2.2, "eye": 2.0, "mouth": 1.6}
    swell = {part: wave(times, period, rng) for part, period in periods.items()}
    sides = {part: rng.normal(0.0, 1.0) for part in ("brow", "eye", "mouth")}
    lips = wanted_lips(phones, times, table)
    yields = yielding(lips)

    pose = expression_pose(rig, {**RESTING, **manner.pose})
    for channel, value in zip(rig.channels, pose, strict=True):
        if value == 0.0:
            continue
        base = _unsided(channel)
        part = _part(base)
        slow: np.ndarray = 0.7 * swell["all"] + 0.7 * swell[part]
        size = 1.0 + manner.swell * slow + manner.emphasis * (stress - 0.3)
        size *= 1.0 - LETS_GO * (1.0 - active)
        if base != channel:
            sign = 1.0 if channel.endswith("Right") else -1.0
            size *= 1.0 + sign * manner.asymmetry * float(np.clip(sides[part], -1.5, 1.5))
        face[channel] += value * np.maximum(size, 0.0) * yields.get(base, 1.0)

    flashes = np.zeros(len(times))
    for moment in stresses:  # the stronger the syllable, the likelier a flash
        if rng.random() < 0.25 + 0.6 * moment.strength:
            height = (0.5 + 0.5 * moment.strength) * rng.uniform(0.6, 1.2)
            flashes = np.maximum(flashes, height * pulse(times, moment.time - 0.03, 0.16, 0.12, 0.34))
    for name, value in manner.flash.items():
        for channel in _sides(name, face):
            face[channel] += value * flashes * yields.get(name, 1.0)

    for channel in rig.channels:  # unrest: more where the face is at work
        base = _unsided(channel)
        if base.startswith(RESTLESS):
            unrest = wave(times, 0.7, random_stream(seed, f"unrest {base}"))
            face[channel] += MICRO * (0.3 + 2.0 * face[channel]) * unrest * yields.get(base, 1.0)

    # A wide jaw does not wait for a closure: the lips reach for each other (that is what ARKit means by mouthClose).
    face["mouthClose"] = np.maximum(face["mouthClose"], CLOSURE * lips.closed * face["jawOpen"])

    for pause, start in phrase_starts(phones):
        depth = manner.breath * min(1.0, (start - pause) / 0.5)
        breath = depth * pulse(times, start - 0.14, min(0.30, start - pause), 0.0, 0.14)
        face["jawOpen"] += 0.05 * breath
        for channel in _sides("mouthLowerDown", face) + _sides("noseSneer", face):
            face[channel] += 0.03 * breath


def _unsided(channel: str) -> str:
    return channel.removesuffix("Left").removesuffix("Right")


def _part(base: str) -> str:
    if base.startswith(BROWS):
        return "brow"
    return "eye" if base.startswith(LIDS) else "mouth"


def _sides(name: str, face: Mapping[str, np.ndarray]) -> list[str]:
    """The rig's channels that a name without side means: itself, or left and right."""
    return [c for c in (name, f"{name}Left", f"{name}Right") if c in face]
