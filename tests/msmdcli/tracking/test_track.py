"""Files of tracks: those of earlier solvers load, and are read as they were made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.media.video import VideoInfo
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.tracking.track import Track, load_track, save_track
from training.faces.landmark_clips import read_clips

FRAMES = 12


@pytest.mark.parametrize("solver", [None, "landmarks 1", "landmarks 2"])
def test_old_tracks_load(tmp_path: Path, solver: str | None) -> None:
    """Before the solver a track held scores as channels, and neither landmarks nor a confidence for each channel."""
    rig = Rig.load("arkit52")
    values = np.zeros((FRAMES, rig.size), np.float32)
    values[:, rig.index("jawOpen")] = np.linspace(0, 0.5, FRAMES)
    info = VideoInfo(640, 480, Fraction(25), False, Fraction(FRAMES, 25), FRAMES, 0, True)
    ones, box = np.ones(FRAMES, np.float32), np.tile(np.float32([0.2, 0.2, 0.8, 0.8]), (FRAMES, 1))
    meta = {"tracker": "MediaPipe FaceLandmarker"} | ({} if solver is None else {"solver": solver})
    old = Track(
        Motion(values, Fraction(25), rig, meta), ones, ones > 0, ones.astype(np.int32), ones, box, None, (), info, ()
    )
    if solver is not None:
        old.landmarks = np.full((FRAMES, 478, 3), 0.5, np.float32)
        old.scores, old.score_names = np.zeros((FRAMES, 1), np.float16), ("jawOpen",)
        old.channel_confidence = np.full((FRAMES, rig.size), 0.5, np.float32)
    save_track(tmp_path / "old.npz", old)
    new = load_track(tmp_path / "old.npz")
    np.testing.assert_array_equal(new.motion.values, values)
    np.testing.assert_array_equal(load_npz(tmp_path / "old.npz").values, values)
    assert new.motion.meta.get("solver") == solver and (new.scores is None) == (solver is None)
    assert len(list(read_clips(tmp_path))) == (0 if solver is None else 1)  # what can be solved again
