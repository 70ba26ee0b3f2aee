"""Many clips on a Ray cluster, a task each. All nodes must see clips and data set under the same paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from msmdcli.system.processes import ProcessDied
from msmdcli.workers.ray_cluster import connected

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4  # tasks handed out per core, so that no node waits for the driver


def in_ray(function: Callable[[T], R], tasks: Sequence[T], address: str | None) -> Iterator[tuple[T, R | ProcessDied]]:
    """`function` of each task, in the order in which they are done. What it raises is raised here. A worker that dies
    is replaced once; then the task is given up.

    Args:
        function, tasks: can be pickled.
        address: of a cluster, as `ray.init` takes it; None is RAY_ADDRESS, else this machine.
    """
    with connected(address) as ray:
        remote = ray.remote(num_cpus=1, max_retries=1)(function)
        waiting = list(tasks)[::-1]
        out: dict[Any, T] = {}
        while waiting or out:
            room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(out) < room:
                task = waiting.pop()
                out[remote.remote(task)] = task
            done, _ = ray.wait(list(out), num_returns=1)
            for reference in done:
                task = out.pop(reference)
                try:
                    yield task, ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.as_instanceof_cause() from error
                except ray.exceptions.RayError as error:
                    yield task, ProcessDied(str(error))
