"""What the descriptions of the shipped styles claim is seen in generated lines, not only in the clips.

Every tag animates the same recordings; each claim compares a measure with the one of another tag, or with a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from msmdcli import Animator
from msmdcli.motion.motion import Motion
from msmdcli.paths import shipped_styles
from msmdcli.styles.library import StyleLibrary

AUDIO = Path(__file__).resolve().parents[1] / "examples" / "audio"
RECORDINGS = (
    "captain_fr.ogg",
    "narrator_001.ogg",
    "oracle_de.ogg",
    "healer_es.ogg",
    "scout_014.flac",
    "smuggler_003.ogg",
)
TAGS = sorted(path.parent.name for path in shipped_styles().glob("*/style.yaml"))

Lines = list[Motion]


def curve(line: Motion, name: str) -> np.ndarray:
    return line.values[:, line.rig.channels.index(name)].astype(np.float64)


def mean(lines: Lines, name: str) -> float:
    return float(np.mean([curve(line, name).mean() for line in lines]))


def degrees(lines: Lines, name: str) -> float:
    return float(np.degrees(mean(lines, name)))


def head_speed(lines: Lines) -> float:
    """Degrees per second."""
    names = ("headPitch", "headYaw", "headRoll")
    turns = [np.stack([curve(line, name) for name in names], axis=1) for line in lines]
    return float(np.degrees(np.mean([np.linalg.norm(np.diff(turn, axis=0), axis=1).mean() for turn in turns])) * 25)


def nods(lines: Lines) -> float:
    """Degrees per second that the head goes down at its fastest: the 95th percentile."""
    down = np.concatenate([np.diff(curve(line, "headPitch")) for line in lines])
    return float(np.degrees(np.percentile(down, 95)) * 25)


def gaze(line: Motion) -> np.ndarray:
    """[T, 2] aside and down, the channels' unit."""
    aside = curve(line, "eyeLookOutLeft") - curve(line, "eyeLookInLeft")
    return np.stack([aside, curve(line, "eyeLookDownLeft") - curve(line, "eyeLookUpLeft")], axis=1)


def saccades(lines: Lines) -> float:
    """Jumps of the eyes per second."""
    count = 0
    for line in lines:
        fast = np.linalg.norm(np.diff(gaze(line), axis=0), axis=1) > 0.05
        count += int((np.diff(fast.astype(int)) == 1).sum())
    return count / sum(float(line.seconds) for line in lines)


def glances(lines: Lines) -> float:
    """How far the eyes go to a side: the 95th percentile."""
    return float(np.percentile(np.abs(np.concatenate([gaze(line)[:, 0] for line in lines])), 95))


def upward(lines: Lines) -> float:
    return float(np.percentile(np.concatenate([curve(line, "eyeLookUpLeft") for line in lines]), 95))


def gaze_speed(lines: Lines) -> float:
    return float(np.mean([np.abs(np.diff(gaze(line), axis=0)).mean() for line in lines]))


def open_lid(lines: Lines) -> float:
    """How far the lid hangs between blinks."""
    return float(np.median(np.concatenate([curve(line, "eyeBlinkLeft") for line in lines])))


def blink_length(lines: Lines) -> float:
    """Seconds for which a blink shuts the eyes by more than half."""
    shut = np.concatenate([[0.0], *(np.append(curve(line, "eyeBlinkLeft"), 0.0) for line in lines)]) > 0.6
    return float(shut.sum() / max(1, (np.diff(shut.astype(int)) == 1).sum()) / 25)


def blinks(lines: Lines) -> float:
    """A minute."""
    count = sum(int((np.diff((curve(line, "eyeBlinkLeft") > 0.6).astype(int)) == 1).sum()) for line in lines)
    return 60 * count / sum(float(line.seconds) for line in lines)


def jaw(lines: Lines) -> float:
    return float(np.percentile(np.concatenate([curve(line, "jawOpen") for line in lines]), 90))


@pytest.fixture(scope="module")
def lines() -> dict[str, Lines]:
    """Tag -> generated lines."""
    with Animator() as animator:
        recordings = {name: AUDIO / name for name in RECORDINGS}
        return {tag: [motion for _, motion in animator.animate_many(recordings, style=tag)] for tag in TAGS}


Claim = Callable[[Mapping[str, Lines]], bool]
CLAIMS: list[tuple[str, str, Claim]] = [  # tag, words of its description, what they mean
    ("neutral", "light nods", lambda made: 3 < nods(made["neutral"]) < nods(made["angry"])),
    ("happy", "smiling", lambda made: mean(made["happy"], "mouthSmileLeft") > 0.35),
    ("happy", "with the eyes", lambda made: mean(made["happy"], "cheekSquintLeft") > 0.3),
    ("happy", "head lively", lambda made: head_speed(made["happy"]) > 1.4 * head_speed(made["neutral"])),
    ("angry", "brows pulled down", lambda made: mean(made["angry"], "browDownLeft") > 0.5),
    ("angry", "hard nods", lambda made: nods(made["angry"]) > 1.5 * nods(made["neutral"])),
    ("sad", "inner brows raised", lambda made: mean(made["sad"], "browInnerUp") > 0.5),
    ("sad", "corners down", lambda made: mean(made["sad"], "mouthFrownLeft") > 0.2),
    ("sad", "small mouth", lambda made: jaw(made["sad"]) < 0.8 * jaw(made["neutral"])),
    ("sad", "head", lambda made: degrees(made["sad"], "headPitch") > 4),
    ("sad", "gaze low", lambda made: mean(made["sad"], "eyeLookDownLeft") > mean(made["neutral"], "eyeLookDownLeft")),
    ("sad", "blinks often", lambda made: blinks(made["sad"]) > 1.3 * blinks(made["angry"])),
    ("fearful", "brows raised", lambda made: mean(made["fearful"], "browInnerUp") > 0.5),
    ("fearful", "eyes wide", lambda made: mean(made["fearful"], "eyeWideLeft") > 0.4),
    ("fearful", "lips stretched", lambda made: mean(made["fearful"], "mouthStretchLeft") > 0.2),
    ("fearful", "gaze darting", lambda made: saccades(made["fearful"]) > 1.4 * saccades(made["neutral"])),
    ("disgusted", "nose wrinkled", lambda made: mean(made["disgusted"], "noseSneerLeft") > 0.5),
    ("disgusted", "upper lip raised", lambda made: mean(made["disgusted"], "mouthUpperUpLeft") > 0.2),
    ("disgusted", "eyes narrow", lambda made: mean(made["disgusted"], "eyeSquintLeft") > 0.3),
    ("disgusted", "head turned aside", lambda made: degrees(made["disgusted"], "headYaw") > 3),
    ("surprised", "brows high", lambda made: mean(made["surprised"], "browOuterUpLeft") > 0.5),
    ("surprised", "eyes wide", lambda made: mean(made["surprised"], "eyeWideLeft") > 0.4),
    ("surprised", "chin up", lambda made: degrees(made["surprised"], "headPitch") < -2),
    ("surprised", "hardly a blink", lambda made: blinks(made["surprised"]) < 0.6 * blinks(made["neutral"])),
    ("contemptuous", "lids lowered", lambda made: open_lid(made["contemptuous"]) > open_lid(made["neutral"]) + 0.08),
    ("contemptuous", "chin up", lambda made: degrees(made["contemptuous"], "headPitch") < -4),
    ("contemptuous", "one corner", lambda made: mean(made["contemptuous"], "mouthDimpleRight") > 0.3),
    ("contemptuous", "small mouth", lambda made: jaw(made["contemptuous"]) < jaw(made["neutral"])),
    ("tired", "lids hanging", lambda made: open_lid(made["tired"]) > 0.25),
    ("tired", "mumbling mouth", lambda made: jaw(made["tired"]) < 0.8 * jaw(made["neutral"])),
    ("tired", "long blinks", lambda made: blink_length(made["tired"]) > 1.6 * blink_length(made["neutral"])),
    ("tired", "head sinking", lambda made: degrees(made["tired"], "headPitch") > 4),
    ("determined", "brows set", lambda made: mean(made["determined"], "browDownLeft") > 0.35),
    ("determined", "head still", lambda made: head_speed(made["determined"]) < 0.8 * head_speed(made["neutral"])),
    ("determined", "gaze fixed", lambda made: gaze_speed(made["determined"]) < 0.8 * gaze_speed(made["neutral"])),
    (
        "sarcastic",
        "one brow up",
        lambda made: mean(made["sarcastic"], "browOuterUpLeft") > mean(made["sarcastic"], "browOuterUpRight") + 0.3,
    ),
    ("sarcastic", "head tilted", lambda made: degrees(made["sarcastic"], "headRoll") > 4),
    ("sarcastic", "eyes rolling", lambda made: upward(made["sarcastic"]) > 1.5 * upward(made["neutral"])),
    ("afraid_whisper", "brows drawn up", lambda made: mean(made["afraid_whisper"], "browInnerUp") > 0.4),
    ("afraid_whisper", "mouth hardly open", lambda made: jaw(made["afraid_whisper"]) < 0.8 * jaw(made["neutral"])),
    ("afraid_whisper", "head low", lambda made: degrees(made["afraid_whisper"], "headPitch") > 3),
    ("afraid_whisper", "glances aside", lambda made: glances(made["afraid_whisper"]) > 2 * glances(made["neutral"])),
    ("joyful_shout", "grin", lambda made: mean(made["joyful_shout"], "mouthSmileLeft") > 0.4),
    ("joyful_shout", "big jaw", lambda made: jaw(made["joyful_shout"]) > 1.3 * jaw(made["neutral"])),
    (
        "joyful_shout",
        "head thrown about",
        lambda made: (
            head_speed(made["joyful_shout"]) > 2 * head_speed(made["neutral"])
            and head_speed(made["joyful_shout"]) == max(head_speed(lines) for lines in made.values())
        ),
    ),
]


@pytest.mark.parametrize(("tag", "words", "claim"), CLAIMS, ids=[f"{tag}: {words}" for tag, words, _ in CLAIMS])
def test_the_line_does_what_the_description_says(lines: dict[str, Lines], tag: str, words: str, claim: Claim) -> None:
    description = StyleLibrary().read(tag).description
    assert words in description
    assert claim(lines)


def test_every_style_makes_a_claim() -> None:
    assert {tag for tag, _, _ in CLAIMS} == set(TAGS)
