"""A head of a glTF file: meshes that carry morph targets named like the rig's channels.

Names may be in any usual spelling (`msmdcli.motion.morph_names`); other targets stay at their default weights, and
channels without a target move nothing. Characters that look to -z (VRM 0.x) are turned to +z, skinned meshes are where
their joints hold them. glTF lengths are metres; in a file whose face would be as large as a house or as a grain, they
are what they must be. Everything here is in millimetres. Format: glTF 2.0 specification, section 3.7.
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
from msmdcli.heads.gltf_skin import skinned
from msmdcli.heads.mesh import MeshDecoder, MeshPart, face_channels
from msmdcli.heads.mesh_file import FORMAT_VERSION, arrays_of_decoder, cache_arrays, cached_arrays, decoder_of_arrays
from msmdcli.motion.morph_names import Matching, match_targets
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import matrix_of_quaternion

MM_PER_METRE = 1000.0
READING = 3  # rises when the same file is read in another way, so that what is kept of it is read anew
TRIANGLES = 4  # glTF primitive mode
FACE, ODD = 150.0, 6.0  # mm that a face is wide, about; how many times wider or narrower is no face's size any more
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
    worlds = _worlds(gltf.tree)
    for node_number in _placed_meshes(gltf.tree):
        node, world = gltf.tree["nodes"][node_number], worlds[node_number]
        skin = None if node.get("skin") is None else gltf.tree["skins"][node["skin"]]
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
            carried = None if skin is None else skinned(gltf, skin, primitive, worlds)
            carried = world[None] if carried is None else carried  # [n or 1, 4, 4]
            moved = np.zeros((len(channels), count, 3), np.float32)  # [C, n, 3]
            for channel, chosen in found.items():
                for number in {names.index(name) for name in chosen}:
                    accessor = targets[number].get("POSITION") if number < len(targets) else None
                    if accessor is not None:
                        moved[channels.index(channel)] += _turned(carried, gltf.values(accessor)) * MM_PER_METRE
            index = gltf.values(primitive["indices"]) if "indices" in primitive else np.arange(count)
            name, colour = _material(gltf.tree, primitive.get("material"), len(parts))
            neutral.append((_turned(carried, position) + carried[:, :3, 3]) * MM_PER_METRE)
            deltas.append(moved)
            if index.size and not 0 <= int(index.min()) <= int(index.max()) < count:
                raise ValueError(f"mesh {mesh_number} has a triangle with a vertex that is not there")
            triangles = index.reshape(-1, 3).astype(np.int64) + first
            if np.linalg.det(carried[:, :3, :3]).mean() < 0:  # mirrored: else the inside would be outside
                triangles = triangles[:, ::-1]
            parts.append(MeshPart(name, colour, slice(first, first + count), triangles))
            first += count
    if not any(matching.found for matching in matchings.values()):
        raise MsmdError(f"{where}: no morph targets are named like the channels of {rig.name}", hint="e.g. jawOpen")
    points, moves = np.concatenate(neutral).astype(np.float32), np.concatenate(deltas, axis=1)
    if not np.isfinite(points).all() or not np.isfinite(moves).all():
        raise MsmdError(f"{where}: a vertex lies at NaN or infinity")
    unit = _unit(points, moves)
    points, moves = points * unit, moves * unit
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
    for number in _placed_meshes(tree):
        for primitive in tree["meshes"][tree["nodes"][number]["mesh"]]["primitives"]:
            if primitive.get("mode", TRIANGLES) == TRIANGLES:
                yield primitive


def _placed_meshes(tree: Mapping[str, Any]) -> Iterator[int]:
    """The number of each node of the scene that carries a mesh."""
    scenes, roots = tree.get("scenes"), _roots(tree)
    waiting = roots if not scenes else list(scenes[tree.get("scene") or 0].get("nodes") or [])
    visited: set[int] = set()
    while waiting:
        number = waiting.pop(0)
        if number in visited:
            raise ValueError(f"node {number} has two parents")
        visited.add(number)
        node = tree["nodes"][number]
        if node.get("mesh") is not None:
            yield number
        waiting.extend(node.get("children") or [])


def _roots(tree: Mapping[str, Any]) -> list[int]:
    """The nodes that are nobody's child."""
    nodes = tree.get("nodes") or []
    children = {child for node in nodes for child in node.get("children") or []}
    return [number for number in range(len(nodes)) if number not in children]


def _worlds(tree: Mapping[str, Any]) -> dict[int, np.ndarray]:
    """Node -> its world matrix [4, 4], looking to +z; those of nodes that lie in a circle are left out."""
    found: dict[int, np.ndarray] = {}
    root = BACKWARDS if looks_backwards(tree) else np.eye(4)
    waiting = [(number, root) for number in _roots(tree)]
    while waiting:
        number, above = waiting.pop()
        node = tree["nodes"][number]
        found[number] = above @ _local_matrix(node)
        waiting.extend((child, found[number]) for child in node.get("children") or [] if child not in found)
    return found


def _turned(carried: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, 3] as matrices [n or 1, 4, 4] turn and scale them."""
    if len(carried) == 1:
        return np.asarray(vectors @ carried[0, :3, :3].T)
    return np.asarray(np.einsum("nij,nj->ni", carried[:, :3, :3], vectors))


def _unit(points: np.ndarray, moves: np.ndarray) -> float:
    """What brings a face to a face's size: 1, but for a file whose unit is plainly not the metre.

    Args:
        points: [V, 3] mm. moves: [C, V, 3] of the channels.
    """
    moving = points[np.abs(moves).max(axis=(0, 2)) > 0]
    width = float(np.ptp(moving[:, 0])) if len(moving) else 0.0
    if width <= 0 or 1 / ODD < width / FACE < ODD:
        return 1.0
    return float(10.0 ** np.round(np.log10(FACE / width)))


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
