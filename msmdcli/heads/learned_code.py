"""Rigs with a learned code: D numbers and an ONNX file that makes vertices of them, as in SEREP or FLAME.

The rig file declares the channels (ranges may be open, regions may be absent) and names the graph:

    decoder: {onnx: decoder.onnx, surface: surface.npz}

The graph takes one float32 input, [T, C] channel values without the head rotation in rig order ([T, D] with the
rotation at 0 where its width says so), and gives one output, [T, V, 3] or [T, 3 V] vertices in mm. `surface` is an npz
with `triangles` [F, 3], needed only to draw the head. Whatever measures need (lips, upper face, mouth opening) are
vertex numbers in the rig file; a measure whose vertices are not there is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder, MeshPart, check_sets, face_channels
from msmdcli.model.runtime import Graph, OnnxRuntime
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.system.npz_file import read_npz

SKIN = (0.70, 0.52, 0.43)
STEP = 1.0  # of a channel, for `deltas`
ROWS = 512  # frames decoded at once


@dataclass(frozen=True, eq=False)
class CodeDecoder(MeshDecoder):
    """A learned decoder. `deltas` is what a step of 1 in each channel moves at rest; `decode` is exact.

    Attributes:
        graph: motion -> vertices.
        columns: [c] the rig's columns that it takes; -1 stands for 0.
    """

    graph: Graph | None = None
    columns: tuple[int, ...] = ()

    def decode(self, motion: Motion | np.ndarray, vertices: np.ndarray | None = None) -> np.ndarray:
        """As `MeshDecoder.decode`."""
        if isinstance(motion, Motion):
            if motion.rig.channels != self.rig.channels:
                raise MsmdError(f"the motion is on rig {motion.rig.name}, the head on {self.rig.name}")
            motion = motion.values
        assert self.graph is not None
        made = _run(self.graph, motion, self.columns, self.rig.name)  # [T, V, 3]
        return made if vertices is None else made[:, vertices]

    def decoder_of(self, vertices: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """As `MeshDecoder.decoder_of`; all vertices are computed all the same."""
        return partial(self.decode, vertices=vertices)

    @cached_property
    def eyes(self) -> tuple[np.ndarray, np.ndarray]:
        """No part of a learned head is known to be an eye."""
        return np.zeros(0, np.int64), np.zeros(0, np.int64)

    @cached_property
    def face(self) -> np.ndarray:
        """The rig file's `face`, else all vertices."""
        return np.asarray(self.stored.get("face", np.arange(self.size)), np.int64)

    @cached_property
    def lining(self) -> np.ndarray:
        """The rig file's `lining`, else nothing."""
        return np.asarray(self.stored.get("lining", np.zeros(0)), np.int64)


def load_code_decoder(rig: Rig) -> CodeDecoder:
    """The learned decoder that a rig file names.

    Raises:
        MsmdError: the graph does not fit the rig, or the surface does not fit the graph.
    """
    if rig.decoder is None or rig.decoder.onnx is None:
        raise MsmdError(f"rig {rig.name} names no ONNX decoder", hint="`decoder: {onnx: FILE}` in its rig file")
    graph = OnnxRuntime("cpu").load(rig.decoder.onnx, threads=1)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise MsmdError(
            f"rig {rig.name}: {graph.name} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs, not 1 each"
        )
    channels = face_channels(rig)
    face = tuple(rig.index(name) for name in channels)
    turning = tuple(column if column in face else -1 for column in range(rig.size))
    shape = graph.shapes[graph.inputs[0]]
    width = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else len(face)
    columns = {len(face): face, rig.size: turning}.get(width)
    if columns is None:
        raise MsmdError(
            f"rig {rig.name}: {graph.name} takes {width} numbers a frame, and the rig has {len(face)} channels without"
            " the head rotation",
            hint="one column per channel of the rig file, in its order",
        )
    rest = np.zeros((1 + len(channels), rig.size), np.float32)
    rest[1 + np.arange(len(channels)), list(face)] = STEP
    posed = _run(graph, rest, columns, rig.name)
    neutral, deltas = posed[0], (posed[1:] - posed[0]) / STEP
    triangles = _surface(rig, len(neutral))
    part = MeshPart("skin", SKIN, slice(0, len(neutral)), triangles)
    decoder = CodeDecoder(rig, channels, neutral, deltas, (part,), rig.vertices, graph=graph, columns=columns)
    check_sets(decoder)
    return decoder


def _run(graph: Graph, values: np.ndarray, columns: tuple[int, ...], rig: str) -> np.ndarray:
    """[T, V, 3] float32 mm of values [T, D]."""
    taken = np.where(np.array(columns) >= 0, values[:, list(columns)], 0).astype(np.float32)  # [T, c]
    pieces = np.array_split(taken, range(ROWS, len(taken), ROWS))
    made = [next(iter(graph.run({graph.inputs[0]: piece}, graph.outputs).values())) for piece in pieces]
    vertices = np.concatenate(made)
    if vertices.size == 0 or vertices.size % (3 * len(taken)) or len(vertices) != len(taken):
        raise MsmdError(f"rig {rig}: {graph.name} gives the shape {vertices.shape}, not [T, V, 3]")
    vertices = vertices.reshape(len(taken), -1, 3).astype(np.float32)
    if not np.isfinite(vertices).all():
        raise MsmdError(f"rig {rig}: {graph.name} gives NaN or infinity")
    return vertices


def _surface(rig: Rig, size: int) -> np.ndarray:
    """[F, 3] triangles of the rig's surface file; none where it names none."""
    path = rig.decoder.surface if rig.decoder else None
    if path is None:
        return np.zeros((0, 3), np.int64)
    try:
        triangles: np.ndarray[Any, Any] = read_npz(path, ("triangles",))["triangles"].astype(np.int64)
    except (MsmdError, ValueError, KeyError) as error:
        raise MsmdError(
            f"rig {rig.name}: {path} is no npz with `triangles` ({type(error).__name__}: {error})"
        ) from error
    if (
        triangles.ndim != 2
        or triangles.shape[1] != 3
        or (triangles.size and not 0 <= triangles.min() <= triangles.max() < size)
    ):
        raise MsmdError(f"rig {rig.name}: the triangles of {path} do not fit a mesh of {size} vertices")
    return triangles
