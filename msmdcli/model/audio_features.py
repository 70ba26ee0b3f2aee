"""Audio features in step with motion. Training and the runtime both come through here: a model hears the same in both.

An audio encoder gives F feature frames of C0 numbers at its own rate (50 Hz), frame j about the sound at
j / feature_rate seconds. A motion frame gets `stack` of them side by side. Two steps: `encoded_chunks` (samples ->
features, in chunks when the line is long) and `features_at_frames` (features -> one row per motion frame);
`feature_rows` does both chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError

# waveform [1, S] float32 -> features [1, F, C0] float32, F = ceil(S / samples_per_feature)
Encode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class EncoderFormat:
    """What an audio encoder takes and gives; the entry `audio_encoder` of a bundle.

    Attributes:
        rate: samples per second that it hears.
        feature_rate: feature frames per second that it gives.
        dim: C0, numbers per feature frame.
        stack: feature frames per motion frame.
        chunk_seconds: longest stretch encoded at once (without the overlap).
        overlap_seconds: heard in addition on either side of a chunk, and thrown away.
    """

    rate: int = 16000
    feature_rate: Fraction = Fraction(50)
    dim: int = 384
    stack: int = 2
    chunk_seconds: float = 20.0
    overlap_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.rate % self.feature_rate:
            raise MsmdError(f"audio encoder: {self.rate} Hz is no multiple of its feature rate {self.feature_rate}")
        if min(self.stack, self.dim) < 1 or self.chunk_seconds * self.feature_rate < 1 or self.overlap_seconds < 0:
            raise MsmdError(f"audio encoder: impossible values in {self}")

    @staticmethod
    def from_mapping(data: Mapping[str, Any]) -> EncoderFormat:
        """From the bundle's entry; its other keys (`name`, ...) are not needed here."""
        try:
            return EncoderFormat(
                rate=int(data["rate"]),
                feature_rate=Fraction(str(data["feature_rate"])),
                dim=int(data["dim"]),
                stack=int(data["stack"]),
                chunk_seconds=float(data["chunk_seconds"]),
                overlap_seconds=float(data["overlap_seconds"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise MsmdError(f"audio_encoder entry is wrong ({type(error).__name__}: {error})") from error

    @property
    def samples_per_feature(self) -> int:
        """Samples from one feature frame to the next (320)."""
        return int(self.rate / self.feature_rate)


def encode_line(samples: np.ndarray, encode: Encode, form: EncoderFormat) -> np.ndarray:
    """Encode a whole line of any length, chunk by chunk: features [F, C0] float32, see `encoded_chunks`."""
    features = np.empty((ceil(len(samples) / form.samples_per_feature), form.dim), np.float32)  # [F, C0]
    at = 0
    for chunk in encoded_chunks(samples, encode, form):
        features[at : at + len(chunk)] = chunk
        at += len(chunk)
    return features


def encoded_chunks(samples: np.ndarray, encode: Encode, form: EncoderFormat) -> Iterator[np.ndarray]:
    """Encode a whole line of any length, in flat memory.

    A line longer than `chunk_seconds` is cut into the fewest equal chunks (to a feature frame) that are not longer;
    each is encoded with `overlap_seconds` of the line on either side, whose features are thrown away. A line shorter
    than the overlap is filled up with silence.

    Args:
        samples: [S] float32 at `form.rate`.
        encode: the encoder.

    Yields:
        The line's features in order, [n, C0] float32 at a time, together F = ceil(S / samples_per_feature).
    """
    if samples.ndim != 1 or len(samples) == 0:
        raise MsmdError(f"audio of shape {samples.shape} cannot be encoded: one row of samples is needed")
    hop = form.samples_per_feature
    total = ceil(len(samples) / hop)
    overlap = ceil(form.overlap_seconds * form.feature_rate)  # in feature frames
    shortest = max(1, overlap) * hop
    if len(samples) < shortest:
        samples = np.pad(samples, (0, shortest - len(samples)))
    chunks = ceil(total / int(form.chunk_seconds * form.feature_rate))
    bounds = [total * i // chunks for i in range(chunks + 1)]
    for start, stop in pairwise(bounds):
        first = max(0, start - overlap)
        waveform = samples[None, first * hop : (stop + overlap) * hop]  # [1, S of chunk and overlaps]
        features = np.asarray(encode(np.ascontiguousarray(waveform, dtype=np.float32)), dtype=np.float32)
        expected = (1, ceil(waveform.shape[1] / hop), form.dim)
        if features.shape != expected:
            raise MsmdError(f"the audio encoder gave features of shape {features.shape} where {expected} was expected")
        yield features[0, start - first : stop - first]  # [n, C0]


def features_at_frames(features: np.ndarray, form: EncoderFormat, fps: Fraction, frames: int) -> np.ndarray:
    """One row of features per motion frame.

    Row i holds, side by side, the features at the times (i + j / stack) / fps, j = 0 .. stack - 1, interpolated
    linearly between the encoder's frames; the last one is held. Times are exact fractions: nothing drifts over a long
    line.

    Args:
        features: [F, C0].
        fps: of the motion.
        frames: T.

    Returns:
        [T, C0 * stack] float32.
    """
    return _rows(features, 0, len(features), form, fps, 0, frames)


def _rows(
    features: np.ndarray, first: int, total: int, form: EncoderFormat, fps: Fraction, start: int, stop: int
) -> np.ndarray:
    """The rows start .. stop - 1 of `features_at_frames`, from the features [n, C0] that begin with number `first` of
    `total`: [stop - start, C0 * stack]."""
    step = form.feature_rate / (fps * form.stack)  # encoder frames per row
    places = np.arange(start * form.stack, stop * form.stack, dtype=np.int64)
    whole, rest = np.divmod(places * step.numerator, step.denominator)
    last = total - 1
    fraction = np.where(whole >= last, 0.0, rest / step.denominator).astype(np.float32)[:, None]
    left = features[np.minimum(whole, last) - first]
    right = features[np.minimum(whole + 1, last) - first]
    rows = left + fraction * (right - left)  # [n * stack, C0]
    return np.ascontiguousarray(rows.astype(np.float32).reshape(stop - start, -1))  # [n, stack * C0]


def feature_rows(
    samples: np.ndarray, encode: Encode, form: EncoderFormat, fps: Fraction, frames: int
) -> Iterator[np.ndarray]:
    """`audio_features` in order, a chunk of rows [n, C0 * stack] at a time: a long line in flat memory."""
    total = ceil(len(samples) / form.samples_per_feature)
    step = form.feature_rate / (fps * form.stack)
    kept = np.empty((0, form.dim), np.float32)  # features that rows to come still need
    first = heard = done = 0  # the number of the first of them; features so far; rows so far
    for chunk in encoded_chunks(samples, encode, form):
        kept = np.concatenate([kept, chunk])
        heard += len(chunk)
        # Row i ends with feature floor((i stack + stack - 1) step) + 1, which must have been heard.
        stop = (
            frames
            if heard == total
            else min(frames, max(done, (ceil((heard - 1) / step) - form.stack) // form.stack + 1))
        )
        if stop > done:
            yield _rows(kept, first, total, form, fps, done, stop)
            done = stop
        needed = min(int(done * form.stack * step), heard - 1)  # the first feature of the next row
        kept, first = kept[needed - first :].copy(), needed


def audio_features(samples: np.ndarray, encode: Encode, form: EncoderFormat, fps: Fraction, frames: int) -> np.ndarray:
    """Samples [S] to features at the motion's frames [T, C0 * stack]: `encode_line`, then `features_at_frames`."""
    features = np.empty((frames, form.dim * form.stack), np.float32)  # [T, C0 * stack]
    at = 0
    for rows in feature_rows(samples, encode, form, fps, frames):
        features[at : at + len(rows)] = rows
        at += len(rows)
    return features
