"""npz files of others: read as NumPy reads them, or refused before anything is unpacked."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from msmdcli.system.npz_file import NpzError, read_npz


def member(shape: str, descr: str = "<f4", body: bytes = b"") -> bytes:
    """An array as a file may promise it."""
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


ARRAYS = {
    "floats": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "names": np.array(["jawOpen", "münd"]),
    "text": np.array("25/1"),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), np.int64),
    "big_endian": np.arange(3, dtype=">i4"),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_as_numpy_has_them(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    for source in (tmp_path / "a.npz", (tmp_path / "a.npz").read_bytes()):
        found = read_npz(source)
        assert list(found) == list(ARRAYS)
        for name, values in ARRAYS.items():
            assert found[name].dtype == values.dtype and found[name].shape == values.shape
            np.testing.assert_array_equal(found[name], values)
            found[name][...] = values  # it is writable, as NumPy's own is
    assert list(read_npz(tmp_path / "a.npz", ("text", "absent"))) == ["text"]


BOMBS = {
    "a shape of 80 TB": {"values": member("(400000000000, 55)", body=bytes(100))},
    "a billion names of no bytes": {"channels": member("(1000000000,)", "<U0")},
    "more bytes than the shape": {"values": member("(2,)", body=bytes(12))},
    "fewer bytes than the shape": {"values": member("(2,)", body=bytes(4))},
    "a negative length": {"values": member("(-1,)", body=bytes(4))},
    "objects": {"values": member("(1,)", "|O", bytes(8))},
    "structures": {"values": member("(1,)", "|V8", bytes(8))},
    "complex numbers": {"values": member("(1,)", "<c8", bytes(8))},
    "a head that is no head": {"values": b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[[((((\n"},
    "no array": {"values": b"hello"},
    "nothing": {"values": b""},
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_promises_too_much_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NpzError, match=r"a\.npz is not a readable npz file"):
        read_npz(npz(tmp_path / "a.npz", **BOMBS[name]))


def test_sizes_are_looked_at_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz(tmp_path / "a.npz", junk=bytes(3 << 20), values=member("(1,)", body=bytes(4)))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it is unpacked"))
    with pytest.raises(NpzError, match="would unpack to 3 MB, more than 1"):
        read_npz(path, ("values",), most_bytes=1 << 20)


def test_an_array_that_nobody_wants_is_not_unpacked(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", junk=b"no array", values=member("(1,)", body=bytes(4)))
    assert read_npz(path, ("values",))["values"].tolist() == [0.0]


def damaged(kind: str) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=np.arange(100.0))
    content = bytearray(buffer.getvalue())
    at = content.find(b"PK\x01\x02")
    if kind == "stream":
        start = 30 + struct.unpack("<H", content[26:28])[0] + struct.unpack("<H", content[28:30])[0]
        content[start : start + 4] = b"\xff\xff\xff\xff"
    elif kind == "method":
        content[at + 10] = 77
    elif kind == "encrypted":
        content[at + 8] |= 1
    elif kind == "checksum":
        content[at + 16] ^= 1
    else:
        content = content[:-10]
    return bytes(content)


@pytest.mark.parametrize("kind", ["stream", "method", "encrypted", "checksum", "cut off"])
def test_damage_is_one_kind_of_error(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.npz").write_bytes(damaged(kind))
    with pytest.raises(NpzError, match=r"a\.npz is not a readable npz file"):
        read_npz(tmp_path / "a.npz")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NpzError, match="no such file"):
        read_npz(tmp_path / "absent.npz")
    with pytest.raises(NpzError, match="is not a file"):
        read_npz(tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(NpzError, match="is not a file"):
        read_npz(tmp_path / "pipe.npz")
    with pytest.raises(NpzError, match="is not a file"):
        read_npz(Path("/dev/zero"))
