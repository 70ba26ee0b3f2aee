"""From video to motion: MediaPipe's Face Landmarker on every picture, one face, a constant frame rate.

**Channels.** MediaPipe's 52 scores are 51 ARKit channels after `_neutral`; it has no `tongueOut`, which stays 0. Head
angles are those of its face transformation matrix, which are the rig's (`rigs/arkit52.yaml`).

**Time.** Every picture is tracked at its own time; frame i of the result is the face at start + i / fps. Where the
video has a constant rate, a frame *is* a picture; where it varies, a frame lies between two pictures and is
interpolated: blendshapes linearly, the head as a rotation (slerp).

**Lost faces.** Frames without a measurement are interpolated in the same way (held at the ends of the video) and
marked: `found` is False there, `confidence` 0, and stretches longer than `LONG_GAP` are listed in `gaps`.

**Several faces.** MediaPipe looks for one face, which it follows smoothly, while a detector counts faces a few times a
second. If that sees a second face, all faces are looked for in a second pass and linked over time
(`face_choice`); the most prominent one, or the one that was asked for, is followed in a third pass with the
others painted over.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.video import JITTER, VideoInfo, probe_video, read_video
from msmdcli.motion.head_smoothing import interpolate_rotation, one_sided, quaternions_of, smooth_rotation
from msmdcli.motion.motion import Motion, frame_count, load_npz, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import euler_from_quaternion
from msmdcli.paths import cache_dir
from msmdcli.system.files import sha256_of
from msmdcli.tracking.confidence import confidence_of, detail_of
from msmdcli.tracking.face_choice import FaceTrack, link_faces
from msmdcli.tracking.face_geometry import box_of, rotation_of, turn_of
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.landmarker import LANDMARKS, Face, FaceCounter, Landmarker

VERSION = 1  # of this procedure: cached tracks of another version are not used
LONG_GAP = 0.5  # s without a face beyond which filling in is guesswork
COUNT_EVERY = 0.25  # s between two counts of the faces
WARM_UP = 0.4  # s before `start` that are tracked but not kept: the tracker's own smoothing settles
SPARSE = 0.2  # s; between pictures farther apart than this nothing is known
LEAST_SHARE = 0.05  # of the pictures, in which a face must be seen to count as one of several
SAME_FACE = 0.3  # intersection over union of two boxes
HIDE_MARGIN = 0.15  # of a box's sides, by which a face that is hidden is painted over more widely
CALIBRATION_SHARE = 0.2  # the quietest share of frames that make a clip's neutral


@dataclass(frozen=True)
class TrackOptions:
    """How to track.

    Attributes:
        face_model: MediaPipe's model file; see `find_face_model` for where it is looked for otherwise.
        face: which face, 1 being the most prominent (the largest and steadiest over the clip, the default), 2 the next.
        max_faces: how many faces are told apart where there are several.
        max_height: larger pictures are made smaller before they are looked at.
        neutral: take the clip's own resting face away from the blendshapes (`neutral_of`).
        smooth: smooth the head's rotation.
        fps: frame rate of the motion. (default: the video's)
        start, stop: the part of the video to track, in seconds. (default: all)
        landmarks: keep the landmarks, too.
    """

    face_model: Path | None = None
    face: int | None = None
    max_faces: int = 4
    max_height: int = 720
    neutral: bool = False
    smooth: bool = True
    fps: Fraction | None = None
    start: float = 0.0
    stop: float | None = None
    landmarks: bool = False

    def __post_init__(self) -> None:
        if self.face is not None and self.face < 1:
            raise UsageError(f"face {self.face}: faces are counted from 1, the most prominent one")
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise UsageError(f"the part from {self.start:g} s to {self.stop} s is empty")


@dataclass(eq=False)
class Track:
    """One face over time, T frames.

    Attributes:
        motion: [T, 55] on the rig arkit52, at a constant frame rate.
        confidence: [T] float32, 0..1; 0 where the face was lost (`msmdcli.tracking.confidence` says what it measures).
        found: [T] bool: measured, not filled in.
        faces: [T] int32: faces seen, counted a few times a second.
        turn: [T] float32, degrees away from the camera (`turn_of`); filled in where lost.
        box: [T, 4] float32: x0, y0, x1, y1 in shares of the picture; NaN where lost.
        landmarks: [T, 478, 3] float32 in shares of the picture (z as x), NaN where lost; None unless asked for.
        gaps: first and last + 1 frame of each stretch longer than `LONG_GAP` without the face.
        info: of the video.
        warnings: what the user should know, a sentence each.
    """

    motion: Motion
    confidence: np.ndarray
    found: np.ndarray
    faces: np.ndarray
    turn: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray | None
    gaps: tuple[tuple[int, int], ...]
    info: VideoInfo
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Sighting:
    """One face in one picture, with its sharpness and contrast (`msmdcli.tracking.confidence.detail_of`)."""

    face: Face
    detail: tuple[float, float]

    @property
    def box(self) -> np.ndarray:
        return box_of(self.face.landmarks)  # [4]


@dataclass(eq=False)
class _Seen:
    """What was seen in P pictures.

    Attributes:
        times: [P] seconds after the first picture of the video.
        faces: per picture, the faces that the landmarker found.
        counts: [P] int, faces that were counted.
        several: there is a second face.
        size: width and height of the pictures as they were looked at.
        shape_names: of MediaPipe's scores.
    """

    times: np.ndarray
    faces: list[list[_Sighting]]
    counts: np.ndarray
    several: bool
    size: tuple[int, int]
    shape_names: tuple[str, ...]

    @property
    def aspect(self) -> float:
        return self.size[0] / self.size[1]


def track_video(
    path: Path, options: TrackOptions = TrackOptions(), progress: Callable[[float], None] | None = None
) -> Track:
    """Track the face in a video.

    Args:
        path: the video.
        options: see there.
        progress: told, now and then, how many seconds of the video are done.

    Raises:
        MsmdError: no video, damaged, no face in it, no such face; MediaPipe or its model is absent.
    """
    path = Path(path)
    model = find_face_model(options.face_model)
    info = probe_video(path)
    if options.start >= info.seconds:
        raise MsmdError(f"{path} lasts {float(info.seconds):.2f} s; there is nothing after {options.start:g} s")
    seen = _look(path, model, options, info, progress=progress)
    chosen = [found[0] if found else None for found in seen.faces]  # P
    warnings: list[str] = []
    if seen.several or (options.face or 1) > 1:
        chosen, warnings = _choose(path, model, options, info, seen)
    return _assemble(path, options, info, seen, chosen, warnings)


# ---- looking at the pictures -----------------------------------------------------------------------------------------


def _look(
    path: Path,
    model: Path,
    options: TrackOptions,
    info: VideoInfo,
    *,
    faces: int = 1,
    hidden: Sequence[np.ndarray] | None = None,
    progress: Callable[[float], None] | None = None,
) -> _Seen:
    """Run MediaPipe over the pictures of the part that is asked for.

    Args:
        faces: the most faces to look for. Only where it is 1, faces are counted.
        hidden: per picture, boxes [n, 4] to paint over first.
    """
    times: list[Fraction] = []
    found: list[list[_Sighting]] = []
    counts: list[int] = []
    samples: list[int] = []
    counted = -COUNT_EVERY
    size = (1, 1)
    begin = max(0.0, options.start - WARM_UP)
    with Landmarker(model, faces) as landmarker, FaceCounter(model) as counter:
        for time, picture in read_video(path, max_height=options.max_height, start=begin, stop=options.stop):
            if hidden is not None:
                picture = painted_over(picture, hidden[min(len(times), len(hidden) - 1)])
            seen = landmarker.find(picture, round(time * 1000))
            found.append([_Sighting(face, detail_of(picture, face.landmarks)) for face in seen])
            if faces == 1 and hidden is None and time >= counted + COUNT_EVERY:
                samples.append(counter.count(picture))
                counted = float(time)
            counts.append(max(len(seen), samples[-1] if samples else 0))
            times.append(time)
            size = picture.shape[1], picture.shape[0]
            if progress is not None:
                progress(max(0.0, float(time) - options.start))
        names = landmarker.shape_names
    if not times:
        raise MsmdError(f"{path} has no pictures between {options.start:g} s and {options.stop} s")
    several = sum(sample > 1 for sample in samples) >= 2  # a detector errs at times
    return _Seen(np.array([float(time) for time in times]), found, np.array(counts), several, size, names)


def _choose(
    path: Path, model: Path, options: TrackOptions, info: VideoInfo, seen: _Seen
) -> tuple[list[_Sighting | None], list[str]]:
    """The face that is meant, per picture, and what to say about the others. `seen`: of the first pass."""
    number = options.face or 1
    all_faces = _look(path, model, options, info, faces=max(options.max_faces, number))
    boxes = [np.array([face.box for face in found]).reshape(-1, 4) for found in all_faces.faces]
    tracks = link_faces(boxes, seen.times.tolist(), seen.aspect)
    tracks = [track for track in tracks if len(track.pictures) >= max(5, LEAST_SHARE * len(seen.times))]
    if number > len(tracks) and (number > 1 or seen.several):
        if not any(seen.faces):
            raise _no_face(path)
        if number > 1:
            there = "only one face" if len(tracks) < 2 else f"only {len(tracks)} faces"
            raise MsmdError(
                f"there is no face {number} in {path}: {there} can be followed", hint="--face 1 is the most prominent"
            )
    if len(tracks) < 2:
        return [found[0] if found else None for found in seen.faces], []

    track = tracks[number - 1]
    pictures = np.array(track.pictures)
    own = np.array([boxes[p][m] for p, m in zip(track.pictures, track.members, strict=True)])  # [n, 4]
    own = _interpolated(seen.times, seen.times[pictures], own)  # [P, 4]
    member = dict(zip(track.pictures, track.members, strict=True))
    others = [np.delete(box, member[p], axis=0) if p in member else _apart(box, own[p]) for p, box in enumerate(boxes)]
    alone = _look(path, model, options, info, hidden=others)
    chosen = [
        next((face for face in found if _overlap(face.box, own[p]) > SAME_FACE), None)
        for p, found in enumerate(alone.faces)
    ]
    where = ", ".join(f"{i} at {_where(other, seen.aspect)}" for i, other in enumerate(tracks[:6], start=1))
    return chosen, [f"{len(tracks)} faces; face {number} was tracked ({where}); --face chooses another"]


def painted_over(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The picture [H, W, 3] with boxes [n, 4] (shares of the picture), somewhat enlarged, in its mean colour."""
    if not len(boxes):
        return picture
    picture = picture.copy()
    height, width = picture.shape[:2]
    colour = picture.reshape(-1, 3).mean(axis=0)
    for x0, y0, x1, y1 in boxes:
        dx, dy = HIDE_MARGIN * (x1 - x0), HIDE_MARGIN * (y1 - y0)
        rows = slice(max(0, round((y0 - dy) * height)), max(0, round((y1 + dy) * height)))
        picture[rows, max(0, round((x0 - dx) * width)) : max(0, round((x1 + dx) * width))] = colour
    return picture


def _apart(boxes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Those of the boxes [n, 4] that are not the box `own` [4]."""
    return boxes[[_overlap(box, own) <= SAME_FACE for box in boxes]].reshape(-1, 4)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes [4]."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - common)


def _where(track: FaceTrack, aspect: float) -> str:
    x, y = track.place / np.array([aspect, 1.0])
    return f"{100 * x:.0f} % from the left and {100 * y:.0f} % from the top"


def _no_face(path: Path) -> MsmdError:
    return MsmdError(f"no face was found in {path}", hint="the face must be visible, upright and not in profile")


# ---- from pictures to frames -----------------------------------------------------------------------------------------


def _assemble(
    path: Path,
    options: TrackOptions,
    info: VideoInfo,
    seen: _Seen,
    chosen: list[_Sighting | None],
    warnings: list[str],
) -> Track:
    """Interpolate what was measured in pictures onto the constant grid of frames."""
    rig = Rig.load("arkit52")
    stop = min(info.seconds, Fraction(options.stop).limit_denominator(10**6)) if options.stop else info.seconds
    start = Fraction(options.start).limit_denominator(10**6)
    count = frame_count(stop - start, info.fps)
    grid = float(start) + np.arange(count) / float(info.fps)  # [T] s

    present = np.array([face is not None for face in chosen])  # [P]
    known = [sighting for sighting in chosen if sighting is not None]  # M of the P
    if not known:
        raise _no_face(path)
    times = seen.times[present]  # [M]
    landmarks = np.stack([one.face.landmarks for one in known])  # [M, 478, 3]
    turn = turn_of(landmarks, seen.aspect)  # [M]
    details = np.array([one.detail for one in known])  # [M, 2]
    confidence = confidence_of(landmarks, details, turn, np.flatnonzero(present), seen.size)  # [M]

    grid = _snapped(grid, seen.times)
    found = _measured_at(grid, seen.times, present)  # [T]
    if not found.any():
        raise _no_face(path)
    values = np.zeros((count, rig.size))  # [T, D]
    shapes = np.stack([one.face.shapes for one in known])  # [M, 52]
    for column, name in enumerate(seen.shape_names):
        if name in rig.channels:
            values[:, rig.index(name)] = np.interp(grid, times, shapes[:, column])
    matrices = np.stack([one.face.matrix for one in known])  # [M, 4, 4]
    head = interpolate_rotation(times, quaternions_of(rotation_of(matrices)), grid)  # [T, 4]
    gaps = _long_gaps(found, float(info.fps))
    if options.smooth:
        head = _smooth_between(head, gaps, float(info.fps))
    assert rig.rotation_indices is not None
    values[:, list(rig.rotation_indices)] = np.unwrap(euler_from_quaternion(head), axis=0)
    motion = Motion(values.astype(np.float32), info.fps, rig, _meta(path, options)).clip()
    if options.neutral:
        motion = without_neutral(motion, found)

    lost = ~found
    box = _interpolated(grid, times, box_of(landmarks))
    box[lost] = np.nan
    kept = None
    if options.landmarks:
        kept = _interpolated(grid, times, landmarks.reshape(len(known), -1)).reshape(count, LANDMARKS, 3)
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


def _interpolated(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
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


def _long_gaps(found: np.ndarray, fps: float) -> tuple[tuple[int, int], ...]:
    return tuple((a, b) for a, b in _runs(~found) if (b - a) / fps > LONG_GAP)


def _smooth_between(head: np.ndarray, gaps: tuple[tuple[int, int], ...], fps: float) -> np.ndarray:
    """Smooth rotations [T, 4] piece by piece: after a long gap the head may be anywhere."""
    kept = np.ones(len(head), bool)
    for a, b in gaps:
        kept[a:b] = False
    smoothed = head.copy()
    for a, b in _runs(kept):
        smoothed[a:b] = smooth_rotation(head[a:b], fps)
    return one_sided(smoothed)


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
        gaps=_long_gaps(track.found[nearest], float(fps)) if scale else (),
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


# ---- files -----------------------------------------------------------------------------------------------------------


def _meta(path: Path, options: TrackOptions) -> dict[str, str]:
    meta = {"source": path.name, "tracker": "MediaPipe FaceLandmarker"}
    if options.start:
        meta["start"] = f"{options.start:g}"
    return meta


def save_track(path: Path | str, track: Track) -> None:
    """Write a track as a motion npz (`load_npz` reads it) with the other arrays beside the motion."""
    extra: dict[str, np.ndarray] = {
        "confidence": track.confidence,
        "found": track.found,
        "faces": track.faces,
        "turn": track.turn,
        "box": track.box,
        "gaps": np.array(track.gaps, np.int32).reshape(-1, 2),
        "video": np.array(json.dumps({k: str(v) for k, v in vars(track.info).items()}, sort_keys=True)),
        "warnings": np.array(json.dumps(track.warnings, ensure_ascii=False)),
    }
    if track.landmarks is not None:
        extra["landmarks"] = track.landmarks
    save_npz(path, track.motion, extra)


def load_track(path: Path | str) -> Track:
    """Read what `save_track` wrote.

    Raises:
        MsmdError: no such file, no motion, a motion that is no track.
    """
    motion = load_npz(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            video = json.loads(str(file["video"]))
            info = VideoInfo(
                width=int(video["width"]),
                height=int(video["height"]),
                fps=Fraction(video["fps"]),
                variable=video["variable"] == "True",
                seconds=Fraction(video["seconds"]),
                frames=int(video["frames"]),
                rotation=int(video["rotation"]),
                has_audio=video["has_audio"] == "True",
            )
            return Track(
                motion=motion,
                confidence=file["confidence"],
                found=file["found"],
                faces=file["faces"],
                turn=file["turn"],
                box=file["box"],
                landmarks=file["landmarks"] if "landmarks" in file.files else None,
                gaps=tuple((int(a), int(b)) for a, b in file["gaps"]),
                info=info,
                warnings=tuple(str(text) for text in json.loads(str(file["warnings"]))),
            )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise MsmdError(f"{path} is a motion but no track ({error})", hint="msmd track writes tracks") from error


def tracked_motion(path: Path, options: TrackOptions = TrackOptions(), cache: Path | None = None) -> Motion:
    """The motion of a video, tracked once: kept in `cache` (default: the user's cache folder, `tracks/`) under the hash
    of the video's content, the model's and the options."""
    path = Path(path)
    if not path.is_file():
        probe_video(path)  # says what is wrong
    key = track_key(path, options)
    kept = (cache if cache is not None else cache_dir() / "tracks") / f"{key}.npz"
    if kept.is_file():
        try:
            return load_npz(kept)
        except MsmdError:
            kept.unlink(missing_ok=True)  # cut off by a full disk, say
    track = track_video(path, options)
    temporary = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}.msmd-tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_track(temporary, track)
        temporary.replace(kept)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    finally:
        temporary.unlink(missing_ok=True)
    return track.motion


def track_key(path: Path, options: TrackOptions) -> str:
    """What a track depends on, as a hash: the video's content, the model's content, the options, this program."""
    settings = {
        field.name: str(getattr(options, field.name)) for field in fields(options) if field.name != "face_model"
    }
    parts = (f"track {VERSION}", sha256_of(path), sha256_of(find_face_model(options.face_model)), json.dumps(settings))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
