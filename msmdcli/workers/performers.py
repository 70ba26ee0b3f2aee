"""Who performs a line: the clips of its styles, prepared once, and the line's performance planned from them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import shipped_styles
from msmdcli.performance.blinks import separate_blinks
from msmdcli.performance.line import Part, Performance, plan
from msmdcli.performance.reference import Reference
from msmdcli.performance.rhythm import rhythm_of
from msmdcli.workers.task import LineTask

UNDERSTUDY = "neutral"
LONGEST_TAIL = 600.0  # seconds of a shot beyond its line that are performed; then the face rests


class Performers:
    """The styles' performances that a worker knows.

    Args:
        clips: of styles, by the keys that tasks use.
        bundle: whose rig and usual pose are meant.
    """

    def __init__(self, clips: Mapping[str, Sequence[Motion]], bundle: Bundle) -> None:
        self.clips = clips
        self.bundle = bundle
        self._prepared: dict[tuple[str, bool | None], Reference] = {}
        self._understudy: Reference | None = None
        self._lock = threading.Lock()

    def reference(self, key: str, keep_head_pose: bool | None) -> Reference:
        """The performance in the clips of a style."""
        with self._lock:
            found = self._prepared.get((key, keep_head_pose))
            if found is None:
                found = self._prepared[key, keep_head_pose] = Reference.of(self.clips[key], keep_head_pose)
            return found

    def understudy(self) -> Reference:
        """Who lends a head to a style whose clips have none: the shipped neutral performance."""
        with self._lock:
            if self._understudy is None:
                clips = [load_npz(path) for path in sorted((shipped_styles() / UNDERSTUDY).glob("*.npz"))]
                self._understudy = Reference.of(clips)
            return self._understudy

    def part(self, name: str, weight: NDArray[np.floating], intensity: float, keep: bool | None) -> Part:
        """The part of a style in a line; an empty name is no style."""
        if not name:
            return Part(None, weight, intensity)
        reference = self.reference(name, keep)
        if "head" in reference.moving or not reference.moving:
            return Part(reference, weight, intensity)
        understudy = self.understudy()
        same = understudy.rig.channels == reference.rig.channels
        return Part(reference, weight, intensity, understudy if same else None)

    def perform(self, task: LineTask, audio: Audio, motion: Motion) -> Performance | None:
        """The performance of a line; None where no style performs.

        Args:
            task: the line.
            audio: its recording.
            motion: as the model generated it.
        """
        if not any(task.performers.values()):
            return None
        options, rig, fps = task.controls.performance, motion.rig, motion.fps
        shares = task.field.shares_over_time(task.performers, motion.frames, fps, rig)
        parts = [self.part(name, weight, intensity, options.keep_head_pose) for name, intensity, weight in shares]
        seconds = float(motion.seconds)
        if task.controls.length is not None:
            out = task.fps or fps
            shot = task.controls.length.frames_at(out) / float(out)
            seconds = max(seconds, min(shot, seconds + LONGEST_TAIL))
        return plan(
            parts,
            rig,
            float(fps),
            rhythm_of(motion.clip(), audio.samples, audio.rate),
            seconds,
            task.seed,
            task.noise_name,
            options,
            self.bundle.normalisation.neutral(),
            kept=task.kept,
            generated=task.generated,
            left=("head",) if task.head is not None else (),
            dips=separate_blinks(motion.clip())[1] if options.source == "generated" else (),
        )
