"""The pictures on a head of a glTF file: which vertex shows which place of which, and that a strange file has none."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_head import FLOAT, UNSIGNED_SHORT, head_tree, write_glb

from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.gltf_texture import textures_of
from msmdcli.heads.loading import load_head
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED_HEAD

RIG = Rig.load("arkit52")


def png(colour: tuple[int, int, int]) -> bytes:
    """One pixel, after the PNG specification."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + bytes(colour))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def painted_head(path: Path, picture: bytes, texture: dict[str, Any], embedded: bool = True, **material: Any) -> Path:
    """A triangle with a picture, and a second one without."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    moved = np.array([[0, -0.1, 0]] * 3, np.float32)
    places = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    triangle = np.array([0, 1, 2], np.uint16)
    content = np.frombuffer(picture, np.uint8)
    kinds = [("VEC3", FLOAT), ("VEC3", FLOAT), ("SCALAR", UNSIGNED_SHORT), ("VEC2", FLOAT)]
    accessors = [
        {"bufferView": k, "componentType": number, "count": 3, "type": kind} for k, (kind, number) in enumerate(kinds)
    ]
    tree = head_tree(["jawOpen"], accessors, 2, [1])
    (first,) = tree["meshes"][0]["primitives"]
    second = {**first, "attributes": dict(first["attributes"])}
    first["attributes"] |= {"TEXCOORD_0": 3}
    first["material"] = 0
    tree["meshes"][0]["primitives"].append(second)
    tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **texture}}, **material}]
    tree["textures"] = [{"source": 0}]
    uri = "data:image/png;base64," + base64.b64encode(picture).decode()
    tree["images"] = [{"bufferView": 4, "mimeType": "image/png"} if embedded else {"uri": uri}]
    return write_glb(path, tree, [points, moved, triangle, places, content])


@pytest.mark.parametrize("embedded", [True, False])
def test_a_picture_and_its_places(tmp_path: Path, embedded: bool) -> None:
    path = painted_head(tmp_path / "head.glb", png((200, 100, 50)), {}, embedded)
    found = textures_of(path, load_head(path, RIG).size)
    assert found is not None and [picture.kind for picture in found.pictures] == ["image/png"]
    assert found.pictures[0].content == png((200, 100, 50)) and found.pictures[0].opaque_from == 0
    assert found.number.tolist() == [1, 1, 1, 0, 0, 0]
    np.testing.assert_array_equal(found.places[:3], [[0, 0], [1, 0], [0, 1]])


def test_a_picture_may_be_moved_and_have_holes(tmp_path: Path) -> None:
    moved = {"extensions": {"KHR_texture_transform": {"offset": [0.5, 0.25], "scale": [0.5, 0.5]}}}
    path = painted_head(tmp_path / "head.glb", png((1, 2, 3)), moved, alphaMode="MASK", alphaCutoff=0.3)
    found = textures_of(path, 6)
    assert found is not None and found.pictures[0].opaque_from == 0.3
    np.testing.assert_array_equal(found.places[:3], [[0.5, 0.25], [1, 0.25], [0.5, 0.75]])


@pytest.mark.parametrize(
    ("content", "texture"),
    [
        (b"\xabKTX 20\xbb\r\n\x1a\n", {}),
        (png((0, 0, 0)), {"texCoord": 7}),
        (png((0, 0, 0)), {"index": 9}),
        (b"<svg/>", {}),
    ],
)
def test_what_cannot_be_shown_is_left_out(tmp_path: Path, content: bytes, texture: dict[str, Any]) -> None:
    assert textures_of(painted_head(tmp_path / "head.glb", content, texture), 6) is None
    assert textures_of(painted_head(tmp_path / "two.glb", png((0, 0, 0)), {}), 5) is None, "another head"
    assert textures_of(tmp_path / "head.npz", 6) is None


def test_the_page_gets_it(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    import json

    from msmdcli.studio.head_pack import EYE, head_pack

    gltf = GltfFile.load(SHIPPED_HEAD)
    skin = next(k for k, one in enumerate(gltf.tree["materials"]) if one["name"].lower() == "skin")
    part = next(one for mesh in gltf.tree["meshes"] for one in mesh["primitives"] if one["material"] == skin)
    part["attributes"]["TEXCOORD_0"] = gltf.add_floats(gltf.values(part["attributes"]["POSITION"])[:, :2], "VEC2")
    gltf.tree["images"] = [{"bufferView": gltf.add_bytes(png((9, 8, 7))), "mimeType": "image/png"}]
    gltf.tree["textures"] = [{"source": 0}]
    gltf.tree["materials"][skin]["pbrMetallicRoughness"] = {"baseColorTexture": {"index": 0}}
    path = tmp_path / "head.glb"
    gltf.save(path)
    packed = head_pack(path, RIG)
    (size,) = struct.unpack("<I", packed[:4])
    about = json.loads(packed[4 : 4 + size])
    (picture,) = about["pictures"]
    start = 4 + size + picture["start"]
    assert packed[start : start + picture["size"]] == png((9, 8, 7)) and picture["type"] == "image/png"
    assert [group[2] for group in about["groups"]] == [0, 1, EYE] and "places" in about["arrays"]
    assert sum(count for _, count, _ in about["groups"]) == about["arrays"]["triangles"]["shape"][0]
