"""How much further a mouth has to go in each style to be as large as the style's own: `mouth_size: reference`.

The model says the trial speech (`shipped/speech`, synthetic voices) once in every style, solved by default, closures
included; what its mouth then lacks, or has too much, against the reference's clips is the style's gain. So the gain
belongs to the style: a line's quiet passage stays quiet, and neither a line's neighbours nor its own words change it.

A mean of mouths rests further open between the vowels than any of them, and its jaw and both lips are widest at once
where theirs take turns. So what swings as far may open too far: then the opening is bent (`MouthScale`), narrower
vowels that swing as far, until wide ones are near the reference's; and no vowel is wider than its widest.

Scales of the tags that ship, as the shipped model is solved by default, come with the package
(`shipped/mouth_sizes.json`). Others are kept in the cache of styles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.articulation import PARTING, UNBOUNDED, Articulation, MouthScale, articulate
from msmdcli.controls.closures import close_lips
from msmdcli.controls.smoothing import smooth_motion
from msmdcli.media.audio import load_audio
from msmdcli.media.voice import frames_below_speech
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore, StyleStore
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.lip_contact import LipContact
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED
from msmdcli.performance.mouth_size import (
    JAW,
    SMALLEST,
    MouthSize,
    belief,
    bounded,
    gains_of,
    has_size,
    mean_size,
    size_of,
    size_of_clips,
    sized_columns,
)
from msmdcli.performance.rhythm import RATE
from msmdcli.styles.field import StyleField
from msmdcli.system.files import sha256_of
from msmdcli.workers.recordings import EncodedRecording, encoded

TRIAL_SPEECH = SHIPPED / "speech"  # made by `python -m training.speech.make_trial_speech`
SHIPPED_SIZES = SHIPPED / "mouth_sizes.json"  # made by `python -m training.speech.make_mouth_sizes`
VERSION = 12  # raise it, and `batch.planned.MOTION_VERSION`, when a change of the program changes scales
ROUNDS = 3  # of gain and measure: closures answer to no gain, so the first is not exact ...
NEAR = 1.25  # ... but nearly: none is further from its first, or closures alone would drive it to its bound
NATURAL = {
    # A person's voice moves these channels so much less (below 1: more) than the trial speech does, by the same model:
    # about what all tags lack in speed on recordings of people, and what their open vowels open too far.
    "jawOpen": 1.02,
    "mouthPucker": 1.15,
    "mouthFunnel": 1.1,
    "mouthLowerDownLeft": 0.98,
    "mouthLowerDownRight": 0.98,
    "mouthUpperUpLeft": 0.98,
    "mouthUpperUpRight": 0.98,
}
WIDEST = 1.25  # of the opening where it is wide, against the reference's; on people's voices a tenth to a fifth less
WIDEST_JAW = 1.1  # of the jaw where it is wide, likewise
BENT, HALVINGS = 1.8, 4  # the most that an opening is bent, and how finely that is looked for
LEAST_MOST, ROOM = 4.0, 1.1  # mm, and times `MouthScale.wide`: so far lips may part though the reference's never do
YIELDING = 0.95  # how far what parts the lips goes at least where a bend is not enough
WHOLE = 0.99  # share of styles with a scale from which on a line is held within their most
SHALLOW = 1.0  # mm: a mouth that opens less beyond its closed pose is not bent
PLAIN = Articulation()
SHAPE = {"bend": 1.0, "wide": 1.0, "most": UNBOUNDED}  # of a scale, beside its gains, where it has none

SizeOf = Callable[[MouthScale], MouthSize]


class MouthSizes:
    """Finds scales, one per style and way of sampling.

    Args:
        engine: the model.
        store: where those of earlier runs are found, and new ones kept.
    """

    def __init__(self, engine: Engine, store: StyleStore) -> None:
        self._engine = engine
        self._store = store
        self._trial: Mapping[str, EncodedRecording] = {}
        self._found: dict[str, MouthScale] = {}

    def scale(self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True) -> MouthScale:
        """The scale of a style's mouth, of one row.

        Args:
            style: as the model sees it.
            clips: of the style, on the model's rig.
            sampling: of the line.
            closures: whether its lips are closed where a closure is heard.
        """
        rig = self._engine.bundle.rig
        if style.rest is None or not has_size(rig):
            return MouthScale.of(np.ones(rig.size, np.float32))
        described = self.described(clips, sampling, closures)
        if described in (shipped := shipped_sizes()):
            return of_plain(rig, shipped[described])
        key = self._key(style, described)
        if key not in self._found:

            def encode() -> list[NDArray[np.float32]]:
                found = self.measured(style, clips, sampling, closures)
                return [found.gains[0], found.bend, found.wide, found.most]

            gains, *shape = self._store.recall(key, (rig.size, 1, 1, 1), encode)
            self._found[key] = MouthScale(gains[None], *shape)
        return self._found[key]

    def measured(
        self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True
    ) -> MouthScale:
        """The same, measured anew."""
        rig = self._engine.bundle.rig
        columns, reference = sized_columns(rig), size_of_clips(clips)
        unscaled = MouthScale.of(np.ones(rig.size))
        if reference.seconds == 0:
            return unscaled
        size = self._trial_in(style, sampling, closures)
        generated = size(unscaled)
        first = gains_of(reference, generated, rig)
        natural = np.array([NATURAL.get(name, 1.0) for name in rig.channels])
        first[columns] = bounded(rig, (first * natural)[columns], columns)
        wanted = generated.spread * first
        closed = _closed_opening(style, rig)
        wide = reference.opening - closed

        def as_far(bend: float) -> MouthScale:
            """Bent so far, with gains by which the channels spread as wanted."""
            found = np.ones(rig.size)
            for _ in range(ROUNDS):
                now = size(MouthScale.of(found, bend, max(wide, SHALLOW))).spread[columns]
                step = np.where(now > 0, wanted[columns] / np.where(now > 0, now, 1.0), 1.0)
                near = np.clip(found[columns] * step, first[columns] / NEAR, first[columns] * NEAR)
                found[columns] = bounded(rig, near, columns)
            return MouthScale.of(found, bend, max(wide, SHALLOW))

        widest = reference.opening * WIDEST ** (1 / belief(reference))

        def beyond(scale: MouthScale) -> float:
            """How much too wide it opens: 1 is just not."""
            return (size(scale).opening - closed) / (widest - closed) if wide > SHALLOW else 0.0

        found = as_far(1.0)
        if beyond(found) > 1:
            low, high = 1.0, BENT
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                low, high = (low, middle) if beyond(as_far(middle)) <= 1 else (middle, high)
            found = as_far(high)
        gains, jaw = found.gains[0].copy(), rig.channels.index(JAW)
        if (still := beyond(found)) > 1:
            parting = [rig.channels.index(name) for name in PARTING if name in rig.channels]
            gains[parting] = bounded(rig, gains[parting] * max(1 / still, YIELDING), parting)
        wide_jaw = size(replace(found, gains=gains[None])).open_jaw / max(reference.open_jaw, SMALLEST)
        if reference.open_jaw > 0 and wide_jaw > WIDEST_JAW:
            gains[jaw] = bounded(rig, gains[[jaw]] * WIDEST_JAW / wide_jaw, [jaw])[0]
        most = max(reference.widest - closed, LEAST_MOST, ROOM * wide) if wide > SHALLOW else UNBOUNDED
        return replace(found, gains=gains[None], most=np.array([most]))

    def _trial_in(self, style: StyleCode, sampling: Sampling, closures: bool) -> SizeOf:
        """The trial speech in a style: what its size is with some scale."""
        engine, rest = self._engine, style.rest
        assert rest is not None
        if not self._trial:
            store, rate = FeatureStore(), engine.bundle.audio_encoder.rate
            files = sorted(TRIAL_SPEECH.glob("*.ogg"))
            self._trial = {file.stem: encoded(load_audio(file, rate), engine, store) for file in files}
        jobs = [
            Job(name, trial.features, [StyleEntry(style)], sampling=sampling) for name, trial in self._trial.items()
        ]
        said = {job.id: motion.resample(RATE) for job, motion in engine.animate(jobs)}

        def size(scale: MouthScale) -> MouthSize:
            sizes = []
            for name, trial in self._trial.items():
                motion, audio = smooth_motion(articulate(said[name], PLAIN, rest, scale), None), trial.audio
                if closures and trial.heard is not None:
                    motion = close_lips(motion, trial.heard).motion
                silent = frames_below_speech(audio.samples, audio.rate, RATE, motion.frames)
                sizes.append(size_of(motion, ~silent))
            return mean_size(sizes)

        return size

    def described(self, clips: Sequence[Motion], sampling: Sampling, closures: bool = True) -> str:
        """What decides the scale, whatever computes them: sha256."""
        motions = [[str(clip.fps), hashlib.sha256(clip.values.tobytes()).hexdigest()] for clip in clips]
        model = [self._engine.bundle.sha256, sampling.description()]
        return _digest(["mouth size", VERSION, _speech(), model, motions, closures])

    def _key(self, style: StyleCode, described: str) -> str:
        """What decides the scale to the last bit: sha256."""
        return _digest([described, style.key, self._engine.device, self._engine.runtime.version])


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _speech() -> list[str]:
    return [sha256_of(file) for file in sorted(TRIAL_SPEECH.glob("*.ogg"))]


@cache
def shipped_sizes() -> dict[str, dict[str, float]]:
    """Scales that come with the package, by `MouthSizes.described`: see `plain`."""
    if not SHIPPED_SIZES.is_file():
        return {}
    known: dict[str, dict[str, float]] = json.loads(SHIPPED_SIZES.read_text(encoding="utf-8"))["scales"]
    return known


def of_plain(rig: Rig, found: Mapping[str, float]) -> MouthScale:
    """A scale from what `plain` gives; a channel that is missing has no gain."""
    gains = np.array([found.get(name, 1.0) for name in rig.channels], np.float32)
    return MouthScale.of(gains, *(found.get(name, usual) for name, usual in SHAPE.items()))


def plain(rig: Rig, scale: MouthScale) -> dict[str, float]:
    """A scale of one row as plain data: channel -> gain of those that have a size; and the names of `SHAPE`."""
    gains = {rig.channels[column]: round(float(scale.gains[0, column]), 4) for column in sorted(sized_columns(rig))}
    return gains | {name: round(float(getattr(scale, name)[0]), 4) for name in SHAPE}


def _closed_opening(style: StyleCode, rig: Rig) -> float:
    """mm between the lips of a style's closed mouth."""
    contact = LipContact.of(rig)
    if contact is None or style.rest is None:
        return 0.0
    return float(contact.middle(style.rest[None])[0])


def scale_over_time(
    field: StyleField, refs: Iterable[tuple[str, Path]], scales: Mapping[tuple[str, Path], MouthScale], motion: Motion
) -> MouthScale:
    """The scale of the mouth over a line: of its styles, each with its share, as far as its intensity goes. Shares are
    of the logarithm: half of 2 and half of 1/2 is 1.

    Args:
        field: of the line.
        refs: `StyleRef.key` of all its styles.
        scales: `StyleRef.key` -> of each style; one that is missing has none.
        motion: of the model.
    """
    rig = motion.rig
    names = {key: str(number) for number, key in enumerate(refs)}
    by_name = {name: scales[key] for key, name in names.items() if key in scales}
    columns, jaw = sized_columns(rig), rig.channels.index(JAW)
    gains, bend = np.zeros((1, rig.size)), np.zeros(1)
    reach, share = np.zeros((1, 2)), np.full(1, 1e-9)  # log of wide and most, and what share of the line has them
    for name, intensity, weight in field.shares_over_time(names, motion.frames, motion.fps, rig):
        if (own := by_name.get(name)) is None:
            continue
        size = np.ones(rig.size)
        size[columns] = bounded(rig, own.gains[0, columns].astype(np.float64) ** intensity, columns)
        weights = np.atleast_2d(np.asarray(weight, np.float64))  # [T or 1, D or 1]
        of_jaw = weights[:, min(jaw, weights.shape[1] - 1)]
        gains = gains + weights * np.log(size)
        bend = bend + of_jaw * intensity * np.log(own.bend[0])
        reach = reach + of_jaw[:, None] * np.log([own.wide[0], own.most[0] * max(intensity, 1.0)])
        share = share + of_jaw
    rows = max(len(gains), len(bend))
    wide, most = np.exp(reach / share[:, None]).T
    shape = (np.exp(np.maximum(bend, 0)), wide, np.where(share > WHOLE, most, UNBOUNDED))
    return MouthScale(np.exp(gains), *(np.broadcast_to(values, rows) for values in shape))
