"""Which triangles of a head a camera ever sees: drawn with OpenGL, the number of each triangle as its colour."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from msmdcli.drawing.scene import CAMERA_DISTANCE, scene_of
from msmdcli.heads.mesh import MeshDecoder

SIZE = (960, 720)  # of the pictures, pixels
YAWS = (0.0, 0.35, -0.35, 0.75, -0.75, 1.1, -1.1)  # radians that the head is turned to its left by
PITCHES = (0.0, 0.3, -0.3, 0.65, -0.65)  # and up
MIXED = 24  # poses of several channels at once
TOGETHER = 6  # channels in each of them
SEED = 20250811

VERTEX = """
#version 330
uniform vec2 zoom;
uniform vec3 camera;
uniform vec2 depth; // near and far plane, mm
in vec3 position;
void main() {
    float away = camera.z - position.z;
    float deep = (away * (depth.y + depth.x) - 2.0 * depth.x * depth.y) / (depth.y - depth.x);
    gl_Position = vec4((position.xy - camera.xy) * zoom, deep, away);
}
"""
FRAGMENT = """
#version 330
out vec4 number; // of the triangle, counted from 1, its lowest byte first
void main() {
    int n = gl_PrimitiveID + 1;
    number = vec4(n & 255, (n >> 8) & 255, (n >> 16) & 255, n >> 24) / 255.0;
}
"""


def seen_triangles(mesh: MeshDecoder, context: Any) -> np.ndarray:
    """[F] bool: the triangles that show in some pose from some side.

    The poses are rest, each channel at 1, and mixtures; the sides go round them, up to 63 degrees to the left and right
    and 37 up and down.

    Args:
        mesh: the head.
        context: of `msmdcli.drawing.opengl.renderer.create_context`.
    """
    scene, (width, height) = scene_of(mesh), SIZE
    camera = scene.camera(width, height)
    program = context.program(vertex_shader=VERTEX.strip(), fragment_shader=FRAGMENT.strip())
    zoom = 2 * camera.scale * CAMERA_DISTANCE
    program["zoom"], program["camera"] = (zoom / width, zoom / height), tuple(camera.place)
    program["depth"] = (0.2 * CAMERA_DISTANCE, 3.0 * CAMERA_DISTANCE)
    places = context.buffer(reserve=mesh.size * 12)
    triangles = context.buffer(mesh.triangles.astype(np.int32))
    drawn = context.vertex_array(program, [(places, "3f", "position")], triangles)
    canvas = context.framebuffer([context.renderbuffer(SIZE, 4)], context.depth_renderbuffer(SIZE))
    canvas.use()
    context.enable(context.DEPTH_TEST | context.CULL_FACE)
    context.front_face = "ccw"
    seen = np.zeros(len(mesh.triangles) + 1, bool)
    for values, yaw, pitch in _poses(mesh):
        vertices = mesh.decode(values[None])[0] - scene.neck  # [V, 3]
        vertices = vertices @ _turned(yaw, pitch).T + scene.neck
        places.write(vertices.astype(np.float32))
        canvas.clear()
        drawn.render()
        numbers = np.frombuffer(canvas.read(components=4), "<u4")  # [height * width]
        seen[np.flatnonzero(np.bincount(numbers, minlength=len(seen))[: len(seen)])] = True
    for made in (drawn, places, triangles, canvas, program):
        made.release()
    return seen[1:]


def _poses(mesh: MeshDecoder) -> Iterator[tuple[np.ndarray, float, float]]:
    """Values [D] with yaw and pitch."""
    rng = np.random.Generator(np.random.Philox(SEED))
    channels = [mesh.rig.index(name) for name in mesh.channels]
    rest = np.zeros(mesh.rig.size, np.float32)
    jaw = [mesh.rig.index("jawOpen")] if "jawOpen" in mesh.channels else []
    sides = [(yaw, pitch) for pitch in PITCHES for yaw in YAWS]
    for yaw, pitch in sides:
        yield rest, yaw, pitch
        opened = rest.copy()
        opened[jaw] = 0.7
        yield opened, yaw, pitch
    for number, channel in enumerate(channels + [-1] * MIXED):
        values = rest.copy()
        if channel >= 0:
            values[channel] = 1.0
        else:
            some = rng.choice(channels, min(TOGETHER, len(channels)), replace=False)
            values[some] = rng.uniform(0.3, 1.0, len(some))
        if number % 2:
            values[jaw] = np.maximum(values[jaw], 0.5)
        yield values, *sides[number % len(sides)]


def _turned(yaw: float, pitch: float) -> np.ndarray:
    """[3, 3] to the head's own left, then up."""
    a, b, c, d = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[1, 0, 0], [0, c, d], [0, -d, c]]) @ np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
