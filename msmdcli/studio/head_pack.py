"""A head for the page: what our films draw of it, with the same colours, light and eyes (`msmdcli.drawing.scene`).

One block of bytes: the length of a JSON text (4 bytes, little endian), that text, and the arrays it describes, each
beginning at a multiple of 4. Pictures that are painted on the head come after them. Positions are in millimetres,
displacements in hundredths of one.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.drawing import scene as scenery
from msmdcli.drawing.opengl.film_mesh import FilmMesh, film_mesh, shipped_film, whole
from msmdcli.drawing.scene import scene_of
from msmdcli.heads.gltf_texture import Textures, textures_of
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.rig import Rig

SQUARE = 1000  # pixels of the picture that the page frames the head in, as films do
EYE = 256  # after the numbers of all pictures: triangles of a painted eye
UNIT = 0.01  # mm of a displacement's step


def head_pack(path: Path, rig: Rig) -> bytes:
    """A head that motion on `rig` poses.

    Raises:
        MsmdError: it cannot be read, or is for another rig.
    """
    mesh = load_head(path, rig)
    scene = scene_of(mesh)
    camera = scene.camera(SQUARE, SQUARE)
    ours = shipped_film(mesh).is_file()
    film = film_mesh(mesh, None) if ours else whole(mesh)
    painted = None if ours else textures_of(path, mesh.size)
    if painted is not None:
        film = _unpainted(film, mesh, painted)
    drawn = np.unique(film.triangles)  # [K] of the head's vertices
    number = np.zeros(mesh.size, np.int64)
    number[drawn] = np.arange(len(drawn))
    eye_of = np.zeros(mesh.size, np.uint8)  # [V] 0: no eye, 1: left, 2: right
    for side, eyeball in enumerate(mesh.eyes, start=1):
        eye_of[eyeball] = side
    texture = np.zeros(mesh.size, np.uint8) if painted is None else painted.number
    eye_of[texture > 0] = 0  # its picture has the iris
    kind = np.where(eye_of > 0, EYE, texture.astype(np.int64))  # [V] the picture that it shows, or that it is an eye's
    in_order = np.argsort(kind[film.triangles[:, 0]], kind="stable")
    film = film._replace(triangles=film.triangles[in_order])
    arrays = {
        "neutral": mesh.neutral[drawn].astype("<f4"),  # [K, 3]
        "deltas": np.clip(np.round(mesh.deltas[:, drawn] / UNIT), -32767, 32767).astype("<i2"),  # [C, K, 3]
        "triangles": number[film.triangles].astype("<u4"),  # [F, 3]
        "colour": film.colour[drawn].astype("<f4"),  # [K, 3] linear
        "gloss": film.gloss[drawn].astype("<f4"),  # [K]
        "eye": eye_of[drawn],  # [K]
    }
    if painted is not None:
        arrays["places"] = painted.places[drawn].astype("<f4")  # [K, 2] in the picture
    about: dict[str, Any] = {
        "channels": list(mesh.channels),
        "unit": UNIT,
        "neck": [float(x) for x in scene.neck],
        "aim": [float(camera.place[0]), float(camera.place[1]), float(camera.place[2] - scenery.CAMERA_DISTANCE)],
        "tall": SQUARE / camera.scale,
        "rotation": list(rig.rotation or ()),
        "look": look(),
        "groups": _groups(kind[film.triangles[:, 0]]),
        "pictures": [],
        "arrays": {},
    }
    body = b""
    for name, array in arrays.items():
        about["arrays"][name] = {"start": len(body), "type": array.dtype.str, "shape": list(array.shape)}
        body += np.ascontiguousarray(array).tobytes()
        body += b"\0" * (-len(body) % 4)
    for picture in painted.pictures if painted is not None else ():
        said = {"start": len(body), "size": len(picture.content), "type": picture.kind, "from": picture.opaque_from}
        about["pictures"].append(said)
        body += picture.content + b"\0" * (-len(picture.content) % 4)
    text = json.dumps(about, ensure_ascii=True).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + body


def _groups(kind: np.ndarray) -> list[list[int]]:
    """Runs of triangles of one kind: the first triangle, how many, and which picture (0: none, EYE: a painted eye)."""
    edges = np.flatnonzero(np.diff(kind)) + 1
    starts = [0, *(int(edge) for edge in edges)]
    return [[start, end - start, int(kind[start])] for start, end in zip(starts, [*starts[1:], len(kind)], strict=True)]


def _unpainted(film: FilmMesh, mesh: MeshDecoder, painted: Textures) -> FilmMesh:
    """What has a picture in the plain colour of its material: the picture has brows and lips of its own."""
    colour = film.colour.copy()
    for part in mesh.parts:
        if painted.number[part.vertices].any():
            colour[part.vertices] = part.colour
    return film._replace(colour=colour)


def look() -> dict[str, Any]:
    """Light and the colours of eyes, as films have them."""
    return {
        "lights": [
            {"towards": [float(x) for x in scenery.unit(direction)], "colour": [float(x) for x in colour]}
            for direction, colour in scenery.LIGHTS
        ],
        **{
            name.lower(): float(getattr(scenery, name))
            for name in ("IRIS_ANGLE", "PUPIL_ANGLE", "LOOK_ANGLE", "SHARPNESS", "EXPOSURE")
        },
        **{
            name.lower(): [float(x) for x in getattr(scenery, name)]
            for name in ("IRIS", "PUPIL", "EYE_WHITE", "SKY", "GROUND")
        },
    }
