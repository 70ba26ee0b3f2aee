"""Audio features on disk: a recording is heard once, whatever the number of runs and styles; a long one in flat memory.

A file in `cache_dir()/features` holds the features [T, C] of one recording, float32, as the audio encoder gave them, so
a line has the same bytes with and without the cache. Its name is a sha256 of everything that decides its content: the
samples heard, the encoder's file, the frame rate, and what computes (ONNX Runtime's version, device, processor). What
is damaged or cut off is not believed but made again. When the folder outgrows its limit, files go that were used
longest ago.

The environment variable `MSMD_FEATURE_CACHE` sets the limit (`500MB`, `20GB`; 4GB without it) or turns the cache
`off`. A cache that cannot be written (no place left, no permission) is no error: lines are then heard again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError
from msmdcli.paths import cache_dir

if TYPE_CHECKING:
    from msmdcli.audio import Audio
    from msmdcli.bundle import Bundle

Array = NDArray[np.float32]

VERSION = 1  # raise it when a change of the program changes features
VARIABLE = "MSMD_FEATURE_CACHE"
DEFAULT_LIMIT = "4GB"  # 7 hours of sound at 25 rows a second of 1536 numbers
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
LONG_ROWS = 3000  # 2 minutes at 25 rows a second: longer ones stay on disk and are read window by window
SUFFIX = ".features"
HEADER = struct.Struct("<8sIII")  # magic, rows, columns, crc32 of the numbers
MAGIC = b"MSMDfea1"
BLOCK_BYTES = 1 << 20


class Features(Protocol):
    """Audio features [T, C], one row per motion frame: an array, or rows that are read from disk when they are asked
    for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class StoredFeatures:
    """Features [T, C] in an open file. May be used from several threads."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int], offset: int) -> None:
        self._file = file
        self._offset = offset
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
            self._file.seek(self._offset + start * columns * 4)
            data = self._file.read(size)
        if len(data) != size:
            raise OSError("stored features were cut off")
        return np.frombuffer(data, np.float32).reshape(-1, columns)


class FeatureStore:
    """The folder of features.

    Args:
        folder: None is the user's cache.
        limit: bytes that it may hold; None is what the environment says, 0 keeps nothing.

    Raises:
        UsageError: the environment variable makes no sense.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = folder or cache_dir() / "features"
        self.limit = limit_from_environment() if limit is None else limit
        self._unchecked = self.limit  # bytes written since the folder was measured: the first one measures it
        self._lock = threading.Lock()

    def hear(self, key: str, shape: tuple[int, int], rows: Callable[[], Iterator[Array]]) -> Features:
        """Features [T, C]: those that are stored under `key`, else what `rows` yields, [n, C] at a time.

        Long ones are given as `StoredFeatures`, others as an array. May be called from several threads.
        """
        found = self._read(key, shape) if self.limit else None
        if found is not None:
            return found
        if shape[0] > LONG_ROWS:
            if self.limit and self._write(key, shape, rows()) and (found := self._read(key, shape)) is not None:
                return found
            try:
                file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as it is read)
                _pour(file, shape, rows())
                return StoredFeatures(file, shape, HEADER.size)
            except OSError:
                pass  # no place on any disk: memory it is
        features = np.empty(shape, np.float32)
        at = 0
        for block in rows():
            features[at : at + len(block)] = block
            at += len(block)
        if self.limit:
            self._write(key, shape, iter([features]))
        return features

    def size(self) -> tuple[int, int]:
        """Files in the folder, and their bytes."""
        sizes = [size for _, size, _ in self._files()]
        return len(sizes), sum(sizes)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _read(self, key: str, shape: tuple[int, int]) -> Features | None:
        """Stored features; None where there are none, or damaged ones."""
        path = self._path(key)
        try:
            file = path.open("rb")
        except OSError:
            return None
        keep = False
        try:
            magic, height, width, crc = HEADER.unpack(file.read(HEADER.size))
            whole = magic == MAGIC and (height, width) == shape
            if whole and height <= LONG_ROWS:
                data = file.read(4 * height * width + 1)
                if len(data) == 4 * height * width and zlib.crc32(data) == crc:
                    os.utime(path)
                    return np.frombuffer(data, np.float32).reshape(shape)
            elif whole:
                size = found = 0
                while block := file.read(BLOCK_BYTES):
                    size, found = size + len(block), zlib.crc32(block, found)
                if size == 4 * height * width and found == crc:
                    os.utime(path)
                    keep = True
                    return StoredFeatures(file, shape, HEADER.size)
        except (OSError, struct.error):
            pass
        finally:
            if not keep:
                file.close()
        return None

    def _write(self, key: str, shape: tuple[int, int], rows: Iterator[Array]) -> bool:
        """Store features as they come, whole or not at all; whether that went well."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
                temporary = Path(file.name)
                try:
                    _pour(file, shape, rows)
                    file.close()
                    temporary.replace(self._path(key))
                except BaseException:
                    file.close()
                    temporary.unlink(missing_ok=True)
                    raise
        except OSError:
            return False
        self._written(HEADER.size + 4 * shape[0] * shape[1])
        return True

    def _written(self, size: int) -> None:
        """Remove what was used longest ago when the folder outgrows its limit; looked at now and then."""
        with self._lock:
            self._unchecked += size
            if self._unchecked < self.limit // 20:
                return
            self._unchecked = 0
            files = sorted(self._files())
            excess = sum(size for _, size, _ in files) - self.limit
            for _, size, path in files:
                if excess <= 0:
                    return
                try:
                    path.unlink()
                except OSError:
                    continue  # somebody else was faster, or (Windows) reads it
                excess -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When used, bytes, path. Temporary ones that a kill has left count too, and age like the others."""
        try:
            entries = list(os.scandir(self.folder))
        except OSError:
            return
        for entry in entries:
            try:
                stat = entry.stat()
            except OSError:
                continue
            yield stat.st_mtime, stat.st_size, Path(entry.path)


def _pour(file: IO[bytes], shape: tuple[int, int], rows: Iterator[Array]) -> None:
    """Write rows as they come, then the header, whose checksum is known only now."""
    crc = 0
    file.write(bytes(HEADER.size))
    for block in rows:
        data = block.tobytes()
        crc = zlib.crc32(data, crc)
        file.write(data)
    file.seek(0)
    file.write(HEADER.pack(MAGIC, *shape, crc))
    file.flush()


def features_key(audio: Audio, bundle: Bundle, device: str, runtime: str) -> str:
    """What decides the features of a recording: sha256.

    Args:
        audio: its samples count, not its file: another file with the same sound is the same recording.
        device, runtime: where the encoder runs, and the version of ONNX Runtime.
    """
    form = bundle.audio_encoder
    content = {
        "version": VERSION,
        "samples": hashlib.sha256(np.ascontiguousarray(audio.samples).data).hexdigest(),
        "seconds": str(audio.seconds),
        "encoder": bundle.files["audio_encoder.onnx"]["sha256"],
        "form": [form.rate, str(form.feature_rate), form.dim, form.stack, form.chunk_seconds, form.overlap_seconds],
        "fps": str(bundle.fps),
        "device": device,
        "runtime": runtime,
        "processor": _processor(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def _processor() -> str:
    """The processor's model: kernels differ between them in the last bits, and a cache may be shared by machines."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()}"


def limit_from_environment() -> int:
    """Bytes that the cache may hold, by `MSMD_FEATURE_CACHE`; 0 is off."""
    wish = os.environ.get(VARIABLE, "").strip() or DEFAULT_LIMIT
    if wish.lower() in ("off", "0", "no", "false"):
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]B)", wish.upper())
    if found is None:
        raise UsageError(f"{VARIABLE}={wish} is no size", hint=f"give off, or a size such as 500MB or {DEFAULT_LIMIT}")
    return int(float(found[1]) * UNITS[found[2]])
