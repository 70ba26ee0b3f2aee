"""The head of a line's character: shown where it fits, else the usual one, and the page says why."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from batch_project import Project as BatchProject

from msmdcli.formats.gltf_file import GltfFile
from msmdcli.paths import SHIPPED_HEAD
from msmdcli.studio.project import Project

LINES = "  - {id: line0, audio: audio/line1.wav, character: hero}\n  - {id: line1, audio: audio/line1.wav}\n"


def described(pack: bytes) -> Any:
    (size,) = struct.unpack_from("<I", pack)
    return json.loads(pack[4 : 4 + size])


def on_a_skeleton(path: Path) -> None:
    """The head that ships as a game has it: in centimetres, skinned to a bone of an armature, names of its own."""
    gltf = GltfFile.load(SHIPPED_HEAD)
    nodes = gltf.tree["nodes"]
    (number,) = (n for n, node in enumerate(nodes) if "mesh" in node)
    for mesh in gltf.tree["meshes"]:
        names = mesh["extras"]["targetNames"]
        mesh["extras"]["targetNames"] = [f"{mesh.get('name', 'Head')}.{name[0].upper()}{name[1:]}" for name in names]
        for primitive in mesh["primitives"]:
            count = gltf.tree["accessors"][primitive["attributes"]["POSITION"]]["count"]
            view = gltf.add_bytes(bytes(4 * count))
            gltf.tree["accessors"].append({"bufferView": view, "componentType": 5121, "count": count, "type": "VEC4"})
            primitive["attributes"]["JOINTS_0"] = len(gltf.tree["accessors"]) - 1
            primitive["attributes"]["WEIGHTS_0"] = gltf.add_floats([[1.0, 0.0, 0.0, 0.0]] * count, "VEC4")  # type: ignore[arg-type]
    gltf.list_of("skins").append({"joints": [len(nodes) + 1]})
    nodes[number] |= {"skin": 0, "translation": [5, 5, 5]}
    nodes += [{"name": "Armature", "scale": [0.01] * 3, "children": [len(nodes) + 1]}, {"scale": [100.0] * 3}]
    gltf.tree["scenes"][0]["nodes"].append(len(nodes) - 2)
    gltf.save(path)


def test_the_page_shows_it_or_says_why_not(project: BatchProject) -> None:
    from msmdcli.studio.answers import Studio

    head = project.folder / "hero.glb"
    project.manifest.write_text(
        f"version: 1\ndefaults: {{style: neutral}}\ncharacters: {{hero: {{head: hero.glb}}}}\nlines:\n{LINES}"
    )
    studio = Studio(Project(project.options))
    try:
        usual = studio.make("line1", {})
        for content, why in ((None, "no such head"), (b"no glTF at all", "cannot be read")):
            if content is not None:
                head.write_bytes(content)
            made = studio.make("line0", {})
            (said,) = [text for text in made["warnings"] if "own head is not shown" in text]
            assert made["head"] == usual["head"] == "usual" and why in said and "hero.glb" in said
            assert studio.head("line0") == studio.head("")
        on_a_skeleton(head)
        made = studio.make("line0", {})
        assert made["head"].startswith("own:") and not [text for text in made["warnings"] if "own head" in text]
        own, ours = described(studio.head("line0")), described(studio.head(""))
        assert own["aim"] == pytest.approx(ours["aim"], abs=0.5) and own["tall"] == pytest.approx(ours["tall"], abs=0.5)
    finally:
        studio.close()
