"""Look at motion: a face, a contact sheet, the vertices that measures look at; written as PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.drawing.numpy_renderer import render_frame
from msmdcli.drawing.scene import background, scene_of
from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.raster import rasterise
from msmdcli.motion.motion import Motion

if TYPE_CHECKING:
    from msmdcli.drawing.renderer import Renderer

VIEW_SIZE = 900  # pixels, each view
SET_COLOURS = {  # sRGB 0..1
    "face": (0.62, 0.72, 0.80),
    "upper_face": (0.25, 0.50, 0.90),
    "lips": (0.85, 0.20, 0.25),
    "mouth_opening": (1.00, 0.85, 0.10),
}
SKIN_COLOUR, BEHIND, DOT_INK = (0.72, 0.70, 0.68), (0.10, 0.11, 0.12), (0.05, 0.05, 0.05)
VIEW_TURNS = (0.0, np.radians(50.0))  # the head is drawn from the front and from its left
DOT, LARGE_DOT = 1, 7  # pixels to either side
FACE = (0.08, 0.86, 0.22, 0.78)  # top, bottom, left, right of the face in a picture: heads are all framed alike
FACE_HEIGHT = (FACE[1] - FACE[0]) / (FACE[3] - FACE[2])  # of the face, relative to its width


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


# ---- vertex sets -----------------------------------------------------------------------------------------------------


def draw_sets(mesh: MeshDecoder, path: Path) -> dict[str, int]:
    """Draw the head twice, each vertex of a set as a dot in its colour, and write a PNG.

    Returns:
        set -> how many vertices it has; a set that the head has not is absent.

    Raises:
        MsmdError: the head has no triangles to draw.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture {path} is no .png", hint="name a .png file")
    if len(mesh.triangles) == 0:
        raise MsmdError(f"the head of rig {mesh.rig.name} has no triangles to draw", hint="give its rig a `surface`")
    sets = {name: mesh.vertex_set(name) for name in SET_COLOURS if mesh.has(name)}
    write_png(path, np.concatenate([_sets_view(mesh, sets, turn) for turn in VIEW_TURNS], axis=1))
    return {name: len(numbers) for name, numbers in sets.items()}


def _sets_view(mesh: MeshDecoder, sets: dict[str, np.ndarray], turn: float) -> np.ndarray:
    """[VIEW_SIZE, VIEW_SIZE, 3] uint8 of the head at rest, turned to its right by `turn` radians."""
    focus = sets.get("face", mesh.skin)
    points = mesh.neutral[focus].astype(np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    cos, sin = np.cos(-turn), np.sin(-turn)
    turned = (mesh.neutral - middle) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T  # [V, 3]
    scale = 0.88 * VIEW_SIZE / np.ptp(points[:, :2], axis=0).max()
    screen = np.column_stack([VIEW_SIZE / 2 + turned[:, 0] * scale, VIEW_SIZE / 2 - turned[:, 1] * scale, turned[:, 2]])
    seen = rasterise(screen, mesh.triangles, VIEW_SIZE, VIEW_SIZE)
    normals = mesh.normals(turned)

    colours = np.tile(np.array(SKIN_COLOUR), (mesh.size, 1))
    for name, numbers in sets.items():
        if name != "mouth_opening":
            colours[numbers] = SET_COLOURS[name]
    picture = np.empty((VIEW_SIZE, VIEW_SIZE, 3))
    picture[:] = BEHIND
    at = seen.triangle >= 0
    owner, weights = mesh.triangles[seen.triangle[at]], seen.weights[at][..., None]  # [n, 3], [n, 3, 1]
    normal = (normals[owner] * weights).sum(axis=1)
    light = 0.35 + 0.65 * np.clip(normal @ np.array([-0.25, 0.35, 0.90]), 0, 1)
    picture[at] = (colours[owner] * weights).sum(axis=1) * light[:, None]

    for name, numbers in sets.items():
        reach = LARGE_DOT if name == "mouth_opening" else DOT
        for number in numbers:
            x, y = (int(value) for value in screen[number, :2])
            if not (0 <= x < VIEW_SIZE and 0 <= y < VIEW_SIZE) or screen[number, 2] < seen.depth[y, x] - 1.5:
                continue  # outside the picture, or hidden
            rows, columns = slice(max(y - reach, 0), y + reach + 1), slice(max(x - reach, 0), x + reach + 1)
            picture[rows, columns] = DOT_INK if name != "mouth_opening" else SET_COLOURS[name]
    return np.asarray(np.clip(picture, 0, 1) * 255 + 0.5, np.uint8)


# ---- PNG -------------------------------------------------------------------------------------------------------------


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as PNG."""
    Path(path).write_bytes(png_bytes(picture))


def png_bytes(picture: np.ndarray) -> bytes:
    """[H, W, 3] uint8 as a PNG file (W3C PNG specification, 8-bit RGB, no filter)."""
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    # Filter 0 on each line.
    lines = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
