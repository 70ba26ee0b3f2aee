"""Write a video that plays everywhere: H.264 (yuv420p, BT.709) and AAC in an MP4 whose index stands first.

Pictures as video keeps them are NV12: a plane of brightness, below it one of colour for each two by two pixels. An
array [H * 3 / 2, W] uint8: H rows of brightness, then H / 2 rows of blueness and redness in turn; H and W are even. Two
pictures side by side are therefore `np.hstack` of them. The numbers are those of ITU-R BT.709 (sections 3 and 4) in
"limited" range, brightness 16 to 235 and colour 16 to 240; here they are shares of 255, as shaders take them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.errors import MsmdError

if TYPE_CHECKING:
    import av

AHEAD = 8  # pictures that may wait for the encoder
SOUND_BLOCK = 1024  # samples, a frame of AAC
# Without B-frames each picture costs a fifth less, and players step backwards with ease. One thread, since threads
# change bytes, and since drawing wants the other cores.
ENCODER = {"preset": "ultrafast", "crf": "23", "bf": "0", "threads": "1"}
BT709, LIMITED = 1, 1  # as ISO/IEC 23091-2 numbers them
LUMA = (0.2126, 0.7152, 0.0722)  # brightness of red, green, blue
BLUE_SPAN, RED_SPAN = 2 * (1 - LUMA[2]), 2 * (1 - LUMA[0])  # of blue or red without brightness, from -1 to 1 of it
BLACK, WHITE = 16 / 255, 219 / 255  # brightness of black; from there to white
MIDDLE, CHROMA = 128 / 255, 224 / 255  # colour of grey; from full colour to its opposite


def write_mp4(
    path: Path | str,
    pictures: Iterable[np.ndarray],
    fps: Fraction,
    samples: np.ndarray | None = None,
    rate: int = 16000,
) -> None:
    """Write a video.

    The pictures are taken in the thread that calls, while another one encodes those before.

    Args:
        path: .mp4 file.
        pictures: [H, W, 3] uint8 sRGB or [H * 3 / 2, W] uint8 NV12 each, of one size with even width
            and height; taken one at a time.
        fps: pictures per second.
        samples: [S] float32 mono sound, or None.
        rate: its samples per second.

    Raises:
        MsmdError: the file cannot be written, or there is no picture.
    """
    waiting: Queue[np.ndarray | None] = Queue(AHEAD)
    failed: list[Exception] = []

    def encode() -> None:
        try:
            _encode(path, _taken(waiting), fps, samples, rate)
        except Exception as error:  # raised in the caller's thread, below
            failed.append(error)
            while waiting.get() is not None:
                pass  # so that the caller does not wait for a place in the queue

    thread = Thread(target=encode, name="mp4", daemon=True)
    thread.start()
    try:
        for picture in pictures:
            if failed:
                break
            waiting.put(picture)
    finally:
        waiting.put(None)
        thread.join()
    if failed:
        error = failed[0]
        if isinstance(error, OSError):  # also FFmpeg's
            raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error
        raise error


def _taken(waiting: Queue[np.ndarray | None]) -> Iterator[np.ndarray]:
    """What is put into the queue, until None."""
    while (picture := waiting.get()) is not None:
        yield picture


def _encode(
    path: Path | str, pictures: Iterable[np.ndarray], fps: Fraction, samples: np.ndarray | None, rate: int
) -> None:
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=fps, options=ENCODER)
        video.pix_fmt = "nv12"  # what x264 keeps; in the file it is the same as yuv420p
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED
        sound = container.add_stream("aac", rate=rate, layout="mono") if samples is not None else None
        blocks = _sound_blocks(samples, rate) if samples is not None else iter(())
        heard = Fraction(0)  # seconds of sound that are written
        number = 0
        for picture in pictures:
            planes = nv12_of(picture) if picture.ndim == 3 else picture  # [H * 3 / 2, W]
            if number == 0:
                video.height, video.width = len(planes) * 2 // 3, planes.shape[1]
            frame = av.VideoFrame.from_ndarray(planes, format="nv12")
            frame.colorspace, frame.color_range = BT709, LIMITED
            frame.pts, frame.time_base = number, 1 / fps
            container.mux(video.encode(frame))
            number += 1
            while sound is not None and heard < number / fps and (block := next(blocks, None)) is not None:
                container.mux(sound.encode(block))  # beside the pictures it belongs to: players read both at once
                heard += Fraction(block.samples, rate)
        if number == 0:
            raise MsmdError(f"{path}: there is no picture to write")
        container.mux(video.encode(None))
        if sound is not None:
            for block in blocks:
                container.mux(sound.encode(block))
            container.mux(sound.encode(None))


def _sound_blocks(samples: np.ndarray, rate: int) -> Iterator[av.AudioFrame]:
    """The sound [S] in frames of AAC."""
    import av

    for start in range(0, len(samples), SOUND_BLOCK):
        part = np.ascontiguousarray(samples[None, start : start + SOUND_BLOCK], np.float32)
        block = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, start, Fraction(1, rate)
        yield block


# ---- NV12 ------------------------------------------------------------------------------------------------------------


def nv12_of(picture: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 sRGB, H and W even -> [H * 3 / 2, W] uint8."""
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format="nv12", dst_colorspace=BT709, dst_color_range=LIMITED).to_ndarray()


def coded(colour: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Brightness, blueness, redness (shares of 255) of an sRGB colour 0..1."""
    red, green, blue = (float(value) for value in colour)
    bright = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return (
        BLACK + WHITE * bright,
        MIDDLE + CHROMA * (blue - bright) / BLUE_SPAN,
        MIDDLE + CHROMA * (red - bright) / RED_SPAN,
    )
