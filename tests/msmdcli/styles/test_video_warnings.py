"""What the tracker has to say of a video reaches whoever uses it as a style: two faces, and which was taken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_video import constant_times, numbered, write_video

from msmdcli.media.video import probe_video
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.styles.library import StyleLibrary
from msmdcli.tracking.track import Track, TrackOptions, save_track
from msmdcli.tracking.tracker import kept_track, track_key

RIG = Rig.load("arkit52")
TOLD = "2 faces; face 1 was tracked; --face chooses another"


def test_warnings_of_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "face_landmarker.task"
    model.write_bytes(b"not looked into")
    monkeypatch.setenv("MSMD_FACE_MODEL", str(model))
    monkeypatch.setenv("MSMD_CACHE", str(tmp_path / "cache"))
    video = write_video(tmp_path / "two.mp4", [numbered(n) for n in range(50)], constant_times(50, Fraction(25)))
    reference = StyleLibrary([]).resolve(str(video))
    assert reference is not None and reference.warnings() == []  # nothing is kept of it yet
    ones = np.ones(50, np.float32)
    motion = Motion(np.zeros((50, RIG.size), np.float32), Fraction(25), RIG)
    boxes = np.tile(np.float32([0.1, 0.2, 0.3, 0.6]), (50, 1))
    faces = np.full(50, 2, np.int32)
    track = Track(motion, ones, ones > 0, faces, 0 * ones, boxes, None, (), probe_video(video), (TOLD,))
    kept = tmp_path / f"cache/tracks/{track_key(video, TrackOptions())}.npz"
    kept.parent.mkdir(parents=True)
    save_track(kept, track)
    assert reference.warnings() == [f"two.mp4: {TOLD.replace('--face chooses', '`msmd styles add --face N` takes')}"]
    found = kept_track(video)
    assert found is not None and np.array_equal(found.box, boxes)
    part = StyleLibrary([]).resolve(f"{video}@0.5-1.5")
    assert part is not None and part.warnings() == []  # another part is another track
