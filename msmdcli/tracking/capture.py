"""A performance from landmarks: the whole way from tracked landmarks to channels, head and confidence.

    landmarks -> neutral face -> pose, weights -> curves without jitter -> lips and lids that touch -> gaze -> channels

Every step has a file of its own: `neutral_face`, `landmark_solver`, `sharp_smoothing`, `contact`, `gaze`,
`resting_head`. What landmarks cannot show (`UNSEEN`: the tongue, puffed cheeks) has confidence 0 and is named in the
motion's meta; a value of 0 there means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from msmdcli.motion.rotation import quaternions_of_matrices
from msmdcli.tracking.contact import lid_gaps, lip_openings, meet_lids, meet_lips
from msmdcli.tracking.face_correspondence import (
    GAZE,
    FaceCorrespondence,
    camera_points,
    shipped_correspondence,
)
from msmdcli.tracking.gaze import gaze_angles, look_channels, resting_gaze
from msmdcli.tracking.landmark_solver import LandmarkSolver, relative_scores, solved_channels
from msmdcli.tracking.lid_closure import lid_closures
from msmdcli.tracking.lid_range import LidRange, lid_range
from msmdcli.tracking.neutral_face import NeutralFace, find_neutral
from msmdcli.tracking.performer import Performer, gains_of
from msmdcli.tracking.sharp_smoothing import smooth

HALF_SEEN = 35.0  # degrees of yaw at which the far side's channels are trusted half as much as the near side's
ROM_REST_SHARE = 0.1  # of a range-of-motion take's frames, the quietest: the performer at rest


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What MediaPipe saw of one face at a constant rate, T frames.

    Attributes:
        places: [T, 478, 3] in shares of the picture.
        scores: [T, S] of `names` [S].
        aspect: width / height of the picture.
        fps: frames a second.
    """

    places: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]
    aspect: float
    fps: float

    def scores_of(self, channels: tuple[str, ...]) -> np.ndarray:
        """[T, C] the scores of these channels; 0 for those that MediaPipe has none of."""
        none = np.zeros(len(self.scores))
        return np.stack([self.scores[:, self.names.index(c)] if c in self.names else none for c in channels], axis=1)

    @property
    def seen(self) -> np.ndarray:
        """[T, 478, 3] before the camera."""
        return camera_points(self.places, self.aspect)


@dataclass(frozen=True, eq=False)
class Capture:
    """A performance, T frames.

    Attributes:
        channels: [52] ARKit's.
        values: [T, 52] in 0..1.
        confidence: [T, 52] in 0..1: how far the landmarks tell of a channel in that frame; 0 for what they cannot show.
        head: [T, 4] rotation of the head before the camera, as quaternions.
        neutral: the resting face that was found or given.
        gaze_rest: [2] degrees to the left and up where the eyes rest within the head.
        error, still_error: mm in the picture, of the solver and of the resting face (means over frames).
    """

    channels: tuple[str, ...]
    values: np.ndarray
    confidence: np.ndarray
    head: np.ndarray
    neutral: NeutralFace
    gaze_rest: np.ndarray
    error: float
    still_error: float


def neutral_of_frames(landmarks: Landmarks, known: bool) -> NeutralFace:
    """The resting face behind landmarks; `known`: they show it."""
    channels = solved_channels(shipped_correspondence())
    return find_neutral(landmarks.seen, landmarks.scores_of(channels), known=known)


def capture(
    landmarks: Landmarks,
    neutral: NeutralFace | None = None,
    performer: Performer | None = None,
    *,
    gaze_from_rest: bool = True,
) -> Capture:
    """Channels and head of a performance.

    Args:
        landmarks: at least one frame.
        neutral: the resting face; else the performer's, else found in the take itself.
        performer: a profile.
        gaze_from_rest: the eyes' resting direction reads as straight ahead.
    """
    face = shipped_correspondence()
    solved = solved_channels(face)
    seen, scores = landmarks.seen, landmarks.scores_of(solved)
    if neutral is None:
        neutral = performer.neutral if performer is not None else neutral_of_frames(landmarks, known=False)
    lasting = None if neutral.known else neutral.taken_out
    solution = LandmarkSolver(neutral.points, face).solve(seen, relative_scores(scores, neutral.scores), lasting)
    weights = solution.weights
    if performer is not None:
        weights = np.clip(weights * performer.gains, 0.0, 1.0)
    weights = smooth(weights, landmarks.fps)
    openings = lip_openings(solution.points, neutral, landmarks.scores_of(face.channels) @ face.lip_gap_by)
    weights = meet_lips(weights, solved, openings, face)
    lids = lids_of(landmarks, lid_gaps(solution.points), neutral)
    if performer is not None:
        lids = replace(lids, shut=performer.shut)
    blinks = landmarks.scores_of(("eyeBlinkLeft", "eyeBlinkRight"))
    closures = lid_closures(lids.closures(lid_gaps(solution.points)), blinks, landmarks.fps)
    angles = gaze_angles(seen, solution.pose, neutral.points, closures, face, landmarks.fps)
    rest = resting_gaze(angles)
    looks = look_channels(angles - rest if gaze_from_rest else angles)
    names = (*solved, *looks)
    weights = meet_lids(np.column_stack([weights, *looks.values()]), names, closures, face)
    wide = [names.index(f"eyeWide{side}") for side in ("Left", "Right")]
    weights[:, wide] = smooth(weights[:, wide], landmarks.fps)  # they are met by openings that tremble

    values = np.zeros((len(seen), len(face.channels)))
    confidence = np.zeros_like(values)
    order = [face.index(name) for name in names]
    values[:, order] = weights
    seen_eyes = 1.0 - np.clip(closures, 0.0, 1.0)
    for name, column in zip(solved, solution.certainty.T, strict=True):
        confidence[:, face.index(name)] = column
    for name in GAZE:
        confidence[:, face.index(name)] = seen_eyes[:, 0 if name.endswith("Left") else 1]
    confidence *= side_seen(solution.pose.rotation, face)
    return Capture(
        face.channels,
        values,
        confidence,
        quaternions_of_matrices(solution.pose.rotation),
        neutral,
        rest,
        float(solution.error.mean()),
        float(solution.still_error.mean()),
    )


def lids_of(landmarks: Landmarks, gaps: np.ndarray, neutral: NeutralFace) -> LidRange:
    """The range of the lids in a take whose lids are `gaps` [T, 2] mm apart."""
    blinks, squints = (landmarks.scores_of((f"{kind}Left", f"{kind}Right")) for kind in ("eyeBlink", "eyeSquint"))
    return lid_range(gaps, blinks, squints, lid_gaps(neutral.points), known=neutral.known)


def side_seen(rotation: np.ndarray, face: FaceCorrespondence) -> np.ndarray:
    """[T, 52] how well each channel's side of the face is seen under head rotations [T, 3, 3]: 1 towards the camera."""
    yaw = np.degrees(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))  # to the person's own left
    hidden = {"Left": yaw, "Right": -yaw}
    seen = np.ones((len(rotation), len(face.channels)))
    for i, name in enumerate(face.channels):
        side = next((side for side in hidden if name.endswith(side)), None)
        turned = np.abs(yaw) / 2 if side is None else np.maximum(hidden[side], 0.0)
        seen[:, i] = 1.0 / (1.0 + (turned / HALF_SEEN) ** 4)
    return seen


def calibrate(landmarks: Landmarks, name: str, made_from: str, neutral: NeutralFace | None = None) -> Performer:
    """A performer's profile from a range-of-motion take; its quietest frames are the resting face if none is given."""
    face = shipped_correspondence()
    solved = solved_channels(face)
    scores = landmarks.scores_of(solved)
    if neutral is None:
        quiet = np.argsort(scores.sum(axis=1), kind="stable")[: max(5, round(ROM_REST_SHARE * len(scores)))]
        quiet.sort()
        neutral = find_neutral(landmarks.seen[quiet], scores[quiet], known=True)
    solution = LandmarkSolver(neutral.points, face).solve(landmarks.seen, relative_scores(scores, neutral.scores))
    gaps = lid_gaps(solution.points)
    rest = lid_gaps(neutral.points)
    shut = np.quantile(gaps, 0.01, axis=0)
    shut = np.where(shut < 0.5 * rest, shut, 0.1 * rest)  # who never shut the eyes is taken for usual
    return Performer(name, solved, neutral, shut, gains_of(solution.weights, solved), made_from)
