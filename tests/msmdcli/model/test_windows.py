from __future__ import annotations

import numpy as np
import pytest

from msmdcli.model.windows import window_at, window_audio, window_count, window_mask
from msmdcli.motion.health import seam_frames

N, P = 10, 3


@pytest.mark.parametrize("frames", [1, 9, 10, 11, 20, 25, 100])
def test_windows_cover_each_frame_once(frames: int) -> None:
    windows = [window_at(w, frames, N) for w in range(window_count(frames, N))]
    covered = [f for w in windows for f in range(w.start, w.stop)]
    assert covered == list(range(frames))
    assert all(1 <= w.frames <= N for w in windows)
    assert [w.start for w in windows[1:]] == seam_frames(frames, N)


def test_audio_of_a_window_begins_p_frames_before_it() -> None:
    features = np.arange(1, 26, dtype=np.float32)[:, None]  # frame i holds i + 1

    def rows(w: int) -> list[float]:
        return window_audio(features, window_at(w, 25, N), N, P)[:, 0].tolist()

    assert rows(0) == [0, 0, 0, *range(1, 11)]
    assert rows(1) == list(range(8, 21))
    assert rows(2) == [*range(18, 26), 0, 0, 0, 0, 0]


def test_mask_marks_real_frames() -> None:
    assert window_mask(window_at(2, 25, N), N).tolist() == [1] * 5 + [0] * 5
    assert window_mask(window_at(0, 25, N), N).sum() == N
