"""The shaders of `renderer` (GLSL 3.30), with the numbers of `scene` and `mp4`.

Words in capitals stand for numbers or for parts that shaders share; `filled` puts them in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msmdcli.drawing import scene as head_scene
from msmdcli.media import mp4

ROW = 256  # texels in a row of the textures that hold vertices

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
# What becomes of a colour: a picture's own, or brightness and colour as video keeps them (NV12). Video's are
# sums of the picture's, so they may be found at vertices and blended in between.
PICTURE = "vec3 kept(vec3 lit) { return lit; }"
PICTURE_TARGETS = """
out vec3 picture;
void put(vec3 kept) { picture = kept; }
"""
PLANES = """
vec3 kept(vec3 lit) {
    float bright = dot(lit, LUMA);
    return vec3(BLACK + WHITE * bright, MIDDLE + CHROMA * (lit.br - bright) / vec2(BLUE_SPAN, RED_SPAN));
}
"""
PLANES_TARGETS = """
layout(location = 0) out float brightness;
layout(location = 1) out vec4 colour; // brightness comes first here, too, so that one colour clears both
void put(vec3 kept) { brightness = kept.x; colour = vec4(kept, 1.0); }
"""
# Light at each vertex: what dense meshes need, whose triangles are a few pixels large.
DENSE_VERTEX = """
#version 330
SHADING
PLACING
KEPT
out vec3 result;
void main() {
    vec3 position = placed();
    result = kept(shaded(material.rgb, material.a, rotation * texelFetch(normals, here(), 0).xyz, position));
    gl_Position = projected(position);
}
"""
DENSE_FRAGMENT = """
#version 330
TARGETS
in vec3 result;
void main() { put(result); }
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
KEPT
TARGETS
uniform vec4 eye; // middle of the eyeball; w is 1 when an eyeball is drawn
uniform vec3 gaze;
in vec3 position;
in vec3 normal;
in vec4 matter;
void main() {
    vec3 base = matter.rgb;
    if (eye.w > 0.5) {
        float angle = acos(clamp(dot(normalize(position - eye.xyz), gaze), -1.0, 1.0));
        float rim = clamp((angle - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE), 0.0, 1.0);
        base = angle < PUPIL_ANGLE ? PUPIL : angle < IRIS_ANGLE ? IRIS * (1.5 - 1.1 * rim * rim) : EYE_WHITE;
    }
    put(kept(shaded(base, matter.a, normal, position)));
}
"""
# The colours of all pixels -> those of a video, each of which stands for two by two pixels and lies in the middle of
# the left ones, as in H.264 (chroma location "left").
HALVED = """
#version 330
uniform sampler2D drawn;
out vec2 colour;
void main() {
    ivec2 corner = 2 * ivec2(gl_FragCoord.xy);
    colour = 0.5 * (texelFetch(drawn, corner, 0).gb + texelFetch(drawn, corner + ivec2(0, 1), 0).gb);
}
"""


def filled(shader: str, planes: bool = False) -> str:
    """The shader with numbers and shared parts in the places of their names; `planes`: it draws what video keeps."""

    def vector(colour: Sequence[float] | np.ndarray) -> str:
        return f"vec3({', '.join(f'{float(x)!r}' for x in colour)})"

    lights = "\n    ".join(
        f"light({vector(head_scene.unit(direction))}, {vector(colour)}, gloss, n, view, diffuse, highlight);"
        for direction, colour in head_scene.LIGHTS
    )
    shader = (
        shader.strip()
        .replace("SHADING", SHADING)
        .replace("PLACING", PLACING)
        .replace("KEPT", PLANES if planes else PICTURE)
        .replace("TARGETS", PLANES_TARGETS if planes else PICTURE_TARGETS)
        .replace("LIGHTS", lights)
        .replace("ROW", str(ROW))
    )
    for name in ("IRIS_ANGLE", "PUPIL_ANGLE", "SHARPNESS", "EXPOSURE"):
        shader = shader.replace(name, repr(float(getattr(head_scene, name))))
    for name in ("IRIS", "PUPIL", "EYE_WHITE", "SKY", "GROUND"):
        shader = shader.replace(name, vector(getattr(head_scene, name)))
    for name in ("BLACK", "WHITE", "MIDDLE", "CHROMA", "BLUE_SPAN", "RED_SPAN"):
        shader = shader.replace(name, repr(float(getattr(mp4, name))))
    return shader.replace("LUMA", vector(mp4.LUMA))
