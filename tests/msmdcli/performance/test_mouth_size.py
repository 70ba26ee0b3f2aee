"""How large a mouth speaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import shipped_styles
from msmdcli.performance.mouth_size import BOUNDS, gain, mean_size, size_of, size_of_clips, speaks


def clips(tag: str) -> list[Motion]:
    return [load_npz(path) for path in sorted((shipped_styles() / tag).glob("*.npz"))]


def scaled(clip: Motion, factor: float) -> Motion:
    mean = clip.values.mean(axis=0)
    return replace(clip, values=mean + factor * (clip.values - mean))


def test_half_the_movement_is_half_the_size() -> None:
    (clip, _) = clips("neutral")
    speaking = np.ones(clip.frames, bool)
    whole, half = size_of(clip, speaking), size_of(scaled(clip, 0.5), speaking)
    assert (half.jaw, half.lips) == (pytest.approx(whole.jaw / 2), pytest.approx(whole.lips / 2))
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
        assert other.jaw == pytest.approx(size.jaw, rel=0.08)
        assert other.lips == pytest.approx(size.lips, rel=0.08)


def test_wide_styles_are_larger_than_narrow_ones() -> None:
    jaws = [size_of_clips(clips(tag)).jaw for tag in ("afraid_whisper", "neutral", "angry", "joyful_shout")]
    assert jaws == sorted(jaws)


def test_a_short_reference_is_believed_less_and_no_gain_is_wild() -> None:
    gains = [gain(0.06, 0.04, seconds) for seconds in (0.5, 2.0, 8.0, 60.0)]
    assert gains[0] > 1 and gains == sorted(gains) and gains[-1] <= 1.5
    assert gain(0.5, 0.01, 60) == BOUNDS[1] and gain(0.01, 0.5, 60) == BOUNDS[0]
    assert gain(0.0, 0.04, 60) == 1 == gain(0.04, 0.0, 60)  # nobody speaks there


def test_the_mean_weighs_by_speech() -> None:
    one, other = (size_of_clips([clip]) for clip in clips("neutral"))
    both = mean_size([one, other])
    assert min(one.jaw, other.jaw) <= both.jaw <= max(one.jaw, other.jaw)
    assert both.seconds == pytest.approx(one.seconds + other.seconds)
    assert mean_size([]).seconds == 0


def test_a_face_that_only_changes_its_expression_does_not_speak() -> None:
    (clip, _) = clips("neutral")
    assert speaks(clip)
    slow = replace(clip, values=clip.values.copy())
    jaw = clip.rig.index("jawOpen")
    slow.values[:, jaw] = 0.3 / (1 + np.exp(-(np.arange(clip.frames) - 200) / 15))
    assert not speaks(slow)
    assert size_of_clips([slow]).seconds == 0
