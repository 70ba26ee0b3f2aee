"""A small renderer in NumPy: z-buffer (`msmdcli.heads.raster`), interpolated normals, and the camera, lights and
colours of `msmdcli.drawing.scene`. It runs anywhere, slowly; `msmdcli.drawing.renderer` opens a faster one where there
is OpenGL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from msmdcli.drawing.scene import BACKGROUND, paint_eye, scene_of, shade, srgb
from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.raster import rasterise
from msmdcli.media.mp4 import nv12_of


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


class NumpyRenderer:
    """Draws with `render_frame`: anywhere, slowly.

    Args:
        mesh, width, height, turns: as of `msmdcli.drawing.renderer.open_renderer`.
    """

    def __init__(self, mesh: MeshDecoder, width: int, height: int, turns: Sequence[float] = (0.0,)) -> None:
        self.name = "NumPy"
        self._mesh, self._width, self._height, self._turns = mesh, width, height, tuple(turns)

    def pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """See `msmdcli.drawing.renderer.Renderer`."""
        return self._drawn(values, head, smooth=2)

    def film_pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """See `msmdcli.drawing.renderer.Renderer`."""
        return map(nv12_of, self._drawn(values, head, smooth=1))

    def _drawn(self, values: np.ndarray, head: bool, smooth: int) -> Iterator[np.ndarray]:
        """Pictures [height, width, 3], drawn `smooth` times larger and averaged down."""
        sides = len(self._turns)
        edges = [round(self._width * side / sides) for side in range(sides + 1)]
        for pose in values:
            yield np.hstack(
                [
                    render_frame(self._mesh, pose, (right - left, self._height), head=head, smooth=smooth, turn=turn)
                    for turn, left, right in zip(self._turns, edges, edges[1:], strict=False)
                ]
            )

    def close(self) -> None:
        """Nothing to give back."""
