"""MediaPipe's face landmarks on the ICT head, found by showing MediaPipe the head.

    python -m training.faces.landmark_correspondence [--picture PNG] [--out msmdcli/shipped/faces/landmarks.npz]

The head that ships is drawn from nine sides in five poses of the face (closed lips, two open mouths, a smile, wide
eyes). On each picture MediaPipe finds its landmarks; the skin that is seen at that pixel gives one vote for a point of
the head at rest. A landmark's place is the geometric median (Weiszfeld 1937) of its votes, made symmetric with its
mirror image's and brought back onto the skin near the votes: so upper and lower lips, upper and lower lids stay apart.
`--picture` draws the result, to be looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from msmdcli.drawing.pictures import write_png
from msmdcli.drawing.renderer import open_renderer
from msmdcli.drawing.scene import Scene, scene_of
from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.raster import rasterise
from msmdcli.motion.rig import Rig
from msmdcli.paths import find_head
from msmdcli.tracking.face_correspondence import (
    FILE,
    LEFT_LID_PAIRS,
    RIGHT_LID_PAIRS,
    VERTICES,
    FaceCorrespondence,
)
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.landmarker import Landmarker
from training.faces.canonical_face import CanonicalFace
from training.faces.mesh_fit import mirrored_vertices

SIZE = 900  # pixels of a picture
LOOKS = 4  # at one picture: the landmarker settles
TURNS = ((0, 0), (8, 0), (-8, 0), (18, 0), (-18, 0), (0, 8), (0, -8), (10, 6), (-10, 6))  # yaw, pitch in degrees
FACES: tuple[dict[str, float], ...] = (
    {},
    {"jawOpen": 0.25},
    {"jawOpen": 0.5},
    {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5, "jawOpen": 0.15},
    {"eyeWideLeft": 0.6, "eyeWideRight": 0.6, "browInnerUp": 0.4, "jawOpen": 0.1},
)
MEDIAN_STEPS = 50
NEAR = 0.05  # mm: votes nearer to the median than this count alike


def poses(rig: Rig) -> np.ndarray:
    """Channel values [n, D] of the pictures."""
    values = np.zeros((len(FACES) * len(TURNS), rig.size), np.float32)
    for row, (face, turn) in zip(values, ((face, turn) for face in FACES for turn in TURNS), strict=True):
        for name, value in face.items():
            row[rig.index(name)] = value
        row[rig.index("headYaw")], row[rig.index("headPitch")] = np.radians(turn)
    return values


def look(mesh: MeshDecoder, values: np.ndarray, face_model: Path, size: int = SIZE) -> np.ndarray:
    """Landmarks [n, 478, 3] in shares of the picture that MediaPipe finds on the head under values [n, D]; NaN where it
    finds no face."""
    renderer = open_renderer(mesh, size, size)
    found = np.full((len(values), 478, 3), np.nan)
    try:
        for number, picture in enumerate(renderer.pictures(values)):
            with Landmarker(face_model) as landmarker:
                for i in range(LOOKS):
                    faces = landmarker.find(picture, 33 * i)
            if faces:
                found[number] = faces[0].landmarks
    finally:
        renderer.close()
    return found


def posed(scene: Scene, values: np.ndarray) -> np.ndarray:
    """Vertices [V, 3] of the head under values [D], turned as the scene turns it."""
    rest = scene.mesh.decode(values[None])[0].astype(np.float64)
    return np.asarray((rest - scene.neck) @ scene.rotations(values[None])[0].T + scene.neck)


def votes(mesh: MeshDecoder, values: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where on the skin each landmark is seen.

    Returns:
        Corners [n, V, 3] and their weights [n, V, 3]: the point of the triangle that is seen at the landmark's pixel,
        or at the nearest pixel with skin.
    """
    scene = scene_of(mesh)
    camera = scene.camera(SIZE, SIZE)
    skin = np.zeros(mesh.size, bool)
    skin[mesh.skin] = True
    skin[mesh.lining] = False
    corners, weights = [], []
    for row, seen in zip(values, landmarks, strict=True):
        points = camera.project(posed(scene, row))
        flat = points[mesh.triangles][..., :2]
        first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
        facing = mesh.triangles[first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0]  # y points down
        drawn = rasterise(points, facing, SIZE, SIZE)
        owner = np.where(drawn.triangle >= 0, drawn.triangle, 0)
        rows, columns = np.nonzero((drawn.triangle >= 0) & skin[facing[owner]].any(axis=-1))
        tree = cKDTree(np.column_stack([columns + 0.5, rows + 0.5]))
        _, nearest = tree.query(seen[:VERTICES, :2] * SIZE)
        at = rows[nearest], columns[nearest]
        corners.append(facing[drawn.triangle[at]])
        weights.append(drawn.weights[at])
    return np.array(corners), np.array(weights, np.float64)


def geometric_median(points: np.ndarray) -> np.ndarray:
    """[..., 3] of points [n, ..., 3] (Weiszfeld's iteration from the median of each axis)."""
    middle = np.median(points, axis=0)
    for _ in range(MEDIAN_STEPS):
        weight = 1 / np.maximum(np.linalg.norm(points - middle, axis=-1, keepdims=True), NEAR)
        middle = (weight * points).sum(axis=0) / weight.sum(axis=0)
    return np.asarray(middle)


def nearest_on_triangles(point: np.ndarray, corners: np.ndarray) -> tuple[int, np.ndarray, float]:
    """Of triangles [n, 3, 3] the one nearest to a point [3], the weights [3] of its corners there, and the distance."""
    a, b, c = corners.transpose(1, 0, 2)
    ab, ac, ap = b - a, c - a, point - a
    dot = [(x * y).sum(axis=1) for x, y in ((ab, ab), (ab, ac), (ac, ac), (ab, ap), (ac, ap))]
    area = np.maximum(dot[0] * dot[2] - dot[1] ** 2, 1e-12)
    v, w = (dot[2] * dot[3] - dot[1] * dot[4]) / area, (dot[0] * dot[4] - dot[1] * dot[3]) / area
    candidates = [np.stack([1 - v - w, v, w], axis=1)]
    inside = (candidates[0] >= 0).all(axis=1)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        start, along = corners[:, i], corners[:, j] - corners[:, i]
        share = ((point - start) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12)
        edge = np.zeros((len(corners), 3))
        edge[:, j] = np.clip(share, 0, 1)
        edge[:, i] = 1 - edge[:, j]
        candidates.append(edge)
    weights = np.stack(candidates)  # [4, n, 3]
    distance = np.linalg.norm(np.einsum("knc,ncx->knx", weights, corners) - point, axis=-1)
    distance[0, ~inside] = np.inf
    kind, triangle = np.unravel_index(distance.argmin(), distance.shape)
    return int(triangle), weights[kind, triangle], float(distance[kind, triangle])


def places(
    mesh: MeshDecoder, corners: np.ndarray, weights: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The landmarks on the skin: corners [V, 3] and weights [V, 3] of the point, and the votes' spread [V], mm."""
    rest = mesh.neutral.astype(np.float64)
    seen = np.einsum("nvc,nvcx->nvx", weights, rest[corners])  # [n, V, 3]
    medians = geometric_median(seen)
    spread = np.median(np.linalg.norm(seen - medians, axis=-1), axis=0)
    middles = (medians + medians[mirror] * (-1, 1, 1)) / 2
    own = cKDTree(rest[mesh.skin])
    other = mesh.skin[own.query(rest * (-1, 1, 1))[1]]  # [all vertices] the skin vertex on the other side
    skin = mesh.triangles[np.isin(mesh.triangles, mesh.skin).all(axis=1)]
    of_vertex: dict[int, list[int]] = {}
    for number, triangle in enumerate(skin):
        for vertex in triangle:
            of_vertex.setdefault(int(vertex), []).append(number)
    chosen, shares = np.zeros((VERTICES, 3), np.int64), np.zeros((VERTICES, 3))
    for k in range(VERTICES):
        near = {*corners[:, k].ravel().tolist(), *other[corners[:, mirror[k]]].ravel().tolist()}
        near = {int(v) for vertex in near for t in of_vertex.get(vertex, []) for v in skin[t]}
        patch = skin[sorted({t for vertex in near for t in of_vertex.get(vertex, [])})]
        triangle, share, _ = nearest_on_triangles(middles[k], rest[patch])
        chosen[k], shares[k] = patch[triangle], share
    return chosen, shares, spread


def correspondence(
    mesh: MeshDecoder, corners: np.ndarray, weights: np.ndarray, mirror: np.ndarray
) -> FaceCorrespondence:
    """What is known of the head at these points of its skin."""
    neutral, deltas = mesh.neutral.astype(np.float64), mesh.deltas.astype(np.float64)
    points = np.einsum("vc,vcx->vx", weights, neutral[corners])
    moved = np.einsum("vc,nvcx->nvx", weights, deltas[:, corners])
    moved = (moved + _swapped(mesh.channels, moved[:, mirror] * (-1, 1, 1))) / 2
    upper, lower = mesh.mid_lips
    lids = (LEFT_LID_PAIRS, RIGHT_LID_PAIRS)
    opening = [np.mean([points[u, 1] - points[low, 1] for u, low in pairs]) for pairs in lids]
    opened = [np.mean([moved[:, u, 1] - moved[:, low, 1] for u, low in pairs], axis=0) for pairs in lids]
    balls = np.array([(neutral[eye].min(axis=0) + neutral[eye].max(axis=0)) / 2 for eye in mesh.eyes])
    return FaceCorrespondence(
        channels=mesh.channels,
        points=points,
        deltas=moved,
        mirror=mirror,
        lip_gap=float(neutral[upper, 1] - neutral[lower, 1]),
        lip_gap_by=deltas[:, upper, 1] - deltas[:, lower, 1],
        lid_gap=np.array(opening),
        lid_gap_by=np.stack(opened, axis=1),
        eyeballs=balls,
        made="python -m training.faces.landmark_correspondence: MediaPipe's landmarks found on pictures of the "
        "ICT-FaceKit head (MIT) that ships; channels' displacements are that head's",
    )


def _swapped(channels: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values [C, ...] with left and right channels exchanged."""
    other = {"Left": "Right", "Right": "Left"}
    names = [next((n[: -len(e)] + other[e] for e in other if n.endswith(e)), n) for n in channels]
    return values[[list(channels).index(name) for name in names]]


def picture(mesh: MeshDecoder, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The landmarks on the head: at rest, turned, and with an open mouth."""
    rig, scene = mesh.rig, scene_of(mesh)
    camera = scene.camera(SIZE, SIZE)
    values = np.zeros((3, rig.size), np.float32)
    values[1, rig.index("headYaw")] = np.radians(-25)
    values[2, rig.index("jawOpen")] = 0.5
    renderer = open_renderer(mesh, SIZE, SIZE)
    drawn = []
    for row, image in zip(values, renderer.pictures(values), strict=True):
        image = image.copy()
        for x, y, _ in camera.project(np.einsum("vc,vcx->vx", weights, posed(scene, row)[corners])):
            image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = (0, 255, 0)
        drawn.append(image)
    renderer.close()
    return np.hstack(drawn)


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.landmark_correspondence`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.landmark_correspondence", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("--out", type=Path, default=FILE, metavar="NPZ", help="file to write")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="draw the landmarks on the head")
    parser.add_argument("--head", type=Path, help="the head (default: the one that ships)")
    parser.add_argument("--face-model", type=Path, help="MediaPipe's face_landmarker.task")
    options = parser.parse_args(arguments)
    try:
        model = find_face_model(options.face_model)
        mesh = load_head(options.head or find_head())
        values = poses(mesh.rig)
        landmarks = look(mesh, values, model)
        seen = np.isfinite(landmarks[:, 0, 0])
        mirror = mirrored_vertices(CanonicalFace.load(model))
        corners, weights, spread = places(mesh, *votes(mesh, values[seen], landmarks[seen]), mirror)
        correspondence(mesh, corners, weights, mirror).save(options.out)
        if options.picture is not None:
            write_png(options.picture, picture(mesh, corners, weights))
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"{options.out}: {seen.sum()} of {len(values)} pictures; votes within {np.median(spread):.2f} mm (median)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
