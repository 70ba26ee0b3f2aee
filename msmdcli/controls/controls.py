"""What an animator can ask of a line beyond its style, and the order in which it is done.

=============  ===========================================================================  =================
key            what                                                                         file
=============  ===========================================================================  =================
performance    head, brows, eyes, cheeks and nose as the reference performs them           performance.py
head           head motion as generated, off, or times a factor                             head.py
mouth_size     as large as in the style's own clips, or as generated                        articulation.py
articulation   how far jaw and lips go, about the closed mouth                              articulation.py
blinks         as the style has them, off, or a rate per minute                             blinks.py
silence_gate   the mouth rests where nobody speaks                                          silence_gate.py
smooth         light smoothing without lag                                                  smoothing.py
closures       lips meet on m, b, p, and go to the teeth on f, v, where they are heard       closures.py
length         of the shot, with when_longer and when_shorter                               shot_length.py
gestures       named gestures at a time                                                     gesture.py
pins           key poses and whole channels that are met exactly                            pins.py
takes          several variants to choose from                                              takes.py
=============  ===========================================================================  =================

All but `takes` work on the finished motion, in this order: length, performance, head, articulation, silence gate,
smoothing, blinks, gestures, closures, pins. A gesture's open lips yield to a closure as the style's do; a pin, asked
for by channel and time, has the last word. They are applied at the frame rate of the output, where a pin or a blink
falls on real frames. Pins take part in the sampling too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli.controls.articulation import Articulation, MouthScale, MouthSizeSource, articulate
from msmdcli.controls.blinks import Blinks, control_blinks
from msmdcli.controls.closures import Heard, close_lips
from msmdcli.controls.gesture import Gesture, GestureLibrary, place
from msmdcli.controls.head import scale_head
from msmdcli.controls.performance import PerformanceOptions
from msmdcli.controls.pins import Pin, Pinned, meet
from msmdcli.controls.shot_length import ShotLength, WhenLonger, WhenShorter, fit
from msmdcli.controls.silence_gate import SilenceGate, gate_motion, silent_stretches
from msmdcli.controls.smoothing import smooth_motion
from msmdcli.motion.mouth import resting_pose

if TYPE_CHECKING:
    from msmdcli.media.audio import Audio
    from msmdcli.motion.motion import Motion


@dataclass(frozen=True)
class Controls:
    """The controls of one line, all levels taken together.

    Attributes:
        performance: where the movement beside the mouth comes from.
        head: factor of the head motion.
        mouth_size: whether the mouth's channels go as far as in the style's clips.
        articulation, blinks, gate: see their files.
        smooth: strength of the smoothing; None is the mouth's alone.
        closures: whether lips close where a closure is heard.
        length: of the shot; None is the line's own.
        longer, shorter: what happens to a line longer or shorter than its shot.
        gestures, pins: in the order of the manifest.
    """

    performance: PerformanceOptions = field(default_factory=PerformanceOptions)
    head: float = 1.0
    blinks: Blinks = field(default_factory=Blinks)
    gate: SilenceGate = field(default_factory=lambda: SilenceGate(on=True))
    smooth: float | None = None
    mouth_size: MouthSizeSource = "reference"
    articulation: Articulation = field(default_factory=Articulation)
    closures: bool = True
    length: ShotLength | None = None
    longer: WhenLonger = "trim"
    shorter: WhenShorter = "hold"
    gestures: tuple[Gesture, ...] = ()
    pins: tuple[Pin, ...] = ()

    @property
    def needs_rest(self) -> bool:
        """Whether they ask for the pose of the style while its mouth is closed."""
        return self.gate.on or not self.articulation.idle or self.mouth_size == "reference"

    def located(self, gestures: GestureLibrary) -> Controls:
        """With the files of gestures and pins found and hashed.

        Raises:
            MsmdError: one of them is not there.
        """
        return replace(
            self,
            gestures=tuple(gesture.located(gestures) for gesture in self.gestures),
            pins=tuple(pin.located() for pin in self.pins),
        )

    def description(self) -> dict[str, Any]:
        """Plain data of all that changes the motion, for content keys; empty if nothing does."""
        plain: dict[str, Any] = {
            "performance": self.performance.description(),
            "head": self.head,
            "blinks": self.blinks.rate,
            "silence_gate": [self.gate.on, self.gate.threshold if self.gate.on else None],
            "smooth": self.smooth,
            "mouth_size": self.mouth_size,
            "articulation": [self.articulation.jaw, self.articulation.lips],
            "closures": self.closures,
            "length": None if self.length is None else [str(self.length), self.longer, self.shorter],
            "gestures": [gesture.description() for gesture in self.gestures],
            "pins": [pin.description() for pin in self.pins],
        }
        idle: dict[str, Any] = {
            "performance": {},
            "head": 1.0,
            "blinks": None,
            "silence_gate": [True, None],
            "smooth": None,
            "mouth_size": "reference",
            "articulation": [1.0, 1.0],
            "closures": True,
            "length": None,
        }
        return {name: value for name, value in plain.items() if value != idle.get(name, [])}

    def words(self) -> str:
        """In a few words, for reports; empty if nothing is changed."""
        words = self.performance.words()
        if self.head != 1:
            words.append("head off" if self.head == 0 else f"head x{self.head:g}")
        if self.blinks.rate is not None:
            words.append("no blinks" if self.blinks.rate == 0 else f"{self.blinks.rate:g} blinks/min")
        if not self.gate.on:
            words.append("no silence gate")
        elif self.gate.threshold is not None:
            words.append(f"silence gate at {self.gate.threshold:g} dB")
        if self.smooth is not None:
            words.append(f"smooth {self.smooth:g}" if self.smooth else "not smoothed")
        if self.mouth_size != "reference":
            words.append(f"mouth size {self.mouth_size}")
        if not self.articulation.idle:
            words.append(self.articulation.words())
        if not self.closures:
            words.append("no closures")
        if self.length is not None:
            words.append(f"length {self.length}")
        words += [f"{gesture.name} at {gesture.at:g} s" for gesture in self.gestures]
        if self.pins:
            words.append(f"{len(self.pins)} pin" + "s" * (len(self.pins) > 1))
        return ", ".join(words)


NO_CONTROLS = Controls()


@dataclass(frozen=True, eq=False)
class Controlled:
    """A line after its controls.

    Attributes:
        motion: the result, within the rig's ranges at pinned frames; elsewhere an excess of the model's stays.
        facts: what was done, in numbers, for reports.
        warnings: what a person should know.
    """

    motion: Motion
    facts: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def control(
    motion: Motion,
    controls: Controls,
    audio: Audio,
    seed: int,
    name: str,
    rest: np.ndarray | None = None,
    performed: Callable[[Motion], Motion] | None = None,
    heard: Heard | None = None,
    scale: MouthScale | None = None,
    silent: Sequence[tuple[float, float]] | None = None,
) -> Controlled:
    """Do to a line what its controls ask for.

    Args:
        motion: the line as generated, at the frame rate of the output (or of the bundle, to measure it).
        controls: located.
        audio: its recording.
        seed, name: of the line: all that the randomness of the blinks depends on.
        rest: [D] or [T, D] the style's pose while its mouth is closed; None if it is not known.
        performed: lays the line's performance on it (`msmdcli.performance.line`); None leaves it as it was generated.
        heard: where closures sound in the recording; None if nothing listened for them.
        scale: by how much the mouth goes further to move as the style's; None leaves it.
        silent: the recording's silences at the gate's threshold, in seconds; None: they are looked for.

    Raises:
        MsmdError: the line is longer than its shot and may not be; a gesture or a curve cannot be used.
    """
    facts: dict[str, float] = {}
    warnings = []
    if controls.length is not None:
        seconds = audio.seconds if isinstance(audio.seconds, Fraction) else Fraction(audio.seconds)
        fitted = fit(motion, seconds, controls.length, controls.longer, controls.shorter)
        motion = fitted.motion
        facts["overrun_ms"] = round(fitted.overrun_ms, 1)
        if fitted.warning:
            warnings.append(fitted.warning)
    if performed is not None:
        motion = performed(motion)
    motion = scale_head(motion, controls.head)
    if controls.head != 1 and motion.rig.rotation_indices is None:
        warnings.append(f"rig {motion.rig.name} has no head, so `head` changes nothing")
    shut = resting_pose(motion) if rest is None else held(rest, motion.frames)
    own = None if scale is None else scale.taken(lambda rows: held(rows, motion.frames))
    motion = articulate(motion, controls.articulation, shut, own)
    if silent is None:
        silent = silent_stretches(audio.samples, audio.rate, controls.gate)
    if controls.gate.on:
        motion, stretches = gate_motion(motion, silent, len(audio.samples) / audio.rate, shut)
        facts["silent_seconds"] = round(sum(stop - start for start, stop in stretches), 2)
    motion = smooth_motion(motion, controls.smooth)
    if controls.blinks.rate is not None:
        if "eyeBlinkLeft" not in motion.rig.channels:
            warnings.append(f"rig {motion.rig.name} has no eyeBlinkLeft, so `blinks` changes nothing")
        blinked = control_blinks(motion, controls.blinks, seed, name)
        motion = blinked.motion
        facts |= {"blinks_placed": blinked.placed, "blinks_kept": blinked.kept, "blinks_removed": blinked.removed}
    for gesture in controls.gestures:
        motion, warning = place(motion, gesture)
        if warning:
            warnings.append(warning)
    pinned = Pinned.of(controls.pins, motion.rig, motion.fps, motion.frames)
    if controls.closures and heard is not None:
        closed = close_lips(motion, heard, pinned, silent)
        motion, facts["closures"] = closed.motion, closed.count
    if controls.pins:
        motion = meet(motion, pinned)
        facts["pins_met"] = len(controls.pins) - len(pinned.missed)
        warnings += pinned.missed
    return Controlled(motion, facts, tuple(warnings))


def held(rows: np.ndarray, frames: int) -> np.ndarray:
    """Rows [T, n] for so many frames, the last one held beyond the end; [n] stays as it is."""
    return rows if rows.ndim == 1 else rows[np.minimum(np.arange(frames), len(rows) - 1)]
