"""A style as the networks see it: encoded from clips, kept between runs, scaled by an intensity."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import MsmdError
from msmdcli.model.bundle import Bundle
from msmdcli.model.graphs import Graphs
from msmdcli.model.stores import StyleStore, style_key
from msmdcli.model.windows import window_count
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import resting_pose

Array = NDArray[np.float32]

MAX_REFERENCE_SECONDS = 60  # a longer style reference is encoded in equal pieces: attention grows with the square
SAFE_INTENSITY = (0.5, 1.5)  # a hundredth more values leave their range than at 1, the jaw moves as at 1
# (benchmarks/measure_style_field.py)


@dataclass(frozen=True, eq=False)
class StyleCode:
    """A style reference as the networks see it.

    Attributes:
        code: [S] s, the mean of the style encoder's posterior.
        anchor: [2 D] the reference's mean pose and its standard deviation over time, normalised.
        key: sha256 of both; equal keys are the same style.
        rest: [D] the reference's pose while its mouth is closed and still, in rig units; None where it is not known.
    """

    code: Array
    anchor: Array
    key: str
    rest: Array | None = None

    @classmethod
    def of(cls, code: Array, anchor: Array, rest: Array | None = None) -> StyleCode:
        return cls(code, anchor, hashlib.sha256(code.tobytes() + anchor.tobytes()).hexdigest(), rest)


@dataclass(frozen=True, eq=False)
class StyleEntry:
    """One style of a line's style field.

    Attributes:
        style: which; None is the learned null style (`--style none`).
        weight: its share: a number, or an array that broadcasts to [T, D]. Over all entries of a line the weights are
            brought to a sum of 1 for each frame and channel.
        intensity: how far the style's resting pose and its basis go: 1 as in the reference, 0 not at all (the average
            manner of the training set), safe between 0.5 and 1.5. It scales the mean of the anchor, and with it the
            offset of eq. 4's basis, and the basis poses themselves.
    """

    style: StyleCode | None
    weight: float | Array = 1.0
    intensity: float = 1.0


class StyleEncoder:
    """Encodes style references of any length, at any frame rate.

    Args:
        graphs: the model's; the style encoder among them is loaded when a reference is encoded that no store has.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._bundle = graphs.bundle

    def encode(self, reference: Motion | Sequence[Motion], store: StyleStore | None = None) -> StyleCode:
        """The code of a style reference.

        Several clips are encoded one by one, and code and anchor averaged, each clip weighing as its number of frames
        (concatenating them would show the encoder jumps that nobody performed). A clip longer than
        `MAX_REFERENCE_SECONDS` counts as several.

        Args:
            reference: one clip or several.
            store: where what was encoded in an earlier run is found, and kept for the next.
        """
        clips = [reference] if isinstance(reference, Motion) else list(reference)
        if not clips:
            raise MsmdError("a style reference without clips")
        if store is None or not store.limit:
            return StyleCode.of(*self.encode_clips(clips))
        bundle, graphs = self._bundle, self._graphs
        key = style_key(clips, bundle, MAX_REFERENCE_SECONDS, graphs.device, graphs.runtime.version)
        D = bundle.rig.size
        sizes = (int(bundle.model.get("style_dim", 0)), 2 * D, D)  # code, anchor, rest
        return StyleCode.of(*store.recall(key, sizes, lambda: self.encode_clips(clips)))

    def encode_clips(self, clips: Sequence[Motion]) -> tuple[Array, Array, Array]:
        """Encode clips: their code [S], anchor [2 D] and resting pose [D]."""
        codes, anchors, frames = [], [], []
        rests = []
        for clip in clips:
            rests.append(resting_pose(clip))
            for piece in self._reference_pieces(clip):  # [T', D]
                out = self._graphs.style_encoder.run(
                    {"motion": piece[None], "mask": np.ones((1, len(piece)), np.float32)}, ("code", "anchor")
                )
                codes.append(out["code"][0].astype(np.float64))
                anchors.append(out["anchor"][0].astype(np.float64))
                frames.append(len(piece))
        share = np.array(frames) / sum(frames)
        code, anchor = (sum(w * v for w, v in zip(share, parts, strict=True)) for parts in (codes, anchors))
        if not (np.isfinite(code).all() and np.isfinite(anchor).all()):
            raise MsmdError("the style encoder gave NaN or infinity", hint="check the bundle with `msmd doctor`")
        rest = np.mean(rests, axis=0).astype(np.float32)  # [D]
        return np.asarray(code, np.float32), np.asarray(anchor, np.float32), rest

    def _reference_pieces(self, clip: Motion) -> list[Array]:
        """A clip on the bundle's rig and frame rate, normalised, in equal pieces of at most `MAX_REFERENCE_SECONDS`."""
        if clip.rig.channels != self._bundle.rig.channels:
            raise MsmdError(f"a style reference on rig {clip.rig.name}, but the bundle is for {self._bundle.rig.name}")
        values = self._bundle.normalisation.forward(clip.resample(self._bundle.fps).values)  # [T, D]
        longest = int(MAX_REFERENCE_SECONDS * self._bundle.fps)
        return np.array_split(values, window_count(len(values), longest))


def scaled_rest(bundle: Bundle, anchor: Array, intensity: Array) -> Array:
    """Resting poses [R, D], normalised, `intensity` [R] times as far from the training set's as those of anchors.

    A channel keeps the room that it moves in: its rest comes no nearer to an end of its range than the smaller of
    its distance in the reference and its standard deviation there. Else most channels, which rest near 0, would be
    pushed below it by a strong intensity, and stand still.
    """
    D = bundle.rig.size
    rest, swing = anchor[:, :D], anchor[:, D:]  # [R, D] each
    lower, upper = bundle.normalisation.limits(bundle.rig)
    least = lower + np.clip(rest - lower, 0, swing)
    most = upper - np.clip(upper - rest, 0, swing)
    return np.clip(rest * intensity[:, None], least, np.maximum(least, most)).astype(np.float32)
