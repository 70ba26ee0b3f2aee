"""Videos made for tests: any pictures at any times, turned by metadata, with a sound that starts when it likes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLOCK = 90000  # ticks per second in which times are written
BITS = 8


def numbered(number: int, width: int = 128, height: int = 96) -> np.ndarray:
    """A picture [H, W, 3] that shows its number in black and white bars, under a red corner at the upper left."""
    picture = np.full((height, width, 3), 128, np.uint8)
    bar = width // BITS
    for bit in range(BITS):
        picture[height // 2 :, bit * bar : (bit + 1) * bar] = 255 if number >> bit & 1 else 0
    picture[: height // 4, : width // 4] = (255, 0, 0)
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number that a picture of `numbered` shows, whatever its size."""
    height, width = picture.shape[:2]
    row = picture[height * 3 // 4, :, 1]
    return sum(int(row[int((bit + 0.5) * width / BITS)] > 127) << bit for bit in range(BITS))


def constant_times(count: int, fps: Fraction, start: Fraction = Fraction(0)) -> list[Fraction]:
    """Picture times at a constant rate."""
    return [start + i / fps for i in range(count)]


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    times: Sequence[Fraction],
    *,
    rotation: int = 0,
    aspect: Fraction = Fraction(1),
    sound: tuple[np.ndarray, Fraction] | None = None,
    crf: int = 12,
    options: dict[str, str] | None = None,
) -> Path:
    """Write an H.264 video.

    Args:
        path: its suffix names the container.
        pictures: [H, W, 3] uint8 each.
        times: of each picture, in seconds.
        rotation: degrees counter-clockwise by which a player must turn the pictures.
        aspect: width / height of a pixel.
        sound: samples [S] float32 at 16 kHz, and the time at which they start.
        options: of the container.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream("libx264", rate=30, options={"crf": str(crf), "preset": "ultrafast", "bf": "0"})
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, CLOCK)
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        for picture, time in zip(pictures, times, strict=True):
            if video.codec_context.width == 0 or not video.codec_context.is_open:
                video.height, video.width = picture.shape[:2]
                video.codec_context.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples, start = sound
            for first in range(0, len(samples), 1024):
                block = samples[first : first + 1024].astype(np.float32)
                part = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
                part.sample_rate, part.time_base = 16000, Fraction(1, 16000)
                part.pts = round(start * 16000) + first
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return path
