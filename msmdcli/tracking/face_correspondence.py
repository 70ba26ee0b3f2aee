"""What the channels do to the landmarks: ICT-FaceKit's blendshapes at the places of MediaPipe's face landmarks.

`shipped/faces/landmarks.npz` holds, for each landmark, a point on the skin of the ICT head and how each ARKit channel
moves it. `python -m training.faces.landmark_correspondence` makes it: MediaPipe is shown the ICT head from many sides
and in several poses, and says itself where on the skin it sees each landmark. What is in that file besides the points:
the middle of the inner lips (where they touch), the openings of the lids, and the eyeballs.

V = 468 landmarks of the skin (the ten of the irises are no points of the skin), C channels, lengths in mm on the ICT
head: x to the person's own left, y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from msmdcli.paths import SHIPPED
from msmdcli.tracking.landmark_response import seen_motions
from msmdcli.tracking.shipped_arrays import shipped_arrays

FILE = SHIPPED / "faces" / "landmarks.npz"
FORMAT_VERSION = 1
VERTICES = 468

# Landmarks that expressions hardly move: forehead, corners of the eyes, bridge of the nose, temples.
STABLE = (10, 109, 338, 67, 297, 33, 263, 133, 362, 127, 356, 168, 6, 195, 234, 454)
# The outline of the face slides over the skin when the head turns: it counts little.
OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
OUTLINE_WEIGHT = 0.15
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
LIP_WEIGHT = 2.5  # edges that the landmarker finds well, and where faces say most
INNER_LIP_PAIRS = ((13, 14), (82, 87), (312, 317))  # upper, lower
MOUTH_CORNERS = (61, 291)
LEFT_LID_PAIRS = ((386, 374), (385, 380), (387, 373))  # upper, lower; left is the person's own
RIGHT_LID_PAIRS = ((159, 145), (158, 153), (160, 144))
LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = (362, 263), (33, 133)
LEFT_IRIS, RIGHT_IRIS = 473, 468  # their middles

UNSEEN = ("cheekPuff", "tongueOut")  # from the front, landmarks tell nothing of them
GAZE = tuple(f"eyeLook{way}{side}" for side in ("Left", "Right") for way in ("Down", "In", "Out", "Up"))


@dataclass(frozen=True, eq=False)
class FaceCorrespondence:
    """The landmarks on the ICT head.

    Attributes:
        channels: [C] names, in the order of arkit52.
        points: [V, 3] the landmarks on the head at rest.
        deltas: [C, V, 3] what each channel at 1 moves the skin there by.
        mirror: [V] the landmark on the other side of each.
        lip_gap: the opening of the lips at rest, in their middle.
        lip_gap_by: [C] what each channel at 1 adds to it.
        lid_gap: [2] the opening of the left and the right lids at rest, the mean of three places.
        lid_gap_by: [C, 2] what each channel at 1 adds to it.
        eyeballs: [2, 3] middles of the left and the right eyeball.
        made: how the file was made.
    """

    channels: tuple[str, ...]
    points: np.ndarray
    deltas: np.ndarray
    mirror: np.ndarray
    lip_gap: float
    lip_gap_by: np.ndarray
    lid_gap: np.ndarray
    lid_gap_by: np.ndarray
    eyeballs: np.ndarray
    made: str

    @classmethod
    def load(cls, path: Path = FILE) -> FaceCorrespondence:
        """Read a file.

        Raises:
            MsmdError: there is none, or it is no such file.
        """
        values = shipped_arrays(path, FORMAT_VERSION, [field.name for field in fields(cls)], "face correspondence")
        floats = {
            name: values[name].astype(np.float64)
            for name in ("points", "deltas", "lip_gap_by", "lid_gap", "lid_gap_by", "eyeballs")
        }
        return cls(
            channels=tuple(str(name) for name in values["channels"]),
            mirror=values["mirror"].astype(np.int64),
            lip_gap=float(values["lip_gap"]),
            made=str(values["made"]),
            **floats,
        )

    def save(self, path: Path) -> None:
        """Write the file: lengths of deltas to 2 micrometres."""
        small = {"points": np.float32, "deltas": np.float16}
        arrays = {field.name: np.asarray(getattr(self, field.name), small.get(field.name)) for field in fields(self)}
        arrays["deltas"][np.abs(arrays["deltas"]) < 0.01] = 0.0
        np.savez_compressed(path, format_version=np.array(FORMAT_VERSION), **arrays)  # type: ignore[arg-type]

    @cached_property
    def seen_deltas(self) -> np.ndarray:
        """[C, V, 3] what each channel at 1 moves MediaPipe's landmarks by (`landmark_response`)."""
        return seen_motions(self.channels, self.points, self.deltas)

    def index(self, name: str) -> int:
        """Of a channel."""
        return self.channels.index(name)


@lru_cache(maxsize=1)
def shipped_correspondence() -> FaceCorrespondence:
    """The one that ships, read once."""
    return FaceCorrespondence.load()


def landmark_weights() -> np.ndarray:
    """[V] how much each landmark counts, 1 on average."""
    weights = np.ones(VERTICES)
    weights[list(OUTLINE)] = OUTLINE_WEIGHT
    weights[list(LIPS)] = LIP_WEIGHT
    return weights / weights.mean()


def stable_weights() -> np.ndarray:
    """[V] 1 where expressions hardly move the skin."""
    weights = np.zeros(VERTICES)
    weights[list(STABLE)] = 1.0
    return weights


def camera_points(landmarks: np.ndarray, aspect: float) -> np.ndarray:
    """Landmarks [T, N, 3] in shares of the picture as points before a camera far away: x right, y up, z towards it,
    all in heights of the picture."""
    return np.asarray(landmarks, np.float64) * (aspect, -1.0, -aspect)
