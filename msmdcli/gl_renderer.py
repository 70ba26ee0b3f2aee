"""The fast renderer: OpenGL 3.3 through moderngl, on a GPU or, without one, on Mesa's software renderer (llvmpipe).

It needs no window: on Linux an EGL context without a surface. Morph targets are blended on the CPU, one matrix product
for a batch of frames; the vertices go up as a texture, and all else happens in shaders: vertex normals in a first pass
(as many pixels as vertices), the picture in a second one, with 4 samples a pixel or with edges smoothed afterwards. The
formulas are those of `msmdcli.head_scene`; `msmdcli.preview.render_frame` draws the same picture with NumPy.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from msmdcli import head_scene
from msmdcli.head_scene import CAMERA_DISTANCE, LIGHTS, Camera, scene_of
from msmdcli.mesh import MeshDecoder

SAMPLES = 4  # a pixel
DENSE = 10_000  # triangles, from which on light is computed at vertices only
BATCH = 16  # frames whose vertices are made together; 5 MB with 25,000 vertices
ROW = 256  # texels in a row of the textures that hold vertices
THINNED, BORDER = 4, 12  # where a head is on the screen: by every 4th vertex, and this many pixels around
NEAR, FAR = 0.2, 3.0  # of the depth range, times the camera's distance

FULL_SCREEN = """
#version 330
void main() {
    gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}
"""
NORMALS = """
#version 330
uniform sampler2D points;   // position of each vertex
uniform isampler2D fans;    // of each vertex: first place of its triangles in `corners`, and how many they are
uniform isampler2D corners; // of each triangle of a vertex: its other two vertices
out vec4 normal;
ivec2 place(int n) { return ivec2(n % ROW, n / ROW); }
void main() {
    ivec2 here = ivec2(gl_FragCoord.xy);
    vec3 middle = texelFetch(points, here, 0).xyz, sum = vec3(0.0);
    ivec2 fan = texelFetch(fans, here, 0).xy;
    for (int n = fan.x; n < fan.x + fan.y; n++) {
        ivec2 pair = texelFetch(corners, place(n), 0).xy;
        vec3 first = texelFetch(points, place(pair.x), 0).xyz, second = texelFetch(points, place(pair.y), 0).xyz;
        sum += cross(first - middle, second - middle);
    }
    normal = vec4(sum / max(length(sum), 1e-12), 0.0); // the sum of cross products weights triangles by their area
}
"""
SHADING = """
uniform vec3 camera;
void light(vec3 towards, vec3 colour, float gloss, vec3 n, vec3 view, inout vec3 diffuse, inout vec3 highlight) {
    diffuse += max(dot(n, towards), 0.0) * colour;
    highlight += gloss * pow(max(dot(n, normalize(view + towards)), 0.0), SHARPNESS) * colour;
}
vec3 shaded(vec3 base, float gloss, vec3 normal, vec3 position) {
    vec3 n = normalize(normal), view = normalize(camera - position);
    vec3 diffuse = mix(GROUND, SKY, 0.5 + 0.5 * n.y), highlight = vec3(0.0);
    LIGHTS
    vec3 linear = clamp(EXPOSURE * (base * diffuse + highlight), 0.0, 1.0);
    return mix(12.92 * linear, 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055, step(0.0031308, linear));
}
"""
PLACING = """
uniform sampler2D points;
uniform sampler2D normals;
uniform mat3 rotation;
uniform vec3 neck;
uniform vec2 zoom; // of the screen's half width and height
uniform vec2 depth; // near and far plane, mm
in int number;
in vec4 material; // colour, gloss
ivec2 here() { return ivec2(number % ROW, number / ROW); }
vec3 placed() { return rotation * (texelFetch(points, here(), 0).xyz - neck) + neck; }
vec4 projected(vec3 position) {
    float away = camera.z - position.z;
    float deep = (away * (depth.y + depth.x) - 2.0 * depth.x * depth.y) / (depth.y - depth.x);
    // y upside down: the first row that is read back is then the top of the picture.
    return vec4((position.xy - camera.xy) * zoom * vec2(1.0, -1.0), deep, away);
}
"""
# Light at each vertex: what dense meshes need, whose triangles are a few pixels large.
DENSE_VERTEX = """
#version 330
SHADING
PLACING
out vec3 colour; // sRGB
void main() {
    vec3 position = placed();
    colour = shaded(material.rgb, material.a, rotation * texelFetch(normals, here(), 0).xyz, position);
    gl_Position = projected(position);
}
"""
DENSE_FRAGMENT = """
#version 330
in vec3 colour;
out vec4 picture;
void main() { picture = vec4(colour, 1.0); }
"""
# Light at each pixel: for eyes, and for heads of few vertices.
FINE_VERTEX = """
#version 330
SHADING
PLACING
out vec3 position;
out vec3 normal;
out vec4 matter;
void main() {
    position = placed();
    normal = rotation * texelFetch(normals, here(), 0).xyz;
    matter = material;
    gl_Position = projected(position);
}
"""
FINE_FRAGMENT = """
#version 330
SHADING
uniform vec4 eye; // middle of the eyeball; w is 1 when an eyeball is drawn
uniform vec3 gaze;
in vec3 position;
in vec3 normal;
in vec4 matter;
out vec4 picture;
void main() {
    vec3 base = matter.rgb;
    if (eye.w > 0.5) {
        float angle = acos(clamp(dot(normalize(position - eye.xyz), gaze), -1.0, 1.0));
        float rim = clamp((angle - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE), 0.0, 1.0);
        base = angle < PUPIL_ANGLE ? PUPIL : angle < IRIS_ANGLE ? IRIS * (1.5 - 1.1 * rim * rim) : EYE_WHITE;
    }
    picture = vec4(shaded(base, matter.a, normal, position), 1.0);
}
"""


# Edges smoothed after drawing, in the manner of Lottes' FXAA (NVIDIA, 2009): where brightness changes, the colour is
# averaged along the edge.
EDGES = """
#version 330
uniform sampler2D drawn;
out vec4 picture;
float bright(vec3 colour) { return dot(colour, vec3(0.299, 0.587, 0.114)); }
vec3 at_place(vec2 place) { return textureLod(drawn, place, 0.0).rgb; }
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy), last = textureSize(drawn, 0) - 1;
    vec3 here = texelFetch(drawn, at, 0).rgb;
    vec3 corner = texelFetch(drawn, min(at + 1, last), 0).rgb;
    float a = bright(texelFetch(drawn, max(at - 1, ivec2(0)), 0).rgb), d = bright(corner), m = bright(here);
    float b = bright(texelFetch(drawn, clamp(at + ivec2(1, -1), ivec2(0), last), 0).rgb);
    float c = bright(texelFetch(drawn, clamp(at + ivec2(-1, 1), ivec2(0), last), 0).rgb);
    float low = min(m, min(min(a, b), min(c, d))), high = max(m, max(max(a, b), max(c, d)));
    // A loop of one pass or none: llvmpipe leaves out loops that no pixel of a group needs, but no branches.
    for (int needed = high - low > max(0.04, 0.10 * high) ? 1 : 0; needed > 0; needed--) {
        vec2 along = vec2((c + d) - (a + b), (a + c) - (b + d));
        float least = min(abs(along.x), abs(along.y)) + max((a + b + c + d) * 0.03125, 1.0 / 128.0);
        vec2 size = vec2(last + 1), middle = gl_FragCoord.xy / size;
        vec2 reach = clamp(along / least, -8.0, 8.0) / size;
        vec3 near = 0.5 * (at_place(middle - reach / 6.0) + at_place(middle + reach / 6.0));
        vec3 wide = 0.5 * near + 0.25 * (at_place(middle - reach / 2.0) + at_place(middle + reach / 2.0));
        float mixed = bright(wide);
        here = mixed < low || mixed > high ? near : wide;
    }
    picture = vec4(here, 1.0);
}
"""


def create_context() -> Any:
    """A moderngl context without a window, of OpenGL 3.3 or later.

    Raises:
        ImportError: moderngl is not installed.
        Exception: there is no OpenGL here; moderngl raises several kinds.
    """
    import moderngl

    backend: dict[str, Any] = {"backend": "egl"} if platform.system() == "Linux" else {}
    return moderngl.create_context(standalone=True, require=330, **backend)


class GlRenderer:
    """Draws one head with OpenGL. It belongs to the thread that made it; use it as a context manager.

    Args:
        mesh: the head.
        width, height: of a picture in pixels.
        turns: the head is drawn from these sides next to each other: radians that it is turned to its left by.
        samples: a pixel; 0: one, and edges are smoothed afterwards, which takes half the time.
    """

    def __init__(
        self, mesh: MeshDecoder, width: int, height: int, turns: Sequence[float] = (0.0,), samples: int = SAMPLES
    ) -> None:
        self.mesh, self.width, self.height, self.turns = mesh, width, height, tuple(turns)
        self._scene = scene_of(mesh)
        self._context = context = create_context()
        self.name = f"OpenGL ({context.info['GL_RENDERER']})"
        self._rows = -(-mesh.size // ROW)

        dense = context.program(vertex_shader=_filled(DENSE_VERTEX), fragment_shader=_filled(DENSE_FRAGMENT))
        fine = context.program(vertex_shader=_filled(FINE_VERTEX), fragment_shader=_filled(FINE_FRAGMENT))
        self._normals = context.program(vertex_shader=FULL_SCREEN.strip(), fragment_shader=_filled(NORMALS))
        self._pass = context.vertex_array(self._normals, [])

        fans, corners = _fans(mesh.triangles, mesh.size)
        self._points = self._texture(np.zeros((mesh.size, 4), np.float32))
        self._bent = self._texture(np.zeros((mesh.size, 4), np.float32))
        self._fans, self._corners = self._texture(fans), self._texture(corners)
        self._normal_target = context.framebuffer([self._bent])

        colour, gloss = self._scene.materials
        numbers = context.buffer(np.arange(mesh.size, dtype=np.int32).tobytes())
        materials = context.buffer(np.column_stack([colour, gloss]).astype(np.float32).tobytes())
        side = np.full(mesh.size, -1)  # of the eyeball that a vertex belongs to
        for index, eyeball in enumerate(mesh.eyes):
            side[eyeball] = index
        owner = side[mesh.triangles[:, 0]]
        self._bodies = []
        for index in (-1, 0, 1):
            triangles = mesh.triangles[owner == index].astype(np.int32)
            if len(triangles):
                program = dense if index < 0 and len(triangles) >= DENSE else fine
                content = [(numbers, "1i", "number"), (materials, "4f", "material")]
                drawn = context.vertex_array(program, content, context.buffer(triangles.tobytes()))
                self._bodies.append((index, program, drawn))
        self._programs = {id(program): program for _, program, _ in self._bodies}.values()

        size = (width, height)
        samples = min(samples, context.max_samples)
        self._target = context.framebuffer([context.renderbuffer(size, 4)], context.depth_renderbuffer(size))
        self._canvas = self._target
        self._edges = None
        if samples:
            depth = context.depth_renderbuffer(size, samples=samples)
            self._canvas = context.framebuffer([context.renderbuffer(size, 4, samples=samples)], depth)
        else:
            self._drawn = context.texture(size, 4)
            self._canvas = context.framebuffer([self._drawn], context.depth_renderbuffer(size))
            self._edges = context.program(vertex_shader=FULL_SCREEN.strip(), fragment_shader=EDGES.strip())
            self._edge_pass = context.vertex_array(self._edges, [])
        context.front_face = "cw"  # because y is upside down

    def __enter__(self) -> GlRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the context back."""
        self._context.gc_mode = None
        self._context.release()

    def pictures(self, values: np.ndarray, *, head: bool = True) -> Iterator[np.ndarray]:
        """Pictures [height, width, 3] uint8 sRGB of values [T, D], one after the other; see `Renderer`."""
        for first in range(0, len(values), BATCH):
            part = np.asarray(values[first : first + BATCH], np.float32)
            vertices = self.mesh.decode(part)  # [T, V, 3] mm
            middles, gazes = self._scene.eye_middles(vertices), self._scene.gazes(part)  # [T, 2, 3]
            posed = part if head else np.zeros_like(part)
            rotations = [self._scene.rotations(posed, turn) for turn in self.turns]
            for t in range(len(part)):
                with self._context:  # others may have been current since
                    picture = self._draw(vertices[t], middles[t], gazes[t], [rotation[t] for rotation in rotations])
                yield picture

    def _draw(
        self, vertices: np.ndarray, middles: np.ndarray, gazes: np.ndarray, rotations: list[np.ndarray]
    ) -> np.ndarray:
        """One picture [height, width, 3] of vertices [V, 3]; eyes [2, 3]; a rotation [3, 3] for each side."""
        context, neck = self._context, self._scene.neck
        self._points.write(_padded(np.pad(vertices, ((0, 0), (0, 1)))).tobytes())
        self._normal_target.use()
        for unit, texture in enumerate((self._points, self._fans, self._corners, self._bent)):
            texture.use(unit)
        for unit, name in enumerate(("points", "fans", "corners")):
            self._normals[name] = unit
        context.disable(context.DEPTH_TEST | context.CULL_FACE)
        self._pass.render(vertices=3)
        context.enable(context.DEPTH_TEST | context.CULL_FACE)

        target = self._canvas
        target.use()
        target.viewport = (0, 0, self.width, self.height)
        empty = (head_scene.background() / 255).tolist()
        target.clear(*empty, 1.0)
        boxes = []
        edges = [round(self.width * side / len(rotations)) for side in range(len(rotations) + 1)]
        for rotation, left, right in zip(rotations, edges, edges[1:], strict=False):
            camera = self._scene.camera(right - left, self.height)
            target.viewport = (left, 0, right - left, self.height)
            zoom = 2 * camera.scale * CAMERA_DISTANCE
            for program in self._programs:
                program["points"] = 0
                program["normals"] = 3
                program["zoom"] = (zoom / (right - left), zoom / self.height)
                program["depth"] = (NEAR * CAMERA_DISTANCE, FAR * CAMERA_DISTANCE)
                program["rotation"] = tuple(rotation.T.ravel())  # OpenGL wants columns
                program["neck"] = tuple(neck)
                program["camera"] = tuple(camera.place)
            boxes.append(_box(camera.project((vertices[::THINNED] - neck) @ rotation.T + neck), camera, left))
            for side, program, body in self._bodies:
                if side >= 0:
                    program["eye"] = (*(rotation @ (middles[side] - neck) + neck), 1.0)
                    program["gaze"] = tuple(rotation @ gazes[side])
                elif "eye" in program:
                    program["eye"] = (0.0, 0.0, 0.0, 0.0)
                body.render()
        if self._edges is None:
            context.copy_framebuffer(self._target, self._canvas)
        else:
            context.disable(context.DEPTH_TEST | context.CULL_FACE)
            self._target.use()
            self._target.viewport = (0, 0, self.width, self.height)
            self._target.clear(*empty, 1.0)
            self._drawn.use(0)
            for box in boxes:
                self._target.viewport = box
                self._edge_pass.render(vertices=3)
        picture = np.empty((self.height, self.width, 3), np.uint8)
        self._target.read_into(picture, components=3, alignment=1)
        return picture

    def _texture(self, table: np.ndarray) -> Any:
        """A texture that holds the rows of a table [n, k], float32 or int32, unfiltered."""
        import moderngl

        table = _padded(table)
        kind = "f4" if table.dtype == np.float32 else "i4"
        made = self._context.texture((ROW, len(table) // ROW), table.shape[1], table.tobytes(), dtype=kind)
        made.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return made


def _box(points: np.ndarray, camera: Camera, left: int) -> tuple[int, int, int, int]:
    """Viewport (x, y, width, height) around projected points [n, 3] of a panel that begins at `left`."""
    low = np.clip(np.floor(points[:, :2].min(axis=0)) - BORDER, 0, (camera.width, camera.height)).astype(int)
    high = np.clip(np.ceil(points[:, :2].max(axis=0)) + BORDER, 0, (camera.width, camera.height)).astype(int)
    return left + int(low[0]), int(low[1]), max(int(high[0] - low[0]), 0), max(int(high[1] - low[1]), 0)


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


def _filled(shader: str) -> str:
    """The shader with the scene's numbers in the places of their names."""

    def vector(colour: Sequence[float] | np.ndarray) -> str:
        return f"vec3({', '.join(f'{float(x)!r}' for x in colour)})"

    lights = "\n    ".join(
        f"light({vector(head_scene.unit(direction))}, {vector(colour)}, gloss, n, view, diffuse, highlight);"
        for direction, colour in LIGHTS
    )
    shader = (
        shader.strip()
        .replace("SHADING", SHADING)
        .replace("PLACING", PLACING)
        .replace("LIGHTS", lights)
        .replace("ROW", str(ROW))
    )
    for name in ("IRIS_ANGLE", "PUPIL_ANGLE", "SHARPNESS", "EXPOSURE"):
        shader = shader.replace(name, repr(float(getattr(head_scene, name))))
    for name in ("IRIS", "PUPIL", "EYE_WHITE", "SKY", "GROUND"):
        shader = shader.replace(name, vector(getattr(head_scene, name)))
    return shader
