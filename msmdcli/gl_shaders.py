"""The shaders of `msmdcli.gl_renderer` (GLSL 3.30), with the numbers of `msmdcli.head_scene` and `msmdcli.nv12`.

Words in capitals stand for numbers or for parts that shaders share; `filled` puts them in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msmdcli import head_scene, nv12

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
# Colour and, in the fourth component, brightness: what edges are looked for in.
# Light at each vertex: what dense meshes need, whose triangles are a few pixels large.
DENSE_VERTEX = """
#version 330
SHADING
PLACING
out vec4 colour; // sRGB, brightness
void main() {
    vec3 position = placed();
    vec3 lit = shaded(material.rgb, material.a, rotation * texelFetch(normals, here(), 0).xyz, position);
    colour = vec4(lit, dot(lit, LUMA));
    gl_Position = projected(position);
}
"""
DENSE_FRAGMENT = """
#version 330
in vec4 colour;
out vec4 picture;
void main() { picture = colour; }
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
    vec3 lit = shaded(base, matter.a, normal, position);
    picture = vec4(lit, dot(lit, LUMA));
}
"""

# ---- A drawn picture as video: brightness with smooth edges, and colour of each four pixels --------------------------

# Edges are smoothed in the manner of Lottes' FXAA (NVIDIA, 2009): where brightness changes, it is averaged along the
# edge. Two passes: a program without branches, such as llvmpipe's, takes the long way for every pixel, but leaves out
# what the depth test forbids. The first pass copies brightness and writes the depth 1 where there is an edge, else 0;
# the second one, at depth 0.5, meets edges only.
AROUND = """
uniform sampler2D drawn;
out float brightness;
float at(ivec2 place) { return texelFetch(drawn, clamp(place, ivec2(0), textureSize(drawn, 0) - 1), 0).a; }
struct Square { float a, b, c, d, middle, low, high; }; // corners: left above, right above, left below, right below
Square around() {
    ivec2 here = ivec2(gl_FragCoord.xy);
    float a = at(here - 1), b = at(here + ivec2(1, -1)), c = at(here + ivec2(-1, 1)), d = at(here + 1), m = at(here);
    return Square(a, b, c, d, m, min(m, min(min(a, b), min(c, d))), max(m, max(max(a, b), max(c, d))));
}
float coded(float bright) { return BLACK + WHITE * bright; }
"""
BRIGHTNESS = """
#version 330
AROUND
void main() {
    Square s = around();
    brightness = coded(s.middle);
    gl_FragDepth = s.high - s.low > max(0.04, 0.10 * s.high) ? 1.0 : 0.0;
}
"""
EDGES = """
#version 330
AROUND
float between(vec2 place) { return textureLod(drawn, place, 0.0).a; }
void main() {
    Square s = around();
    vec2 along = vec2((s.c + s.d) - (s.a + s.b), (s.a + s.c) - (s.b + s.d));
    float least = min(abs(along.x), abs(along.y)) + max((s.a + s.b + s.c + s.d) * 0.03125, 1.0 / 128.0);
    vec2 size = vec2(textureSize(drawn, 0)), middle = gl_FragCoord.xy / size;
    vec2 reach = clamp(along / least, -8.0, 8.0) / size;
    float near = 0.5 * (between(middle - reach / 6.0) + between(middle + reach / 6.0));
    float wide = 0.5 * near + 0.25 * (between(middle - reach / 2.0) + between(middle + reach / 2.0));
    brightness = coded(wide < s.low || wide > s.high ? near : wide);
}
"""
# Each value stands for two by two pixels and lies in the middle of the left ones, as in H.264 (chroma location "left").
COLOUR = """
#version 330
uniform sampler2D drawn;
out vec2 colour;
void main() {
    vec2 size = vec2(textureSize(drawn, 0)), corner = 2.0 * gl_FragCoord.xy;
    vec3 right = textureLod(drawn, corner / size, 0.0).rgb; // the mean of two by two
    vec3 left = textureLod(drawn, (corner - vec2(1.0, 0.0)) / size, 0.0).rgb;
    vec3 mean = 0.5 * (left + right);
    float bright = dot(mean, LUMA);
    colour = MIDDLE + CHROMA * (mean.br - bright) / vec2(BLUE_SPAN, RED_SPAN);
}
"""


def filled(shader: str) -> str:
    """The shader with numbers and shared parts in the places of their names."""

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
        .replace("AROUND", AROUND)
        .replace("LIGHTS", lights)
        .replace("ROW", str(ROW))
    )
    for name in ("IRIS_ANGLE", "PUPIL_ANGLE", "SHARPNESS", "EXPOSURE"):
        shader = shader.replace(name, repr(float(getattr(head_scene, name))))
    for name in ("IRIS", "PUPIL", "EYE_WHITE", "SKY", "GROUND"):
        shader = shader.replace(name, vector(getattr(head_scene, name)))
    for name in ("BLACK", "WHITE", "MIDDLE", "CHROMA", "BLUE_SPAN", "RED_SPAN"):
        shader = shader.replace(name, repr(float(getattr(nv12, name))))
    return shader.replace("LUMA", vector(nv12.LUMA))
