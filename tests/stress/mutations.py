"""Mutations of files: of their bytes, and of what lies behind a checksum or a container. Everything from a seed."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from nasty_manifests import mutated  # noqa: E402

EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00")
WORDS = (b"-1", b"0", b"1e400", b"-1e308", b"nan", b"Infinity", b"9" * 400, b"9" * 19, b"null", b"true", b'"x"', b"[]")
WORDS += (b"{}", b"\x00", b"\xff\xfe", b"../../x", b"/etc/passwd", b"/dev/zero", b"\x1b[31m", b"x" * 5000, b"", b"1/0")


def mutate(content: bytes, how: str, rng: np.random.Generator) -> bytes:
    """Another content of a file; `how` is one of `readable_files.TREES`."""
    deep = {"zip": _zip, "json": _json, "lines": _lines, "glb": _glb, "text": _text}.get(how)
    if deep is None or rng.random() < 0.4:
        return _bytes(content, rng)
    return deep(content, rng)


def _bytes(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 2, 5, 30]))):
        if not data:
            break
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        kind = int(rng.integers(8))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = bytes(rng.integers(0, 256, length, dtype=np.uint8))
        elif kind == 4:
            data[at : at + 4] = EXTREMES[int(rng.integers(len(EXTREMES)))]
        elif kind == 5:
            data[at:at] = data[max(0, at - length) : at]
        elif kind == 6:
            data[at : at + length] = bytes(length)
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def _text(content: bytes, rng: np.random.Generator) -> bytes:
    """A word (number or name) or a line replaced."""
    if rng.random() < 0.3:
        lines = content.split(b"\n")
        at = int(rng.integers(len(lines)))
        lines[at : at + 1] = [lines[int(rng.integers(len(lines)))]] * int(rng.integers(0, 3))
        return b"\n".join(lines)
    begin = int(rng.integers(len(content)))
    marks = b" \t\n,:;=[](){}\"'"
    while begin and content[begin - 1] not in marks:
        begin -= 1
    end = begin
    while end < len(content) and content[end] not in marks:
        end += 1
    return content[:begin] + WORDS[int(rng.integers(len(WORDS)))] + content[end:]


def _json(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.3:
        return _text(content, rng)
    return json.dumps(mutated(json.loads(content), rng, int(rng.integers(1, 4)))).encode()


def _lines(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = _json(lines[at], rng)
    return b"\n".join(lines) + b"\n"


def _zip(content: bytes, rng: np.random.Generator) -> bytes:
    """A member of an npz changed, with checksums that are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = archive.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            data = archive.read(name)
            if name == chosen:
                kind = int(rng.integers(5))
                if kind == 0:
                    continue
                if kind == 1:
                    data = _bytes(data, rng)
                elif kind == 2:
                    data = _text(data[:128], rng) + data[128:]  # the head of the array
                elif kind == 3:
                    other = [(10**9,), (0,), (3, -1), (1 << 40, 55), (2,) * 40][int(rng.integers(5))]
                    data = (
                        _array_head(other, str(rng.choice(["<f4", "<U0", "|O", "<U5", "|V8", "|b1", "<c16"])))
                        + data[-64:]
                    )
                else:
                    size = int(rng.integers(1, 200))
                    values = rng.choice([np.nan, np.inf, 1e38, -1e30, 0.5], size).astype(np.float32)
                    data = _array_head((size,), "<f4") + values.tobytes()
            new.writestr(name, data)
    return out.getvalue()


def _array_head(shape: tuple[int, ...], dtype: str) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _glb(content: bytes, rng: np.random.Generator) -> bytes:
    """The JSON or the binary chunk changed, with lengths that are right."""
    size = struct.unpack("<I", content[12:16])[0]
    text, binary = content[20 : 20 + size], content[28 + size :]
    if rng.random() < 0.8:
        text = _json(text, rng)
    else:
        binary = _bytes(binary, rng)
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
