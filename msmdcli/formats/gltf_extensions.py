"""What a glTF file asks of its readers, by its extensions: those that we cannot read are refused by their name.

Format: glTF 2.0 specification, section 3.12 (`extensionsRequired`: a reader that does not know one of them must not
read the file); VRM 0.0 and VRMC_vrm 1.0 specifications (which way a character looks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError

COMPRESSIONS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
DECOMPRESS = "export it without compression; `gltf-transform copy IN.glb OUT.glb` also decodes it"
# Surfaces, pictures, lights and characters' descriptions leave positions as they are; quantised numbers are read.
HARMLESS = re.compile(
    r"KHR_(materials_|texture_|lights_|xmp|mesh_quantization|node_visibility|animation_pointer).*"
    r"|(EXT|MSFT|GOOGLE)_(texture_|lights_).*|EXT_mesh_features|EXT_structural_metadata|VRM.*|KHR_techniques_webgl"
)
BACKWARDS = np.diag([-1.0, 1.0, -1.0, 1.0])  # half a turn about y
HALF_TURN = np.array([0.0, 0.0, 1.0, 0.0])  # the same as a quaternion w, x, y, z


def check_extensions(tree: Mapping[str, Any]) -> None:
    """Refuse a file that cannot be read without an extension that we do not know.

    Args:
        tree: the JSON of the file.

    Raises:
        MsmdError: with the name of the extension.
    """
    packed = next((name for name in COMPRESSIONS if name in _needed(tree)), None)
    if packed is not None:
        raise MsmdError(f"its geometry is compressed with {COMPRESSIONS[packed]} ({packed})", hint=DECOMPRESS)
    for name in map(str, tree.get("extensionsRequired") or ()):
        if not HARMLESS.fullmatch(name):
            raise MsmdError(f"it requires the glTF extension {name}, which MSMD does not know")


def looks_backwards(tree: Mapping[str, Any]) -> bool:
    """Whether the character looks to -z, as VRM 0.x has it; glTF and VRM 1.0 have it look to +z."""
    extensions = tree.get("extensions")
    return isinstance(extensions, Mapping) and "VRM" in extensions and "VRMC_vrm" not in extensions


def _needed(tree: Mapping[str, Any]) -> set[str]:
    """Required extensions, and compressions beside which the file holds no plain numbers."""
    needed = set(map(str, tree.get("extensionsRequired") or ()))
    for buffer in tree.get("buffers") or ():
        if "uri" not in buffer:  # the decoded form of meshopt's buffer, which is not in the file
            needed |= {name for name, value in (buffer.get("extensions") or {}).items() if value.get("fallback")}
    accessors = tree.get("accessors") or ()
    for mesh in tree.get("meshes") or ():
        for primitive in mesh["primitives"]:
            position = accessors[primitive["attributes"].get("POSITION", 0)] if accessors else {}
            if "bufferView" not in position and "sparse" not in position:
                needed |= set(primitive.get("extensions") or ())
    return needed
