"""The default decoder's fit: MediaPipe's own geometry, and a known map found again from faces made with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import face_channels
from msmdcli.motion.rig import Rig
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.rigid_pose import similarity
from training.faces import mesh_fit
from training.faces.canonical_face import (
    INNER_LIPS,
    LEFT_EYE,
    LIPS,
    LOWER_MID_LIP,
    RIGHT_EYE,
    UPPER_MID_LIP,
    VERTICES,
    CanonicalFace,
    metric_landmarks,
)
from training.faces.face_interior import LIP_GAP, interior, lip_vertices, opened_triangles, with_closed_lips

RIG = Rig.load("arkit52")


@pytest.fixture(scope="module")
def canonical(monkeypatch_module: pytest.MonkeyPatch) -> CanonicalFace:
    try:
        return CanonicalFace.load(find_face_model())
    except MsmdError as error:
        pytest.skip(f"MediaPipe's face landmarker is not here: {error.message}")


@pytest.fixture(scope="module")
def monkeypatch_module() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr("urllib.request.urlopen", _no_network)
    yield patch
    patch.undo()


def _no_network(*_: object, **__: object) -> None:
    raise OSError("tests load nothing")


def rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    cx, sx, cy, sy, cz, sz = (f(a) for a in (pitch, yaw, roll) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def test_the_canonical_face(canonical: CanonicalFace) -> None:
    points = canonical.vertices
    assert points.shape == (VERTICES, 3) and 150 < np.ptp(points[:, 0]) < 160  # mm
    assert points[list(LEFT_EYE), 0].min() > 0 > points[list(RIGHT_EYE), 0].max()  # x to the person's left
    assert np.ptp(canonical.triangles) == VERTICES - 1 and (canonical.weights > 0).sum() == 33
    mirror = mesh_fit.mirrored_vertices(canonical)
    np.testing.assert_array_equal(mirror[mirror], np.arange(VERTICES))
    np.testing.assert_allclose(points[mirror] * (-1, 1, 1), points, atol=1e-4)


def test_a_similarity_is_found_again() -> None:
    rng = np.random.default_rng(0)
    source, weights = rng.normal(size=(12, 3)), rng.uniform(0.1, 1, 12)
    turn, shift = rotation(0.3, -0.5, 0.2), np.array([1.0, -2.0, 3.0])
    scale, turned, moved = similarity(source, (2.5 * source @ turn.T + shift)[None], weights)
    assert scale[0] == pytest.approx(2.5)
    np.testing.assert_allclose(turned[0], turn, atol=1e-9)
    np.testing.assert_allclose(moved[0], shift, atol=1e-9)


@pytest.mark.parametrize("aspect", [1.0, 16 / 9, 0.75])
def test_landmarks_seen_by_a_camera_become_the_face_again(canonical: CanonicalFace, aspect: float) -> None:
    """A canonical face far away, so that the picture is nearly parallel: its landmarks in MediaPipe's convention."""
    cm = canonical.vertices / 10
    faces = []
    for angles in ((0.0, 0.0, 0.0), (0.2, -0.4, 0.1)):
        placed = cm @ rotation(*angles).T - (0.5, -0.3, 900.0)  # cm before the camera
        height = 2 * np.tan(np.radians(63.0) / 2)
        away = -placed[:, 2]
        x = placed[:, 0] / away / (height * aspect) + 0.5
        y = 0.5 - placed[:, 1] / away / height
        z = -(placed[:, 2] - placed[:, 2].mean()) / 900.0 / (height * aspect)
        faces.append(np.stack([x, y, z], axis=1))
    found = metric_landmarks(np.stack(faces), aspect, canonical)
    np.testing.assert_allclose(found, np.stack([canonical.vertices] * 2), atol=1.0)  # mm; the depth is not perspective


def persons_with(deltas: np.ndarray, count: int = 12) -> list[mesh_fit.Person]:
    """Persons whose faces move by a map [C, V, 3], each with own neutral and 0.3 mm of noise."""
    rng = np.random.default_rng(1)
    people = []
    for number in range(count):
        values = rng.uniform(0, 1, (60, len(deltas))) * (rng.random((60, len(deltas))) < 0.2)
        head = rng.normal(0, 0.1, (60, mesh_fit.NUISANCE))
        inputs = np.concatenate([values, head], axis=1)
        moved = np.einsum("tc,cvi->tvi", values, deltas) + rng.normal(0, 0.3, (60, VERTICES, 3))
        people.append(mesh_fit.Person(f"p{number}", inputs - inputs.mean(axis=0), moved - moved.mean(axis=0)))
    return people


@pytest.mark.slow
def test_a_known_map_is_found_again(canonical: CanonicalFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_fit, "PENALTIES", (0.1, 10.0))
    channels = face_channels(RIG)
    distance = mesh_fit.home_distance(canonical, RIG)
    jaw, smile = channels.index("jawOpen"), channels.index("mouthSmileLeft")
    true = np.zeros((len(channels), VERTICES, 3))
    true[jaw, distance[jaw] < 15, 1] = -20.0
    true[smile, distance[smile] < 10, 1] = 8.0
    mirror = mesh_fit.mirrored_vertices(canonical)
    true[channels.index("mouthSmileRight")] = true[smile][mirror]
    true[jaw] = (true[jaw] + true[jaw][mirror]) / 2
    found = mesh_fit.fit(persons_with(true), canonical, RIG)
    assert found.penalty == 0.1
    assert found.report["held_out_mm"]["all"] < 0.6 * found.report["held_out_mm"]["all_still"]
    np.testing.assert_allclose(found.deltas[jaw], true[jaw], atol=2.0)
    np.testing.assert_allclose(found.deltas[smile], true[smile], atol=1.5)
    right = found.deltas[channels.index("mouthSmileRight")]
    np.testing.assert_allclose(right, found.deltas[smile][mirror] * (-1, 1, 1), atol=1e-6)  # exactly symmetric
    head = mesh_fit.make_head(canonical, found.deltas, RIG)
    assert len(head.neutral) > VERTICES and head.parts[0].name == "skin"
    teeth = next(part for part in head.parts if part.name == "lower teeth")
    assert head.deltas[jaw][teeth.vertices, 1].max() < -5  # they go down with the jaw


def test_too_few_persons_are_refused(tmp_path: Path, canonical: CanonicalFace) -> None:
    with pytest.raises(MsmdError, match="only 0 persons with landmarks"):
        mesh_fit.read_persons([tmp_path], canonical, RIG)
    (tmp_path / "face_landmarker.task").write_bytes(b"no zip")
    with pytest.raises(MsmdError, match="is not MediaPipe's face landmarker"):
        CanonicalFace.load(tmp_path / "face_landmarker.task")


def test_lips_close_and_holes_open(canonical: CanonicalFace) -> None:
    closed = with_closed_lips(canonical)
    gap = np.linalg.norm(closed.vertices[UPPER_MID_LIP] - closed.vertices[LOWER_MID_LIP])
    assert gap == pytest.approx(LIP_GAP, abs=0.01)
    assert (closed.vertices[list(LEFT_EYE)] == canonical.vertices[list(LEFT_EYE)]).all()
    triangles = opened_triangles(canonical)
    for ring in (LEFT_EYE, RIGHT_EYE, INNER_LIPS):
        assert not np.isin(triangles, ring).all(axis=1).any()
    lips = lip_vertices(canonical)
    assert set(LIPS) < set(lips.tolist()) and len(lips) == 80
    for part in interior(closed):
        assert np.ptp(part.triangles) == len(part.vertices) - 1 and np.isfinite(part.vertices).all()
    eye = interior(closed)[0]
    corners = eye.vertices[eye.triangles]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = eye.vertices[0] - (0, 0, 11.8)
    assert ((corners.mean(axis=1) - middle) * outward).sum(axis=1).min() > 0
