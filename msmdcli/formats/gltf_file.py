"""A glTF file as it is: its JSON and its bytes, read and written whole, so that nothing of a user's head gets lost.

Parsed into classes and written back, a file would lose what the classes do not know (extensions, extras); here the JSON
stays a dict. Format: glTF 2.0 specification, section 4 (binary container).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.documents.json_file import json_value
from msmdcli.documents.nodes import DocumentError
from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_check import MOST_BYTES, check_tree, resource
from msmdcli.formats.gltf_extensions import check_extensions
from msmdcli.system.files import encoded

MAGIC = b"glTF"
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
TYPES: dict[int, Any] = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
FLOAT = 5126
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".ktx2": "image/ktx2",
}


@dataclass
class GltfFile:
    """A parsed file.

    Attributes:
        tree: the JSON.
        blob: the bytes of its only buffer.
    """

    tree: dict[str, Any]
    blob: bytearray

    @classmethod
    def load(cls, path: Path, pictures: bool = True) -> GltfFile:
        """Read a .glb, .vrm or .gltf; what it keeps in other files (buffers, pictures) is taken in.

        Args:
            path: the file.
            pictures: whether pictures in other files are taken in; geometry does without.

        Raises:
            MsmdError: no such file, not glTF 2.0, compressed, or it requires an extension that we do not know.
        """
        try:
            if path.exists() and not path.is_file():  # reading a device may never end
                raise MsmdError(f"{path} is not a file")
            if path.stat().st_size > MOST_BYTES:
                raise MsmdError(f"{path} is larger than {MOST_BYTES >> 20} MB")
            data = path.read_bytes()
        except OSError as error:
            raise MsmdError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            tree, binary = _split(data, path)
            if str(tree["asset"]["version"]).split(".")[0] != "2":
                raise MsmdError(f"{path} is glTF {tree['asset']['version']}, not 2.0")
            try:
                check_extensions(tree)
            except MsmdError as error:
                raise MsmdError(f"{path} cannot be read: {error.message}", error.hint) from None
            check_tree(tree)
            return cls(tree, _gather(tree, binary, path.parent, pictures))
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError, struct.error) as error:
            raise MsmdError(f"{path} cannot be read as glTF ({type(error).__name__}: {error})") from error
        except OSError as error:
            raise MsmdError(
                f"{path} needs {error.filename}, which cannot be read: {error.strerror or error}"
            ) from error

    def save(self, path: Path) -> None:
        """Write a .glb."""
        self.tree["buffers"] = [{"byteLength": len(self.blob)}] if self.blob else []
        if not self.blob:
            del self.tree["buffers"]
        text = encoded(json.dumps(self.tree, ensure_ascii=False, separators=(",", ":")))
        text += b" " * (-len(text) % 4)
        binary = bytes(self.blob) + b"\0" * (-len(self.blob) % 4)
        chunks = struct.pack("<II", len(text), JSON_CHUNK) + text
        if binary:
            chunks += struct.pack("<II", len(binary), BINARY_CHUNK) + binary
        path.write_bytes(MAGIC + struct.pack("<II", 2, 12 + len(chunks)) + chunks)

    def list_of(self, name: str) -> list[Any]:
        """A top-level list, made if it is not there."""
        entries: list[Any] = self.tree.setdefault(name, [])
        return entries

    def add_floats(self, values: np.ndarray, kind: str, bounds: bool = False) -> int:
        """Add an accessor of float32 values ([n] or [n, components]); its number.

        `bounds` writes min and max, as times and positions must have.
        """
        table = np.ascontiguousarray(values, dtype="<f4")
        number = self.add_bytes(table.tobytes())
        accessor: dict[str, Any] = {"bufferView": number, "componentType": FLOAT, "count": len(table), "type": kind}
        if bounds:
            rows = table.reshape(len(table), -1)
            accessor["min"] = [float(value) for value in rows.min(axis=0)]
            accessor["max"] = [float(value) for value in rows.max(axis=0)]
        self.list_of("accessors").append(accessor)
        return len(self.list_of("accessors")) - 1

    def add_bytes(self, data: bytes) -> int:
        """Add a buffer view; its number."""
        self.blob.extend(b"\0" * (-len(self.blob) % 4))
        self.list_of("bufferViews").append({"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data)})
        self.blob.extend(data)
        return len(self.list_of("bufferViews")) - 1

    def values(self, number: int) -> np.ndarray:
        """[n, components] values of an accessor, its sparse parts put in; normalised integers as floats."""
        accessor = self.tree["accessors"][number]
        kind, count, width = accessor["componentType"], accessor["count"], WIDTHS[accessor["type"]]
        if "bufferView" in accessor:
            values = self._view(accessor, count, kind, width)
        else:
            values = np.zeros((count, width), TYPES[kind])
        if "sparse" in accessor:  # section 3.6.2.3: some rows are replaced
            sparse = accessor["sparse"]
            rows = self._view(sparse["indices"], sparse["count"], sparse["indices"]["componentType"], 1)[:, 0]
            values = values.copy()
            if len(rows) and int(rows.max()) >= count:
                raise ValueError(f"a sparse row beyond the {count} of accessor {number}")
            values[rows] = self._view(sparse["values"], sparse["count"], kind, width)
        if accessor.get("normalized"):
            return np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1.0)
        return values

    def _view(self, place: dict[str, Any], count: int, kind: int, width: int) -> np.ndarray:
        """[count, width] numbers of a component type in a buffer view, interleaved or not.

        Args:
            place: what names the view (`bufferView`) and where they begin in it (`byteOffset`).
            count, kind, width: how many, of which type, with how many components.
        """
        view = self.tree["bufferViews"][place["bufferView"]]
        dtype = np.dtype(TYPES[kind]).newbyteorder("<")
        start = view.get("byteOffset", 0) + place.get("byteOffset", 0)
        stride = view.get("byteStride") or dtype.itemsize * width
        if stride < dtype.itemsize * width:
            raise ValueError(f"a view with a stride of {stride} bytes for {dtype.itemsize * width}")
        return np.ndarray((count, width), dtype, self.blob, start, (stride, dtype.itemsize))


def _split(data: bytes, path: Path) -> tuple[dict[str, Any], bytes]:
    """(JSON, binary chunk) of a .glb or .gltf."""
    if not data.startswith(MAGIC):
        return _json(data, path), b""
    _, version, length = struct.unpack("<4sII", data[:12])
    if version != 2 or length > len(data):
        raise ValueError(f"container version {version}" if version != 2 else "the file is cut off")
    found: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack("<II", data[at : at + 8])
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    return _json(found[JSON_CHUNK], path), found.get(BINARY_CHUNK, b"")


def _json(text: bytes, path: Path) -> Any:
    try:
        return json_value(text, "its JSON")
    except DocumentError as error:
        raise MsmdError(f"{path} cannot be read as glTF ({error.message})") from error


def _gather(tree: dict[str, Any], binary: bytes, folder: Path, pictures: bool) -> bytearray:
    """All buffers as one, with pictures from other files at its end, if wanted; the JSON is changed to say so."""
    blob, starts = bytearray(), []
    for number, buffer in enumerate(tree.get("buffers", [])):
        blob.extend(b"\0" * (-len(blob) % 4))
        starts.append(len(blob))
        data = resource(buffer["uri"], folder) if "uri" in buffer else binary if number == 0 else b""
        if len(data) < buffer["byteLength"]:
            raise ValueError(f"buffer {number} is cut off")
        blob.extend(data[: buffer["byteLength"]])
    for view in tree.get("bufferViews", []):
        view["byteOffset"] = view.get("byteOffset", 0) + starts[view["buffer"]]
        view["buffer"] = 0
    for image in tree.get("images", []) if pictures else ():
        uri = image.get("uri", "data:")
        if not uri.startswith("data:"):
            data = resource(image.pop("uri"), folder)
            blob.extend(b"\0" * (-len(blob) % 4))
            tree.setdefault("bufferViews", []).append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)})
            blob.extend(data)
            image["bufferView"] = len(tree["bufferViews"]) - 1
            image.setdefault("mimeType", IMAGES.get(Path(uri).suffix.lower(), "image/png"))
    return blob
