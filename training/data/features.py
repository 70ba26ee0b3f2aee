"""Audio features of a data set, computed once and cached on disk per encoder.

The cache is keyed by content: the sound's bytes, the encoder with its weights and layers, the voice variant. Files are
float16 `.npy`, of which training reads the stretches that it needs, so that 3,000 hours need no more RAM than three;
small data sets are held in RAM (`DataConfig.memory_gb`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from msmdcli.model.audio_features import EncoderFormat, audio_features
from msmdcli.motion.motion import frame_count
from msmdcli.paths import cache_dir
from training.config import AudioConfig
from training.data.voice_variants import voice_variant
from training.network.encoders import FEATURE_RATE, SAMPLE_RATE, Wav2Vec2Features, WhisperFeatures, load_encoder

Features = np.ndarray[Any, np.dtype[np.float16]]


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Features of one voice of one clip: file of [T, C] float16 at the motion's rate, and the variant's pace
    (`voice_variant`)."""

    path: Path
    pace: float
    _held: list[Features] = field(default_factory=list, repr=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._layout[0] * self._layout[1] * 2

    def hold(self) -> None:
        """Keep all rows in RAM."""
        self._held[:] = [np.load(self.path, allow_pickle=False)]

    @property
    def frames(self) -> int:
        """T."""
        return self._layout[0]

    @cached_property
    def _layout(self) -> tuple[int, int, int]:
        """Frames T, width C, and where in the file the numbers begin."""
        with self.path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
            return shape[0], shape[1], file.tell()

    def rows(self, start: int, stop: int) -> Features:
        """Features of frames [start, stop); the last one is held where the sound ends first. Only these are read, and
        no file stays open."""
        frames, width, offset = self._layout
        if self._held:
            return self._held[0][np.minimum(np.arange(start, stop), frames - 1)]
        begin, end = min(start, frames - 1), min(stop, frames)
        values = np.fromfile(
            self.path, np.float16, (max(end, begin + 1) - begin) * width, offset=offset + begin * width * 2
        ).reshape(-1, width)
        missing = stop - start - len(values)
        return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing > 0 else values


class FeatureCache:
    """Finds or computes features. The encoder is only loaded when something is missing."""

    def __init__(self, audio: AudioConfig, fps: Fraction, root: Path | None = None) -> None:
        self.audio, self.fps = audio, fps
        self._encoder: WhisperFeatures | Wav2Vec2Features | None = None
        self.root = (root or cache_dir() / "features") / self._key()

    @property
    def encoder(self) -> WhisperFeatures | Wav2Vec2Features:
        if self._encoder is None:
            self._encoder = load_encoder(self.audio.encoder, self.audio.path, self.audio.layers)
        return self._encoder

    @property
    def dim(self) -> int:
        """C: width of the features of one motion frame."""
        return self.encoder.dim * self.audio.stack

    @property
    def format(self) -> EncoderFormat:
        """How the runtime is to call the encoder; becomes the bundle's `audio_encoder` entry."""
        a = self.audio
        return EncoderFormat(SAMPLE_RATE, FEATURE_RATE, self.encoder.dim, a.stack, a.chunk_seconds, a.overlap_seconds)

    def _key(self) -> str:
        weights = hashlib.sha256()
        for name, value in self.encoder.state_dict().items():
            weights.update(name.encode())
            weights.update(value.detach().cpu().float().sum(dtype=torch.float64).numpy().tobytes())
        a = self.audio
        layers = "-".join(map(str, self.encoder.chosen))
        rate = f"{self.fps.numerator}.{self.fps.denominator}"
        chunks = f"c{a.chunk_seconds:g}-{a.overlap_seconds:g}"
        return f"{a.encoder}-l{layers}-s{a.stack}-f{rate}-{chunks}-{weights.hexdigest()[:12]}"

    def get(self, sound: Path, variant: int = 0) -> CachedFeatures:
        """Features of a 16 kHz mono sound file in one of its voices."""
        content = sound.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        path = self.root / digest[:2] / f"{digest[:24]}-{variant}.npy"
        key = int(digest[:16], 16)
        if path.is_file():
            # Cheap to know again without the sound: the pace is a function of the recording's key, the variant and the
            # length.
            return CachedFeatures(path, float(np.load(path.with_suffix(".pace.npy"), allow_pickle=False)))
        samples, rate = soundfile.read(sound, dtype="float32")
        if rate != SAMPLE_RATE or samples.ndim != 1:
            raise ValueError(f"{sound} must be {SAMPLE_RATE} Hz mono")
        samples, pace = voice_variant(samples, rate, variant, key)
        frames = frame_count(Fraction(len(samples), SAMPLE_RATE), self.fps)
        features = audio_features(samples, self._encode, self.format, self.fps, frames)  # [T, C]
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, values in ((path.with_suffix(".pace.npy"), np.float64(pace)), (path, features.astype(np.float16))):
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            with temporary.open("wb") as file:
                np.save(file, values, allow_pickle=False)
            temporary.replace(target)
        return CachedFeatures(path, pace)

    def _encode(self, waveform: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.encoder(torch.from_numpy(np.ascontiguousarray(waveform))).numpy()
