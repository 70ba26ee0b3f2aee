"""A picture of a head with the vertices that measures look at: lips, upper face, mouth opening."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msmdcli.drawing.pictures import write_png
from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.heads.raster import rasterise

SIZE = 900  # pixels, each view
COLOURS = {  # sRGB 0..1
    "face": (0.62, 0.72, 0.80),
    "upper_face": (0.25, 0.50, 0.90),
    "lips": (0.85, 0.20, 0.25),
    "mouth_opening": (1.00, 0.85, 0.10),
}
PLAIN, BACKGROUND, INK = (0.72, 0.70, 0.68), (0.10, 0.11, 0.12), (0.05, 0.05, 0.05)
TURNS = (0.0, np.radians(50.0))  # the head is drawn from the front and from its left
DOT, LARGE_DOT = 1, 7  # pixels to either side


def draw_sets(mesh: MeshDecoder, path: Path) -> dict[str, int]:
    """Draw the head twice, each vertex of a set as a dot in its colour, and write a PNG.

    Returns:
        set -> how many vertices it has; a set that the head has not is absent.

    Raises:
        MsmdError: the head has no triangles to draw.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture {path} is no .png", hint="name a .png file")
    if len(mesh.triangles) == 0:
        raise MsmdError(f"the head of rig {mesh.rig.name} has no triangles to draw", hint="give its rig a `surface`")
    sets = {name: mesh.vertex_set(name) for name in COLOURS if mesh.has(name)}
    write_png(path, np.concatenate([_view(mesh, sets, turn) for turn in TURNS], axis=1))
    return {name: len(numbers) for name, numbers in sets.items()}


def _view(mesh: MeshDecoder, sets: dict[str, np.ndarray], turn: float) -> np.ndarray:
    """[SIZE, SIZE, 3] uint8 of the head at rest, turned to its right by `turn` radians."""
    focus = sets.get("face", mesh.skin)
    points = mesh.neutral[focus].astype(np.float64)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    cos, sin = np.cos(-turn), np.sin(-turn)
    turned = (mesh.neutral - middle) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T  # [V, 3]
    scale = 0.88 * SIZE / np.ptp(points[:, :2], axis=0).max()
    screen = np.column_stack([SIZE / 2 + turned[:, 0] * scale, SIZE / 2 - turned[:, 1] * scale, turned[:, 2]])
    seen = rasterise(screen, mesh.triangles, SIZE, SIZE)
    normals = mesh.normals(turned)

    colours = np.tile(np.array(PLAIN), (mesh.size, 1))
    for name, numbers in sets.items():
        if name != "mouth_opening":
            colours[numbers] = COLOURS[name]
    picture = np.empty((SIZE, SIZE, 3))
    picture[:] = BACKGROUND
    at = seen.triangle >= 0
    owner, weights = mesh.triangles[seen.triangle[at]], seen.weights[at][..., None]  # [n, 3], [n, 3, 1]
    normal = (normals[owner] * weights).sum(axis=1)
    light = 0.35 + 0.65 * np.clip(normal @ np.array([-0.25, 0.35, 0.90]), 0, 1)
    picture[at] = (colours[owner] * weights).sum(axis=1) * light[:, None]

    for name, numbers in sets.items():
        reach = LARGE_DOT if name == "mouth_opening" else DOT
        for number in numbers:
            x, y = (int(value) for value in screen[number, :2])
            if not (0 <= x < SIZE and 0 <= y < SIZE) or screen[number, 2] < seen.depth[y, x] - 1.5:
                continue  # outside the picture, or hidden
            rows, columns = slice(max(y - reach, 0), y + reach + 1), slice(max(x - reach, 0), x + reach + 1)
            picture[rows, columns] = INK if name != "mouth_opening" else COLOURS[name]
    return np.asarray(np.clip(picture, 0, 1) * 255 + 0.5, np.uint8)
