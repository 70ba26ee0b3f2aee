"""The fast renderer: OpenGL 3.3 through moderngl, on a GPU or, without one, on Mesa's software renderer (llvmpipe).

It needs no window: on Linux an EGL context without a surface. Morph targets are blended on the CPU, one matrix product
for a batch of frames; the vertices go up as a texture, and all else happens in shaders (`msmdcli.gl_shaders`): vertex
normals in a first pass (a pixel for each vertex), then the picture. Pictures to look at have 4 samples a pixel; those
of a film have one, and leave as the planes that video keeps (`msmdcli.nv12`), edges smoothed on the way: half the bytes
to read back, and nothing left to convert. The formulas are those of `msmdcli.head_scene`;
`msmdcli.preview.render_frame` draws the same picture with NumPy.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from msmdcli import gl_shaders, head_scene
from msmdcli.gl_shaders import ROW, filled
from msmdcli.head_scene import CAMERA_DISTANCE, Camera, scene_of
from msmdcli.mesh import MeshDecoder
from msmdcli.nv12 import LUMA, coded

SAMPLES = 4  # a pixel, of pictures to look at
DENSE = 10_000  # triangles, from which on light is computed at vertices only
BATCH = 16  # frames whose vertices are made together; 5 MB with 25,000 vertices
THINNED, BORDER = 4, 12  # where a head is on the screen: by every 4th vertex, and this many pixels around
NEAR, FAR = 0.2, 3.0  # of the depth range, times the camera's distance


def create_context() -> Any:
    """A moderngl context without a window, of OpenGL 3.3 or later.

    Raises:
        ImportError: moderngl is not installed.
        Exception: there is no OpenGL here; moderngl raises several kinds.
    """
    import moderngl

    backend: dict[str, Any] = {"backend": "egl"} if platform.system() == "Linux" else {}
    return moderngl.create_context(standalone=True, require=330, **backend)


class Pose(NamedTuple):
    """One frame: vertices [P, 3] float32 (V of them, then zeros up to whole rows of a texture), middles and gazes of
    the eyes [2, 3], and the head's rotation [3, 3] for each side that it is drawn from."""

    vertices: np.ndarray
    middles: np.ndarray
    gazes: np.ndarray
    rotations: list[np.ndarray]


class Panel(NamedTuple):
    """A part of the picture's width: its left edge in pixels, its camera, and how far its head is turned."""

    left: int
    camera: Camera
    turn: float


class Body(NamedTuple):
    """What one call draws: which eyeball it is (-1: none), the program, the vertex array."""

    eye: int
    program: Any
    drawn: Any


class Film(NamedTuple):
    """What makes a film's pictures: the canvas and the texture behind it, framebuffers for brightness and colour, and
    the passes between them."""

    drawn: Any
    canvas: Any
    brightness: Any
    colour: Any
    copy: Any
    smooth: Any
    mean: Any


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
        self._bend = self._full_screen(gl_shaders.NORMALS, points=0, fans=1, corners=2)
        rows = _padded(np.zeros((mesh.size, 4), np.float32))
        self._points, self._bent = self._texture(rows[:, :3]), self._texture(rows)
        self._fans, self._corners = map(self._texture, _fans(mesh.triangles, mesh.size))
        self._normal_target = context.framebuffer([self._bent])
        self._bodies = self._make_bodies()
        self._programs = list({id(body.program): body.program for body in self._bodies}.values())
        context.front_face = "cw"  # because y is upside down

    def close(self) -> None:
        """Give the context back."""
        self._context.gc_mode = None
        self._context.release()

    def pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height, width, 3] uint8 sRGB of values [T, D], one after the other; see `Renderer`."""
        for pose in self._poses(values, head):
            with self._context:  # others may have been current since
                canvas, plain = self._sampled
                self._draw(canvas, pose)
                self._context.copy_framebuffer(plain, canvas)
                picture = np.empty((self.height, self.width, 3), np.uint8)
                plain.read_into(picture, components=3, alignment=1)
            yield picture

    def film_pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height * 3 / 2, width] uint8 NV12 of values [T, D], one after the other; see `Renderer`."""
        for pose in self._poses(values, head):
            with self._context:
                picture = self._planes(self._draw(self._film.canvas, pose))
            yield picture

    def _poses(self, values: np.ndarray, head: bool) -> Iterator[Pose]:
        """The frames of values [T, D]."""
        mesh, scene = self.mesh, self._scene
        for first in range(0, len(values), BATCH):
            part = np.asarray(values[first : first + BATCH], np.float32)
            vertices = mesh.decode(part)  # [T, V, 3] mm
            middles, gazes = scene.eye_middles(vertices), scene.gazes(part)  # [T, 2, 3]
            posed = part if head else np.zeros_like(part)
            rotations = [scene.rotations(posed, panel.turn) for panel in self._panels]
            vertices = np.pad(vertices, ((0, 0), (0, -mesh.size % ROW), (0, 0)))  # [T, P, 3]
            for t in range(len(part)):
                yield Pose(vertices[t], middles[t], gazes[t], [rotation[t] for rotation in rotations])

    def _draw(self, canvas: Any, pose: Pose) -> list[tuple[int, int, int, int]]:
        """Draw a frame into a framebuffer. Returns the viewport (x, y, width, height) around each head."""
        context, neck = self._context, self._scene.neck
        self._points.write(pose.vertices)
        for unit, texture in enumerate((self._points, self._fans, self._corners, self._bent)):
            texture.use(unit)
        context.disable(context.DEPTH_TEST | context.CULL_FACE)
        self._normal_target.use()
        self._bend.render(vertices=3)

        context.enable(context.DEPTH_TEST | context.CULL_FACE)
        canvas.use()
        canvas.viewport = (0, 0, self.width, self.height)
        canvas.clear(*self._background.tolist(), self._background @ LUMA)
        boxes = []
        for (left, camera, _), rotation in zip(self._panels, pose.rotations, strict=True):
            canvas.viewport = (left, 0, camera.width, camera.height)
            zoom = 2 * camera.scale * CAMERA_DISTANCE
            for program in self._programs:
                program["zoom"] = (zoom / camera.width, zoom / camera.height)
                program["camera"] = tuple(camera.place)
                program["rotation"] = tuple(rotation.T.ravel())  # OpenGL wants columns
            thinned = pose.vertices[: self.mesh.size : THINNED]
            boxes.append(_box(camera.project((thinned - neck) @ rotation.T + neck), camera, left))
            for side, program, drawn in self._bodies:
                if side >= 0:
                    program["eye"] = (*(rotation @ (pose.middles[side] - neck) + neck), 1.0)
                    program["gaze"] = tuple(rotation @ pose.gazes[side])
                elif "eye" in program:
                    program["eye"] = (0.0, 0.0, 0.0, 0.0)
                drawn.render()
        return boxes

    def _planes(self, boxes: list[tuple[int, int, int, int]]) -> np.ndarray:
        """The picture [height * 3 / 2, width] NV12 of what is drawn on the film's canvas, within boxes."""
        context, film = self._context, self._film
        film.drawn.use(0)
        bright, blue, red = coded(self._background)
        film.brightness.viewport = (0, 0, self.width, self.height)
        film.brightness.clear(bright)
        film.colour.viewport = (0, 0, self.width // 2, self.height // 2)
        film.colour.clear(blue, red)
        context.disable(context.CULL_FACE)
        film.brightness.use()
        for box in boxes:
            film.brightness.viewport = box
            for work, depth in ((film.copy, "1"), (film.smooth, "<")):
                context.depth_func = depth  # "1": always
                work.render(vertices=3)
        context.depth_func = "<"
        context.disable(context.DEPTH_TEST)
        film.colour.use()
        for box in boxes:
            film.colour.viewport = tuple(side // 2 for side in box)
            film.mean.render(vertices=3)
        picture = np.empty((self.height * 3 // 2, self.width), np.uint8)
        film.brightness.read_into(picture, components=1, alignment=1)
        film.colour.read_into(picture, components=2, alignment=1, write_offset=self.height * self.width)
        return picture

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
    def _film(self) -> Film:
        """What a film's pictures are made with."""
        context, size = self._context, (self.width, self.height)
        drawn = context.texture(size, 4)
        drawn.repeat_x = drawn.repeat_y = False
        return Film(
            drawn,
            context.framebuffer([drawn], context.depth_renderbuffer(size)),
            context.framebuffer([context.renderbuffer(size, 1)], context.depth_renderbuffer(size)),
            context.framebuffer([context.renderbuffer((self.width // 2, self.height // 2), 2)]),
            *(
                self._full_screen(shader, drawn=0)
                for shader in (gl_shaders.BRIGHTNESS, gl_shaders.EDGES, gl_shaders.COLOUR)
            ),
        )

    def _make_bodies(self) -> list[Body]:
        """The vertex arrays: the head without its eyes, then each eye."""
        context, mesh = self._context, self.mesh
        colour, gloss = self._scene.materials
        numbers = context.buffer(np.arange(mesh.size, dtype=np.int32))
        materials = context.buffer(np.column_stack([colour, gloss]).astype(np.float32))
        content = [(numbers, "1i", "number"), (materials, "4f", "material")]
        dense = self._program(gl_shaders.DENSE_VERTEX, gl_shaders.DENSE_FRAGMENT)
        fine = self._program(gl_shaders.FINE_VERTEX, gl_shaders.FINE_FRAGMENT)
        side = np.full(mesh.size, -1)  # of the eyeball that a vertex belongs to
        for index, eyeball in enumerate(mesh.eyes):
            side[eyeball] = index
        owner = side[mesh.triangles[:, 0]]
        bodies = []
        for index in (-1, 0, 1):
            triangles = mesh.triangles[owner == index].astype(np.int32)
            if len(triangles):
                program = dense if index < 0 and len(triangles) >= DENSE else fine
                bodies.append(Body(index, program, context.vertex_array(program, content, context.buffer(triangles))))
        return bodies

    def _program(self, vertex: str, fragment: str) -> Any:
        """A program that draws the head, with all that stays the same."""
        made = self._context.program(vertex_shader=filled(vertex), fragment_shader=filled(fragment))
        made["points"], made["normals"] = 0, 3
        made["neck"] = tuple(self._scene.neck)
        made["depth"] = (NEAR * CAMERA_DISTANCE, FAR * CAMERA_DISTANCE)
        return made

    def _full_screen(self, fragment: str, **units: int) -> Any:
        """A vertex array that runs a fragment shader on every pixel of the viewport; units of its textures."""
        program = self._context.program(vertex_shader=filled(gl_shaders.FULL_SCREEN), fragment_shader=filled(fragment))
        for name, unit in units.items():
            program[name] = unit
        return self._context.vertex_array(program, [])

    def _texture(self, table: np.ndarray) -> Any:
        """A texture that holds the rows of a table [n, k], float32 or int32, unfiltered."""
        import moderngl

        table = np.ascontiguousarray(_padded(table))
        kind = "f4" if table.dtype == np.float32 else "i4"
        made = self._context.texture((ROW, len(table) // ROW), table.shape[1], table, dtype=kind)
        made.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return made


def _box(points: np.ndarray, camera: Camera, left: int) -> tuple[int, int, int, int]:
    """Viewport (x, y, width, height), even numbers, around projected points [n, 3] of a panel that begins at `left`."""
    size = np.array([camera.width, camera.height])
    low = np.clip(np.floor(points[:, :2].min(axis=0)) - BORDER, 0, size).astype(int) + (left, 0)
    high = np.clip(np.ceil(points[:, :2].max(axis=0)) + BORDER, 0, size).astype(int) + (left, 0)
    low, high = low // 2 * 2, (high + 1) // 2 * 2
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _padded(table: np.ndarray) -> np.ndarray:
    """Rows of zeros added, up to whole rows of a texture."""
    return np.pad(table, ((0, -len(table) % ROW), (0, 0)))


def _fans(triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The triangles around each vertex.

    Returns:
        Fans [V, 2]: first row in corners, number of rows. Corners [3 F, 2]: the other two vertices, in order.
    """
    owner = triangles.T.ravel()  # [3 F]
    others = np.concatenate([triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]])  # [3 F, 2]
    order = np.argsort(owner, kind="stable")
    number = np.bincount(owner, minlength=size)
    return np.column_stack([np.cumsum(number) - number, number]).astype(np.int32), others[order].astype(np.int32)
