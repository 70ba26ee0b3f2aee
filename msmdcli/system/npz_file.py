"""Reads npz files of others: all that a file says of its size is looked at before it is unpacked.

An npz file is a ZIP archive of NumPy arrays (NumPy NEP 1). The directory of the archive tells the unpacked size of each
member, and the head of an array its shape; both may promise anything. So a few kilobytes could unpack to gigabytes, or
hold a billion values of no bytes each. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from msmdcli.errors import MsmdError

MOST_MEMBERS = 10_000
MOST_BYTES = 1 << 29  # of all members together, unpacked: five hours of motion at 25 frames a second are 100 MB
MOST_VALUES = 1 << 28  # of one array
HEAD_BYTES = 10_000  # of an array's head, as NumPy has it
KINDS = "biufUS"  # numbers and texts; no objects, no structures
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NpzError(MsmdError):
    """It is no npz file, a damaged one, or one that promises too much."""


def read_npz(
    source: Path | bytes, names: Collection[str] | None = None, most_bytes: int = MOST_BYTES
) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Args:
        source: the file, or its bytes.
        names: the arrays that are wanted, as far as they are there; None is all of them. Others are not unpacked.
        most_bytes: that all arrays of the file may have together.

    Raises:
        NpzError: see there; the message names the file.
    """
    where = str(source) if isinstance(source, Path) else "an npz file"
    try:
        if isinstance(source, bytes):
            return _arrays(io.BytesIO(source), names, most_bytes)
        if not source.is_file():  # reading a pipe or a device may never end
            raise NpzError(f"{where} is not a file" if source.exists() else f"no such file: {where}")
        with source.open("rb") as file:
            return _arrays(file, names, most_bytes)
    except NpzError:
        raise
    except OSError as error:
        raise NpzError(f"{where} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # zipfile, zlib and NumPy's reader of heads each raise a dozen kinds of errors on damaged bytes, undocumented.
        raise NpzError(f"{where} is not a readable npz file ({error or type(error).__name__})") from error


def _arrays(file: IO[bytes], names: Collection[str] | None, most_bytes: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"{len(members)} members")
        unpacked = sum(member.file_size for member in members)
        if unpacked > most_bytes:
            raise ValueError(f"it would unpack to {unpacked >> 20} MB, more than {most_bytes >> 20}")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise ValueError(f"{name} is there twice")
            if member.compress_type not in METHODS:
                raise ValueError(f"{name} is compressed by a method that npz files do not use")
            if names is None or name in names:
                with archive.open(member) as stream:
                    found[name] = _array(stream, name, member.file_size)
    return found


def _array(stream: IO[bytes], name: str, size: int) -> np.ndarray:
    """An array of `size` bytes, its head included."""
    begin = io.BytesIO(stream.read(min(size, HEAD_BYTES + 12)))
    version = np.lib.format.read_magic(begin)
    read_head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, dtype = read_head(begin, HEAD_BYTES)
    if dtype.kind not in KINDS or dtype.subdtype is not None:
        raise ValueError(f"{name} holds {dtype}, neither numbers nor texts")
    if len(shape) > 8 or any(length < 0 for length in shape):
        raise ValueError(f"{name} has the shape {shape}")
    count = math.prod(shape)
    if count > MOST_VALUES:
        raise ValueError(f"{name} holds {count:.3g} values")
    if count * dtype.itemsize != size - begin.tell():
        raise ValueError(f"{name} has {size - begin.tell()} bytes for the shape {shape}")
    content = bytearray(count * dtype.itemsize)
    start = begin.read()
    content[: len(start)] = start
    at = len(start)
    while at < len(content) and (block := stream.read(min(1 << 20, len(content) - at))):
        content[at : at + len(block)] = block
        at += len(block)
    if at < len(content) or stream.read(1):
        raise ValueError(f"{name} is cut off")
    values: np.ndarray[Any, Any] = np.frombuffer(content, dtype)
    return values.reshape(shape[::-1]).T if by_columns else values.reshape(shape)
