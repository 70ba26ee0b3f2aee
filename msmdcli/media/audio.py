"""Audio in: any file that libsndfile or FFmpeg reads, as mono float32 at one rate.

The file is decoded, mixed and resampled block by block, so the memory needed is that of the result (4 bytes a sample),
whatever the rate and the number of channels of the source. What a person should know of a recording that is read all
the same (a lost packet, a channel upside down, integers in a float file) is in `Audio.notes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np

from msmdcli.documents.spelling import missing_hint, spelled
from msmdcli.errors import MsmdError
from msmdcli.media.sound_file import leave_to_ffmpeg, open_file, stops_early
from msmdcli.media.sound_source import Source
from msmdcli.media.sound_track import open_track

RATE = 16000  # what the speech encoders hear
LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000
CANCELLED = 0.05  # of the channels' power is left in their mean: one is the other upside down
LOUDEST_FLOAT = 16.0  # a float file that goes beyond holds integers
INTEGER_SCALES = (1 << 15, 1 << 23, 1 << 31)
SILENT = 1e-4  # full scale: -80 dB


@dataclass
class Audio:
    """A recording.

    Attributes:
        samples: [S] float32, mono (the mean of the channels), full scale 1.
        rate: samples per second of `samples`.
        source_rate, source_channels: of the file.
        seconds: the exact duration, samples in the file / source_rate. S is this times `rate`, rounded.
        notes: what a person should know of the file.
    """

    samples: np.ndarray
    rate: int
    source_rate: int
    source_channels: int
    seconds: Fraction
    notes: tuple[str, ...] = ()


def load_audio(path: Path | str, rate: int = RATE) -> Audio:
    """Read a recording.

    libsndfile is asked first; what it does not know, or would not read to the end, goes to FFmpeg (`sound_track`): of
    files with several sound tracks the default one, aligned to the picture. Channels are mixed to their mean; where
    they cancel (one is the other upside down) the loudest is taken.

    Raises:
        MsmdError: no such file, no sound in it, damaged or cut off, not-a-number samples; with the reasons of both
            readers where neither can open it.
    """
    path = spelled(Path(path))
    if not path.exists():
        raise MsmdError(f"no such audio file: {path}", hint=missing_hint(path))
    if not path.is_file():
        raise MsmdError(f"{path} is not an audio file but a folder" if path.is_dir() else f"{path} is not a file")
    try:
        if path.stat().st_size == 0:
            raise MsmdError(f"audio file {path} is empty")
        path.open("rb").close()
    except OSError as error:
        raise MsmdError(f"audio file {path} cannot be opened: {error.strerror}") from error

    with _opened(path) as source:
        mixed = _collect(path, source, rate, None)
    if mixed.loudest is not None:  # the mean is silent, a channel is not
        with _opened(path) as source:
            notes = [f"the channels of {path.name} cancel each other: channel {mixed.loudest + 1} alone is used"]
            mixed = _collect(path, source, rate, mixed.loudest)
            mixed.audio.notes = (*notes, *mixed.audio.notes)
    return mixed.audio


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    import soundfile

    try:
        file = soundfile.SoundFile(os.fsencode(path))  # a name need not be UTF-8
    except soundfile.LibsndfileError as error:
        yield from open_track(path, f"libsndfile says: {error.error_string.rstrip('.')}; ")
        return
    with file:
        if not leave_to_ffmpeg(path, file):
            yield open_file(path, file)
            return
        ignore_length = stops_early(path, file)
    yield from open_track(path, ignore_length=ignore_length)


@dataclass
class _Mixed:
    """A recording as mono, and the channel to take instead where the channels cancel each other."""

    audio: Audio
    loudest: int | None


def _collect(path: Path, source: Source, rate: int, channel: int | None) -> _Mixed:
    """Mix (or take one channel), check and resample the blocks of a source."""
    import soxr

    if not LOWEST_RATE <= source.rate <= HIGHEST_RATE:
        raise MsmdError(f"{path}: a sample rate of {source.rate} Hz is not one of a sound recording")
    resampler = None
    if source.rate != rate:
        resampler = soxr.ResampleStream(source.rate, rate, 1, dtype="float32", quality="HQ")
    sound = bytearray()  # grows in place; a list of blocks would need twice the memory in the end
    count, peak = 0, 0.0
    power = np.zeros(source.channels)  # of each channel
    mean_power = 0.0
    for block in source.blocks:
        if block.shape[1] != source.channels:
            raise MsmdError(f"{path}: the number of channels changes after {count / source.rate:.2f} s")
        mono = block.mean(axis=1, dtype=np.float32) if channel is None else np.ascontiguousarray(block[:, channel])
        finite = np.isfinite(mono)
        if not finite.all():
            at = (count + int(np.argmin(finite))) / source.rate
            raise MsmdError(
                f"audio file {path} holds a sample that is not a number, at {at:.3f} s", hint="export the file again"
            )
        count += len(mono)
        if len(mono):
            peak = max(peak, float(np.abs(mono).max()))
        if source.channels > 1 and channel is None:
            power += np.einsum("nc,nc->c", block, block, dtype=np.float64)
            mean_power += float(np.dot(mono.astype(np.float64), mono))
        sound += (mono if resampler is None else resampler.resample_chunk(mono)).tobytes()
    if count == 0:
        raise MsmdError(f"audio file {path} holds no sound (0 samples)", hint="it may be empty or cut off")
    if resampler is not None:
        sound += resampler.resample_chunk(np.zeros(0, np.float32), last=True).tobytes()
    seconds = Fraction(count, source.rate)
    size = 4 * max(1, floor(seconds * rate + Fraction(1, 2)))  # in bytes; the resampler rounds the length its own way
    del sound[size:]
    sound += bytes(size - len(sound))
    samples = np.frombuffer(sound, np.float32)
    notes = list(source.notes)
    if peak > LOUDEST_FLOAT:
        scale = next((scale for scale in INTEGER_SCALES if peak <= scale), INTEGER_SCALES[-1])
        samples = samples / np.float32(scale)
        notes.append(f"{path.name} holds values up to {peak:.0f} where 1 is full scale: they are read as integers")
    elif peak < SILENT:
        notes.append(f"{path.name} is silent")
    cancel = channel is None and mean_power < CANCELLED * power.mean() and power.any()
    audio = Audio(samples, rate, source.rate, source.channels, seconds, tuple(notes))
    return _Mixed(audio, int(np.argmax(power)) if cancel else None)
