"""A line's performance: the reference's own movement in place of what a model guesses above the mouth.

`plan` decides, in seconds, which stretches are performed where; `Performance.on` lays the result on the line at the
frame rate of the output. Per channel, with w_k the share of style k, i_k its intensity, r_k its rest, m_k its movement:

    value = sum_k w_k (n + i_k (r_k - n)) + (sum_k w_k) amount movement        n: the pose at intensity 0

The corners of the mouth belong to speech and to the mood: what a smile does slowly is added to what speech makes of it.

The rests of styles mix; their movements take turns (`placing`), because a mean of two movements is neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.performance import PerformanceOptions
from msmdcli.motion.easing import soft_end
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.performance.blinks import BlinkEvent, LineBlink, choose_blinks, lay_blinks, separate_blinks
from msmdcli.performance.evenness import evened, evening, lacking, usual_size
from msmdcli.performance.fixations import rested_gaze
from msmdcli.performance.joins import Movement
from msmdcli.performance.placing import place
from msmdcli.performance.reference import Reference, groups_of
from msmdcli.performance.rhythm import RATE, Rhythm
from msmdcli.performance.stretches import Stretch, along, ending

Array = NDArray[np.float64]

WIDE = 0.8  # from here on a mood counts less and less
RESTING = ("cheeks",)  # groups that may rest in a face that lives
EVENED = ("head", "brows", "cheeks")  # that move as much as in the styles' clips where the model generates them
WIDEST_GAZE = 1.5  # by how much eyes that rest look further apart: drift was a part of how much they moved


@dataclass(frozen=True, eq=False)
class Part:
    """A style's part in a line.

    Attributes:
        reference: its performance; None (no style) leaves the generated movement.
        weight: [T or 1, D or 1] its share for each frame and channel; over all parts of a line 1.
        intensity: of the style.
        understudy: who lends a head to a reference that has none; None: nobody.
    """

    reference: Reference | None
    weight: NDArray[np.floating]
    intensity: float = 1.0
    understudy: Reference | None = None

    def performer(self, group: str) -> Reference | None:
        """Whose movement a group has; None leaves it as it was generated.

        A take of a face alone (Live Link without head rotation) says nothing of the head, and a head that hangs still
        on a face that lives looks dead. So it is lent one that does what heads do with speech. Cheeks and a nose that
        never move in it say something: they rest in the line, too.
        """
        if self.reference is None or group in self.reference.moving:
            return self.reference
        if group in RESTING and self.reference.moving:
            return self.reference
        lent = group == "head" and self.understudy is not None and group in self.understudy.moving
        return self.understudy if lent else None


@dataclass(frozen=True, eq=False)
class Performance:
    """A planned performance, in seconds.

    Attributes:
        parts: of the line's styles.
        rig: of the line. fps: the rate of the parts' weights.
        neutral: [D] the pose at intensity 0.
        options: what was asked for.
        generated: groups whose movement is the model's. left: groups that stay as they are.
        movements: group of channels -> its movement; a group that is not there stays as it is.
        factors: group -> by how much its movement is made larger (`evenness`); 1 where it is missing.
        stretches: group -> what it is made of.
        blinks: of the line.
        reblinks: they stand for the model's own, which go.
        rests: the model's gaze comes to rest (`fixations`).
        usual: group whose movement is the model's -> how much it moves in the styles' clips (`evenness`).
    """

    parts: Sequence[Part]
    rig: Rig
    fps: float
    neutral: Array
    options: PerformanceOptions
    generated: Sequence[str]
    left: Sequence[str]
    movements: Mapping[str, Movement]
    stretches: Mapping[str, Sequence[Stretch]]
    blinks: Sequence[LineBlink]
    factors: Mapping[str, float] = field(default_factory=dict)
    reblinks: bool = False
    rests: bool = False
    usual: Mapping[str, float] = field(default_factory=dict)

    def on(self, motion: Motion) -> Motion:
        """The line with this performance, at its own frame rate; it may be longer or shorter than it was planned."""
        fps = float(motion.fps)
        values = motion.values.astype(np.float64)
        if self.reblinks:
            values, _ = separate_blinks(motion)
        for group in EVENED:
            columns = groups_of(self.rig).get(group, [])
            if usual := self.usual.get(group):
                values[:, columns] = evened(replace(motion, values=values.astype(np.float32)), columns, usual)
        if self.rests:
            values = self._looking(values, motion)
        times = np.arange(motion.frames) / fps
        amounts = np.array(self.options.per_channel(self.rig))
        for group, columns in groups_of(self.rig).items():
            if group in self.left:
                continue
            generated = values[:, columns]
            base, share = np.zeros_like(generated), np.zeros_like(generated)
            for part in self.parts:
                if part.reference is None:
                    continue
                weight = weights_at(part.weight, times * self.fps, columns)
                generated = generated - weight * part.intensity * part.reference.camera[columns]
                performer = part.performer(group)
                if group not in self.generated and performer is not None:
                    neutral, rest = self.neutral[columns], performer.rest[columns]
                    base += weight * (neutral + part.intensity * (rest - neutral))
                    share += weight
            performed = base
            if group in self.movements:
                amount = amounts[columns] * self.factors.get(group, 1.0)
                performed = base + share * amount * self.movements[group].seen(times, fps)
            if group == "corners":
                mood = self.options.amount("cheeks") * (performed - base)
                moved = soft_end(values[:, columns] + mood, WIDE)
                moved = np.where(mood > 0, np.maximum(moved, values[:, columns]), values[:, columns] + mood)
                values[:, columns] = np.clip(moved, self.rig.lower[columns], self.rig.upper[columns])
                continue
            performed = np.clip(performed, self.rig.lower[columns], self.rig.upper[columns])
            values[:, columns] = performed + (1 - share) * generated
        lay_blinks(values, self.rig, fps, self.blinks)
        return replace(motion, values=values.astype(np.float32), meta=dict(motion.meta))

    def _looking(self, values: Array, motion: Motion) -> Array:
        """Motion [T, D] whose eyes rest, and jump as far as in the styles' clips."""
        fps, columns = float(motion.fps), groups_of(self.rig)["gaze"]
        rested = replace(motion, values=rested_gaze(values, self.rig, fps).astype(np.float32))
        wider = float(np.clip(lacking(rested, columns, self.usual.get("gaze", 0.0)), 1.0, WIDEST_GAZE))
        return rested_gaze(values, self.rig, fps, wider)

    def facts(self) -> dict[str, float]:
        """What was done, in numbers, for reports."""
        if not self.movements:
            return {}
        joins = max(len(stretches) for stretches in self.stretches.values()) - 1
        return {"performance_joins": joins, "performance_blinks": len(self.blinks)}


def plan(
    parts: Sequence[Part],
    rig: Rig,
    fps: float,
    rhythm: Rhythm,
    seconds: float,
    seed: int,
    name: str,
    options: PerformanceOptions,
    neutral: NDArray[np.floating] | None = None,
    kept: Sequence[str] = (),
    generated: Sequence[str] = (),
    left: Sequence[str] = (),
    dips: Sequence[BlinkEvent] = (),
) -> Performance:
    """Plan a line's performance.

    Args:
        parts: of its styles; their references are on `rig`.
        rig, fps: of the line's motion, and of the parts' weights.
        rhythm: of the line.
        seconds: that are to be performed.
        seed, name: of the line: the chance in it depends on nothing else.
        options: what is asked for.
        neutral: [D] the pose at intensity 0; None is all zeros. The head's is always straight.
        kept: groups in which the first reference is performed from its start to its end over the line (a dub), where
            the lengths allow it.
        generated: groups whose movement is the model's.
        left: groups that stay as they are.
        dips: of the lids, as the model generated them. Where all is the model's, its blinks are whole all the same, as
            many as the styles have: a model of means shuts lids half, and shuts those of some styles too often. Its
            eyes rest on what they look at, and its head, brows and cheeks move as much as in the styles' clips.
    """
    rest = np.zeros(rig.size) if neutral is None else np.array(neutral, np.float64)
    rest[list(rig.rotation_indices or ())] = 0
    movements: dict[str, Movement] = {}
    stretches: dict[str, Sequence[Stretch]] = {}
    factors: dict[str, float] = {}
    blinks: Sequence[LineBlink] = ()
    plans: dict[tuple[object, ...], Sequence[Stretch]] = {}
    frames = np.arange(int(np.ceil(seconds * float(RATE))) + 1) / float(RATE) * fps
    groups = groups_of(rig)
    reblinks = rests = False
    usual: dict[str, float] = {}
    if options.source == "generated":
        generated = tuple(groups)
        shown = [part.reference for part in parts if part.reference is not None]
        known = {name: columns for name, columns in groups.items() if name not in left and len(shown) == len(parts)}
        reblinks, rests = (name in known and options.amount("eyes") > 0 for name in ("lids", "gaze"))
        usual = {group: usual_of(parts, group, known[group], frames) for group in (*EVENED, "gaze") if group in known}
        if reblinks:
            weights = np.stack([weights_at(part.weight, frames, known["lids"]).mean(axis=1) for part in parts])
            natural = [LineBlink(dip.time, dip) for dip in dips]
            blinks = styled_blinks(shown, weights, natural, rhythm, seconds, seed, name)
    for group, columns in groups.items() if options.source == "reference" else ():
        if group in generated or group in left:
            continue
        performers = [part.performer(group) for part in parts]
        taking = [part for part, performer in zip(parts, performers, strict=True) if performer is not None]
        references = [performer for performer in performers if performer is not None]
        if not references:
            continue
        weights = np.stack([weights_at(part.weight, frames, columns).mean(axis=1) for part in taking])  # [K, F]
        whole = along(references[0].takes[0], rhythm, seconds) if group in kept else None
        follows = group in kept and whole is None  # it still begins and ends as the original does
        key = (whole is None, follows, weights.round(4).tobytes(), *(id(reference) for reference in references))
        if key not in plans:
            rng = stream(seed, name, f"performance {len(plans)}")
            plans[key] = whole or place(references, weights, rhythm, seconds, rng, follows)
            if follows:
                plans[key] = ending(plans[key], references[0].takes[0], seconds)
        stretches[group] = plans[key]
        gains = [part.intensity for part in taking]
        cuts = movements["gaze"].cuts if group == "lids" and stretches.get("gaze") is plans[key] else None
        movements[group] = Movement(references, plans[key], gains, group, columns, cuts)
        if whole is None and group != "lids":
            factors[group] = evening(movements[group], plans[key], seconds)
        if group == "lids" and options.amount("eyes") > 0:
            natural = brought_along(references, plans[key], seconds)
            blinks = styled_blinks(references, weights, natural, rhythm, seconds, seed, name, all_of_them=bool(whole))
    return Performance(
        parts, rig, fps, rest, options, generated, left, movements, stretches, blinks, factors, reblinks, rests, usual
    )


def usual_of(parts: Sequence[Part], group: str, columns: Sequence[int], frames: Array) -> float:
    """How much a group moves in the clips of a line's styles; 0 where one of them says nothing of it."""
    performers = [part.performer(group) for part in parts]
    known = [performer for performer in performers if performer is not None and group in performer.moving]
    if len(known) < len(parts):
        return 0.0
    shares = np.array([weights_at(part.weight, frames, columns).mean() for part in parts])
    return usual_size(known, shares, columns, [part.intensity for part in parts])


def styled_blinks(
    references: Sequence[Reference],
    weights: Array,
    natural: Sequence[LineBlink],
    rhythm: Rhythm,
    seconds: float,
    seed: int,
    name: str,
    all_of_them: bool = False,
) -> list[LineBlink]:
    """As many blinks as the references have, weighed [K, F]; natural ones first, all of them where it is asked for."""
    wanted = [w * reference.blinks_per_minute for w, reference in zip(weights, references, strict=True)]
    expected = len(natural) if all_of_them else float(np.mean(np.sum(wanted, axis=0))) * seconds / 60
    shapes = [blink for reference in references for take in reference.takes for blink in take.blinks]
    rng = stream(seed, name, "performed blinks")
    return choose_blinks(natural, shapes, expected, seconds, rhythm.pause, float(RATE), rng)


def stream(seed: int, name: str, part: str) -> np.random.Generator:
    """The random numbers of one part of a line's performance."""
    digest = hashlib.sha256(f"{seed}\0{name}\0{part}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def brought_along(references: Sequence[Reference], stretches: Sequence[Stretch], seconds: float) -> list[LineBlink]:
    """The blinks that fall into the stretches, each whole and at its moment."""
    found = []
    for stretch, after in zip(stretches, [*stretches[1:], None], strict=True):
        times = np.arange(stretch.start, seconds if after is None else after.start, 0.01)
        source = stretch.source(times)
        for event in references[stretch.reference].takes[stretch.take].blinks if len(times) else ():
            nearest = int(np.argmin(np.abs(source - event.time)))
            if abs(source[nearest] - event.time) < 0.02:
                found.append(LineBlink(float(times[nearest]), event))
    return found


def weights_at(weight: NDArray[np.floating], frames: Array, columns: Sequence[int]) -> Array:
    """[n, C] of weights [T or 1, D or 1] at fractional frames [n]; the last holds beyond the end."""
    weight = np.atleast_2d(np.asarray(weight, np.float64))
    weight = weight[:, columns] if weight.shape[1] > 1 else np.repeat(weight, len(columns), axis=1)
    at = np.clip(frames, 0, len(weight) - 1)
    left = np.clip(at.astype(np.int64), 0, max(len(weight) - 2, 0))
    right = np.minimum(left + 1, len(weight) - 1)
    u = (at - left)[:, None]
    return weight[left] * (1 - u) + weight[right] * u
