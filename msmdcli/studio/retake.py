"""A range of a line anew, the rest as it is: said in the manifest's own words, so that `msmd batch` makes it, too.

The take that is there is cut at both ends of the range, and its parts become motion files beside the manifest, in
`retakes/`. The line gets another seed, and a pin on every channel for each part (`msmdcli.controls.pins`): outside the
range the curves of the files are met to the last bit, and within it the sampling sees them and fits the new frames in
between. So there is no seam to hide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from msmdcli.errors import MsmdError, UsageError
from msmdcli.manifest.lines import MAX_SEED
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from msmdcli.system.files import whole_file

FOLDER = "retakes"  # beside the manifest
SHORTEST = 0.2  # seconds of a range; less leaves no room for anything new
DIGITS = 6  # of a time in seconds


class Retakes:
    """The files of retakes beside one manifest.

    Args:
        manifest: its path.
    """

    def __init__(self, manifest: Path) -> None:
        self._base = manifest.absolute().parent
        self._written: set[Path] = set()

    def keys(
        self, line_id: str, motion: Motion, start: float, end: float, seed: int, pins: list[Any]
    ) -> dict[str, Any]:
        """What a line says so that a range of it is made anew.

        Args:
            line_id: of the line.
            motion: the take that is there, on the model's rig.
            start, end: of the range, in seconds.
            seed: of that take.
            pins: the line's pins; those outside of the range have done their work, and go.

        Raises:
            UsageError: the range is too short, or is all there is.
            MsmdError: a file cannot be written.
        """
        fps = motion.fps
        first = max(0, round(start * fps))  # of the range
        stop = min(motion.frames, round(end * fps) + 1)
        if (stop - first) / fps < SHORTEST:
            raise UsageError("the range is too short for a retake", hint=f"choose {SHORTEST:g} s or more")
        parts = [(0, first), (stop, motion.frames)]
        made = [self._pin(line_id, motion, low, high) for low, high in parts if high > low]
        if not made:
            raise UsageError("the range is the whole line", hint="take another seed")
        inside = [pin for pin in pins if isinstance(pin, Mapping) and start < pin.get("time", -1.0) < end]
        return {"seed": (seed + 1) % (MAX_SEED + 1), "pins": [*made, *inside]}

    def _pin(self, line_id: str, motion: Motion, low: int, high: int) -> dict[str, Any]:
        """A pin that holds frames `low` to `high` of a motion."""
        part = replace(motion, values=motion.values[low:high].copy(), meta={})
        digest = hashlib.sha256(part.values.tobytes() + str(motion.fps).encode()).hexdigest()[:12]
        path = self._base / FOLDER / f"{line_id}.{digest}.npz"
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as temporary:
                    save_npz(temporary, part)
            except OSError as error:
                raise MsmdError(f"{path} cannot be written: {error.strerror or error}") from error
            self._written.add(path)
        return {
            "time": round(float(low / motion.fps), DIGITS),
            "hold": round(float((high - low - 1) / motion.fps), DIGITS),
            "file": path.relative_to(self._base).as_posix(),
            "channels": everything(motion.rig),
        }

    def sweep(self, text: str) -> None:
        """Remove the files that were written for retakes that nobody kept.

        Args:
            text: of the manifest, which names those that are kept.
        """
        for path in self._written:
            if path.relative_to(self._base).as_posix() not in text:
                path.unlink(missing_ok=True)
                with suppress(OSError):  # a folder that holds something else stays
                    for folder in path.relative_to(self._base).parents[:-1]:
                        (self._base / folder).rmdir()
        self._written.clear()


def everything(rig: Rig) -> list[str]:
    """All channels of a rig in few words: its largest regions, and the channels that are in none."""
    left, words = set(rig.channels), []
    for name in sorted(rig.regions, key=lambda name: (-len(rig.regions[name]), name)):
        if set(rig.regions[name]) <= left:  # a channel is named once
            words.append(name)
            left -= set(rig.regions[name])
    return [*words, *(name for name in rig.channels if name in left)]
