"""The style field of a line: which styles apply at each frame and channel, and with which weights.

One description serves tags with weights, an upper face from one reference and a mouth from another, and a change of
style within a line. It becomes the engine's list of entries, each a style with a weight for every frame and channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmdcli.motion.easing import smooth_step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msmdcli.model.style_codes import StyleCode, StyleEntry
    from msmdcli.motion.rig import Rig

NO_STYLE = "none"  # the word for the null style
DEFAULT_INTENSITY = 1.0  # as in the reference
DEFAULT_FADE = 0.3  # seconds that a change of segment takes when the manifest does not say


@dataclass(frozen=True)
class StyleRef:
    """A style as somebody wrote it down.

    Attributes:
        name: a tag, a path, or `none`.
        base: the folder that a relative path starts from.
        weight: its share in a mix; only ratios matter.
        where: `file:line:column` of the name, for messages; empty from the command line.
    """

    name: str
    base: Path
    weight: float = 1.0
    where: str = field(default="", compare=False)

    @property
    def key(self) -> tuple[str, Path]:
        """What tells two references apart, weight aside."""
        return self.name, self.base


StyleMix = tuple[StyleRef, ...]


@dataclass(frozen=True)
class Segment:
    """A stretch of a line with one manner.

    Attributes:
        start: seconds from the start of the line; it lasts until the next segment.
        style: the mix for all channels that no region takes; None in a manifest means the line's own.
        regions: region or channel name -> mix. Where regions overlap, the one with fewer channels wins.
        fade: seconds over which it takes over from the segment before, counted from `start`.
        intensity: see `StyleEntry`; None means the line's own.
    """

    start: float
    style: StyleMix | None
    regions: Mapping[str, StyleMix] = field(default_factory=dict)
    fade: float = DEFAULT_FADE
    intensity: float | None = None


@dataclass(frozen=True)
class StyleField:
    """The whole of a line: segments by rising start, the first at 0 with a style of its own."""

    segments: tuple[Segment, ...]
    intensity: float = DEFAULT_INTENSITY

    def refs(self) -> Iterator[StyleRef]:
        """Every reference in it, as often as it occurs."""
        for segment in self.segments:
            yield from segment.style or ()
            for mix in segment.regions.values():
                yield from mix

    def shares(self, seconds: float) -> dict[tuple[str, Path], float]:
        """How much of a line of this duration each `StyleRef.key` has, regions aside; the shares add up to 1."""
        seconds = max(seconds, 1e-3)
        ends = [*(segment.start for segment in self.segments[1:]), seconds]
        found: dict[tuple[str, Path], float] = {}
        for segment, end in zip(self.segments, ends, strict=True):
            lasts = max(0.0, min(end, seconds) - segment.start) / seconds
            total = sum(ref.weight for ref in segment.style or ())
            for ref in segment.style or ():
                if lasts:
                    found[ref.key] = found.get(ref.key, 0.0) + lasts * ref.weight / total
        return found

    def entries(
        self, styles: Mapping[tuple[str, Path], StyleCode | None], frames: int, fps: Fraction, rig: Rig
    ) -> list[StyleEntry]:
        """The field as the engine wants it.

        Args:
            styles: the encoded style of each `StyleRef.key`.
            frames, fps: T and the frame rate of the line.
            rig: whose regions are meant.
        """
        from msmdcli.model.style_codes import StyleEntry

        codes = {"" if code is None else code.key: code for code in styles.values()}
        names = {key: "" if code is None else code.key for key, code in styles.items()}
        shares = self.shares_over_time(names, frames, fps, rig)
        return [StyleEntry(codes[name], weight, intensity) for name, intensity, weight in shares]

    def shares_over_time(
        self, names: Mapping[tuple[str, Path], str], frames: int, fps: Fraction, rig: Rig
    ) -> list[tuple[str, float, NDArray[np.float32]]]:
        """(name, intensity, weight [T or 1, D or 1]) of every style of the field; styles of one name are one.

        Args:
            names: of each `StyleRef.key`; empty is the null style, which has no intensity.
            frames, fps, rig: see `entries`.
        """
        import numpy as np

        weights: dict[tuple[str, float], Any] = {}  # name and intensity -> [T or 1, D or 1]
        for segment, time in zip(self.segments, self._time_weights(frames, fps), strict=True):
            intensity = self.intensity if segment.intensity is None else segment.intensity
            for mix, channels in _channel_weights(segment, rig):
                total = sum(ref.weight for ref in mix)
                for ref in mix:
                    name = names[ref.key]
                    key = (name, intensity if name else 1.0)
                    share = time * channels * np.float32(ref.weight / total)
                    weights[key] = weights[key] + share if key in weights else share
        return [(name, intensity, weight) for (name, intensity), weight in weights.items()]

    def _time_weights(self, frames: int, fps: Fraction) -> list[np.ndarray]:
        """Each segment's weight over time, [T, 1] (or [1, 1] where there is but one), with a sum of 1 at each frame.

        A fade is a smooth step, 3u^2 - 2u^3, whose slope is 0 at both ends.
        """
        import numpy as np

        if len(self.segments) == 1:
            return [np.ones((1, 1), np.float32)]
        time = np.arange(frames, dtype=np.float64)[:, None] / float(fps)  # [T, 1] seconds
        left = np.ones_like(time)  # what later segments have not taken
        result = []
        for segment in reversed(self.segments[1:]):
            if segment.fade > 0:
                u = np.clip((time - segment.start) / segment.fade, 0, 1)
                taken = smooth_step(u)
            else:
                taken = (time >= segment.start).astype(np.float64)
            result.append((left * taken).astype(np.float32))
            left = left * (1 - taken)
        result.append(left.astype(np.float32))
        return result[::-1]

    def description(self) -> list[dict[str, Any]]:
        """The field in plain words (no paths resolved), for reports and content keys."""

        def mix(refs: StyleMix | None) -> list[list[Any]]:
            return [[ref.name, ref.weight] for ref in refs or ()]

        return [
            {
                "start": segment.start,
                "style": mix(segment.style),
                "regions": {name: mix(refs) for name, refs in sorted(segment.regions.items())},
                "fade": segment.fade,
                "intensity": self.intensity if segment.intensity is None else segment.intensity,
            }
            for segment in self.segments
        ]


def style_words(style: StyleField) -> str:
    """A style field in a few words: `angry`, `0.7 angry + 0.3 sad`, `upper: happy`, `from 1.8 s: angry`."""
    segments = style.description()

    def mix(refs: list[list[Any]]) -> str:
        total = sum(weight for _, weight in refs)
        return " + ".join(name if len(refs) == 1 else f"{weight / total:g} {name}" for name, weight in refs)

    words = []
    for segment in segments:
        start = f"from {segment['start']:g} s: " if len(segments) > 1 else ""
        regions = [f"{name}: {mix(refs)}" for name, refs in segment["regions"].items()]
        strength = f" x{segment['intensity']:g}" if segment["intensity"] != 1 else ""
        words.append(start + ", ".join([mix(segment["style"]), *regions]) + strength)
    return "; ".join(words)


def region_indices(name: str, rig: Rig) -> np.ndarray:
    """The columns of a region, or of a single channel."""
    import numpy as np

    return rig.indices(name) if name in rig.regions or name not in rig.channels else np.array([rig.index(name)])


def _channel_weights(segment: Segment, rig: Rig) -> Iterator[tuple[StyleMix, np.ndarray]]:
    """Each mix of a segment with the channels that are its own, [1, D] (or [1, 1] for all of them)."""
    import numpy as np

    if not segment.regions:
        yield segment.style or (), np.ones((1, 1), np.float32)
        return
    owner = np.zeros(rig.size, np.int64)  # [D] 0: no region
    mixes: list[StyleMix] = [segment.style or ()]
    largest_first = sorted(segment.regions, key=lambda name: (-len(region_indices(name, rig)), name))
    for name in largest_first:
        owner[region_indices(name, rig)] = len(mixes)
        mixes.append(segment.regions[name])
    for number, mix in enumerate(mixes):
        channels = (owner == number).astype(np.float32)[None]  # [1, D]
        if channels.any():
            yield mix, channels
