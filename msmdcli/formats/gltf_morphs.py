"""The morph targets of a glTF mesh: what they are called, and how far each is out while nobody moves it.

Format: glTF 2.0 specification, section 3.7.2.2. Names are no part of it; by convention they are in `targetNames` of
the mesh's extras (Blender, three.js) or of its primitives' (UniVRM).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def target_count(mesh: Mapping[str, Any]) -> int:
    """How many morph targets a mesh has."""
    return max((len(primitive.get("targets") or ()) for primitive in mesh["primitives"]), default=0)


def target_names(mesh: Mapping[str, Any]) -> list[str]:
    """The names of a mesh's morph targets, by number; one without a name is called "", all where the file names none.

    All primitives of a mesh have the same targets, so the first that names them names them for all.
    """
    count = target_count(mesh)
    named = (_names(place) for place in (mesh, *mesh["primitives"]))
    names = next(filter(None, named), [])[:count]
    return names + [""] * (count - len(names))


def rest_weights(mesh: Mapping[str, Any], node: Mapping[str, Any]) -> np.ndarray:
    """[targets] float32: the weights of a mesh's morph targets before anything moves. The node's own come first."""
    count = target_count(mesh)
    given = list(node.get("weights") or mesh.get("weights") or ())[:count]
    return np.array(given + [0.0] * (count - len(given)), np.float32)


def _names(place: Mapping[str, Any]) -> list[str]:
    extras = place.get("extras")
    names = extras.get("targetNames") if isinstance(extras, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []
