"""Many clips at once: a function over tasks in processes of their own.

A process that dies (a decoder that crashes on a damaged file, memory) takes no other clip with it: the tasks that were
out are tried again one by one, and only the one on which a process dies again is given up. Processes end when their
parent does, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2  # tasks handed out per process


class ProcessDied(Exception):
    """The process that had this task died, twice."""


def in_processes(function: Callable[[T], R], tasks: Sequence[T], jobs: int) -> Iterator[tuple[T, R | ProcessDied]]:
    """`function` of each task, in the order in which they are done. What it raises is raised here.

    Args:
        function: importable by name.
        tasks: can be pickled.
        jobs: processes.
    """
    waiting = list(tasks)[::-1]
    while waiting:
        suspects: list[T] = []
        yield from _run(function, waiting, jobs, suspects)
        for task in suspects:
            dead: list[T] = []
            alone = [task]
            yield from _run(function, alone, 1, dead)
            if dead:
                yield task, ProcessDied("the process died on this clip")


def _run(function: Callable[[T], R], waiting: list[T], jobs: int, suspects: list[T]) -> Iterator[tuple[T, R]]:
    """Run `waiting` from its end until it is empty or a process dies; what was out then goes to `suspects`."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(waiting)), context, initializer=_begin)
    out: dict[Future[R], T] = {}
    broken = False
    try:
        while waiting or out:
            while waiting and len(out) < AHEAD * jobs and not broken:
                task = waiting.pop()
                try:
                    out[pool.submit(function, task)] = task
                except BrokenProcessPool:
                    waiting.append(task)
                    broken = True
            if not out:
                return
            done, _ = wait(out, return_when=FIRST_COMPLETED)
            for future in done:
                task = out.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects.append(task)
                    broken = True
                    continue
                yield task, result
            if broken and not out:
                return
    finally:
        for process in (getattr(pool, "_processes", None) or {}).values():
            if out:  # we are leaving early
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """In a new process: the parent decides what an interrupt means, and its end is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
