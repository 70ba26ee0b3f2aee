"""A head on its way through OpenGL: its vertices, normals and light.

Morph targets are blended on the CPU, one matrix product for a batch of frames; the vertices go up as a texture, and all
else happens in shaders (`shaders`): vertex normals in a first pass (a pixel for each vertex), then the
picture. V is the number of the head's vertices, K of those that are drawn, n of those that are needed: the drawn ones,
which come first, and their neighbours, on which their normals depend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from msmdcli.drawing.opengl import shaders as gl_shaders
from msmdcli.drawing.opengl.film_mesh import DENSE, FilmMesh
from msmdcli.drawing.opengl.shaders import ROW, filled
from msmdcli.drawing.scene import CAMERA_DISTANCE, Camera, middle, scene_of
from msmdcli.heads.mesh import MeshDecoder

BATCH = 16  # frames whose vertices are made together; 5 MB with 25,000 vertices
NEAR, FAR = 0.2, 3.0  # of the depth range, times the camera's distance


class Pose(NamedTuple):
    """One frame: vertices [P, 3] float32 (n of them, the last one again up to whole rows of a texture), middles and
    gazes of the eyes [2, 3], and the head's rotation [3, 3] for each side that it is drawn from."""

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


class GlHead:
    """A head in an OpenGL context.

    Args:
        mesh: the head.
        film: what is drawn of it.
        context: of `msmdcli.drawing.opengl.renderer.create_context`.
        panels: of the picture.
        planes: draw what video keeps (`msmdcli.media.mp4`) into two targets, not a picture into one.
    """

    def __init__(self, mesh: MeshDecoder, film: FilmMesh, context: Any, panels: Sequence[Panel], planes: bool) -> None:
        self._mesh, self._scene, self._context, self._panels = mesh, scene_of(mesh), context, panels
        self._planes = planes
        drawn = np.unique(film.triangles)  # [K]
        fans, corners = _fans(mesh.triangles, drawn, mesh.size)
        needed = np.concatenate([drawn, np.setdiff1d(corners, drawn)])  # [n] numbers of the head's vertices
        number = np.zeros(mesh.size, np.int32)  # [V] its place among them
        number[needed] = np.arange(len(needed))
        self._drawn = len(drawn)
        padded = np.pad(needed, (0, -len(needed) % ROW), mode="edge")  # [P] up to whole rows of a texture
        self._decode = mesh.decoder_of(padded)
        self._eyeballs = [mesh.decoder_of(eyeball) if len(eyeball) else None for eyeball in mesh.eyes]
        self._points = self._texture(np.zeros((len(padded), 3), np.float32))
        self._bent = self._texture(np.zeros((len(drawn), 4), np.float32))
        self._fans, self._corners = self._texture(fans), self._texture(number[corners])
        self._normal_target = context.framebuffer([self._bent])
        self._bend = full_screen(context, gl_shaders.NORMALS, points=0, fans=1, corners=2)
        self._bodies = self._make_bodies(film, drawn, number)
        self._programs = list({id(body.program): body.program for body in self._bodies}.values())

    def poses(self, values: np.ndarray, head: bool) -> Iterator[Pose]:
        """The frames of channel values [T, D]; `head`: turned by the rig's head channels."""
        scene, none = self._scene, np.zeros(3)
        for first in range(0, len(values), BATCH):
            part = np.asarray(values[first : first + BATCH], np.float32)
            vertices = self._decode(part)  # [T, P, 3] mm
            middles_of_eyes = [
                np.broadcast_to(none, (len(part), 3)) if eyeball is None else middle(eyeball(part))
                for eyeball in self._eyeballs
            ]
            middles = np.stack(middles_of_eyes, axis=1)  # [T, 2, 3]
            gazes = scene.gazes(part)  # [T, 2, 3]
            posed = part if head else np.zeros_like(part)
            rotations = [scene.rotations(posed, panel.turn) for panel in self._panels]
            for t in range(len(part)):
                yield Pose(vertices[t], middles[t], gazes[t], [rotation[t] for rotation in rotations])

    def placed(self, pose: Pose, panel: int) -> np.ndarray:
        """Vertices [K, 3] mm of what is drawn in a panel, the head turned."""
        rotation, neck = pose.rotations[panel].astype(np.float32), self._scene.neck.astype(np.float32)
        return np.asarray((pose.vertices[: self._drawn] - neck) @ rotation.T + neck)

    def bend(self, pose: Pose) -> None:
        """Take a frame's vertices, and find their normals."""
        context = self._context
        self._points.write(pose.vertices)
        for unit, texture in enumerate((self._points, self._fans, self._corners, self._bent)):
            texture.use(unit)
        context.disable(context.DEPTH_TEST | context.CULL_FACE)
        self._normal_target.use()
        self._bend.render(vertices=3)

    def draw(self, canvas: Any, pose: Pose) -> None:
        """Draw the frame that was bent last into a framebuffer, which is already cleared."""
        context, neck = self._context, self._scene.neck
        context.enable(context.DEPTH_TEST | context.CULL_FACE)
        context.front_face = "cw"  # because y is upside down
        canvas.use()
        for (left, camera, _), rotation in zip(self._panels, pose.rotations, strict=True):
            canvas.viewport = (left, 0, camera.width, camera.height)
            zoom = 2 * camera.scale * CAMERA_DISTANCE
            for program in self._programs:
                program["zoom"] = (zoom / camera.width, zoom / camera.height)
                program["camera"] = tuple(camera.place)
                program["rotation"] = tuple(rotation.T.ravel())  # OpenGL wants columns
            for side, program, drawn in self._bodies:
                if side >= 0:
                    program["eye"] = (*(rotation @ (pose.middles[side] - neck) + neck), 1.0)
                    program["gaze"] = tuple(rotation @ pose.gazes[side])
                elif "eye" in program:
                    program["eye"] = (0.0, 0.0, 0.0, 0.0)
                drawn.render()

    def _make_bodies(self, film: FilmMesh, drawn: np.ndarray, number: np.ndarray) -> list[Body]:
        """The vertex arrays: the head without its eyes, then each eye."""
        context, mesh = self._context, self._mesh
        numbers = context.buffer(np.arange(len(drawn), dtype=np.int32))
        materials = context.buffer(np.column_stack([film.colour, film.gloss])[drawn].astype(np.float32))
        content = [(numbers, "1i", "number"), (materials, "4f", "material")]
        dense = self._program(gl_shaders.DENSE_VERTEX, gl_shaders.DENSE_FRAGMENT)
        fine = self._program(gl_shaders.FINE_VERTEX, gl_shaders.FINE_FRAGMENT)
        side = np.full(mesh.size, -1)  # of the eyeball that a vertex belongs to
        for index, eyeball in enumerate(mesh.eyes):
            side[eyeball] = index
        owner = side[film.triangles[:, 0]]
        bodies = []
        for index in (-1, 0, 1):
            part = number[film.triangles[owner == index]]  # [F, 3]
            if len(part):  # of a dense head light is computed at vertices only
                program = dense if index < 0 and len(mesh.triangles) >= DENSE else fine
                bodies.append(Body(index, program, context.vertex_array(program, content, context.buffer(part))))
        return bodies

    def _program(self, vertex: str, fragment: str) -> Any:
        """A program that draws the head, with all that stays the same."""
        made = self._context.program(
            vertex_shader=filled(vertex, self._planes), fragment_shader=filled(fragment, self._planes)
        )
        made["points"], made["normals"] = 0, 3
        made["neck"] = tuple(self._scene.neck)
        made["depth"] = (NEAR * CAMERA_DISTANCE, FAR * CAMERA_DISTANCE)
        return made

    def _texture(self, table: np.ndarray) -> Any:
        """A texture that holds the rows of a table [n, k], float32 or int32, unfiltered."""
        import moderngl

        table = np.ascontiguousarray(np.pad(table, ((0, -len(table) % ROW), (0, 0))))  # whole rows of the texture
        kind = "f4" if table.dtype == np.float32 else "i4"
        made = self._context.texture((ROW, len(table) // ROW), table.shape[1], table, dtype=kind)
        made.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return made


def full_screen(context: Any, fragment: str, **units: int) -> Any:
    """A vertex array that runs a fragment shader on every pixel of the viewport; units of its textures."""
    program = context.program(vertex_shader=filled(gl_shaders.FULL_SCREEN), fragment_shader=filled(fragment))
    for name, unit in units.items():
        program[name] = unit
    return context.vertex_array(program, [])


def _fans(triangles: np.ndarray, wanted: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The triangles [F, 3] around the vertices that are wanted [K], of `size`.

    Returns:
        Fans [K, 2] int32: first row in corners, number of rows. Corners [m, 2]: the other two vertices, in order.
    """
    owner = triangles.T.ravel()  # [3 F]
    others = np.concatenate([triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]])  # [3 F, 2]
    chosen = np.zeros(size, bool)
    chosen[wanted] = True
    owner, others = owner[chosen[owner]], others[chosen[owner]]
    number = np.bincount(owner, minlength=size)[wanted]
    corners = others[np.argsort(owner, kind="stable")]
    return np.column_stack([np.cumsum(number) - number, number]).astype(np.int32), corners
