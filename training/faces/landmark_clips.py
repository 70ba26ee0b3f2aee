"""Stored landmarks of clips: of the shared corpus, or of tracks that `msmd track --landmarks` wrote."""

from __future__ import annotations

import csv
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.tracking.face_correspondence import camera_points


@dataclass(frozen=True, eq=False)
class LandmarkClip:
    """The frames of a clip in which there is a face, T frames.

    Attributes:
        name: of the clip; `speaker`: who is seen; `tag`: how, in the corpus's words.
        path: of the video, where it is known, from the folder of clips.
        landmarks: [T, 478, 3] in shares of the picture.
        names: of `scores` [T, S], MediaPipe's.
        angles: [T, 3] pitch, yaw, roll in radians that MediaPipe's transformation tells.
        found: [T of the video] bool: the frames that are here.
        aspect: width / height of the picture.
        fps: frames a second.
    """

    name: str
    speaker: str
    tag: str
    path: str
    landmarks: np.ndarray
    names: tuple[str, ...]
    scores: np.ndarray
    angles: np.ndarray
    found: np.ndarray
    aspect: float
    fps: float

    @property
    def seen(self) -> np.ndarray:
        """[T, 478, 3] before the camera."""
        return camera_points(self.landmarks, self.aspect)

    def scores_of(self, channels: tuple[str, ...]) -> np.ndarray:
        """[T, C] the scores of these channels; 0 for those that MediaPipe has none of."""
        none = np.zeros(len(self.scores))
        return np.stack([self.scores[:, self.names.index(c)] if c in self.names else none for c in channels], axis=1)


def read_clips(folder: Path, names: Container[str] | None = None) -> Iterator[LandmarkClip]:
    """The clips with landmarks of a folder, in the order of their names: the shared corpus or tracks.

    Args:
        folder: with metadata.csv, or with tracks.
        names: of the clips that are wanted; all by default.

    Raises:
        MsmdError: there is no such folder.
    """
    if not folder.is_dir():
        raise MsmdError(f"{folder} is no folder", hint="name the shared corpus or a folder of tracks with landmarks")
    table = folder / "metadata.csv"
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            for row in sorted(csv.DictReader(file), key=lambda row: row["clip"]):
                if names is not None and row["clip"] not in names:
                    continue
                clip = corpus_clip(folder / "tracked" / f"{row['clip']}.npz", row)
                if clip is not None:
                    yield clip
        return
    for path in sorted(folder.rglob("*.npz")):
        if names is not None and path.stem not in names:
            continue
        clip = track_clip(path)
        if clip is not None:
            yield clip


def corpus_clip(path: Path, row: dict[str, str]) -> LandmarkClip | None:
    """A clip of the corpus, `row` of its metadata.csv; None where its file holds no landmarks."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if "landmarks" not in file.files or not file["found"].any():
            return None
        found = file["found"]
        return LandmarkClip(
            name=row["clip"],
            speaker=row["speaker"],
            tag=row["emotion_or_tag"],
            path=row["path"],
            landmarks=file["landmarks"][found].astype(np.float64),
            names=tuple(str(name) for name in file["names"]),
            scores=file["blendshapes"][found].astype(np.float64),
            angles=np.radians(file["head_euler_deg"][found].astype(np.float64)),
            found=found,
            aspect=int(row["width"]) / int(row["height"]),
            fps=float(file["fps"]),
        )


def track_clip(path: Path) -> LandmarkClip | None:
    """A track with landmarks; None for any other file. Its name stands for the person."""
    from msmdcli.tracking.track import load_track

    try:
        track = load_track(path)
    except MsmdError:
        return None
    if track.landmarks is None or track.scores is None or not track.found.any():
        return None
    head = list(track.motion.rig.rotation_indices or ())
    return LandmarkClip(
        name=path.stem,
        speaker=path.stem,
        tag="",
        path="",
        landmarks=track.landmarks[track.found].astype(np.float64),
        names=track.score_names,
        scores=track.scores[track.found].astype(np.float64),
        angles=track.motion.values[track.found][:, head].astype(np.float64),
        found=track.found,
        aspect=track.info.width / track.info.height,
        fps=float(track.motion.fps),
    )
