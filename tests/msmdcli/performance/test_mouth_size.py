"""How large a mouth speaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles
from msmdcli.performance.mouth_size import (
    LARGEST,
    LEAST,
    LITTLE,
    VISEMES,
    MouthSize,
    gains_of,
    mean_size,
    size_of,
    size_of_clips,
    speaks,
)

RIG = Rig.load("arkit52")
JAW = RIG.index("jawOpen")
VISIBLE = [RIG.index(name) for name in VISEMES]


def clips(tag: str) -> list[Motion]:
    return [load_npz(path) for path in sorted((shipped_styles() / tag).glob("*.npz"))]


def scaled(clip: Motion, factor: float) -> Motion:
    mean = clip.values.mean(axis=0)
    return replace(clip, values=mean + factor * (clip.values - mean))


def test_half_the_movement_is_half_the_size() -> None:
    (clip, _) = clips("neutral")
    speaking = np.ones(clip.frames, bool)
    whole, half = size_of(clip, speaking), size_of(scaled(clip, 0.5), speaking)
    np.testing.assert_allclose(half.spread, whole.spread / 2, atol=1e-6)
    assert whole.seconds == pytest.approx(float(clip.seconds), abs=0.05)


def test_tempo_pauses_and_frame_rate_do_not_count() -> None:
    size = size_of_clips(clips("angry"))
    silent = [
        replace(c, values=np.concatenate([c.values, np.repeat(c.values[-1:], 250, axis=0)])) for c in clips("angry")
    ]
    for others in (
        silent,
        [c.resample(60) for c in clips("angry")],
        [replace(c, fps=c.fps * 4 / 5) for c in clips("angry")],
    ):
        other = size_of_clips(others)
        np.testing.assert_allclose(other.spread[VISIBLE], size.spread[VISIBLE], rtol=0.15)
        assert other.spread[JAW] == pytest.approx(size.spread[JAW], rel=0.08)


def test_wide_styles_are_larger_than_narrow_ones() -> None:
    jaws = [size_of_clips(clips(tag)).spread[JAW] for tag in ("afraid_whisper", "neutral", "angry", "joyful_shout")]
    assert jaws == sorted(jaws)


def test_a_mood_is_no_size() -> None:
    """A smile that comes and goes over seconds belongs to the performance."""
    (clip, _) = clips("happy")
    smile = RIG.index("mouthSmileLeft")
    moody = replace(clip, values=clip.values.copy())
    moody.values[:, smile] += 0.3 * np.sin(2 * np.pi * np.arange(clip.frames) / (6 * float(clip.fps)))
    speaking = np.ones(clip.frames, bool)
    assert moody.values[:, smile].std() > 1.5 * clip.values[:, smile].std()
    assert size_of(moody, speaking).spread[smile] == pytest.approx(size_of(clip, speaking).spread[smile], rel=0.3)


def test_a_short_reference_is_believed_less_and_no_gain_is_wild() -> None:
    def gain(wanted: float, made: float, seconds: float, channel: str = "jawOpen") -> float:
        at = np.arange(RIG.size) == RIG.index(channel)
        sizes = [MouthSize(np.where(at, spread, 0.02), seconds) for spread in (wanted, made)]
        found = gains_of(*sizes, RIG)
        assert found[RIG.index("mouthClose")] == 1 == found[RIG.index("browInnerUp")]
        return float(found[RIG.index(channel)])

    gains = [gain(0.06, 0.04, seconds) for seconds in (0.0, 0.5, 2.0, 8.0, 60.0)]
    assert gains[0] == 1 and gains == sorted(gains) and 1.4 < gains[-1] <= 1.5
    assert gain(0.5, 0.01, 60) == LARGEST and gain(0.01, 0.5, 60) == LEAST
    assert gain(0.0, 0.05, 60, "mouthRollLower") == LITTLE  # what is no sound's may go
    assert gain(0.05, 0.0, 60) == 1  # nothing can be made of nothing


def test_the_mean_weighs_by_speech() -> None:
    one, other = (size_of_clips([clip]) for clip in clips("neutral"))
    both = mean_size([one, other])
    share = one.seconds / (one.seconds + other.seconds)
    np.testing.assert_allclose(both.spread, share * one.spread + (1 - share) * other.spread)
    assert both.seconds == pytest.approx(one.seconds + other.seconds)


def test_a_face_that_only_changes_its_expression_does_not_speak() -> None:
    (clip, _) = clips("neutral")
    assert speaks(clip)
    slow = replace(clip, values=clip.values.copy())
    jaw = clip.rig.index("jawOpen")
    slow.values[:, jaw] = 0.3 / (1 + np.exp(-(np.arange(clip.frames) - 200) / 15))
    assert not speaks(slow)
    assert size_of_clips([slow]).seconds == 0
