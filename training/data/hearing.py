"""A data set's features as the ear gives them: the encoder's, from its cache, heard once (`training.network.ear`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.config import AudioConfig
from training.data.features import FeatureCache
from training.network.ear import Ear

Array = np.ndarray[Any, np.dtype[np.float16]]


@dataclass(frozen=True, eq=False)
class Heard:
    """Features [T, E] float16 of one sound, in memory; the surface of `training.data.features.CachedFeatures`."""

    values: Array
    pace: float

    @property
    def size(self) -> int:
        """Bytes."""
        return self.values.nbytes

    def hold(self) -> None:
        """They are held already."""

    def rows(self, start: int, stop: int) -> Array:
        """Features of frames [start, stop); the last one is held where the sound ends first."""
        return self.values[np.minimum(np.arange(start, stop), len(self.values) - 1)]


class HearingCache:
    """Like `FeatureCache`, with an ear behind the encoder. Sounds that several clips share are heard once.

    The runtime's ear hears the encoder's own frames of the whole line; here they come from rows of two a motion frame.
    They are the same but for the last frame or two of a line.
    """

    def __init__(self, plain: FeatureCache, ear: Ear) -> None:
        self.plain, self.ear = plain, ear
        self._heard: dict[Path, Heard] = {}

    @property
    def dim(self) -> int:
        """E."""
        return self.ear.dim

    def get(self, sound: Path, variant: int = 0) -> Heard:
        """Features of a 16 kHz mono sound file in one of its voices."""
        cached = self.plain.get(sound, variant)
        if cached.path not in self._heard:
            features = encoder_frames(cached.rows(0, cached.frames))
            with torch.inference_mode():
                out = self.ear(torch.from_numpy(features.astype(np.float32))[None]).features[0, ::2]  # [T, E]
            self._heard[cached.path] = Heard(out.numpy().astype(np.float16), cached.pace)
        return self._heard[cached.path]


def plain_cache(audio: AudioConfig, fps: Fraction) -> FeatureCache:
    """The encoder's features, two a motion frame, whatever the ear makes of them."""
    return FeatureCache(replace(audio, stack=2), fps)


def encoder_frames(rows: np.ndarray) -> np.ndarray:
    """Rows of two encoder frames [T, 2 C] -> [2 T, C]."""
    return rows.reshape(2 * len(rows), -1)
