"""A performer's face at rest, from frames in which it may never rest.

Two cases. *Known*: the frames show the neutral face (a still, a frame that was named, a clip of calm speech); only an
open mouth is taken out of them. *Robust*: the frames are the take itself. Then the person and a lasting expression must
be told apart, which landmarks alone leave open; the likeliest answer is taken (MAP):

    median landmarks = mean face + identity + sum over c of w_c B_c + small motion + noise

identity has the covariance of resting faces (`shipped/faces/neutral.npz`, made by `training.faces.neutral_faces`), the
weights w are non-negative and sparse and are drawn to MediaPipe's scores. Identity and motion are eliminated
(Woodbury), w is a non-negative least squares, and what w does not explain is the person. Lowered brows keep three
quarters of their size this way where more of the face frowns (`company_of_brows`), and are the person's where not; wide
eyes keep half (`benchmarks/capture.md`): name a neutral, or calibrate, where the size of an expression matters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from msmdcli.paths import SHIPPED
from msmdcli.tracking.face_correspondence import (
    INNER_LIP_PAIRS,
    FaceCorrespondence,
    landmark_weights,
    shipped_correspondence,
)
from msmdcli.tracking.landmark_solver import (
    DEPTH_NOISE,
    INDEPENDENT,
    NOISE,
    non_negative,
    relative_scores,
    solved_channels,
    sparsity,
)
from msmdcli.tracking.rigid_pose import Pose, small_motions
from msmdcli.tracking.shipped_arrays import shipped_arrays

FILE = SHIPPED / "faces" / "neutral.npz"
FORMAT_VERSION = 1
IDENTITY_SHARE = 0.25  # of the variance of resting faces: the rest is taken for the rest of an expression
MOTION_SPREAD = (*np.radians((4.0, 4.0, 4.0)), 0.05, 4.0, 4.0, 6.0)
SPARSE = {False: 0.1, True: 4.0}  # times the solver's: by whether the frames are known to be neutral
TRUST = {False: 15.0, True: 60.0}  # in the scores, or, where the frames are neutral, in zero
MOUTH_OPENING = ("jawOpen", "mouthClose", "mouthFunnel", "mouthLowerDown", "mouthUpperUp")  # speech, not rest
QUIET_SHARE = 0.05  # the quantile of a score over a take that may be its resting value
# What lasting scores mean: some of them fall far short, some never fire and are expected with their companions
# (brow and upper lip draw the nose up; Ekman and Friesen's action units 4, 9 and 10).
SHORT_SCORES = {"browDown": 2.0, "mouthFrown": 2.0, "eyeWide": 5.0}
COMPANIONS = {
    "noseSneer": {"browDown": 0.6, "mouthUpperUp": 0.6},
    "cheekSquint": {"mouthSmile": 0.3, "eyeSquint": 0.3},
}
# Low brows are a face as often as a frown. Who frowns for a whole take does so with more of the face: narrowed eyes, a
# raised or bared mouth, corners drawn down (score beyond the usual from which it counts, and at which it counts fully;
# what smiles raise is theirs). Lowered brows that have no such company are a frown by what they move.
LOWERED = "browDown"
COMPANY = {
    "eyeSquint": (0.32, 0.46),
    "mouthUpperUp": (0.08, 0.20),
    "mouthLowerDown": (0.08, 0.20),
    "mouthFrown": (0.04, 0.12),
}
SMILED = {"mouthUpperUp": 1.0, "mouthLowerDown": 0.25}  # of a smile's score, what it does of these
ALONE = 100.0  # times as sparse are lasting lowered brows that have no company
TOUCHING_SHARE, MOST_LIP_GAP = 0.03, 2.0  # people who speak close their lips: their least gap, mm at most
CLOSED_SHARE = 0.3  # of known neutral frames, those with the lips nearest to each other


@dataclass(frozen=True, eq=False)
class RestingFaces:
    """What people's resting faces look like.

    Attributes:
        mean: [V, 3] mm on the scale of the ICT head.
        modes: [K, V, 3] of unit length; `variances` [K] in mm^2.
        fixed: [V] 1 for the landmarks by which faces are laid on each other.
        channels: [C] names of `scores` [C], MediaPipe's scores of resting faces, and `scores_spread` [C].
        made: how the file was made.
    """

    mean: np.ndarray
    modes: np.ndarray
    variances: np.ndarray
    fixed: np.ndarray
    channels: np.ndarray
    scores: np.ndarray
    scores_spread: np.ndarray
    made: str

    @classmethod
    def load(cls, path: Path = FILE) -> RestingFaces:
        """Read a file.

        Raises:
            MsmdError: there is none, or it is no such file.
        """
        values = shipped_arrays(path, FORMAT_VERSION, [field.name for field in fields(cls)], "resting faces")
        made = str(values.pop("made"))
        kept = {name: v if name == "channels" else v.astype(np.float64) for name, v in values.items()}
        return cls(**kept, made=made)

    def save(self, path: Path) -> None:
        """Write the file."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        small = {"mean": np.float32, "modes": np.float16, "fixed": np.float16}
        arrays |= {name: arrays[name].astype(kind) for name, kind in small.items()}
        np.savez_compressed(path, format_version=np.array(FORMAT_VERSION), **arrays)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def shipped_resting_faces() -> RestingFaces:
    """The statistics that ship, read once."""
    return RestingFaces.load()


@dataclass(frozen=True, eq=False)
class NeutralFace:
    """A performer's resting face.

    Attributes:
        points: [V, 3] mm on the scale of the ICT head.
        scores: [C] MediaPipe's scores at rest, of the solved channels.
        taken_out: [C] weights that were judged to be expression and not face.
        known: from frames that are known to be neutral.
        lip_gap: mm between the inner lips in the picture where they touch.
    """

    points: np.ndarray
    scores: np.ndarray
    taken_out: np.ndarray
    known: bool
    lip_gap: float


def find_neutral(
    seen: np.ndarray,
    scores: np.ndarray,
    *,
    known: bool = False,
    face: FaceCorrespondence | None = None,
    people: RestingFaces | None = None,
) -> NeutralFace:
    """The resting face behind frames.

    Args:
        seen: [T, >= V, 3] landmarks before the camera.
        scores: [T, C] MediaPipe's scores of the solved channels.
        known: the frames show a neutral face.
        face, people: by default what ships.
    """
    face, people = face or shipped_correspondence(), people or shipped_resting_faces()
    channels = solved_channels(face)
    seen = seen[:, : len(people.mean)]
    points = Pose.of(people.mean, seen, people.fixed).to_head(seen)  # [T, V, 3]
    gaps = lip_gaps(points)
    if known and len(points) > 3:
        closed = gaps <= np.quantile(gaps, CLOSED_SHARE)
        points, scores, gaps = points[closed], scores[closed], gaps[closed]
    column = {str(name): i for i, name in enumerate(people.channels)}
    usual = np.array([people.scores[column[name]] if name in column else 0.0 for name in channels])
    spread = np.array([people.scores_spread[column[name]] if name in column else 0.0 for name in channels])
    if known:
        rest_scores, prior = np.median(scores, axis=0), np.zeros(len(channels))
        trust = np.where([name.startswith(MOUTH_OPENING) for name in channels], 0.0, TRUST[True])
        sparse = sparsity(channels) * np.where(trust > 0, SPARSE[True], SPARSE[False])
    else:
        rest_scores = np.minimum(np.quantile(scores, QUIET_SHARE, axis=0), usual + spread)
        beyond = relative_scores(scores, usual + spread)
        lasting = beyond.mean(axis=0)
        alone = 1.0 - company_of_brows(lasting, channels)
        lowered = np.array([name.startswith(LOWERED) for name in channels])
        lasting[lowered] = np.maximum(lasting[lowered] - alone * np.median(beyond[:, lowered], axis=0), 0.0)
        prior = expected_weights(lasting, channels)
        trust, sparse = np.full(len(channels), TRUST[False]), sparsity(channels) * SPARSE[False]
        sparse[lowered] *= 1.0 + (ALONE - 1.0) * alone
    middle = np.median(points, axis=0) if known else points.mean(axis=0)
    deltas = face.seen_deltas[[face.index(name) for name in channels]]
    taken = _expression(middle - people.mean, deltas, people, prior, trust, sparse)
    found = middle - np.tensordot(taken, deltas, 1)
    lip_gap = float(np.clip(np.quantile(gaps, TOUCHING_SHARE), 0.0, MOST_LIP_GAP))
    return NeutralFace(with_lip_gap(found, lip_gap), rest_scores, taken, known, lip_gap)


def company_of_brows(scores: np.ndarray, channels: tuple[str, ...]) -> float:
    """How far lasting scores [C] beyond the usual ones show a face that frowns with more than its brows: 0 to 1."""

    def level(kind: str) -> float:
        return float(np.mean([s for s, name in zip(scores, channels, strict=True) if name.startswith(kind)]))

    smile = level("mouthSmile")
    return max(
        float(np.clip((level(kind) - SMILED.get(kind, 0.0) * smile - first) / (full - first), 0.0, 1.0))
        for kind, (first, full) in COMPANY.items()
    )


def expected_weights(scores: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    """[C] the weights that lasting scores [C] beyond the usual ones stand for."""
    kinds = [name.removesuffix("Left").removesuffix("Right") for name in channels]
    expected = np.minimum(scores * [SHORT_SCORES.get(kind, 1.0) for kind in kinds], 1.0)
    for i, kind in enumerate(kinds):
        side = channels[i][len(kind) :]
        for companion, share in COMPANIONS.get(kind, {}).items():
            expected[i] += share * expected[channels.index(companion + side)]
    return np.minimum(expected, 1.0)


def _expression(
    rest: np.ndarray,
    deltas: np.ndarray,
    people: RestingFaces,
    prior: np.ndarray,
    trust: np.ndarray,
    sparse: np.ndarray,
) -> np.ndarray:
    """Weights [C] of the lasting expression in what a face differs from the mean face by, [V, 3]."""
    motions = small_motions(people.mean - people.mean.mean(axis=0)).reshape(7, -1)
    modes = np.concatenate([people.modes.reshape(len(people.modes), -1), motions])  # [K + 7, 3 V]
    variances = np.concatenate([people.variances * IDENTITY_SHARE, np.array(MOTION_SPREAD) ** 2])
    axes = np.array([1.0, 1.0, DEPTH_NOISE**-2]) / NOISE**2
    precision = (landmark_weights()[:, None] * axes * INDEPENDENT / len(people.mean)).ravel()  # [3 V]
    basis = deltas.reshape(len(deltas), -1)
    weighed = modes * precision
    inverse = np.linalg.inv(weighed @ modes.T + np.diag(1 / variances))
    through = (basis * precision) @ modes.T @ inverse  # [C, K + 7]
    square = (basis * precision) @ basis.T - through @ (weighed @ basis.T)
    linear = (basis * precision) @ rest.ravel() - through @ (weighed @ rest.ravel())
    square += np.diag(trust + 1e-3)
    weights = np.zeros((1, len(prior)))
    for _ in range(5):
        weights = non_negative(square, (linear + trust * prior - sparse)[None], weights)
    return np.asarray(weights[0])


def lip_gaps(points: np.ndarray) -> np.ndarray:
    """Opening [...] of the inner lips in mm, of landmarks [..., V, 3] in the head's space: the mean of three places."""
    upper, lower = ([pair[i] for pair in INNER_LIP_PAIRS] for i in (0, 1))
    return np.asarray((points[..., upper, 1] - points[..., lower, 1]).mean(axis=-1))


def with_lip_gap(points: np.ndarray, gap: float) -> np.ndarray:
    """Landmarks [V, 3] whose inner lips are `gap` mm apart, each lip moved by half; fading towards the corners."""
    points = points.copy()
    excess = lip_gaps(points) - gap
    for (upper, lower), share in _LIP_ROWS.items():
        points[upper, 1] -= share * excess / 2
        points[lower, 1] += share * excess / 2
    return points


# Inner lips from the middle to the corners, and by which share each follows the middle.
_LIP_ROWS = {
    (13, 14): 1.0,
    (82, 87): 1.0,
    (312, 317): 1.0,
    (81, 178): 0.8,
    (311, 402): 0.8,
    (80, 88): 0.5,
    (310, 318): 0.5,
    (191, 95): 0.25,
    (415, 324): 0.25,
}
