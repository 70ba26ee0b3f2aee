"""Whether a recording was cut off: what its container says of its own length, against the bytes that are there.

Only exact statements count. A length that a program estimates (MP3 without a Xing tag, ADTS) is none, and sizes of
-1, 0 or nearly 2^32 in the header of a file that was written to a pipe mean "not known".
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

NOT_KNOWN_32 = 0x7FFF_0000  # a 32-bit size this large in a header: the file was written to a pipe
OGG_PAGE = 65_307  # bytes of the longest page: 27 of header, 255 of table, 255 * 255 of sound
OGG_BEGINS, OGG_ENDS = 0x02, 0x04  # flags of a page (RFC 3533)
MATROSKA = b"\x1a\x45\xdf\xa3"  # ID of the EBML header
SEGMENT = 0x1853_8067
MOST_CHUNKS = 10_000


def missing_bytes(path: Path) -> int:
    """Bytes that the container of a recording promises beyond the end of the file; 0 if it is whole or does not say.

    Knows AU, CAF, Wave64, RF64, AVI and Matroska (WebM). WAV and AIFF are libsndfile's to check.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = file.read(64)
        for magic, ends in _ENDS.items():
            if begin.startswith(magic):
                end = ends(_Bytes(file, size))
                return max(0, end - size) if end is not None else 0
    return 0


class _Bytes:
    """Reads numbers of a file; what lies beyond its end is None."""

    def __init__(self, file: object, size: int) -> None:
        self._file = file
        self.size = size

    def unpack(self, form: str, at: int) -> int | None:
        length = struct.calcsize(form)
        if at + length > self.size:
            return None
        self._file.seek(at)  # type: ignore[attr-defined]
        return int(struct.unpack(form, self._file.read(length))[0])  # type: ignore[attr-defined]

    def read(self, at: int, length: int) -> bytes:
        self._file.seek(at)  # type: ignore[attr-defined]
        return bytes(self._file.read(length))  # type: ignore[attr-defined]


def _au(data: _Bytes) -> int | None:
    offset, length = data.unpack(">I", 4), data.unpack(">I", 8)
    if offset is None or length is None or length >= NOT_KNOWN_32 or length == 0:
        return None
    return offset + length


def _wave64(data: _Bytes) -> int | None:
    length = data.unpack("<Q", 16)
    return None if length is None or length == 0 or length >= 1 << 62 else length


def _rf64(data: _Bytes) -> int | None:
    length = data.unpack("<Q", 20) if data.read(12, 4) == b"ds64" else None  # the size of RIFF; `data`'s is at 28
    sound = data.unpack("<Q", 28)
    if length is None or sound is None or not 0 < sound < 1 << 62:
        return None
    return length + 8 if 0 < length < 1 << 62 else None


def _avi(data: _Bytes) -> int | None:
    """The first RIFF chunk of an AVI; longer files have more of them."""
    length = data.unpack("<I", 4) if data.read(8, 4) == b"AVI " else None
    return None if length is None or length == 0 or length >= NOT_KNOWN_32 else length + 8


def _caf(data: _Bytes) -> int | None:
    at = 8
    for _ in range(MOST_CHUNKS):
        name, length = data.read(at, 4), data.unpack(">q", at + 4)
        if length is None:
            return at + 12 if name else None
        if length < 0 or (name == b"data" and length <= 4):  # -1: up to the end of the file
            return None
        at += 12 + length
        if name == b"data" and at > data.size:
            return at
        if at >= data.size:
            return None
    return None


def _matroska(data: _Bytes) -> int | None:
    at = 0
    for _ in range(2):  # the EBML header, then the segment
        name, after = _vint(data, at, keep_marker=True)
        length, begin = _vint(data, after, keep_marker=False)
        if name is None or length is None:
            return None
        if name == SEGMENT:
            return begin + length
        at = begin + length
    return None


def _vint(data: _Bytes, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """An EBML number of variable length (RFC 8794) and the place behind it; None: not known, or not there."""
    first = data.unpack("B", at)
    if not first:
        return None, at + 1
    length = 9 - first.bit_length()
    raw = data.read(at, length)
    value = int.from_bytes(raw, "big")
    if len(raw) < length:
        return None, at + length
    if not keep_marker:
        value &= (1 << 7 * length) - 1
        if value == (1 << 7 * length) - 1:  # all ones: not known
            return None, at + length
    return value, at + length


_ENDS: dict[bytes, Callable[[_Bytes], int | None]] = {
    b".snd": _au,
    b"riff\x2e\x91\xcf\x11": _wave64,
    b"RF64": _rf64,
    b"caff": _caf,
    b"RIFF": _avi,
    MATROSKA: _matroska,
}


def is_ogg(path: Path) -> bool:
    """Whether a file is one of Ogg pages (Vorbis, Opus, FLAC in Ogg)."""
    with path.open("rb") as file:
        return file.read(4) == b"OggS"


def ogg_links(path: Path) -> int:
    """How many recordings an Ogg file chains one after the other (RFC 3533): groups of pages that begin one."""
    links, before_began, left = 0, False, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            block = left + block
            at = block.find(b"OggS")
            while at >= 0 and at + 6 <= len(block):
                if block[at + 4] == 0:  # the version of the stream structure
                    begins = bool(block[at + 5] & OGG_BEGINS)
                    links += begins and not before_began
                    before_began = begins
                at = block.find(b"OggS", at + 4)
            left = block[at:] if at >= 0 else block[-3:]
    return max(1, links)


def ogg_damaged_pages(path: Path) -> int:
    """How many pages of an Ogg file are damaged or missing: their checksums and numbers say so (RFC 3533).

    A decoder passes over such a page in silence, and all that follows comes too early.
    """
    content = path.read_bytes()
    damaged = at = 0
    following: dict[bytes, int] = {}  # serial number of a stream -> the number of its next page
    while at < len(content):
        if content[at : at + 4] != b"OggS" or at + 27 > len(content):
            damaged += 1
            at = content.find(b"OggS", at + 1)
            if at < 0:
                break
            continue
        begin = at + 27 + content[at + 26]
        end = begin + sum(content[at + 27 : begin])
        if end > len(content):  # cut off: `ogg_has_its_end` says so
            break
        head, body = bytearray(content[at:begin]), content[begin:end]
        stated = int.from_bytes(head[22:26], "little")
        head[22:26] = bytes(4)
        if _ogg_checksum(bytes(head) + body) != stated:
            damaged += 1
            at = content.find(b"OggS", at + 4)  # its length is not to be believed
            if at < 0:
                break
            continue
        serial, number = bytes(head[14:18]), int.from_bytes(head[18:22], "little")
        expected = 0 if head[5] & OGG_BEGINS else following.get(serial, number)
        damaged += expected < number and not damaged  # a damaged page is counted once, not as missing, too
        following[serial] = number + 1
        at = end
    return damaged


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of Ogg: the polynomial of zlib's, with the bits in the other order, from 0 and not inverted."""
    reflected = zlib.crc32(page.translate(_BITS_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{reflected:032b}"[::-1], 2)


_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_has_its_end(path: Path) -> bool:
    """Whether the last page of an Ogg file carries the flag that ends a recording."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - OGG_PAGE))
        tail = file.read()
    at = tail.rfind(b"OggS")
    return at >= 0 and at + 6 <= len(tail) and bool(tail[at + 5] & OGG_ENDS)
