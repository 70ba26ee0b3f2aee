"""Mesh decoder: motion -> vertices in millimetres, on a head with ARKit morph targets or with a learned code.

A head is

- a glTF file (.glb, .gltf) whose meshes carry morph targets named like the rig's channels, in any usual spelling
  (`msmdcli.motion.morph_names`); other targets are ignored, and channels without a target move nothing; or
- a rig file (.yaml) with a decoder, as `msmd rig import` writes it (an npz of morph targets), or one for a learned code
  (an ONNX file, `msmdcli.heads.learned_code`).

The decoder of morph targets is linear:

    vertices[t] = neutral + sum over channels c of motion[t, c] * delta[c]

Head rotation is left out: faces are compared and styled without head motion. glTF lengths are metres; everything here
is in millimetres. Reading a glTF head needs the extra `mesh` (pygltflib); an imported one does not.

V is the number of vertices, C the number of the rig's channels that a face has (52 in arkit52), T frames.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.mesh_file import keep_arrays, kept_arrays
from msmdcli.motion.morph_names import Matching, match_targets
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED, find_head

FORMAT_VERSION = 1  # of the mesh npz
BROWS = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")  # they move the skin, and neither eyes nor teeth
MM_PER_METRE = 1000.0
COMPONENT_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
TRIANGLES = 4  # glTF primitive mode


@dataclass(frozen=True, eq=False)
class MeshPart:
    """One primitive of the head: its material, its vertices in the decoder's numbering, its triangles.

    Attributes:
        name: material name ("skin", "teeth", ...).
        colour: base colour, linear RGB 0..1.
        vertices: the part's vertices.
        triangles: [F, 3] int64 vertex numbers of the whole head, counter-clockwise seen from outside.
    """

    name: str
    colour: tuple[float, float, float]
    vertices: slice
    triangles: np.ndarray


@dataclass(frozen=True, eq=False)
class MeshDecoder:
    """A head that can be posed.

    Attributes:
        rig: whose channels drive it.
        channels: [C] the rig's channels without the head rotation, in rig order.
        neutral: [V, 3] float32, mm.
        deltas: [C, V, 3] float32, mm per unit of the channel.
        parts: what the vertices belong to.
        stored: names of `VERTEX_SETS` -> [n] vertex numbers that the rig file gives. What it does not give is found
            from the targets' own displacements.
        source: names the content of the file that it was read from, where it was read from one.
    """

    rig: Rig
    channels: tuple[str, ...]
    neutral: np.ndarray
    deltas: np.ndarray
    parts: tuple[MeshPart, ...]
    stored: Mapping[str, np.ndarray] = field(default_factory=dict)
    source: str = ""

    @property
    def size(self) -> int:
        """V."""
        return len(self.neutral)

    def decode(self, motion: Motion | np.ndarray, vertices: np.ndarray | None = None) -> np.ndarray:
        """Vertex positions without head rotation.

        Args:
            motion: a motion on the decoder's rig, or its values [T, D].
            vertices: numbers of the vertices wanted ([n] int); all by default. Metrics need few; [T, V, 3] is large.

        Returns:
            [T, V, 3] float32 in mm (n vertices instead of V).
        """
        if isinstance(motion, Motion):
            if motion.rig.channels != self.rig.channels:
                raise MsmdError(f"the motion is on rig {motion.rig.name}, the head on {self.rig.name}")
            motion = motion.values
        neutral = self.neutral if vertices is None else self.neutral[vertices]  # [n, 3]
        deltas = self.deltas if vertices is None else self.deltas[:, vertices]  # [C, n, 3]
        columns = [self.rig.index(name) for name in self.channels]
        moved = motion[:, columns].astype(np.float32) @ deltas.reshape(len(columns), -1)  # [T, n * 3]
        moved += neutral.reshape(-1)
        return moved.reshape(len(motion), -1, 3).astype(np.float32, copy=False)

    def decoder_of(self, vertices: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """`decode` for these vertices [n] again and again: values [T, D] -> [T, n, 3] float32 in mm."""
        deltas = np.ascontiguousarray(self.deltas[:, vertices])
        chosen = replace(self, neutral=self.neutral[vertices], deltas=deltas, parts=(), stored={})
        return chosen.decode

    # ---- vertex sets: from the rig file, else found from the targets' own displacements -----------------------------

    def has(self, name: str) -> bool:
        """Whether this head has the vertex set of that name (of `VERTEX_SETS`), given or found."""
        try:
            return len(self.vertex_set(name)) > 0
        except MsmdError:
            return False

    def vertex_set(self, name: str) -> np.ndarray:
        """The vertices [n] of that name (of `msmdcli.motion.rig.VERTEX_SETS`), given or found.

        Raises:
            MsmdError: they are not given and cannot be found.
        """
        return np.asarray(getattr(self, ATTRIBUTES.get(name, name)), np.int64)

    def _need(self, what: str, *channels: str) -> None:
        """Refuse to look for vertices with channels that the rig does not have."""
        absent = next((name for name in channels if name not in self.channels), None)
        if absent is not None:
            raise MsmdError(
                f"the head of rig {self.rig.name} has no {what}: it has no channel {absent} to find them with",
                hint=f"name them in the rig file: `vertices: {{{what}: 3 7-12}}`",
            )

    def displacement(self, *channels: str) -> np.ndarray:
        """[V] mm: how far each vertex moves under that one of these channels, set to 1, which moves it the most.

        All channels, when none is named.
        """
        rows = [self.channels.index(name) for name in channels] if channels else list(range(len(self.channels)))
        return np.asarray(np.linalg.norm(self.deltas[rows], axis=2).max(axis=0))

    @cached_property
    def skin(self) -> np.ndarray:
        """Vertices of the parts that the brows move: skin and its linings, without eyes and teeth. [n] ascending."""
        if any(name not in self.channels for name in BROWS):
            return np.arange(self.size)
        moved = self.displacement(*BROWS)
        parts = [part.vertices for part in self.parts if moved[part.vertices].max() > 0.5]
        return np.concatenate([np.arange(part.start, part.stop) for part in parts]) if parts else np.arange(self.size)

    def _seen(self, vertices: np.ndarray) -> np.ndarray:
        """[n] bool: whether these skin vertices [n] are seen from the front at rest (profile slopes included)."""
        from msmdcli.heads.raster import rasterise

        pixel = 0.25  # mm
        low = self.neutral[self.skin, :2].min(axis=0)
        points = np.column_stack(
            [(self.neutral[:, :2] - low) / pixel + 0.5, self.neutral[:, 2]]
        )  # [V, 3], upside down: no matter
        first = points[vertices, :2].min(axis=0, initial=np.inf).astype(int)  # the part of the picture around them
        width, height = points[vertices, :2].max(axis=0, initial=0.0).astype(int) - first + 2
        points[:, :2] -= first
        on_skin = np.isin(self.triangles[:, 0], self.skin)
        depth = rasterise(points, self.triangles[on_skin], width, height).depth
        column, row = points[vertices, :2].astype(int).T
        # A slope seen from the side is up to 2 mm nearer within one pixel; linings lie farther behind.
        return np.asarray(self.neutral[vertices, 2] >= depth[row, column] - 2.0)

    @cached_property
    def face(self) -> np.ndarray:
        """Vertices for whole-face measures. [n] ascending.

        Skin that some channel moves by at least 1 mm, seen from the front at rest, and not lower than 1.1 mouth widths
        below the mouth. That leaves out neck, back of the head, and the linings of mouth and eye sockets.
        """
        if "face" in self.stored:
            return self.stored["face"]
        line = self.neutral[self.mouth]
        above_neck = self.neutral[:, 1] >= line[:, 1].mean() - 1.1 * np.ptp(line[:, 0])
        moving = self.skin[(above_neck & (self.displacement() >= 1.0))[self.skin]]
        return moving[self._seen(moving)] if len(moving) else moving

    @cached_property
    def lining(self) -> np.ndarray:
        """Skin that is hidden at rest around the mouth: the inside of the lips and cheeks. [n] ascending."""
        if "lining" in self.stored or "mouth_line" in self.stored:
            return self.stored.get("lining", np.zeros(0, np.int64))
        line = self.neutral[self.mouth]
        width = np.ptp(line[:, 0])
        inside = line.mean(axis=0) + (0.0, 0.0, -0.6 * width)
        near = self.skin[(np.linalg.norm(self.neutral - inside, axis=1) < 0.8 * width)[self.skin]]
        return near[~self._seen(near)] if len(near) else near

    @cached_property
    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices of the left and of the right eyeball: parts that are no skin, above the mouth. May be empty."""
        above = self.neutral[self.mouth, 1].max() + 0.5 * np.ptp(self.neutral[self.mouth, 0])
        middle = self.neutral[self.mouth, 0].mean()
        found = [
            np.arange(part.vertices.start, part.vertices.stop)
            for part in self.parts
            if part.vertices.start not in self.skin and self.neutral[part.vertices, 1].mean() > above
        ]
        both = np.concatenate(found) if found else np.zeros(0, np.int64)
        left = self.neutral[both, 0] > middle  # the person's own left is +x
        return both[left], both[~left]

    @cached_property
    def mouth(self) -> np.ndarray:
        """Vertices on the line where the lips meet. [n] ascending.

        Skin that has other skin within 1.5 mm at rest from which opening the jaw parts it, by a tenth or more of the
        farthest that opening the jaw moves any skin.
        """
        if "mouth_line" in self.stored:
            return self.stored["mouth_line"]
        self._need("mouth_line", "jawOpen", "mouthRollUpper", "mouthRollLower")
        moved = self.deltas[self.channels.index("jawOpen")]  # [V, 3]
        near = self.displacement("mouthRollUpper", "mouthRollLower")
        region = self.skin[near[self.skin] >= 0.1 * near[self.skin].max()]
        opening = 0.1 * np.linalg.norm(moved[self.skin], axis=1).max()
        place, moved = self.neutral[region], moved[region]  # [n, 3]
        middle = place - place.mean(axis=0)
        square = (middle**2).sum(axis=1)
        on_line = np.zeros(len(region), bool)
        for rows in np.array_split(np.arange(len(region)), len(region) // 500 + 1):  # keeps [rows, n] small
            squared = square[rows, None] + square - 2 * middle[rows] @ middle.T  # of distances; rounded
            first, second = np.nonzero(squared < 1.1 * 1.5**2)
            first = rows[first]
            close = np.linalg.norm(place[first] - place[second], axis=1) < 1.5
            parted = np.linalg.norm(moved[first] - moved[second], axis=1) > opening
            on_line[first[close & parted]] = True
        if not on_line.any():
            raise MsmdError("no mouth found on this head", hint="its jawOpen target must part the lips")
        return region[on_line]

    @cached_property
    def lips(self) -> np.ndarray:
        """Lip vertices. [n] ascending.

        Skin in an ellipse around the mouth line, not facing backwards as the lining of the mouth does. Its half axes
        are 0.55 (across) and 0.26 (up and down) of the mouth's width: the red of the lips in common facial proportions.
        """
        if "lips" in self.stored:
            return self.stored["lips"]
        self._need("lips", "jawOpen", "mouthRollUpper", "mouthRollLower")
        line = self.neutral[self.mouth]
        low, high = line[:, 0].min(), line[:, 0].max()
        width = high - low
        across = (self.neutral[:, 0] - (low + high) / 2) / (0.55 * width)
        # The line bends: heights are measured from its own height at the same x.
        order = np.argsort(line[:, 0])
        up = (self.neutral[:, 1] - np.interp(self.neutral[:, 0], line[order, 0], line[order, 1])) / (0.26 * width)
        forward = self.neutral[:, 2] > line[:, 2].min() - 0.1 * width  # not the back of the head
        inside = (across**2 + up**2 <= 1) & forward & (self.normals(self.neutral)[:, 2] > -0.3)
        return self.skin[inside[self.skin]]

    @cached_property
    def upper_face(self) -> np.ndarray:
        """Face vertices that the rig's upper region moves farther than all other channels do. [n] ascending."""
        if "upper_face" in self.stored:
            return self.stored["upper_face"]
        upper = [name for name in self.channels if name in self.rig.regions.get("upper", ())]
        lower = [name for name in self.channels if name not in upper]
        if not upper or not lower:
            raise MsmdError(
                f"the head of rig {self.rig.name} has no upper_face: the rig has no region `upper` to find it with",
                hint="name the vertices in the rig file: `vertices: {upper_face: 3 7-12}`",
            )
        return self.face[(self.displacement(*upper) > self.displacement(*lower))[self.face]]

    @cached_property
    def mid_lips(self) -> tuple[int, int]:
        """The middle of the inner lips: (upper, lower) vertex.

        Of all pairs on the midline of which opening the jaw moves the one by less than a quarter, the other by more
        than three quarters of the farthest that it moves the midline: the two nearest to each other at rest.
        """
        if "mouth_opening" in self.stored:
            first, second = self.stored["mouth_opening"]
            return int(first), int(second)
        self._need("mouth_opening", "jawOpen")
        x = self.neutral[self.skin, 0]
        middle = self.skin[np.abs(x - (x.min() + x.max()) / 2) < 0.01 * np.ptp(x) / 2]
        distance = self.displacement("jawOpen")[middle]
        moved = distance / max(distance.max(initial=0.0), 1e-6)
        upper, lower = middle[moved < 0.25], middle[moved > 0.75]
        if len(upper) == 0 or len(lower) == 0:
            raise MsmdError("no lips found on the midline of this head", hint="its jawOpen target must open the mouth")
        apart = np.linalg.norm(self.neutral[upper][:, None] - self.neutral[lower][None], axis=2)  # [upper, lower]
        first, second = np.unravel_index(apart.argmin(), apart.shape)
        return int(upper[first]), int(lower[second])

    @cached_property
    def triangles(self) -> np.ndarray:
        """[F, 3] triangles of all parts."""
        return np.concatenate([part.triangles for part in self.parts])

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """[V, 3] unit vertex normals of posed vertices [V, 3] (area-weighted mean of the triangles')."""
        corners = vertices[self.triangles].astype(np.float64)  # [F, 3, 3]
        faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [F, 3]
        index = self.triangles.T.ravel()  # [3 F]
        summed = np.stack([np.bincount(index, np.tile(faces[:, k], 3), minlength=self.size) for k in range(3)], axis=1)
        return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12))

    # ---- reading ----------------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: Path | str, rig: Rig | str = "arkit52") -> MeshDecoder:
        """Read a head.

        Args:
            path: .glb or .gltf file, or a rig file (.yaml) with a decoder.
            rig: of a glTF head: the rig, or its name; its channels are looked up among the file's morph targets. A rig
                file is its own rig.

        Raises:
            MsmdError: no such file, no glTF file, no mesh with morph targets of these names, no decoder, no pygltflib.
        """
        path = Path(path)
        if path.suffix.lower() in RIG_SUFFIXES:
            return load_decoder(Rig.load(path))
        rig = Rig.load(rig) if isinstance(rig, str) else rig
        source = _source(path, rig)
        kept = kept_arrays(source) if source else None
        if kept is not None:
            return replace(decoder_of_arrays(kept, rig, str(path)), source=source)
        gltf = read_gltf(path)
        try:
            made = replace(decoder_of_gltf(gltf, rig, str(path))[0], source=source)
            if source and all(buffer.uri is None for buffer in gltf.buffers):
                keep_arrays(source, arrays_of_decoder(made))
            return made
        except MsmdError:
            raise
        except Exception as error:  # a malformed file leads to whatever
            raise MsmdError(f"{path} cannot be read as glTF ({type(error).__name__}: {error})") from error


RIG_SUFFIXES = (".yaml", ".yml")
DEFAULT_HEAD = "face468"
ATTRIBUTES = {"mouth_line": "mouth", "mouth_opening": "mid_lips"}  # vertex sets whose attribute has another name


def _source(path: Path, rig: Rig) -> str:
    """Names everything that decides what a .glb file is read as; empty for others, which may lie in several files."""
    if path.suffix.lower() != ".glb" or not path.is_file():
        return ""
    decides = repr((FORMAT_VERSION, face_channels(rig), sorted((name, list(v)) for name, v in rig.vertices.items())))
    return hashlib.sha256(decides.encode() + path.read_bytes()).hexdigest()


def find_mesh(given: Path | None = None) -> Path:
    """The head to draw on or to measure: as given, else `MSMD_HEAD`, else the head that ships (`msmdcli.heads`); where
    glTF cannot be read for want of pygltflib, the default face of 468 points.

    Raises:
        MsmdError: a head that was named is not there.
    """
    from importlib.util import find_spec

    path = find_head(given)
    named = given is not None or bool(os.environ.get("MSMD_HEAD"))
    return path if named or find_spec("pygltflib") is not None else SHIPPED / "rigs" / f"{DEFAULT_HEAD}.yaml"


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
    if rig.decoder.sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != rig.decoder.sha256:
        raise MsmdError(f"rig {rig.name}: {path} is not the decoder that belongs to it (its sha256 differs)")
    if rig.decoder.onnx is not None:
        from msmdcli.heads.learned_code import load_code_decoder

        return load_code_decoder(rig)
    mesh = load_mesh(path, rig)
    check_sets(mesh)
    return mesh


def check_sets(mesh: MeshDecoder) -> None:
    """Refuse vertex sets of a rig file that the mesh does not have."""
    for name, numbers in mesh.stored.items():
        if len(numbers) and numbers.max() >= mesh.size:
            raise MsmdError(f"rig {mesh.rig.name}: vertices {name}: there are only {mesh.size}, not {numbers.max()}")
        if name == "mouth_opening" and len(numbers) != 2:
            raise MsmdError(f"rig {mesh.rig.name}: mouth_opening is two vertices (upper, lower), not {len(numbers)}")


def save_mesh(path: Path, mesh: MeshDecoder) -> None:
    """Write a linear decoder as npz: `neutral` [V, 3] float32 mm, `deltas` [C, V, 3] float16 mm, `channels` [C],
    `triangles` [F, 3], `parts` (JSON: name, colour, vertices, number of triangles), `format_version`.

    float16 keeps a displacement of 10 mm to 0.004 mm. The same decoder gives the same bytes.
    """
    arrays = arrays_of_decoder(mesh)
    with path.open("wb") as file:
        np.savez_compressed(file, **(arrays | {"deltas": arrays["deltas"].astype(np.float16)}))  # type: ignore[arg-type]


def arrays_of_decoder(mesh: MeshDecoder) -> dict[str, np.ndarray]:
    """What `save_mesh` writes, with exact displacements: `deltas` is float32."""
    parts = [
        {
            "name": part.name,
            "colour": list(part.colour),
            "vertices": [part.vertices.start, part.vertices.stop],
            "triangles": len(part.triangles),
        }
        for part in mesh.parts
    ]
    return {
        "format_version": np.array(FORMAT_VERSION),
        "channels": np.array(mesh.channels),
        "neutral": mesh.neutral.astype(np.float32),
        "deltas": mesh.deltas.astype(np.float32),
        "triangles": mesh.triangles.astype(np.int32),
        "parts": np.array(json.dumps(parts)),
    }


def load_mesh(path: Path, rig: Rig) -> MeshDecoder:
    """Read what `save_mesh` wrote. Channels are matched by name; those of the rig that it lacks move nothing.

    Raises:
        MsmdError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MsmdError(f"{path} is no mesh decoder ({type(error).__name__}: {error})") from error
    return decoder_of_arrays(data, rig, str(path))


def decoder_of_arrays(data: Mapping[str, Any], rig: Rig, where: str) -> MeshDecoder:
    """The decoder of what `arrays_of_decoder` gives.

    Args:
        data: the arrays.
        rig: whose channels are looked for.
        where: the file, for messages.

    Raises:
        MsmdError: they are no such arrays.
    """
    channels = face_channels(rig)
    try:
        if int(data["format_version"]) != FORMAT_VERSION:
            raise MsmdError(f"{where}: mesh format {data['format_version']}; this program reads {FORMAT_VERSION}")
        neutral, triangles = data["neutral"].astype(np.float32), data["triangles"].astype(np.int64)
        given = data["deltas"].astype(np.float32)
        deltas = np.zeros((len(channels), len(neutral), 3), np.float32)  # [C, V, 3]
        for number, name in enumerate(data["channels"].tolist()):
            if name in channels:
                deltas[channels.index(name)] = given[number]
        parts = []
        first = 0
        for part in json.loads(str(data["parts"])):
            start, stop = (int(number) for number in part["vertices"])
            red, green, blue = (float(value) for value in part["colour"])
            last = first + int(part["triangles"])
            parts.append(MeshPart(str(part["name"]), (red, green, blue), slice(start, stop), triangles[first:last]))
            first = last
        if neutral.ndim != 2 or not np.isfinite(neutral).all() or not np.isfinite(deltas).all():
            raise ValueError("it holds NaN, or has another shape")
        if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(neutral):
            raise ValueError("a triangle has a vertex that is not there")
    except MsmdError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MsmdError(f"{where} is no mesh decoder ({type(error).__name__}: {error})") from error
    return MeshDecoder(rig, channels, neutral, deltas, tuple(parts), rig.vertices)


def face_channels(rig: Rig) -> tuple[str, ...]:
    """[C] a rig's channels without the head rotation, in rig order."""
    return tuple(name for name in rig.channels if name not in (rig.rotation or ()))


# ---- glTF ------------------------------------------------------------------------------------------------------------


def read_gltf(path: Path) -> Any:
    """A parsed glTF file (`pygltflib.GLTF2`).

    Raises:
        MsmdError: there is none, it is broken, or pygltflib is not installed.
    """
    try:
        import pygltflib  # type: ignore[import-untyped]
    except ImportError:
        raise MsmdError("reading a head needs pygltflib", hint="pip install 'msmd[mesh]'") from None
    if not path.is_file():
        raise MsmdError(f"no such head: {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a broken file is told of below, in one sentence
            return pygltflib.GLTF2().load(str(path))
    except Exception as error:  # pygltflib raises whatever a malformed file leads it to
        raise MsmdError(f"{path} cannot be read as glTF ({type(error).__name__}: {error})") from error


def target_names(gltf: Any, mesh_number: int) -> list[str]:
    """The names of a mesh's morph targets, in order; empty where the file gives none."""
    return [str(name) for name in (gltf.meshes[mesh_number].extras or {}).get("targetNames") or []]


def decoder_of_gltf(
    gltf: Any, rig: Rig, where: str, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[MeshDecoder, list[Matching]]:
    """The decoder of a parsed glTF file (all triangles of all meshes in the scene, in world space), and what became of
    the morph targets of each mesh that has some.

    Args:
        gltf: of `read_gltf`.
        rig: whose channels are looked for.
        where: the file, for messages.
        given: channel -> morph targets that a person has named.

    Raises:
        MsmdError: no channel has a target.
    """
    channels = face_channels(rig)
    matchings: dict[int, Matching] = {}  # by mesh
    blobs: dict[int, bytes] = {}
    neutral: list[np.ndarray] = []
    deltas: list[np.ndarray] = []
    parts: list[MeshPart] = []
    first = 0
    for mesh_number, world in _placed_meshes(gltf):
        names = target_names(gltf, mesh_number)
        if names and mesh_number not in matchings:
            matchings[mesh_number] = match_targets(names, channels, given)
        found = matchings[mesh_number].found if names else {}
        for primitive in gltf.meshes[mesh_number].primitives:
            if primitive.mode not in (None, TRIANGLES):
                continue
            position = _accessor(gltf, primitive.attributes.POSITION, blobs)  # [n, 3] metres
            count = len(position)
            moved = np.zeros((len(channels), count, 3), np.float32)  # [C, n, 3]
            for channel, chosen in found.items():
                for number in {names.index(name) for name in chosen}:
                    accessor = (
                        _target_position(primitive.targets[number]) if number < len(primitive.targets or []) else None
                    )
                    if accessor is not None:
                        displaced = _accessor(gltf, accessor, blobs) @ world[:3, :3].T * MM_PER_METRE
                        moved[channels.index(channel)] += displaced
            index = np.arange(count) if primitive.indices is None else _accessor(gltf, primitive.indices, blobs)
            name, colour = _material(gltf, primitive.material, len(parts))
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


def _placed_meshes(gltf: Any) -> Iterator[tuple[int, np.ndarray]]:
    """(mesh number, world matrix [4, 4]) of each node of the scene that carries a mesh."""
    scene = gltf.scenes[gltf.scene or 0]
    waiting = [(number, np.eye(4)) for number in scene.nodes or []]
    while waiting:
        number, above = waiting.pop(0)
        node = gltf.nodes[number]
        world = above @ _local_matrix(node)
        if node.mesh is not None:
            yield node.mesh, world
        waiting.extend((child, world) for child in node.children or [])


def _local_matrix(node: Any) -> np.ndarray:
    """[4, 4] of a node: its matrix (stored by columns), or translation x rotation (quaternion x, y, z, w) x scale."""
    if node.matrix:
        return np.array(node.matrix, np.float64).reshape(4, 4).T
    x, y, z, w = node.rotation or (0.0, 0.0, 0.0, 1.0)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.scale or (1.0, 1.0, 1.0))
    matrix[:3, 3] = node.translation or (0.0, 0.0, 0.0)
    return matrix


def _target_position(target: Any) -> int | None:
    """The accessor of a morph target's position deltas (pygltflib gives targets as dicts or as Attributes)."""
    found = target.get("POSITION") if isinstance(target, dict) else target.POSITION
    return None if found is None else int(found)


def _material(gltf: Any, number: int | None, part: int) -> tuple[str, tuple[float, float, float]]:
    """Name and base colour of a material; grey where it has none."""
    material = gltf.materials[number] if number is not None else None
    factor = getattr(getattr(material, "pbrMetallicRoughness", None), "baseColorFactor", None) or (0.7, 0.7, 0.7, 1.0)
    return (material.name if material and material.name else f"part{part}"), (factor[0], factor[1], factor[2])


def _accessor(gltf: Any, number: int, blobs: dict[int, bytes]) -> np.ndarray:
    """[n, components] values of an accessor (a scalar one: [n, 1]), with its sparse substitutions."""
    accessor = gltf.accessors[number]
    dtype, width = COMPONENT_TYPES[accessor.componentType], COMPONENTS[accessor.type]
    values = np.zeros((accessor.count, width), dtype)
    if accessor.bufferView is not None:
        values[:] = _view(gltf, accessor.bufferView, accessor.byteOffset, accessor.count, dtype, width, blobs)
    if accessor.sparse is not None:
        sparse = accessor.sparse
        kind = COMPONENT_TYPES[sparse.indices.componentType]
        rows = _view(gltf, sparse.indices.bufferView, sparse.indices.byteOffset, sparse.count, kind, 1, blobs)[:, 0]
        new = sparse.values
        values[rows] = _view(gltf, new.bufferView, new.byteOffset, sparse.count, dtype, width, blobs)
    if accessor.normalized:
        limit = np.iinfo(values.dtype).max
        return np.maximum(values.astype(np.float32) / limit, -1.0)
    return values


def _view(
    gltf: Any, number: int, offset: int | None, count: int, dtype: Any, width: int, blobs: dict[int, bytes]
) -> np.ndarray:
    """[count, width] elements of a buffer view, interleaved or not."""
    view = gltf.bufferViews[number]
    if view.buffer not in blobs:
        uri = gltf.buffers[view.buffer].uri
        blobs[view.buffer] = gltf.binary_blob() if uri is None else gltf.get_data_from_buffer_uri(uri)
    start = (view.byteOffset or 0) + (offset or 0)
    size = np.dtype(dtype).itemsize
    stride = view.byteStride or size * width
    return np.ndarray((count, width), dtype, blobs[view.buffer], start, (stride, size))
