"""Where the vertices of a skinned mesh are at rest: carried there by the joints, whatever node the mesh hangs on.

Format: glTF 2.0 specification, section 3.7.3. V is the number of a primitive's vertices, J of a skin's joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any

import numpy as np

from msmdcli.formats.gltf_file import GltfFile


def skinned(
    gltf: GltfFile, skin: Mapping[str, Any], primitive: Mapping[str, Any], worlds: Mapping[int, np.ndarray]
) -> np.ndarray | None:
    """[V, 4, 4] what carries each vertex of a primitive to its place; None where it names no joints.

    Args:
        gltf: the file.
        skin: of the node that carries the mesh.
        primitive: of the mesh.
        worlds: world matrix [4, 4] of each node, by its number.
    """
    attributes = primitive["attributes"]
    sets = list(takewhile(lambda n: f"JOINTS_{n}" in attributes and f"WEIGHTS_{n}" in attributes, count()))
    if not sets:
        return None
    joints = np.stack([worlds[number] for number in skin["joints"]])  # [J, 4, 4]
    if skin.get("inverseBindMatrices") is not None:
        bound = gltf.values(skin["inverseBindMatrices"]).astype(np.float64).reshape(-1, 4, 4)  # stored by columns
        joints = joints @ bound[: len(joints)].transpose(0, 2, 1)
    number = np.concatenate([gltf.values(attributes[f"JOINTS_{n}"]) for n in sets], axis=1).astype(np.int64)  # [V, k]
    weight = np.concatenate([gltf.values(attributes[f"WEIGHTS_{n}"]) for n in sets], axis=1).astype(np.float64)
    total = weight.sum(axis=1, keepdims=True)
    weight = np.where(total > 0, weight / np.where(total > 0, total, 1), np.eye(1, weight.shape[1]))
    return np.asarray(np.einsum("vk,vkij->vij", weight, joints[number]))
