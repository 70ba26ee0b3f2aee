"""What a tracker saw of a corpus clip: MediaPipe's scores as the corpus stores them, or channels solved from landmarks.

The corpus carries a file of scores for every clip. `training.faces.solve_landmarks` writes another of the same clip:
`msmd track`'s channels, with the head's angles told from the person's own resting direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.motion.rig import Rig
from msmdcli.system.npz_file import read_npz

HEAD_CHANNELS = ("headPitch", "headYaw", "headRoll")  # order of the tracker's head_euler_deg
SCORES = "MediaPipe FaceLandmarker"


@dataclass(frozen=True, eq=False)
class ClipTrack:
    """Attributes:
    values: [T, D] a row per picture.
    found: [T] bool, pictures with the face; the values of others mean nothing.
    fps: pictures a second.
    tracker: who saw it.
    """

    values: np.ndarray
    found: np.ndarray
    fps: float
    tracker: str

    @classmethod
    def of_scores(cls, path: Path, rig: Rig) -> ClipTrack:
        """A file of the corpus's `tracked/`: `blendshapes` [T, 52] with `names` [52], `head_euler_deg` [T, 3], ..."""
        track = read_npz(path, ("blendshapes", "names", "head_euler_deg", "found", "fps"))
        values = np.zeros((len(track["found"]), rig.size))
        for column, name in enumerate(track["names"].tolist()):
            if name != "_neutral":
                values[:, rig.index(name)] = track["blendshapes"][:, column]
        for column, name in enumerate(HEAD_CHANNELS):
            values[:, rig.index(name)] = np.unwrap(np.radians(track["head_euler_deg"][:, column].astype(np.float64)))
        return cls(values, track["found"], float(track["fps"]), SCORES)

    @classmethod
    def of_landmarks(cls, path: Path, rig: Rig) -> ClipTrack:
        """A file of `training.faces.solve_landmarks`.

        Raises:
            MsmdError: it is no such file.
        """
        motion = load_npz(path, rig)
        found = read_npz(path, ("found",)).get("found")
        if found is None or found.shape != (motion.frames,):
            raise MsmdError(
                f"{path} does not say in which frames the face was found",
                hint="python -m training.faces.solve_landmarks makes such tracks",
            )
        tracker = f"{SCORES}, {motion.meta.get('solver', 'solver not named')}"
        return cls(motion.values.astype(np.float64), found.astype(bool), float(motion.fps), tracker)

    def motion(self, times: np.ndarray, fps: Fraction, rig: Rig) -> tuple[Motion, float]:
        """Motion at the clip's own picture rate.

        Args:
            times: [T] seconds of each picture after the first.
            fps: nominal picture rate; pictures that came at irregular times are interpolated onto its grid.
            rig: of the values.

        Returns:
            (motion [T', D] of the part between the first and the last found frame, seconds cut off at its beginning).
        """
        found = np.flatnonzero(self.found)
        first, last = int(found[0]), int(found[-1])
        grid = np.arange(np.floor((times[last] - times[first]) * float(fps) + 0.5) + 1) / float(fps) + times[first]
        values = np.stack([np.interp(grid, times[found], column) for column in self.values[found].T], axis=1)  # [T', D]
        return Motion(values=values.astype(np.float32), fps=fps, rig=rig, meta={}), float(times[first])
