"""Style augmentation: a random manner for the target windows and their style reference alike.

Recordings of calm readers hold one manner. If target and reference of a training sample are changed in the same random
way, the manner can only be learned from the reference, and a model trained on neutral recordings learns to follow
styles that these do not contain (design: "Style augmentation").

A manner is constant over a sample: a resting pose (everybody's neutral face differs), an expression offset built from
the action units that Ekman, Friesen and Hager (FACS, 2002; EMFACS) give for the basic emotions, gains of the movement
around the resting pose by region, head pose and amplitude, and a left-right mirror.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from msmdcli.errors import UsageError
from msmdcli.motion.rig import Rig

Array = np.ndarray[Any, np.dtype[np.float32]]

# Action units of the emotion prototypes as ARKit channels at full strength. AU numbers behind each line.
PROTOTYPES: dict[str, dict[str, float]] = {
    "happy": {
        "mouthSmile": 0.75,
        "cheekSquint": 0.5,
        "eyeSquint": 0.35,
        "mouthDimple": 0.15,
        "mouthUpperUp": 0.15,
    },  # 6 + 12
    "angry": {
        "browDown": 0.85,
        "eyeSquint": 0.45,
        "eyeWide": 0.15,
        "noseSneer": 0.3,
        "mouthPress": 0.3,
        "mouthFrown": 0.2,
        "jawForward": 0.1,
    },  # 4 + 5 + 7 + 23
    "sad": {
        "browInnerUp": 0.75,
        "browDown": 0.2,
        "mouthFrown": 0.5,
        "mouthShrugLower": 0.35,
        "eyeSquint": 0.15,
        "eyeLookDown": 0.2,
    },  # 1 + 4 + 15 + 17
    "fearful": {
        "browInnerUp": 0.7,
        "browOuterUp": 0.4,
        "browDown": 0.2,
        "eyeWide": 0.6,
        "mouthStretch": 0.45,
        "jawOpen": 0.08,
    },  # 1 + 2 + 4 + 5 + 20 + 26
    "disgusted": {
        "noseSneer": 0.7,
        "mouthUpperUp": 0.45,
        "browDown": 0.45,
        "cheekSquint": 0.3,
        "eyeSquint": 0.35,
        "mouthShrugUpper": 0.2,
    },  # 9 + 10 + 16
    "surprised": {"browInnerUp": 0.7, "browOuterUp": 0.75, "eyeWide": 0.5, "jawOpen": 0.12},  # 1 + 2 + 5 + 26
    "contemptuous": {
        "mouthSmileRight": 0.4,
        "mouthDimpleRight": 0.45,
        "cheekSquintRight": 0.15,
        "eyeSquint": 0.15,
        "mouthPressRight": 0.15,
    },  # R12 + R14
    "tired": {"eyeBlink": 0.25, "eyeLookDown": 0.2, "browInnerUp": 0.15, "mouthShrugLower": 0.1},  # 43
    "tense": {"mouthPress": 0.4, "mouthRollLower": 0.2, "mouthRollUpper": 0.2, "browDown": 0.3},  # 23 + 24
    "pouting": {"mouthPucker": 0.3, "mouthShrugLower": 0.4, "browDown": 0.25},  # 17 + 18
}

HEAD_GAIN, HEAD_OFFSET = 0.7, 0.12  # spread of log gain; radians


NEEDED = ("jaw", "lips", "cheeks", "nose", "eyes", "brows", "head")  # regions of the rig
# What an expression opens the lips with: it yields where they close (`closed_lips`).
OPENERS = ("jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel", "noseSneer")
CLOSED_SPAN = 0.06  # opening above the clip's most closed at which lips count as open


@dataclass(frozen=True)
class AugmentConfig:
    """How often and how much. `probability` 0 turns the whole of it off (the paper's preset)."""

    probability: float = 0.0  # share of samples that get a manner
    expression: float = 1.0  # largest strength of an emotion prototype
    rest: float = 0.08  # mean of the random resting pose's offsets
    gain: float = 0.35  # spread of the log gain of articulation; brows and eyes get more
    mirror: float = 0.5  # share of samples mirrored left to right
    expression_motion: float = 0.15  # slow variation of the expression's strength, as a share of it


class Manners:
    """Draws manners for a rig and applies them."""

    def __init__(self, rig: Rig, config: AugmentConfig) -> None:
        self.rig, self.config = rig, config
        if config.probability <= 0:  # a learned code has neither these regions nor a left and a right
            return
        absent = [name for name in NEEDED if name not in rig.regions]
        if absent:
            raise UsageError(
                f"style augmentation is made of facial actions, and rig {rig.name} has no region {absent[0]}",
                hint="train it with `augment: {probability: 0}`",
            )
        self.regions = {name: rig.indices(name) for name in NEEDED}
        self.blink = np.array([rig.index("eyeBlinkLeft"), rig.index("eyeBlinkRight")])
        self.prototypes = np.stack([expression_pose(rig, poses) for poses in PROTOTYPES.values()])  # [E, D]
        self.face = rig.indices("face")
        self.openers = [i for i, name in enumerate(rig.channels) if name.startswith(OPENERS)]
        self.swap, self.sign = mirror_map(rig)

    def mirrors(self, rng: Generator) -> bool:
        """Whether a sample is mirrored."""
        return bool(rng.random() < self.config.mirror * (self.config.probability > 0))

    def mirrored(self, motion: Array) -> Array:
        """The same performance, left for right [T, D]."""
        return motion[:, self.swap] * self.sign

    def apply(self, motion: Array, rng: Generator) -> Array:
        """motion [T, D] in rig units -> the same performance in a random manner, within the rig's ranges."""
        config = self.config
        if config.probability <= 0:
            rng.random(2)  # as many numbers as where a sample gets no manner
            return motion
        if self.mirrors(rng):
            motion = self.mirrored(motion)
        if rng.random() >= config.probability:
            return motion
        D = motion.shape[1]
        rest = np.median(motion, axis=0)  # [D]

        gain = np.ones(D, dtype=np.float32)
        articulation = rng.normal(0.0, config.gain)
        for region, spread in (
            ("jaw", 0.5),
            ("lips", 0.5),
            ("cheeks", 1.0),
            ("nose", 1.0),
            ("eyes", 1.0),
            ("brows", 1.5),
        ):
            shared = articulation if region in ("jaw", "lips") else 0.0
            gain[self.regions[region]] = np.exp(shared + rng.normal(0.0, spread * config.gain))
        gain[self.blink] = np.exp(rng.normal(0.0, 0.15))  # a blink closes the eye in every manner
        gain[self.regions["head"]] = np.exp(rng.normal(0.0, HEAD_GAIN))
        gain *= np.exp(rng.normal(0.0, 0.3 * config.gain, D)).astype(np.float32)

        offset = np.zeros(D, dtype=np.float32)
        # A resting face: many channels near 0, some far from it, left and right nearly alike.
        sparse = rng.exponential(config.rest, D) * (rng.random(D) < 0.5)
        mirrored = sparse[self.swap]
        offset[self.face] = np.where(
            rng.random() < 0.9, np.maximum(sparse, mirrored) * rng.uniform(0.85, 1.0, D), sparse
        )[self.face]
        offset[self.rig.index("jawOpen")] *= 0.3
        offset[self.blink] *= 0.5
        offset[self.regions["head"]] = rng.normal(0.0, HEAD_OFFSET, len(self.regions["head"]))
        if (tongue := "tongueOut") in self.rig.channels:
            offset[self.rig.index(tongue)] = 0.0

        expression = np.zeros(D, dtype=np.float32)
        if rng.random() < 0.75:
            for _ in range(1 + (rng.random() < 0.3)):
                pose = self.prototypes[rng.integers(len(self.prototypes))] * np.exp(rng.normal(0.0, 0.3, D))
                expression += rng.uniform(0.15, config.expression) * pose
        strength = 1.0 + config.expression_motion * slow_noise(len(motion), rng)[:, None]  # [T, 1]

        keep = rng.uniform(0.2, 1.2)  # the recorded face's own resting pose is only one of many
        lets = np.ones((len(motion), D), dtype=np.float32)
        lets[:, self.openers] = (1.0 - closed_lips(motion, self.rig))[:, None]  # bilabials close in every expression
        result = rest * keep + (motion - rest) * gain + (offset + expression * strength) * lets
        return np.clip(result, self.rig.lower, self.rig.upper).astype(np.float32)


def closed_lips(motion: Array, rig: Rig) -> Array:
    """How far the lips are closed at each frame of a tracked clip [T, D] -> [T], 0 to 1.

    By the channels that part the lips, weighed as they move the inner lips of the ICT head, against the clip's own most
    closed twentieth; a clip whose lips never close much has few frames near it.
    """
    parts = {"jawOpen": 1.0, "mouthClose": -1.2, "mouthFunnel": 0.4} | {
        f"mouth{what}{side}": 0.1 for what in ("UpperUp", "LowerDown") for side in ("Left", "Right")
    }
    opening = motion[:, [rig.index(name) for name in parts]] @ np.array(list(parts.values()), np.float32)  # [T]
    over = np.clip((opening - np.percentile(opening, 5)) / CLOSED_SPAN, 0.0, 1.0)
    closed: Array = (1.0 - over * over * (3.0 - 2.0 * over)).astype(np.float32)
    return closed


def expression_pose(rig: Rig, strengths: dict[str, float]) -> Array:
    """Strengths by channel, or by the name that a left and a right channel share -> pose [D]."""
    pose = np.zeros(rig.size, dtype=np.float32)
    for name, value in strengths.items():
        for channel in (name, f"{name}Left", f"{name}Right"):
            if channel in rig.channels:
                pose[rig.index(channel)] = value
    return pose


def mirror_map(rig: Rig) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Array]:
    """Where each channel comes from when the face is mirrored [D], and the sign it takes [D] (yaw and roll change
    theirs)."""

    def partner(name: str) -> str:
        for here, there in (("Left", "Right"), ("Right", "Left")):
            if name.endswith(here):
                return name.removesuffix(here) + there
        return name

    swap = np.array([rig.index(partner(name)) for name in rig.channels])
    sign = np.array([-1.0 if name in ("headYaw", "headRoll") else 1.0 for name in rig.channels], dtype=np.float32)
    return swap, sign


def slow_noise(frames: int, rng: Generator, period: int = 25) -> Array:
    """Smooth noise [frames] of unit order that turns about once in `period` frames."""
    knots = rng.normal(size=frames // period + 3)
    at = np.arange(frames) / period + rng.random()
    return np.interp(at, np.arange(len(knots)), knots).astype(np.float32)
