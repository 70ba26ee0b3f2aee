from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.styles.checks import TakeMeasures, doubts, faults, measure_take
from msmdcli.styles.library import StyleLibrary

RIG = Rig.load("arkit52")


def motion(values: np.ndarray, fps: int = 25) -> Motion:
    return Motion(values.astype(np.float32), Fraction(fps), RIG)


def shipped(tag: str) -> Motion:
    reference = StyleLibrary().resolve(tag)
    assert reference is not None
    return reference.load()[0]


@pytest.mark.parametrize("tag", ["neutral", "afraid_whisper", "joyful_shout"])
def test_speech_is_a_style_at_any_frame_rate(tag: str) -> None:
    for fps in (25, 30, 60):
        measures = measure_take(shipped(tag).resample(fps))
        assert faults(measures) == [] and doubts(measures) == []
        assert measures.speaking > 0.4


def test_a_frozen_pose_is_refused() -> None:
    still = np.tile(shipped("happy").values[50], (100, 1))
    assert "frozen" in faults(measure_take(motion(still)))[0]
    noise = np.random.default_rng(0).normal(0, 0.001, still.shape)
    assert "frozen" in faults(measure_take(motion(still + noise)))[0]


def test_a_face_that_does_not_speak_is_refused() -> None:
    """A smile that comes and goes within four seconds, and blinks."""
    time = np.arange(200)[:, None] / 25
    values = np.zeros((200, RIG.size))
    smile = [RIG.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    values[:, smile] = 0.35 + 0.35 * np.sin(2 * np.pi * time / 4)
    values[:, [RIG.index("eyeBlinkLeft"), RIG.index("eyeBlinkRight")]] = np.sin(2 * np.pi * time / 3) > 0.95
    assert faults(measure_take(motion(values)))[0].startswith("nobody seems to speak")


def test_silence_around_speech_is_doubted() -> None:
    clip = shipped("neutral")
    still = np.tile(clip.values[0], (3 * clip.frames, 1))
    measures = measure_take(motion(np.concatenate([still, clip.values])))
    assert faults(measures) == [] and "--from" in doubts(measures)[0]


def test_length() -> None:
    clip = shipped("angry")
    assert "1 s is the least" in faults(measure_take(clip.slice(0, 24)))[0]
    assert (
        faults(measure_take(clip.slice(30, 60))) == [] and "only 1.2 s" in doubts(measure_take(clip.slice(30, 60)))[0]
    )
    assert faults(measure_take(clip.slice(0, 1)))  # a single frame is measured, too


@pytest.mark.parametrize(
    ("changes", "fault", "doubt"),
    [
        ({}, "", ""),
        ({"found": 0.7}, "seen in 70%", ""),
        ({"found": 0.9}, "", "not seen in 10%"),
        ({"confidence": 0.2}, "poorly", ""),
        ({"turned": 0.5, "turn": 44.0}, "turned away", ""),
        ({"turned": 0.1, "turn": 30.0}, "", "30 degrees"),
    ],
)
def test_what_the_tracker_says_counts(changes: dict[str, float], fault: str, doubt: str) -> None:
    good = {
        "seconds": 8.0,
        "speaking": 0.9,
        "spread": 0.03,
        "found": 1.0,
        "confidence": 0.9,
        "turned": 0.0,
        "turn": 5.0,
    }
    measures = TakeMeasures(**(good | changes))
    for found, words in ((faults(measures), fault), (doubts(measures), doubt)):
        assert len(found) == bool(words) and words in "".join(found)
