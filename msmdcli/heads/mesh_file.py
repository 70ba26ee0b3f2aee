"""A head's own file (npz), and the cache of what took long to find: heads that were read or thinned before.

The cache lies in the user's cache folder, under `heads`. `MSMD_HEAD_CACHE` sets the limit of the folder (`500MB`; 1GB
without it, some fifty heads) or turns it `off`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder, MeshPart, face_channels
from msmdcli.motion.rig import Rig
from msmdcli.system.kept_files import KeptFiles
from msmdcli.system.npz_file import NpzError, read_npz

FORMAT_VERSION = 1  # of the mesh npz


def save_mesh(path: Path, mesh: MeshDecoder) -> None:
    """Write a linear decoder as npz: `neutral` [V, 3] float32 mm, `deltas` [C, V, 3] float16 mm, `channels` [C],
    `triangles` [F, 3], `parts` (JSON: name, colour, vertices, number of triangles), `format_version`.

    float16 keeps a displacement of 10 mm to 0.004 mm. The same decoder gives the same bytes.
    """
    arrays = arrays_of_decoder(mesh)
    with path.open("wb") as file:
        np.savez_compressed(file, **(arrays | {"deltas": arrays["deltas"].astype(np.float16)}))  # type: ignore[arg-type]


def arrays_of_decoder(mesh: MeshDecoder) -> dict[str, np.ndarray]:
    """What `save_mesh` writes, with exact displacements: `deltas` is float32."""
    parts = [
        {
            "name": part.name,
            "colour": list(part.colour),
            "vertices": [part.vertices.start, part.vertices.stop],
            "triangles": len(part.triangles),
        }
        for part in mesh.parts
    ]
    return {
        "format_version": np.array(FORMAT_VERSION),
        "channels": np.array(mesh.channels),
        "neutral": mesh.neutral.astype(np.float32),
        "deltas": mesh.deltas.astype(np.float32),
        "triangles": mesh.triangles.astype(np.int32),
        "parts": np.array(json.dumps(parts)),
    }


def load_mesh(path: Path, rig: Rig) -> MeshDecoder:
    """Read what `save_mesh` wrote. Channels are matched by name; those of the rig that it lacks move nothing.

    Raises:
        MsmdError: it is no such file.
    """
    try:
        return decoder_of_arrays(read_npz(path), rig, str(path))
    except NpzError as error:
        raise MsmdError(f"{path} is no mesh decoder ({error.message})") from error


def decoder_of_arrays(data: Mapping[str, Any], rig: Rig, where: str) -> MeshDecoder:
    """The decoder of what `arrays_of_decoder` gives.

    Args:
        data: the arrays.
        rig: whose channels are looked for.
        where: the file, for messages.

    Raises:
        MsmdError: they are no such arrays.
    """
    channels = face_channels(rig)
    try:
        if int(data["format_version"]) != FORMAT_VERSION:
            raise MsmdError(f"{where}: mesh format {data['format_version']}; this program reads {FORMAT_VERSION}")
        neutral, triangles = data["neutral"].astype(np.float32), data["triangles"].astype(np.int64)
        given = data["deltas"].astype(np.float32)
        if neutral.ndim != 2 or neutral.shape[1] != 3 or triangles.ndim != 2 or triangles.shape[1] != 3:
            raise ValueError(f"vertices of shape {neutral.shape}, triangles of shape {triangles.shape}")
        deltas = np.zeros((len(channels), len(neutral), 3), np.float32)  # [C, V, 3]
        for number, name in enumerate(data["channels"].tolist()):
            if name in channels:
                deltas[channels.index(name)] = given[number]
        parts = []
        first = 0
        for part in json.loads(str(data["parts"])):
            start, stop = (int(number) for number in part["vertices"])
            if not 0 <= start <= stop <= len(neutral) or int(part["triangles"]) < 0:
                raise ValueError(f"a part of the vertices {start} to {stop}")
            red, green, blue = (float(value) for value in part["colour"])
            last = first + int(part["triangles"])
            parts.append(MeshPart(str(part["name"]), (red, green, blue), slice(start, stop), triangles[first:last]))
            first = last
        if not np.isfinite(neutral).all() or not np.isfinite(deltas).all():
            raise ValueError("it holds NaN")
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(neutral):
            raise ValueError("a triangle has a vertex that is not there")
    except MsmdError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MsmdError(f"{where} is no mesh decoder ({type(error).__name__}: {error})") from error
    return MeshDecoder(rig, channels, neutral, deltas, tuple(parts), rig.vertices)


# ---- the cache -------------------------------------------------------------------------------------------------------


class HeadCache(KeptFiles):
    """The folder of heads."""

    NAME, SUFFIX = "heads", ".npz"
    VARIABLE = "MSMD_HEAD_CACHE"
    DEFAULT_LIMIT = "1GB"


def cached_arrays(key: str) -> dict[str, np.ndarray] | None:
    """The arrays that are kept under a key; None where there are none, or damaged ones.

    Raises:
        UsageError: the environment variable makes no sense.
    """
    content = HeadCache().read(key)
    return None if content is None else arrays_of(content)


def cache_arrays(key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep arrays under a key that says everything that decides them. Where nothing can be kept, nothing is.

    Raises:
        UsageError: the environment variable makes no sense.
    """
    folder = HeadCache()
    if folder.limit:
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        folder.keep(key, [file.getbuffer()])


def arrays_of(content: bytes) -> dict[str, np.ndarray] | None:
    """The arrays in an npz file's bytes; None where it is none."""
    try:
        return read_npz(content)
    except NpzError:
        return None
