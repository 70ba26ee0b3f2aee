"""What a glTF file must be before anything of it is believed: its JSON has the types and bounds that the specification
gives (glTF 2.0, section 5), its nodes are trees, and what it takes from other files lies in its own folder.

Only what MSMD reads is checked; the rest travels on as it is.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

MOST_BYTES = 1 << 29  # of the file, and of each that it takes in
MOST_ENTRIES = 100_000  # nodes, accessors, ...
MOST_VALUES = 1 << 26  # of an accessor: hours of animation of a head's morph targets
MOST_VERTICES = 500_000  # of all meshes where they are placed: each has a displacement for each channel
MOST_TARGETS = 2_000  # morph targets of a mesh
LARGEST = 1e12
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # of a URI; a drive letter, too
LISTS = ("nodes", "meshes", "accessors", "bufferViews", "buffers", "images", "scenes", "animations", "materials")


def check_tree(tree: Any) -> None:
    """Refuse a glTF JSON that cannot be meant.

    Raises:
        ValueError: what is wrong, and where.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError("it has no `asset`")
    for name in LISTS:
        entries = tree.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"`{name}` is no list of objects")
        if len(entries) > MOST_ENTRIES:
            raise ValueError(f"{len(entries)} {name}")
    for number, buffer in enumerate(tree.get("buffers", [])):
        _whole(buffer.get("byteLength"), f"byteLength of buffer {number}", 0, MOST_BYTES)
    for number, view in enumerate(tree.get("bufferViews", [])):
        _index(tree, "buffers", view.get("buffer"), f"view {number}")
        for name in ("byteOffset", "byteLength", "byteStride"):
            _whole(view.get(name, 0), f"{name} of view {number}", 0, MOST_BYTES)
    for number, accessor in enumerate(tree.get("accessors", [])):
        _check_accessor(tree, accessor, f"accessor {number}")
    for number, mesh in enumerate(tree.get("meshes", [])):
        _check_mesh(tree, mesh, f"mesh {number}")
    for number, node in enumerate(tree.get("nodes", [])):
        _check_node(tree, node, f"node {number}")
    _check_forest(tree)
    for number, scene in enumerate(tree.get("scenes", [])):
        for root in _list(scene, "nodes", f"scene {number}"):
            _index(tree, "nodes", root, f"scene {number}")
    if tree.get("scene") is not None:
        _index(tree, "scenes", tree["scene"], "the file")
    for number, animation in enumerate(tree.get("animations", [])):
        _check_animation(tree, animation, f"animation {number}")
    for number, image in enumerate(tree.get("images", [])):
        if not isinstance(image.get("uri", ""), str):
            raise ValueError(f"the uri of image {number} is no text")


def check_vertices(counts: Iterator[int]) -> None:
    """Refuse more vertices than a head can have.

    Raises:
        ValueError: there are more than `MOST_VERTICES`.
    """
    total = 0
    for count in counts:
        total += count
        if total > MOST_VERTICES:
            raise ValueError(f"its meshes have more than {MOST_VERTICES} vertices, as they are placed in the scene")


def placed_vertices(tree: Mapping[str, Any]) -> Iterator[int]:
    """The vertices of each primitive of each node."""
    for node in tree.get("nodes", []):
        if node.get("mesh") is not None:
            for primitive in tree["meshes"][node["mesh"]]["primitives"]:
                position = primitive["attributes"].get("POSITION")
                yield 0 if position is None else tree["accessors"][position]["count"]


def resource(uri: str, folder: Path) -> bytes:
    """What a URI names: data within it, or a file in the glTF file's own folder or below.

    Raises:
        ValueError: it names anything else, or something too large.
        OSError: the file cannot be read.
    """
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.split(",", 1)[1])
        except (IndexError, binascii.Error) as error:
            raise ValueError("a data URI that is no base64") from error
    name = unquote(uri).replace("\\", "/")
    shown = repr(uri[:80])
    if SCHEME.match(uri) or SCHEME.match(name) or name.startswith("/") or "\0" in name:
        raise ValueError(f"it takes in {shown}; only files in its own folder are read")
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ValueError(f"it takes in {shown}, which lies outside its own folder")
    if path.exists() and not path.is_file():
        raise ValueError(f"it takes in {shown}, which is not a file")
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it takes in {shown}, which is larger than {MOST_BYTES >> 20} MB")
    return path.read_bytes()


def _check_accessor(tree: Mapping[str, Any], accessor: Mapping[str, Any], what: str) -> None:
    count = _whole(accessor.get("count"), f"count of {what}", 0, MOST_VALUES)
    if count * COMPONENTS.get(str(accessor.get("type")), 16) > MOST_VALUES:
        raise ValueError(f"{what} holds {count} times {accessor.get('type')}")
    places = [accessor] if "bufferView" in accessor else []
    if "sparse" in accessor:
        sparse = _object(accessor["sparse"], f"`sparse` of {what}")
        _whole(sparse.get("count"), f"count of the sparse rows of {what}", 0, count)
        places += [_object(sparse.get(name), f"`sparse` of {what}") for name in ("indices", "values")]
    for place in places:
        _index(tree, "bufferViews", place.get("bufferView"), what)
        _whole(place.get("byteOffset", 0), f"byteOffset of {what}", 0, MOST_BYTES)


def _check_mesh(tree: Mapping[str, Any], mesh: Mapping[str, Any], what: str) -> None:
    for primitive in _list(mesh, "primitives", what):
        primitive = _object(primitive, f"a primitive of {what}")
        targets = _list(primitive, "targets", what)
        if len(targets) > MOST_TARGETS:
            raise ValueError(f"{what} has {len(targets)} morph targets")
        for attributes in (primitive.get("attributes", {}), *targets):
            for accessor in _object(attributes, f"attributes of {what}").values():
                _index(tree, "accessors", accessor, what)
        if "indices" in primitive:
            _index(tree, "accessors", primitive["indices"], what)
        if primitive.get("material") is not None:
            _index(tree, "materials", primitive["material"], what)
        _check_names(primitive, what)
    if "primitives" not in mesh:
        raise ValueError(f"{what} has no primitives")
    _check_names(mesh, what)
    _numbers(mesh, "weights", what)


def _check_names(owner: Mapping[str, Any], what: str) -> None:
    extras = owner.get("extras")
    names = extras.get("targetNames") if isinstance(extras, dict) else None
    if names is not None and (not isinstance(names, list) or len(names) > MOST_TARGETS):
        raise ValueError(f"targetNames of {what} is no list of at most {MOST_TARGETS} names")


def _check_node(tree: Mapping[str, Any], node: Mapping[str, Any], what: str) -> None:
    if node.get("mesh") is not None:
        _index(tree, "meshes", node["mesh"], what)
    for name, length in (("matrix", 16), ("rotation", 4), ("scale", 3), ("translation", 3)):
        _numbers(node, name, what, length)
    if "rotation" in node and not any(node["rotation"]):
        raise ValueError(f"the rotation of {what} is no rotation")
    _numbers(node, "weights", what)


def _check_forest(tree: Mapping[str, Any]) -> None:
    """Section 3.5.2: the nodes are disjoint strict trees."""
    nodes = tree.get("nodes", [])
    parents: dict[int, int] = {}
    for number, node in enumerate(nodes):
        for child in _list(node, "children", f"node {number}"):
            _index(tree, "nodes", child, f"node {number}")
            if child in parents:
                raise ValueError(f"node {child} has two parents")
            parents[child] = number
    waiting = [number for number in range(len(nodes)) if number not in parents]
    reached = 0
    while waiting:
        reached += 1
        waiting.extend(nodes[waiting.pop()].get("children") or ())
    if reached < len(nodes):
        raise ValueError("its nodes are not trees: a node is its own child or grandchild")


def _check_animation(tree: Mapping[str, Any], animation: Mapping[str, Any], what: str) -> None:
    samplers = _list(animation, "samplers", what)
    for sampler in samplers:
        for name in ("input", "output"):
            _index(tree, "accessors", _object(sampler, f"a sampler of {what}").get(name), what)
    for channel in _list(animation, "channels", what):
        target = _object(_object(channel, f"a channel of {what}").get("target"), f"a target of {what}")
        if not isinstance(target.get("path"), str):
            raise ValueError(f"a channel of {what} names no path")
        if target.get("node") is not None:
            _index(tree, "nodes", target["node"], what)
        sampler = channel.get("sampler")
        if isinstance(sampler, bool) or not isinstance(sampler, int) or not 0 <= sampler < len(samplers):
            raise ValueError(f"a channel of {what} names the sampler {sampler!r:.40}")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def _list(owner: Mapping[str, Any], name: str, what: str) -> list[Any]:
    value = owner.get(name)
    if value is not None and (not isinstance(value, list) or len(value) > MOST_ENTRIES):
        raise ValueError(f"`{name}` of {what} is no list of at most {MOST_ENTRIES}")
    return value or []


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 3.0 from 3
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{what} is {value!r:.40}, not a whole number from {low} to {high}")
    return value


def _index(tree: Mapping[str, Any], name: str, value: Any, what: str) -> None:
    _whole(value, f"the number in `{name}` that {what} names", 0, len(tree.get(name, [])) - 1)


def _numbers(owner: Mapping[str, Any], name: str, what: str, length: int | None = None) -> None:
    values = owner.get(name)
    if values is None:
        return
    fine = isinstance(values, list) and len(values) <= MOST_TARGETS and length in (None, len(values))
    if not fine or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= LARGEST for v in values
    ):
        raise ValueError(f"`{name}` of {what} is not {length or 'a list of'} finite numbers")
