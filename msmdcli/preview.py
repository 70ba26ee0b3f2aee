"""Look at motion: pictures of the head, a contact sheet, a video.

A small renderer in NumPy: z-buffer (`msmdcli.raster`), interpolated normals, a key light, a fill light and light from
the sky, and darkness in the mouth. Good enough to judge an expression by eye, and it runs anywhere.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.mesh import MeshDecoder
from msmdcli.motion import Motion
from msmdcli.raster import rasterise
from msmdcli.rotation import quaternion_from_euler

BACKGROUND = (0.055, 0.06, 0.07)  # linear RGB, as all colours here
CAMERA_DISTANCE = 900.0  # mm from the face; near enough for perspective, far enough not to swell the nose
LIGHTS = (  # direction towards the light (x to the head's left, y up, z forward), colour
    ((-0.45, 0.55, 0.75), (0.95, 0.90, 0.84)),
    ((0.80, 0.10, 0.45), (0.20, 0.24, 0.30)),
)
SKY, GROUND = (0.22, 0.24, 0.27), (0.08, 0.07, 0.065)
LINING = (0.10, 0.02, 0.02)  # inside of the mouth
EXPOSURE = 0.82
# Eyes are painted, because many heads have none that turn: angles seen from the middle of the eyeball.
IRIS, PUPIL, EYE_WHITE = (0.09, 0.13, 0.17), (0.004, 0.004, 0.005), (0.62, 0.60, 0.58)
IRIS_ANGLE, PUPIL_ANGLE = np.radians(23.0), np.radians(9.0)
LOOK_ANGLE = np.radians(28.0)  # that eyeLook channels turn an eye by at 1


def render_frame(
    mesh: MeshDecoder,
    values: np.ndarray,
    size: int | tuple[int, int] = 400,
    *,
    head: bool = True,
    smooth: int = 2,
) -> np.ndarray:
    """One picture of the head.

    Args:
        mesh: the head.
        values: [D] channel values.
        size: width and height in pixels, or one number for both.
        head: turn the head by the rig's head channels.
        smooth: pictures are drawn this many times larger and averaged down (1: jagged, but four times as fast as 2).

    Returns:
        [H, W, 3] uint8, sRGB.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 8 or smooth < 1:
        raise MsmdError(f"a picture of {width} x {height} pixels cannot be drawn", hint="give at least 8 x 8")
    values = np.asarray(values, np.float32)
    vertices = posed(mesh, values, head)  # [V, 3]
    rotation = _head_rotation(mesh, values) if head else np.eye(3)
    normals = mesh.normals(vertices)  # [V, 3]

    points, eye = _project(mesh, vertices, width * smooth, height * smooth)
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
    colour, gloss = _materials(mesh)
    base, shine = (colour[owner] * weights).sum(axis=1), (gloss[owner] * weights[..., 0]).sum(axis=1)
    for eyeball, gaze in zip(mesh.eyes, _gazes(mesh, values), strict=True):
        if len(eyeball):
            painted = np.isin(owner[:, 0], eyeball)
            middle = (vertices[eyeball].min(axis=0) + vertices[eyeball].max(axis=0)) / 2
            base[painted] = _paint_eye(position[painted] - middle, rotation @ gaze)
    picture[at] = _shade(base, shine, normal, position, eye)
    picture = picture.reshape(height, smooth, width, smooth, 3).mean(axis=(1, 3))
    return np.asarray(_srgb(picture) * 255 + 0.5, np.uint8)


def posed(mesh: MeshDecoder, values: np.ndarray, head: bool = True) -> np.ndarray:
    """Vertices [V, 3] float64 in mm under channel values [D], with the head turned by the rig's head channels."""
    vertices = mesh.decode(values[None])[0].astype(np.float64)
    return np.asarray((vertices - _neck(mesh)) @ _head_rotation(mesh, values).T + _neck(mesh)) if head else vertices


def contact_sheet(
    mesh: MeshDecoder,
    motion: Motion,
    columns: int = 8,
    rows: int = 1,
    size: int = 240,
    frames: Sequence[int] | None = None,
) -> np.ndarray:
    """Pictures of a motion on one sheet, row by row.

    Args:
        mesh: the head.
        motion: what to show.
        columns, rows: of the sheet.
        size: width and height of each picture.
        frames: which frames; by default spread evenly, in the middle of columns x rows equal stretches.

    Returns:
        [rows * size, columns * size, 3] uint8; places without a frame are background.
    """
    if frames is None:
        count = min(columns * rows, motion.frames)
        frames = ((np.arange(count) + 0.5) * motion.frames / count).astype(int).tolist()
    sheet = np.empty((rows * size, columns * size, 3), np.uint8)
    sheet[:] = (_srgb(np.array(BACKGROUND)) * 255 + 0.5).astype(np.uint8)
    for place, frame in enumerate(frames[: columns * rows]):
        row, column = divmod(place, columns)
        picture = render_frame(mesh, motion.values[frame], size)
        sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = picture
    return sheet


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as PNG (W3C PNG specification, 8-bit RGB, no filter)."""
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = np.concatenate(
        [np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], axis=1
    )  # filter 0 on each line
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def write_mp4(
    path: Path | str,
    pictures: Iterable[np.ndarray],
    fps: Fraction,
    samples: np.ndarray | None = None,
    rate: int = 16000,
) -> None:
    """Write a video (H.264, AAC).

    Args:
        path: .mp4 file.
        pictures: [H, W, 3] uint8 each, even width and height; taken one at a time.
        fps: pictures per second.
        samples: [S] float32 mono sound, or None.
        rate: its samples per second.
    """
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "20"})
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono") if samples is not None else None
        for number, picture in enumerate(pictures):
            if number == 0:
                video.height, video.width = picture.shape[:2]
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            fifo = av.AudioFifo()
            fifo.write(frame)
            while (block := fifo.read(1024)) is not None:
                container.mux(sound.encode(block))
            if (block := fifo.read(0, partial=True)) is not None:
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))


# ---- camera and light ------------------------------------------------------------------------------------------------


def _neck(mesh: MeshDecoder) -> np.ndarray:
    """The point about which the head turns: on the midline, level with the jaw's angle, in the middle of its depth."""
    low, high = mesh.neutral[mesh.skin].min(axis=0), mesh.neutral[mesh.skin].max(axis=0)
    mouth = mesh.neutral[mesh.mouth].mean(axis=0)
    return np.array([(low[0] + high[0]) / 2, mouth[1] - 30.0, (low[2] + high[2]) / 2])


def _head_rotation(mesh: MeshDecoder, values: np.ndarray) -> np.ndarray:
    """[3, 3] of the head channels of values [D]; no rotation where the rig has none."""
    if mesh.rig.rotation_indices is None:
        return np.eye(3)
    w, x, y, z = quaternion_from_euler(values[list(mesh.rig.rotation_indices)].astype(np.float64)[None])[0]
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _gazes(mesh: MeshDecoder, values: np.ndarray) -> list[np.ndarray]:
    """Unit direction [3] in which the left and the right eye look, before the head turns; ahead without eyeLook."""

    def value(name: str) -> float:
        return float(values[mesh.rig.index(name)]) if name in mesh.rig.channels else 0.0

    gazes = []
    for side, outward in (("Left", 1.0), ("Right", -1.0)):
        up = LOOK_ANGLE * (value(f"eyeLookUp{side}") - value(f"eyeLookDown{side}"))
        across = LOOK_ANGLE * outward * (value(f"eyeLookOut{side}") - value(f"eyeLookIn{side}"))
        gazes.append(np.array([np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)]))
    return gazes


def _paint_eye(from_middle: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Base colour [n, 3] of points of an eyeball, given relative to its middle."""
    along = from_middle @ gaze / np.maximum(np.linalg.norm(from_middle, axis=1), 1e-9)
    angle = np.arccos(np.clip(along, -1.0, 1.0))[:, None]
    towards_rim = np.clip((angle - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE), 0, 1)
    iris = np.array(IRIS) * (1.5 - 1.1 * towards_rim**2)
    return np.where(angle < PUPIL_ANGLE, np.array(PUPIL), np.where(angle < IRIS_ANGLE, iris, np.array(EYE_WHITE)))


def _project(mesh: MeshDecoder, vertices: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [V, 3] for the rasteriser, and the camera's place. Framed by the head at rest, so nothing jumps."""
    top = mesh.neutral[mesh.skin, 1].max()
    mouth = mesh.neutral[mesh.mouth].mean(axis=0)
    wide = np.ptp(mesh.neutral[mesh.mouth, 0])
    bottom = mouth[1] - 2.2 * wide  # an open jaw and some neck
    eye = np.array([mouth[0], (top + bottom) / 2, mouth[2] + CAMERA_DISTANCE])
    scale = min(height, width * 1.15) / ((top - bottom) * 1.04)  # pixels per mm at the mouth's depth
    away = eye[2] - vertices[:, 2]  # [V] mm
    enlarged = scale * CAMERA_DISTANCE / away
    x = width / 2 + (vertices[:, 0] - eye[0]) * enlarged
    y = height / 2 - (vertices[:, 1] - eye[1]) * enlarged
    return np.column_stack([x, y, 1.0 / away]), eye  # 1 / distance is linear on the screen


def _materials(mesh: MeshDecoder) -> tuple[np.ndarray, np.ndarray]:
    """Base colour [V, 3] and gloss [V] of each vertex: parts' colours, red lips, dark linings, wet eyes and teeth."""
    colour, gloss = np.empty((mesh.size, 3)), np.full(mesh.size, 0.12)
    for part in mesh.parts:
        colour[part.vertices] = np.array(part.colour) ** 1.25  # a little deeper than glTF's flat colours look here
        if part.name.lower() != "skin":
            gloss[part.vertices] = 0.5
    colour[mesh.lips] *= (0.86, 0.62, 0.62)
    # Little light falls into the mouth: everything in it darkens with its distance behind the lips.
    line = mesh.neutral[mesh.mouth]
    behind = (line[:, 2].max() - mesh.neutral[:, 2]) / np.ptp(line[:, 0])
    in_mouth = np.ones(mesh.size, bool)
    in_mouth[np.concatenate([mesh.skin, *mesh.eyes])] = False
    colour[in_mouth] *= np.clip(1.0 - 0.9 * behind, 0.15, 1.0)[in_mouth, None]
    colour[mesh.lining] = LINING
    gloss[mesh.lining] = 0.0
    return colour, gloss


def _shade(
    base: np.ndarray, shine: np.ndarray, normal: np.ndarray, position: np.ndarray, eye: np.ndarray
) -> np.ndarray:
    """Linear colour [n, 3] of n points: Lambert light from LIGHTS, sky and ground, and Blinn's highlight."""
    up = 0.5 + 0.5 * normal[:, 1:2]
    light = up * np.array(SKY) + (1 - up) * np.array(GROUND)
    view = eye - position
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    highlight = np.zeros_like(base)
    for direction, colour in LIGHTS:
        towards = np.array(direction) / np.linalg.norm(direction)
        light = light + np.clip(normal @ towards, 0, None)[:, None] * np.array(colour)
        halfway = view + towards
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        spot = np.clip((normal * halfway).sum(axis=1), 0, None) ** 32
        highlight += (shine * spot)[:, None] * np.array(colour)
    return np.asarray(EXPOSURE * (base * light + highlight))


def _srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..1 to sRGB 0..1 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
