"""A manner: how somebody performs, in numbers. `style_manners.yaml` holds one per tag of the style library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Articulation:
    """How the manner speaks. All are factors on the viseme table's clear conversational voice.

    Attributes:
        tempo: speed; pause: length of silences beyond it.
        jaw, lips: amplitude of jaw opening, and of everything the lips do.
        effort: how far loud and long vowels are larger than others.
        channels: further gains by channel name without its side.
    """

    tempo: float = 1.0
    pause: float = 1.0
    jaw: float = 1.0
    lips: float = 1.0
    effort: float = 1.0
    channels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class BlinkManner:
    """Attributes: per_minute: rate; close, hold, open: seconds; depth: eyeBlink at the bottom."""

    per_minute: float = 16.0
    close: float = 0.08
    hold: float = 0.04
    open: float = 0.18
    depth: float = 0.92


@dataclass(frozen=True)
class Glance:
    """A look somewhere else. Attributes: yaw, pitch: degrees (left, down positive); share: of the fixations."""

    yaw: float
    pitch: float
    share: float


@dataclass(frozen=True)
class GazeManner:
    """Where the eyes rest, in degrees from the listener's face: yaw to the left, pitch down.

    Attributes:
        yaw, pitch: the middle of the fixations.
        wander: their spread.
        fixation: their usual length in seconds.
        glances: other places.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    wander: float = 1.5
    fixation: float = 1.4
    glances: tuple[Glance, ...] = ()


@dataclass(frozen=True)
class HeadManner:
    """Degrees; pitch down, yaw left, roll to the right shoulder are positive, as in the rig.

    Attributes:
        pose: pitch, yaw, roll at rest.
        drift: standard deviation of the slow wandering of each; period: its usual period in seconds.
        nod, shake, tilt: pitch, yaw, roll on a stressed syllable.
        tremor: standard deviation of a trembling at 5 to 7 Hz.
    """

    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    drift: tuple[float, float, float] = (1.2, 1.6, 1.0)
    period: float = 3.5
    nod: float = 2.0
    shake: float = 1.0
    tilt: float = 0.8
    tremor: float = 0.0


@dataclass(frozen=True)
class ActedManner:
    """How somebody performs.

    Attributes:
        pose: the expression: channel (without side: both sides) -> value while speaking.
        asymmetry: how much stronger the one side of the expression is than the other.
        swell: standard deviation of the expression's slow waves, as a share of it.
        emphasis: how much the expression grows on the strongest syllables, as a share of it.
        flash: what is added on stressed syllables for a moment: channel -> value.
        breath: depth of the breaths before phrases.
        speech, blinks, gaze, head: see there.
    """

    pose: Mapping[str, float] = field(default_factory=dict)
    asymmetry: float = 0.06
    swell: float = 0.10
    emphasis: float = 0.15
    flash: Mapping[str, float] = field(default_factory=dict)
    breath: float = 1.0
    speech: Articulation = field(default_factory=Articulation)
    blinks: BlinkManner = field(default_factory=BlinkManner)
    gaze: GazeManner = field(default_factory=GazeManner)
    head: HeadManner = field(default_factory=HeadManner)
