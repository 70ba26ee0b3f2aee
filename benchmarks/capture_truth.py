"""What fails on a drawn head, the drawing, the landmarker or the solver: a picture of each channel, where all is known.

    python benchmarks/capture_truth.py [--pictures DIR]

The ICT head is drawn at rest and under each channel at 0.8, once as previews show it (plain) and once with more of
what a landmarker looks for: mottled skin, dark brows, lashes and nostrils, red lips, a hairline (textured). For each
channel are printed

    truth      weight that the solver finds in the head's true points (0.8 is right): with scores of 0, with right ones
    follows    correlation of the landmarks' own displacement with the true one, over landmarks and both axes
    moves      how far they move along it, as a share (1 is right), plain and textured
    found      weight that the solver finds in MediaPipe's landmarks, plain and textured, and MediaPipe's score
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.drawing.pictures import write_png
from msmdcli.drawing.renderer import open_renderer
from msmdcli.drawing.scene import Scene, middle, scene_of
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.paths import find_head
from msmdcli.tracking.capture import Landmarks, neutral_of_frames
from msmdcli.tracking.face_correspondence import UNSEEN, VERTICES, camera_points, shipped_correspondence
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.landmark_solver import LandmarkSolver, relative_scores, solved_channels
from msmdcli.tracking.landmarker import Landmarker
from msmdcli.tracking.rigid_pose import Pose
from training.faces.landmark_correspondence import nearest_on_triangles, posed

LEVEL = 0.8
SIZE, CROP = 960, 520  # pixels of a picture; of its middle, where the face is
LOOKS = 4
BROW, LASH, HAIR, NOSTRIL, RED = (0.10, 0.07, 0.06), (0.12, 0.09, 0.08), (0.05, 0.04, 0.035), 0.25, (0.80, 0.42, 0.42)


@dataclass(frozen=True, eq=False)
class Seen:
    """Landmarks [n, 478, 3] in shares of the picture, scores [n, S] of `names`, and pictures."""

    places: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    pictures: list[np.ndarray]

    def landmarks(self, part: slice) -> Landmarks:
        return Landmarks(self.places[part], self.scores[part], self.names, 1.0, 25.0)


def textured(mesh: MeshDecoder, rng: np.random.Generator) -> np.ndarray:
    """[V, 3] colours: mottled skin, dark brows, lash lines and nostrils, red lips, a hairline."""
    scene, face = scene_of(mesh), shipped_correspondence()
    colour = scene.materials[0].copy()
    places = mesh.neutral.astype(np.float64)
    mottle = np.zeros(mesh.size)
    for wavelength, strength in ((40.0, 0.05), (14.0, 0.05), (6.0, 0.06)):  # mm
        waves = rng.normal(0, 2 * np.pi / wavelength, (24, 3))
        mottle += strength * np.cos(places @ waves.T + rng.uniform(0, 2 * np.pi, 24)).sum(axis=1) / np.sqrt(12)
    skin = np.zeros(mesh.size, bool)
    skin[mesh.skin] = True
    skin[mesh.lining] = False
    colour[skin] *= 1 + mottle[skin, None]
    brows = scene.brows[:, None]
    colour = colour * (1 - brows) + brows * np.array(BROW)
    colour[mesh.lips] *= RED
    balls = [middle(places[None, ball])[0] for ball in mesh.eyes]
    hair = skin & ((places[:, 1] > balls[0][1] + 62 - 0.004 * places[:, 0] ** 2) | (places[:, 2] < balls[0][2] - 55))
    colour[hair & (places[:, 1] > balls[0][1] - 60)] = HAIR
    for low, high, tint in ((33, 159, LASH), (133, 158, LASH), (263, 386, LASH), (362, 385, LASH)):
        for landmark in (low, high):
            near = np.linalg.norm(places - face.points[landmark], axis=1) < 2.0
            colour[near & skin] = tint
    for landmark in (97, 326):  # below the nostrils
        near = np.linalg.norm(places - face.points[landmark] - (0, 1.5, -2.0), axis=1) < 3.5
        colour[near & skin] *= NOSTRIL
    return colour


def look(mesh: MeshDecoder, values: np.ndarray, model: Path) -> Seen:
    """What MediaPipe sees in pictures of the head under values [n, D], each looked at afresh."""
    renderer = open_renderer(mesh, SIZE, SIZE)
    edge = (SIZE - CROP) // 2
    places, scores, pictures = [], [], []
    for picture in renderer.pictures(values):
        cut = np.ascontiguousarray(picture[edge - 30 : edge - 30 + CROP, edge : edge + CROP])
        pictures.append(cut)
        with Landmarker(model) as landmarker:
            for number in range(LOOKS):
                faces = landmarker.find(cut, 33 * number)
            names = landmarker.shape_names
        places.append(faces[0].landmarks if faces else np.full((478, 3), np.nan))
        scores.append(faces[0].shapes if faces else np.full(len(names), np.nan))
    renderer.close()
    return Seen(np.array(places, np.float64), np.array(scores, np.float64), names, pictures)


def true_points(mesh: MeshDecoder, values: np.ndarray) -> np.ndarray:
    """[n, V, 3] the landmarks' places on the head, as an ideal landmarker would tell them: before a camera far away."""
    face, scene = shipped_correspondence(), scene_of(mesh)
    skin = mesh.triangles[np.isin(mesh.triangles, mesh.skin).all(axis=1)]
    corners, weights = [], []
    for point in face.points:
        triangle, share, _ = nearest_on_triangles(point, mesh.neutral[skin].astype(np.float64))
        corners.append(skin[triangle])
        weights.append(share)
    return np.array([np.einsum("vc,vcx->vx", weights, posed(scene, row)[corners]) for row in values])


def solve(seen: np.ndarray, scores: np.ndarray, rest: Landmarks | None) -> np.ndarray:
    """Weights [n, C] of landmarks [n, V, 3] whose first is at rest."""
    face = shipped_correspondence()
    if rest is None:
        return LandmarkSolver(seen[0], face).solve(seen, scores).weights
    neutral = neutral_of_frames(rest, known=True)
    return LandmarkSolver(neutral.points, face).solve(seen, relative_scores(scores, neutral.scores)).weights


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    model, mesh, face = find_face_model(None), load_head(find_head()), shipped_correspondence()
    channels = solved_channels(face)
    names = [name for name in channels if name not in UNSEEN]
    values = np.zeros((1 + len(names), mesh.rig.size), np.float32)
    for row, name in zip(values[1:], names, strict=True):
        row[mesh.rig.index(name)] = LEVEL
        if name == "mouthClose":
            row[mesh.rig.index("jawOpen")] = LEVEL
    truth = true_points(mesh, values)
    wanted = values[:, [mesh.rig.index(name) for name in channels]].astype(np.float64)
    silent, exact = solve(truth, np.zeros_like(wanted), None), solve(truth, wanted, None)
    kinds = {"plain": look(mesh, values, model)}
    colours = textured(mesh, np.random.Generator(np.random.Philox(0)))
    gloss = scene_of(mesh).materials[1]
    Scene.materials = property(lambda scene: (colours, gloss))  # type: ignore[assignment,method-assign]
    kinds["textured"] = look(load_head(find_head()), values, model)
    rows = []
    weights = {}
    for kind, seen in kinds.items():
        sight = seen.landmarks(slice(None))
        weights[kind] = solve(camera_points(seen.places, 1.0), sight.scores_of(channels), seen.landmarks(slice(0, 1)))
        if options.pictures is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            write_png(options.pictures / f"{kind}.png", np.hstack(seen.pictures[:6]))
    moved = truth[1:] - truth[0]
    follows = {}
    for kind, seen in kinds.items():
        points = camera_points(seen.places, 1.0)[:, :VERTICES]
        head = Pose.of(truth[0], points[:1], np.ones(VERTICES)).to_head(points)
        own = head[1:] - head[0]
        pairs = [(a[:, :2].ravel(), b[:, :2].ravel()) for a, b in zip(own, moved, strict=True)]
        follows[kind] = [(float(np.corrcoef(a, b)[0, 1]), float(a @ b / (b @ b))) for a, b in pairs]
    print(
        f"{'channel':20} truth          follows / moves: plain, textured    found: plain, textured, score (of {LEVEL})"
    )
    for n, name in enumerate(names):
        c = channels.index(name)
        told = [value for kind in kinds for value in follows[kind][n]]
        score = kinds["textured"].landmarks(slice(None)).scores_of((name,))[n + 1, 0]
        row = [
            silent[n + 1, c],
            exact[n + 1, c],
            *told,
            weights["plain"][n + 1, c],
            weights["textured"][n + 1, c],
            score,
        ]
        rows.append(row)
        print(f"{name:20} " + "  ".join(f"{value:5.2f}" for value in row))
    print(f"{'median':20} {np.median(rows, axis=0).round(2)}")


if __name__ == "__main__":
    main()
