"""Audio features and style codes on disk: a recording is heard once and a style reference encoded once, in all runs.

A file in `cache_dir()/features` holds the features [T, C] of one recording, a file in `cache_dir()/style_codes` what
the style encoder made of one reference, and its resting pose; float32, as the networks gave them, so a line has the
same bytes with and without the cache. Its name is a sha256 of everything that decides its content: what was encoded
(the samples; the motion of the clips), the encoder's file or the bundle, the frame rate, and what computes (ONNX
Runtime's version, device, processor). What is damaged or cut off is not believed but made again; see `KeptFiles`.

The environment variable `MSMD_FEATURE_CACHE` sets the limit (`500MB`, `20GB`; 4GB without it) or turns both caches
`off`. A cache that cannot be written (no place left, no permission) is no error: recordings and references are then
encoded again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from msmdcli.system.kept_files import KeptFiles, read_whole, write_checked
from msmdcli.system.machine import processor_kind

if TYPE_CHECKING:
    from msmdcli.media.audio import Audio
    from msmdcli.model.bundle import Bundle
    from msmdcli.motion.motion import Motion

Array = NDArray[np.float32]

FEATURES_VERSION = 1  # raise it when a change of the program changes features
LONG_ROWS = 3000  # 2 minutes at 25 rows a second: longer ones stay on disk and are read window by window
STYLES_VERSION = 1  # raise it when a change of the program changes codes or resting poses
MOST_STYLE_BYTES = 20_000_000  # 15,000 references


class Features(Protocol):
    """Audio features [T, C], one row per motion frame: an array, or rows that are read from disk when they are asked
    for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class StoredFeatures:
    """Features [T, C] in an open file, from its start. May be used from several threads."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.shape: tuple[int, ...] = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """Rows start .. stop - 1: [n, C]."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("stored features are read in one piece")
        columns = self.shape[1]
        size = max(0, stop - start) * columns * 4
        with self._lock:
            self._file.seek(start * columns * 4)
            data = self._file.read(size)
        if len(data) != size:
            raise OSError("stored features were cut off")
        return np.frombuffer(data, np.float32).reshape(-1, columns)


class FeatureStore(KeptFiles):
    """The folder of features."""

    NAME, SUFFIX = "features", ".features"
    VARIABLE = "MSMD_FEATURE_CACHE"
    DEFAULT_LIMIT = "4GB"  # 7 hours of sound at 25 rows a second of 1536 numbers

    def recall(self, key: str, shape: tuple[int, int], rows: Callable[[], Iterator[Array]]) -> Features:
        """Features [T, C]: those that are stored under `key`, else what `rows` yields, [n, C] at a time.

        Long ones are given as `StoredFeatures`, others as an array. May be called from several threads.
        """
        found = self._read(key, shape)
        if found is not None:
            return found
        if shape[0] > LONG_ROWS:
            if self.keep(key, map(_bytes, rows())) and (found := self._read(key, shape)) is not None:
                return found
            try:
                file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as it is read)
                write_checked(file, map(_bytes, rows()))
                return StoredFeatures(file, shape)
            except OSError:
                pass  # no place on any disk: memory it is
        features = np.empty(shape, np.float32)
        at = 0
        for block in rows():
            features[at : at + len(block)] = block
            at += len(block)
        self.keep(key, [_bytes(features)])
        return features

    def _read(self, key: str, shape: tuple[int, int]) -> Features | None:
        """Stored features; None where there are none, or damaged ones."""
        found = self.open(key)
        if found is None:
            return None
        file, length = found
        size = 4 * shape[0] * shape[1]
        if length == size and shape[0] > LONG_ROWS:
            return StoredFeatures(file, shape)
        data = read_whole(file, length)
        if data is None or length != size:
            return None
        return np.frombuffer(data, np.float32).reshape(shape)


def _bytes(rows: Array) -> bytes:
    return rows.tobytes()


def features_key(audio: Audio, bundle: Bundle, device: str, runtime: str) -> str:
    """What decides the features of a recording: sha256.

    Args:
        audio: its samples count, not its file: another file with the same sound is the same recording.
        device, runtime: where the encoder runs, and the version of ONNX Runtime.
    """
    form = bundle.audio_encoder
    content = {
        "version": FEATURES_VERSION,
        "samples": hashlib.sha256(np.ascontiguousarray(audio.samples).data).hexdigest(),
        "seconds": str(audio.seconds),
        "encoder": bundle.files["audio_encoder.onnx"]["sha256"],
        "form": [form.rate, str(form.feature_rate), form.dim, form.stack, form.chunk_seconds, form.overlap_seconds],
        "fps": str(bundle.fps),
        "device": device,
        "runtime": runtime,
        "processor": processor_kind(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class StyleStore(KeptFiles):
    """The folder of style codes."""

    NAME, SUFFIX = "style_codes", ".style"
    VARIABLE = FeatureStore.VARIABLE

    @classmethod
    def usual_limit(cls) -> int:
        return min(FeatureStore.usual_limit(), MOST_STYLE_BYTES)

    def recall(self, key: str, sizes: Sequence[int], encode: Callable[[], Sequence[Array]]) -> list[Array]:
        """Vectors of the given sizes: those that are stored under `key`, else what `encode` gives."""
        content = self.read(key)
        if content is not None and len(content) == 4 * sum(sizes):
            return np.split(np.frombuffer(content, np.float32), np.cumsum(sizes)[:-1])
        vectors = [np.asarray(vector, np.float32) for vector in encode()]  # as they are found another time
        self.keep(key, [vector.tobytes() for vector in vectors])
        return vectors


def style_key(clips: Sequence[Motion], bundle: Bundle, longest: int, device: str, runtime: str) -> str:
    """What decides the code of a style reference: sha256.

    Args:
        clips: their motion counts, not their files.
        bundle: its style encoder, rig, frame rate and normalisation.
        longest: seconds that are encoded at once.
        device, runtime: where the encoder runs, and the version of ONNX Runtime.
    """
    motions = [
        [clip.rig.name, clip.rig.channels, str(clip.fps), hashlib.sha256(clip.values.data).hexdigest()]
        for clip in clips
    ]
    content = [STYLES_VERSION, bundle.sha256, motions, longest, device, runtime, processor_kind()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
