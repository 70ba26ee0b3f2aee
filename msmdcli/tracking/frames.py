"""From pictures to frames: what was measured at the times of pictures, on a constant grid, its gaps filled in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.media.video import JITTER, VideoInfo
from msmdcli.motion.motion import Motion, frame_count
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import (
    euler_from_quaternion,
    interpolate_rotation,
    on_one_side,
    quaternions_of_matrices,
    rotation_of,
    smooth_rotation,
)
from msmdcli.tracking.capture import Landmarks, capture
from msmdcli.tracking.expression import FOUND
from msmdcli.tracking.face_correspondence import UNSEEN
from msmdcli.tracking.face_geometry import box_of, confidence_of, turn_of
from msmdcli.tracking.landmark_solver import VERSION as SOLVER_VERSION
from msmdcli.tracking.landmarker import LANDMARKS
from msmdcli.tracking.neutral_face import NeutralFace
from msmdcli.tracking.performer import Performer
from msmdcli.tracking.resting_head import relative_to, resting_direction
from msmdcli.tracking.track import LONG_GAP, Seen, Sighting, Track, TrackOptions, no_face

SPARSE = 0.2  # s; between pictures farther apart than this nothing is known
CALIBRATION_SHARE = 0.2  # the quietest share of frames that make a clip's neutral


def assemble(
    path: Path,
    options: TrackOptions,
    info: VideoInfo,
    seen: Seen,
    chosen: Sequence[Sighting | None],
    warnings: Sequence[str],
    neutral: NeutralFace | None = None,
    performer: Performer | None = None,
) -> Track:
    """Interpolate what was measured in pictures onto the constant grid of frames, and solve it there.

    Args:
        neutral, performer: see `capture.capture`; for the landmark solver.
    """
    rig = Rig.load("arkit52")
    stop = min(info.seconds, Fraction(options.stop).limit_denominator(10**6)) if options.stop else info.seconds
    start = Fraction(options.start).limit_denominator(10**6)
    count = frame_count(stop - start, info.fps)
    grid = float(start) + np.arange(count) / float(info.fps)  # [T] s

    present = np.array([face is not None for face in chosen])  # [P]
    known = [sighting for sighting in chosen if sighting is not None]  # M of the P
    if not known:
        raise no_face(path)
    times = seen.times[present]  # [M]
    landmarks = np.stack([one.face.landmarks for one in known])  # [M, 478, 3]
    turn = turn_of(landmarks, seen.aspect)  # [M]
    details = np.array([one.detail for one in known])  # [M, 2]
    confidence = confidence_of(landmarks, details, turn, np.flatnonzero(present), seen.size)  # [M]

    grid = _snapped(grid, seen.times)
    found = _measured_at(grid, seen.times, present)  # [T]
    if not found.any():
        raise no_face(path)
    values = np.zeros((count, rig.size))  # [T, D]
    shapes = np.stack([one.face.shapes for one in known])  # [M, 52]
    scores = interpolated(grid, times, shapes)  # [T, 52]
    places = interpolated(grid, times, landmarks.reshape(len(known), -1)).reshape(count, LANDMARKS, 3)
    gaps = long_gaps(found, float(info.fps))
    told, channel_confidence = _meta(path, options), None
    if options.solver == "landmarks":
        sight = Landmarks(places, scores, seen.shape_names, seen.aspect, float(info.fps))
        taken = capture(sight, neutral, performer, gaze_from_rest=not options.keep_head_pose)
        columns = [rig.index(name) for name in taken.channels]
        at = np.flatnonzero(found)
        values[:, columns] = interpolated(np.arange(count), at, taken.values[at])
        channel_confidence = np.zeros((count, rig.size), np.float32)
        channel_confidence[:, columns] = taken.confidence
        head = taken.head
        told |= {"solver": f"landmarks {SOLVER_VERSION}", "unseen": " ".join(UNSEEN), "neutral": _source(options)}
        if performer is not None:
            told["performer"] = performer.name
    else:
        for column, name in enumerate(seen.shape_names):
            if name in rig.channels:
                values[:, rig.index(name)] = scores[:, column]
        matrices = np.stack([one.face.matrix for one in known])  # [M, 4, 4]
        head = interpolate_rotation(times, quaternions_of_matrices(rotation_of(matrices)), grid)  # [T, 4]
    if options.smooth:
        head = _smooth_between(head, gaps, float(info.fps))
    assert rig.rotation_indices is not None
    if options.solver == "landmarks" and not options.keep_head_pose:
        rest = resting_direction(head[found])
        head = on_one_side(relative_to(rest, head))
        told["head_rest_degrees"] = " ".join(f"{a:.2f}" for a in np.degrees(euler_from_quaternion(rest)))
    values[:, list(rig.rotation_indices)] = np.unwrap(euler_from_quaternion(head), axis=0)
    motion = Motion(values.astype(np.float32), info.fps, rig, told).clip()
    if options.solver == "scores" and options.neutral == "clip":
        motion = without_neutral(motion, found)

    lost = ~found
    box = interpolated(grid, times, box_of(landmarks))
    box[lost] = np.nan
    if channel_confidence is not None:
        channel_confidence *= np.where(found, np.interp(grid, times, confidence), 0.0)[:, None].astype(np.float32)
    kept = None
    if options.landmarks:
        kept = places.copy()
        kept[lost] = np.nan
    nearest = np.clip(np.searchsorted(seen.times, grid + 1e-9, side="right") - 1, 0, len(seen.times) - 1)
    track = Track(
        motion=motion,
        confidence=np.where(found, np.interp(grid, times, confidence), 0.0).astype(np.float32),
        found=found,
        faces=seen.counts[nearest].astype(np.int32),
        turn=np.interp(grid, times, turn).astype(np.float32),
        box=box,
        landmarks=kept,
        gaps=gaps,
        info=info,
        warnings=(*warnings, *_gap_warnings(found, gaps, info.fps)),
        scores=scores.astype(np.float16) if options.landmarks else None,
        score_names=seen.shape_names if options.landmarks else (),
        channel_confidence=channel_confidence,
    )
    return track if options.fps is None else at_rate(track, options.fps)


def _snapped(grid: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Frame times [T], moved onto a picture's time where one lies within the rounding of a container's clock."""
    after = np.clip(np.searchsorted(times, grid), 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(times[before] - grid) < np.abs(times[after] - grid), before, after)
    return np.where(np.abs(times[nearest] - grid) <= float(JITTER), times[nearest], grid)


def _measured_at(grid: np.ndarray, times: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which frames [T] lie on a picture with the face, or between two such that follow each other closely."""
    before = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 1)
    after = np.clip(np.searchsorted(times, grid, side="left"), 0, len(times) - 1)
    close = times[after] - times[before] <= SPARSE
    at_end = (grid > times[-1]) & (grid - times[-1] <= SPARSE) | (grid < times[0]) & (times[0] - grid <= SPARSE)
    inside = (grid >= times[0]) & (grid <= times[-1])
    return found[before] & found[after] & ((inside & close) | at_end)


def interpolated(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [M, K] at `times` [M] -> [T, K] float32 at `at`, linearly; held at the ends."""
    after = np.clip(np.searchsorted(times, at, side="right"), min(1, len(times) - 1), len(times) - 1)
    before = np.maximum(after - 1, 0)
    span = np.where(after > before, times[after] - times[before], 1.0)
    share = np.clip((at - times[before]) / span, 0.0, 1.0)[:, None]
    return ((1 - share) * values[before] + share * values[after]).astype(np.float32)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def long_gaps(found: np.ndarray, fps: float) -> tuple[tuple[int, int], ...]:
    return tuple((a, b) for a, b in _runs(~found) if (b - a) / fps > LONG_GAP)


def _smooth_between(head: np.ndarray, gaps: tuple[tuple[int, int], ...], fps: float) -> np.ndarray:
    """Smooth rotations [T, 4] piece by piece: after a long gap the head may be anywhere."""
    kept = np.ones(len(head), bool)
    for a, b in gaps:
        kept[a:b] = False
    smoothed = head.copy()
    for a, b in _runs(kept):
        smoothed[a:b] = smooth_rotation(head[a:b], fps)
    return on_one_side(smoothed, first_up=True)


def _gap_warnings(found: np.ndarray, gaps: tuple[tuple[int, int], ...], fps: Fraction) -> list[str]:
    if not gaps:
        return []
    rate = float(fps)
    listed = ", ".join(f"{a / rate:.1f}-{b / rate:.1f} s" for a, b in gaps[:4]) + (", ..." if len(gaps) > 4 else "")
    return [f"no face in {1 - found.mean():.0%} of the frames, for long at {listed}; motion is filled in there"]


def at_rate(track: Track, fps: Fraction) -> Track:
    """The track at another frame rate: motion resampled, everything else taken from the nearest frame."""
    motion = track.motion.resample(fps)
    at = np.arange(motion.frames) * float(track.motion.fps / fps)
    nearest = np.clip(np.floor(at + 0.5).astype(int), 0, len(track.found) - 1)
    scale = fps / track.motion.fps
    return replace(
        track,
        motion=motion.clip(),
        confidence=track.confidence[nearest],
        found=track.found[nearest],
        faces=track.faces[nearest],
        turn=track.turn[nearest],
        box=track.box[nearest],
        landmarks=None if track.landmarks is None else track.landmarks[nearest],
        scores=None if track.scores is None else track.scores[nearest],
        channel_confidence=None if track.channel_confidence is None else track.channel_confidence[nearest],
        gaps=long_gaps(track.found[nearest], float(fps)) if scale else (),
    )


# ---- the clip's neutral ----------------------------------------------------------------------------------------------


def neutral_of(motion: Motion, found: np.ndarray) -> np.ndarray:
    """The clip's resting face: [D], zero in the head channels.

    The median, channel by channel, over the quietest fifth of the measured frames: those in which the least is active
    (the smallest sum of blendshapes). A performer's face at rest does not read as zero; this is what it reads as.
    """
    values = motion.values[found].astype(np.float64)
    head = motion.rig.indices("head")
    face = np.setdiff1d(np.arange(motion.rig.size), head)
    activity = values[:, face].sum(axis=1)
    quietest = np.argsort(activity, kind="stable")[: max(1, round(CALIBRATION_SHARE * len(values)))]
    neutral = np.median(values[quietest], axis=0)
    neutral[head] = 0.0
    return neutral


def without_neutral(motion: Motion, found: np.ndarray) -> Motion:
    """The motion with the clip's neutral taken away: (x - n) / (1 - n), so that rest is 0 and full stays 1."""
    neutral = np.minimum(neutral_of(motion, found), 0.9)
    values = (motion.values - neutral) / (1.0 - neutral)
    return Motion(values.astype(np.float32), motion.fps, motion.rig, {**motion.meta, "neutral": "removed"}).clip()


def _source(options: TrackOptions) -> str:
    """Where the resting face comes from, in words."""
    if options.neutral not in (None, "clip"):
        return str(options.neutral) if is_seconds(str(options.neutral)) else Path(str(options.neutral)).name
    return "profile" if options.performer is not None and options.neutral is None else FOUND


def is_seconds(text: str) -> bool:
    """Whether a `neutral` names a time."""
    return re.fullmatch(r"\d+(\.\d*)?", text) is not None


def _meta(path: Path, options: TrackOptions) -> dict[str, str]:
    meta = {"source": path.name, "tracker": "MediaPipe FaceLandmarker"}
    if options.start:
        meta["start"] = f"{options.start:g}"
    return meta
