"""Video in: any file that FFmpeg reads (through PyAV), as upright pictures with their exact times.

**Time.** Second 0 is the first picture, as it is for the sound that `load_audio` reads from the same
file. A picture's time is its presentation time in the file, as a fraction; nothing is assumed about the frame rate.
Phones and screen recorders write variable rates: `VideoInfo.fps` is then the rate they meant (30 for pictures that come
about every 33 ms), and `VideoInfo.variable` says that pictures do not lie on its grid.

**Space.** Rotation metadata (phones held upright) is applied, and pixels that are not square are made so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from math import floor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.cut_off import missing_bytes
from msmdcli.motion.motion import MAX_FPS, NTSC

if TYPE_CHECKING:
    import av

USUAL_RATES = (
    *(Fraction(n) for n in (12, 15, 24, 25, 30, 48, 50, 60, 100, 120, 240)),
    *(n * NTSC for n in (15, 24, 30, 48, 60, 120, 240)),
)
MEANT_RATE = Fraction(3, 100)  # how far a phone's typical step may be from the rate that it means
JITTER = Fraction(1, 500)  # s; times nearer to a regular grid than this lie on it: containers round to 1 ms
SQUARE = Fraction(1, 100)  # pixels this near to square are left alone
SEEK_FROM = Fraction(5)  # s; what lies nearer to the beginning is decoded from there
LOST_SHARE = 0.05  # share of pictures that may be missing or damaged before the file counts as damaged
KNOWN = "MSMD reads MP4, MOV, MKV, WebM, AVI and other videos that FFmpeg knows"


@dataclass(frozen=True)
class VideoInfo:
    """What a video is.

    Attributes:
        width, height: in square pixels, upright: as a player shows it.
        fps: the constant frame rate to use: the file's own, or the one meant where the file's rate varies.
        variable: pictures do not come at that rate throughout.
        seconds: from the first picture to the end of the last.
        frames: pictures in the file.
        rotation: degrees by which the stored pictures are turned counter-clockwise to stand upright (0, 90, 180, 270).
        has_audio: whether there is a sound track.
    """

    width: int
    height: int
    fps: Fraction
    variable: bool
    seconds: Fraction
    frames: int
    rotation: int
    has_audio: bool


def probe_video(path: Path | str) -> VideoInfo:
    """Size, rate and length of a video. Reads through the file, decodes one picture.

    Raises:
        MsmdError: no such file, a folder, empty, no video, a picture, damaged or cut off.
    """
    path = Path(path)
    with _opened(path) as container:
        stream = _picture_stream(path, container)
        times, length = _picture_times(path, container, stream)
        has_audio = bool(container.streams.audio)
    _refuse_stills(path, times)
    fps = _rate(times, stream_rate=_as_rate(stream.average_rate))
    variable = any(abs(time - i / fps) > JITTER for i, time in enumerate(times))
    seconds = times[-1] + (length or 1 / fps) if variable else len(times) / fps
    with _opened(path) as container:
        stream = _picture_stream(path, container)
        frame = next(_decoded(path, container, stream), None)
        if frame is None:
            raise _damaged(path, "no picture in it can be decoded")
        rotation = _rotation(frame)
        width, height = _shown_size(frame, stream, rotation)
    return VideoInfo(width, height, fps, variable, seconds, len(times), rotation, has_audio)


def stated_seconds(path: Path | str) -> float:
    """The length that a file's header states, for progress bars; 0 where it states none or is none."""
    try:
        with _opened(Path(path)) as container:
            return max(0.0, (container.duration or 0) / 1_000_000)  # AV_TIME_BASE
    except MsmdError:
        return 0.0


def read_video(
    path: Path | str, *, max_height: int | None = None, start: float = 0.0, stop: float | None = None
) -> Iterator[tuple[Fraction, np.ndarray]]:
    """The pictures of a video, in the order in which they are shown.

    Args:
        path: the file.
        max_height: larger pictures are made smaller, to this height. (default: as they are)
        start, stop: only pictures with start <= time < stop, in seconds.

    Yields:
        (time in seconds after the first picture of the file, [H, W, 3] uint8 RGB, upright and contiguous).

    Raises:
        MsmdError: as `probe_video`; or damage found on the way.
    """
    from av.video.reformatter import VideoReformatter

    path = Path(path)
    begin, end = _exact(start), None if stop is None else _exact(stop)
    with _opened(path) as container:
        stream = _picture_stream(path, container)
        reformatter = VideoReformatter()
        for time, frame in _from(path, container, stream, begin):
            if end is not None and time >= end:
                return
            rotation = _rotation(frame)
            width, height = _shown_size(frame, stream, rotation)
            if max_height is not None and height > max_height:
                width, height = max(1, round(width * max_height / height)), max_height
            if rotation in (90, 270):
                width, height = height, width
            smaller = width * height < frame.width * frame.height
            picture = reformatter.reformat(
                frame, width, height, format="rgb24", interpolation="AREA" if smaller else "BICUBIC"
            ).to_ndarray()
            # FFmpeg pads rows; whoever reads the array by its address must not see the padding.
            yield time, np.ascontiguousarray(np.rot90(picture, rotation // 90))


def _opened(path: Path) -> av.container.InputContainer:
    """An open container."""
    if not path.exists():
        raise MsmdError(f"no such video: {path}")
    if not path.is_file():
        raise MsmdError(f"{path} is not a video but a folder" if path.is_dir() else f"{path} is not a file")
    try:
        if path.stat().st_size == 0:
            raise MsmdError(f"video {path} is empty", hint="copy or export the file again")
        path.open("rb").close()
    except OSError as error:
        raise MsmdError(f"video {path} cannot be opened: {error.strerror}") from error
    missing = missing_bytes(path)
    if missing:
        raise _damaged(path, f"its container promises {missing} bytes more than are there")
    import av

    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise MsmdError(
            f"{path} cannot be read as a video; it is damaged, cut off, or none at all; FFmpeg says: {_reason(error)}",
            hint=KNOWN,
        ) from error


def _picture_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    import av

    if container.format.name == "tty":  # FFmpeg's way to film text files
        raise MsmdError(f"{path} is a text, not a video", hint=KNOWN)
    if container.format.name.endswith("_pipe") or container.format.name == "image2":
        raise MsmdError(f"{path} is a picture, not a video", hint=KNOWN)
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    if not container.streams.audio:
        raise _damaged(path, "it describes no track of pictures or sound")
    raise MsmdError(f"{path} has no picture track", hint="a recording of sound only cannot be tracked")


def _picture_times(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[list[Fraction], Fraction]:
    """Times of all pictures after the first, in seconds, ascending; and how long the last is shown."""
    import av

    base = stream.time_base or Fraction(1, 1000)
    rate = _as_rate(stream.average_rate) or Fraction(25)
    shown: list[tuple[Fraction, Fraction]] = []
    promised = stream.frames
    discarded = 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.is_discard:
                discarded += 1
                continue
            ticks = packet.pts if packet.pts is not None else packet.dts
            time = ticks * base if ticks is not None else len(shown) / rate
            shown.append((time, (packet.duration or 0) * base))
    except (av.error.FFmpegError, ValueError) as error:
        raise _damaged(path, f"after {len(shown)} pictures FFmpeg says: {_reason(error)}") from error
    if not shown:
        raise MsmdError(f"{path} holds no pictures", hint="it may be cut off; copy or export it again")
    there = len(shown) + discarded
    if promised and there < promised * (1 - LOST_SHARE):
        raise _damaged(path, f"{there} of {promised} pictures are there")
    shown.sort()
    return [time - shown[0][0] for time, _ in shown], shown[-1][1]


def _refuse_stills(path: Path, times: list[Fraction]) -> None:
    if len(times) < 2:
        raise MsmdError(f"{path} is a single picture, not a video", hint=KNOWN)


def _decoded(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decoded pictures. Some damaged ones are passed over or shown as FFmpeg patches them; too many are an error."""
    import av

    good = bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError) as error:
            bad += 1
            if bad > 10 and bad > LOST_SHARE * good:
                raise _damaged(path, f"after {good} pictures FFmpeg says: {_reason(error)}") from error
            continue
        for frame in frames:
            bad += bool(getattr(frame, "is_corrupt", False))
            good += 1
            yield frame  # type: ignore[misc]
    if bad > LOST_SHARE * good:
        raise _damaged(path, f"{bad} of {good} pictures cannot be decoded properly")


def _from(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, start: Fraction
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Pictures from `start` seconds on, with their times after the first of the file."""
    frames = _decoded(path, container, stream)
    first = next(frames, None)
    if first is None:
        return
    zero = _time(first)
    if start > SEEK_FROM and stream.time_base:
        container.seek(floor((zero + start) / stream.time_base), stream=stream)  # to the key picture before
        frames = _decoded(path, container, stream)
        landed = next(frames, None)
        if landed is not None and _time(landed) - zero <= start:
            frames = chain([landed], frames)
        else:  # a file without an index: through all of it
            container.seek(floor(zero / stream.time_base), stream=stream)
            frames = _decoded(path, container, stream)
    else:
        frames = chain([first], frames)
    for frame in frames:
        time = _time(frame) - zero
        if time >= start:
            yield time, frame


def _exact(seconds: float) -> Fraction:
    """The simple fraction that a float stands for: 0.4 is 2/5."""
    return Fraction(seconds).limit_denominator(1_000_000)


def _time(frame: av.VideoFrame) -> Fraction:
    if frame.pts is None or frame.time_base is None:
        raise MsmdError("a picture has no time")
    return frame.pts * frame.time_base


def _as_rate(rate: Fraction | None) -> Fraction | None:
    return Fraction(rate) if rate and 0 < rate <= MAX_FPS else None


def _rate(times: list[Fraction], stream_rate: Fraction | None) -> Fraction:
    """The frame rate of pictures at these times.

    The usual rate, or the one in the file's header, on whose grid all pictures lie (the nearest such; a short clip with
    times in milliseconds fits two). Else the usual rate nearest to the typical step; else the typical step itself.
    """
    mean = (len(times) - 1) / times[-1] if times[-1] > 0 else stream_rate or Fraction(25)
    fitting = []
    for rate in dict.fromkeys((*([stream_rate] if stream_rate else []), *USUAL_RATES)):
        if abs(rate - mean) * len(times) <= 2 * rate:  # else the last picture lies far off the grid
            error = max(abs(time - i / rate) for i, time in enumerate(times))
            if error <= JITTER:
                fitting.append((error if rate in USUAL_RATES else error + Fraction(1, 10**6), rate))
    if fitting:
        return min(fitting, key=lambda fit: fit[0])[1]
    step = median(after - before for before, after in pairwise(times))
    typical = 1 / step if step > 0 else mean
    nearest = min(USUAL_RATES, key=lambda usual: abs(usual - typical))
    if abs(nearest - typical) <= MEANT_RATE * nearest:
        return nearest
    return min(Fraction(MAX_FPS), typical.limit_denominator(1001))


def _rotation(frame: av.VideoFrame) -> int:
    return round(getattr(frame, "rotation", 0) / 90) * 90 % 360


def _shown_size(frame: av.VideoFrame, stream: av.VideoStream, rotation: int) -> tuple[int, int]:
    """Width and height, upright and in square pixels."""
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio
    if aspect and abs(aspect - 1) > SQUARE:
        width = max(1, round(width * aspect))
    return (height, width) if rotation in (90, 270) else (width, height)


def _damaged(path: Path, detail: str) -> MsmdError:
    return MsmdError(f"video {path} is damaged or cut off: {detail}", hint="copy or export the file again")


def _reason(error: Any) -> str:
    return str(getattr(error, "strerror", None) or error)
