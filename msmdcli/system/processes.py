"""Work on many items (videos, say) in processes of their own: one item at a time each, started once.

An item that cannot be done is an error of its own. So is one on which a process dies (memory, a crash in native code):
a new process goes on with the others. Standard error of the processes leads nowhere, as native libraries chatter there;
what is to be said comes back as results, errors and progress. Processes end when their parent does, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

from msmdcli.errors import MsmdError

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T, Callable[[float], None]], R]


class ProcessDied(MsmdError):
    """The processes that worked on an item died."""


@dataclass(frozen=True)
class Done(Generic[R]):
    """An item that is finished.

    Attributes:
        index: its place among the items.
        result: what the work returned, or None.
        error: why it failed, or None.
    """

    index: int
    result: R | None
    error: MsmdError | None


@dataclass(frozen=True)
class ItemProgress:
    """How far an item has come: `amount` is what the work reported (such as seconds of video done)."""

    index: int
    amount: float


@dataclass(frozen=True)
class _Bug:
    """Our own mistake in a process: its traceback, to be raised here."""

    text: str


class _Process(Generic[T, R]):
    def __init__(self, work: Work[T, R]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_main, args=(work, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.index: int | None = None  # of the item that it works on

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def work_on(work: Work[T, R], items: Sequence[T], jobs: int, tries: int = 1) -> Iterator[Done[R] | ItemProgress]:
    """Do `work(item, tell)` on every item in `jobs` processes; `tell(amount)` reports progress.

    Args:
        work: a function at the top level of a module; items and results must be picklable.
        items: in the order in which they should start.
        jobs: processes.
        tries: processes that may die on an item before it fails with `ProcessDied`.

    Yields:
        `ItemProgress` of items, and `Done` exactly once for each, in the order in which they are done.

    Raises:
        RuntimeError: the work raised anything else than an MsmdError; with its traceback.
    """
    waiting = deque(range(len(items)))
    deaths: Counter[int] = Counter()
    workers: list[_Process[T, R]] = []
    try:
        while waiting or any(worker.index is not None for worker in workers):
            while len(workers) < min(jobs, len(waiting) + sum(worker.index is not None for worker in workers)):
                workers.append(_Process(work))
            for worker in workers:
                if worker.index is None and waiting:
                    worker.index = waiting.popleft()
                    _send(worker.connection, (worker.index, items[worker.index]))
            busy = {worker.connection: worker for worker in workers if worker.index is not None}
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    assert worker.index is not None
                    worker.stop()
                    workers.remove(worker)
                    deaths[worker.index] += 1
                    if deaths[worker.index] < tries:
                        waiting.append(worker.index)
                    else:
                        yield Done(worker.index, None, _died(worker.process.exitcode))
                    continue
                if isinstance(message, _Bug):
                    raise RuntimeError(f"in a worker process:\n{message.text}")
                if isinstance(message, Done):
                    worker.index = None
                yield message
    finally:
        for worker in workers:
            worker.stop()


def in_processes(
    function: Callable[[T], R], items: Sequence[T], jobs: int, tries: int = 1
) -> Iterator[tuple[T, R | ProcessDied]]:
    """`function` of each item, in the order in which they are done. What it raises is raised here.

    Args:
        function: at the top level of a module; items and results must be picklable.
        items: in the order in which they should start.
        jobs: processes.
        tries: processes that may die on an item before its result is `ProcessDied`.

    Raises:
        MsmdError: the function raised it.
        RuntimeError: the function raised anything else; with its traceback.
    """
    for step in work_on(partial(_without_progress, function), items, jobs, tries):
        if not isinstance(step, Done):
            continue
        if isinstance(step.error, ProcessDied):
            yield items[step.index], step.error
        elif step.error is not None:
            raise step.error
        else:
            yield items[step.index], step.result  # type: ignore[misc]  # None only where the function returns it


def _without_progress(function: Callable[[T], R], item: T, tell: Callable[[float], None]) -> R:
    return function(item)


def _died(exit_code: int | None) -> ProcessDied:
    return ProcessDied(
        f"the process that worked on it died (exit code {exit_code})", hint="memory may be short: lower --jobs"
    )


def _send(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionError):
        return  # it died; the end of its connection will tell


def _main(work: Work[T, R], connection: Connection) -> None:
    """The process."""
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        while True:
            index, item = connection.recv()

            def tell(amount: float, index: int = index) -> None:
                connection.send(ItemProgress(index, amount))

            try:
                connection.send(Done(index, work(item, tell), None))
            except MsmdError as error:
                connection.send(Done(index, None, error))
            except (BrokenPipeError, ConnectionError):
                return
            except Exception:
                connection.send(_Bug(traceback.format_exc()))
    except (EOFError, OSError):  # the parent is gone
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
