"""MediaPipe's Face Landmarker, opened and closed properly and kept quiet.

One `Landmarker` reads one video: its tracker remembers the face from picture to picture, so every clip gets a new one.
The package is imported when the first one is opened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from zipfile import BadZipFile, ZipFile

import numpy as np

from msmdcli.errors import MsmdError, UsageError, install_command

if TYPE_CHECKING:
    from mediapipe import Image

LANDMARKS = 478
SHAPES = 52  # scores: `_neutral`, then ARKit's without tongueOut
DETECTOR = "face_detector.tflite"  # within the model file, which is a zip
LIBRARIES = "apt-get install libegl1 libgles2 libgl1"


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    Attributes:
        shapes: [52] float32, blendshape scores 0..1 in MediaPipe's order.
        matrix: [4, 4] float32, head to camera: x to the person's left, y up, z out of the face; centimetres.
        landmarks: [478, 3] float32: x, y in shares of the picture's width and height, z in shares of its width.
    """

    shapes: np.ndarray
    matrix: np.ndarray
    landmarks: np.ndarray


class Landmarker:
    """Finds faces in the pictures of one video.

    Args:
        model: the model file (`msmdcli.tracking.face_model`).
        faces: the most faces to look for. With 1 MediaPipe smooths landmarks over time, with more it does not.

    Attributes:
        shape_names: [52] names of `Face.shapes`, known after the first face.

    Raises:
        MsmdError: MediaPipe or the system libraries that it loads are absent, or the model is none.
    """

    def __init__(self, model: Path, faces: int = 1) -> None:
        vision = _vision()
        self.shape_names: tuple[str, ...] = ()
        self._stack = ExitStack()
        self._last = -1
        with _mediapipe_errors(model), quiet_stderr():
            from mediapipe.tasks.python import BaseOptions

            self._landmarker = self._stack.enter_context(
                vision.FaceLandmarker.create_from_options(
                    vision.FaceLandmarkerOptions(
                        base_options=BaseOptions(model_asset_path=str(model)),
                        running_mode=vision.RunningMode.VIDEO,
                        num_faces=faces,
                        output_face_blendshapes=True,
                        output_facial_transformation_matrixes=True,
                    )
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with quiet_stderr():
            self._stack.close()

    def find(self, picture: np.ndarray, milliseconds: int) -> list[Face]:
        """The faces in a picture [H, W, 3] uint8 RGB; pictures come in the order of time."""
        milliseconds = max(milliseconds, self._last + 1)
        self._last = milliseconds
        # The first picture and the first face set up the networks, which is talked about.
        with ExitStack() if self.shape_names else quiet_stderr():
            result = self._landmarker.detect_for_video(as_image(picture), milliseconds)
        if result.face_blendshapes and not self.shape_names:
            self.shape_names = tuple(score.category_name for score in result.face_blendshapes[0])
        return [
            Face(
                shapes=np.array([score.score for score in scores], np.float32),
                matrix=np.asarray(matrix, np.float32).reshape(4, 4),
                landmarks=np.array([(point.x, point.y, point.z) for point in points], np.float32),
            )
            for scores, matrix, points in zip(
                result.face_blendshapes, result.facial_transformation_matrixes, result.face_landmarks, strict=True
            )
        ]


class FaceCounter:
    """Counts the faces in single pictures, with the detector that is part of the landmarker's model file."""

    def __init__(self, model: Path) -> None:
        vision = _vision()
        try:
            with ZipFile(model) as archive:
                detector = archive.read(DETECTOR)
        except (BadZipFile, KeyError, OSError) as error:
            raise _no_model(model, error) from error
        self._stack = ExitStack()
        with _mediapipe_errors(model), quiet_stderr():
            from mediapipe.tasks.python import BaseOptions

            self._detector = self._stack.enter_context(
                vision.FaceDetector.create_from_options(
                    vision.FaceDetectorOptions(
                        base_options=BaseOptions(model_asset_buffer=detector), running_mode=vision.RunningMode.IMAGE
                    )
                )
            )
            self._detector.detect(as_image(np.zeros((64, 64, 3), np.uint8)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with quiet_stderr():
            self._stack.close()

    def count(self, picture: np.ndarray) -> int:
        """Faces in a picture [H, W, 3] uint8 RGB."""
        return len(self._detector.detect(as_image(picture)).detections)


def as_image(picture: np.ndarray) -> Image:
    """MediaPipe's image of [H, W, 3] uint8 RGB. It reads the array by its address, so rows must not be padded."""
    from mediapipe import Image, ImageFormat

    return Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture))


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Nothing that C++ code writes to the process's standard error is shown. (Its loggers know no switch.)"""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def need_mediapipe() -> None:
    """Refuse, in one sentence, where MediaPipe is not installed. (Whether it loads is found out when it is used.)"""
    if find_spec("mediapipe") is None:
        raise UsageError("tracking needs MediaPipe, which is not installed", hint=install_command("video"))


def _vision() -> Any:
    """The module `mediapipe.tasks.python.vision`."""
    need_mediapipe()
    try:
        with quiet_stderr():
            from mediapipe.tasks.python import vision
    except (ImportError, OSError) as error:
        raise _cannot_load(error) from error
    return vision


@contextmanager
def _mediapipe_errors(model: Path) -> Iterator[None]:
    """What MediaPipe raises while it opens, as errors that say what to do."""
    try:
        yield
    except (ImportError, OSError, AttributeError) as error:
        raise _cannot_load(error) from error
    except (RuntimeError, ValueError) as error:
        raise _no_model(model, error) from error


def _cannot_load(error: Exception) -> MsmdError:
    text = " ".join(str(error).split())
    missing = any(name in text for name in ("libEGL", "libGLES", "libGL"))
    return UsageError(
        f"MediaPipe cannot be loaded ({text})",
        hint=f"Debian and Ubuntu: {LIBRARIES}" if missing else install_command("video"),
    )


def _no_model(model: Path, error: Exception) -> MsmdError:
    text = " ".join(str(error).split())
    return MsmdError(f"{model} is not a face model that MediaPipe can load ({text[:200]})", hint="see --face-model")
