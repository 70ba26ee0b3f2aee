"""Mesh decoder: motion -> vertices in millimetres, and the vertices that measures look at.

The decoder of morph targets is linear:

    vertices[t] = neutral + sum over channels c of motion[t, c] * delta[c]

Head rotation is left out: faces are compared and styled without head motion. How heads are read:
`msmdcli.heads.loading`.

V is the number of vertices, C the number of the rig's channels that a face has (52 in arkit52), T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.heads.raster import rasterise
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

LIDS = ("eyeBlinkLeft", "eyeBlinkRight")
MEETING = (1.5, 3.0, 6.0)  # mm between lips that meet; a drawn character's may stand farther apart at rest
BROWS = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")  # they move the skin, and neither eyes nor teeth
ATTRIBUTES = {"mouth_line": "mouth", "mouth_opening": "mid_lips"}  # vertex sets whose attribute has another name


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
        """Vertices of the parts that the brows move: skin and its linings, without eyes and teeth. [n] ascending.

        A head whose brows do not move is told by its lids.
        """
        if any(name not in self.channels for name in BROWS):
            return np.arange(self.size)
        for names in (BROWS, [name for name in LIDS if name in self.channels]):
            moved = self.displacement(*names) if names else np.zeros(self.size)
            parts = [part.vertices for part in self.parts if moved[part.vertices].max(initial=0.0) > 0.5]
            if parts:
                return np.concatenate([np.arange(part.start, part.stop) for part in parts])
        return np.arange(self.size)

    def _seen(self, vertices: np.ndarray) -> np.ndarray:
        """[n] bool: whether these skin vertices [n] are seen from the front at rest (profile slopes included)."""
        pixel = 0.25  # mm
        low = self.neutral[self.skin, :2].min(axis=0)
        # [V, 3], upside down: no matter.
        points = np.column_stack([(self.neutral[:, :2] - low) / pixel + 0.5, self.neutral[:, 2]])
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

        Skin that has other skin within 1.5 mm at rest (else 3, else 6) from which opening the jaw parts it, by a tenth
        or more of the farthest that opening the jaw moves any skin.
        """
        if "mouth_line" in self.stored:
            return self.stored["mouth_line"]
        self._need("mouth_line", "jawOpen", "mouthRollUpper", "mouthRollLower")
        moved = self.deltas[self.channels.index("jawOpen")]  # [V, 3]
        rolled = self.displacement("mouthRollUpper", "mouthRollLower")
        region = self.skin[rolled[self.skin] >= 0.1 * rolled[self.skin].max()]
        opening = 0.1 * np.linalg.norm(moved[self.skin], axis=1).max()
        place, moved = self.neutral[region], moved[region]  # [n, 3]
        middle = place - place.mean(axis=0)
        square = (middle**2).sum(axis=1)
        on_line = np.zeros(len(region), bool)
        for near in MEETING:
            for rows in np.array_split(np.arange(len(region)), len(region) // 500 + 1):  # keeps [rows, n] small
                squared = square[rows, None] + square - 2 * middle[rows] @ middle.T  # of distances; rounded
                first, second = np.nonzero(squared < 1.1 * near**2)
                first = rows[first]
                close = np.linalg.norm(place[first] - place[second], axis=1) < near
                parted = np.linalg.norm(moved[first] - moved[second], axis=1) > opening
                on_line[first[close & parted]] = True
            if on_line.any():
                return region[on_line]
        raise MsmdError("no mouth found on this head", hint="its jawOpen target must part the lips")

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


def face_channels(rig: Rig) -> tuple[str, ...]:
    """[C] a rig's channels without the head rotation, in rig order."""
    return tuple(name for name in rig.channels if name not in (rig.rotation or ()))


def check_sets(mesh: MeshDecoder) -> None:
    """Refuse vertex sets of a rig file that the mesh does not have."""
    for name, numbers in mesh.stored.items():
        if len(numbers) and numbers.max() >= mesh.size:
            raise MsmdError(f"rig {mesh.rig.name}: vertices {name}: there are only {mesh.size}, not {numbers.max()}")
        if name == "mouth_opening" and len(numbers) != 2:
            raise MsmdError(f"rig {mesh.rig.name}: mouth_opening is two vertices (upper, lower), not {len(numbers)}")
