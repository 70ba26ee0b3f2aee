"""Original and dub next to each other in one video, with the new sound: the way to judge a dub by eye.

Left the original: the pictures of its video, cut to the face where that is known, or the head posed by its motion where
there is no video. Right the dub on the head. The dub runs in real time; the original is stretched to the dub's length
(a moment of the dub shows the moment of the original at the same share of the whole, which is also where `style_follow:
timeline` and `head: original` look). Of its pictures the nearest one before is shown; none is blended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np

from msmdcli.drawing.renderer import open_renderer
from msmdcli.errors import MsmdError
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import nv12_of, write_mp4
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

HEIGHT = 320  # pixels
MOST_FPS = 30  # a dub with more frames per second is shown at half of them, or a third ...
ROOM = 2.0  # side of the square around a face / the face
MOST_OF_TIME = 0.98  # share of the frames in which the face is within the square
WIDEST = 2.0  # width / height of the original's panel, at most


def write_side_by_side(
    path: Path,
    original: Path | Motion,
    dub: Motion,
    head: Path,
    samples: np.ndarray,
    rate: int,
    *,
    start: float = 0.0,
    stop: float | None = None,
    height: int = HEIGHT,
    window: tuple[float, float, float, float] | None = None,
    advance: Callable[[float], None] | None = None,
) -> None:
    """Write the video (H.264, AAC).

    Args:
        path: .mp4 file.
        original: a video, or the motion of an original that has no pictures.
        dub: the motion of the dub.
        head: GLB to draw motion on.
        samples, rate: the dub's sound, [S] float32 mono.
        start, stop: the part of a video that was dubbed, in seconds.
        height: of the picture; rounded up to an even number.
        window: left, top, right, bottom of the part of a video that is shown, in shares of its picture (`face_window`);
            None is all of it.
        advance: called after each picture, with its duration in seconds.

    Raises:
        MsmdError: the video or the head cannot be read; the file cannot be written.
    """
    height += height % 2  # H.264 wants even sides
    every = ceil(dub.fps / MOST_FPS)
    values, fps = dub.values[::every], dub.fps / every
    mesh = _head(head, dub.rig)
    if isinstance(original, Motion):
        left = _posed_pictures(original, len(values), height, head)
    else:
        left = _video_pictures(original, len(values), height, start, stop, window)

    renderer = open_renderer(mesh, height, height)

    def pictures() -> Iterator[np.ndarray]:
        for performed, dubbed in zip(left, renderer.film_pictures(values), strict=True):
            yield np.hstack([performed, dubbed])
            if advance is not None:
                advance(float(1 / fps))

    try:
        write_mp4(path, pictures(), fps, samples, rate)
    finally:
        renderer.close()


@lru_cache(maxsize=2)
def _head(path: Path, rig: Rig) -> MeshDecoder:
    return load_head(path, rig)


def _posed_pictures(original: Motion, count: int, height: int, head: Path) -> Iterator[np.ndarray]:
    """The head in the original's poses, stretched to `count` pictures [H * 3 / 2, H] NV12."""
    renderer = open_renderer(_head(head, original.rig), height, height)
    try:
        frames = np.arange(count) * original.frames // count
        yield from renderer.film_pictures(original.values[frames])
    finally:
        renderer.close()


def face_window(boxes: np.ndarray, aspect: float) -> tuple[float, float, float, float]:
    """The square around a face that stays where it is while the face moves in it.

    Args:
        boxes: [T, 4] left, top, right, bottom of the face, in shares of the picture.
        aspect: width / height of the picture.

    Returns:
        left, top, right, bottom in shares of the picture, within it.
    """
    left, top = np.percentile(boxes[:, :2], 100 * (1 - MOST_OF_TIME), axis=0)
    right, bottom = np.percentile(boxes[:, 2:], 100 * MOST_OF_TIME, axis=0)
    side = min(ROOM * max((right - left) * aspect, bottom - top), 1.0, aspect)  # in heights of the picture
    across, down = side / aspect, side
    x = float(np.clip((left + right) / 2 - across / 2, 0, 1 - across))
    y = float(np.clip((top + bottom) / 2 - down / 2, 0, 1 - down))
    return x, y, x + across, y + down


def _video_pictures(
    path: Path,
    count: int,
    height: int,
    start: float,
    stop: float | None,
    window: tuple[float, float, float, float] | None,
) -> Iterator[np.ndarray]:
    """The pictures of a video, or of a window of it, stretched to `count` pictures [H * 3 / 2, W] NV12, W even."""
    from msmdcli.media.video import probe_video, read_video

    info = probe_video(path)
    length = (float(info.seconds) if stop is None else min(stop, float(info.seconds))) - start
    left, top, right, bottom = window or (0.0, 0.0, 1.0, 1.0)
    aspect = info.width * (right - left) / (info.height * (bottom - top))
    width = 2 * round(min(height * aspect, height * WIDEST) / 2)
    coming = read_video(path, max_height=ceil(height / (bottom - top)), start=start, stop=stop)

    def cut(picture: np.ndarray) -> np.ndarray:
        rows, columns = picture.shape[:2]
        part = picture[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]
        return nv12_of(fitted(part, width, height))

    following = next(coming, None)
    if following is None:
        raise MsmdError(f"{path} has no picture from {start:g} s on")
    shown = cut(following[1])
    for number in range(count):
        time = start + length * number / count
        latest = None
        while following is not None and following[0] <= time:
            latest, following = following[1], next(coming, None)
        if latest is not None:
            shown = cut(latest)
        yield shown


def fitted(picture: np.ndarray, width: int, height: int, edge: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """[h, w, 3] uint8 -> [height, width, 3]: scaled to fit and centred on a colour, black by default."""
    import av

    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale))
    if (picture.shape[1], picture.shape[0]) != inner:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        picture = frame.reformat(*inner, format="rgb24", interpolation="BICUBIC").to_ndarray()
    result = np.full((height, width, 3), edge, np.uint8)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    result[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return result
