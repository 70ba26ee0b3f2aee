"""The face in a still picture."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.tracking.capture import Landmarks
from msmdcli.tracking.landmarker import Landmarker
from msmdcli.tracking.track import no_face

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LOOKS = 4  # at the picture: the landmarker settles
MAX_HEIGHT = 1080


def is_still(path: Path) -> bool:
    """Whether a file's name says that it is a still picture."""
    return path.suffix.lower() in SUFFIXES


def still_landmarks(path: Path, face_model: Path) -> Landmarks:
    """The most prominent face of a picture, as one frame.

    Raises:
        MsmdError: no picture, damaged, or no face in it.
    """
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            height = min(frame.height, MAX_HEIGHT)
            width = max(2, round(frame.width * height / frame.height))
            picture = frame.reformat(width, height, "rgb24").to_ndarray()
    except (OSError, StopIteration, ValueError, IndexError) as error:  # av's errors are OSErrors or ValueErrors
        raise MsmdError(f"{path} cannot be read as a picture ({error})", hint="give a PNG or JPEG") from error
    with Landmarker(face_model) as landmarker:
        for look in range(LOOKS):
            faces = landmarker.find(picture, 33 * look)
        names = landmarker.shape_names
    if not faces:
        raise no_face(path)
    face = faces[0]
    places, scores = face.landmarks[None].astype(np.float64), face.shapes[None].astype(np.float64)
    return Landmarks(places, scores, names, picture.shape[1] / picture.shape[0], 25.0)
