"""The delivery check: does the voice's arousal contradict the style's?

A style says how a face moves; nothing stops anybody from giving a shouted line the face of somebody half asleep. The
paper names that as a limit (section 7.2: the style must fit the delivery). The check measures how aroused a voice
sounds and how aroused a style looks, and warns where the two are far apart, with the tag that fits best.

**Voice** (`msmdcli.media.voice.measure_voice`, `voice_arousal`): how far the pitch lies above that of a usual voice,
how widely it moves, and the share of energy above 1 kHz (vocal effort flattens the spectrum; the "alpha ratio" of Eyben
et al., "The Geneva Minimalistic Acoustic Parameter Set", IEEE Transactions on Affective Computing, 2016). None depends
on the recording's gain. A character with many lines is compared with its own usual voice, else a deep or bright voice
would count.

**Style** (`style_arousal`): how fast the jaw, the lips and the head move.

Both are in standard deviations of ordinary speech: clips of 100 people talking, interviews and news for the most part.

Measured with `benchmarks/delivery_check.py` on real clips of people on whom nothing had been chosen (usual values and
limit from other people, even shares; the numbers are small, so the intervals are wide): excited against calm voices AUC
0.81, lively against calm faces 0.84; of clips given their own face as style 3.9 % were warned of, of excited voices
with a tired, sad or whispering style 23 %, of calm ones with angry or joyful_shout 3 %. On the clips that the settings
below were chosen on: 2.5, 37 and 10 %. It is made to be believed when it speaks, not to find everything.

Limits: irony and cold anger are not heard; singing, music or a crowd behind the voice mislead it; lines with less than
0.8 s of speech, and whispered ones (no pitch), are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from msmdcli.batch.ledger import Ledger
from msmdcli.batch.planned import Libraries, PlannedLine
from msmdcli.batch.report import Record
from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.styles.field import NO_STYLE
from msmdcli.styles.library import StyleReference

Array = NDArray[np.float32]
Scale = Mapping[str, tuple[float, float, float]]  # measure -> median, standard deviation, share in the arousal

# Ordinary speech: the median over people of each one's median, and the standard deviation over people.
USUAL_VOICES = (2.0, 12.0)  # semitones above 100 Hz: deep ones and bright ones; which is not asked, the nearer counts
VOICE: Scale = {"pitch": (-0.8, 2.7, 0.4), "pitch_spread": (11.9, 5.9, 0.2), "effort": (-13.6, 3.9, 0.4)}
# As natural logarithms of speeds per second: of the jaw's opening, of the lips' channels, of the head in degrees.
STYLE: Scale = {"jaw": (-1.09, 1.04, 1 / 3), "lips": (-1.68, 0.70, 1 / 3), "head": (2.47, 0.65, 1 / 3)}
STYLE_FPS = Fraction(25)  # speeds are measured at this rate

LIMIT = 1.5  # standard deviations between voice and style that are worth a warning ...
SIDE = 0.2  # ... if both lie this far from ordinary speech, on opposite sides
FITS = 0.75  # a tag this near to the voice fits
OWN_LINES = 6  # lines of one character from which its own usual voice is known


def voice_arousal(measures: Mapping[str, float], scale: Scale = VOICE) -> float | None:
    """How aroused a voice sounds: 0 as in ordinary speech; None where it cannot be judged."""
    if any(name not in measures for name in scale):
        return None
    return _arousal({**measures, "pitch": nearest_voice(measures["pitch"])}, scale)


def nearest_voice(pitch: float) -> float:
    """Semitones above the nearer of the usual voices, of a pitch in semitones above 100 Hz."""
    return min((pitch - usual for usual in USUAL_VOICES), key=abs)


def _arousal(measures: Mapping[str, float], scale: Scale) -> float:
    return float(sum(share * (measures[name] - usual) / spread for name, (usual, spread, share) in scale.items()))


def measure_style(motion: Motion) -> dict[str, float]:
    """Speeds per second of jaw, lips and head; empty where the rig lacks the channels."""
    rig = motion.rig
    if "jawOpen" not in rig.channels or "lips" not in rig.regions or rig.rotation_indices is None or motion.frames < 3:
        return {}
    steps = np.diff(motion.resample(STYLE_FPS).values.astype(np.float64), axis=0) * float(STYLE_FPS)  # [T - 1, D]
    if len(steps) == 0:
        return {}
    head = np.linalg.norm(steps[:, list(rig.rotation_indices)], axis=1)
    return {
        "jaw": float(np.abs(steps[:, rig.channels.index("jawOpen")]).mean()),
        "lips": float(np.abs(steps[:, rig.indices("lips")]).mean()),
        "head": float(np.degrees(head).mean()),
    }


def style_arousal(clips: Sequence[Motion]) -> float | None:
    """How aroused a style looks, over its clips: 0 as in ordinary speech; None where it cannot be judged."""
    return speeds_arousal([measures for clip in clips if (measures := measure_style(clip))])


def speeds_arousal(speeds: Sequence[Mapping[str, float]], scale: Scale = STYLE) -> float | None:
    """As `style_arousal`, from what `measure_style` gave of each clip."""
    if not speeds:
        return None
    return _arousal({name: log_speed(float(np.mean([clip[name] for clip in speeds]))) for name in scale}, scale)


def log_speed(speed: float) -> float:
    """The natural logarithm of a speed, of a face that does not move at all, too."""
    return float(np.log(speed + 1e-3))


def contradiction(voice: float, style: float, limit: float = LIMIT, side: float = SIDE) -> str:
    """`livelier` or `calmer` where the voice is much so than the style, else an empty text."""
    if voice - style > limit and voice > side and style < -side:
        return "livelier"
    if style - voice > limit and style > side and voice < -side:
        return "calmer"
    return ""


def own_voice(arousals: Sequence[float]) -> float:
    """What a character's arousal is to be lowered by: the median of its lines where there are enough, else 0."""
    return float(np.median(arousals)) if len(arousals) >= OWN_LINES else 0.0


@dataclass(frozen=True, eq=False)
class JudgedStyle:
    """A style as the check judges it.

    Attributes:
        arousal: see `style_arousal`.
        pose: [D] its mean pose.
    """

    arousal: float
    pose: NDArray[np.float64]

    @classmethod
    def of(cls, clips: Sequence[Motion]) -> JudgedStyle | None:
        """None where its arousal cannot be judged."""
        arousal = style_arousal(clips)
        if arousal is None or len({clip.rig.channels for clip in clips}) != 1:
            return None
        return cls(arousal, np.mean([clip.values.mean(axis=0, dtype=np.float64) for clip in clips], axis=0))


def fitting_tag(voice: float, manner: JudgedStyle, tags: Mapping[str, JudgedStyle]) -> str:
    """Of the tags that fit a voice, the one whose face is most like the style's; else the one that fits best."""
    known = {name: tag for name, tag in tags.items() if len(tag.pose) == len(manner.pose)}
    if not known:
        return ""
    fitting = [name for name, tag in known.items() if abs(tag.arousal - voice) <= FITS]
    if not fitting:
        return min(known, key=lambda name: abs(known[name].arousal - voice))
    return min(fitting, key=lambda name: float(np.abs(known[name].pose - manner.pose).sum()))


@dataclass(frozen=True)
class Delivery:
    """A line for the check.

    Attributes:
        id: the line.
        speaker: lines of one speaker are compared with each other; empty is not known.
        voice: what `msmdcli.media.voice.measure_voice` gave.
        style: its style in words.
        mix: style -> share, the shares adding up to 1.
    """

    id: str
    speaker: str
    voice: Mapping[str, float]
    style: str
    mix: Mapping[str, float]


def check_deliveries(
    lines: Sequence[Delivery], manners: Mapping[str, JudgedStyle], tags: Callable[[], Mapping[str, JudgedStyle]]
) -> dict[str, str]:
    """The warnings, by line.

    Args:
        lines: all lines of the batch.
        manners: of the styles in their mixes; lines with a style that is not among them are not judged.
        tags: gives what may be proposed instead; called only where something is.
    """
    voices = {line.id: arousal for line in lines if (arousal := voice_arousal(line.voice)) is not None}
    speakers: dict[str, list[float]] = {}
    for line in lines:
        if line.id in voices and line.speaker:
            speakers.setdefault(line.speaker, []).append(voices[line.id])
    warnings: dict[str, str] = {}
    known: Mapping[str, JudgedStyle] | None = None
    for line in lines:
        if line.id not in voices or not line.mix or any(name not in manners for name in line.mix):
            continue
        voice = voices[line.id] - own_voice(speakers.get(line.speaker, ()))
        parts = [(manners[name], share) for name, share in line.mix.items()]
        style = sum(share * manner.arousal for manner, share in parts)
        if how := contradiction(voice, style):
            main = max(parts, key=lambda part: part[1])[0]
            known = tags() if known is None else known
            better = fitting_tag(voice, main, known)
            warnings[line.id] = f"the voice is much {how} than the style {line.style}" + (
                f"; {better} would fit" if better and better not in line.mix else ""
            )
    return warnings


def delivery_warnings(
    plan: Iterable[PlannedLine], records: Mapping[str, Record], ledger: Ledger, libraries: Libraries
) -> dict[str, str]:
    """The warnings of a batch, by line: line id -> a sentence.

    Args:
        plan: all lines of the batch; a character's usual voice is that of all its lines.
        records: line id -> what became of it.
        ledger: holds the measures of the voices, those of unchanged lines too.
        libraries: of the batch; their tags may be proposed.
    """
    lines, found = [], {}
    for planned in plan:
        entry, record = ledger.latest(planned.id), records[planned.id]
        if record.status not in ("made", "unchanged") or entry is None or not entry.facts.get("voice"):
            continue
        lines.append(_delivery(planned, record, entry.facts["voice"]))
        found.update({reference.sha256: reference for reference in planned.references.values() if reference})
    if not lines:
        return {}
    judged = {digest: style for digest, reference in found.items() if (style := _judged(reference))}

    def tags() -> dict[str, JudgedStyle]:
        found = ((tag, judged.get(one.sha256) or _judged(one)) for tag, one in libraries.all_tags())
        return {tag: style for tag, style in found if style}

    return check_deliveries(lines, judged, tags)


def _delivery(planned: PlannedLine, record: Record, voice: Mapping[str, float]) -> Delivery:
    """A line for the check: the shares of its styles over time, by the sha256 of their clips."""
    mix: dict[str, float] = {}
    for key, share in planned.styling.shares(record.seconds).items():
        reference = planned.references.get(key)
        digest = NO_STYLE if reference is None else reference.sha256
        mix[digest] = mix.get(digest, 0.0) + share
    return Delivery(record.id, record.character or "", voice, record.style, mix)


def _judged(reference: StyleReference) -> JudgedStyle | None:
    """How a style looks; None where its clips cannot be read (then its lines have failed already) or judged."""
    try:
        return JudgedStyle.of(reference.load())
    except MsmdError:
        return None
