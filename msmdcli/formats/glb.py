"""glTF binary: a head with morph targets and its animation in one file.

The animation has one `weights` channel per mesh node whose morph targets are named like the rig's channels
(`targetNames` in the extras of the mesh or its primitives, in any usual spelling), and one `rotation` channel for the
head. The head's own file stays as it is, except that its animations give way to ours. Morph targets that are no
channels keep their default weight, which a node may give for itself.

**Head.** The rig's axes are glTF's (x to the person's own left, y up, z out of the face); `head_turn.py` says how the
rotation becomes the node's own. A VRM 0.x character looks to -z: its axes are turned by half a turn about y. Angles are
written as quaternions, which glTF interpolates as rotations.

**Time.** Keys are at i / fps, computed exactly and stored as float32. There is no drift, and the last frame has a key.
The frame rate, which glTF has no place for, stands in the animation's extras with the other notes.

With `head=none` the file holds a carrier instead of a head: a small triangle with the named morph targets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msmdcli import __version__
from msmdcli.errors import MsmdError
from msmdcli.formats.curves import (
    Curve,
    assemble,
    find_rate,
    head_of,
    match_channels,
    on_frames,
    shapes_of,
    span,
)
from msmdcli.formats.description import describe, described_clock, described_meta, described_rig
from msmdcli.formats.gltf_extensions import HALF_TURN, looks_backwards
from msmdcli.formats.gltf_file import GltfFile
from msmdcli.formats.gltf_morphs import rest_weights, target_names
from msmdcli.formats.head_turn import IDENTITY, NONE, angles_from_node, is_head, reduced_rotation, to_node
from msmdcli.motion.key_reduction import KeyCount, reduce_together, total
from msmdcli.motion.motion import Motion, parse_fps
from msmdcli.motion.rig import Rig
from msmdcli.motion.rotation import inverse, multiply, on_one_side, quaternion_from_euler, quaternion_of_matrix
from msmdcli.paths import find_head

WHOLE = (".glb", ".vrm")  # usually one file; what it may keep in others is not looked at again


class Target(NamedTuple):
    """A morph target: its number on the mesh, its name, and the channel it means (None: it is none)."""

    number: int
    name: str
    channel: str | None


def write(motion: Motion, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the head with the motion.

    Options:
        head: a .glb, .vrm or .gltf; `none` for a carrier; by default MSMD_HEAD or the head that ships.
        head_node: the node that turns with the head; by default one called head; `none` leaves head motion out.
        reduce_keys: tolerance; all morph targets share their keys, as glTF has it.
    """
    name, tolerance = str(options["name"]), options.get("reduce_keys")
    given = options.get("head")
    file = carrier(motion.rig) if str(given) == NONE else load_head(find_head(given))
    animation: dict[str, Any] = {
        "name": name,
        "channels": [],
        "samplers": [],
        "extras": {"msmd": describe(motion, name)},
    }
    warnings: list[str] = []

    def animate(nodes: list[int], what: str, kind: str, keys: np.ndarray, values: np.ndarray) -> None:
        """One sampler, and a channel for each node: keys [K], values [K * n] or [K, 4]."""
        times = keys * float(1 / motion.fps)
        sampler = {"input": file.add_floats(times, "SCALAR", bounds=True), "output": file.add_floats(values, kind)}
        for node in nodes:
            target = {"node": node, "path": what}
            animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
        animation["samplers"].append(sampler)

    _, shapes = shapes_of(motion)  # [T, S]
    keys, count = reduce_together(shapes, tolerance)
    driven: set[str] = set()
    for mesh_number, nodes in nodes_by_mesh(file.tree).items():
        mesh = file.tree["meshes"][mesh_number]
        targets, doubts = morph_targets(mesh, motion.rig)
        warnings += [text for text in doubts if text not in warnings]
        if not any(target.channel for target in targets):
            continue
        by_rest: dict[bytes, list[int]] = {}  # nodes with equal weights share their keys
        for number in nodes:
            by_rest.setdefault(rest_weights(mesh, file.tree["nodes"][number]).tobytes(), []).append(number)
        for rest, alike in by_rest.items():
            weights = np.tile(np.frombuffer(rest, np.float32), (len(keys), 1))  # [K, targets]
            for target in targets:
                if target.channel is not None:
                    weights[:, target.number] = motion.values[keys, motion.rig.index(target.channel)]
                    driven.add(target.channel)
            animate(alike, "weights", "SCALAR", keys, weights.ravel())
    if not driven:
        where = "the head" if given is None else f"the head {given}"
        raise MsmdError(
            f"{where} has no morph targets named like the channels of rig {motion.rig.name}",
            hint="e.g. jawOpen, in targetNames of the extras of the mesh",
        )
    faces = [name for name in motion.rig.channels if name not in (motion.rig.rotation or ())]
    absent = [name for name in faces if name not in driven and motion.values[:, motion.rig.index(name)].any()]
    if absent:
        warnings.append(f"the head has no morph target for {', '.join(absent)}")
    counts: list[KeyCount | None] = [count]
    angles = head_of(motion)
    wanted = options.get("head_node")
    if angles is not None and str(wanted) != NONE:
        node = find_head_node(file.tree, wanted)
        if node is None:
            warnings.append("head motion was left out: the head has no node called head; head_node names one")
        else:
            parents, rest_rotation = _rotations(file.tree, node)
            local = to_node(quaternion_from_euler(angles), parents, rest_rotation)  # [T, 4]
            keys, count = reduced_rotation(local, tolerance)
            counts.append(count)
            animate([node], "rotation", "VEC4", keys, local[keys][:, [1, 2, 3, 0]])
            animation["extras"]["msmd"]["head_node"] = node
    file.tree["animations"] = [animation]
    file.tree["asset"]["generator"] = _generator(file.tree["asset"].get("generator"))
    file.save(path)
    whole = total(counts)
    return {"warnings": warnings, **(whole.as_notes() if whole else {})}


def read(path: Path, options: Mapping[str, Any]) -> Motion:
    """Read the first animation with morph weights, ours or another program's.

    A file of ours says its rig and frame rate; of others, targets are matched by name with arkit52, and the frame rate
    is the lowest usual one at which all keys fall on frames.

    Options:
        fps: the frame rate.
    """
    file = GltfFile.load(path)
    try:
        return _motion(file, path, options)
    except MsmdError as error:
        raise MsmdError(
            error.message if str(path) in error.message else f"{path}: {error.message}", error.hint
        ) from None
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise MsmdError(f"{path} cannot be read as glTF ({type(error).__name__}: {error})") from error


def _motion(file: GltfFile, path: Path, options: Mapping[str, Any]) -> Motion:
    animation = next(
        (a for a in file.tree.get("animations", []) if any(c["target"]["path"] == "weights" for c in a["channels"])),
        None,
    )
    if animation is None:
        raise MsmdError(f"{path} holds no animation of morph targets", hint="msmd inspect tells what it holds")
    extras = animation.get("extras")
    note = extras.get("msmd") if isinstance(extras, Mapping) else None
    described = note if isinstance(note, Mapping) else {}  # extras of other programs may be anything
    rig = described_rig(described)
    fps, frames = described_clock(described)
    weights: dict[str, Curve] = {}
    for channel in animation["channels"]:
        if channel["target"]["path"] == "weights":
            mesh = file.tree["meshes"][file.tree["nodes"][channel["target"]["node"]]["mesh"]]
            targets, _ = morph_targets(mesh, rig)
            times, values = _sampled(file, animation["samplers"][channel["sampler"]], len(targets))
            for target in targets:
                if target.channel is not None:
                    weights.setdefault(target.channel, (times, values[:, target.number]))
    if not weights:
        raise MsmdError(f"{path}: no morph target is named like a channel of rig {rig.name}", hint="e.g. jawOpen")
    fps = (
        parse_fps(options["fps"])
        if "fps" in options
        else fps or find_rate(np.concatenate([t for t, _ in weights.values()]))
    )
    start, covered = span(list(weights.values()), fps)
    if described:
        start = 0.0
    frames = frames or covered
    columns = {name: on_frames(curve, fps, frames, start) for name, curve in weights.items()}
    angles = _head_angles(file, animation, described, fps, frames, start)
    return assemble(path, rig, fps, columns, angles, described_meta(described))


def _head_angles(
    file: GltfFile, animation: Mapping[str, Any], described: Mapping[str, Any], fps: Any, frames: int, start: float
) -> np.ndarray | None:
    """[T, 3] from the rotation of the head's node; None where it is not animated."""
    node: int | None = described["head_node"] if "head_node" in described else find_head_node(file.tree, None)
    turning = [
        c for c in animation["channels"] if c["target"]["path"] == "rotation" and c["target"].get("node") == node
    ]
    if node is None or not turning:
        return None
    times, values = _sampled(file, animation["samplers"][turning[0]["sampler"]], 4)  # x, y, z, w
    local = on_one_side(values[:, [3, 0, 1, 2]])
    parents, rest = _rotations(file.tree, node)
    turned = on_frames((times, local), fps, frames, start)  # [T, 4], linear: normalised below
    return angles_from_node(turned, parents, rest)


@lru_cache(maxsize=8)
def _read_head(path: Path, mtime_ns: int, size: int) -> tuple[str, bytes]:
    file = GltfFile.load(path)
    return json.dumps(file.tree), bytes(file.blob)


def load_head(path: Path) -> GltfFile:
    """A head's file, a copy that may be changed. A .glb or .vrm, whole in itself, is read once for all lines."""
    if path.suffix.lower() not in WHOLE:
        return GltfFile.load(path)
    stat = path.stat()
    tree, blob = _read_head(path, stat.st_mtime_ns, stat.st_size)
    return GltfFile(json.loads(tree), bytearray(blob))


def find_head_node(tree: Mapping[str, Any], name: object) -> int | None:
    """The node of that name; by default the first that is called head, in any case and behind any prefix."""
    names = [str(node.get("name", "")) for node in tree.get("nodes", [])]
    if name is not None:
        if str(name) not in names:
            raise MsmdError(f"the head has no node {name!r}", hint=f"its nodes: {', '.join(filter(None, names))[:300]}")
        return names.index(str(name))
    return next((number for number, text in enumerate(names) if is_head(text)), None)


def carrier(rig: Rig) -> GltfFile:
    """A triangle of 1 cm under a node Head, with a morph target per channel that lifts it by 1 cm."""
    file = GltfFile({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}]}, bytearray())
    channels = [name for name in rig.channels if name not in (rig.rotation or ())]
    names = [target for channel in channels for target in rig.targets.get(channel, (channel,))]
    corners = file.add_floats(np.array([[0, 0, 0], [0.01, 0, 0], [0, 0.01, 0]]), "VEC3", bounds=True)
    lift = file.add_floats(np.array([[0, 0.01, 0]] * 3), "VEC3", bounds=True)
    primitive = {"attributes": {"POSITION": corners}, "targets": [{"POSITION": lift}] * len(names)}
    mesh = {"name": "Carrier", "primitives": [primitive], "weights": [0.0] * len(names)}
    file.tree["meshes"] = [{**mesh, "extras": {"targetNames": names}}]
    file.tree["nodes"] = [{"name": "Head", "mesh": 0}]
    return file


def _generator(before: str | None) -> str:
    ours = f"msmd {__version__}"
    return f"{before}; animated by {ours}" if before else ours


def nodes_by_mesh(tree: Mapping[str, Any]) -> dict[int, list[int]]:
    """Mesh -> the nodes that carry it."""
    found: dict[int, list[int]] = {}
    for number, node in enumerate(tree.get("nodes", [])):
        if "mesh" in node:
            found.setdefault(node["mesh"], []).append(number)
    return found


def morph_targets(mesh: Mapping[str, Any], rig: Rig) -> tuple[list[Target], list[str]]:
    """The morph targets of a mesh, by number, and warnings about names that were guessed."""
    names = target_names(mesh)
    found, doubts = match_channels(filter(None, names), rig)
    return [Target(number, name, found.get(name)) for number, name in enumerate(names)], doubts


def _rotations(tree: Mapping[str, Any], node: int) -> tuple[np.ndarray, np.ndarray]:
    """(rotation of its parents together [4], its own at rest [4]) as w, x, y, z; a matrix becomes its parts."""
    parent = {child: number for number, other in enumerate(tree["nodes"]) for child in other.get("children", ())}
    chain = [node]
    while chain[-1] in parent and len(chain) <= len(tree["nodes"]):
        chain.append(parent[chain[-1]])
    own, *above = (_rest(tree["nodes"][number]) for number in chain)
    together = inverse(HALF_TURN) if looks_backwards(tree) else IDENTITY  # the rig's axes seen from the file's
    for rotation in above:
        together = multiply(rotation, together)
    return together, own


def _rest(node: dict[str, Any]) -> np.ndarray:
    """A node's rotation [4] as w, x, y, z. A matrix is replaced by translation, rotation and scale, which can move."""
    if "matrix" in node:
        matrix = np.array(node.pop("matrix"), np.float64).reshape(4, 4).T
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        if np.linalg.det(matrix[:3, :3]) < 0:
            scale[0] = -scale[0]
        node["translation"] = [float(value) for value in matrix[:3, 3]]
        node["scale"] = [float(value) for value in scale]
        w, x, y, z = quaternion_of_matrix(matrix[:3, :3] / scale)
        node["rotation"] = [float(x), float(y), float(z), float(w)]
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    return np.array([w, x, y, z]) / np.linalg.norm([w, x, y, z])


def _sampled(file: GltfFile, sampler: Mapping[str, Any], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Key times [K] and values [K, width] of a sampler. Of a cubic spline the values at its keys are taken."""
    times = file.values(sampler["input"])[:, 0].astype(np.float64)
    values = file.values(sampler["output"]).astype(np.float64)
    if sampler.get("interpolation") == "CUBICSPLINE":  # in-tangent, value, out-tangent
        values = values.reshape(len(times), 3, width)[:, 1]
    if sampler.get("interpolation") == "STEP":  # each value holds until just before the next key
        times = np.stack([times, np.append(times[1:] - 1e-4, times[-1] + 1e-4)], axis=1).ravel()
        values = np.repeat(values.reshape(-1, width), 2, axis=0)
    return times, values.reshape(len(times), width)


def contents(path: Path) -> Iterator[tuple[str, object]]:
    """What a glTF file holds, for people: (what, how much)."""
    file = GltfFile.load(path)
    tree = file.tree
    yield "made by", tree["asset"].get("generator", "?")
    yield "nodes", len(tree.get("nodes", []))
    rig = Rig.load("arkit52")
    for mesh in tree.get("meshes", []):
        targets, _ = morph_targets(mesh, rig)
        known = {target.channel for target in targets if target.channel}
        absent = [name for name in rig.channels if name not in known and name not in (rig.rotation or ())]
        text = f"{len(targets)} morph targets, {len(known)} of them arkit52 channels"
        yield f"mesh {mesh.get('name', '?')}", text + (f"; without {', '.join(absent)}" if known and absent else "")
    node = find_head_node(tree, None)
    yield "head node", tree["nodes"][node]["name"] if node is not None else "none is called head"
    yield "animations", ", ".join(str(a.get("name", "?")) for a in tree.get("animations", [])) or "none"
