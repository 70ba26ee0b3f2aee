"""Look at motion: pictures of the head, and a contact sheet.

`render_frame` is a small renderer in NumPy: z-buffer (`raster`), interpolated normals, and the camera, lights
and colours of `scene`. It runs anywhere; `renderer` opens a faster one where there is OpenGL.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.drawing.scene import BACKGROUND, background, paint_eye, scene_of, shade, srgb
from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.raster import rasterise
from msmdcli.media.mp4 import write_mp4
from msmdcli.motion.motion import Motion

if TYPE_CHECKING:
    from msmdcli.drawing.renderer import Renderer

__all__ = [
    "contact_sheet",
    "face_picture",
    "png_bytes",
    "posed",
    "render_frame",
    "write_mp4",
    "write_png",
]

FACE = (0.08, 0.86, 0.22, 0.78)  # top, bottom, left, right of the face in a picture: heads are all framed alike
FACE_HEIGHT = (FACE[1] - FACE[0]) / (FACE[3] - FACE[2])  # of the face, relative to its width


def render_frame(
    mesh: MeshDecoder,
    values: np.ndarray,
    size: int | tuple[int, int] = 400,
    *,
    head: bool = True,
    smooth: int = 2,
    colours: np.ndarray | None = None,
    turn: float = 0.0,
) -> np.ndarray:
    """One picture of the head.

    Args:
        mesh: the head.
        values: [D] channel values.
        size: width and height in pixels, or one number for both.
        head: turn the head by the rig's head channels.
        smooth: pictures are drawn this many times larger and averaged down (1: jagged, but four times as fast as 2).
        colours: [V, 3] linear base colours to paint the head with, instead of its own.
        turn: radians that the head is turned to its left by, after its own rotation.

    Returns:
        [H, W, 3] uint8, sRGB.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 8 or smooth < 1:
        raise MsmdError(f"a picture of {width} x {height} pixels cannot be drawn", hint="give at least 8 x 8")
    values = np.asarray(values, np.float32)
    scene = scene_of(mesh)
    camera = scene.camera(width * smooth, height * smooth)
    rest = mesh.decode(values[None]).astype(np.float64)  # [1, V, 3]
    rotation = scene.rotations(values[None] if head else np.zeros_like(values[None]), turn)[0]
    vertices = (rest[0] - scene.neck) @ rotation.T + scene.neck  # [V, 3]
    normals = mesh.normals(vertices)  # [V, 3]
    points = camera.project(vertices)
    corners = points[mesh.triangles][..., :2]  # [F, 3, 2]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0  # y points down
    triangles = mesh.triangles[facing]
    seen = rasterise(points, triangles, width * smooth, height * smooth)

    picture = np.empty((height * smooth, width * smooth, 3))
    picture[:] = BACKGROUND
    at = seen.triangle >= 0
    owner, weights = triangles[seen.triangle[at]], seen.weights[at][..., None]  # [n, 3], [n, 3, 1]
    normal = (normals[owner] * weights).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    position = (vertices[owner] * weights).sum(axis=1)
    colour, gloss = scene.materials
    base, shine = (colour[owner] * weights).sum(axis=1), (gloss[owner] * weights[..., 0]).sum(axis=1)
    if colours is not None:
        base, shine = (colours[owner] * weights).sum(axis=1), np.zeros(len(owner))
    middles = (scene.eye_middles(rest)[0] - scene.neck) @ rotation.T + scene.neck  # [2, 3]
    gazes = scene.gazes(values[None])[0] @ rotation.T  # [2, 3]
    for eyeball, middle, gaze in zip(mesh.eyes, middles, gazes, strict=True):
        if len(eyeball) and colours is None:
            painted = np.isin(owner[:, 0], eyeball)
            base[painted] = paint_eye(position[painted] - middle, gaze)
    picture[at] = shade(base, shine, normal, position, camera.place)
    picture = picture.reshape(height, smooth, width, smooth, 3).mean(axis=(1, 3))
    return np.asarray(srgb(picture) * 255 + 0.5, np.uint8)


def face_picture(
    mesh: MeshDecoder,
    values: np.ndarray,
    width: int,
    *,
    head: bool = False,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """One picture of the face alone, upright, without neck and hair line.

    Args:
        mesh: the head.
        values: [D] channel values; held within the rig's ranges.
        width: in pixels, about; the height is `FACE_HEIGHT` times that.
        head, colours: see `render_frame`.

    Returns:
        [H, W, 3] uint8, sRGB.
    """
    top, bottom, left, right = FACE
    size = round(width / (right - left))
    held = np.clip(values, mesh.rig.lower, mesh.rig.upper)
    picture = render_frame(mesh, held, size, head=head, smooth=1 if size > 400 else 2, colours=colours)
    return picture[round(top * size) : round(bottom * size), round(left * size) : round(right * size)]


def posed(mesh: MeshDecoder, values: np.ndarray, head: bool = True) -> np.ndarray:
    """Vertices [V, 3] float64 in mm under channel values [D], with the head turned by the rig's head channels."""
    scene, vertices = scene_of(mesh), mesh.decode(values[None])[0].astype(np.float64)
    return (vertices - scene.neck) @ scene.rotations(values[None])[0].T + scene.neck if head else vertices


def contact_sheet(
    mesh: MeshDecoder,
    motion: Motion,
    columns: int = 8,
    rows: int = 1,
    size: int | tuple[int, int] = 240,
    frames: Sequence[int] | None = None,
    renderer: Renderer | None = None,
) -> np.ndarray:
    """Pictures of a motion on one sheet, row by row.

    Args:
        mesh: the head.
        motion: what to show.
        columns, rows: of the sheet.
        size: width and height of each picture, or one number for both.
        frames: which frames; by default spread evenly, in the middle of columns x rows equal stretches.
        renderer: what draws, for pictures of that size; by default `render_frame`.

    Returns:
        [rows * height, columns * width, 3] uint8; places without a frame are background.
    """
    if frames is None:
        count = min(columns * rows, motion.frames)
        frames = ((np.arange(count) + 0.5) * motion.frames / count).astype(int).tolist()
    width, height = (size, size) if isinstance(size, int) else size
    sheet = np.empty((rows * height, columns * width, 3), np.uint8)
    sheet[:] = background()
    shown = motion.values[list(frames[: columns * rows])]
    pictures = renderer.pictures(shown) if renderer else (render_frame(mesh, values, size) for values in shown)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = picture
    return sheet


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as PNG."""
    Path(path).write_bytes(png_bytes(picture))


def png_bytes(picture: np.ndarray) -> bytes:
    """[H, W, 3] uint8 as a PNG file (W3C PNG specification, 8-bit RGB, no filter)."""
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = np.concatenate(
        [np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1
    )  # filter 0 on each line
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
