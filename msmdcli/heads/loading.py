"""Which of the three kinds of head a file is, and the decoder that it gives.

A head is

- a glTF file (.glb, .vrm, .gltf) with morph targets named like the rig's channels (`gltf_head`); or
- a rig file (.yaml) with a decoder of morph targets, as `msmd rig import` writes it (`mesh_file`); or
- a rig file with a decoder of a learned code, an ONNX file (`learned_code`).
"""

from __future__ import annotations

from pathlib import Path

from msmdcli.errors import MsmdError
from msmdcli.heads.gltf_head import load_gltf_head
from msmdcli.heads.learned_code import load_code_decoder
from msmdcli.heads.mesh import MeshDecoder, check_sets
from msmdcli.heads.mesh_file import load_mesh
from msmdcli.motion.rig import Rig
from msmdcli.system.files import sha256_of

RIG_SUFFIXES = (".yaml", ".yml")


def load_head(path: Path | str, rig: Rig | str = "arkit52") -> MeshDecoder:
    """Read a head.

    Args:
        path: .glb, .vrm or .gltf file, or a rig file (.yaml) with a decoder.
        rig: of a glTF head: the rig, or its name; its channels are looked up among the file's morph targets. A rig
            file is its own rig.

    Raises:
        MsmdError: no such file, no glTF file, no mesh with morph targets of these names, no decoder.
    """
    path = Path(path)
    if path.suffix.lower() in RIG_SUFFIXES:
        return load_decoder(Rig.load(path))
    return load_gltf_head(path, Rig.load(rig) if isinstance(rig, str) else rig)


def load_decoder(rig: Rig) -> MeshDecoder:
    """The mesh decoder that a rig file names.

    Raises:
        MsmdError: it names none, or the file is absent or not the one that belongs to it.
    """
    if rig.decoder is None:
        raise MsmdError(
            f"rig {rig.name} has no mesh decoder", hint="`msmd rig import head.glb --out RIG.yaml` makes one of a head"
        )
    path = rig.decoder.path
    if not path.is_file():
        raise MsmdError(f"rig {rig.name}: its decoder {path} is not there", hint="keep it beside the rig file")
    if rig.decoder.sha256 is not None and sha256_of(path) != rig.decoder.sha256:
        raise MsmdError(f"rig {rig.name}: {path} is not the decoder that belongs to it (its sha256 differs)")
    if rig.decoder.onnx is not None:
        return load_code_decoder(rig)
    mesh = load_mesh(path, rig)
    check_sets(mesh)
    return mesh
