"""Which face is seen in which picture: MediaPipe over the pictures, and the face that is meant among several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.video import read_video
from msmdcli.tracking.face_choice import FaceTrack, link_faces
from msmdcli.tracking.face_geometry import detail_of
from msmdcli.tracking.frames import interpolated
from msmdcli.tracking.landmarker import FaceCounter, Landmarker
from msmdcli.tracking.track import Seen, Sighting, TrackOptions, no_face

COUNT_EVERY = 0.25  # s between two counts of the faces
WARM_UP = 0.4  # s before `start` that are tracked but not kept: the tracker's own smoothing settles
LEAST_SHARE = 0.05  # of the pictures, in which a face must be seen to count as one of several
SAME_FACE = 0.3  # intersection over union of two boxes
HIDE_MARGIN = 0.15  # of a box's sides, by which a face that is hidden is painted over more widely


def look(
    path: Path,
    model: Path,
    options: TrackOptions,
    *,
    faces: int = 1,
    hidden: Sequence[np.ndarray] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Seen:
    """Run MediaPipe over the pictures of the part that is asked for.

    Args:
        faces: the most faces to look for. Only where it is 1, faces are counted.
        hidden: per picture, boxes [n, 4] to paint over first.
    """
    times: list[Fraction] = []
    found: list[list[Sighting]] = []
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
            found.append([Sighting(face, detail_of(picture, face.landmarks)) for face in seen])
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
    return Seen(np.array([float(time) for time in times]), found, np.array(counts), several, size, names)


def choose(path: Path, model: Path, options: TrackOptions, seen: Seen) -> tuple[list[Sighting | None], list[str]]:
    """The face that is meant, per picture, and what to say about the others. `seen`: of the first pass."""
    number = options.face or 1
    all_faces = look(path, model, options, faces=max(options.max_faces, number))
    boxes = [np.array([face.box for face in found]).reshape(-1, 4) for found in all_faces.faces]
    tracks = link_faces(boxes, seen.times.tolist(), seen.aspect)
    tracks = [track for track in tracks if len(track.pictures) >= max(5, LEAST_SHARE * len(seen.times))]
    if number > len(tracks) and (number > 1 or seen.several):
        if not any(seen.faces):
            raise no_face(path)
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
    own = interpolated(seen.times, seen.times[pictures], own)  # [P, 4]
    member = dict(zip(track.pictures, track.members, strict=True))
    others = [np.delete(box, member[p], axis=0) if p in member else _apart(box, own[p]) for p, box in enumerate(boxes)]
    alone = look(path, model, options, hidden=others)
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
