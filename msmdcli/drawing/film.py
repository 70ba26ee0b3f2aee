"""A film of a motion: the head with its sound, alone or beside a video or another take of the same line.

Two films side by side run in real time from their first pictures on: left what the motion is compared with, right the
motion. The film is as long as the motion; what ends before it stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from msmdcli.drawing.renderer import open_renderer
from msmdcli.drawing.scene import background
from msmdcli.drawing.side_by_side import fitted
from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import nv12_of, write_mp4
from msmdcli.motion.motion import Motion
from msmdcli.system.files import cannot_write, temporary_path

MOST_FPS = 60  # of faster motion every second frame is shown, or every third ...
VIEWS = {"front": (0.0,), "three-quarter": (-0.7,), "both": (0.0, -0.7)}  # radians that the head is turned by


@dataclass(frozen=True)
class Film:
    """What the film looks like.

    Attributes:
        width, height: in pixels, even.
        view: of `VIEWS`.
        renderer: of `msmdcli.drawing.renderer.CHOICES`.
    """

    width: int = 1280
    height: int = 720
    view: str = "front"
    renderer: str = "auto"


@dataclass(frozen=True)
class FilmTake:
    """A motion and the head that shows it."""

    motion: Motion
    mesh: MeshDecoder


def write_film(
    path: Path,
    take: FilmTake,
    film: Film = Film(),
    *,
    beside: FilmTake | Path | None = None,
    samples: np.ndarray | None = None,
    rate: int = 48000,
    advance: Callable[[float], None] | None = None,
) -> str:
    """Write the film, whole or not at all (H.264, AAC).

    Args:
        path: .mp4 file.
        take: what is shown.
        film: how.
        beside: another take, or a video file.
        samples, rate: [S] float32 mono sound, or None.
        advance: called after each picture, with its duration in seconds.

    Returns:
        The name of the renderer that drew it.

    Raises:
        MsmdError: the video cannot be read, the file cannot be written.
    """
    every = ceil(take.motion.fps / MOST_FPS)
    values, fps = take.motion.values[::every], take.motion.fps / every
    panel = film.width // 4 * 2 if beside is not None else film.width  # even
    turns = VIEWS[film.view]
    temporary = temporary_path(path)
    with ExitStack() as stack:
        stack.callback(temporary.unlink, missing_ok=True)
        renderer = open_renderer(take.mesh, panel, film.height, turns, choice=film.renderer)
        stack.callback(renderer.close)
        shown = renderer.film_pictures(values)
        if isinstance(beside, FilmTake):
            speed, last = beside.motion.fps / fps, beside.motion.frames - 1
            frames = [min(int(number * speed), last) for number in range(len(values))]
            other = open_renderer(beside.mesh, film.width - panel, film.height, turns, choice=film.renderer)
            stack.callback(other.close)
            left: Iterator[np.ndarray] | None = other.film_pictures(beside.motion.values[frames])
        elif beside is not None:
            left = _video_pictures(beside, len(values), float(fps), film.width - panel, film.height)
        else:
            left = None

        def pictures() -> Iterator[np.ndarray]:
            for picture in shown:
                yield picture if left is None else np.hstack([next(left), picture])
                if advance is not None:
                    advance(float(1 / fps))

        write_mp4(temporary, pictures(), fps, samples, rate)
        try:
            temporary.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error
        return renderer.name


def _video_pictures(path: Path, count: int, fps: float, width: int, height: int) -> Iterator[np.ndarray]:
    """`count` NV12 pictures of a video at a constant rate, fitted to that size; the latest one at each time."""
    from msmdcli.media.video import read_video

    coming = read_video(path, max_height=height)
    following = next(coming, None)
    if following is None:
        raise MsmdError(f"{path} has no picture")
    edge = (int(background()[0]), int(background()[1]), int(background()[2]))
    shown = nv12_of(fitted(following[1], width, height, edge))
    for number in range(count):
        latest = None
        while following is not None and following[0] <= number / fps + 1e-6:
            latest, following = following[1], next(coming, None)
        if latest is not None:
            shown = nv12_of(fitted(latest, width, height, edge))
        yield shown
