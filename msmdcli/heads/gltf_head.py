"""A head of a glTF file: meshes that carry morph targets named like the rig's channels.

Names may be in any usual spelling (`msmdcli.motion.morph_names`); other targets are ignored, and channels without a
target move nothing. glTF lengths are metres; everything here is in millimetres. Format: glTF 2.0 specification, section
3.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.heads.mesh import MeshDecoder, MeshPart, face_channels
from msmdcli.heads.mesh_file import FORMAT_VERSION, arrays_of_decoder, cache_arrays, cached_arrays, decoder_of_arrays
from msmdcli.motion.morph_names import Matching, match_targets
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import matrix_of_quaternion

MM_PER_METRE = 1000.0
TRIANGLES = 4  # glTF primitive mode
GREY = (0.7, 0.7, 0.7)  # of what has no material


def load_gltf_head(path: Path, rig: Rig) -> MeshDecoder:
    """Read a head; what a .glb file was read as is kept in the cache.

    Raises:
        MsmdError: no such file, no glTF file, no mesh with morph targets of the rig's names.
    """
    source = _source(path, rig)
    cached = cached_arrays(source) if source else None
    if cached is not None:
        return replace(decoder_of_arrays(cached, rig, str(path)), source=source)
    gltf = read_gltf(path)
    made = replace(decoder_of_gltf(gltf, rig, str(path))[0], source=source)
    if source and all("uri" not in buffer for buffer in gltf.tree.get("buffers", ())):
        cache_arrays(source, arrays_of_decoder(made))
    return made


def read_gltf(path: Path) -> GltfFile:
    """A parsed glTF file, without its pictures.

    Raises:
        MsmdError: there is none, or it is broken.
    """
    if not path.is_file():
        raise MsmdError(f"no such head: {path}")
    return GltfFile.load(path, pictures=False)


def decoder_of_gltf(
    gltf: GltfFile, rig: Rig, where: str, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[MeshDecoder, list[Matching]]:
    """The decoder of a parsed glTF file (all triangles of all meshes in the scene, in world space), and what became of
    the morph targets of each mesh that has some.

    Args:
        gltf: of `read_gltf`.
        rig: whose channels are looked for.
        where: the file, for messages.
        given: channel -> morph targets that a person has named.

    Raises:
        MsmdError: no channel has a target, or the file contradicts itself.
    """
    try:
        return _decoder(gltf, rig, where, given)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:  # a malformed file
        raise MsmdError(f"{where} cannot be read as glTF ({type(error).__name__}: {error})") from error


def target_names(gltf: GltfFile, mesh_number: int) -> list[str]:
    """The names of a mesh's morph targets, in order; empty where the file gives none."""
    return [str(name) for name in (gltf.tree["meshes"][mesh_number].get("extras") or {}).get("targetNames") or []]


def _decoder(
    gltf: GltfFile, rig: Rig, where: str, given: Mapping[str, Sequence[str]] | None
) -> tuple[MeshDecoder, list[Matching]]:
    channels = face_channels(rig)
    matchings: dict[int, Matching] = {}  # by mesh
    neutral: list[np.ndarray] = []
    deltas: list[np.ndarray] = []
    parts: list[MeshPart] = []
    first = 0
    for mesh_number, world in _placed_meshes(gltf.tree):
        names = target_names(gltf, mesh_number)
        if names and mesh_number not in matchings:
            matchings[mesh_number] = match_targets(names, channels, given)
        found = matchings[mesh_number].found if names else {}
        for primitive in gltf.tree["meshes"][mesh_number]["primitives"]:
            if primitive.get("mode", TRIANGLES) != TRIANGLES:
                continue
            position = gltf.values(primitive["attributes"]["POSITION"])  # [n, 3] metres
            count = len(position)
            moved = np.zeros((len(channels), count, 3), np.float32)  # [C, n, 3]
            targets = primitive.get("targets") or []
            for channel, chosen in found.items():
                for number in {names.index(name) for name in chosen}:
                    accessor = targets[number].get("POSITION") if number < len(targets) else None
                    if accessor is not None:
                        displaced = gltf.values(accessor) @ world[:3, :3].T * MM_PER_METRE
                        moved[channels.index(channel)] += displaced
            index = gltf.values(primitive["indices"]) if "indices" in primitive else np.arange(count)
            name, colour = _material(gltf.tree, primitive.get("material"), len(parts))
            neutral.append((position @ world[:3, :3].T + world[:3, 3]) * MM_PER_METRE)
            deltas.append(moved)
            triangles = index.reshape(-1, 3).astype(np.int64) + first
            parts.append(MeshPart(name, colour, slice(first, first + count), triangles))
            first += count
    if not any(matching.found for matching in matchings.values()):
        raise MsmdError(f"{where}: no morph targets are named like the channels of {rig.name}", hint="e.g. jawOpen")
    mesh = MeshDecoder(
        rig,
        channels,
        np.concatenate(neutral).astype(np.float32),
        np.concatenate(deltas, axis=1),
        tuple(parts),
        rig.vertices,
    )
    return mesh, list(matchings.values())


def _placed_meshes(tree: Mapping[str, Any]) -> Iterator[tuple[int, np.ndarray]]:
    """(mesh number, world matrix [4, 4]) of each node of the scene that carries a mesh."""
    scene = tree["scenes"][tree.get("scene") or 0]
    waiting = [(number, np.eye(4)) for number in scene.get("nodes") or []]
    visited: set[int] = set()
    while waiting:
        number, above = waiting.pop(0)
        if number in visited:
            raise ValueError(f"node {number} has two parents")
        visited.add(number)
        node = tree["nodes"][number]
        world = above @ _local_matrix(node)
        if node.get("mesh") is not None:
            yield node["mesh"], world
        waiting.extend((child, world) for child in node.get("children") or [])


def _local_matrix(node: Mapping[str, Any]) -> np.ndarray:
    """[4, 4] of a node: its matrix (stored by columns), or translation x rotation (quaternion x, y, z, w) x scale."""
    if node.get("matrix"):
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation") or (0.0, 0.0, 0.0, 1.0)
    rotation = matrix_of_quaternion(np.array([w, x, y, z], np.float64))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale") or (1.0, 1.0, 1.0))
    matrix[:3, 3] = node.get("translation") or (0.0, 0.0, 0.0)
    return matrix


def _material(tree: Mapping[str, Any], number: int | None, part: int) -> tuple[str, tuple[float, float, float]]:
    """Name and base colour (linear) of a material; grey where it has none."""
    material = {} if number is None else tree["materials"][number]
    factor = (material.get("pbrMetallicRoughness") or {}).get("baseColorFactor")
    if factor is None:
        factor = GREY if number is None or "pbrMetallicRoughness" not in material else (1.0, 1.0, 1.0)
    return material.get("name") or f"part{part}", (factor[0], factor[1], factor[2])


def _source(path: Path, rig: Rig) -> str:
    """Names everything that decides what a .glb file is read as; empty for others, which may lie in several files."""
    if path.suffix.lower() != ".glb" or not path.is_file():
        return ""
    decides = repr((FORMAT_VERSION, face_channels(rig), sorted((name, list(v)) for name, v in rig.vertices.items())))
    return hashlib.sha256(decides.encode() + path.read_bytes()).hexdigest()
