"""Files that can be made again, kept in a folder: each under a name that says everything that decides its content.

A file holds its content and then a trailer with the content's length and checksum. It is written under another name and
put in place whole, so many processes may use a folder at once. What is damaged, cut off or foreign is not believed:
whoever asks makes it again. When the folder outgrows its limit, files go that were used longest ago. A folder that
cannot be written (no place left, no permission) is no error: nothing is kept then.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar

from msmdcli.errors import UsageError
from msmdcli.paths import cache_dir

TRAILER = struct.Struct("<8sQI")  # magic, bytes of content, crc32 of them
MAGIC = b"MSMDkept"
BLOCK_BYTES = 1 << 18
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
Bytes = bytes | memoryview


class KeptFiles:
    """A folder of kept files. A subclass says of what. May be used from several threads.

    Args:
        folder: made when the first file is kept; None is the one in the user's cache.
        limit: bytes that it may hold, 0 keeps nothing and finds nothing; None is what the environment says.

    Raises:
        UsageError: the environment variable makes no sense.
    """

    NAME: ClassVar[str]  # of the folder in the user's cache
    SUFFIX: ClassVar[str]  # of its files
    VARIABLE: ClassVar[str]  # environment variable that sets the limit
    DEFAULT_LIMIT: ClassVar[str]  # where that is not set

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        self.folder = folder or cache_dir() / self.NAME
        self.limit = self.usual_limit() if limit is None else limit
        self._unchecked = self.limit  # bytes written since the folder was measured: the first one measures it
        self._lock = threading.Lock()

    @classmethod
    def usual_limit(cls) -> int:
        """Bytes that the folder may hold, by the environment; 0 is off."""
        return limit_from_environment(cls.VARIABLE, cls.DEFAULT_LIMIT)

    def path(self, key: str) -> Path:
        """Where the file of a key is, if there is one."""
        return self.folder / f"{key}{self.SUFFIX}"

    def open(self, key: str) -> tuple[IO[bytes], int] | None:
        """A file that is whole, at its start, and the bytes of its content; None where there is none or a damaged
        one."""
        path = self.path(key)
        try:
            file = path.open("rb") if self.limit else None
        except OSError:
            return None
        if file is None:
            return None
        try:
            length = checked_length(file)
        except OSError:
            length = None
        if length is None:
            file.close()
            return None
        with suppress(OSError):  # a folder that may only be read serves, too
            os.utime(path)
        return file, length

    def read(self, key: str) -> bytes | None:
        """The content of a file that is whole, else None."""
        found = self.open(key)
        return None if found is None else read_whole(*found)

    def keep(self, key: str, content: Iterable[Bytes]) -> bool:
        """Keep what comes, whole or not at all; whether that went well."""
        if not self.limit:
            return False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
                temporary = Path(file.name)
                try:
                    length = write_checked(file, content)
                    file.close()
                    temporary.replace(self.path(key))
                except BaseException:
                    file.close()
                    temporary.unlink(missing_ok=True)
                    raise
        except OSError:
            return False
        self._written(length + TRAILER.size)
        return True

    def size(self) -> tuple[int, int]:
        """Files in the folder, and their bytes."""
        sizes = [size for _, size, _ in self._files()]
        return len(sizes), sum(sizes)

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
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                except OSError:
                    continue  # somebody else was faster, or (Windows) reads it
                excess -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When used, bytes, path. Temporary ones that a kill has left count too, and age like the others."""
        for path, stat in _entries(self.folder):
            inside = sum(part.st_size for _, part in _entries(path)) if path.is_dir() else stat.st_size
            yield stat.st_mtime, inside, path


def write_checked(file: IO[bytes], content: Iterable[Bytes]) -> int:
    """Write content as it comes, then its trailer; returns the bytes of the content."""
    length = crc = 0
    for block in content:
        length, crc = length + len(block), zlib.crc32(block, crc)
        file.write(block)
    file.write(TRAILER.pack(MAGIC, length, crc))
    file.flush()
    return length


def checked_length(file: IO[bytes]) -> int | None:
    """Bytes of the content of an open file that is whole, else None. The file is at its start afterwards."""
    length = file.seek(0, os.SEEK_END) - TRAILER.size
    if length < 0:
        return None
    file.seek(length)
    magic, stated, expected = TRAILER.unpack(file.read(TRAILER.size))
    if magic != MAGIC or stated != length:
        return None
    file.seek(0)
    crc = 0
    for block in blocks(file, length):
        crc = zlib.crc32(block, crc)
    file.seek(0)
    return length if crc == expected else None


def read_whole(file: IO[bytes], length: int) -> bytes | None:
    """The content of a file that is at its start, and close it; None where the disk gives up."""
    try:
        with file:
            content = file.read(length)
    except OSError:
        return None
    return content if len(content) == length else None


def blocks(file: IO[bytes], length: int) -> Iterator[memoryview]:
    """The next `length` bytes of a file, in pieces that are valid until the next; fewer where it ends before."""
    place = memoryview(bytearray(min(BLOCK_BYTES, max(length, 1))))
    while length > 0 and (count := file.readinto(place[: min(len(place), length)])):  # type: ignore[attr-defined]
        yield place[:count]
        length -= count


def limit_from_environment(variable: str, otherwise: str) -> int:
    """Bytes that a folder may hold: what an environment variable says (`500MB`, `20GB`, `off`), 0 for `off`.

    Args:
        variable: its name.
        otherwise: what counts where it is not set.

    Raises:
        UsageError: it makes no sense.
    """
    wish = os.environ.get(variable, "").strip() or otherwise
    if wish.lower() in ("off", "0", "no", "false"):
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]B)", wish.upper())
    if found is None:
        raise UsageError(f"{variable}={wish} is no size", hint=f"give off, or a size such as 500MB or {otherwise}")
    return int(float(found[1]) * UNITS[found[2]])


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What is in a folder, and what the system knows of it; what vanishes meanwhile is left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            stat = entry.stat()
        except OSError:
            continue
        yield Path(entry.path), stat
