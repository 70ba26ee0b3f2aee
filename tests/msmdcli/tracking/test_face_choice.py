"""Which detections are one face over time, and which face is meant."""

from __future__ import annotations

import numpy as np

from msmdcli.tracking.face_choice import link_faces


def face(x: float, y: float, size: float) -> list[float]:
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2]


def test_the_order_of_detections_does_not_matter_and_the_largest_comes_first() -> None:
    boxes = []
    for i in range(50):
        left, right = face(0.3 + 0.001 * i, 0.5, 0.2), face(0.7, 0.5, 0.3)
        boxes.append(np.array([left, right] if i % 3 else [right, left]))
    tracks = link_faces(boxes, [i / 25 for i in range(50)], 1.0)
    assert [len(track.pictures) for track in tracks] == [50, 50]
    assert abs(tracks[0].place[0] - 0.7) < 0.01 and abs(tracks[1].place[0] - 0.32) < 0.02
    assert tracks[0].members == [1 if i % 3 else 0 for i in range(50)]


def test_a_steady_face_wins_over_a_passer_by() -> None:
    boxes = [np.array([face(0.5, 0.5, 0.2), face(0.02 + 0.02 * i, 0.5, 0.21)]) for i in range(10)]
    boxes += [np.array([face(0.5, 0.5, 0.2)])] * 30
    assert abs(link_faces(boxes, [i / 25 for i in range(40)], 1.0)[0].place[0] - 0.5) < 0.01


def test_a_face_that_was_lost_is_found_again() -> None:
    none = np.zeros((0, 4))
    boxes = [np.array([face(0.4, 0.4, 0.2)])] * 20 + [none] * 60 + [np.array([face(0.45, 0.4, 0.2)])] * 20
    tracks = link_faces(boxes, [i / 25 for i in range(100)], 1.0)
    assert len(tracks) == 1 and tracks[0].pictures == [*range(20), *range(80, 100)]


def test_a_face_elsewhere_after_a_cut_is_another() -> None:
    boxes = [np.array([face(0.2, 0.4, 0.2)])] * 20 + [np.array([face(0.8, 0.4, 0.2)])] * 30
    assert [len(track.pictures) for track in link_faces(boxes, [i / 25 for i in range(50)], 1.0)] == [30, 20]


def test_no_faces() -> None:
    assert link_faces([np.zeros((0, 4))] * 5, [i / 25 for i in range(5)], 1.5) == []
