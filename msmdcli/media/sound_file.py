"""Sound by libsndfile: WAV, AIFF, FLAC, Ogg and other files of samples, block by block.

A header's length is a hint. A file is whole if what its header promises is there within `TOLERANCE`: recorders count
their own headers as sound. What libsndfile would not read to its end goes to FFmpeg (`leave_to_ffmpeg`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.media.cut_off import NOT_KNOWN_32, is_ogg, missing_bytes, ogg_damaged_pages, ogg_has_its_end, ogg_links
from msmdcli.media.sound_source import BLOCK_SAMPLES, TOLERANCE, Source, damaged

if TYPE_CHECKING:
    import soundfile

MOST_SAMPLES = 1 << 60  # libsndfile's number of frames where it does not know it


def leave_to_ffmpeg(path: Path, file: soundfile.SoundFile) -> bool:
    """Whether libsndfile would read less of an open file than there is.

    It believes the length that it estimates for an MP3, stops after the first of the recordings of a chained Ogg,
    closes the gap that a damaged page of an Ogg leaves, cannot read a FLAC of unknown length, and finds no sound in a
    WAV whose recorder died before it wrote the length.
    """
    if file.format in ("MPEG", "MP3"):
        return True
    if file.format == "OGG" or is_ogg(path):
        return ogg_links(path) > 1 or ogg_damaged_pages(path) > 0  # FFmpeg leaves a gap where a page is lost
    if file.format == "FLAC":
        return not 0 < file.frames < MOST_SAMPLES
    return file.format in ("WAV", "WAVEX") and stops_early(path, file)


def stops_early(path: Path, file: soundfile.SoundFile) -> bool:
    """Whether a WAV's header knows of no sound though the file has some: its recorder died."""
    if file.frames:
        return False
    return path.stat().st_size > 4096


def open_file(path: Path, file: soundfile.SoundFile) -> Source:
    """The source of a file that libsndfile has opened."""
    notes: list[str] = []
    return Source(file.samplerate, file.channels, _blocks(path, file, notes), notes)


def _blocks(path: Path, file: soundfile.SoundFile, notes: list[str]) -> Iterator[np.ndarray]:
    import soundfile

    promised, actual = _header_length(file.extra_info)
    missing = max(promised - actual, missing_bytes(path))
    count = 0
    try:
        while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
            count += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        where = f"after {count / file.samplerate:.2f} s libsndfile says: {error.error_string}"
        raise damaged(path, where) from error
    if missing and missing > TOLERANCE * _bytes_per_second(path, file, count):
        raise damaged(path, f"its header promises {missing} bytes of sound more than are there")
    if count < file.frames < MOST_SAMPLES and file.frames - count > TOLERANCE * file.samplerate:
        raise damaged(path, f"{count} of {file.frames} samples are there")
    if is_ogg(path) and not ogg_has_its_end(path):
        notes.append(f"the last page of {path.name} does not end it: it may be cut off")


def _bytes_per_second(path: Path, file: soundfile.SoundFile, count: int) -> Fraction:
    """Of the file, on average."""
    return Fraction(path.stat().st_size * file.samplerate, max(1, count))


def _header_length(log: str) -> tuple[int, int]:
    """Bytes of sound that a WAV or AIFF header promises, and those that are there; (0, 0) if all is well.

    libsndfile reads what is there of a truncated file and notes `data : 64000 (should be 31978)` in its log.
    """
    found = re.search(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if not found or int(found[1]) >= NOT_KNOWN_32:
        return 0, 0
    return int(found[1]), int(found[2])
