"""The default mesh decoder: a linear map from the channels of arkit52 to MediaPipe's 468-point face, in mm.

    python -m training.faces.mesh_fit FOLDER... --out msmdcli/shipped/rigs/face468.yaml

fits it from tracked landmarks and writes the rig file that ships (with its npz). A FOLDER is the shared corpus, or one
of tracks that `msmd track --landmarks` wrote (one person a file).

Model, for a frame of person s with channel values x, head angles a and vertices y in the canonical face's space:

    y = n_s + B x + H h(a) + noise,        h = (pitch, yaw, roll, pitch^2, yaw^2, pitch yaw)

n_s is the person's own neutral face and H what a turned head does to the tracker's estimate; both are fitted along and
thrown away. B is what ships, on top of the neutral of MediaPipe's canonical face. It is a ridge regression whose
penalty grows with a vertex's distance from where the channel lives, so that two things that people do at the same time
do not become one; each frame is also counted mirrored, so that B is symmetric. The strength of the penalty is the
largest that costs at most 1 % of the least error on persons left out: rare channels then stay small instead of wild.

V = 468 vertices (the eyeballs, teeth and mouth of `training.faces.face_interior` come after them), C = 52 channels.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder, MeshPart, face_channels
from msmdcli.heads.rig_import import write_rig
from msmdcli.motion.rig import Rig
from msmdcli.system.npz_file import read_npz
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.rigid_pose import similarity
from training.data.augment import mirror_map
from training.faces.canonical_face import (
    CHIN,
    INNER_LIPS,
    LEFT_BROW,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_NOSTRIL,
    LIPS,
    LOWER_MID_LIP,
    NOSE_TIP,
    UPPER_MID_LIP,
    VERTICES,
    CanonicalFace,
    metric_landmarks,
)
from training.faces.face_interior import interior, lip_vertices, opened_triangles, with_closed_lips

FOLDS = 5
PENALTIES = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0)
TOLERATED = 1.01  # times the least held-out error
RADIUS = 20.0  # mm: distance from a channel's home at which its penalty is twice that at home
NUISANCE = 6  # head terms
NUISANCE_PENALTY = 1e-2
FEWEST_FRAMES = 10  # of a person
WEAK = 1.5  # mm: a channel that at 1 moves nothing farther has hardly been seen


@dataclass(frozen=True, eq=False)
class Person:
    """One person's frames, centred: what remains is how the face moves.

    Attributes:
        name: of the person.
        inputs: [T, C + NUISANCE] channels and head terms, minus their mean.
        vertices: [T, V, 3] mm, minus the person's mean face.
    """

    name: str
    inputs: np.ndarray
    vertices: np.ndarray


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted map and how good it is.

    Attributes:
        deltas: [C, V, 3] mm per unit.
        penalty: the strength chosen.
        errors: penalty -> mean held-out vertex error in mm.
        report: numbers for people; see `report_lines`.
    """

    deltas: np.ndarray
    penalty: float
    errors: dict[float, float]
    report: dict[str, Any]


# ---- tracks ----------------------------------------------------------------------------------------------------------


def read_persons(folders: Sequence[Path], canonical: CanonicalFace, rig: Rig) -> list[Person]:
    """All persons with landmarks in these folders.

    Raises:
        MsmdError: there are none, or too few to leave some out.
    """
    clips: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for folder in folders:
        for speaker, inputs, vertices in _clips(folder, canonical, rig):
            clips.setdefault(speaker, []).append((inputs, vertices))
    persons = []
    for name, own in sorted(clips.items()):
        inputs, vertices = (np.concatenate(parts) for parts in zip(*own, strict=True))
        if len(inputs) >= FEWEST_FRAMES:
            persons.append(Person(name, inputs - inputs.mean(axis=0), vertices - vertices.mean(axis=0)))
    if len(persons) < 2 * FOLDS:
        raise MsmdError(
            f"only {len(persons)} persons with landmarks; {2 * FOLDS} are needed",
            hint="`msmd track VIDEO... --out DIR --landmarks` keeps the landmarks",
        )
    return persons


def _clips(folder: Path, canonical: CanonicalFace, rig: Rig) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(speaker, inputs [T, C + NUISANCE], vertices [T, V, 3] mm) of each clip of a folder that has landmarks."""
    table = folder / "metadata.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            found = (_corpus_clip(folder, row, rig) for row in csv.DictReader(file))
            clips = [clip for clip in found if clip is not None]
    else:
        clips = [clip for path in sorted(folder.rglob("*.npz")) if (clip := _track_clip(path, rig)) is not None]
    for clip in clips:
        pitch, yaw, roll = clip.angles.T
        head = np.stack([pitch, yaw, roll, pitch**2, yaw**2, pitch * yaw], axis=1)  # [T, NUISANCE]
        vertices = metric_landmarks(clip.landmarks, clip.aspect, canonical)
        yield clip.speaker, np.concatenate([clip.values, head], axis=1), vertices


@dataclass(frozen=True, eq=False)
class _Clip:
    """The frames with a face of a clip: values [T, C], angles [T, 3] in radians, landmarks [T, 478, 3]."""

    speaker: str
    values: np.ndarray
    angles: np.ndarray
    landmarks: np.ndarray
    aspect: float


def _corpus_clip(folder: Path, row: dict[str, str], rig: Rig) -> _Clip | None:
    """A clip of the shared corpus (its README says what a file holds), or None where it has no landmarks."""
    path = folder / "tracked" / f"{row['clip']}.npz"
    if not path.is_file():
        return None
    file = read_npz(path)
    if "landmarks" not in file or not file["found"].any():
        return None
    found, names = file["found"], file["names"].tolist()
    given = file["blendshapes"][found].astype(np.float64)
    angles, landmarks = np.radians(file["head_euler_deg"][found]), file["landmarks"][found]
    empty = np.zeros(len(given))
    values = np.stack([given[:, names.index(c)] if c in names else empty for c in face_channels(rig)], axis=1)
    return _Clip(row["speaker"], values, angles, landmarks, int(row["width"]) / int(row["height"]))


def _track_clip(path: Path, rig: Rig) -> _Clip | None:
    """A clip that `msmd track --landmarks` has written, or None for any other file. Its name stands for the person."""
    from msmdcli.tracking.track import load_track

    try:
        track = load_track(path)
    except MsmdError:
        return None
    if track.landmarks is None or not track.found.any() or track.motion.rig.channels != rig.channels:
        return None
    values, head = track.motion.values[track.found], list(rig.rotation_indices or ())
    face = [rig.index(name) for name in face_channels(rig)]
    aspect = track.info.width / track.info.height
    return _Clip(path.stem, values[:, face], values[:, head], track.landmarks[track.found], aspect)


# ---- fitting ---------------------------------------------------------------------------------------------------------


class Regression:
    """The sums of a ridge regression, per person, mirrored frames included."""

    def __init__(self, persons: Sequence[Person], canonical: CanonicalFace, rig: Rig) -> None:
        self.distance = home_distance(canonical, rig)  # [C, V] mm
        mirror, swap = mirrored_vertices(canonical), _swapped_channels(rig)
        self.sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        head_sign = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
        count = len(swap)
        for person in persons:
            turned = np.concatenate([person.inputs[:, swap], person.inputs[:, count:] * head_sign], axis=1)
            flipped = (person.vertices * (-1.0, 1.0, 1.0))[:, mirror]
            weight = 0.5 / np.sqrt(len(person.inputs))  # long clips say more, but not in proportion
            square, product = np.zeros((len(turned[0]),) * 2), np.zeros((len(turned[0]), VERTICES * 3))
            for inputs, vertices in ((person.inputs, person.vertices), (turned, flipped)):
                square += weight * inputs.T @ inputs
                product += weight * inputs.T @ vertices.reshape(len(inputs), -1)
            self.sums[person.name] = square, product.reshape(-1, VERTICES, 3)

    def solve(self, names: Iterable[str], penalty: float) -> np.ndarray:
        """[C + NUISANCE, V, 3] from these persons."""
        chosen = [self.sums[name] for name in names]
        square = np.sum([s for s, _ in chosen], axis=0)
        product = np.sum([p for _, p in chosen], axis=0)
        strength = penalty * (1.0 + (self.distance / RADIUS) ** 4)  # [C, V]
        solution = np.empty_like(product)
        for vertex in range(VERTICES):
            own = np.concatenate([strength[:, vertex], np.full(NUISANCE, NUISANCE_PENALTY)])
            solution[:, vertex] = np.linalg.solve(square + np.diag(own), product[:, vertex])
        return solution


def fit(persons: Sequence[Person], canonical: CanonicalFace, rig: Rig, seed: int = 0) -> Fit:
    """Choose the penalty on persons left out, then fit all."""
    regression = Regression(persons, canonical, rig)
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(persons))
    folds = [[persons[i] for i in order[start::FOLDS]] for start in range(FOLDS)]
    errors: dict[float, list[dict[str, float]]] = {}
    for penalty in PENALTIES:
        errors[penalty] = []
        for fold in folds:
            left_out = {person.name for person in fold}
            solution = regression.solve((p.name for p in persons if p.name not in left_out), penalty)
            errors[penalty] += [held_out_error(person, solution) for person in fold]
    means = {penalty: float(np.mean([e["all"] for e in own])) for penalty, own in errors.items()}
    best = max(penalty for penalty in PENALTIES if means[penalty] <= TOLERATED * min(means.values()))
    deltas = regression.solve((person.name for person in persons), best)[:-NUISANCE]
    report = {
        "persons": len(persons),
        "frames": sum(len(person.inputs) for person in persons),
        "penalty": best,
        "held_out_mm": {name: float(np.mean([e[name] for e in errors[best]])) for name in errors[best][0]},
        "errors_by_penalty": means,
        "channels": {
            name: {
                "largest_mm": round(float(np.linalg.norm(deltas[c], axis=1).max()), 2),
                "spread": round(float(np.sqrt(np.mean([np.var(p.inputs[:, c]) for p in persons]))), 4),
            }
            for c, name in enumerate(face_channels(rig))
        },
    }
    return Fit(deltas, best, means, report)


def held_out_error(person: Person, solution: np.ndarray) -> dict[str, float]:
    """Mean vertex error in mm of a person that the solution has not seen: of the map, and of a face that stays still.

    The head terms are taken off both.
    """
    count = len(solution) - NUISANCE
    turned = np.einsum("tk,kvi->tvi", person.inputs[:, count:], solution[count:])
    still = person.vertices - turned  # [T, V, 3]
    rest = still - np.einsum("tk,kvi->tvi", person.inputs[:, :count], solution[:count])
    error, without = np.linalg.norm(rest, axis=2), np.linalg.norm(still, axis=2)  # [T, V]
    return {
        "all": float(error.mean()),
        "all_still": float(without.mean()),
        "lips": float(error[:, LIPS].mean()),
        "lips_still": float(without[:, LIPS].mean()),
    }


def home_distance(canonical: CanonicalFace, rig: Rig) -> np.ndarray:
    """[C, V] mm: how far each vertex is from where each channel lives."""
    points, mirror = canonical.vertices, mirrored_vertices(canonical)
    rows = []
    for name in face_channels(rig):
        left = _home(name.removesuffix("Left").removesuffix("Right"))
        right = [int(mirror[vertex]) for vertex in left]
        home = left if name.endswith("Left") else right if name.endswith("Right") else [*left, *right]
        if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            home = [*left, *right]
        rows.append(np.linalg.norm(points[:, None] - points[home], axis=2).min(axis=1))
    return np.stack(rows)


def _home(name: str) -> list[int]:
    """The landmarks on the person's left where a channel acts, of its name without a side."""
    if name.startswith("eye"):
        return list(LEFT_EYE)
    if name.startswith("brow"):
        return list(LEFT_BROW)
    if name.startswith("cheek"):
        return list(LEFT_CHEEK)
    if name.startswith("nose"):
        return list(LEFT_NOSTRIL)
    left_lips = [vertex for vertex in LIPS if vertex in LEFT_HALF_OF_LIPS]
    return [*left_lips, *CHIN] if name.startswith(("jaw", "mouthShrug")) else left_lips


LEFT_HALF_OF_LIPS = frozenset(
    (*(0, 13, 14, 17, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415),)
)


def mirrored_vertices(canonical: CanonicalFace) -> np.ndarray:
    """[V] the vertex on the other side of each; the canonical face is symmetric."""
    points = canonical.vertices
    return np.array([np.linalg.norm(points * (-1, 1, 1) - point, axis=1).argmin() for point in points])


def _swapped_channels(rig: Rig) -> np.ndarray:
    """[C] where each channel comes from when the face is mirrored."""
    swap, _ = mirror_map(rig)
    return swap[: len(face_channels(rig))]


# ---- the head that ships ---------------------------------------------------------------------------------------------


def make_head(canonical: CanonicalFace, deltas: np.ndarray, rig: Rig) -> MeshDecoder:
    """The decoder: canonical neutral, fitted deltas [C, V, 3], and the interior, which only the jaw moves."""
    channels = face_channels(rig)
    canonical = with_closed_lips(canonical)
    inside = interior(canonical)
    parts = [MeshPart("skin", (0.70, 0.52, 0.43), slice(0, VERTICES), opened_triangles(canonical))]
    neutral, moved = [canonical.vertices], [deltas]
    jaw = deltas[:, list(CHIN)].mean(axis=1)  # [C, 3] how each channel moves the chin
    jaw[[c for c, name in enumerate(channels) if not name.startswith("jaw")]] = 0.0
    first = VERTICES
    for part in inside:
        count = len(part.vertices)
        own = np.repeat(jaw[:, None] * part.follows_jaw, count, axis=1)  # [C, n, 3]
        moved.append(own)
        neutral.append(part.vertices)
        parts.append(MeshPart(part.name, part.colour, slice(first, first + count), part.triangles + first))
        first += count
    points = canonical.vertices
    high = float(points[NOSE_TIP, 1]) + 18.0  # mm: level with the middle of the nose
    upper = np.flatnonzero(points[:, 1] > high)
    stored = {
        "face": np.arange(VERTICES),
        "lips": lip_vertices(canonical),
        "upper_face": upper,
        "mouth_opening": np.array([UPPER_MID_LIP, LOWER_MID_LIP]),
        "mouth_line": np.array(sorted(INNER_LIPS)),
    }
    return MeshDecoder(
        rig, channels, np.concatenate(neutral).astype(np.float32), np.concatenate(moved, axis=1), tuple(parts), stored
    )


def compare_directions(ours: MeshDecoder, other: MeshDecoder) -> dict[str, float]:
    """Per channel, the cosine between our displacements and another head's at the nearest points, weighted by both
    lengths; the other head is first laid on ours by the eyes, the nose, the corners and the middle of the mouth."""

    def anchors(mesh: MeshDecoder, face: np.ndarray) -> np.ndarray:
        line = mesh.neutral[mesh.mouth]
        eyes = [mesh.neutral[eye].mean(axis=0) for eye in mesh.eyes]
        nose = mesh.neutral[face][mesh.neutral[face][:, 2].argmax()]
        corners = [line[line[:, 0].argmin()], line[line[:, 0].argmax()]]
        return np.stack([*eyes, nose, *corners, mesh.neutral[list(mesh.mid_lips)].mean(axis=0)]).astype(np.float64)

    source, target = anchors(other, other.face), anchors(ours, ours.face)
    scale, rotation, shift = (value[0] for value in similarity(source, target[None], np.ones(len(source))))
    placed = scale * other.neutral[other.face] @ rotation.T + shift  # [n, 3]
    face = ours.face
    nearest = np.array([np.linalg.norm(placed - point, axis=1).argmin() for point in ours.neutral[face]])
    cosines = {}
    for c, name in enumerate(ours.channels):
        if name in other.channels:
            mine = ours.deltas[c][face].astype(np.float64)
            theirs = scale * other.deltas[other.channels.index(name)][other.face][nearest] @ rotation.T
            lengths = float(np.sqrt((mine**2).sum() * (theirs**2).sum()))
            cosines[name] = float((mine * theirs).sum()) / lengths if lengths > 1e-6 else float("nan")
    return cosines


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for people."""
    held_out = report["held_out_mm"]
    yield f"{report['persons']} persons, {report['frames']} frames; penalty {report['penalty']:g}"
    yield (
        f"error on unseen persons: {held_out['all']:.2f} mm (a still face: {held_out['all_still']:.2f}), "
        f"lips {held_out['lips']:.2f} mm (still: {held_out['lips_still']:.2f})"
    )
    for name, own in report["channels"].items():
        cosine = report.get("directions", {}).get(name)
        told = "" if cosine is None else "  direction      -" if np.isnan(cosine) else f"  direction {cosine:6.2f}"
        weak = "  weak" if own["largest_mm"] < WEAK else ""
        yield f"{name:20} moves {own['largest_mm']:5.1f} mm  spread {own['spread']:.3f}{told}{weak}"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.mesh_fit`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.mesh_fit", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="folders of tracks with landmarks")
    parser.add_argument("--out", type=Path, required=True, metavar="RIG.yaml", help="rig file to write")
    parser.add_argument("--face-model", type=Path, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--head", type=Path, help="another head with ARKit targets, to compare directions with")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write the numbers here")
    options = parser.parse_args(arguments)
    rig = Rig.load("arkit52")
    try:
        if options.out.suffix not in (".yaml", ".yml"):
            raise UsageError(f"--out {options.out} is no .yaml file")
        canonical = CanonicalFace.load(find_face_model(options.face_model))
        found = fit(read_persons(options.folders, canonical, rig), canonical, rig)
        head = make_head(canonical, found.deltas, rig)
        report = dict(found.report)
        if options.head is not None:
            report["directions"] = compare_directions(head, load_head(options.head, rig))
        write_rig(options.out, head, provenance(options.out.stem, report))
        if options.report is not None:
            options.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    for line in report_lines(report):
        print(line)
    return 0


def provenance(name: str, report: dict[str, Any]) -> list[str]:
    """What the rig file says of itself, in paragraphs."""
    held_out = report["held_out_mm"]
    weak = [channel for channel, own in report["channels"].items() if own["largest_mm"] < WEAK]
    made = f"""Made by `python -m training.faces.mesh_fit`. The face at rest and its triangles are MediaPipe's canonical
        face model (Apache-2.0, from face_landmarker.task), its lips closed by calculation. How each channel moves it
        was fitted by ridge regression to tracked landmarks of {report["persons"]} persons ({report["frames"]} frames),
        each person's own neutral face removed: a linear map, in which no recording and no person's face is kept.
        Eyeballs, teeth and the inside of the mouth are calculated."""
    errors = f"""Error on persons left out of the fit: {held_out["all"]:.2f} mm over all vertices (a face that stays
        still: {held_out["all_still"]:.2f}), {held_out["lips"]:.2f} mm on the lips ({held_out["lips_still"]:.2f})."""
    lacking = f"""Weak (less than {WEAK} mm at 1), because the tracker hardly sees them, or of a gaze only the lids:
        {", ".join(weak)}."""
    return [
        f"{name}: the channels of arkit52 on a face of 468 points; the default head.",
        " ".join(made.split()),
        " ".join(errors.split()),
        " ".join(lacking.split()),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
