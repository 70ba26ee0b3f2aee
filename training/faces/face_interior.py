"""What MediaPipe's canonical face lacks: closed lips, holes for eyes and mouth, eyeballs, teeth, a dark mouth.

All of it is calculated. The canonical face's lips are parted by 6 mm; of 120 persons that were tracked at rest, a tenth
have less than 0.8 mm between them, so that is a closed mouth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.faces.canonical_face import (
    INNER_LIPS,
    LEFT_EYE,
    LOWER_LIP,
    LOWER_MID_LIP,
    OUTER_LIPS,
    RIGHT_EYE,
    UPPER_LIP,
    UPPER_MID_LIP,
    CanonicalFace,
)

EYE_RADIUS = 11.8  # mm; a person's is 12
EYE_BEHIND = 0.8  # mm of the eyeball's front behind the middle of the lids
TEETH_WIDTH, TEETH_DEPTH, TEETH_HEIGHT, TEETH_BEHIND = 46.0, 20.0, 9.0, 7.0  # mm
MOUTH_DEPTH, MOUTH_SIZE = 26.0, 48.0  # mm
LIP_GAP, LIP_REACH = 0.8, 20.0  # mm: between closed lips, and how far from the lips closing them moves the skin
UPPER_INNER, LOWER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415), (95, 88, 178, 87, 14, 317, 402, 318, 324)
RINGS, SEGMENTS = 10, 16


@dataclass(frozen=True, eq=False)
class InteriorPart:
    """A calculated part of the head.

    Attributes:
        name, colour: of its material.
        vertices: [n, 3] mm.
        triangles: [F, 3] into these vertices, counter-clockwise seen from outside.
        follows_jaw: share of the chin's movement that it makes.
    """

    name: str
    colour: tuple[float, float, float]
    vertices: np.ndarray
    triangles: np.ndarray
    follows_jaw: float = 0.0


def with_closed_lips(canonical: CanonicalFace) -> CanonicalFace:
    """The same face with its lips together: each inner point moves to `LIP_GAP` / 2 from the middle of its pair, the
    skin around goes along and fades to nothing at `LIP_REACH`."""
    points = canonical.vertices
    upper, lower = points[list(UPPER_INNER)], points[list(LOWER_INNER)]  # [9, 3]
    apart = upper - lower
    length = np.linalg.norm(apart, axis=1, keepdims=True)
    shorter = np.clip((length - LIP_GAP) / 2, 0.0, None) * apart / length
    nearest = [np.linalg.norm(points[:, None] - lip, axis=2) for lip in (upper, lower)]  # [V, 9] each
    on_upper = nearest[0].min(axis=1) < nearest[1].min(axis=1)
    moved = points.copy()
    for here, distance, step in ((on_upper, nearest[0], -shorter), (~on_upper, nearest[1], shorter)):
        fade = np.clip(1.0 - distance.min(axis=1) / LIP_REACH, 0.0, 1.0) ** 2  # [V]
        moved[here] += (fade[:, None] * step[distance.argmin(axis=1)])[here]
    return replace(canonical, vertices=moved)


def lip_vertices(canonical: CanonicalFace) -> np.ndarray:
    """The red of the lips, ascending: the outer and the inner ring and what lies between them."""
    inside = set(OUTER_LIPS) | set(INNER_LIPS)
    waiting = [UPPER_LIP, LOWER_LIP]
    triangles = opened_triangles(canonical)
    while waiting:
        vertex = waiting.pop()
        if vertex not in inside:
            inside.add(vertex)
            waiting += np.unique(triangles[(triangles == vertex).any(axis=1)]).tolist()
    return np.array(sorted(inside))


def opened_triangles(canonical: CanonicalFace) -> np.ndarray:
    """[F, 3] the canonical face's triangles without those that close the eyes and the mouth."""
    closed = np.zeros(len(canonical.triangles), bool)
    for ring in (LEFT_EYE, RIGHT_EYE, INNER_LIPS):
        closed |= np.isin(canonical.triangles, ring).all(axis=1)
    return canonical.triangles[~closed]


def interior(canonical: CanonicalFace) -> list[InteriorPart]:
    """Eyeballs, teeth and the inside of the mouth for the canonical face at rest."""
    points = canonical.vertices
    parts = []
    for name, ring in (("sclera left", LEFT_EYE), ("sclera right", RIGHT_EYE)):
        lids = points[list(ring)]
        front = np.array([lids[:, 0].mean(), lids[:, 1].mean(), np.sort(lids[:, 2])[len(lids) // 2 :].mean()])
        sphere, triangles = _sphere(front - (0.0, 0.0, EYE_RADIUS + EYE_BEHIND))
        parts.append(InteriorPart(name, (0.85, 0.84, 0.82), sphere, triangles))
    middle = (points[UPPER_MID_LIP] + points[LOWER_MID_LIP]) / 2
    for name, low, jaw in (("upper teeth", -0.5, 0.0), ("lower teeth", -0.5 - TEETH_HEIGHT, 0.85)):
        bottom = middle + (0.0, low, -TEETH_BEHIND - (1.5 if jaw else 0.0))
        vertices, triangles = _arch(bottom)
        parts.append(InteriorPart(name, (0.80, 0.77, 0.70), vertices, triangles, jaw))
    vertices, triangles = _wall(middle - (0.0, 0.1 * MOUTH_SIZE, MOUTH_DEPTH))
    return [*parts, InteriorPart("mouth", (0.16, 0.04, 0.04), vertices, triangles, 0.5)]


def _sphere(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The front two thirds of an eyeball; rings around the axis of sight."""
    angles = np.linspace(0.0, np.radians(120.0), RINGS + 1)[1:]
    around = np.linspace(0.0, 2 * np.pi, SEGMENTS, endpoint=False)
    x = np.sin(angles)[:, None] * np.cos(around)
    y = np.sin(angles)[:, None] * np.sin(around)
    z = np.broadcast_to(np.cos(angles)[:, None], x.shape)
    rings = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    vertices = centre + EYE_RADIUS * np.concatenate([[(0.0, 0.0, 1.0)], rings])
    triangles = [(0, 1 + s, 1 + (s + 1) % SEGMENTS) for s in range(SEGMENTS)]
    for ring in range(RINGS - 1):
        for s in range(SEGMENTS):
            a, b = 1 + ring * SEGMENTS + s, 1 + ring * SEGMENTS + (s + 1) % SEGMENTS
            triangles += [(a, a + SEGMENTS, b), (b, a + SEGMENTS, b + SEGMENTS)]
    return vertices, np.array(triangles, np.int64)


def _arch(bottom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row of teeth: a strip along a parabola, `bottom` the middle of its lower edge."""
    across = np.linspace(-1.0, 1.0, SEGMENTS + 1)
    x, z = across * TEETH_WIDTH / 2, -(across**2) * TEETH_DEPTH
    low = np.stack([x, np.zeros_like(x), z], axis=1) + bottom
    vertices = np.concatenate([low, low + (0.0, TEETH_HEIGHT, 0.0)])
    top = SEGMENTS + 1
    triangles = [t for s in range(SEGMENTS) for t in ((s, s + 1, top + s), (s + 1, top + s + 1, top + s))]
    return vertices, np.array(triangles, np.int64)


def _wall(middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The back of the mouth: a flat piece, facing forward."""
    half = MOUTH_SIZE / 2
    corners = np.array([(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)])
    return middle + corners, np.array([(0, 1, 2), (0, 2, 3)], np.int64)
