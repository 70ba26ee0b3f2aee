"""Removing an offset: sound and picture meet, exactly, and end together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.media.audio import RATE
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from training.curation.write_clip import aligned

RIG = Rig.load("arkit52")
JAW = RIG.index("jawOpen")


@settings(max_examples=50, deadline=None)
@given(
    late=st.fractions(Fraction(-1, 3), Fraction(1, 3), max_denominator=1000),
    fps=st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(24)]),
    extra=st.integers(-3000, 3000),
)
def test_an_event_that_was_apart_is_together(late: Fraction, fps: Fraction, extra: int) -> None:
    seconds = 3.0
    frames, event = round(seconds * fps), 1.5
    values = np.zeros((frames, RIG.size), np.float32)
    values[:, JAW] = np.exp(-0.5 * ((np.arange(frames) / float(fps) - event - float(late)) / 0.08) ** 2)
    sound = np.zeros(round(seconds * RATE) + extra, np.int16)
    sound[round(event * RATE)] = 1000
    motion, heard = aligned(Motion(values, fps, RIG), sound, late)
    jaw = motion.values[:, JAW].astype(float)
    seen = (np.arange(motion.frames) / float(fps) * jaw).sum() / jaw.sum()
    assert seen == pytest.approx(int(np.argmax(heard)) / RATE, abs=2e-3)
    assert len(heard) / RATE <= float(motion.seconds) + 1e-9


def test_without_an_offset_nothing_is_cut() -> None:
    motion = Motion(np.zeros((75, RIG.size), np.float32), Fraction(25), RIG)
    sound = np.arange(3 * RATE, dtype=np.int16)
    same, heard = aligned(motion, sound, Fraction(0))
    assert same.frames == 75 and (heard == sound).all()
