"""Audio in: any file that libsndfile or FFmpeg reads, as mono float32 at one rate.

The file is decoded, mixed and resampled block by block, so the memory needed is that of the result (4 bytes a sample),
whatever the rate and the number of channels of the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.errors import MsmdError

if TYPE_CHECKING:
    import av
    import soundfile

RATE = 16000  # what the speech encoders hear
BLOCK_SAMPLES = 1 << 16
LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000
OPEN_ENDED = 0x7FFF_0000  # a length this large in a WAV header means "written to a pipe, length not known"
MPEG_TOLERANCE = Fraction(1, 20)  # lengths of MP3 files without a length tag are estimates
KNOWN = "MSMD reads WAV, FLAC, OGG, MP3, AIFF, and the sound of M4A, MP4, MOV, MKV and other files that FFmpeg knows"


@dataclass
class Audio:
    """A recording.

    Attributes:
        samples: [S] float32, mono (the mean of the channels), full scale 1.
        rate: samples per second of `samples`.
        source_rate, source_channels: of the file.
        seconds: the exact duration, samples in the file / source_rate. S is this times `rate`, rounded.
    """

    samples: np.ndarray
    rate: int
    source_rate: int
    source_channels: int
    seconds: Fraction


@dataclass
class _Source:
    """An open file: blocks [n, channels] float32, in order."""

    rate: int
    channels: int
    blocks: Iterator[np.ndarray]


def load_audio(path: Path | str, rate: int = RATE) -> Audio:
    """Read a recording.

    libsndfile is asked first; what it does not know goes to FFmpeg (through PyAV), of video files the first sound
    track. A video's sound is aligned to its picture: time 0 is the first picture, a later start of the sound is filled
    with silence.

    Raises:
        MsmdError: no such file, no sound in it, damaged or cut off, not-a-number samples; with the reasons of both
            readers where neither can open it.
    """
    path = Path(path)
    if not path.exists():
        raise MsmdError(f"no such audio file: {path}")
    if not path.is_file():
        raise MsmdError(f"{path} is not an audio file but a folder" if path.is_dir() else f"{path} is not a file")
    try:
        if path.stat().st_size == 0:
            raise MsmdError(f"audio file {path} is empty")
        path.open("rb").close()
    except OSError as error:
        raise MsmdError(f"audio file {path} cannot be opened: {error.strerror}") from error

    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        return _load_with_ffmpeg(path, rate, libsndfile_says=error.error_string)
    with file:
        return _collect(path, _Source(file.samplerate, file.channels, _sndfile_blocks(path, file)), rate)


def _sndfile_blocks(path: Path, file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    import soundfile

    promised, actual = _header_length(file.extra_info)
    if promised > actual:
        raise _truncated(path, f"its header promises {promised} bytes of sound, {actual} are there")
    count = 0
    try:
        while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
            count += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        where = f"after {count / file.samplerate:.2f} s libsndfile says: {error.error_string}"
        raise _truncated(path, where) from error
    allowed = file.frames * MPEG_TOLERANCE if file.format in ("MPEG", "MP3") else 0
    if count < file.frames - allowed:
        raise _truncated(path, f"{count} of {file.frames} samples are there")


def _header_length(log: str) -> tuple[int, int]:
    """Bytes of sound that a WAV or AIFF header promises, and those that are there; (0, 0) if all is well.

    libsndfile reads what is there of a truncated file and notes `data : 64000 (should be 31978)` in its log.
    """
    found = re.search(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if not found or int(found[1]) >= OPEN_ENDED:
        return 0, 0
    return int(found[1]), int(found[2])


def _load_with_ffmpeg(path: Path, rate: int, libsndfile_says: str) -> Audio:
    try:
        import av
    except ImportError as error:
        raise MsmdError(
            f"{path} cannot be read as audio; libsndfile says: {libsndfile_says.rstrip('.')}; PyAV is not installed",
            hint="pip install av",
        ) from error
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise MsmdError(
            f"{path} cannot be read as audio; libsndfile says: {libsndfile_says.rstrip('.')}; "
            f"FFmpeg says: {_reason(error)}",
            hint=KNOWN,
        ) from error
    with container:
        if not container.streams.audio:
            raise MsmdError(f"{path} has no sound track")
        stream = container.streams.audio[0]
        if not stream.rate or not stream.channels:
            raise MsmdError(f"the sound track of {path} cannot be decoded (codec {stream.codec_context.name})")
        return _collect(path, _Source(stream.rate, stream.channels, _ffmpeg_blocks(path, container, stream)), rate)


def _ffmpeg_blocks(path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[np.ndarray]:
    import av

    rate, channels = stream.rate, stream.channels
    to_planar = av.AudioResampler(format="fltp")
    zero = _first_picture(container)
    skip: int | None = None  # samples before the first picture, yet to be left out
    count = 0
    try:
        for decoded in container.decode(stream):
            if skip is None:
                late = 0 if zero is None or decoded.time is None else floor((decoded.time - float(zero)) * rate + 0.5)
                skip = max(0, -late)
                for start in range(0, late, BLOCK_SAMPLES):
                    yield np.zeros((min(BLOCK_SAMPLES, late - start), channels), np.float32)
            for frame in to_planar.resample(decoded):
                block = np.asarray(frame.to_ndarray(), dtype=np.float32).T  # [n, channels]
                count += len(block)
                yield block[skip:]
                skip = max(0, skip - len(block))
    except (av.error.FFmpegError, ValueError) as error:
        raise _truncated(path, f"after {count / rate:.2f} s FFmpeg says: {_reason(error)}") from error
    if stream.duration and stream.time_base:
        promised = float(stream.duration * stream.time_base)
        if count / rate < promised * (1 - MPEG_TOLERANCE) - 0.1:
            raise _truncated(path, f"{count / rate:.2f} of {promised:.2f} s are there")


def _first_picture(container: av.container.InputContainer) -> Fraction | None:
    """When the picture starts, in seconds on the file's clock; None for sound without a picture (a cover is none)."""
    import av

    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.time_base is not None:
            return (stream.start_time or 0) * stream.time_base
    return None


def _collect(path: Path, source: _Source, rate: int) -> Audio:
    """Mix, check and resample the blocks of a source."""
    import soxr

    if not LOWEST_RATE <= source.rate <= HIGHEST_RATE:
        raise MsmdError(f"{path}: a sample rate of {source.rate} Hz is not one of a sound recording")
    resampler = None
    if source.rate != rate:
        resampler = soxr.ResampleStream(source.rate, rate, 1, dtype="float32", quality="HQ")
    sound = bytearray()  # grows in place; a list of blocks would need twice the memory in the end
    count = 0
    for block in source.blocks:
        if block.shape[1] != source.channels:
            raise MsmdError(f"{path}: the number of channels changes after {count / source.rate:.2f} s")
        mono = block.mean(axis=1, dtype=np.float32)  # [n, channels] -> [n]
        finite = np.isfinite(mono)
        if not finite.all():
            at = (count + int(np.argmin(finite))) / source.rate
            raise MsmdError(
                f"audio file {path} holds a sample that is not a number, at {at:.3f} s", hint="export the file again"
            )
        count += len(mono)
        sound += (mono if resampler is None else resampler.resample_chunk(mono)).tobytes()
    if count == 0:
        raise MsmdError(f"audio file {path} holds no sound (0 samples)", hint="it may be empty or cut off")
    if resampler is not None:
        sound += resampler.resample_chunk(np.zeros(0, np.float32), last=True).tobytes()
    seconds = Fraction(count, source.rate)
    size = 4 * max(1, floor(seconds * rate + Fraction(1, 2)))  # in bytes; the resampler rounds the length its own way
    del sound[size:]
    sound += bytes(size - len(sound))
    return Audio(np.frombuffer(sound, np.float32), rate, source.rate, source.channels, seconds)


def _truncated(path: Path, detail: str) -> MsmdError:
    return MsmdError(f"audio file {path} is damaged or cut off: {detail}", hint="copy or export the file again")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
