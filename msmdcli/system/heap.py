"""Large arrays that go back to the system as soon as they are free, while a long recording is heard.

The GNU C library keeps freed blocks of up to 32 MB for later, once one of that size was freed. A recording of minutes
is encoded in pieces whose arrays are of many sizes, so what is kept does not fit and the process grows by 100 MB and
more. Asked to map each large array by itself, it returns them all; that costs a fifth of the encoder's time, so it is
asked for long recordings only.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
LARGE = 1 << 20  # bytes
USUAL = 32 << 20  # bytes: what the library comes to by itself after a large array was freed

_lock = threading.Lock()
_inside = 0


@contextmanager
def lean_heap() -> Iterator[None]:
    """While inside, in any thread, arrays of a megabyte and more are mapped by themselves. Nothing where the C library
    is another."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set_threshold(LARGE)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set_threshold(USUAL)


def _set_threshold(size: int) -> bool:
    """Whether the library took it."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_THRESHOLD, size))
