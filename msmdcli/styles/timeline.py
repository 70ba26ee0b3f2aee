"""A style that follows a performance through time: what begins calm and ends angry does so in the dub, too.

The original is cut into overlapping stretches, each a style reference of its own. A moment of the dub takes the style
of the original at the same share of the whole (a third of the way in, a third of the way in), cross-faded between the
two stretches whose middles lie around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.motion.easing import smooth_step
from msmdcli.styles.field import StyleField

if TYPE_CHECKING:
    import numpy as np

    from msmdcli.model.style_codes import StyleCode, StyleEntry
    from msmdcli.motion.rig import Rig

# A stretch must be long enough to show a manner rather than a syllable, and short enough to follow a change. It is a
# third of the original, so that beginning, middle and end can differ, within about these bounds.
SHORTEST_STRETCH, LONGEST_STRETCH = 1.5, 4.0  # seconds
SHORTEST_ORIGINAL = 2 * SHORTEST_STRETCH  # seconds; a shorter performance is one stretch
MOST_STRETCHES = 32  # of a long performance; each is one more row for the network in the windows where it applies
VERSION = 1  # of the way stretches are cut and faded, for the content key


@dataclass(frozen=True)
class Stretch:
    """A part of a performance.

    Attributes:
        start, stop: its frames, [start, stop).
        middle: where its middle lies, as a share of the whole, 0..1.
    """

    start: int
    stop: int
    middle: float


def cut_stretches(frames: int, fps: Fraction) -> tuple[Stretch, ...]:
    """Stretches of equal length that overlap by about half and cover a performance from end to end.

    A performance shorter than `SHORTEST_ORIGINAL` is one stretch.
    """
    seconds = frames / float(fps)
    if seconds < SHORTEST_ORIGINAL:
        return (Stretch(0, frames, 0.5),)
    length = min(max(seconds / 3, SHORTEST_STRETCH), LONGEST_STRETCH)
    count = min(max(2, round(2 * (seconds - length) / length) + 1), MOST_STRETCHES)
    length = max(length, 2 * seconds / (count + 1))  # with MOST_STRETCHES they grow, so that the overlap stays
    size = min(frames, max(1, round(length * float(fps))))
    starts = [round(i * (frames - size) / (count - 1)) for i in range(count)]
    return tuple(Stretch(start, start + size, (start + size / 2) / frames) for start in starts)


def stretch_weights(stretches: tuple[Stretch, ...], frames: int) -> np.ndarray:
    """The weight of each stretch at each frame of a dub, [T, number of stretches] float32 with rows that sum to 1.

    Between the middles of two stretches the weight passes over in a smooth step, 3u^2 - 2u^3; before the first middle
    and after the last that stretch alone applies.
    """
    import numpy as np

    share = (np.arange(frames) + 0.5) / frames  # [T]
    middles = np.array([stretch.middle for stretch in stretches])
    weights = np.zeros((frames, len(stretches)))
    last = len(stretches) - 1
    before = np.clip(np.searchsorted(middles, share, side="right") - 1, 0, max(last - 1, 0))
    after = np.minimum(before + 1, last)
    gap = np.where(after > before, middles[after] - middles[before], 1.0)
    u = np.clip((share - middles[before]) / gap, 0, 1)
    passed = smooth_step(u)
    rows = np.arange(frames)
    np.add.at(weights, (rows, before), 1 - passed)
    np.add.at(weights, (rows, after), passed)
    return weights.astype(np.float32)


@dataclass(frozen=True)
class StyleTimeline(StyleField):
    """A style field in which one reference, the original, stands for its stretches.

    Wherever the field names the original (as the style of the whole line, or beside the regions that others take), the
    weight it has there is divided among the stretches.

    Attributes:
        original: the `StyleRef.key` of the original.
        stretches: of the original, and under which key each one's style is found; empty until it has been read.
    """

    original: tuple[str, Path] = ("", Path())
    stretches: tuple[tuple[Stretch, tuple[str, Path]], ...] = ()

    def with_stretches(self, stretches: tuple[Stretch, ...]) -> StyleTimeline:
        """The field of an original that has been read. A stretch's key is the original's with its frames."""
        name, base = self.original
        keyed = tuple((stretch, (f"{name}#{stretch.start}-{stretch.stop}", base)) for stretch in stretches)
        return replace(self, stretches=keyed)

    def entries(
        self, styles: Mapping[tuple[str, Path], StyleCode | None], frames: int, fps: Fraction, rig: Rig
    ) -> list[StyleEntry]:
        """As `StyleField.entries`, the original's weight divided among its stretches.

        Args:
            styles: the encoded style of each `StyleRef.key`, and of each stretch's key.
            frames, fps, rig: of the line.
        """
        import numpy as np

        from msmdcli.model.style_codes import StyleEntry

        plain = super().entries(styles, frames, fps, rig)
        whole = styles[self.original]
        if whole is None or len(self.stretches) < 2:
            return plain
        weights = stretch_weights(tuple(stretch for stretch, _ in self.stretches), frames)  # [T, n]
        result = []
        for entry in plain:
            if entry.style is None or entry.style.key != whole.key:
                result.append(entry)
                continue
            for number, (_, key) in enumerate(self.stretches):
                share = weights[:, number, None]  # [T, 1]
                if share.any():
                    weight = np.asarray(entry.weight, np.float32) * share  # [T, D or 1]
                    result.append(StyleEntry(styles[key], weight, entry.intensity))
        return result

    def description(self) -> list[dict[str, Any]]:
        """As `StyleField.description`; the original's name says that it is followed through time."""
        name, _ = self.original

        def named(mix: list[list[Any]]) -> list[list[Any]]:
            return [[f"{ref} through time" if ref == name else ref, weight] for ref, weight in mix]

        return [
            segment
            | {
                "style": named(segment["style"]),
                "regions": {region: named(mix) for region, mix in segment["regions"].items()},
                "timeline": VERSION,
            }
            for segment in super().description()
        ]
