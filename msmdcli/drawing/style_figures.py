"""Figures of a style: its basis poses as faces (the paper's figure 6), and alpha over time for a line (figure 7).

The model predicts x0_hat = dX + b_0 + sum over k of alpha_k b_k (eq. 4; b_0, the reference's mean pose, is our style
anchor and not in the paper). The basis poses b_k are decoded from the style code s once; alpha changes from frame to
frame and is what the network says of them. K basis poses, D channels, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.drawing.canvas import INK, PALE, Canvas
from msmdcli.drawing.pictures import FACE_HEIGHT, face_picture
from msmdcli.errors import MsmdError
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.audio import Audio
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

Array = NDArray[np.float32]

SHOWN_MM = 8.0  # to which the largest movement of the basis poses is exaggerated
FACE_PIXELS = 2.0  # per point
COLOURS = ("#c0392b", "#1f6fb2", "#2e8b57", "#b8860b", "#7d3c98", "#16707a", "#a04000", "#5d6d7e")  # of the b_k
CHANNELS_NAMED = 3
STRIP = 10  # faces along a line


@dataclass(frozen=True, eq=False)
class StyleBasis:
    """What a style gives to every line, before any sound.

    Attributes:
        average: [D] the training set's mean pose, in rig units: where everything starts.
        resting: [D] `average` + b_0: what the anchor gives, alpha = 0. Without an anchor the same as `average`.
        poses: [K, D] b_k in rig units, relative to `resting`.
        anchored: whether the model has an anchor.
        rig: what the D channels are.
    """

    average: Array
    resting: Array
    poses: Array
    anchored: bool
    rig: Rig


@dataclass(frozen=True, eq=False)
class AlphaLine:
    """One line, as the basis explains it.

    Attributes:
        motion: [T, D] what was generated, not yet held within the rig's ranges.
        alpha: [T, K] of the last step of the sampling.
        styled: [T, D] sum over k of alpha_k b_k, in rig units; 0 in the head's channels, whose part is constant, and in
            those of a mouth that is not sampled: no basis moves it.
        audio: the recording.
        window: N.
    """

    motion: Motion
    alpha: Array
    styled: Array
    audio: Audio
    window: int


def style_basis(engine: Engine, style: StyleCode) -> StyleBasis:
    """Decode a style's basis poses.

    Raises:
        MsmdError: the model has none (`unconditioned` and `diffposetalk` variants).
    """
    bundle = engine.bundle
    if "style_decoder.onnx" not in bundle.files:
        variant = bundle.model.get("variant", "?")
        raise MsmdError(f"the model {bundle.name} has no style basis (variant {variant})")
    graph = engine.runtime.load(bundle.file("style_decoder.onnx"), threads=1)
    basis = graph.run({"code": style.code[None]}, ("basis",))["basis"][0]  # [K, D] normalised
    anchored = bool(bundle.model.get("style_anchor"))
    D = bundle.rig.size
    rest = style.anchor[:D] if anchored else np.zeros(D, np.float32)
    normalisation = bundle.normalisation
    resting = normalisation.inverse(rest)
    poses = normalisation.inverse(rest + basis) - resting
    return StyleBasis(normalisation.neutral(), resting, poses, anchored, bundle.rig)


def alpha_of_line(engine: Engine, style: StyleCode, basis: StyleBasis, audio: Audio, seed: int = 0) -> AlphaLine:
    """Animate a recording in one style and keep alpha.

    Args:
        engine: the model.
        style, basis: the style, and what `style_basis` gave for it.
        audio: the recording.
        seed: of the noise.
    """
    parts: list[Array] = []
    job = Job(
        "alpha",
        engine.encode_audio(audio),
        [StyleEntry(style)],
        seed,
        watch_alpha=lambda alpha, first: parts.append(alpha),
    )
    ((_, motion),) = engine.animate([job], clip=False)
    alpha = np.concatenate(parts)  # [T, K]
    styled = alpha @ basis.poses
    model = engine.bundle.model
    styled[:, [*(motion.rig.rotation_indices or ()), *(model.get("mouth_channels") or ())]] = 0.0
    return AlphaLine(motion, alpha, styled, audio, engine.bundle.window)


def basis_figure(basis: StyleBasis, mesh: MeshDecoder, name: str, model: str) -> Canvas:
    """Figure 6: the average face, the style's resting face, and each basis pose added to it.

    Basis poses are small beside the resting face. So the upper row exaggerates them all by one factor, which it names,
    and the lower row colours how far each moves the skin.

    Args:
        basis: of the style.
        mesh: the head to draw on.
        name, model: what style and model are called.
    """
    K = len(basis.poses)
    face, gap, left, top, below = 190.0, 8.0, 24.0, 74.0, 30.0
    height = face * FACE_HEIGHT
    second = top + height + below
    canvas = Canvas(left * 2 + (K + 2) * (face + gap) - gap, second + height + 98)
    canvas.text(left, 34, f"Style basis of {name}", 20)
    canvas.text(left, 54, f"model {model}: x = dX + b0 + alpha_1 b1 + ... + alpha_{K} b{K}", 12, colour=PALE)

    moved = _moved(mesh, np.broadcast_to(basis.resting, basis.poses.shape), basis.resting + basis.poses)  # [K, n]
    most = max(float(moved.max()), 1e-6)
    times = _nice(SHOWN_MM / most) if most < SHOWN_MM else 1.0

    def middle(column: int) -> float:
        return left + column * (face + gap) + face / 2

    def draw(column: int, y: float, picture: np.ndarray, words: str) -> None:
        canvas.picture(middle(column) - face / 2, y, face, height, picture)
        canvas.text(middle(column), y + height + 17, words, 13, "middle")

    def describe(column: int, distances: np.ndarray, k: int | None) -> None:
        words = [f"{distances.mean():.2f} mm on average, {distances.max():.1f} at most", *_strongest(basis, k)]
        for number, line in enumerate(words):
            canvas.text(middle(column), second + height + 19 + 15 * number, line, 11, "middle", PALE)

    width = round(face * FACE_PIXELS)
    draw(0, top, face_picture(mesh, basis.average, width), "average of the training set")
    resting = "with b0: the reference's mean" if basis.anchored else "no anchor: b0 = 0"
    draw(1, top, face_picture(mesh, basis.resting, width), resting)
    if basis.anchored:
        anchor = _moved(mesh, basis.average, basis.resting)[0]  # [n]
        draw(1, second, heat_picture(mesh, basis.resting, anchor, float(anchor.max()), width), "")
        describe(1, anchor, None)
    for k in range(K):
        shown = "" if times == 1 else f"{times:g} x "
        draw(k + 2, top, face_picture(mesh, basis.resting + times * basis.poses[k], width), f"b0 + {shown}b{k + 1}")
        draw(k + 2, second, heat_picture(mesh, basis.resting, moved[k], most, width), "")
        describe(k + 2, moved[k], k)

    x = left + 4
    for number, words in enumerate(("How far the skin moves", "with alpha = 1:")):
        canvas.text(x, second + 20 + 18 * number, words, 13)
    scales = [(f"b1 to b{K}", most)]
    if basis.anchored:
        scales.append(("b0", float(anchor.max())))
    for number, (words, limit) in enumerate(scales):
        y = second + 62 + 52 * number
        for i in range(100):
            canvas.area([(x + i, y), (x + i + 1.2, y), (x + i + 1.2, y + 12), (x + i, y + 12)], _hex(_heat(i / 99)))
        canvas.text(x, y + 27, "0", 11, colour=PALE)
        canvas.text(x + 100, y + 27, f"{limit:.1f} mm", 11, "middle", PALE)
        canvas.text(x + 110, y + 10, words, 11, colour=PALE)
    return canvas


def alpha_figure(
    line: AlphaLine, basis: StyleBasis, mesh: MeshDecoder | None, name: str, recording: str, model: str
) -> Canvas:
    """Figure 7: the generated faces, the sound with the jaw's opening, and each alpha over time.

    Args:
        line, basis: what `alpha_of_line` and `style_basis` gave.
        mesh: the head to draw on; None leaves the faces out.
        name, recording, model: what style, recording and model are called.
    """
    K, T = line.alpha.shape[1], line.motion.frames
    seconds = float(line.motion.seconds)
    left, wide, thumb, row = 170.0, 980.0, 54.0, 92.0
    strip = wide / STRIP * FACE_HEIGHT if mesh is not None else 0.0
    top = 70.0
    sound_y, sound_high = top + strip + 14, 110.0
    first = sound_y + sound_high + 18
    canvas = Canvas(left + wide + 40, first + K * row + 78)
    canvas.text(24, 34, f"alpha over time: {recording} in the manner of {name}", 20)
    canvas.text(24, 54, f"model {model}; dotted: joins of the windows of {line.window} frames", 12, colour=PALE)
    x = left + (np.arange(T) + 0.5) / T * wide  # [T]

    if mesh is not None:
        for number in range(STRIP):
            frame = int((number + 0.5) * T / STRIP)
            picture = face_picture(mesh, line.motion.clip().values[frame], round(wide / STRIP * FACE_PIXELS))
            canvas.picture(left + number * wide / STRIP + 2, top, wide / STRIP - 4, strip * (1 - 4 / wide), picture)
        canvas.text(left - 14, top + strip / 2, "generated", 12, "end")

    bottom = first + K * row
    _time_axis(canvas, left, wide, sound_y, bottom, seconds)
    for join in range(line.window, T, line.window):
        at = left + join / T * wide
        for y in np.arange(sound_y, bottom, 6.0):
            canvas.line([(at, y), (at, y + 2)], PALE, 1)
    _sound(canvas, line, left, wide, sound_y, sound_high, x)

    limit = max(float(np.abs(line.alpha).max()), 1e-3)
    tick = _nice(limit)
    for k in range(K):
        middle = first + (k + 0.5) * row
        scale = (row / 2 - 8) / limit
        for value in (-tick, 0.0, tick):
            y = middle - value * scale
            canvas.line([(left, y), (left + wide, y)], "#e3e6e9", 0.8)
            canvas.text(left + wide + 5, y + 4, f"{value:g}", 9, colour=PALE)
        curve = np.column_stack([x, middle - line.alpha[:, k] * scale])  # [T, 2]
        colour = COLOURS[k % len(COLOURS)]
        canvas.area([(x[0], middle), *curve, (x[-1], middle)], _paler(colour))
        canvas.line(curve, colour, 1.6)
        canvas.text(left - 14, middle + 5, f"alpha {k + 1}", 12, "end", colour)
        if mesh is not None:
            moved = _moved(mesh, basis.resting, basis.resting + basis.poses[k])[0]
            high = thumb * FACE_HEIGHT
            picture = heat_picture(mesh, basis.resting, moved, float(moved.max()), round(thumb * FACE_PIXELS))
            canvas.picture(24, middle - high / 2, thumb, high, picture)
    notes = ["alpha is the coefficient of the basis pose in the last step of the sampling"]
    if mesh is not None:
        notes[0] += "; on the left: where its pose moves the skin"
        notes.append(_shares(mesh, line, basis))
    for number, note in enumerate(notes):  # two lines: one is wider than the page
        canvas.text(left, bottom + 44 + 16 * number, note, 11, colour=PALE)
    return canvas


def heat_picture(mesh: MeshDecoder, values: Array, moved: np.ndarray, limit: float, width: int) -> np.ndarray:
    """A face in a pose [D], coloured by how far its vertices `mesh.face` move: `moved` [n] mm, `limit` the most."""
    colours = np.tile(_heat(0.0), (mesh.size, 1))  # [V, 3]
    colours[mesh.face] = _heat(np.clip(moved / max(limit, 1e-9), 0, 1))
    return face_picture(mesh, values, width, colours=colours)


def _heat(share: np.ndarray | float) -> np.ndarray:
    """Linear colours [..., 3] of shares 0..1: pale grey, yellow, red, dark."""
    stops = np.array([[0.55, 0.56, 0.58], [0.85, 0.60, 0.12], [0.75, 0.10, 0.04], [0.22, 0.0, 0.06]])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, at, column) for column in stops.T], axis=-1)


def _hex(linear: np.ndarray) -> str:
    """A linear colour [3] for the page (sRGB, gamma 2.2)."""
    return "#" + "".join(f"{round(255 * float(part) ** (1 / 2.2)):02x}" for part in linear)


def _moved(mesh: MeshDecoder, one: Array, other: Array) -> np.ndarray:
    """[M, n] mm between the vertices `mesh.face` under two poses [D], or M poses [M, D] each."""
    face = mesh.face
    return np.linalg.norm(mesh.decode(np.atleast_2d(one), face) - mesh.decode(np.atleast_2d(other), face), axis=-1)


def _strongest(basis: StyleBasis, k: int | None) -> list[str]:
    """The channels of the face that b_k (None: b_0) changes the most, with the change."""
    change = basis.resting - basis.average if k is None else basis.poses[k]
    head = basis.rig.rotation or ()
    order = [d for d in np.argsort(-np.abs(change)) if basis.rig.channels[d] not in head]
    return [f"{basis.rig.channels[d]} {change[d]:+.2f}" for d in order[:CHANNELS_NAMED]]


def _shares(mesh: MeshDecoder, line: AlphaLine, basis: StyleBasis) -> str:
    """How far each term of eq. 4 moves the face, in mm, mean over vertices and frames."""
    still = np.broadcast_to(basis.resting, line.styled.shape)
    anchor = _moved(mesh, basis.average, basis.resting).mean()
    styled = _moved(mesh, still, still + line.styled).mean()
    primary = _moved(mesh, still + line.styled, line.motion.values).mean()
    return f"Mean movement of the face: b0 {anchor:.2f} mm, basis {styled:.2f} mm, dX {primary:.2f} mm"


def _sound(
    canvas: Canvas, line: AlphaLine, left: float, wide: float, top: float, high: float, x: NDArray[np.float64]
) -> None:
    """The waveform's outline and the opening of the jaw."""
    samples = line.audio.samples
    columns = min(round(wide), len(samples))
    edges = np.linspace(0, len(samples), columns + 1).astype(int)[:-1]
    loud = max(float(np.abs(samples).max()), 1e-6)
    upper = np.maximum.reduceat(samples, edges) / loud
    lower = np.minimum.reduceat(samples, edges) / loud
    at = left + (np.arange(columns) + 0.5) / columns * wide
    middle, half = top + high / 2, high / 2 - 4
    canvas.area(
        [*zip(at, middle - upper * half, strict=True), *zip(at[::-1], middle - lower[::-1] * half, strict=True)],
        "#d3d8dd",
    )
    canvas.text(left - 14, middle - 4, "sound and", 12, "end")
    canvas.text(left - 14, middle + 12, "jaw opening", 12, "end")
    if "jawOpen" in line.motion.rig.channels:
        jaw = line.motion.clip().values[:, line.motion.rig.index("jawOpen")]
        canvas.line(np.column_stack([x, top + high - 4 - jaw / max(float(jaw.max()), 1e-3) * (high - 8)]), INK, 1.6)
        canvas.text(left + wide + 5, top + 12, f"{jaw.max():.2f}", 9, colour=PALE)


def _time_axis(canvas: Canvas, left: float, wide: float, top: float, bottom: float, seconds: float) -> None:
    step = _nice(seconds / 6)
    for number in range(int(seconds / step) + 1):
        at = left + number * step / seconds * wide
        canvas.line([(at, top), (at, bottom + 4)], "#e3e6e9", 0.8)
        canvas.text(at, bottom + 18, f"{number * step:g} s", 11, "middle", PALE)


def _nice(limit: float) -> float:
    """The largest of 1, 2, 5 x 10^n that is at most `limit`."""
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step for step in (power, 2 * power, 5 * power) if step <= limit * (1 + 1e-9)))


def _paler(colour: str) -> str:
    """A colour, three quarters of the way to white."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - part) / 4):02x}" for part in parts)
