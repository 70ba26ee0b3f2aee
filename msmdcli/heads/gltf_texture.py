"""The pictures on a head of a glTF file: which vertex shows which place of which picture.

Only base colours are read (glTF 2.0, section 3.9.2), from pictures that every browser draws. Vertices are in the order
in which `msmdcli.heads.gltf_head` reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.gltf_head import placed_triangles

STARTS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
MOST_BYTES = 96 << 20  # of all pictures of a head
TRANSFORM = "KHR_texture_transform"
HALF = 0.5  # opacity from which on a picture with holes is drawn; glTF's own default


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        kind: its media type. content: its file.
        opaque_from: opacity from which on it is drawn; 0 is everywhere.
    """

    kind: str
    content: bytes
    opaque_from: float


@dataclass(frozen=True, eq=False)
class Textures:
    """What is painted on a head of V vertices.

    Attributes:
        pictures: those that are used.
        number: [V] which a vertex shows, counted from 1; 0 is none.
        places: [V, 2] where in it, as glTF has it: from the left, and from the top.
    """

    pictures: tuple[Picture, ...]
    number: np.ndarray
    places: np.ndarray


def textures_of(path: Path, vertices: int) -> Textures | None:
    """The pictures of a head; None where it has none, or is no glTF file.

    Args:
        path: the head.
        vertices: V, as it was read.
    """
    if path.suffix.lower() not in (".glb", ".gltf", ".vrm"):
        return None
    try:
        gltf = GltfFile.load(path)
        return _read(gltf, vertices)
    except (MsmdError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None  # the head itself was read; it is shown in its materials' colours


def _read(gltf: GltfFile, vertices: int) -> Textures | None:
    pictures: dict[tuple[int, float], int] = {}  # image and opacity -> number
    found: list[Picture] = []
    number, places = np.zeros(vertices, np.uint8), np.zeros((vertices, 2), np.float32)
    first = 0
    for primitive in placed_triangles(gltf.tree):
        count = int(gltf.tree["accessors"][primitive["attributes"]["POSITION"]]["count"])
        mine = slice(first, first + count)
        first += count
        painted = _base_colour(gltf.tree, primitive)
        if painted is None:
            continue
        image, opaque_from, coordinates, scale, offset = painted
        if coordinates not in primitive["attributes"] or len(found) >= np.iinfo(np.uint8).max:
            continue
        if (image, opaque_from) not in pictures:
            picture = _picture(gltf, image, opaque_from)
            if picture is None or sum(len(one.content) for one in found) + len(picture.content) > MOST_BYTES:
                continue
            found.append(picture)
            pictures[image, opaque_from] = len(found)
        number[mine] = pictures[image, opaque_from]
        places[mine] = gltf.values(primitive["attributes"][coordinates])[:, :2] * scale + offset
    if first != vertices or not np.isfinite(places).all():
        return None
    return Textures(tuple(found), number, places) if found else None


def _base_colour(
    tree: Mapping[str, Any], primitive: Mapping[str, Any]
) -> tuple[int, float, str, np.ndarray, np.ndarray] | None:
    """Image, opacity from which it is drawn, name of the coordinates, their scale and offset; None without picture."""
    if primitive.get("material") is None:
        return None
    material = tree["materials"][primitive["material"]]
    texture = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
    if texture is None:
        return None
    source = tree["textures"][texture["index"]].get("source")
    if source is None:
        return None
    solid = material.get("alphaMode", "OPAQUE") == "OPAQUE"
    moved = (texture.get("extensions") or {}).get(TRANSFORM) or {}
    return (
        int(source),
        0.0 if solid else float(material.get("alphaCutoff", HALF)),
        f"TEXCOORD_{int(moved.get('texCoord', texture.get('texCoord', 0)))}",
        np.array(moved.get("scale", (1.0, 1.0)), np.float32),
        np.array(moved.get("offset", (0.0, 0.0)), np.float32),
    )


def _picture(gltf: GltfFile, number: int, opaque_from: float) -> Picture | None:
    image = gltf.tree["images"][number]
    if "bufferView" in image:
        view = gltf.tree["bufferViews"][image["bufferView"]]
        content = bytes(gltf.blob[view.get("byteOffset", 0) :][: view["byteLength"]])
    else:
        content = base64.b64decode(image["uri"].partition("base64,")[2])
    kinds: Iterator[str] = (kind for start, kind in STARTS.items() if content.startswith(start))
    kind = next(kinds, None)
    return None if kind is None else Picture(kind, content, opaque_from)
