"""Speed compared with speed: the same answer on a fast machine, a slow one and a busy one."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

ROUNDS = 20


def of_children() -> float:
    """Seconds that processes which have ended have computed for this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def least_ratio(
    ours: Callable[[], object],
    other: Callable[[], object],
    limit: float,
    clock: Callable[[], float] = time.thread_time,
) -> float:
    """What `ours` costs against `other`, both in computing time: the least of some rounds.

    A busy machine makes single rounds dear; a program that has become slower is dearer in each. So the first round
    below `limit` settles it.
    """
    found = []
    for _ in range(ROUNDS):
        times = [clock()]
        for call in (ours, other):
            call()
            times.append(clock())
        found.append((times[1] - times[0]) / max(times[2] - times[1], 1e-9))
        if found[-1] < limit:
            break
    return min(found)
