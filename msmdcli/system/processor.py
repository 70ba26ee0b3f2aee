"""Which processor this is: kernels differ between processors in the last bits, and machines may share a cache."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """As its maker calls it; where the system does not tell, its architecture."""
    return _described().get("model name") or platform.processor() or platform.machine()


def processor_kind() -> str:
    """What decides which kernels run: name, architecture, and the instruction sets that are switched on here (a virtual
    machine may hide some of a processor's)."""
    told = _described()
    switched_on = " ".join(sorted(told.get("flags", told.get("Features", "")).split()))  # as x86 and Arm call them
    return f"{processor_name()} {platform.machine()} {hashlib.sha256(switched_on.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def _described() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        with CPU_INFO.open(encoding="utf-8") as file:
            lines = [line.partition(":") for line in takewhile(str.strip, file)]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in lines if name}
