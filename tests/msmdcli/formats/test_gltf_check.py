"""glTF files of others: nothing is read but what lies in their own folder, and nothing is believed unchecked."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.formats.glb import carrier
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.gltf_head import load_gltf_head
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def written(folder: Path, change: Callable[[dict[str, Any]], object] = lambda tree: None) -> Path:
    """A head as .gltf, with its buffer in a file beside it."""
    file = carrier(RIG)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.bin").write_bytes(bytes(file.blob))
    tree = {**file.tree, "buffers": [{"byteLength": len(file.blob), "uri": "a.bin"}]}
    change(tree)
    path = folder / "a.gltf"
    path.write_text(json.dumps(tree))
    return path


def with_picture(folder: Path, uri: str) -> Path:
    return written(folder, lambda tree: tree.update(images=[{"uri": uri}]))


def test_what_lies_in_its_own_folder_is_taken_in(tmp_path: Path) -> None:
    (tmp_path / "head/skin maps").mkdir(parents=True)
    (tmp_path / "head/skin maps/a.png").write_bytes(b"the picture")
    for uri in ("skin%20maps/a.png", "./skin maps/../skin maps/a.png", "skin maps\\a.png"):
        assert b"the picture" in bytes(GltfFile.load(with_picture(tmp_path / "head", uri)).blob)


def test_nothing_else_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa"
    secret.write_bytes(b"TOP-SECRET")
    folder = tmp_path / "head/deep"
    folder.mkdir(parents=True)
    (folder / "link.png").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    encoded = "%2e%2e/%2e%2e/id_rsa"
    uris = ["../../id_rsa", encoded, str(secret), secret.as_uri(), "..\\..\\id_rsa", "link.png", "up/id_rsa"]
    uris += ["/dev/zero", "pipe.png", "http://example.org/x.png", "C:/x.png", "a\0b", urllib.parse.quote(str(secret))]
    for uri in uris:
        with pytest.raises(MsmdError, match=r"a\.gltf") as caught:
            GltfFile.load(with_picture(folder, uri))
        assert "takes in" in caught.value.message, uri
    with pytest.raises(MsmdError, match="cannot be read"):
        GltfFile.load(with_picture(folder, "loop.png"))
    for uri in ("../../id_rsa", str(secret), "/dev/zero"):
        with pytest.raises(MsmdError, match="takes in"):
            GltfFile.load(written(folder, lambda tree, uri=uri: tree["buffers"][0].update(uri=uri)), pictures=False)


def circle(tree: dict[str, Any]) -> None:
    for number, node in enumerate(tree["nodes"]):
        node["children"] = [number]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "its own child": (circle, "not trees"),
    "two parents": (lambda t: t.update(nodes=[{"children": [2]}, {"children": [2]}, {"mesh": 0}]), "two parents"),
    "an accessor of terabytes": (lambda t: t["accessors"][0].update(count=10**12), "count of accessor 0"),
    "a count of -1": (lambda t: t["accessors"][0].update(count=-1), "count of accessor 0"),
    "a count that is a text": (lambda t: t["accessors"][0].update(count="3"), "count of accessor 0"),
    "a view that is not there": (lambda t: t["accessors"][0].update(bufferView=99), "accessor 0"),
    "a buffer that is not there": (lambda t: t["bufferViews"][0].update(buffer=1), "view 0"),
    "a mesh that is not there": (lambda t: t["nodes"][0].update(mesh=7), "node 0"),
    "nodes that are a number": (lambda t: t.update(nodes=3), "`nodes` is no list"),
    "a rotation of nothing": (lambda t: t["nodes"][0].update(rotation=[0, 0, 0, 0]), "no rotation"),
    "a scale of texts": (lambda t: t["nodes"][0].update(scale=["1", 1, 1]), "`scale` of node 0"),
    "a matrix of three": (lambda t: t["nodes"][0].update(matrix=[1, 2, 3]), "`matrix` of node 0"),
    "weights of words": (lambda t: t["meshes"][0].update(weights=["x"]), "`weights` of mesh 0"),
    "a million names": (
        lambda t: t["meshes"][0]["extras"].update(targetNames=["x"] * 1_000_000),
        "targetNames of mesh 0",
    ),
    "a scene of a node that is not there": (lambda t: t["scenes"][0].update(nodes=[5]), "scene 0"),
    "a row of bytes for all": (lambda t: t["bufferViews"][0].update(byteStride=1), "stride"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_contradicts_itself_is_refused(tmp_path: Path, name: str) -> None:
    change, says = WRONG[name]
    with pytest.raises(MsmdError, match=rf"a\.gltf .*{says}"):
        load_gltf_head(written(tmp_path, change), RIG)


def test_a_mesh_placed_a_million_times_is_refused(tmp_path: Path) -> None:
    many = 20_000

    def place(tree: dict[str, Any]) -> None:
        tree["accessors"][0]["count"] = 100
        del tree["accessors"][0]["bufferView"]
        tree["nodes"] = [{"mesh": 0} for _ in range(many)]
        tree["scenes"][0]["nodes"] = list(range(many))

    with pytest.raises(MsmdError, match="more than 500000 vertices"):
        load_gltf_head(written(tmp_path, place), RIG)


def test_a_vertex_at_nan_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray((tmp_path / "a.bin").read_bytes())
    content[:4] = np.float32(np.nan).tobytes()
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(MsmdError, match="NaN or infinity"):
        load_gltf_head(path, RIG)


def test_a_triangle_of_vertices_that_are_not_there_is_refused(tmp_path: Path) -> None:
    def point(tree: dict[str, Any]) -> None:
        tree["accessors"].append(
            {"componentType": 5125, "count": 3, "type": "SCALAR", "bufferView": 0, "byteOffset": 12}
        )
        tree["meshes"][0]["primitives"][0]["indices"] = len(tree["accessors"]) - 1

    with pytest.raises(MsmdError, match="a vertex that is not there"):
        load_gltf_head(written(tmp_path, point), RIG)
