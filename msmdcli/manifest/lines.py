"""The data of a manifest: its lines, what is asked of each, and who wins.

For each setting the line itself wins, then the command line, then its character's `defaults`, then the manifest's
`defaults`. Where a stronger level names a `style`, the `regions` and `segments` of weaker ones do not apply;
`format_options` are taken together option by option. A `quality` or a `sampler` hides `quality`, `sampler` and `steps`
of weaker levels, `steps` a weaker `quality`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from msmdcli.controls.articulation import Articulation, MouthSizeSource
from msmdcli.controls.blinks import Blinks
from msmdcli.controls.controls import Controls
from msmdcli.controls.gesture import Gesture
from msmdcli.controls.performance import PerformanceOptions, Source
from msmdcli.controls.pins import Pin
from msmdcli.controls.shot_length import ShotLength, WhenLonger, WhenShorter
from msmdcli.controls.silence_gate import SilenceGate
from msmdcli.documents.names import folded
from msmdcli.documents.reader import ProblemList
from msmdcli.manifest.format_options import FormatOptions, merge_options
from msmdcli.model.guidance import Interval
from msmdcli.model.sampling import Sampling, apply_quality
from msmdcli.styles.field import DEFAULT_INTENSITY, Segment, StyleField, StyleMix, StyleRef

DEFAULT_STYLE = "neutral"
DEFAULT_SEED = 0
MAX_SEED = 2**63 - 1
MAX_INTENSITY = 3.0

STYLING = ("style", "regions", "segments", "intensity", "seed", "formats", "format_options", "fps", "language")
SAMPLING = (  # see msmdcli.model.sampling
    "sampler",
    "steps",
    "quality",
    "guidance_audio",
    "guidance_style",
    "guidance_interval",
    "guidance_rescale",
)
CONTROLS = (  # see msmdcli.controls.controls
    "performance",
    "performance_amount",
    "keep_head_pose",
    "head",
    "blinks",
    "silence_gate",
    "smooth",
    "mouth_size",
    "articulation",
    "closures",
    "length",
    "when_longer",
    "when_shorter",
    "gestures",
    "pins",
    "takes",
)
CHOICES = (*STYLING, *SAMPLING, *CONTROLS)
LINE_KEYS = ("id", "audio", *CHOICES, "text", "character", "fields")

StyleFollow = Literal["whole", "timeline"]
Head = Literal["performed", "generated", "off", "original"]
Keep = Literal["upper", "head"]
STYLE_FOLLOWS: tuple[StyleFollow, ...] = get_args(StyleFollow)
HEADS: tuple[Head, ...] = get_args(Head)
KEEPS: tuple[Keep, ...] = get_args(Keep)


class ManifestError(ProblemList):
    """Everything that is wrong with a manifest, at once."""

    usual_hint = "nothing was started; correct the manifest and run again (--dry-run checks it)"


@dataclass(frozen=True)
class Choices:
    """How to animate, as one level (line, command line, character, manifest) says it; None: it does not say."""

    style: StyleMix | None = None
    regions: Mapping[str, StyleMix] | None = None
    segments: tuple[Segment, ...] | None = None
    intensity: float | None = None
    seed: int | None = None
    formats: tuple[str, ...] | None = None
    format_options: FormatOptions | None = None
    fps: Fraction | None = None
    language: str | None = None
    sampler: str | None = None
    steps: int | None = None
    quality: str | None = None
    guidance_audio: float | None = None
    guidance_style: float | None = None
    guidance_interval: Interval | None = None
    guidance_rescale: float | None = None
    performance: Source | None = None
    performance_amount: tuple[tuple[str, float], ...] | None = None
    keep_head_pose: bool | None = None
    head: float | None = None
    blinks: Blinks | None = None
    silence_gate: SilenceGate | None = None
    smooth: float | None = None
    mouth_size: MouthSizeSource | None = None
    articulation: Articulation | None = None
    closures: bool | None = None
    length: ShotLength | None = None
    when_longer: WhenLonger | None = None
    when_shorter: WhenShorter | None = None
    gestures: tuple[Gesture, ...] | None = None
    pins: tuple[Pin, ...] | None = None
    takes: int | None = None

    @cached_property
    def given(self) -> tuple[tuple[str, Any], ...]:
        """The names and values of what it says."""
        return tuple((name, value) for name in NAMES if (value := getattr(self, name)) is not None)

    def controls(self) -> Controls:
        """The controls that merged choices ask for."""
        performance = PerformanceOptions(
            self.performance or "reference", self.performance_amount or (), self.keep_head_pose
        )
        given = {
            "performance": performance,
            "head": self.head,
            "blinks": self.blinks,
            "gate": self.silence_gate,
            "smooth": self.smooth,
            "mouth_size": self.mouth_size,
            "articulation": self.articulation,
            "closures": self.closures,
            "length": self.length,
            "longer": self.when_longer,
            "shorter": self.when_shorter,
            "gestures": self.gestures,
            "pins": self.pins,
        }
        return Controls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]

    def sampling(self, base: Sampling) -> Sampling:
        """How a line is solved that merged choices ask for; `base` where they leave it open. A quality, and a sampler
        without steps, takes the bundle's number of steps."""
        chosen = apply_quality(self.quality, self.sampler, self.steps)
        own = Sampling(
            chosen.sampler,
            chosen.steps,
            self.guidance_audio,
            self.guidance_style,
            self.guidance_interval,
            self.guidance_rescale,
        )
        named = self.quality is not None or self.sampler is not None
        return own.over(replace(base, sampler=None, steps=None) if named else base)


NAMES = tuple(field.name for field in fields(Choices))
NO_CHOICES = Choices()


@dataclass(frozen=True)
class Character:
    """A group of lines.

    Attributes:
        name: its key in `characters`.
        head: the head (GLB) that formats animate which hold one, and to preview on.
        curves: a curve map.
        styles: a folder of tags that its lines know besides the library.
        choices: its `defaults`.
    """

    name: str
    head: Path | None = None
    curves: Path | None = None
    styles: Path | None = None
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True)
class Dub:
    """What a line that dubs a performance knows beyond an ordinary line.

    Attributes:
        original: the performance: a video, a Live Link Face CSV or a motion npz.
        name: the original as it was written.
        style_follow: `whole`, one style from all of it; `timeline`, the style follows it through time.
        head: head motion: `performed` like all that is not the mouth, `generated` by the model, `off`, or the
            `original`'s stretched in time whatever the lengths are, turned as it was before the camera.
        keep: what runs along with the original from its start to its end where the lengths allow it: `upper` (brows,
            eyes, blinks, cheeks, nose) and `head`. What is not kept, or cannot be, is placed by the rhythm of speech.
        face: which face of a video with several, 1 being the most prominent; None takes that.
        face_model: the face landmarker's file; None looks in the usual places.
        performer: the profile of who is seen (`msmdcli.tracking.performer`).
    """

    original: Path
    name: str
    style_follow: StyleFollow = "whole"
    head: Head = "performed"
    keep: tuple[Keep, ...] = KEEPS
    face: int | None = None
    face_model: Path | None = None
    performer: Path | None = None

    def style(self, base: Path, where: str = "") -> StyleRef:
        """The original as a style reference; a name without a slash or suffix gets `./`, or it would be a tag."""
        named_like_a_file = "/" in self.name or "\\" in self.name or Path(self.name).suffix
        return StyleRef(self.name if named_like_a_file else f"./{self.name}", base, where=where)


@dataclass(frozen=True)
class Line:
    """One recording to animate.

    Attributes:
        id: where its outputs go: OUT/<id>.<suffix>.
        audio: the recording.
        choices: what the line itself says.
        where: `file:line:column`, for messages.
        text: what is said, if known; carried to the report.
        character: whose line it is.
        fields: other columns of the table that the line comes from, carried to the report.
        dub: the performance that the line dubs, where it is an entry of `dub`.
        noise: what stands for the id where something is random; None is the id (takes of a line share the line's).
    """

    id: str
    audio: Path
    choices: Choices
    where: str
    text: str | None = None
    character: Character | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    dub: Dub | None = None
    noise: str | None = None


@dataclass(frozen=True)
class RedoEntry:
    """What a redo has said of a line.

    Attributes:
        folder: that relative paths start from.
        text: the entry, on one line (`msmdcli.documents.flow_text`).
    """

    folder: Path
    text: str


@dataclass(frozen=True)
class Manifest:
    """All lines, in the order in which they were written.

    Attributes:
        path: of the document or folder.
        lines: all lines.
        defaults: of the manifest.
        notes: what a person should know of how it was read, such as the files of a folder that are no lines.
        redone: of lines to do again: line id -> what this redo and earlier ones have said, see `msmdcli.manifest.redo`.
    """

    path: Path
    lines: tuple[Line, ...]
    defaults: Choices = field(default_factory=Choices)
    notes: tuple[str, ...] = ()
    redone: Mapping[str, tuple[RedoEntry, ...]] = field(default_factory=dict)

    def choices(self, line: Line, command_line: Choices | None = None) -> Choices:
        """What applies to a line, all levels taken together (see the head of this file for who wins). Lines whose
        levels are the same objects share the result."""
        levels = (line.choices, command_line or NO_CHOICES, line.character.choices if line.character else NO_CHOICES)
        key = tuple(map(id, levels))
        if key not in self._merged:
            self._merged[key] = levels, merge([*levels, self.defaults])
        return self._merged[key][1]

    @cached_property
    def _merged(self) -> dict[tuple[int, ...], tuple[tuple[Choices, ...], Choices]]:
        """Levels, by what they are -> the levels (which keeps their ids theirs), and what they come to."""
        return {}


def merge(levels: Sequence[Choices]) -> Choices:
    """Levels, strongest first, as one; the head of this file says what hides what."""
    result: dict[str, Any] = {}
    for level in levels:
        hidden = {"regions", "segments"} if "style" in result else set()
        if "quality" in result or "sampler" in result:
            hidden |= {"quality", "sampler", "steps"}
        elif "steps" in result:
            hidden |= {"quality"}
        for name, value in level.given:
            if name == "format_options" and name in result:
                result[name] = merge_options(result[name], value)
            if name in result or name in hidden:
                continue
            result[name] = value
    return Choices(**result)


def seed_of(choices: Choices) -> int:
    """The seed of merged choices."""
    return DEFAULT_SEED if choices.seed is None else choices.seed


def style_field(choices: Choices, base: Path) -> StyleField:
    """The style field that merged choices describe; `base` is where the default style's name would be looked up."""
    style = choices.style or (StyleRef(DEFAULT_STYLE, base),)
    intensity = DEFAULT_INTENSITY if choices.intensity is None else choices.intensity
    regions = dict(choices.regions or {})
    segments = list(choices.segments or ())
    if not segments or segments[0].start > 0:
        segments.insert(0, Segment(start=0.0, style=style, regions=regions, fade=0.0))
    full = tuple(Segment(s.start, s.style or style, {**regions, **s.regions}, s.fade, s.intensity) for s in segments)
    return StyleField(full, intensity)


def colliding_ids(lines: Iterable[Line]) -> Iterator[str]:
    """Ids that would be one file on a file system that ignores case."""
    first: dict[str, Line] = {}
    for line in lines:
        other = first.setdefault(folded(line.id), line)
        if other is not line:
            same = "is there twice" if other.id == line.id else f"and {other.id!r} are one file where case is ignored"
            yield f"{line.where}: the id {line.id!r} {same} (first at {other.where})"
