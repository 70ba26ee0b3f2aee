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
from msmdcli.paths import SHIPPED
from msmdcli.performance.mouth_size import (
    BOUNDS,
    JAW,
    LIPS,
    MouthSize,
    gain,
    has_size,
    mean_size,
    size_of,
    size_of_clips,
)
from msmdcli.performance.rhythm import RATE
from msmdcli.styles.field import StyleField
from msmdcli.system.files import sha256_of
from msmdcli.workers.recordings import EncodedRecording, encoded

TRIAL_SPEECH = SHIPPED / "speech"  # made by `python -m training.speech.make_trial_speech`
SHIPPED_SIZES = SHIPPED / "mouth_sizes.json"  # made by `python -m training.speech.make_mouth_sizes`
VERSION = 1  # raise it when a change of the program changes gains
ROUNDS = 3  # of gain and measure: closures answer to no gain, so the first is not exact
AS_GENERATED = Articulation()


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
        self._found: dict[str, Articulation] = {}

    def gains(
        self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True
    ) -> Articulation:
        """The gains of jaw and lips in a style.

        Args:
            style: as the model sees it.
            clips: of the style, on the model's rig.
            sampling: of the line.
            closures: whether its lips are closed where a closure is heard.
        """
        if style.rest is None or not has_size(self._engine.bundle.rig):
            return AS_GENERATED
        described = self.described(clips, sampling, closures)
        if described in (shipped := shipped_sizes()):
            return shipped[described]
        key = self._key(style, described)
        if key not in self._found:
            jaw, lips = self._store.recall(key, (1, 1), lambda: self.measured(style, clips, sampling, closures))
            self._found[key] = Articulation(float(jaw[0]), float(lips[0]))
        return self._found[key]

    def measured(
        self, style: StyleCode, clips: Sequence[Motion], sampling: Sampling, closures: bool = True
    ) -> list[NDArray[np.float32]]:
        """The gains [1] of jaw and of lips, measured anew."""
        reference = size_of_clips(clips)
        found = np.ones(2)
        if reference.seconds > 0:
            size = self._trial_in(style, sampling, closures)
            plain = size(AS_GENERATED)
            axes = ("jaw", "lips")
            first = [gain(getattr(reference, axis), getattr(plain, axis), reference.seconds) for axis in axes]
            wanted = [getattr(plain, axis) * factor for axis, factor in zip(axes, first, strict=True)]
            for _ in range(ROUNDS):
                made = size(Articulation(*found))
                now = [getattr(made, axis) for axis in axes]
                step = [w / m if m > 0 else 1.0 for w, m in zip(wanted, now, strict=True)]
                found = np.clip(found * step, *BOUNDS)
        return [np.array([value], np.float32) for value in found]

    def _trial_in(self, style: StyleCode, sampling: Sampling, closures: bool) -> Callable[[Articulation], MouthSize]:
        """The trial speech in a style: what its size is with some gains."""
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

        def size(gains: Articulation) -> MouthSize:
            sizes = []
            for name, trial in self._trial.items():
                motion, audio = smooth_motion(articulate(said[name], gains, rest), None), trial.audio
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
def shipped_sizes() -> dict[str, Articulation]:
    """Gains that come with the package, by `MouthSizes.described`."""
    if not SHIPPED_SIZES.is_file():
        return {}
    known = json.loads(SHIPPED_SIZES.read_text(encoding="utf-8"))
    return {key: Articulation(float(jaw), float(lips)) for key, (jaw, lips) in known["gains"].items()}


def gains_over_time(
    field: StyleField, refs: Iterable[tuple[str, Path]], gains: Mapping[tuple[str, Path], Articulation], motion: Motion
) -> NDArray[np.float64]:
    """[T or 1, 2] the gains of jaw and lips over a line: of its styles, each with its share, as far as its intensity
    goes. Shares are of the logarithm: half of 2 and half of 1/2 is 1.

    Args:
        field: of the line.
        refs: `StyleRef.key` of all its styles.
        gains: `StyleRef.key` -> of each style; one that is missing has none.
        motion: of the model.
    """
    rig = motion.rig
    columns = [[rig.channels.index(name) for name in names] for names in (JAW, LIPS)]
    names = {key: str(number) for number, key in enumerate(refs)}
    by_name = {name: gains.get(key, AS_GENERATED) for key, name in names.items()}
    total = np.zeros((1, 2))
    for name, intensity, weight in field.shares_over_time(names, motion.frames, motion.fps, rig):
        share = np.atleast_2d(np.asarray(weight, np.float64))
        of = [share[:, some].mean(axis=1) if share.shape[1] > 1 else share[:, 0] for some in columns]
        size = np.clip(np.array([by_name[name].jaw, by_name[name].lips]) ** intensity, *BOUNDS)
        total = total + np.stack(of, axis=1) * np.log(size)
    return np.exp(total)
