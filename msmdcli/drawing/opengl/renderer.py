"""The fast renderer: OpenGL 3.3 through moderngl, on a GPU or, without one, on Mesa's software renderer (llvmpipe).

It needs no window: on Linux an EGL context without a surface. Pictures to look at show every triangle, with 4 samples a
pixel. Those of a film show what a film needs of a dense head (`film_mesh`), with one sample a pixel; they leave
as the planes that video keeps (NV12), half the bytes to read back and nothing to convert, and have their
edges smoothed on the processor while the next one is drawn. The formulas are those of `msmdcli.drawing.scene`;
`msmdcli.drawing.pictures.render_frame` draws the same picture with NumPy.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from msmdcli.drawing import scene as head_scene
from msmdcli.drawing.opengl import shaders as gl_shaders
from msmdcli.drawing.opengl.edge_smoothing import smooth_edges
from msmdcli.drawing.opengl.film_mesh import TALLEST, WIDEST, film_mesh, whole
from msmdcli.drawing.opengl.head import GlHead, Panel, Pose, full_screen
from msmdcli.drawing.scene import CAMERA_DISTANCE, scene_of
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import coded

SAMPLES = 4  # a pixel, of pictures to look at
BORDER = 4  # pixels around a head on the screen; smoothed edges reach so far


def create_context() -> Any:
    """A moderngl context without a window, of OpenGL 3.3 or later.

    Raises:
        ImportError: moderngl is not installed.
        Exception: there is no OpenGL here; moderngl raises several kinds.
    """
    import moderngl

    backend: dict[str, Any] = {"backend": "egl"} if platform.system() == "Linux" else {}
    return moderngl.create_context(standalone=True, require=330, **backend)


Box = tuple[int, int, int, int]  # x, y, width, height in pixels, even numbers


@dataclass
class Planes:
    """Where a film's picture is drawn.

    Attributes:
        canvas: framebuffer of both planes with depth.
        brightness: framebuffer of the plane of brightness alone.
        texture: the plane of colour, brightness in front.
        halved: framebuffer of colour at half the size.
        boxes: around the heads that are drawn on it; all else is background, and stays.
    """

    canvas: Any
    brightness: Any
    texture: Any
    halved: Any
    boxes: list[Box]


class GlRenderer:
    """Draws one head with OpenGL. It belongs to the thread that made it.

    Args:
        mesh: the head.
        width, height: of a picture in pixels.
        turns: the head is drawn from these sides next to each other: radians that it is turned to its left by.
    """

    def __init__(self, mesh: MeshDecoder, width: int, height: int, turns: Sequence[float] = (0.0,)) -> None:
        self.mesh, self.width, self.height = mesh, width, height
        self._scene = scene_of(mesh)
        self._background = head_scene.background() / 255
        self._context = context = create_context()
        self.name = f"OpenGL ({context.info['GL_RENDERER']})"
        edges = [round(width * side / len(turns)) for side in range(len(turns) + 1)]
        self._panels = [
            Panel(left, self._scene.camera(right - left, height), turn)
            for turn, left, right in zip(turns, edges, edges[1:], strict=False)
        ]

    def close(self) -> None:
        """Give the context back."""
        self._context.gc_mode = None
        self._context.release()

    def pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height, width, 3] uint8 sRGB of values [T, D], one after the other; see `Renderer`."""
        with self._context:
            shown = self._still
        for pose in shown.poses(values, head):
            with self._context:  # others may have been current since
                canvas, plain = self._sampled
                shown.bend(pose)
                canvas.viewport = (0, 0, self.width, self.height)
                canvas.clear(*self._background)
                shown.draw(canvas, pose)
                self._context.copy_framebuffer(plain, canvas)
                picture = np.empty((self.height, self.width, 3), np.uint8)
                plain.read_into(picture, components=3, alignment=1)
            yield picture

    def film_pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height * 3 / 2, width] uint8 NV12 of values [T, D], one after the other; see `Renderer`.

        A picture is read back when the next one is on its way, so that the processor has something to do meanwhile.
        """
        with self._context:
            posed = values if head else np.zeros_like(values)
            fully = self.height > TALLEST or self._turns_far(posed)
            shown, canvases = self._still_planes if fully else self._film, self._canvases
        waiting: Planes | None = None
        for number, pose in enumerate(shown.poses(values, head)):
            with self._context:
                self._draw_planes(shown, canvases[number % 2], pose)
                picture = self._read(waiting) if waiting else None
            if picture is not None:
                yield picture
            waiting = canvases[number % 2]
        if waiting:
            with self._context:
                picture = self._read(waiting)
            yield picture

    def _draw_planes(self, shown: GlHead, planes: Planes, pose: Pose) -> None:
        """Draw a frame, in place of the one before."""
        boxes = [_box(shown.placed(pose, number), panel) for number, panel in enumerate(self._panels)]
        both = [_around(old, new) for old, new in zip(planes.boxes, boxes, strict=True)]
        planes.boxes = boxes
        shown.bend(pose)
        planes.canvas.clear(*coded(self._background))
        shown.draw(planes.canvas, pose)
        context = self._context
        context.disable(context.DEPTH_TEST | context.CULL_FACE)
        planes.texture.use(0)
        planes.halved.use()
        for box in both:
            planes.halved.viewport = tuple(side // 2 for side in box)
            self._halve.render(vertices=3)

    def _read(self, planes: Planes) -> np.ndarray:
        """The picture [height * 3 / 2, width] NV12 that was drawn, its edges smoothed."""
        picture = np.empty((self.height * 3 // 2, self.width), np.uint8)
        planes.brightness.read_into(picture, components=1, alignment=1)
        planes.halved.read_into(picture, components=2, alignment=1, write_offset=self.height * self.width)
        for box in planes.boxes:
            smooth_edges(picture[: self.height], *box)
        return picture

    def _turns_far(self, values: np.ndarray) -> bool:
        """Whether in values [T, D] some panel shows the head from a side that `film_mesh` knows nothing of."""
        for panel in self._panels:
            x, y, z = self._scene.rotations(np.asarray(values, np.float32), panel.turn)[:, :, 2].T  # where it looks
            turned = np.abs([np.arctan2(x, z), np.arcsin(np.clip(y, -1.0, 1.0))]).max(axis=1, initial=0.0)
            if (turned > WIDEST).any():
                return True
        return False

    @cached_property
    def _still(self) -> GlHead:
        """The whole head, for pictures to look at."""
        return GlHead(self.mesh, whole(self.mesh), self._context, self._panels, planes=False)

    @cached_property
    def _still_planes(self) -> GlHead:
        """The whole head, for films."""
        return GlHead(self.mesh, whole(self.mesh), self._context, self._panels, planes=True)

    @cached_property
    def _film(self) -> GlHead:
        """What a film needs of the head."""
        return GlHead(self.mesh, film_mesh(self.mesh, self._context), self._context, self._panels, planes=True)

    @cached_property
    def _sampled(self) -> tuple[Any, Any]:
        """Framebuffers of pictures to look at: with several samples a pixel, and plain."""
        context, size = self._context, (self.width, self.height)
        samples = min(SAMPLES, context.max_samples)
        colour, depth = (
            context.renderbuffer(size, 4, samples=samples),
            context.depth_renderbuffer(size, samples=samples),
        )
        return context.framebuffer([colour], depth), context.framebuffer([context.renderbuffer(size, 4)])

    @cached_property
    def _canvases(self) -> tuple[Planes, Planes]:
        """Where a film's pictures are drawn, in turns."""
        return self._make_planes(), self._make_planes()

    def _make_planes(self) -> Planes:
        context, size = self._context, (self.width, self.height)
        bright, texture = context.renderbuffer(size, 1), context.texture(size, 4)
        texture.repeat_x = texture.repeat_y = False
        planes = Planes(
            context.framebuffer([bright, texture], context.depth_renderbuffer(size)),
            context.framebuffer([bright]),
            texture,
            context.framebuffer([context.renderbuffer((self.width // 2, self.height // 2), 2)]),
            [(panel.left, 0, 0, 0) for panel in self._panels],
        )
        planes.halved.clear(*coded(self._background)[1:])
        return planes

    @cached_property
    def _halve(self) -> Any:
        """The pass from the colours of all pixels to those of a video."""
        return full_screen(self._context, gl_shaders.HALVED, drawn=0)


def _box(vertices: np.ndarray, panel: Panel) -> Box:
    """The box around vertices [n, 3] mm, float32, that a panel shows. As `Camera.project`, for its limits only."""
    camera = panel.camera
    x, y, z = vertices.T - camera.place.astype(np.float32)[:, None]  # [n] each; z is negative before the camera
    enlarged = np.float32(-camera.scale * CAMERA_DISTANCE) / z
    x *= enlarged
    y *= enlarged
    low = np.array([camera.width / 2 + x.min(), camera.height / 2 - y.max()])
    high = np.array([camera.width / 2 + x.max(), camera.height / 2 - y.min()])
    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor(low) - BORDER, 0, size).astype(int) + (panel.left, 0)
    high = np.clip(np.ceil(high) + BORDER, 0, size).astype(int) + (panel.left, 0)
    low, high = low // 2 * 2, (high + 1) // 2 * 2
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _around(first: Box, second: Box) -> Box:
    """The box around two boxes; one without area does not count."""
    if first[2] == 0 or first[3] == 0:
        return second
    left, top = min(first[0], second[0]), min(first[1], second[1])
    right, bottom = max(first[0] + first[2], second[0] + second[2]), max(first[1] + first[3], second[1] + second[3])
    return left, top, right - left, bottom - top
