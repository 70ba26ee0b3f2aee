"""The original beside its dub: a wide picture is cut to the face."""

from __future__ import annotations

import numpy as np
import pytest

from msmdcli.drawing.side_by_side import face_window

WIDE, TALL = 16 / 9, 9 / 16


def boxes(*faces: tuple[float, float, float, float]) -> np.ndarray:
    return np.repeat(np.float32(faces), 100 // len(faces), axis=0)


@pytest.mark.parametrize("aspect", [WIDE, 1.0, TALL])
@pytest.mark.parametrize("face", [(0.7, 0.4, 0.78, 0.55), (0.0, 0.0, 0.1, 0.15), (0.3, 0.2, 0.7, 0.9)])
def test_the_window_is_a_square_within_the_picture_around_the_face(
    face: tuple[float, float, float, float], aspect: float
) -> None:
    left, top, right, bottom = face_window(boxes(face), aspect)
    assert 0 <= left < right <= 1 + 1e-9 and 0 <= top < bottom <= 1 + 1e-9
    assert (right - left) * aspect == pytest.approx(bottom - top)
    assert top <= face[1] + 1e-6 or bottom - top == pytest.approx(min(1, aspect))
    if (face[2] - face[0]) * aspect < min(1, aspect) / 2 and face[3] - face[1] < min(1, aspect) / 2:
        assert left <= face[0] + 1e-6 and right >= face[2] - 1e-6 and top <= face[1] + 1e-6 and bottom >= face[3] - 1e-6


def test_a_face_that_walks_stays_in_the_window() -> None:
    left, _, right, _ = face_window(boxes((0.1, 0.4, 0.2, 0.6), (0.5, 0.4, 0.6, 0.6)), WIDE)
    assert left <= 0.1 and right >= 0.6
    one = face_window(boxes((0.1, 0.4, 0.2, 0.6)), WIDE)
    strays = np.concatenate([boxes((0.1, 0.4, 0.2, 0.6)), np.float32([[0.9, 0.9, 1, 1]])])  # one frame, mistaken
    assert face_window(strays, WIDE) == pytest.approx(one, abs=1e-6)
