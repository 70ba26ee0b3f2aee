"""The machine: which processor this is, the cores and threads that a process may use, and its heap."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Libraries with thread pools of their own (BLAS under NumPy): each would take every core, in every process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
LARGE = 1 << 20  # bytes
USUAL = 32 << 20  # bytes: what the library comes to by itself after a large array was freed

_lock = threading.Lock()
_inside = 0


# ---- processor -------------------------------------------------------------------------------------------------------


def processor_name() -> str:
    """The processor as its maker calls it; where the system does not say, its architecture."""
    return processor_model() or platform.processor() or platform.machine()


def processor_model() -> str:
    """What Linux calls the processor's model; empty elsewhere."""
    return _described().get("model name", "")


def processor_kind() -> str:
    """What decides which kernels run, which differ in the last bits: name, architecture, and the instruction sets that
    are switched on here (a virtual machine may hide some of a processor's). Machines may share a cache."""
    described = _described()
    # As x86 and Arm call them.
    switched_on = " ".join(sorted(described.get("flags", described.get("Features", "")).split()))
    return f"{processor_name()} {platform.machine()} {hashlib.sha256(switched_on.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def _described() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        with CPU_INFO.open(encoding="utf-8", errors="replace") as file:
            lines = [line.partition(":") for line in takewhile(str.strip, file)]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in lines if name}


# ---- cores and threads -----------------------------------------------------------------------------------------------


def available_cores() -> int:
    """The cores that this process may use: affinity and, in a container, the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control group, or an older kind: the affinity stands
    return cores


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Processes that are started meanwhile give no library more threads than this (0: as the library likes)."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if threads:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# ---- heap ------------------------------------------------------------------------------------------------------------


@contextmanager
def uncollected() -> Iterator[None]:
    """While inside, no garbage is collected: reading a large document makes nothing but objects that stay, and looking
    through all of them again and again takes a third of the time. Nor is it looked through later (`gc.freeze`): what is
    in no circle goes without a collector when nobody needs it."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


@contextmanager
def lean_heap() -> Iterator[None]:
    """While inside, in any thread, arrays of a megabyte and more are mapped by themselves, and so go back to the system
    as soon as they are free. Nothing where the C library is another than GNU's.

    That library keeps freed blocks of up to 32 MB for later, once one of that size was freed. A recording of minutes is
    encoded in pieces whose arrays are of many sizes, so what is kept does not fit and the process grows by 100 MB and
    more. Mapping costs a fifth of the encoder's time, so it is asked for long recordings only.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            set_threshold(LARGE)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                set_threshold(USUAL)


def set_threshold(size: int) -> bool:
    """Have the C library map arrays from this size on by themselves; the result is whether it took it."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_THRESHOLD, size))
