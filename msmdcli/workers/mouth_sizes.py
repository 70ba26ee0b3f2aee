"""How much further a mouth has to go in each style to be as large as the style's own: `mouth_size: reference`.

The model says the trial speech (`shipped/speech`, synthetic voices) once in every style, solved by default, closures
included; what its mouth then lacks, or has too much, against the reference's clips is the style's gain. So the gain
belongs to the style: a line's quiet passage stays quiet, and neither a line's neighbours nor its own words change it.

Gains of the tags that ship, as the shipped model is solved by default, come with the package
(`shipped/mouth_sizes.json`). Others are kept in the cache of styles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.controls.articulation import Articulation, articulate
from msmdcli.controls.closures import close_lips
from msmdcli.controls.smoothing import smooth_motion
from msmdcli.media.audio import load_audio
from msmdcli.media.voice import frames_below_speech
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import FeatureStore, StyleStore
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import SHIPPED
from msmdcli.performance.mouth_size import (
    JAW,
    MouthSize,
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
VERSION = 6  # raise it when a change of the program changes gains
ROUNDS = 3  # of gain and measure: closures answer to no gain, so the first is not exact ...
NEAR = 1.25  # ... but nearly: none is further from its first, or closures alone would drive it to its bound
NATURAL = {
    # A person's voice moves these channels so much less (below 1: more) than the trial speech does, by the same model:
    # about what all tags lack in speed on recordings of people, and what their open vowels open too far.
    "jawOpen": 0.96,
    "mouthPucker": 1.15,
    "mouthFunnel": 1.1,
    "mouthLowerDownLeft": 0.98,
    "mouthLowerDownRight": 0.98,
    "mouthUpperUpLeft": 0.98,
    "mouthUpperUpRight": 0.98,
}
WIDEST = 1.1  # of the jaw where it is wide, against the reference's: one that swings as far may still open too far
PLAIN = Articulation()

Gains = NDArray[np.float32]  # [D] per channel of a rig, 1 where there is none
SizeOf = Callable[[NDArray[np.floating]], MouthSize]


class MouthSizes:
    """Finds gains, one per style and way of sampling.

    Args:
        engine: the model.
        store: where those of earlier runs are found, and new ones kept.
    """

    def __init__(self, engine: Engine, store: StyleStore) -> None:
        self._engine = engine
        self._store = store
        self._trial: Mapping[str, EncodedRecording] = {}
        self._found: dict[str, Gains] = {}

    def gains(self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True) -> Gains:
        """The gains of a style's mouth.

        Args:
            style: as the model sees it.
            clips: of the style, on the model's rig.
            sampling: of the line.
            closures: whether its lips are closed where a closure is heard.
        """
        rig = self._engine.bundle.rig
        if style.rest is None or not has_size(rig):
            return np.ones(rig.size, np.float32)
        described = self.described(clips, sampling, closures)
        if described in (shipped := shipped_sizes()):
            return by_column(rig, shipped[described])
        key = self._key(style, described)
        if key not in self._found:
            (found,) = self._store.recall(key, (rig.size,), lambda: [self.measured(style, clips, sampling, closures)])
            self._found[key] = found
        return self._found[key]

    def measured(self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True) -> Gains:
        """The same, measured anew."""
        rig = self._engine.bundle.rig
        found, columns = np.ones(rig.size), sized_columns(rig)
        reference = size_of_clips(clips)
        if reference.seconds > 0:
            size = self._trial_in(style, sampling, closures)
            plain = size(found)
            first = gains_of(reference, plain, rig)
            natural = np.array([NATURAL.get(name, 1.0) for name in rig.channels])
            first[columns] = bounded(rig, (first * natural)[columns], columns)
            wanted = plain.spread * first
            for _ in range(ROUNDS):
                now = size(found).spread[columns]
                step = np.where(now > 0, wanted[columns] / np.where(now > 0, now, 1.0), 1.0)
                near = np.clip(found[columns] * step, first[columns] / NEAR, first[columns] * NEAR)
                found[columns] = bounded(rig, near, columns)
            wide = size(found).open_jaw / reference.open_jaw if reference.open_jaw > 0 else 0.0
            if wide > WIDEST:
                jaw = rig.channels.index(JAW)
                found[jaw] = bounded(rig, found[[jaw]] * WIDEST / wide, [jaw])[0]
        return np.asarray(found, np.float32)

    def _trial_in(self, style: StyleCode, sampling: Sampling, closures: bool) -> SizeOf:
        """The trial speech in a style: what its size is with some gains [D]."""
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

        def size(gains: NDArray[np.floating]) -> MouthSize:
            sizes = []
            for name, trial in self._trial.items():
                motion, audio = smooth_motion(articulate(said[name], PLAIN, rest, gains[None]), None), trial.audio
                if closures and trial.heard is not None:
                    motion = close_lips(motion, trial.heard).motion
                silent = frames_below_speech(audio.samples, audio.rate, RATE, motion.frames)
                sizes.append(size_of(motion, ~silent))
            return mean_size(sizes)

        return size

    def described(self, clips: Sequence[Motion], sampling: Sampling, closures: bool = True) -> str:
        """What decides the gains, whatever computes them: sha256."""
        motions = [[str(clip.fps), hashlib.sha256(clip.values.tobytes()).hexdigest()] for clip in clips]
        model = [self._engine.bundle.sha256, sampling.description()]
        return _digest(["mouth size", VERSION, _speech(), model, motions, closures])

    def _key(self, style: StyleCode, described: str) -> str:
        """What decides the gains to the last bit: sha256."""
        return _digest([described, style.key, self._engine.device, self._engine.runtime.version])


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _speech() -> list[str]:
    return [sha256_of(file) for file in sorted(TRIAL_SPEECH.glob("*.ogg"))]


@cache
def shipped_sizes() -> dict[str, dict[str, float]]:
    """Gains that come with the package, by `MouthSizes.described`: channel -> gain."""
    if not SHIPPED_SIZES.is_file():
        return {}
    known: dict[str, dict[str, float]] = json.loads(SHIPPED_SIZES.read_text(encoding="utf-8"))["gains"]
    return known


def by_column(rig: Rig, by_channel: Mapping[str, float]) -> Gains:
    """[D] gains of a rig's columns, from those of channels."""
    return np.array([by_channel.get(name, 1.0) for name in rig.channels], np.float32)


def by_channel(rig: Rig, by_column: Gains) -> dict[str, float]:
    """Channel -> gain, without those that have no size."""
    return {rig.channels[column]: round(float(by_column[column]), 4) for column in sorted(sized_columns(rig))}


def gains_over_time(
    field: StyleField, refs: Iterable[tuple[str, Path]], gains: Mapping[tuple[str, Path], Gains], motion: Motion
) -> NDArray[np.float64]:
    """[T or 1, D] the gains of the mouth over a line: of its styles, each with its share, as far as its intensity goes.
    Shares are of the logarithm: half of 2 and half of 1/2 is 1.

    Args:
        field: of the line.
        refs: `StyleRef.key` of all its styles.
        gains: `StyleRef.key` -> of each style; one that is missing has none.
        motion: of the model.
    """
    rig = motion.rig
    names = {key: str(number) for number, key in enumerate(refs)}
    by_name = {name: gains[key] for key, name in names.items() if key in gains}
    columns, total = sized_columns(rig), np.zeros((1, rig.size))
    for name, intensity, weight in field.shares_over_time(names, motion.frames, motion.fps, rig):
        if name in by_name:
            size = np.ones(rig.size)
            size[columns] = bounded(rig, by_name[name][columns].astype(np.float64) ** intensity, columns)
            total = total + np.atleast_2d(np.asarray(weight, np.float64)) * np.log(size)
    return np.exp(total)
