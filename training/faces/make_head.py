"""Make the head that ships from the ICT-FaceKit head with the 52 ARKit morph targets.

    python -m training.faces.make_head SOURCE.glb

Vertices have colours (COLOR_0): brows, red lips, irises and pupils, the dark of the mouth, as our own pictures show
them (`msmdcli.drawing.scene`). The material alone would leave a viewer with blank eyeballs and a face without brows.

Same vertices, triangles and targets, in less room: positions and deltas as 16-bit integers in units of 0.01 mm, normals
as 8-bit integers (glTF extension KHR_mesh_quantization), deltas below 0.015 mm left out. The node Head has the scale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.drawing.scene import DEEPER, EYE_WHITE, middle, paint_eye, scene_of
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.paths import SHIPPED_HEAD

UNIT = 1e-5  # metres
SOFT = float(np.radians(3.0))  # half the width of an edge painted on the eyeball
SMALLEST = 1.5  # units; shorter deltas are left out
SHORT, BYTE, USHORT, UBYTE = 5122, 5120, 5123, 5121


def main(source: Path, target: Path = SHIPPED_HEAD) -> None:
    """Write the small head."""
    old = GltfFile.load(source)
    new = GltfFile({**old.tree, "accessors": [], "bufferViews": []}, bytearray())
    new.tree["asset"] = {
        "version": "2.0",
        "generator": "python -m training.faces.make_head",
        "copyright": "ICT-FaceKit, Copyright (c) 2020 USC Institute for Creative Technologies, MIT licence",
    }
    new.tree["extensionsUsed"] = new.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    for primitive in old.tree["meshes"][0]["primitives"]:
        position = dense(old, primitive["attributes"]["POSITION"])  # [n, 3]
        normal = dense(old, primitive["attributes"]["NORMAL"])
        primitive["attributes"] = {
            "POSITION": add(new, padded(np.rint(position / UNIT).astype("<i2")), SHORT, "VEC3", bounds=True),
            "NORMAL": add(new, padded(np.rint(normal * 127).astype("i1")), BYTE, "VEC3", normalized=True),
        }
        indices = dense(old, primitive["indices"])[:, 0].astype("<u2")
        primitive["indices"] = add(new, indices, USHORT, "SCALAR", target=34963)
        primitive["targets"] = [{"POSITION": add_sparse(new, dense(old, t["POSITION"]))} for t in primitive["targets"]]
    new.tree["nodes"] = [{"name": "Head", "mesh": 0, "scale": [UNIT] * 3}]
    new.save(target)
    add_colours(target)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


def add_colours(path: Path) -> None:
    """Give the vertices of a head their colours, as shares of their material's; nothing else in the file changes."""
    colours = np.clip(vertex_colours(load_head(path)), 0.0, 1.0)  # [V, 3], linear
    file = GltfFile.load(path)
    first = 0
    for primitive in file.tree["meshes"][0]["primitives"]:
        count = file.tree["accessors"][primitive["attributes"]["POSITION"]]["count"]
        part = np.rint(colours[first : first + count] * 255).astype(np.uint8)
        first += count
        opaque = np.concatenate([part, np.full((count, 1), 255, np.uint8)], axis=1)
        primitive["attributes"]["COLOR_0"] = add(file, opaque, UBYTE, "VEC4", normalized=True)
    file.save(path)


def vertex_colours(mesh: MeshDecoder) -> np.ndarray:
    """[V, 3] linear colour of each vertex, divided by that of its material; the eyes look straight ahead."""
    scene = scene_of(mesh)
    colour = scene.materials[0].copy()
    material = np.empty_like(colour)
    for part in mesh.parts:
        material[part.vertices] = np.array(part.colour)
    colour /= material**DEEPER
    for side, eyeball in enumerate(mesh.eyes):
        centre = middle(mesh.neutral[None, eyeball])[0]
        gaze = scene.gazes(np.zeros((1, mesh.rig.size)))[0, side]
        painted = soft_eye((mesh.neutral[eyeball] - centre).astype(np.float64), gaze)
        colour[eyeball] = painted / np.array(EYE_WHITE)  # white is the material's own
    return colour


def soft_eye(from_middle: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Colour [n, 3] of points of an eyeball, its edges as soft as its vertices are apart: few make no sharp circle."""
    along = from_middle @ gaze
    across = from_middle - along[:, None] * gaze
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    angle = np.arccos(np.clip(along / np.linalg.norm(from_middle, axis=1), -1, 1))
    beside = angle[:, None] + SOFT * np.linspace(-1, 1, 9)  # [n, 9]
    turned = np.cos(beside)[..., None] * gaze + np.sin(beside)[..., None] * across[:, None]
    return paint_eye(turned.reshape(-1, 3), gaze).reshape(len(angle), -1, 3).mean(axis=1)


def dense(file: GltfFile, number: int) -> np.ndarray:
    """[n, components] of an accessor, sparse or not."""
    accessor = file.tree["accessors"][number]
    sparse = accessor.get("sparse")
    if sparse is None:
        return file.values(number).astype(np.float64)
    rows, values = (
        {"bufferView": part["bufferView"], "byteOffset": part.get("byteOffset", 0), "count": sparse["count"], **kind}
        for part, kind in (
            (sparse["indices"], {"componentType": sparse["indices"]["componentType"], "type": "SCALAR"}),
            (sparse["values"], {"componentType": accessor["componentType"], "type": accessor["type"]}),
        )
    )
    view = GltfFile({**file.tree, "accessors": [rows, values]}, file.blob)
    table = np.zeros((accessor["count"], 3))
    table[view.values(0)[:, 0]] = view.values(1)
    return table


def padded(values: np.ndarray) -> np.ndarray:
    """[n, 3] -> [n, 4]: every vertex begins at a multiple of four bytes."""
    return np.concatenate([values, np.zeros_like(values[:, :1])], axis=1)


def add(
    file: GltfFile,
    values: np.ndarray,
    component: int,
    kind: str,
    normalized: bool = False,
    bounds: bool = False,
    target: int = 34962,
) -> int:
    """Add an accessor of vertex data ([n, 4], padded) or indices ([n])."""
    view = file.add_bytes(values.tobytes())
    file.tree["bufferViews"][view]["target"] = target
    if values.ndim == 2:
        file.tree["bufferViews"][view]["byteStride"] = values.itemsize * 4
    accessor: dict[str, Any] = {"bufferView": view, "componentType": component, "count": len(values), "type": kind}
    if normalized:
        accessor["normalized"] = True
    if bounds:
        accessor["min"] = values[:, :3].min(axis=0).tolist()
        accessor["max"] = values[:, :3].max(axis=0).tolist()
    file.tree["accessors"].append(accessor)
    return len(file.tree["accessors"]) - 1


def add_sparse(file: GltfFile, delta: np.ndarray) -> int:
    """Add a morph target's deltas [n, 3] in metres, as a sparse accessor of those that matter."""
    units = delta / UNIT
    rows = np.flatnonzero(np.linalg.norm(units, axis=1) >= SMALLEST)
    rows = rows if len(rows) else np.array([0])
    values = np.rint(units[rows]).astype("<i2")  # [k, 3]
    whole = np.zeros((len(delta), 3), int)
    whole[rows] = values
    sparse = {
        "count": len(rows),
        "indices": {"bufferView": file.add_bytes(rows.astype("<u2").tobytes()), "componentType": USHORT},
        "values": {"bufferView": file.add_bytes(values.tobytes())},
    }
    bounds = {"min": whole.min(axis=0).tolist(), "max": whole.max(axis=0).tolist()}
    file.tree["accessors"].append(
        {"componentType": SHORT, "count": len(delta), "type": "VEC3", **bounds, "sparse": sparse}
    )
    return len(file.tree["accessors"]) - 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
