"""What resting faces look like: the mean face of many people, and how people differ from it.

    python -m training.faces.neutral_faces FOLDER... [--out msmdcli/shipped/faces/neutral.npz]

A FOLDER is the shared corpus, or one of tracks that `msmd track --landmarks` wrote. Of each person who speaks calmly
and looks at the camera, the frames with the lips nearest to each other and the least activity give a face. The faces
are laid on each other by brows, eyes and nose, mirrored once, and small turns are taken out (Procrustes analysis; Gower
1975); mean and principal components are kept, and no face. Acted clips are left out by their tags, so that what is
measured on them is measured on strangers.
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
from msmdcli.tracking.neutral_face import FILE, RestingFaces, lip_gaps
from msmdcli.tracking.rigid_pose import Pose, small_motions
from training.faces.landmark_clips import LandmarkClip, read_clips

CALM = ("neutral", "neutral_read", "news_neutral", "conversational", "interview", "testimony", "interview_expressive")
STRANGERS = ("mead", "eamm", "ravdess", "stylewild", "lpstyle")  # clips of actors, kept for measuring
FRONTAL = np.radians(15.0)
FEWEST = 15  # frames
QUIET_SHARE = 0.2
MODES = 40
ROUNDS = 5
LEAST_PERSONS = 20


def resting_face(clip: LandmarkClip, face: FaceCorrespondence) -> tuple[np.ndarray, np.ndarray]:
    """A clip's face at rest [V, 3] on the scale of the ICT head, and the scores [S] there."""
    seen = clip.seen[:, :VERTICES]
    points = Pose.of(face.points, seen, stable_weights()).to_head(seen)
    gap, activity = lip_gaps(points), clip.scores[:, 1:].sum(axis=1)
    unrest = gap / max(gap.std(), 1e-6) + activity / max(activity.std(), 1e-6)
    quiet = np.argsort(unrest, kind="stable")[: max(5, round(QUIET_SHARE * len(points)))]
    return np.median(points[quiet], axis=0), np.median(clip.scores[quiet], axis=0)


def statistics(faces: np.ndarray, face: FaceCorrespondence) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean [V, 3], modes [K, V, 3], variances [K] and the fixed landmarks [V] of faces [n, V, 3]."""
    fixed = np.zeros(VERTICES)
    nose = face.points[1, 1]
    above = [v for v in range(VERTICES) if face.points[v, 1] > nose - 5 and v not in LIPS and v not in OUTLINE]
    fixed[above] = 1.0
    mean = faces.mean(axis=0)
    for _ in range(ROUNDS):
        laid = np.stack([Pose.of(mean, one[None], fixed).to_head(one[None])[0] for one in faces])
        mean = laid.mean(axis=0)
        mean = (mean + mean[face.mirror] * (-1, 1, 1)) / 2
        mean = Pose.of(face.points, mean[None], stable_weights()).to_head(mean[None])[0]
    both = np.concatenate([laid, laid[:, face.mirror] * (-1, 1, 1)]) - mean
    weights = np.sqrt(fixed[:, None] * (1.0, 1.0, 0.1))
    motions = small_motions(mean - mean.mean(axis=0))
    turned = (both * weights).reshape(len(both), -1) @ np.linalg.pinv((motions * weights).reshape(7, -1))
    both -= np.tensordot(turned, motions, 1)
    _, singular, modes = np.linalg.svd(both.reshape(len(both), -1), full_matrices=False)
    count = min(MODES, len(faces) - 1)
    return mean, modes[:count].reshape(count, -1, 3), singular[:count] ** 2 / (len(both) - 1), fixed


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m training.faces.neutral_faces`."""
    parser = argparse.ArgumentParser(
        prog="python -m training.faces.neutral_faces", description=str(__doc__).split("\n", 1)[0]
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=FILE, metavar="NPZ", help="file to write")
    options = parser.parse_args(arguments)
    face = shipped_correspondence()
    try:
        persons: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        names: tuple[str, ...] = ()
        for clip in (clip for folder in options.folders for clip in read_clips(folder)):
            calm = clip.tag in ("", *CALM) and not clip.name.startswith(STRANGERS)
            if calm and len(clip.scores) >= FEWEST and abs(np.median(clip.angles[:, 1])) <= FRONTAL:
                persons.setdefault(clip.speaker, []).append(resting_face(clip, face))
                names = clip.names
        if len(persons) < LEAST_PERSONS:
            raise MsmdError(
                f"only {len(persons)} persons with landmarks; {LEAST_PERSONS} are needed",
                hint="`msmd track VIDEO... --out DIR --landmarks` keeps the landmarks",
            )
        faces = np.array([np.mean([one for one, _ in own], axis=0) for own in persons.values()])
        scores = np.array([np.mean([one for _, one in own], axis=0) for own in persons.values()])
        mean, modes, variances, fixed = statistics(faces, face)
        RestingFaces(
            mean=mean,
            modes=modes,
            variances=variances,
            fixed=fixed,
            channels=np.array(names),
            scores=scores.mean(axis=0),
            scores_spread=scores.std(axis=0),
            made=f"python -m training.faces.neutral_faces: mean and principal components of {len(faces)} persons' "
            "resting landmarks, each mirrored; no face is kept",
        ).save(options.out)
    except MsmdError as error:
        print(f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return error.exit_code
    spread = float(np.sqrt(variances.sum() / mean.size))
    print(f"{options.out}: {len(faces)} persons, {len(modes)} modes, spread {spread:.2f} mm a coordinate")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
