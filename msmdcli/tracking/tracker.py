"""From video to motion: MediaPipe's Face Landmarker on every picture, one face, a constant frame rate.

**Channels.** By default they are solved from the landmarks (`capture`), and the head's angles with them, told from the
performer's own resting direction. `solver="scores"` takes MediaPipe's 52 scores instead: 51 ARKit channels after
`_neutral` (it has no `tongueOut`, which stays 0), and the angles of its face transformation matrix.

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
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.video import probe_video
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import cache_dir
from msmdcli.system.files import sha256_of, whole_file
from msmdcli.tracking.capture import Landmarks, calibrate, neutral_of_frames
from msmdcli.tracking.face_correspondence import shipped_correspondence
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.frames import assemble, is_seconds
from msmdcli.tracking.landmark_solver import VERSION as SOLVER_VERSION
from msmdcli.tracking.landmark_solver import solved_channels
from msmdcli.tracking.neutral_face import NeutralFace
from msmdcli.tracking.performer import Performer, load_performer
from msmdcli.tracking.sightings import choose, look
from msmdcli.tracking.still import is_still, still_landmarks
from msmdcli.tracking.track import (
    DEFAULT_OPTIONS,
    Seen,
    Sighting,
    Track,
    TrackOptions,
    load_track,
    no_face,
    save_track,
)

VERSION = 2  # of this procedure: cached tracks of another version are not used
NEUTRAL_REACH = 0.1  # s about the second that is named as neutral


def track_video(
    path: Path, options: TrackOptions = DEFAULT_OPTIONS, progress: Callable[[float], None] | None = None
) -> Track:
    """Track the face in a video.

    Args:
        path: the video.
        options: see there.
        progress: called now and then with the seconds of the video that are done.

    Raises:
        MsmdError: no video, damaged, no face in it, no such face; MediaPipe or its model is absent.
    """
    path = Path(path)
    model = find_face_model(options.face_model)
    info = probe_video(path)
    if options.start >= info.seconds:
        raise MsmdError(f"{path} lasts {float(info.seconds):.2f} s; there is nothing after {options.start:g} s")
    seen = look(path, model, options, progress=progress)
    chosen = [found[0] if found else None for found in seen.faces]  # P
    warnings: list[str] = []
    if seen.several or (options.face or 1) > 1:
        chosen, warnings = choose(path, model, options, seen)
    neutral, performer = None, None
    if options.solver == "landmarks":
        performer = (
            None
            if options.performer is None
            else load_performer(options.performer, solved_channels(shipped_correspondence()))
        )
        neutral = _given_neutral(path, model, options, seen, chosen)
    return assemble(path, options, info, seen, chosen, warnings, neutral, performer)


def calibrate_performer(path: Path, options: TrackOptions = DEFAULT_OPTIONS) -> Performer:
    """A performer's profile from a range-of-motion take.

    Raises:
        MsmdError: as of `track_video`.
    """
    path = Path(path)
    model = find_face_model(options.face_model)
    info = probe_video(path)
    seen = look(path, model, options)
    chosen = [found[0] if found else None for found in seen.faces]
    if seen.several or (options.face or 1) > 1:
        chosen, _ = choose(path, model, options, seen)
    neutral = _given_neutral(path, model, options, seen, chosen)
    return calibrate(_landmarks_of(path, seen, chosen, float(info.fps)), path.stem, path.name, neutral)


def _given_neutral(
    path: Path, model: Path, options: TrackOptions, seen: Seen, chosen: Sequence[Sighting | None]
) -> NeutralFace | None:
    """The resting face that the options name; None where it is to be found otherwise."""
    if options.neutral is None:
        return None
    if options.neutral == "clip":
        return neutral_of_frames(_landmarks_of(path, seen, chosen, 25.0), known=False)
    if is_seconds(options.neutral):
        at = float(options.neutral)
        near = [one if abs(time - at) <= NEUTRAL_REACH else None for one, time in zip(chosen, seen.times, strict=True)]
        if not any(near):
            raise MsmdError(
                f"there is no face at {at:g} s of {path}",
                hint="--neutral names a second of the part that is tracked",
            )
        return neutral_of_frames(_landmarks_of(path, seen, near, 25.0), known=True)
    other = Path(options.neutral)
    if not other.is_file():
        raise MsmdError(f"there is no file {other}", hint="--neutral takes a still, a clip, or a second of the video")
    if is_still(other):
        return neutral_of_frames(still_landmarks(other, model), known=True)
    faces = look(other, model, TrackOptions(max_height=options.max_height))
    return neutral_of_frames(_landmarks_of(other, faces, [f[0] if f else None for f in faces.faces], 25.0), known=True)


def _landmarks_of(path: Path, seen: Seen, chosen: Sequence[Sighting | None], fps: float) -> Landmarks:
    """What was seen, of the pictures that have the face."""
    known = [one.face for one in chosen if one is not None]
    if not known:
        raise no_face(path)
    places, shapes = np.stack([one.landmarks for one in known]), np.stack([one.shapes for one in known])
    return Landmarks(places, shapes, seen.shape_names, seen.aspect, fps)


def tracked_motion(
    path: Path,
    options: TrackOptions = DEFAULT_OPTIONS,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Motion:
    """The motion of a video, tracked once: kept in `cache` (default: the user's cache folder, `tracks/`) under the hash
    of the video's content, the model's and the options. `progress` as of `track_video`."""
    path = Path(path)
    if not path.is_file():
        probe_video(path)  # says what is wrong
    key = track_key(path, options)
    cached = (cache if cache is not None else cache_dir() / "tracks") / f"{key}.npz"
    if cached.is_file():
        try:
            return load_npz(cached)
        except MsmdError:
            cached.unlink(missing_ok=True)  # cut off by a full disk, say
    track = track_video(path, options, progress)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(cached) as temporary:
            save_track(temporary, track)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return track.motion


def kept_track(path: Path, options: TrackOptions = DEFAULT_OPTIONS, cache: Path | None = None) -> Track | None:
    """The track of a video that `tracked_motion` has tracked, with all that motion has no place for: several faces,
    frames without one, where the face is. None where nothing is kept of it."""
    cached = (cache if cache is not None else cache_dir() / "tracks") / f"{track_key(Path(path), options)}.npz"
    try:
        return load_track(cached)
    except MsmdError:
        return None


def track_key(path: Path, options: TrackOptions) -> str:
    """What a track depends on, as a hash: the video's content, the model's content, the options, this program."""
    settings = {
        field.name: str(getattr(options, field.name)) for field in fields(options) if field.name != "face_model"
    }
    for name in ("neutral", "performer"):  # files count by their content, not by their names
        if settings[name] != "None" and Path(settings[name]).is_file():
            settings[name] = sha256_of(Path(settings[name]))
    program = f"track {VERSION}" + (f", landmarks {SOLVER_VERSION}" if options.solver == "landmarks" else "")
    parts = (program, sha256_of(path), sha256_of(find_face_model(options.face_model)), json.dumps(settings))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
