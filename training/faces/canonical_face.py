"""MediaPipe's canonical face, and tracked landmarks brought into its space in millimetres.

The canonical face (468 vertices, in cm; Apache-2.0) and the weights of its points are read from the face landmarker's
own file, `face_landmarker.task`. The landmarker gives landmarks in shares of the picture; `metric_landmarks` undoes
camera, scale and head pose as MediaPipe's own face geometry does (mediapipe/tasks/cc/vision/face_geometry/libs/
geometry_pipeline.cc: a pinhole camera of 63 degrees, two estimates of scale, a weighted orthogonal Procrustes fit).

V = 468 vertices, T frames.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.tracking.rigid_pose import similarity

# Numbers of MediaPipe's face landmarks, by the part of the face ("left" is the person's own), from MediaPipe's
# own lists of connections (mediapipe/python/solutions/face_mesh_connections.py, Apache-2.0).
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = (*OUTER_LIPS, *INNER_LIPS)
UPPER_MID_LIP, LOWER_MID_LIP = 13, 14
UPPER_LIP, LOWER_LIP = 12, 15  # in the middle of the red of either lip
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_BROW = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
LEFT_CHEEK = (280, 425, 352)
LEFT_NOSTRIL = (358, 327, 278)
CHIN = (152, 199, 200, 18, 175)
NOSE_TIP = 1

GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"  # inside the .task file, which is a zip
VERTICES = 468
MM_PER_CM = 10.0
VERTICAL_FOV = np.radians(63.0)
NEAR = 1.0  # cm: distance of the picture plane


@dataclass(frozen=True, eq=False)
class CanonicalFace:
    """The canonical face.

    Attributes:
        vertices: [V, 3] mm; x to the person's own left, y up, z out of the face.
        triangles: [F, 3] int64, counter-clockwise seen from outside.
        weights: [V] how much each vertex counts for the pose; 0 for most.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray

    @classmethod
    def load(cls, face_model: Path) -> CanonicalFace:
        """Read it from `face_landmarker.task`.

        Raises:
            MsmdError: the file is not such a one.
        """
        try:
            with zipfile.ZipFile(face_model) as file:
                metadata = list(_fields(file.read(GEOMETRY)))
            mesh = list(_fields(next(value for number, value in metadata if number == 1)))
            vertices = np.frombuffer(b"".join(_bytes(v) for n, v in mesh if n == 3), "<f4").reshape(-1, 5)[:, :3]
            index = np.array([int(i) for n, v in mesh if n == 4 for i in _integers(v)], np.int64)
            weights = np.zeros(len(vertices))
            for number, value in metadata:
                if number == 2:
                    entry = dict(_fields(_bytes(value)))
                    weights[int(entry.get(1, 0))] = np.frombuffer(_bytes(entry[2]), "<f4")[0]
        except (OSError, KeyError, ValueError, IndexError, StopIteration, zipfile.BadZipFile) as error:
            raise MsmdError(
                f"{face_model} is not MediaPipe's face landmarker ({error})",
                hint="give the .task file that `msmd track` uses",
            ) from error
        if len(vertices) != VERTICES:
            raise MsmdError(f"{face_model} has a canonical face of {len(vertices)} vertices, not {VERTICES}")
        return cls(vertices.astype(np.float64) * MM_PER_CM, index.reshape(-1, 3), weights)


def metric_landmarks(landmarks: np.ndarray, aspect: float, canonical: CanonicalFace) -> np.ndarray:
    """Landmarks as points of a face that looks straight ahead, in mm.

    Args:
        landmarks: [T, 468 or 478, 3] as tracked: x and y in shares of the picture's width and height, z in the scale of
            x. The ten points of the irises are left out.
        aspect: width of the picture divided by its height.
        canonical: the face they are fitted to. Its size is taken for everybody's.

    Returns:
        [T, V, 3] float64 mm.
    """
    height = 2 * NEAR * np.tan(VERTICAL_FOV / 2)
    width = height * aspect
    screen = np.asarray(landmarks[:, :VERTICES], np.float64) * (1.0, -1.0, 1.0) + (0.0, 1.0, 0.0)
    screen = screen * (width, height, width) - (width / 2, height / 2, 0.0)  # [T, V, 3] on the picture plane
    offset = screen[..., 2].mean(axis=1)[:, None]  # [T, 1]
    target = canonical.vertices / MM_PER_CM

    scale = similarity(target, screen * (1.0, 1.0, -1.0), canonical.weights)[0]  # [T]
    scale = scale * similarity(target, _unproject(screen, offset, scale), canonical.weights)[0]
    points = _unproject(screen, offset, scale)  # cm before the camera
    size, rotation, shift = similarity(target, points, canonical.weights)
    upright = np.einsum("tvi,tij->tvj", points - shift[:, None], rotation) / size[:, None, None]
    return upright * MM_PER_CM


def _unproject(screen: np.ndarray, offset: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Points on the picture plane -> points in space [T, V, 3] (z towards the viewer), at the depth of that scale."""
    depth = (screen[..., 2] - offset + NEAR) / scale[:, None]  # [T, V]
    return np.stack([screen[..., 0] * depth / NEAR, screen[..., 1] * depth / NEAR, -depth], axis=-1)


# ---- protocol buffers, as far as needed (protobuf.dev: encoding) -----------------------------------------------------


def _fields(data: object) -> Iterator[tuple[int, bytes | int]]:
    """(field number, value) of a message: bytes, or an integer for varints."""
    buffer, at = _bytes(data), 0
    while at < len(buffer):
        key, at = _varint(buffer, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(buffer, at)
            yield key >> 3, number
            continue
        if kind == 2:
            length, at = _varint(buffer, at)
        else:
            length = {1: 8, 5: 4}[kind]
        yield key >> 3, buffer[at : at + length]
        at += length


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _integers(value: bytes | int) -> Iterator[int]:
    """The numbers of a repeated integer field, packed or not."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("not a message")
    return value
