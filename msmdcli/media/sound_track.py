"""Sound by FFmpeg (through PyAV): the sound track of any file that it knows, block by block, where its time stamps say.

**Which track.** The one that is marked default, else the first; of those that can be decoded.
**Time.** Of a file with a picture, second 0 is the first picture; else the first sound. A gap in the time stamps
(packets that a recorder lost) is silence. Time stamps that run backwards (the second recording of a chained
Ogg) begin anew.
**Damage.** A packet that cannot be decoded is silence too, and is told. A length that the container states exactly is
compared with what was decoded, within `TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.media.cut_off import is_ogg, missing_bytes, ogg_damaged_pages, ogg_has_its_end
from msmdcli.media.sound_source import BLOCK_SAMPLES, TOLERANCE, Source, damaged

if TYPE_CHECKING:
    import av
    from av.audio.frame import AudioFrame

LONGEST_GAP = 600  # seconds; a longer one is a damaged time stamp
MOST_DAMAGED = 0.5  # of the packets; with more there is nothing to trust
EXACT = (
    "mov",
    "flac",
    "wav",
    "aiff",
    "au",
    "caf",
    "w64",
)  # FFmpeg's names of containers that state their length exactly
ROUGH = ("asf",)  # state it, with some seconds of preroll
ROUGHLY = Fraction(1, 20)
KNOWN = "MSMD reads WAV, FLAC, OGG, MP3, AIFF, and the sound of M4A, MP4, MOV, MKV and other files that FFmpeg knows"


def open_track(path: Path, why_not: str = "", *, ignore_length: bool = False) -> Iterator[Source]:
    """The source of a file's sound, as a generator that yields it once and closes the file.

    Args:
        path: the file.
        why_not: what another reader said of the file.
        ignore_length: decode a WAV to the end of the file, whatever length its header states.

    Raises:
        MsmdError: FFmpeg does not know the file, it has no sound track, or none that can be decoded.
    """
    try:
        import av
    except ImportError as error:
        raise MsmdError(
            f"{path} cannot be read as audio; {why_not}PyAV is not installed", hint="pip install av"
        ) from error
    try:
        container = av.open(
            str(path), options={"ignore_length": "1"} if ignore_length else {}, metadata_errors="replace"
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise MsmdError(f"{path} cannot be read as audio; {why_not}FFmpeg says: {reason(error)}", hint=KNOWN) from error
    with container:
        stream, notes = _choose(path, container)
        yield Source(stream.rate, stream.channels, _blocks(path, container, stream, notes, ignore_length), notes)


def has_sound(path: Path) -> bool:
    """Whether a video has a sound track; True also where it cannot be opened, since reading it will say why."""
    try:
        import av

        with av.open(str(path), metadata_errors="replace") as container:
            return bool(container.streams.audio)
    except (ImportError, OSError, ValueError):
        return True


def can_decode(stream: av.AudioStream) -> bool:
    """Whether FFmpeg knows the codec of a sound track; of an unknown one there is no codec context."""
    return getattr(stream, "codec_context", None) is not None and bool(stream.rate) and bool(stream.channels)


def _choose(path: Path, container: av.container.InputContainer) -> tuple[av.AudioStream, list[str]]:
    import av

    tracks = list(container.streams.audio)
    if not tracks:
        raise MsmdError(f"{path} has no sound track", hint="record or export it with its sound")
    usable = [track for track in tracks if can_decode(track)]
    if not usable:
        raise MsmdError(
            f"no sound track of {path} can be decoded (a codec that FFmpeg does not know)",
            hint="convert its sound to WAV first",
        )
    default = [track for track in usable if track.disposition & av.stream.Disposition.default]
    chosen = (default or usable)[0]
    notes = []
    if len(usable) < len(tracks):
        notes.append(f"sound track {chosen.index} of {path.name} is used; another cannot be decoded")
    elif len(tracks) > 1:
        notes.append(f"{path.name} has {len(tracks)} sound tracks; track {chosen.index} is used")
    return chosen, notes


def _blocks(
    path: Path, container: av.container.InputContainer, stream: av.AudioStream, notes: list[str], ignore_length: bool
) -> Iterator[np.ndarray]:
    """Blocks [n, channels] float32 of a sound track, gaps filled; what was wrong is added to `notes` at the end."""
    import av

    rate, channels = stream.rate, stream.channels
    to_planar = av.AudioResampler(format="fltp")
    origin: Fraction | None = _first_picture(container)
    base: Fraction | None = None  # the time stamp at which sample number `base_count` belongs
    base_count = 0
    count = 0  # samples so far, those before the first picture included
    skip = 0  # samples before the first picture, yet to be left out
    packets = bad = 0
    last_was_bad = False
    reached = Fraction(0)  # the latest time stamp, the sound's end

    def pieces(frame: AudioFrame) -> Iterator[np.ndarray]:
        nonlocal count, skip
        for resampled in to_planar.resample(frame):
            block = np.asarray(resampled.to_ndarray(), dtype=np.float32).T  # [n, channels]
            count += len(block)
            yield block[skip:]
            skip = max(0, skip - len(block))

    def silence(samples: int) -> Iterator[np.ndarray]:
        nonlocal count
        for start in range(0, samples, BLOCK_SAMPLES):
            block = np.zeros((min(BLOCK_SAMPLES, samples - start), channels), np.float32)
            count += len(block)
            yield block

    for frames in _decoded(container, stream):
        packets += 1
        last_was_bad = frames is None
        if frames is None:
            bad += 1
            continue
        for frame in frames:
            at = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
            if at is not None:
                reached = max(reached, at + Fraction(frame.samples, frame.sample_rate or rate))
                if base is None:
                    late = 0 if origin is None else floor((at - origin) * rate + Fraction(1, 2))
                    if late > LONGEST_GAP * rate:
                        raise damaged(path, f"its sound begins {float(at - (origin or 0)):.0f} s after its picture")
                    skip = max(0, -late)
                    yield from silence(late)
                    base, base_count = at, count
                gap = at - base - Fraction(count - base_count, rate)
                if gap > LONGEST_GAP:
                    raise damaged(path, f"its time stamps jump by {float(gap):.0f} s after {count / rate:.2f} s")
                if gap < -TOLERANCE:
                    base, base_count = at, count
                elif gap > TOLERANCE:
                    yield from silence(floor(gap * rate + Fraction(1, 2)))
                    notes.append(f"{path.name} lacks {float(gap):.2f} s of sound at {float(at - base):.2f} s: silence")
            yield from pieces(frame)
    if bad and bad >= packets * MOST_DAMAGED:
        raise damaged(path, f"{bad} of {packets} packets of its sound cannot be decoded")
    if bad == 1 and last_was_bad:
        notes.append(f"the last packet of {path.name} is damaged: it may be cut off")
    elif bad:
        notes.append(f"damaged packets in the sound of {path.name}: {bad} of {packets}")
    if not ignore_length:
        _check_length(path, container, stream, reached, Fraction(count, rate))
    if is_ogg(path):
        if lost := ogg_damaged_pages(path):
            notes.append(f"damaged or missing pages in {path.name}: {lost}; their sound is silence")
        if not ogg_has_its_end(path):
            notes.append(f"the last page of {path.name} does not end it: it may be cut off")


def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[list[AudioFrame] | None]:
    """The frames of each packet of a sound track; None for one that cannot be decoded, or where the file breaks off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, ValueError):
            yield None
            return
        if packet is None:
            return
        try:
            yield list(packet.decode())
        except (av.error.FFmpegError, ValueError):
            yield None


def _check_length(
    path: Path, container: av.container.InputContainer, stream: av.AudioStream, reached: Fraction, decoded: Fraction
) -> None:
    """Refuse what is shorter than its container states."""
    missing = missing_bytes(path)
    if missing and missing > TOLERANCE * Fraction(path.stat().st_size) / max(decoded, Fraction(1, 100)):
        raise damaged(path, f"its container promises {missing} bytes more than are there")
    names = set(container.format.name.split(","))
    if not stream.duration or not stream.time_base or not names & {*EXACT, *ROUGH, "mp3"}:
        return
    promised = stream.duration * stream.time_base
    allowed = TOLERANCE if names & set(EXACT) else promised * ROUGHLY + TOLERANCE
    if "mp3" in names:
        if not _has_length_tag(path):
            return
        reached = decoded
    if max(reached - (stream.start_time or 0) * stream.time_base, decoded) < promised - allowed:
        raise damaged(path, f"{float(decoded):.2f} of {float(promised):.2f} s are there")


def _has_length_tag(path: Path) -> bool:
    """Whether the first frame of an MP3 states the number of frames (Xing, Info, VBRI)."""
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            file.seek(10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]))
        else:
            file.seek(0)
        frame = file.read(4096)
    return any(tag in frame[:512] for tag in (b"Xing", b"Info", b"VBRI"))


def _first_picture(container: av.container.InputContainer) -> Fraction | None:
    """When the picture starts, in seconds on the file's clock; None for sound without a picture (a cover is none)."""
    import av

    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.time_base is not None:
            return (stream.start_time or 0) * stream.time_base
    return None


def reason(error: Exception) -> str:
    """FFmpeg's own words."""
    return str(getattr(error, "strerror", None) or error)
