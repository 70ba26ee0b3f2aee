"""The delivery check: measures that mean what they say, and warnings that come only where they should."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from made_voice import RATE, voice

from msmdcli.batch.delivery import (
    LIMIT,
    Delivery,
    JudgedStyle,
    check_deliveries,
    contradiction,
    fitting_tag,
    style_arousal,
    voice_arousal,
)
from msmdcli.media.voice import measure_voice
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.styles.library import StyleLibrary

RIG = Rig.load("arkit52")


def test_effort_pitch_and_melody_raise_the_arousal() -> None:
    def arousal(*arguments: float) -> float:
        found = voice_arousal(measure_voice(voice(*arguments), RATE))
        assert found is not None
        return found

    calm = arousal(115.0, 2.2, 1.0)
    assert arousal(115.0, 1.0, 1.0) > calm + 0.5  # a flatter spectrum
    assert arousal(140.0, 2.2, 1.0) > calm + 0.3  # a higher voice
    assert arousal(115.0, 2.2, 6.0) > calm + 0.1  # more melody


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(RATE, np.float32), voice(120.0, 1.5)[:6000]])
def test_too_little_speech_is_not_judged(samples: np.ndarray) -> None:
    assert voice_arousal(measure_voice(samples, RATE)) is None


def test_whispering_is_not_judged() -> None:
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.05
    assert voice_arousal(measure_voice(noise, RATE)) is None


def swinging(speed: float) -> Motion:
    """A face whose jaw, lips and head swing so many times a second."""
    t = np.arange(150) / 50
    values = np.zeros((150, RIG.size), np.float32)
    for name in ("jawOpen", "mouthSmileLeft", "mouthStretchRight", "mouthPucker", "headPitch"):
        values[:, RIG.index(name)] = 0.2 + 0.1 * np.sin(2 * np.pi * speed * t)
    return Motion(values, Fraction(50), RIG)


def test_livelier_motion_has_more_arousal_at_any_frame_rate() -> None:
    slow, fast = style_arousal([swinging(0.5)]), style_arousal([swinging(3.0)])
    assert slow is not None and fast is not None and fast > slow + 1
    assert style_arousal([swinging(0.5).resample(Fraction(30))]) == pytest.approx(slow, abs=0.1)


def test_the_tags_that_ship_are_in_a_sensible_order() -> None:
    library = StyleLibrary()
    arousal = {}
    for tag in ("tired", "sad", "neutral", "happy", "angry", "joyful_shout"):
        reference = library.resolve(tag)
        assert reference is not None
        arousal[tag] = style_arousal(reference.load())
    assert None not in arousal.values()
    ordered = sorted(arousal, key=lambda tag: arousal[tag] or 0.0)
    assert ordered == ["tired", "sad", "neutral", "happy", "angry", "joyful_shout"]


def test_only_opposite_sides_contradict() -> None:
    assert contradiction(1.0, -0.8) == "livelier" and contradiction(-1.0, 0.8) == "calmer"
    assert contradiction(3.0, 1.0) == "" and contradiction(LIMIT / 2 - 0.01, -LIMIT / 2) == ""
    assert contradiction(1.6, 0.0) == ""  # an ordinary style


def manner(arousal: float, **pose: float) -> JudgedStyle:
    values = np.zeros(RIG.size)
    for name, value in pose.items():
        values[RIG.index(name)] = value
    return JudgedStyle(arousal, values)


TAGS = {
    "tired": manner(-0.9, eyeBlinkLeft=0.4),
    "sad": manner(-0.6, mouthFrownLeft=0.4, browInnerUp=0.5),
    "fearful": manner(0.8, browInnerUp=0.6),
    "joyful": manner(0.9, mouthSmileLeft=0.7),
}


def test_the_fitting_tag_is_the_one_most_like_the_style() -> None:
    assert fitting_tag(1.0, TAGS["sad"], TAGS) == "fearful"
    assert fitting_tag(1.0, manner(-1, mouthSmileLeft=0.5), TAGS) == "joyful"
    assert fitting_tag(9.0, TAGS["sad"], TAGS) == "joyful"  # none fits: the nearest
    assert fitting_tag(1.0, TAGS["sad"], {}) == ""


def excited(name: str, mix: dict[str, float], speaker: str = "") -> Delivery:
    return Delivery(name, speaker, {"pitch": 5.0, "pitch_spread": 15.0, "effort": -9.0}, "sad", mix)


def test_a_warning_names_the_style_and_a_tag_that_would_fit() -> None:
    found = check_deliveries([excited("a", {"sad": 1.0}), excited("b", {"joyful": 1.0})], TAGS, lambda: TAGS)
    assert found == {"a": "the voice is much livelier than the style sad; fearful would fit"}
    assert check_deliveries([excited("a", {"sad": 0.4, "joyful": 0.6})], TAGS, lambda: TAGS) == {}
    assert check_deliveries([excited("a", {"none": 1.0})], TAGS, lambda: TAGS) == {}  # no manner, nothing to say


def test_a_character_is_compared_with_its_own_voice() -> None:
    lines = [excited(f"l{i}", {"sad": 1.0}, "squeaky") for i in range(8)]
    assert check_deliveries(lines, TAGS, lambda: TAGS) == {}  # it always speaks like this
    assert len(check_deliveries(lines[:3], TAGS, lambda: TAGS)) == 3  # too few lines to know
