"""A performance: from phonemes and a manner to the motion of a whole face and head.

The style library is not recorded from people but made here, so that it belongs to everybody. A manner (`Manner`, read
from ``style_manners.yaml``) says how somebody looks and moves; `perform` plays a take of speech in it:

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

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from training.data.augment import expression_pose
from training.speech import visemes
from training.speech.visemes import Phone, VisemeTable

# What a pose on the lips has to give way to (see `_yielding`).
OPENERS = ("jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel")
SPREADERS = ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown")
SEALERS = ("mouthPress", "mouthRollUpper", "mouthRollLower", "mouthClose", "mouthShrugLower")
BROWS, LIDS = ("brow",), ("eye", "cheekSquint")
RESTLESS = ("brow", "eyeSquint", "cheekSquint", "mouth")

# The face at rest: nobody's is all zeros.
RESTING = {"eyeBlink": 0.035, "eyeSquint": 0.05, "browInnerUp": 0.02, "browDown": 0.02, "noseSneer": 0.01}
CLOSURE = 0.8  # mouthClose on a bilabial, as a share of jawOpen
KNEE = 0.8  # values above it are compressed towards 1
LETS_GO = 0.15  # share of an expression that fades in pauses
MICRO = 0.010  # standard deviation of the small unrest that every living face has

# Eyes: degrees at which a channel is fully on (about the eye's comfortable range).
YAW_RANGE, UP_RANGE, DOWN_RANGE = 35.0, 25.0, 30.0
LID_FOLLOWS_DOWN, LID_FOLLOWS_UP = 0.35, 0.15
GRID, EDGE = 0.01, 0.06  # seconds: the grid on which lips are judged, and how softly an expression gives way to them
SACCADE_SECONDS = 0.07
LARGE_SACCADE = 6.0  # degrees; one as large often comes with a blink

STRESS_SPACING = 0.42  # seconds between stressed syllables at least
PAUSE_SECONDS = 0.22  # a silence that ends a phrase
RESOLUTION = 4  # decimals kept: far below what can be seen, and the same on every machine


@dataclass(frozen=True)
class Speech:
    """How the manner speaks. All are factors on the viseme table's clear conversational voice.

    Attributes:
        tempo: speed; pause: length of silences beyond it.
        jaw, lips: amplitude of jaw opening, and of everything the lips do.
        effort: how far loud and long vowels are larger than others.
        channels: further gains by channel name without its side.
    """

    tempo: float = 1.0
    pause: float = 1.0
    jaw: float = 1.0
    lips: float = 1.0
    effort: float = 1.0
    channels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Blinks:
    """Attributes: per_minute: rate; close, hold, open: seconds; depth: eyeBlink at the bottom."""

    per_minute: float = 16.0
    close: float = 0.08
    hold: float = 0.04
    open: float = 0.18
    depth: float = 0.92


@dataclass(frozen=True)
class Glance:
    """A look somewhere else. Attributes: yaw, pitch: degrees (left, down positive); share: of the fixations."""

    yaw: float
    pitch: float
    share: float


@dataclass(frozen=True)
class Gaze:
    """Where the eyes rest, in degrees from the listener's face: yaw to the left, pitch down.

    Attributes:
        yaw, pitch: the middle of the fixations.
        wander: their spread.
        fixation: their usual length in seconds.
        glances: other places.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    wander: float = 1.5
    fixation: float = 1.4
    glances: tuple[Glance, ...] = ()


@dataclass(frozen=True)
class Head:
    """Degrees; pitch down, yaw left, roll to the right shoulder are positive, as in the rig.

    Attributes:
        pose: pitch, yaw, roll at rest.
        drift: standard deviation of the slow wandering of each; period: its usual period in seconds.
        nod, shake, tilt: pitch, yaw, roll on a stressed syllable.
        tremor: standard deviation of a trembling at 5 to 7 Hz.
    """

    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    drift: tuple[float, float, float] = (1.2, 1.6, 1.0)
    period: float = 3.5
    nod: float = 2.0
    shake: float = 1.0
    tilt: float = 0.8
    tremor: float = 0.0


@dataclass(frozen=True)
class Manner:
    """How somebody performs.

    Attributes:
        pose: the expression: channel (without side: both sides) -> value while speaking.
        asymmetry: how much stronger the one side of the expression is than the other.
        swell: standard deviation of the expression's slow waves, as a share of it.
        emphasis: how much the expression grows on the strongest syllables, as a share of it.
        flash: what is added on stressed syllables for a moment: channel -> value.
        breath: depth of the breaths before phrases.
        speech, blinks, gaze, head: see there.
    """

    pose: Mapping[str, float] = field(default_factory=dict)
    asymmetry: float = 0.06
    swell: float = 0.10
    emphasis: float = 0.15
    flash: Mapping[str, float] = field(default_factory=dict)
    breath: float = 1.0
    speech: Speech = field(default_factory=Speech)
    blinks: Blinks = field(default_factory=Blinks)
    gaze: Gaze = field(default_factory=Gaze)
    head: Head = field(default_factory=Head)


@dataclass(frozen=True)
class Stress:
    """A stressed syllable: the middle of its vowel in seconds, and its strength 0..1."""

    time: float
    strength: float


def perform(phones: Sequence[Phone], manner: Manner, seed: str, rig: Rig, table: VisemeTable, fps: Fraction) -> Motion:
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
    head = _head(times, manner, stresses, phones, seed)  # [T, 3] degrees
    _mouth(face, times, phones, manner, table, seed)
    _expression(face, times, phones, manner, stresses, table, rig, seed)
    _eyes(face, times, phones, manner, head, seed)
    for name, angle in zip(rig.rotation or (), head.T, strict=True):
        face[name] = np.radians(angle)
    values = np.stack([face[name] for name in rig.channels], axis=1)  # [T, D]
    values[:, rig.indices("face")] = _soft_limit(values[:, rig.indices("face")])
    values = np.clip(values, rig.lower, rig.upper).round(RESOLUTION)
    return Motion(values.astype(np.float32), fps, rig)


# Speech: its time and its stress


def retimed(phones: Sequence[Phone], tempo: float, pause: float) -> list[Phone]:
    """The same phones at another tempo, silences `pause` times as long as that."""
    out: list[Phone] = []
    clock = 0.0
    for phone in phones:
        length = (phone.end - phone.start) / tempo * (1.0 if phone.symbol else pause)
        out.append(Phone(phone.symbol, clock, clock + length, phone.level))
        clock += length
    return out


def stressed(phones: Sequence[Phone], table: VisemeTable) -> list[Stress]:
    """Stressed syllables: vowels that are louder and longer than those around them.

    Prominence is level in dB plus 6 dB per doubling of length; chosen greedily from the strongest down, at least
    `STRESS_SPACING` apart, among the upper 60 % of the vowels.
    """
    vowels = [p for p in phones if p.symbol and table.classes[table.parse(p.symbol)[0]].vowel]
    if not vowels:
        return []
    usual = float(np.median([p.end - p.start for p in vowels]))
    prominence = np.array([p.level + 6.0 * math.log2((p.end - p.start) / usual) for p in vowels])
    low, high = np.percentile(prominence, [40, 95])
    chosen: list[Stress] = []
    for i in np.argsort(-prominence, kind="stable"):
        middle = (vowels[i].start + vowels[i].end) / 2
        if prominence[i] >= low and all(abs(middle - s.time) >= STRESS_SPACING for s in chosen):
            chosen.append(Stress(middle, float(np.clip((prominence[i] - low) / max(high - low, 1e-6), 0.15, 1.0))))
    return sorted(chosen, key=lambda s: s.time)


def phrase_starts(phones: Sequence[Phone]) -> list[tuple[float, float]]:
    """(start of the pause, start of the speech after it) of every pause before a phrase."""
    out = []
    silent_since: float | None = 0.0
    for phone in phones:
        if phone.symbol:
            if silent_since is not None and phone.start - silent_since >= PAUSE_SECONDS:
                out.append((silent_since, phone.start))
            silent_since = None
        elif silent_since is None:
            silent_since = phone.start
    return out


def speaking(phones: Sequence[Phone], times: np.ndarray) -> np.ndarray:
    """[T] 1 while there is speech, 0 deep in a pause, with soft edges of 0.15 s that lie in the pause."""
    out = np.zeros(len(times))
    for phone in phones:
        if phone.symbol:
            out = np.maximum(out, smooth((times - phone.start) / 0.15 + 1) * smooth((phone.end - times) / 0.15 + 1))
    return out


# Shapes over time


def smooth(u: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, 3u^2 - 2u^3 between [T] -> [T]."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


def pulse(times: np.ndarray, at: float, rise: float, hold: float, fall: float) -> np.ndarray:
    """[T] a smooth bump that is 1 from at - hold/2 to at + hold/2, reached in `rise` and left in `fall` seconds."""
    return smooth((times - at + hold / 2) / rise + 1) * smooth((at + hold / 2 - times) / fall + 1)


def wave(times: np.ndarray, period: float, rng: np.random.Generator) -> np.ndarray:
    """[T] smooth noise of unit variance: eight sinusoids of random phase, periods 0.6 to 2.5 times `period`."""
    periods = period * np.exp(rng.uniform(math.log(0.6), math.log(2.5), 8))
    phases = rng.uniform(0.0, 2.0 * math.pi, 8)
    weights = periods / np.linalg.norm(periods)  # slow parts are larger, as in every movement of the body
    return np.sin(2.0 * math.pi * times[:, None] / periods + phases) @ weights * math.sqrt(2.0)


def _soft_limit(values: np.ndarray) -> np.ndarray:
    """The same up to KNEE, above it approaching 1 ever more slowly, so that peaks stay round."""
    over = np.maximum(values - KNEE, 0.0) / (1.0 - KNEE)
    return np.minimum(values, KNEE) + (1.0 - KNEE) * np.tanh(over)


def emphasis(times: np.ndarray, stresses: Sequence[Stress], rise: float, hold: float, fall: float) -> np.ndarray:
    """[T] 0..1: the largest of the pulses on the stressed syllables, each as high as the syllable is strong."""
    out = np.zeros(len(times))
    for stress in stresses:
        out = np.maximum(out, stress.strength * pulse(times, stress.time, rise, hold, fall))
    return out


# Parts of the performance


def _stream(seed: str, part: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{part}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))


def _sides(name: str, face: Mapping[str, np.ndarray]) -> list[str]:
    """The rig's channels that a name without side means: itself, or left and right."""
    return [c for c in (name, f"{name}Left", f"{name}Right") if c in face]


def _mouth(
    face: dict[str, np.ndarray],
    times: np.ndarray,
    phones: Sequence[Phone],
    manner: Manner,
    table: VisemeTable,
    seed: str,
) -> None:
    speech = manner.speech
    side = float(_stream(seed, "side").normal(0.0, 0.06))
    articulation = visemes.Manner(speech.jaw, speech.lips, speech.effort, side, speech.channels)
    for name, curve in zip(table.channels, table.curves(phones, times, articulation).T, strict=True):
        face[name] += curve


def _expression(
    face: dict[str, np.ndarray],
    times: np.ndarray,
    phones: Sequence[Phone],
    manner: Manner,
    stresses: Sequence[Stress],
    table: VisemeTable,
    rig: Rig,
    seed: str,
) -> None:
    rng = _stream(seed, "expression")
    active = speaking(phones, times)
    stress = emphasis(times, stresses, 0.20, 0.06, 0.40)
    periods = {"all": 2.8, "brow": 2.2, "eye": 2.0, "mouth": 1.6}
    swell = {part: wave(times, period, rng) for part, period in periods.items()}
    sides = {part: rng.normal(0.0, 1.0) for part in ("brow", "eye", "mouth")}
    lips = _lips(phones, times, table)
    yields = _yielding(lips)

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
            unrest = wave(times, 0.7, _stream(seed, f"unrest {base}"))
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


@dataclass(frozen=True)
class _Lips:
    """What speech wants of the lips: [T] each, 0 not at all, 1 fully.

    Attributes:
        sounding: there is speech. closed: bilabials. bitten: labiodentals. rounded, opened: vowels.
    """

    sounding: np.ndarray
    closed: np.ndarray
    bitten: np.ndarray
    rounded: np.ndarray
    opened: np.ndarray


def _lips(phones: Sequence[Phone], times: np.ndarray, table: VisemeTable) -> _Lips:
    """Measured on the visemes of a plain voice, whatever the manner."""
    fine = np.arange(0.0, phones[-1].end + GRID, GRID)  # [F]
    plain = dict(zip(table.channels, table.curves(phones, fine).astype(np.float64).T, strict=True))
    active = speaking(phones, fine)

    def share(channel: str, low: float, high: float, widen: float = 0.0) -> np.ndarray:
        """[T] 0 where a viseme curve is at `low`, 1 at `high`; held `widen` seconds longer each way, soft edges."""
        curve = np.clip((plain[channel] - low) / (high - low), 0.0, 1.0)
        steps = round(widen / GRID)
        curve = np.max([np.roll(curve, shift) for shift in range(-steps, steps + 1)], axis=0)
        kernel = np.hanning(round(2 * EDGE / GRID) + 1)
        curve = np.convolve(np.pad(curve, len(kernel) // 2, mode="edge"), kernel / kernel.sum(), mode="valid")
        return np.interp(times, fine, curve)

    sounding = np.interp(times, fine, active)
    return _Lips(
        sounding,
        closed=share("mouthRollUpper", 0.035, 0.075, widen=0.045) * sounding,
        bitten=share("mouthRollLower", 0.05, 0.17, widen=0.03) * sounding,
        rounded=share("mouthPucker", 0.0, 0.35),
        opened=share("jawOpen", 0.0, 0.22),
    )


def _yielding(lips: _Lips) -> dict[str, np.ndarray]:
    """Channel without side -> [T] share of an expression's pose on it that speech lets through.

    Closing lips keep openers away, rounded ones spreaders, open ones sealers; in pauses lips that the expression opens
    come half together.
    """
    closed, rounded = lips.closed, lips.rounded
    open_lips = (1.0 - closed) * (0.5 + 0.5 * lips.sounding)
    out = dict.fromkeys(OPENERS, open_lips)
    out["mouthLowerDown"] = open_lips * (1.0 - 0.9 * lips.bitten)
    out |= {"noseSneer": 1.0 - 0.35 * closed, "mouthShrugUpper": 1.0 - 0.8 * closed}  # both lift the upper lip
    out |= dict.fromkeys(SPREADERS, (1.0 - 0.45 * rounded) * (1.0 - 0.2 * closed))
    out |= dict.fromkeys(SEALERS, (1.0 - 0.85 * lips.opened) * (1.0 - 0.5 * rounded))
    return out


def _head(
    times: np.ndarray, manner: Manner, stresses: Sequence[Stress], phones: Sequence[Phone], seed: str
) -> np.ndarray:
    """[T, 3] pitch, yaw, roll in degrees."""
    rng = _stream(seed, "head")
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


def _eyes(
    face: dict[str, np.ndarray], times: np.ndarray, phones: Sequence[Phone], manner: Manner, head: np.ndarray, seed: str
) -> None:
    gaze, jumps = _gaze(times, manner.gaze, _stream(seed, "gaze"))  # [T, 2] degrees in space: yaw, pitch
    yaw = gaze[:, 0] - head[:, 1]  # the eyes take back what the head turns
    pitch = gaze[:, 1] - head[:, 0]
    left, right = np.maximum(yaw, 0.0) / YAW_RANGE, np.maximum(-yaw, 0.0) / YAW_RANGE
    down, up = np.maximum(pitch, 0.0) / DOWN_RANGE, np.maximum(-pitch, 0.0) / UP_RANGE
    for channel, curve in (
        ("eyeLookOutLeft", left), ("eyeLookInRight", left), ("eyeLookInLeft", right), ("eyeLookOutRight", right),
        ("eyeLookDownLeft", down), ("eyeLookDownRight", down), ("eyeLookUpLeft", up), ("eyeLookUpRight", up),
    ):  # fmt: skip
        face[channel] += curve

    blink = _blinks(times, manner.blinks, phones, jumps, _stream(seed, "blinks"))  # [T] 0..1
    for side in ("Left", "Right"):
        lid = face[f"eyeBlink{side}"] + LID_FOLLOWS_DOWN * down
        face[f"eyeBlink{side}"] = lid + (np.maximum(manner.blinks.depth, lid) - lid) * blink
        face[f"eyeWide{side}"] = (face[f"eyeWide{side}"] + LID_FOLLOWS_UP * up) * (1.0 - blink)
        face[f"eyeSquint{side}"] += 0.10 * blink
        face[f"eyeLookDown{side}"] += 0.15 * blink  # Bell's phenomenon is for firm closures; a blink dips the eye
        face[f"browDown{side}"] += 0.03 * blink


def _gaze(times: np.ndarray, gaze: Gaze, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
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
    times: np.ndarray, blinks: Blinks, phones: Sequence[Phone], jumps: Sequence[float], rng: np.random.Generator
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
