"""Several faces in a video: which detections are one face over time, and which face is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

FARTHEST = 0.6  # of a face's own size: how far it may move between two pictures in which it was seen
ABSENCE = 0.5  # s without a sighting after which a place alone no longer says that it is the same face
SIZE_RATIO = 1.7  # how much larger or smaller a face may be at its next sighting


@dataclass(eq=False)
class FaceTrack:
    """One face over time.

    Attributes:
        pictures: the pictures in which it was seen, ascending.
        members: which of the faces of that picture it is, one for each of `pictures`.
        centres, sizes: [n, 2] and [n], in shares of the picture's height.
    """

    pictures: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    centres: list[np.ndarray] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    @property
    def prominence(self) -> float:
        """Size summed over the pictures, less for a restless face: the largest and steadiest has most."""
        steps = (
            np.linalg.norm(np.diff(np.array(self.centres), axis=0), axis=1) if len(self.centres) > 1 else np.zeros(1)
        )
        restlessness = float(np.mean(steps) / np.mean(self.sizes))
        return float(np.sum(self.sizes)) / (1.0 + 10.0 * restlessness)

    @property
    def place(self) -> np.ndarray:
        """Where it usually is: [2], in shares of the picture's height."""
        return np.median(np.array(self.centres), axis=0)


def link_faces(boxes: Sequence[np.ndarray], times: Sequence[float], aspect: float) -> list[FaceTrack]:
    """Link the faces of each picture to faces over time.

    A face continues the track whose last sighting is nearest, if that is within `FARTHEST` of its size, the sizes are
    alike, and the sighting was no longer than `ABSENCE` ago. Afterwards, pieces that follow each other at the same
    place are joined: somebody looked away and back.

    Args:
        boxes: per picture, [faces, 4] in shares of the picture (`msmdcli.tracking.face_geometry.box_of`).
        times: of each picture, in seconds.
        aspect: width / height of the picture.

    Returns:
        Tracks, the most prominent first.
    """
    tracks: list[FaceTrack] = []
    for picture, found in enumerate(boxes):
        scaled = np.asarray(found, np.float64).reshape(-1, 4) * np.array([aspect, 1.0, aspect, 1.0])
        centres = (scaled[:, :2] + scaled[:, 2:]) / 2  # [faces, 2]
        sizes = np.sqrt(np.prod(np.maximum(scaled[:, 2:] - scaled[:, :2], 1e-6), axis=1))  # [faces]
        near = [
            (float(np.linalg.norm(centres[member] - track.centres[-1])) / sizes[member], member, number)
            for number, track in enumerate(tracks)
            for member in range(len(scaled))
            if times[picture] - times[track.pictures[-1]] <= ABSENCE and _alike(sizes[member], track.sizes[-1])
        ]
        taken_members: set[int] = set()
        taken_tracks: set[int] = set()
        for distance, member, number in sorted(near):
            if distance <= FARTHEST and member not in taken_members and number not in taken_tracks:
                taken_members.add(member)
                taken_tracks.add(number)
                _extend(tracks[number], picture, member, centres[member], sizes[member])
        for member in range(len(scaled)):
            if member not in taken_members:
                tracks.append(FaceTrack())
                _extend(tracks[-1], picture, member, centres[member], sizes[member])
    return sorted(_join(tracks), key=lambda track: -track.prominence)


def _join(tracks: list[FaceTrack]) -> list[FaceTrack]:
    """Pieces of the same face, one after the other at the same place, as one."""
    joined: list[FaceTrack] = []
    for track in sorted(tracks, key=lambda track: track.pictures[0]):
        for earlier in joined:
            moved = float(np.linalg.norm(track.centres[0] - earlier.centres[-1]))
            if (
                earlier.pictures[-1] < track.pictures[0]
                and moved <= FARTHEST * track.sizes[0]
                and _alike(track.sizes[0], earlier.sizes[-1])
            ):
                earlier.pictures += track.pictures
                earlier.members += track.members
                earlier.centres += track.centres
                earlier.sizes += track.sizes
                break
        else:
            joined.append(track)
    return joined


def _alike(size: float, other: float) -> bool:
    return max(size, other) <= SIZE_RATIO * min(size, other)


def _extend(track: FaceTrack, picture: int, member: int, centre: np.ndarray, size: float) -> None:
    track.pictures.append(picture)
    track.members.append(member)
    track.centres.append(centre)
    track.sizes.append(float(size))
