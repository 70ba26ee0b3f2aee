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
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.media.video import probe_video
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import cache_dir
from msmdcli.system.files import sha256_of, whole_file
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.frames import assemble
from msmdcli.tracking.sightings import choose, look
from msmdcli.tracking.track import DEFAULT_OPTIONS, Track, TrackOptions, load_track, save_track

VERSION = 1  # of this procedure: cached tracks of another version are not used


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
    return assemble(path, options, info, seen, chosen, warnings)


def tracked_motion(path: Path, options: TrackOptions = DEFAULT_OPTIONS, cache: Path | None = None) -> Motion:
    """The motion of a video, tracked once: kept in `cache` (default: the user's cache folder, `tracks/`) under the hash
    of the video's content, the model's and the options."""
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
    track = track_video(path, options)
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
    parts = (f"track {VERSION}", sha256_of(path), sha256_of(find_face_model(options.face_model)), json.dumps(settings))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
