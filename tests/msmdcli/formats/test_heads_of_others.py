"""Heads that other programs have written: where names and weights stand, which way they look, how they are packed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_head import FLOAT, UNSIGNED_SHORT, head_tree, write_glb

from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.formats.registry import read_motion, write_motion
from msmdcli.heads.loading import load_head
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import quaternion_from_euler

RIG = Rig.load("arkit52")
NAMES = ("jawOpen", "fat", "mouthSmileLeft")
CORNERS = np.float32([[0, 0, 0.1], [0.1, 0, 0.1], [0, 0.1, 0.1]])
MOVED = [np.float32([[0, -0.01 * (n + 1), 0]] * 3) for n in range(3)]


def head(path: Path, **changes: Any) -> Path:
    """A triangle on a node called Head with three targets; `changes` replace keys of the tree or call it with it."""
    vector = {"componentType": FLOAT, "count": 3, "type": "VEC3"}
    accessors = [{"bufferView": n, **vector} for n in range(4)]
    accessors.append({"bufferView": 4, "componentType": UNSIGNED_SHORT, "count": 3, "type": "SCALAR"})
    tree = head_tree(NAMES, accessors, 4, (1, 2, 3), name="Head")
    for key, value in changes.items():
        tree[key] = value(tree) if callable(value) else value
    return write_glb(path, tree, [CORNERS, *MOVED, np.uint16([0, 1, 2])])


def motion(**channels: float) -> Motion:
    values = np.zeros((5, RIG.size), np.float32)
    for name, value in channels.items():
        values[:, RIG.index(name)] = value
    return Motion(values, Fraction(25), RIG)


def animated(path: Path, what: str) -> list[np.ndarray]:
    """The values of each channel of that kind."""
    file = GltfFile.load(path)
    animation = file.tree["animations"][0]
    wanted = [c["sampler"] for c in animation["channels"] if c["target"]["path"] == what]
    return [file.values(animation["samplers"][number]["output"]) for number in wanted]


def on_primitives(tree: dict[str, Any]) -> list[Any]:
    mesh = tree["meshes"][0]
    mesh["primitives"][0]["extras"] = mesh.pop("extras")
    return [mesh]


def weighted(**places: list[float]) -> Any:
    """Default weights at the node, the mesh, or both."""

    def change(tree: dict[str, Any]) -> list[Any]:
        if "mesh" in places:
            tree["meshes"][0]["weights"] = places["mesh"]
        return [{**tree["nodes"][0], **({"weights": places["node"]} if "node" in places else {})}]

    return change


def test_names_on_primitives_are_found_by_all_commands(tmp_path: Path) -> None:
    path = head(tmp_path / "a.vrm", meshes=on_primitives)
    assert load_head(path).displacement("jawOpen").max() == pytest.approx(10, abs=1e-3)
    write_motion(motion(jawOpen=0.5), tmp_path / "out.glb", "glb", {"head": path})
    assert read_motion(tmp_path / "out.glb").values[:, RIG.index("jawOpen")] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"node": [0, 0.7, 0]}, 0.7),
        ({"mesh": [0, 0.4, 0]}, 0.4),
        ({"mesh": [0, 0.4, 0], "node": [0, 0.7, 0]}, 0.7),
        ({"node": [0, 0.7]}, 0.7),  # too short a list
    ],
)
def test_a_shape_of_the_character_stays(tmp_path: Path, places: dict[str, list[float]], expected: float) -> None:
    path = head(tmp_path / "a.glb", nodes=weighted(**places))
    write_motion(motion(jawOpen=0.5), tmp_path / "out.glb", "glb", {"head": path})
    (values,) = animated(tmp_path / "out.glb", "weights")
    assert values.reshape(5, 3) == pytest.approx(np.tile([0.5, expected, 0], (5, 1)))
    lowered = load_head(head(tmp_path / "plain.glb")).neutral - load_head(path).neutral  # the picture shows it, too
    assert lowered == pytest.approx(np.tile([0, 20 * expected, 0], (3, 1)), abs=1e-3)


def test_two_nodes_of_a_mesh_keep_their_own_weights(tmp_path: Path) -> None:
    nodes = [{"mesh": 0, "weights": [0, 0.7, 0]}, {"mesh": 0, "weights": [0, 0.2, 0]}, {"mesh": 0}]
    path = head(tmp_path / "a.glb", nodes=nodes, scenes=[{"nodes": [0, 1, 2]}])
    write_motion(motion(jawOpen=0.5), tmp_path / "out.glb", "glb", {"head": path})
    kept = [values.reshape(5, 3)[0, 1] for values in animated(tmp_path / "out.glb", "weights")]
    assert kept == pytest.approx([0.7, 0.2, 0.0])


@pytest.mark.parametrize("vrm", [{}, {"VRM": {"specVersion": "0.0"}}, {"VRMC_vrm": {"specVersion": "1.0"}}])
def test_a_nod_goes_down_whichever_way_the_character_looks(tmp_path: Path, vrm: dict[str, Any]) -> None:
    backwards = "VRM" in vrm
    path = head(tmp_path / "a.vrm", extensions=vrm)
    line = motion(jawOpen=0.5, headPitch=0.3, headYaw=0.1, headRoll=0.2)
    write_motion(line, tmp_path / "out.glb", "glb", {"head": path})
    (turned,) = animated(tmp_path / "out.glb", "rotation")  # x, y, z, w of a node at rest below no other
    w, x, y, z = quaternion_from_euler(np.array([[0.3, 0.1, 0.2]]))[0]
    own = [-x, y, -z, w] if backwards else [x, y, z, w]  # axes turned by half a turn about y
    assert turned[0] == pytest.approx(own, abs=1e-6)
    back = read_motion(tmp_path / "out.glb").values[0, [RIG.index(n) for n in RIG.rotation or ()]]
    assert back == pytest.approx([0.3, 0.1, 0.2], abs=1e-5)
    nose = load_head(path).neutral[:, 2]
    assert nose == pytest.approx([-100.0 if backwards else 100.0] * 3, abs=1e-3)  # of this made head it is behind


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("KHR_draco_mesh_compression", "Draco"),
        ("EXT_meshopt_compression", "meshopt"),
        ("KHR_meshopt_compression", "meshopt"),
        ("ACME_rounder_triangles", "ACME_rounder_triangles"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_name(tmp_path: Path, name: str, said: str) -> None:
    path = head(tmp_path / "a.glb", extensionsRequired=[name], extensionsUsed=[name])
    for attempt in (
        lambda: load_head(path),
        lambda: write_motion(motion(jawOpen=0.5), tmp_path / "out.glb", "glb", {"head": path}),
        lambda: read_motion(path),
    ):
        with pytest.raises(MsmdError, match=said):
            attempt()
    assert not (tmp_path / "out.glb").exists()


def test_compression_beside_plain_numbers_does_no_harm(tmp_path: Path) -> None:
    used = head(tmp_path / "a.glb", extensionsUsed=["KHR_draco_mesh_compression"])
    assert load_head(used).size == 3
    quantised = head(tmp_path / "b.glb", extensionsRequired=["KHR_mesh_quantization", "KHR_texture_transform"])
    assert load_head(quantised).size == 3


def test_the_head_that_ships_has_eyes_and_brows_in_a_plain_viewer(tmp_path: Path) -> None:
    """Colours of vertices times that of the material, which is all that a viewer of glTF knows."""
    write_motion(motion(jawOpen=0.5), tmp_path / "out.glb", "glb")
    file, mesh = GltfFile.load(tmp_path / "out.glb"), load_head(tmp_path / "out.glb")
    colour = np.zeros((mesh.size, 3))
    for part, primitive in zip(mesh.parts, file.tree["meshes"][0]["primitives"], strict=True):
        colour[part.vertices] = np.array(part.colour) * file.values(primitive["attributes"]["COLOR_0"])[:, :3]
    light = colour.mean(axis=1)
    (sclera,) = (part.vertices for part in mesh.parts if part.name == "sclera")
    balls = [(mesh.neutral[eye].min(axis=0) + mesh.neutral[eye].max(axis=0)) / 2 for eye in mesh.eyes]
    from_middle = mesh.neutral[sclera] - np.where(mesh.neutral[sclera][:, :1] > 0, *balls)
    angle = np.degrees(np.arccos(from_middle[:, 2] / np.linalg.norm(from_middle, axis=1)))
    assert light[sclera][angle < 4].max() < 0.1 < light[sclera][(angle > 12) & (angle < 18)].min()  # pupil, iris
    assert light[sclera][(angle > 12) & (angle < 18)].max() < 0.5 < 0.9 < light[sclera][angle > 30].min()  # iris, white
    skin = light[mesh.skin]
    above_eyes = mesh.neutral[mesh.skin]
    brow = (above_eyes[:, 1] > 58) & (above_eyes[:, 1] < 75) & (above_eyes[:, 2] > 70)
    assert skin[brow].min() < 0.5 * np.median(skin)
