"""A head of a glTF file: meshes that carry morph targets named like the rig's channels.

Names may be in any usual spelling (`msmdcli.motion.morph_names`); other targets stay at their default weights, and
channels without a target move nothing. Characters that look to -z (VRM 0.x) are turned to +z. glTF lengths are metres;
everything here is in millimetres. Format: glTF 2.0 specification, section 3.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.formats.gltf_check import check_vertices, placed_vertices
from msmdcli.formats.gltf_extensions import BACKWARDS, looks_backwards
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.formats.gltf_morphs import rest_weights, target_names
from msmdcli.heads.mesh import MeshDecoder, MeshPart, face_channels
from msmdcli.heads.mesh_file import FORMAT_VERSION, arrays_of_decoder, cache_arrays, cached_arrays, decoder_of_arrays
from msmdcli.motion.morph_names import Matching, match_targets
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import matrix_of_quaternion

MM_PER_METRE = 1000.0
READING = 2  # rises when the same file is read in another way, so that what is kept of it is read anew
TRIANGLES = 4  # glTF primitive mode
GREY = (0.7, 0.7, 0.7)  # of what has no material


def load_gltf_head(path: Path, rig: Rig) -> MeshDecoder:
    """Read a head; what a .glb file was read as is kept in the cache.

    Raises:
        MsmdError: no such file, no glTF file, no mesh with morph targets of the rig's names.
    """
    source = source_of(path, rig)
    cached = cached_arrays(f"{source}.{READING}") if source else None
    if cached is not None:
        return replace(decoder_of_arrays(cached, rig, str(path)), source=source)
    gltf = read_gltf(path)
    made = replace(decoder_of_gltf(gltf, rig, str(path))[0], source=source)
    if source and all("uri" not in buffer for buffer in gltf.tree.get("buffers", ())):
        cache_arrays(f"{source}.{READING}", arrays_of_decoder(made))
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


def _decoder(
    gltf: GltfFile, rig: Rig, where: str, given: Mapping[str, Sequence[str]] | None
) -> tuple[MeshDecoder, list[Matching]]:
    channels = face_channels(rig)
    check_vertices(placed_vertices(gltf.tree))
    matchings: dict[int, Matching] = {}  # by mesh
    neutral: list[np.ndarray] = []
    deltas: list[np.ndarray] = []
    parts: list[MeshPart] = []
    first = 0
    for node, world in _placed_meshes(gltf.tree):
        mesh_number = node["mesh"]
        mesh = gltf.tree["meshes"][mesh_number]
        names = target_names(mesh)
        if any(names) and mesh_number not in matchings:
            matchings[mesh_number] = match_targets([name for name in names if name], channels, given)
        found = matchings[mesh_number].found if any(names) else {}
        rest = rest_weights(mesh, node)
        moving = {names.index(name) for chosen in found.values() for name in chosen}
        shape = {int(number): rest[number] for number in np.flatnonzero(rest) if number not in moving}
        for primitive in mesh["primitives"]:
            if primitive.get("mode", TRIANGLES) != TRIANGLES:
                continue
            position = gltf.values(primitive["attributes"]["POSITION"])  # [n, 3] metres
            count = len(position)
            targets = primitive.get("targets") or []
            for number, weight in shape.items():  # a shape of the character that is no channel stays
                if number < len(targets) and "POSITION" in targets[number]:
                    position = position + weight * gltf.values(targets[number]["POSITION"])
            moved = np.zeros((len(channels), count, 3), np.float32)  # [C, n, 3]
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
            if index.size and not 0 <= int(index.min()) <= int(index.max()) < count:
                raise ValueError(f"mesh {mesh_number} has a triangle with a vertex that is not there")
            triangles = index.reshape(-1, 3).astype(np.int64) + first
            parts.append(MeshPart(name, colour, slice(first, first + count), triangles))
            first += count
    if not any(matching.found for matching in matchings.values()):
        raise MsmdError(f"{where}: no morph targets are named like the channels of {rig.name}", hint="e.g. jawOpen")
    points, moves = np.concatenate(neutral).astype(np.float32), np.concatenate(deltas, axis=1)
    if not np.isfinite(points).all() or not np.isfinite(moves).all():
        raise MsmdError(f"{where}: a vertex lies at NaN or infinity")
    mesh = MeshDecoder(
        rig,
        channels,
        points,
        moves,
        tuple(parts),
        rig.vertices,
    )
    return mesh, list(matchings.values())


def placed_triangles(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The primitives that a head is made of, in the order of its vertices."""
    for node, _ in _placed_meshes(tree):
        for primitive in tree["meshes"][node["mesh"]]["primitives"]:
            if primitive.get("mode", TRIANGLES) == TRIANGLES:
                yield primitive


def _placed_meshes(tree: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], np.ndarray]]:
    """(node, world matrix [4, 4]) of each node of the scene that carries a mesh, looking to +z."""
    scene = tree["scenes"][tree.get("scene") or 0]
    root = BACKWARDS if looks_backwards(tree) else np.eye(4)
    waiting = [(number, root) for number in scene.get("nodes") or []]
    visited: set[int] = set()
    while waiting:
        number, above = waiting.pop(0)
        if number in visited:
            raise ValueError(f"node {number} has two parents")
        visited.add(number)
        node = tree["nodes"][number]
        world = above @ _local_matrix(node)
        if node.get("mesh") is not None:
            yield node, world
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


def source_of(path: Path, rig: Rig) -> str:
    """Names everything that decides what a .glb file is read as; empty for others, which may lie in several files."""
    if path.suffix.lower() not in (".glb", ".vrm") or not path.is_file():
        return ""
    sets = sorted((name, list(numbers)) for name, numbers in rig.vertices.items())
    decides = repr((FORMAT_VERSION, face_channels(rig), sets))
    return hashlib.sha256(decides.encode() + path.read_bytes()).hexdigest()
