"""A recording as a line needs it: its sound, its features, and the closures heard in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from msmdcli.controls.closures import Heard
from msmdcli.media.audio import Audio
from msmdcli.media.voice import measure_voice
from msmdcli.model.closure_ear import hear_closures
from msmdcli.model.engine import Engine
from msmdcli.model.stores import Features, FeatureStore


@dataclass(frozen=True)
class EncodedRecording:
    """A recording, its features [T, C] from the audio encoder, and the closures heard in them (None: no ear)."""

    audio: Audio
    features: Features
    heard: Heard | None = None

    @cached_property
    def voice(self) -> dict[str, float]:
        """See `measure_voice`: once for all lines that share the recording."""
        return measure_voice(self.audio.samples, self.audio.rate)


def encoded(audio: Audio, engine: Engine, store: FeatureStore) -> EncodedRecording:
    """A recording as the model hears it: its features, and its closures where the bundle has an ear for them."""
    features = engine.features(audio, store)
    bundle, ear = engine.bundle, engine.graphs.closure_ear
    if ear is None:
        return EncodedRecording(audio, features)
    likely = hear_closures(ear, features, bundle)  # [F, 3]
    first, second = bundle.closures["likely"]
    rate = float(bundle.fps * bundle.audio_encoder.stack)
    return EncodedRecording(audio, features, Heard(likely[:, 0], likely[:, 1], rate, (first, second), likely[:, 2]))
