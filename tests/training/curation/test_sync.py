"""Agreement of sound and mouth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.media.audio import load_audio
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.paths import shared_dir, shipped_bundle
from training.curation.sync import MAX_LAG, agreement, agreement_of


def curves(seed: int, frames: int = 200) -> np.ndarray:
    """Mouth curves [T, 3] that move at the rate of syllables."""
    noise = np.random.default_rng(seed).standard_normal((frames + 8, 3))
    return np.stack([np.convolve(column, np.hanning(9), mode="valid") for column in noise.T], axis=1)


@settings(max_examples=20, deadline=None)
@given(late=st.integers(-MAX_LAG, MAX_LAG), seed=st.integers(0, 100))
def test_a_late_picture_peaks_at_its_lag(late: int, seed: int) -> None:
    made = curves(seed)
    real = np.roll(made, late, axis=0) * 0.5 + 0.2
    found = agreement_of(real, made)
    assert int(np.argmax(found)) - MAX_LAG == late
    assert found.max() > 0.95


def test_other_curves_do_not_agree() -> None:
    found = [agreement_of(curves(seed), curves(seed + 1000)).max() for seed in range(20)]
    assert max(found) < 0.4 and np.median(found) < 0.25


def test_a_still_mouth_agrees_with_nothing() -> None:
    assert (agreement_of(np.zeros((100, 3)), curves(0, 100)) == 0).all()


def test_a_short_clip_has_no_far_lags() -> None:
    found = agreement_of(curves(0, 25), curves(0, 25))
    assert np.isfinite(found[MAX_LAG]) and np.isnan(found[0]) and np.isnan(found[-1])


def test_what_the_model_makes_of_a_sound_agrees_with_that_sound() -> None:
    shared = shared_dir()
    if shared is None or not (shipped_bundle() / "bundle.json").is_file():
        pytest.skip("needs the shared recordings and the shipped model")
    from msmdcli.model.bundle import Bundle

    first, second = sorted((shared / "corpus" / "audio").glob("en*.wav"))[:2]
    engine = Engine(Bundle.load(shipped_bundle()), "cpu", 1)
    audio, other = load_audio(first), load_audio(second)
    (_, made), *_ = engine.animate([Job("x", engine.encode_audio(audio), [StyleEntry(None)])])
    late = Motion(np.concatenate([made.values[:1]] * 3 + [made.values[:-3]]), Fraction(25), made.rig)
    found = agreement(audio.samples, late)
    assert int(np.nanargmax(found)) - MAX_LAG == 3
    assert found.max() > 0.7
    assert np.nanmax(agreement(other.samples, late)) < 0.4
