"""The scene that heads are shown in: camera, lights, colours, eyes. Both renderers draw exactly this.

Lengths are in millimetres, x to the head's own left, y up, z forward; colours are linear RGB. The lights stand still
with the camera. V is the number of vertices, D the number of the rig's channels, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from msmdcli.drawing.hair_line import HAIR, hair_of, is_bald
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.rotation import matrix_of_quaternion, quaternion_from_euler

BACKGROUND = (0.055, 0.06, 0.07)
CAMERA_DISTANCE = 900.0  # mm from the face; near enough for perspective, far enough not to swell the nose
LIGHTS = (  # direction towards the light, colour
    ((-0.45, 0.55, 0.75), (0.95, 0.90, 0.84)),
    ((0.80, 0.10, 0.45), (0.20, 0.24, 0.30)),
)
SKY, GROUND = (0.22, 0.24, 0.27), (0.08, 0.07, 0.065)
SHARPNESS = 32.0  # of highlights: the exponent of Blinn's model
LINING = (0.10, 0.02, 0.02)  # inside of the mouth
LIPS, BROWS = (0.86, 0.62, 0.62), (0.34, 0.29, 0.27)  # that the skin's colour is multiplied with
EXPOSURE = 0.82
# Eyes are painted, because many heads have none that turn: angles seen from the middle of the eyeball.
DEEPER = 1.25  # exponent of a part's colour: a little deeper than glTF's flat colours look here
IRIS, PUPIL, EYE_WHITE = (0.09, 0.13, 0.17), (0.004, 0.004, 0.005), (0.62, 0.60, 0.58)
IRIS_ANGLE, PUPIL_ANGLE = float(np.radians(23.0)), float(np.radians(9.0))
LOOK_ANGLE = float(np.radians(28.0))  # that eyeLook channels turn an eye by at 1
# A painted brow is an arch over the eyeball: lengths in radii of the eyeball, outwards and up from its middle.
BROW_FROM, BROW_TO, BROW_PEAK = -1.15, 1.75, 0.75  # inner end, outer end, highest place
BROW_HEIGHT, BROW_SAG, BROW_THICK = 1.62, 0.17, 0.24  # at the peak; drop per squared radius beside it; half thickness


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera that looks along -z.

    Attributes:
        place: [3] mm.
        scale: pixels per mm at `CAMERA_DISTANCE`.
        width, height: of the picture in pixels; the axis goes through its middle.
    """

    place: np.ndarray
    scale: float
    width: int
    height: int

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """[V, 3] mm -> [V, 3]: x (right) and y (down) in pixels, and 1 / distance, which is linear on the screen."""
        away = self.place[2] - vertices[:, 2]  # [V]
        enlarged = self.scale * CAMERA_DISTANCE / away
        x = self.width / 2 + (vertices[:, 0] - self.place[0]) * enlarged
        y = self.height / 2 - (vertices[:, 1] - self.place[1]) * enlarged
        return np.column_stack([x, y, 1.0 / away])


@dataclass(frozen=True, eq=False)
class Scene:
    """A head before the camera. Use `scene_of`, which keeps what it made for the last heads."""

    mesh: MeshDecoder

    @cached_property
    def neck(self) -> np.ndarray:
        """[3] the point about which the head turns: on the midline, level with the jaw's angle, in mid-depth."""
        rest = self.mesh.neutral[self.mesh.skin]
        low, high = rest.min(axis=0), rest.max(axis=0)
        mouth = self.mesh.neutral[self.mesh.mouth].mean(axis=0)
        return np.array([(low[0] + high[0]) / 2, mouth[1] - 30.0, (low[2] + high[2]) / 2])

    def camera(self, width: int, height: int) -> Camera:
        """The camera for pictures of that size. Framed by the head at rest, so nothing jumps."""
        mesh = self.mesh
        top = mesh.neutral[mesh.skin, 1].max()
        mouth = mesh.neutral[mesh.mouth].mean(axis=0)
        bottom = mouth[1] - 2.2 * np.ptp(mesh.neutral[mesh.mouth, 0])  # an open jaw and some neck
        place = np.array([mouth[0], (top + bottom) / 2, mouth[2] + CAMERA_DISTANCE])
        return Camera(place, float(min(height, width * 1.15) / ((top - bottom) * 1.04)), width, height)

    def rotations(self, values: np.ndarray, turn: float = 0.0) -> np.ndarray:
        """[T, 3, 3] that the head channels of values [T, D] turn the head by, then `turn` radians to its left."""
        rotation = np.tile(np.eye(3), (len(values), 1, 1))
        if self.mesh.rig.rotation_indices is not None:
            euler = values[:, list(self.mesh.rig.rotation_indices)].astype(np.float64)
            rotation = matrix_of_quaternion(quaternion_from_euler(euler))
        cos, sin = np.cos(turn), np.sin(turn)
        return np.asarray(np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) @ rotation)

    def gazes(self, values: np.ndarray) -> np.ndarray:
        """[T, 2, 3] unit directions in which the left and the right eye look, before the head turns.

        Straight ahead where the rig has no eyeLook channels.
        """
        rig, none = self.mesh.rig, np.zeros(len(values))

        def value(name: str) -> np.ndarray:
            return values[:, rig.index(name)].astype(np.float64) if name in rig.channels else none

        gazes = []
        for side, outward in (("Left", 1.0), ("Right", -1.0)):
            up = LOOK_ANGLE * (value(f"eyeLookUp{side}") - value(f"eyeLookDown{side}"))
            across = LOOK_ANGLE * outward * (value(f"eyeLookOut{side}") - value(f"eyeLookIn{side}"))
            gazes.append(np.stack([np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)], axis=1))
        return np.stack(gazes, axis=1)

    def eye_middles(self, vertices: np.ndarray) -> np.ndarray:
        """[T, 2, 3] middles of the left and the right eyeball of vertices [T, V, 3]; 0 where there is none."""
        middles = np.zeros((len(vertices), 2, 3))
        for side, eyeball in enumerate(self.mesh.eyes):
            if len(eyeball):
                middles[:, side] = middle(vertices[:, eyeball])
        return middles

    @cached_property
    def materials(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour [V, 3] and gloss [V]: parts' colours, red lips, brows, hair, dark linings, wet eyes and teeth."""
        mesh = self.mesh
        colour, gloss = np.empty((mesh.size, 3)), np.full(mesh.size, 0.12)
        for part in mesh.parts:
            colour[part.vertices] = np.array(part.colour) ** DEEPER
            if part.name.lower() != "skin":
                gloss[part.vertices] = 0.5
        painted = [(self._lips, LIPS), (self.brows, BROWS)]
        if is_bald(mesh):
            painted.append((hair_of(mesh), HAIR))
        for strength, tint in painted:
            colour *= 1.0 - strength[:, None] * (1.0 - np.array(tint))
        # Little light falls into the mouth: everything in it darkens with its distance behind the lips.
        line = mesh.neutral[mesh.mouth]
        behind = (line[:, 2].max() - mesh.neutral[:, 2]) / np.ptp(line[:, 0])
        in_mouth = np.ones(mesh.size, bool)
        in_mouth[np.concatenate([mesh.skin, *mesh.eyes])] = False
        colour[in_mouth] *= np.clip(1.0 - 0.9 * behind, 0.15, 1.0)[in_mouth, None]
        colour[mesh.lining] = LINING
        gloss[mesh.lining] = 0.0
        return colour, gloss

    @cached_property
    def _lips(self) -> np.ndarray:
        """[V] 0..1: 1 on the lips, with a soft edge."""
        mesh = self.mesh
        strength = np.zeros(mesh.size)
        strength[mesh.lips] = 1.0
        edges = mesh.triangles[:, [0, 1, 1, 2, 2, 0, 1, 0, 2, 1, 0, 2]].reshape(-1, 2)  # both ways
        number = np.maximum(np.bincount(edges[:, 0], minlength=mesh.size), 1)
        for _ in range(2):
            around = np.bincount(edges[:, 0], strength[edges[:, 1]], minlength=mesh.size) / number
            strength = (strength + around) / 2
        return strength

    @cached_property
    def brows(self) -> np.ndarray:
        """[V] 0..1: 1 in the middle of the brows; nothing on a head without eyeballs."""
        mesh = self.mesh
        strength = np.zeros(mesh.size)
        for eyeball, outward in zip(mesh.eyes, (1.0, -1.0), strict=True):
            if len(eyeball) == 0:
                continue
            low, high = mesh.neutral[eyeball].min(axis=0), mesh.neutral[eyeball].max(axis=0)
            radius = (high[1] - low[1]) / 2
            across, up, forward = ((mesh.neutral - (low + high) / 2) / radius).T.astype(np.float64)
            across *= outward
            beside = across - BROW_PEAK
            off = np.abs(up - (BROW_HEIGHT - BROW_SAG * beside**2)) / BROW_THICK
            ends = np.clip((across - BROW_FROM) / 0.3, 0, 1) * np.clip((BROW_TO - across) / 0.9, 0, 1)
            strength = np.maximum(strength, np.clip(1.6 - off, 0, 1) * ends * (forward > -0.8))
        eyes_and_teeth = np.ones(mesh.size, bool)
        eyes_and_teeth[mesh.skin] = False
        strength[eyes_and_teeth] = 0.0
        return strength


@lru_cache(maxsize=4)
def scene_of(mesh: MeshDecoder) -> Scene:
    """The scene of a head; what is costly in it is found once."""
    return Scene(mesh)


def middle(points: np.ndarray) -> np.ndarray:
    """[T, 3] middles of what points [T, n, 3] reach to on each axis."""
    return np.asarray((points.min(axis=1) + points.max(axis=1)) / 2)


def paint_eye(from_middle: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Base colour [n, 3] of points of an eyeball, given relative to its middle."""
    along = from_middle @ gaze / np.maximum(np.linalg.norm(from_middle, axis=1), 1e-9)
    angle = np.arccos(np.clip(along, -1.0, 1.0))[:, None]
    towards_rim = np.clip((angle - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE), 0, 1)
    iris = np.array(IRIS) * (1.5 - 1.1 * towards_rim**2)
    return np.where(angle < PUPIL_ANGLE, np.array(PUPIL), np.where(angle < IRIS_ANGLE, iris, np.array(EYE_WHITE)))


def shade(base: np.ndarray, shine: np.ndarray, normal: np.ndarray, position: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Linear colour [n, 3] of n points: Lambert light from LIGHTS, sky and ground, and Blinn's highlight."""
    up = 0.5 + 0.5 * normal[:, 1:2]
    light = up * np.array(SKY) + (1 - up) * np.array(GROUND)
    view = eye - position
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    highlight = np.zeros_like(base)
    for direction, colour in LIGHTS:
        towards = unit(direction)
        light = light + np.clip(normal @ towards, 0, None)[:, None] * np.array(colour)
        halfway = view + towards
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        spot = np.clip((normal * halfway).sum(axis=1), 0, None) ** SHARPNESS
        highlight += (shine * spot)[:, None] * np.array(colour)
    return np.asarray(EXPOSURE * (base * light + highlight))


def srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..1 to sRGB 0..1 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def background() -> np.ndarray:
    """[3] uint8 sRGB of the empty picture."""
    return np.asarray(srgb(np.array(BACKGROUND)) * 255 + 0.5, np.uint8)


def unit(direction: Sequence[float]) -> np.ndarray:
    """[3] of length 1."""
    return np.asarray(direction, np.float64) / np.linalg.norm(direction)
