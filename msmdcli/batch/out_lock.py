"""One batch at a time in one OUT: two at once would sweep away each other's temporary files and reports.

The lock is the operating system's, on a file in OUT that is there while a batch runs. It ends with its process, however
that ends: a file that a kill has left blocks nobody. On file systems without locks (some network shares) a batch runs
without one, as it would have to anyway.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msmdcli.errors import MsmdError, UsageError

NAME = ".msmd-lock"
TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)  # what a lock that another has is called, here or there
TRIES = 100  # some file systems never say twice that a file is the same
BEYOND = 1 << 30  # the byte that Windows locks: after the text, which others may then read


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Within `with`, no other batch works in OUT. The folder is made; it goes again if nothing was put into it.

    Raises:
        UsageError: another batch works there.
        MsmdError: OUT cannot be written.
    """
    path = out / NAME
    if path.is_symlink():  # what is written into it would land wherever the link leads
        raise MsmdError(f"{path} is a link", hint="remove it, or choose another --out")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path)
    except OSError as error:
        raise MsmdError(f"{out} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is ours; Windows does so only once it is closed
        os.close(descriptor)
        with suppress(OSError):
            if sys.platform == "win32":
                path.unlink()
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _take(path: Path) -> int:
    """The descriptor of the locked file."""
    for left in reversed(range(TRIES)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _lock(descriptor):
                who = ""
                with suppress(OSError):  # on SMB shares nobody may read what another has locked
                    who = os.read(descriptor, 200).decode(errors="replace").strip()
                raise UsageError(
                    f"another batch is at work in {path.parent}" + (f" ({who})" if who else ""),
                    hint="wait until it has ended, or choose another --out",
                )
            if not left or _is(descriptor, path):
                os.truncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the one before us has ended, and removed it, since we opened it: again
    raise AssertionError  # the last time it is taken as it is


def _is(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that is there."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Lock a file; the result is False if another process has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, BEYOND, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in TAKEN  # else there are no locks here
    return True
