"""The mesh decoder: reading glTF, posing, and the vertex sets on a real head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_head import FLOAT, UNSIGNED_SHORT, head_tree, write_glb

from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import shared_dir

POSITIONS = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]], np.float32)  # metres
JAW = np.array([[0.0, 0.0, 0.0], [0.0, -0.01, 0.0], [0.0, -0.02, 0.0]], np.float32)
SMILE_VERTEX, SMILE = 2, np.array([[0.003, 0.0, 0.0]], np.float32)  # the other vertices are left out: a sparse accessor


def write_head(path: Path, names: list[str], **node: object) -> Path:
    """One triangle with two morph targets, the second one sparse."""
    floats = {"componentType": FLOAT, "count": 3, "type": "VEC3"}
    sparse = {
        "count": 1,
        "indices": {"bufferView": 2, "componentType": UNSIGNED_SHORT},
        "values": {"bufferView": 3},
    }
    accessors = [
        {"bufferView": 0, **floats},
        {"bufferView": 1, **floats},
        {"sparse": sparse, **floats},
        {"bufferView": 4, "componentType": UNSIGNED_SHORT, "count": 3, "type": "SCALAR"},
    ]
    pieces = [POSITIONS, JAW, np.array([SMILE_VERTEX], np.uint16), SMILE, np.array([0, 1, 2], np.uint16)]
    return write_glb(path, head_tree(names, accessors, 3, [1, 2], **node), pieces)


def pose(**channels: float) -> np.ndarray:
    rig = Rig.load("arkit52")
    values = np.zeros((1, rig.size), np.float32)
    for name, value in channels.items():
        values[0, rig.index(name)] = value
    return values


@pytest.mark.parametrize("names", [["jawOpen", "mouthSmileLeft"], ["JAWOPEN", "face.MouthSmileLeft"]])
def test_poses_are_neutral_plus_weighted_deltas_in_millimetres(tmp_path: Path, names: list[str]) -> None:
    mesh = load_head(write_head(tmp_path / "head.glb", names))
    assert mesh.size == 3
    assert len(mesh.channels) == 52
    expected = POSITIONS * 1000 + 0.5 * JAW * 1000
    expected[SMILE_VERTEX] += 0.25 * SMILE[0] * 1000
    made = mesh.decode(pose(jawOpen=0.5, mouthSmileLeft=0.25, browInnerUp=1.0, headYaw=1.0))
    assert made.shape == (1, 3, 3)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[0], expected, atol=1e-4)


def test_some_vertices_only(tmp_path: Path) -> None:
    mesh = load_head(write_head(tmp_path / "head.glb", ["jawOpen", "mouthSmileLeft"]))
    motion = Motion(np.repeat(pose(jawOpen=1.0), 4, axis=0), 25, Rig.load("arkit52"))
    np.testing.assert_array_equal(mesh.decode(motion, np.array([2, 0])), mesh.decode(motion)[:, [2, 0]])


def test_nodes_place_the_mesh(tmp_path: Path) -> None:
    half = float(np.sqrt(0.5))  # a quarter turn about z: x -> y
    placed = {"translation": [0.0, 0.0, 1.0], "rotation": [0.0, 0.0, half, half], "scale": [2.0, 2.0, 2.0]}
    mesh = load_head(write_head(tmp_path / "head.glb", ["jawOpen", "mouthSmileLeft"], **placed))
    np.testing.assert_allclose(mesh.neutral[1], [0.0, 200.0, 1000.0], atol=1e-3)
    np.testing.assert_allclose(mesh.deltas[mesh.channels.index("jawOpen"), 1], [20.0, 0.0, 0.0], atol=1e-4)


def test_a_matrix_is_stored_by_columns(tmp_path: Path) -> None:
    matrix = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]
    mesh = load_head(write_head(tmp_path / "head.glb", ["jawOpen", "mouthSmileLeft"], matrix=matrix))
    np.testing.assert_allclose(mesh.neutral[0], [5000.0, 6000.0, 7000.0], rtol=1e-6)


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(MsmdError, match="no such head"):
        load_head(tmp_path / "absent.glb")
    with pytest.raises(MsmdError, match="no morph targets"):
        load_head(write_head(tmp_path / "other.glb", ["Open", "Smile"]))
    (tmp_path / "broken.glb").write_bytes(b"glTF is what this is not")
    with pytest.raises(MsmdError, match="cannot be read as glTF"):
        load_head(tmp_path / "broken.glb")
    for node in ({"mesh": 1}, {"children": [0]}, {"rotation": [0.0]}):  # no such mesh, its own child, half a rotation
        with pytest.raises(MsmdError, match="cannot be read as glTF"):
            load_head(write_head(tmp_path / "wrong.glb", ["jawOpen", "mouthSmileLeft"], **node))


def test_pictures_that_are_elsewhere_are_not_needed(tmp_path: Path) -> None:
    path = write_head(tmp_path / "head.glb", ["jawOpen", "mouthSmileLeft"])
    gltf = GltfFile.load(path)
    gltf.list_of("images").append({"uri": "skin.png"})
    gltf.save(path)
    assert load_head(path).size == 3
    with pytest.raises(MsmdError, match=r"skin\.png"):
        GltfFile.load(path)


# ---- a real head -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ict() -> MeshDecoder:
    shared = shared_dir()
    path = shared / "heads" / "ict_head_arkit52.glb" if shared else None
    if path is None or not path.is_file():
        pytest.skip("the shared ICT head is not here")
    return load_head(path)


def test_the_real_head_is_driven_by_every_channel_but_the_tongue(ict: MeshDecoder) -> None:
    still = [name for name in ict.channels if ict.displacement(name).max() < 1.0]
    assert still == ["tongueOut"]
    assert [part.name for part in ict.parts] == ["skin", "gums", "teeth", "sclera", "iris"]


def test_lips_surround_the_mouth_symmetrically(ict: MeshDecoder) -> None:
    lips = ict.neutral[ict.lips]
    assert 300 < len(lips) < 1500
    assert lips[:, 0].mean() == pytest.approx(0.0, abs=0.5)
    assert 40 < np.ptp(lips[:, 0]) < 65  # a mouth is 45 to 60 mm wide
    assert 15 < np.ptp(lips[:, 1]) < 35
    # None of them is far from what the lips' own channels move.
    assert ict.displacement("mouthRollUpper", "mouthRollLower", "mouthFunnel")[ict.lips].min() > 1.0


def test_the_middle_of_the_lips_meets_at_rest_and_opens_with_the_jaw(ict: MeshDecoder) -> None:
    upper, lower = ict.mid_lips
    assert abs(ict.neutral[upper, 0]) < 1.0
    assert abs(ict.neutral[lower, 0]) < 1.0
    assert ict.neutral[upper, 1] > ict.neutral[lower, 1]
    assert np.linalg.norm(ict.neutral[upper] - ict.neutral[lower]) < 2.0
    opened = ict.decode(pose(jawOpen=1.0), np.array([upper, lower]))[0]
    assert 30 < np.linalg.norm(opened[0] - opened[1]) < 50


def test_the_upper_face_lies_above_the_mouth_and_within_the_face(ict: MeshDecoder) -> None:
    assert set(ict.upper_face) <= set(ict.face)
    nose_tip = ict.neutral[ict.skin][ict.neutral[ict.skin, 2].argmax()]
    assert np.median(ict.neutral[ict.upper_face, 1]) > nose_tip[1] + 30
    assert ict.displacement("jawOpen")[ict.upper_face].max() < 8.0


def test_the_face_has_no_lining_of_the_mouth(ict: MeshDecoder) -> None:
    assert not set(ict.face) & set(ict.lining)
    assert not set(ict.lips) & set(ict.eyes[0])
    left, right = ict.eyes
    assert ict.neutral[left, 0].min() > 0 > ict.neutral[right, 0].max()


def test_a_head_of_few_channels_is_told_by_its_lids_and_lips_may_stand_apart(ict: MeshDecoder) -> None:
    """Most characters have some of ARKit's shapes only, and a drawn one's lips need not touch."""
    few = ict.deltas.copy()
    for name in ict.channels:
        if name.startswith("brow"):
            few[ict.channels.index(name)] = 0
    bald = replace(ict, deltas=few)
    np.testing.assert_array_equal(bald.skin, ict.skin)
    assert [len(eye) for eye in bald.eyes] == [len(eye) for eye in ict.eyes] != [0, 0]
    lower = ict.displacement("jawOpen") > 0.5 * ict.displacement("jawOpen").max()
    for apart in (2.0, 5.0):
        open_lips = ict.neutral.copy()
        open_lips[lower, 1] -= apart
        line = replace(ict, neutral=open_lips).mouth
        middle = open_lips[line].mean(axis=0)
        assert np.linalg.norm(middle - ict.neutral[ict.mouth].mean(axis=0)) < 6
