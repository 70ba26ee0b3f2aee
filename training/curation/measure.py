"""Looking at one clip: a pure function of its file (and of the models), so clips can be looked at anywhere.

Cheap steps come first, and a clip that already fails is not tracked; the limits say what fails (`checks`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import RATE, load_audio
from msmdcli.media.video import probe_video, read_video
from msmdcli.motion.motion import Motion
from msmdcli.motion.rotation import euler_from_quaternion, quaternion_from_euler, smooth_rotation
from msmdcli.tracking.track import Track, TrackOptions
from msmdcli.tracking.tracker import track_video
from training.curation.checks import Limits, fails_before_tracking
from training.curation.clip_data import ClipData, Measures, MeasureSettings
from training.curation.picture_cuts import THUMBNAIL_HEIGHT, look_at_pictures
from training.curation.proportions import unusual
from training.curation.speech_activity import find_speech, loudness_db
from training.curation.sync import agreement

FRONTAL = 30.0  # degrees up to which proportions can be measured
OFTEN = 0.75  # quantile of the turn that a clip is judged by
JUMP_SECONDS = 0.08  # within which a change of pose counts as a jump
JUMP_WIDTHS = 45.0  # a move by one face width is as much of a jump as a turn by so many degrees
PCM = 32767


def measure_clip(
    video: Path, settings: MeasureSettings, limits: Limits, sound: Path | None = None, face_model: Path | None = None
) -> ClipData:
    """Look at a clip. Whatever is wrong with it is in its measures; nothing is raised for a bad file.

    Args:
        video: the clip.
        settings: what it is measured with; `face_model` must be the model that they name.
        limits: decide only whether tracking is worth while.
        sound: a file with its sound, where that is apart from the picture.
        face_model: see `msmdcli.tracking.face_model`.

    Raises:
        UsageError: something is not installed.
    """
    nothing = np.zeros((0, 0, 3), np.uint8)
    try:
        info = probe_video(video)
        measures = Measures(
            seconds=round(float(info.seconds), 4),
            frames=info.frames,
            fps=str(info.fps),
            width=info.width,
            height=info.height,
            sound=info.has_audio or sound is not None,
        )
        pictures = look_at_pictures(read_video(video, max_height=THUMBNAIL_HEIGHT), float(info.seconds))
    except UsageError:
        raise
    except MsmdError as error:
        return ClipData(Measures(error=_plain(error, video)), None, np.zeros(0, np.int16), nothing)
    measures = replace(measures, cuts=pictures.cuts)

    samples = np.zeros(0, np.float32)
    if measures.sound:
        try:
            samples = load_audio(sound or video).samples
            speech = find_speech(samples)
            measures = replace(
                measures,
                sound_share=round(min(1.0, len(samples) / RATE / max(measures.seconds, 1e-9)), 4),
                loudness=loudness_db(samples),
                speech_seconds=speech.seconds,
                speech_share=speech.share,
            )
        except UsageError:
            raise
        except MsmdError as error:
            measures = replace(measures, sound_error=_plain(error, sound or video))
    untracked = ClipData(measures, None, np.zeros(0, np.int16), pictures.thumbnail)
    if fails_before_tracking(measures, limits):
        return untracked

    try:
        options = TrackOptions(face_model=face_model, max_height=settings.max_height, smooth=False, landmarks=True)
        track = track_video(video, options)
    except UsageError:
        raise
    except MsmdError as error:
        if "no face" in error.message:
            return replace(untracked, measures=replace(measures, tracked=True, found=0.0))
        return replace(untracked, measures=replace(measures, error=_plain(error, video)))
    measures = _with_face(measures, track)
    motion, first = _between_losses(track)
    begin = round(first * RATE / track.motion.fps)
    heard = samples[begin : begin + round(motion.seconds * RATE)]
    lags = agreement(heard, motion) if len(heard) >= RATE // 2 else np.zeros(0)
    measures = replace(measures, lag_agreement=tuple(None if np.isnan(v) else round(float(v), 4) for v in lags))
    pcm = np.clip(np.round(heard * PCM), -PCM, PCM).astype(np.int16)
    return ClipData(measures, motion, pcm, pictures.thumbnail)


def _plain(error: MsmdError, path: Path) -> str:
    """The error without the folder: a record must not depend on where its clip lay."""
    return error.message.replace(str(path), path.name)


def _with_face(measures: Measures, track: Track) -> Measures:
    found = track.found
    inner = np.flatnonzero(found)
    lost = ~found[inner[0] : inner[-1] + 1]
    assert track.landmarks is not None
    seen = found & (track.turn < FRONTAL)
    width = (track.box[:, 2] - track.box[:, 0]) * track.info.width
    aspect = track.info.width / track.info.height
    begin, end = (round(float(i / track.motion.fps), 3) for i in inner[[0, -1]])
    return replace(
        measures,
        tracked=True,
        cuts=tuple(time for time in measures.cuts if begin < time <= end),
        found=round(float(found.mean()), 4),
        longest_loss=round(_longest(lost) / float(track.motion.fps), 3),
        several=round(float((track.faces > 1).mean()), 4),
        turn=round(float(np.median(track.turn[found])), 2),
        turn_often=round(float(np.quantile(track.turn[found], OFTEN)), 2),
        jump=round(largest_jump(track), 2),
        confidence=round(float(track.confidence[found].mean()), 4),
        face_pixels=round(float(np.nanmedian(width)), 1),
        unusual=round(unusual(track.landmarks[seen], aspect), 2) if seen.any() else None,
    )


def largest_jump(track: Track) -> float:
    """The largest change of pose within JUMP_SECONDS, between frames that were measured; see `Measures.jump`."""
    step = max(1, round(JUMP_SECONDS * float(track.motion.fps)))
    if len(track.found) <= step:
        return 0.0
    assert track.motion.rig.rotation_indices is not None
    q = quaternion_from_euler(track.motion.values[:, list(track.motion.rig.rotation_indices)].astype(np.float64))
    dots = np.abs((q[step:] * q[:-step]).sum(axis=1)).clip(0, 1)
    turn = np.degrees(2 * np.arccos(dots))  # [T - step]
    size = np.array([track.info.width, track.info.height], np.float64)
    centre = (track.box[:, :2] + track.box[:, 2:]) / 2 * size
    width = (track.box[:, 2] - track.box[:, 0]) * size[0]
    moved = np.linalg.norm(centre[step:] - centre[:-step], axis=1) / np.maximum(width[step:], 1.0)
    both = track.found[step:] & track.found[:-step]
    jump = np.where(both, np.maximum(turn, np.nan_to_num(moved) * JUMP_WIDTHS), 0.0)
    return float(jump.max(initial=0.0))


def _longest(mask: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _between_losses(track: Track) -> tuple[Motion, int]:
    """The motion from the first frame with a face to the last, its head smoothed; and the first frame's number."""
    inner = np.flatnonzero(track.found)
    motion = track.motion.slice(int(inner[0]), int(inner[-1]) + 1)
    assert motion.rig.rotation_indices is not None
    head = list(motion.rig.rotation_indices)
    smooth = smooth_rotation(quaternion_from_euler(motion.values[:, head].astype(np.float64)), float(motion.fps))
    values = motion.values.copy()
    values[:, head] = np.unwrap(euler_from_quaternion(smooth), axis=0)
    meta = {"tracker": "MediaPipe FaceLandmarker"}
    meta |= {name: motion.meta[name] for name in ("tracker", "solver") if name in motion.meta}
    return Motion(values, motion.fps, motion.rig, meta).clip(), int(inner[0])
