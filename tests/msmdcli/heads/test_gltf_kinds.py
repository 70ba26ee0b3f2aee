"""Heads as programs write them: on skeletons, mirrored, in several meshes, in other units, without a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_head import FLOAT, UNSIGNED_SHORT, head_tree, write_glb

from msmdcli.heads.loading import load_head
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
NAMES = ("jawOpen", "mouthSmileLeft")
CORNERS = np.float32([[0, 0, 0.1], [0.15, 0, 0.1], [0, 0.1, 0.1]])
MOVED = [np.float32([[0, -0.01, 0]] * 3), np.float32([[0.002, 0.004, 0]] * 3)]
UNSIGNED_BYTE = 5121
JAW, SMILE = RIG.index("jawOpen"), RIG.index("mouthSmileLeft")


def accessor(number: int, kind: str, component: int = FLOAT, count: int = 3) -> dict[str, Any]:
    return {"bufferView": number, "componentType": component, "count": count, "type": kind}


def head(path: Path, scale: float = 1.0, names: tuple[str, ...] = NAMES, **changes: Any) -> Path:
    """A triangle with two targets; `changes` replace keys of the tree, or are called with it."""
    accessors = [accessor(n, "VEC3") for n in range(3)] + [accessor(3, "SCALAR", UNSIGNED_SHORT)]
    tree = head_tree(names, accessors, 3, (1, 2))
    for key, value in changes.items():
        tree[key] = value(tree) if callable(value) else value
    pieces = [CORNERS * np.float32(scale), *(moved * np.float32(scale) for moved in MOVED), np.uint16([0, 1, 2])]
    return write_glb(path, tree, pieces)


def skeleton(path: Path, joints: np.ndarray, weights: np.ndarray, inverse: np.ndarray | None, **armature: Any) -> Path:
    """The triangle in centimetres on two joints, 10 and 14 cm up, of an armature; the mesh's own node is far away."""
    tree = head_tree(
        NAMES, [accessor(n, "VEC3") for n in range(3)] + [accessor(3, "SCALAR", UNSIGNED_SHORT)], 3, (1, 2)
    )
    pieces = [CORNERS * 100, *(moved * 100 for moved in MOVED), np.uint16([0, 1, 2])]
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    for number, at in enumerate(range(0, joints.shape[1], 4)):
        for name, values, component in (("JOINTS", joints, UNSIGNED_BYTE), ("WEIGHTS", weights, FLOAT)):
            attributes[f"{name}_{number}"] = len(tree["accessors"])
            tree["accessors"].append(accessor(len(pieces), "VEC4", component))
            pieces.append(np.ascontiguousarray(values[:, at : at + 4]))
    skin: dict[str, Any] = {"joints": [2, 3]}
    if inverse is not None:
        skin["inverseBindMatrices"] = len(tree["accessors"])
        tree["accessors"].append(accessor(len(pieces), "MAT4", count=2))
        pieces.append(np.float32(inverse).transpose(0, 2, 1).reshape(2, 16))  # stored by columns
    tree["skins"] = [skin]
    tree["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [9, 9, 9], "scale": [7, 7, 7]},
        {"scale": [0.01] * 3, "children": [2], **armature},
        {"translation": [0, 10, 0], "children": [3]},
        {"translation": [0, 4, 0]},
    ]
    tree["scenes"] = [{"nodes": [0, 1]}]
    return write_glb(path, tree, pieces)


def bound() -> np.ndarray:
    """What takes a vertex to each joint as they stood when it was bound: as they stand."""
    inverse = np.stack([np.eye(4), np.eye(4)])
    inverse[:, 1, 3] = -10, -14
    return inverse


def test_a_skinned_head_is_where_its_joints_hold_it(tmp_path: Path) -> None:
    plain = load_head(head(tmp_path / "plain.glb"))
    joints, weights = np.uint8([[1, 0, 0, 0]] * 3), np.float32([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [2, 0, 0, 0]])
    found = load_head(skeleton(tmp_path / "a.glb", joints, weights, bound()))
    np.testing.assert_allclose(found.neutral, plain.neutral, atol=1e-3)
    np.testing.assert_allclose(found.deltas, plain.deltas, atol=1e-4)
    turned = load_head(skeleton(tmp_path / "b.glb", joints, weights, bound(), rotation=[0, 0, 1, 0]))  # about z
    np.testing.assert_allclose(turned.neutral, plain.neutral * [-1, -1, 1], atol=1e-3)
    np.testing.assert_allclose(turned.deltas, plain.deltas * [-1, -1, 1], atol=1e-4)
    unbound = load_head(skeleton(tmp_path / "c.glb", joints, weights, None))  # no matrices: the joints' own places
    np.testing.assert_allclose(unbound.neutral - plain.neutral, [[0, 140, 0], [0, 120, 0], [0, 140, 0]], atol=1e-3)


def test_more_than_four_joints_count_and_a_vertex_without_weight_follows_its_first(tmp_path: Path) -> None:
    joints = np.uint8([[0, 0, 0, 0, 1, 0, 0, 0]] * 3)
    weights = np.float32([[0.5, 0, 0, 0, 0.5, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0], [0] * 8])
    plain = load_head(head(tmp_path / "plain.glb"))
    found = load_head(skeleton(tmp_path / "a.glb", joints, weights, None))
    np.testing.assert_allclose(found.neutral - plain.neutral, [[0, 120, 0], [0, 140, 0], [0, 100, 0]], atol=1e-3)


def test_a_mirrored_head_is_not_inside_out(tmp_path: Path) -> None:
    plain = load_head(head(tmp_path / "plain.glb"))
    found = load_head(head(tmp_path / "a.glb", nodes=[{"mesh": 0, "scale": [-1, 1, 1]}]))
    np.testing.assert_allclose(found.neutral, plain.neutral * [-1, 1, 1], atol=1e-4)
    np.testing.assert_allclose(found.normals(found.neutral), plain.normals(plain.neutral), atol=1e-6)


@pytest.mark.parametrize("scale", [0.001, 0.01, 10.0, 100.0, 1000.0])
def test_a_file_in_another_unit_is_read_in_the_right_size(tmp_path: Path, scale: float) -> None:
    plain = load_head(head(tmp_path / "plain.glb"))
    found = load_head(head(tmp_path / "a.glb", scale))
    np.testing.assert_allclose(found.neutral, plain.neutral, rtol=1e-4)
    np.testing.assert_allclose(found.deltas, plain.deltas, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_children_and_giants_keep_their_size(tmp_path: Path, scale: float) -> None:
    plain = load_head(head(tmp_path / "plain.glb"))
    np.testing.assert_allclose(load_head(head(tmp_path / "a.glb", scale)).neutral, scale * plain.neutral, rtol=1e-4)


def test_a_file_without_a_scene_is_all_of_its_nodes(tmp_path: Path) -> None:
    def none(tree: dict[str, Any]) -> list[Any]:
        del tree["scene"]
        return []

    plain = load_head(head(tmp_path / "plain.glb"))
    nodes = [{"children": [1], "translation": [0, 0.2, 0]}, {"mesh": 0}]
    found = load_head(head(tmp_path / "a.glb", nodes=nodes, scenes=none))
    np.testing.assert_allclose(found.neutral, plain.neutral + [0, 200, 0], atol=1e-3)


@pytest.mark.parametrize(
    "names", [("JawOpen", "MouthSmile_L"), ("jaw_open", "mouth_smile_left"), ("Head.jawOpen", "Head.mouthSmileLeft")]
)
def test_several_meshes_with_names_of_their_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    """The face, and a beard of which only the jaw moves anything; deep in a tree of nodes."""

    def meshes(tree: dict[str, Any]) -> list[Any]:
        (face,) = tree["meshes"]
        beard = {"primitives": [{**face["primitives"][0], "targets": [{"POSITION": 2}, {"POSITION": 1}]}]}
        return [face, {**beard, "extras": {"targetNames": ["fat", names[0]]}}]

    nodes = [{"children": [1]}, {"children": [2, 3], "scale": [1, 2, 1]}, {"mesh": 0}, {"mesh": 1}]
    found = load_head(head(tmp_path / "a.glb", names=names, meshes=meshes, nodes=nodes))
    assert found.size == 6 and len(found.parts) == 2
    np.testing.assert_allclose(found.deltas[JAW], [[0, -20, 0]] * 6, atol=1e-4)
    np.testing.assert_allclose(found.deltas[SMILE], [[2, 8, 0]] * 3 + [[0, 0, 0]] * 3, atol=1e-4)
