"""A head becomes a rig file: its morph targets found, its mesh decoder written in mm, its vertices named.

`import_head` reads the glTF file, `write_rig` writes two files side by side: RIG.yaml (channels, regions, the vertices
that measures look at, the head's own names of its targets) and RIG.npz (the mesh decoder).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.gltf_head import decoder_of_gltf, read_gltf
from msmdcli.heads.mesh import MeshDecoder, face_channels
from msmdcli.heads.mesh_file import save_mesh
from msmdcli.motion.rig import FORMAT_VERSION, VERTEX_SETS, DecoderFile, Rig, write_numbers
from msmdcli.system.files import sha256_of

STILL = 0.5  # mm: a channel that moves nothing farther than this does nothing
WIDE_MOUTH, WIDE_OPENING = (30.0, 80.0), (10.0, 80.0)  # mm: what a human-sized head has
COMMENT_WIDTH, LINE_WIDTH = 118, 120


@dataclass(frozen=True, eq=False)
class ImportedHead:
    """What `import_head` found.

    Attributes:
        mesh: the decoder, with the proposed vertices in `stored`.
        targets: channel -> the morph targets that make it, over all meshes.
        doubtful: channel -> why its match is a guess.
        missing: channels that no mesh has.
        unused: morph targets that are no channel.
        remarks: what looks odd, in whole sentences.
    """

    mesh: MeshDecoder
    targets: Mapping[str, tuple[str, ...]]
    doubtful: Mapping[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    remarks: tuple[str, ...]


def import_head(path: Path, rig: Rig, given: Mapping[str, Sequence[str]] | None = None) -> ImportedHead:
    """Read a glTF head for a rig.

    Args:
        path: .glb, .vrm or .gltf.
        rig: whose channels are looked for.
        given: channel -> morph targets that the user has named.

    Raises:
        MsmdError: it cannot be read, has no target for any channel, or a given channel or target is not there.
    """
    for channel in given or {}:
        rig.index(channel)
    mesh, matchings = decoder_of_gltf(read_gltf(path), rig, str(path), given)
    targets: dict[str, tuple[str, ...]] = {}
    doubtful: dict[str, str] = {}
    for matching in matchings:
        for channel, names in matching.found.items():
            targets[channel] = tuple(dict.fromkeys([*targets.get(channel, ()), *names]))
        doubtful.update(matching.doubtful)
    for channel, chosen in (given or {}).items():
        absent = [name for name in chosen if name not in targets.get(channel, ())]
        if absent:
            raise MsmdError(f"{path} has no morph target {absent[0]!r}", hint=f"it was given for {channel}")
    wanted = face_channels(rig)
    used = {name for names in targets.values() for name in names}
    unused = tuple(dict.fromkeys(name for matching in matchings for name in matching.unused if name not in used))
    sets, remarks = propose_sets(mesh)
    still = [name for name in targets if mesh.displacement(name).max() < STILL]
    if still:
        remarks.append(f"{', '.join(still)}: the target moves nothing farther than {STILL} mm.")
    return ImportedHead(
        replace(mesh, stored=sets),
        {name: targets[name] for name in wanted if name in targets},
        doubtful,
        tuple(name for name in wanted if name not in targets),
        unused,
        tuple(remarks),
    )


def propose_sets(mesh: MeshDecoder) -> tuple[dict[str, np.ndarray], list[str]]:
    """Vertices for the rig file, found from the targets' displacements, and remarks on what looks odd."""
    sets: dict[str, np.ndarray] = {}
    lacking: dict[str, list[str]] = {}  # why -> sets
    for name in VERTEX_SETS:
        try:
            sets[name] = np.array(mesh.vertex_set(name), np.int64)
        except MsmdError as error:
            lacking.setdefault(error.message, []).append(name)
        else:
            if len(sets[name]) == 0:
                del sets[name]
                if name != "lining":
                    lacking.setdefault("no vertex was found", []).append(name)
    remarks = [f"Not proposed: {', '.join(names)}; {why}." for why, names in lacking.items()]
    if "mouth_line" in sets:
        width = float(np.ptp(mesh.neutral[sets["mouth_line"], 0]))
        if not WIDE_MOUTH[0] <= width <= WIDE_MOUTH[1]:
            remarks.append(f"The mouth is {width:.0f} mm wide, a person's 45 to 60: is the head's unit the metre?")
    if "mouth_opening" in sets and "jawOpen" in mesh.channels:
        moved = mesh.deltas[mesh.channels.index("jawOpen")][sets["mouth_opening"]]
        opening = float(np.linalg.norm(moved[0] - moved[1]))
        if not WIDE_OPENING[0] <= opening <= WIDE_OPENING[1]:
            remarks.append(f"jawOpen parts the lips by {opening:.0f} mm, most heads' by 25 to 50.")
    return sets, remarks


def write_rig(
    out: Path, mesh: MeshDecoder, comment: Iterable[str], targets: Mapping[str, Sequence[str]] | None = None
) -> Path:
    """Write a rig file and, beside it under the same name, its mesh decoder (.npz), which is returned.

    Args:
        out: RIG.yaml; its name without the suffix becomes the rig's.
        mesh: the decoder, whose `stored` vertices and rig are written.
        comment: paragraphs at the top of the file.
        targets: channel -> the head's own names of its morph targets.

    Raises:
        MsmdError: the files cannot be written.
    """
    decoder = out.with_suffix(".npz")
    try:
        save_mesh(decoder, mesh)
        digest = sha256_of(decoder)
        rig = replace(
            mesh.rig, name=out.stem, vertices=mesh.stored, targets={}, decoder=DecoderFile(decoder, sha256=digest)
        )
        out.write_text(rig_text(rig, comment, targets or {}), encoding="utf-8")
    except OSError as error:
        raise MsmdError(f"{out} cannot be written: {error.strerror or error}") from error
    return decoder


def rig_text(rig: Rig, comment: Iterable[str], targets: Mapping[str, Sequence[str]]) -> str:
    """A rig as the text of its file. The decoder is named relative to the file, by its bare name."""
    lines = []
    for paragraph in comment:
        lines += [f"# {line}" for line in textwrap.wrap(paragraph, COMMENT_WIDTH)] + ["#"]
    region = {name: r for r, names in reversed(rig.regions.items()) for name in names}
    proper = {region[name] for name in rig.channels if name in region}
    lines += ["", f"format_version: {FORMAT_VERSION}", f"name: {_word(rig.name)}"]
    if rig.rotation:
        lines += ["", f"rotation: [{', '.join(map(_word, rig.rotation))}]"]
    lines += ["", "channels:"]
    for name, low, high in zip(rig.channels, rig.lower.tolist(), rig.upper.tolist(), strict=True):
        where = f", region: {_word(region[name])}" if name in region else ""
        lines.append(f"  - {{name: {_word(name)}{where}, range: [{_bound(low)}, {_bound(high)}]}}")
    unions = {r: names for r, names in rig.regions.items() if r not in proper}
    if unions:
        lines += ["", "unions:"]
        for union, names in unions.items():
            whole = [r for r in proper if set(rig.regions[r]) <= set(names)]
            rest = [name for name in names if region[name] not in whole]
            parts = [r for r in rig.regions if r in whole] + rest
            lines += _folded(f"  {_word(union)}: [", [f"{_word(part)}," for part in parts], "]")
    if rig.decoder is not None:
        lines += ["", "decoder:", f"  mesh: {_word(rig.decoder.path.name)}", f"  sha256: {rig.decoder.sha256}"]
    if rig.vertices:
        lines += ["", "# Vertex numbers of the decoder's mesh; `msmd rig show --picture` draws them.", "vertices:"]
        for name, numbers in rig.vertices.items():
            lines += _folded(f"  {name}: >-", ["\n", *write_numbers(numbers).split()], "")
    if targets:
        lines += ["", "# The head's own names of its morph targets.", "targets:"]
        lines += [f"  {_word(name)}: [{', '.join(map(_word, names))}]" for name, names in targets.items()]
    return "\n".join(lines) + "\n"


def _folded(begin: str, words: Sequence[str], end: str) -> list[str]:
    """Words after `begin`, broken into lines; a word "\\n" breaks there."""
    lines, line = [], begin
    for word in words:
        if word == "\n" or len(line) + 1 + len(word) > LINE_WIDTH:
            lines.append(line)
            line = "   "
        if word != "\n":
            line += word if line.endswith("[") else f" {word}"
    return [*lines, line.removesuffix(",") + end]


def _bound(value: float) -> str:
    return "null" if np.isinf(value) else f"{value:.8g}"


def _word(text: str) -> str:
    """A text as YAML, in quotes where it needs them."""
    plain = text.replace("_", "").replace("-", "").replace(".", "")
    if plain.isalnum() and plain.isascii() and text[0].isalpha() and text.lower() not in YAML_WORDS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
