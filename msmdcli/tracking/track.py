"""What is tracked: the options, what was seen in each picture, one face over time, and its file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.video import VideoInfo
from msmdcli.motion.motion import LONGEST_RATE, Motion, load_npz, save_npz
from msmdcli.system.npz_file import read_npz
from msmdcli.tracking.face_geometry import box_of
from msmdcli.tracking.landmarker import Face

SOLVERS = ("landmarks", "scores")
LONG_GAP = 0.5  # s without a face beyond which filling in is guesswork


@dataclass(frozen=True)
class TrackOptions:
    """How to track.

    Attributes:
        face_model: MediaPipe's model file; see `find_face_model` for where it is looked for otherwise.
        face: which face, 1 being the most prominent (the largest and steadiest over the clip, the default), 2 the next.
        max_faces: how many faces are told apart where there are several.
        max_height: larger pictures are made smaller before they are looked at.
        solver: what makes channels of what MediaPipe sees: its 478 `landmarks` (`capture`), or its own 52 `scores`.
        neutral: where the performer's resting face is seen: a second of this video (`2.4`), a still, a clip, or `clip`
            for the take itself. By default the performer's profile, else the take. With `scores` only `clip` is known,
            and nothing is taken away by default (`neutral_of`).
        performer: a profile (`performer`).
        keep_head_pose: keep head and eyes as the camera sees them, not relative to the performer's resting direction.
        smooth: smooth the head's rotation.
        fps: frame rate of the motion. (default: the video's)
        start, stop: the part of the video to track, in seconds. (default: all)
        landmarks: keep the landmarks, too.
    """

    face_model: Path | None = None
    face: int | None = None
    max_faces: int = 4
    max_height: int = 720
    solver: str = "landmarks"
    neutral: str | None = None
    performer: Path | None = None
    keep_head_pose: bool = False
    smooth: bool = True
    fps: Fraction | None = None
    start: float = 0.0
    stop: float | None = None
    landmarks: bool = False

    def __post_init__(self) -> None:
        if self.face is not None and self.face < 1:
            raise UsageError(f"face {self.face}: faces are counted from 1, the most prominent one")
        if self.solver not in SOLVERS:
            raise UsageError(f"there is no solver {self.solver!r}", hint=f"--solver {' or '.join(SOLVERS)}")
        if self.solver == "scores" and (self.performer is not None or self.neutral not in (None, "clip")):
            raise UsageError(
                "--solver scores knows no profile and no resting face but the clip's own",
                hint="leave --performer out; --neutral clip takes the clip's own resting face away",
            )
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise UsageError(f"the part from {self.start:g} s to {self.stop} s is empty")


DEFAULT_OPTIONS = TrackOptions()


@dataclass(eq=False)
class Track:
    """One face over time, T frames.

    Attributes:
        motion: [T, 55] on the rig arkit52, at a constant frame rate.
        confidence: [T] float32, 0..1; 0 where the face was lost (`face_geometry.confidence_of` says what it measures).
        found: [T] bool: measured, not filled in.
        faces: [T] int32: faces seen, counted a few times a second.
        turn: [T] float32, degrees away from the camera (`turn_of`); filled in where lost.
        box: [T, 4] float32: x0, y0, x1, y1 in shares of the picture; NaN where lost.
        landmarks: [T, 478, 3] float32 in shares of the picture (z as x), NaN where lost; None unless asked for.
        gaps: first and last + 1 frame of each stretch longer than `LONG_GAP` without the face.
        info: of the video.
        warnings: what the user should know, a sentence each.
        scores: [T, S] float16, MediaPipe's scores of `score_names`, kept with the landmarks; None without.
        channel_confidence: [T, D] float32, 0..1: how far each channel can be trusted in each frame; 0 for channels that
            cannot be seen at all (`motion.meta["unseen"]`). None for tracks of MediaPipe's scores.
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
    scores: np.ndarray | None = None
    score_names: tuple[str, ...] = ()
    channel_confidence: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Sighting:
    """One face in one picture, with its sharpness and contrast (`msmdcli.tracking.face_geometry.detail_of`)."""

    face: Face
    detail: tuple[float, float]

    @property
    def box(self) -> np.ndarray:
        return box_of(self.face.landmarks)  # [4]


@dataclass(eq=False)
class Seen:
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
    faces: list[list[Sighting]]
    counts: np.ndarray
    several: bool
    size: tuple[int, int]
    shape_names: tuple[str, ...]

    @property
    def aspect(self) -> float:
        return self.size[0] / self.size[1]


def no_face(path: Path) -> MsmdError:
    return MsmdError(f"no face was found in {path}", hint="the face must be visible, upright and not in profile")


def save_track(path: Path | str, track: Track) -> None:
    """Write a track as a motion npz (`load_npz` reads it) with the other arrays beside the motion."""
    extra: dict[str, np.ndarray] = {
        "confidence": track.confidence,
        "found": track.found,
        "faces": track.faces,
        "turn": track.turn,
        "box": track.box,
        "gaps": np.array(track.gaps, np.int32).reshape(-1, 2),
        "video": np.array(json.dumps(_described(track.info), sort_keys=True)),
        "warnings": np.array(json.dumps(track.warnings, ensure_ascii=False)),
    }
    if track.landmarks is not None:
        extra["landmarks"] = track.landmarks
    if track.scores is not None:
        extra |= {"scores": track.scores, "score_names": np.array(track.score_names)}
    if track.channel_confidence is not None:
        extra["channel_confidence"] = track.channel_confidence
    save_npz(path, track.motion, extra)


def load_track(path: Path | str) -> Track:
    """Read what `save_track` wrote.

    Raises:
        MsmdError: no such file, no motion, a motion that is no track.
    """
    motion = load_npz(path)
    try:
        file = read_npz(Path(path))
        video = json.loads(str(file["video"]))
        info = VideoInfo(
            width=int(video["width"]),
            height=int(video["height"]),
            fps=_fraction(video["fps"]),
            variable=_flag(video["variable"]),
            seconds=_fraction(video["seconds"]),
            frames=int(video["frames"]),
            rotation=int(video["rotation"]),
            has_audio=_flag(video["has_audio"]),
        )
        per_frame = {name: file[name] for name in ("confidence", "found", "faces", "turn", "box")}
        for name, values in per_frame.items():
            if len(values) != motion.frames:
                raise ValueError(f"{len(values)} rows of {name} for {motion.frames} frames")
        return Track(
            motion=motion,
            **per_frame,
            landmarks=file.get("landmarks"),
            gaps=tuple((int(a), int(b)) for a, b in file["gaps"]),
            info=info,
            warnings=tuple(str(text) for text in json.loads(str(file["warnings"]))),
            scores=file.get("scores"),
            score_names=tuple(map(str, file.get("score_names", ()))),
            channel_confidence=file.get("channel_confidence"),
        )
    except (KeyError, ValueError, TypeError, RecursionError, OverflowError, ZeroDivisionError) as error:
        raise MsmdError(f"{path} is a motion but no track ({error})", hint="msmd track writes tracks") from error


def _fraction(text: str) -> Fraction:
    """A stored rate or duration. An exponent (1e999999999) would take for ever."""
    if len(str(text)) > LONGEST_RATE or "e" in str(text).lower():
        raise ValueError(f"{str(text)[:LONGEST_RATE]} is no fraction")
    return Fraction(text)


def _described(info: VideoInfo) -> dict[str, bool | str]:
    """A video as JSON: flags as they are, all numbers as text, for a fraction has no other form."""
    return {name: value if isinstance(value, bool) else str(value) for name, value in vars(info).items()}


def _flag(value: bool | str) -> bool:
    """A stored flag. Tracks of MSMD before it wrote JSON booleans hold the text `True` or `False`."""
    return value if isinstance(value, bool) else value == "True"
