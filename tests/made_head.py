"""Heads of few triangles, written by hand after the glTF 2.0 specification."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

UNSIGNED_SHORT, FLOAT = 5123, 5126


def write_glb(path: Path, tree: dict[str, Any], pieces: Sequence[np.ndarray]) -> Path:
    """A .glb of a JSON tree and arrays, each in a buffer view of its own, in order."""
    blob, views = b"", []
    for piece in pieces:
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": piece.nbytes})
        blob += piece.tobytes() + b"\0" * (-piece.nbytes % 4)
    tree = {"asset": {"version": "2.0"}, **tree, "bufferViews": views, "buffers": [{"byteLength": len(blob)}]}
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def head_tree(
    names: Sequence[str], accessors: Sequence[dict[str, Any]], indices: int, targets: Sequence[int], **node: Any
) -> dict[str, Any]:
    """The JSON of one mesh on one node.

    Args:
        names: of the morph targets.
        accessors: the first one holds the positions.
        indices, targets: accessors of the triangles and of each target's positions.
        node: the node's keys besides its mesh.
    """
    primitive = {
        "attributes": {"POSITION": 0},
        "indices": indices,
        "targets": [{"POSITION": target} for target in targets],
    }
    return {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, **node}],
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": list(names)}}],
        "accessors": list(accessors),
    }
