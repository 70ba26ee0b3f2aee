"""ARKit channels from landmarks: a linear head, its pose, and non-negative sparse weights.

Model of a frame, in the head's own space (`rigid_pose.Pose.to_head`), V landmarks, C solved channels:

    x = n + sum over c of w_c B_c + J u + noise,      0 <= w <= 1

n [V, 3] is the performer's neutral face (`neutral_face`), B what the channels of the ICT head do to the landmarks
(`face_correspondence`), u a small motion of the head (`rigid_pose.small_motions`): pose and face are solved together,
so that a turned head is no expression. The noise of a landmark along the camera's axis is `DEPTH_NOISE` times that in
the picture. The weights minimise

    1/2 |x - n - B w - J u|^2 / noise^2 + 1/2 |u / spread|^2
        + sum_c sparse_c w_c + sum_c 1/2 trust_c (w_c - score_c)^2 + sum of rivals g w_a w_b

(MAP with Gaussian noise, exponential weights, MediaPipe's scores as a Gaussian prior where they are worth it, and pairs
of channels that undo each other). u is eliminated (Schur complement); what remains is a non-negative least squares of C
unknowns per frame, solved by cyclic coordinate descent for all frames at once (Franc, Hlavac and Navara 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from msmdcli.tracking.face_correspondence import (
    GAZE,
    UNSEEN,
    FaceCorrespondence,
    landmark_weights,
    shipped_correspondence,
    stable_weights,
)
from msmdcli.tracking.rigid_pose import Pose, small_motions

VERSION = 4  # of this procedure
NOISE = 1.0  # mm, of a landmark in the picture
DEPTH_NOISE = 4.5  # times NOISE, along the camera's axis: MediaPipe guesses depth
INDEPENDENT = 60.0  # landmarks err together: 468 say as much as so many that err each for itself
MOTION_SPREAD = (*np.radians((3.0, 3.0, 3.0)), 0.03, 2.0, 2.0, 3.0)  # of u: rad, rad, rad, share, mm, mm, mm
RIDGE = 1e-3  # of the mean curvature
SWEEPS = 60
CHUNK = 512  # frames solved at once
ROUNDS = 2  # pose, then weights, then pose again

# Sparsity: the prior mean of a weight is 1 / SPARSE. Channels that are rare, or seen badly from the front, pay more.
SPARSE = 1.0
SPARSER = {
    "jawForward": 4.0,
    "jawLeft": 2.0,
    "jawRight": 2.0,
    "mouthFrownLeft": 4.0,  # an open jaw draws the corners down, too
    "mouthFrownRight": 4.0,
    "mouthLeft": 2.0,
    "mouthRight": 2.0,
    "mouthRollLower": 2.0,
    "mouthRollUpper": 2.0,
    "mouthFunnel": 2.0,
    "mouthPressLeft": 2.0,
    "mouthPressRight": 2.0,
    "mouthShrugLower": 4.0,
    "mouthShrugUpper": 10.0,
}
# Trust in MediaPipe's scores (relative to the performer's neutral): 1 / variance. The trusted ones follow the
# landmarks' own motion (R^2 0.5 to 0.9) or show what landmarks leave open (pursed lips); the others add a little. Some
# add nothing: those that never leave zero, wide eyes (0.1 where terrified people stare), and brows, which score as
# raised or lowered and never as both, as grief has them, and which landmarks see well.
TRUSTED = ("eyeBlink", "jawOpen", "mouthSmile", "mouthStretch", "mouthLowerDown", "mouthPucker")
DEAD = (
    *("noseSneer", "cheekSquint", "cheekPuff", "jawForward", "mouthDimple", "mouthPress"),
    *("eyeWide", "brow"),
)
TRUST, LITTLE_TRUST = 20.0, 5.0
TRUST_SHARE, LITTLE_SHARE = 0.3, 0.1  # of what the landmarks say of a channel themselves, at least
# Raised brows and wide eyes last for a take more often than not; where the resting face was found in the take itself,
# what was found of them there stands for the scores (sparsity would take the small ones for none).
RAISED = ("browInnerUp", "browOuterUp", "eyeWide")
RAISED_TRUST, RAISED_SHARE = 10.0, 0.3
# Pairs that undo each other, and how hard they exclude each other (share of the geometric mean of their curvatures).
RIVALS = (
    ("eyeWide", "eyeBlink", 0.6),
    ("eyeWide", "eyeSquint", 0.6),
    ("browDown", "browOuterUp", 0.3),
    ("mouthSmile", "mouthFrown", 0.3),
    ("mouthPucker", "mouthStretch", 0.3),
)
OPPOSITES = (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"))
OPPOSITE = 1.0


def solved_channels(face: FaceCorrespondence) -> tuple[str, ...]:
    """The channels that landmarks of the skin tell of; gaze comes from the irises (`gaze`)."""
    return tuple(name for name in face.channels if name not in UNSEEN and name not in GAZE)


@dataclass(frozen=True, eq=False)
class Solution:
    """T frames.

    Attributes:
        channels: [C] names.
        weights: [T, C] in 0..1.
        certainty: [T, C] in 0..1: by which share what is seen narrows the spread that a weight has beforehand.
        pose: of the head before the camera.
        points: [T, V, 3] mm: the landmarks in the head's space, under that pose.
        error, still_error: [T] mm: mean distance in the picture between landmarks and what the weights say, and what
            the neutral face says.
    """

    channels: tuple[str, ...]
    weights: np.ndarray
    certainty: np.ndarray
    pose: Pose
    points: np.ndarray
    error: np.ndarray
    still_error: np.ndarray


class LandmarkSolver:
    """Solves frames of one performer.

    Args:
        neutral: [V, 3] mm, the performer's face at rest, in the size and place of the ICT head.
        face: what the channels do.
    """

    def __init__(self, neutral: np.ndarray, face: FaceCorrespondence | None = None) -> None:
        face = face or shipped_correspondence()
        self.channels = solved_channels(face)
        self.neutral = neutral
        self.centre = neutral.mean(axis=0)
        self.weights = landmark_weights()
        self.deltas = face.seen_deltas[[face.index(name) for name in self.channels]]  # [C, V, 3]
        self.motions = small_motions(neutral - self.centre)  # [7, V, 3]
        scale = INDEPENDENT / len(neutral) / NOISE**2
        self._scaled = self.weights * scale  # [V] precision of a landmark
        # For every pair of axes i, j: the curvatures' parts, of which a frame takes the sum weighted by its metric.
        self._square = _gram(self.deltas, self.deltas, self._scaled)  # [3, 3, C, C]
        self._mixed = _gram(self.deltas, self.motions, self._scaled)  # [3, 3, C, 7]
        self._moving = _gram(self.motions, self.motions, self._scaled)  # [3, 3, 7, 7]
        self._rivalry = _rivalry(self.channels, np.sqrt(np.einsum("iicc->c", self._square[:2, :2])))

    def solve(self, seen: np.ndarray, scores: np.ndarray, lasting: np.ndarray | None = None) -> Solution:
        """Weights and pose of frames.

        Args:
            seen: [T, >= V, 3] landmarks before the camera (`face_correspondence.camera_points`).
            scores: [T, C] MediaPipe's scores beyond the performer's neutral ones, 0..1.
            lasting: [C] the expression that a take lastingly has; `RAISED` channels are drawn to it.
        """
        if lasting is not None:
            raised = [name.startswith(RAISED) for name in self.channels]
            scores = np.where(raised, lasting, scores)
        seen = seen[:, : len(self.neutral)]
        pose = Pose.of(self.neutral, seen, stable_weights())
        weights = np.zeros((len(seen), len(self.channels)))
        certainty = np.zeros_like(weights)
        for _ in range(ROUNDS):
            points = pose.to_head(seen)
            motion = np.zeros((len(seen), 7))
            for start in range(0, len(seen), CHUNK):
                part = slice(start, start + CHUNK)
                weights[part], motion[part], certainty[part] = self._solve(
                    points[part], pose.rotation[part], scores[part], weights[part], lasting is not None
                )
            pose = pose.moved(motion, self.centre)
        points = pose.to_head(seen)
        rest = points - self.neutral
        error = self._in_picture(rest - np.tensordot(weights, self.deltas, 1), pose)
        return Solution(self.channels, weights, certainty, pose, points, error, self._in_picture(rest, pose))

    def _solve(
        self, points: np.ndarray, rotation: np.ndarray, scores: np.ndarray, start: np.ndarray, lasting: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights [T, C], motion [T, 7] and certainty [T, C] of frames whose pose is nearly known."""
        count = len(self.channels)
        metric = np.einsum("tji,j,tjk->tik", rotation, (1.0, 1.0, DEPTH_NOISE**-2), rotation)  # [T, 3, 3]
        pulled = np.einsum("tij,tvj->tvi", metric, points - self.neutral) * self._scaled[:, None]
        pulled = pulled.reshape(len(points), -1)
        linear = pulled @ self.deltas.reshape(count, -1).T  # [T, C]
        moved = pulled @ self.motions.reshape(7, -1).T  # [T, 7]
        square, mixed, moving = (np.tensordot(metric, part, 2) for part in (self._square, self._mixed, self._moving))
        inverse = np.linalg.inv(moving + np.diag(np.array(MOTION_SPREAD) ** -2.0))
        through = mixed @ inverse  # [T, C, 7]
        square = square - through @ mixed.transpose(0, 2, 1)
        linear = linear - np.einsum("tcm,tm->tc", through, moved)
        trust = trust_in_scores(self.channels, np.einsum("tcc->c", square) / len(square), lasting)
        ridge = RIDGE * float(np.einsum("tcc->", square)) / square[..., 0].size
        square = square + np.diag(trust + ridge)
        certainty = certainty_of(square)
        linear = linear + trust * scores - sparsity(self.channels)
        weights = non_negative(square + self._rivalry, linear, start)
        motion = np.einsum("tmn,tn->tm", inverse, moved - np.einsum("tcm,tc->tm", mixed, weights))
        return weights, motion, certainty

    def _in_picture(self, rest: np.ndarray, pose: Pose) -> np.ndarray:
        """Mean length [T] in mm of what remains [T, V, 3] as the camera sees it."""
        flat = np.einsum("tij,tvj->tvi", pose.rotation[:, :2], rest)
        return np.asarray(np.linalg.norm(flat, axis=-1) @ self.weights / len(self.weights))


def sparsity(channels: tuple[str, ...]) -> np.ndarray:
    """[C] what a unit of each weight costs."""
    return np.array([SPARSE * SPARSER.get(name, 1.0) for name in channels])


def trust_in_scores(channels: tuple[str, ...], curvature: np.ndarray, lasting: bool = False) -> np.ndarray:
    """[C] how hard each weight is pulled to its score; `curvature` [C] is how hard the landmarks pull.

    `lasting`: what stands in the place of the scores of `RAISED` channels is what they lastingly are.
    """
    return np.array(
        [
            max(RAISED_TRUST, RAISED_SHARE * own)
            if lasting and name.startswith(RAISED)
            else 0.0
            if name.startswith(DEAD)
            else max(TRUST, TRUST_SHARE * own)
            if name.startswith(TRUSTED)
            else max(LITTLE_TRUST, LITTLE_SHARE * own)
            for name, own in zip(channels, curvature, strict=True)
        ]
    )


def relative_scores(scores: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Scores [..., C] beyond those [C] of the performer's neutral face: 0 there, 1 at full."""
    neutral = np.minimum(neutral, 0.9)
    return np.asarray(np.clip((scores - neutral) / (1 - neutral), 0.0, 1.0))


def certainty_of(square: np.ndarray) -> np.ndarray:
    """[T, C]: by which share the spread of a weight is narrowed, of curvatures [T, C, C]: 1 - its standard deviation
    after / before anything is seen (1 / SPARSE)."""
    variance = np.einsum("tcc->tc", np.linalg.inv(square))
    return np.asarray(np.clip(1 - SPARSE * np.sqrt(np.maximum(variance, 0.0)), 0.0, 1.0))


def non_negative(square: np.ndarray, linear: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Minimise 1/2 w' square w - linear' w over 0 <= w <= 1, for T problems at once by cyclic coordinate descent.

    Args:
        square: [T, C, C] or [C, C].
        linear: [T, C].
        start: [T, C] where to begin.

    Returns:
        [T, C].
    """
    rows = np.ascontiguousarray(np.moveaxis(np.broadcast_to(square, (len(linear), *square.shape[-2:])), 1, 0))
    weights = np.zeros(linear.shape) if start is None else start.copy()
    for _ in range(SWEEPS):
        largest = 0.0
        for c, row in enumerate(rows):  # row [T, C]
            step = (linear[:, c] - np.einsum("tc,tc->t", row, weights)) / row[:, c]
            fresh = np.clip(weights[:, c] + step, 0.0, 1.0)
            largest = max(largest, float(np.abs(fresh - weights[:, c]).max(initial=0.0)))
            weights[:, c] = fresh
        if largest < 1e-4:
            break
    return weights


def _gram(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[3, 3, A, B] of displacements [A, V, 3] and [B, V, 3], for each pair of axes."""
    return np.asarray(np.einsum("avi,bvj->ijab", first * weights[:, None], second, optimize=True))


def _rivalry(channels: tuple[str, ...], size: np.ndarray) -> np.ndarray:
    """[C, C] curvature between channels that undo each other; `size` [C] is the root of each one's own."""
    rivalry = np.zeros((len(channels), len(channels)))
    pairs = [(a, b, strength) for first, second, strength in RIVALS for a, b in _same_side(first, second)]
    for first, second, strength in [*pairs, *((a, b, OPPOSITE) for a, b in OPPOSITES)]:
        if first in channels and second in channels:
            i, j = channels.index(first), channels.index(second)
            rivalry[i, j] = rivalry[j, i] = strength * size[i] * size[j]
    return rivalry


def _same_side(first: str, second: str) -> list[tuple[str, str]]:
    """Names of two channels that may have sides: both left, both right, or one of them in the middle."""
    sides = ("", "Left", "Right")
    return [(first + a, second + b) for a in sides for b in sides if a == b or not a or not b]
