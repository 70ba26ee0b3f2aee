"""Several workers on this machine, each in a process of its own (`--jobs`).

Every worker loads the models once and is handed lines one by one as it finishes others. A worker that dies (memory,
a crash in a driver) takes nobody with it: its lines are tried again one at a time, and only the one on which a
worker dies again is given up.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from msmdcli.bundle import Bundle
from msmdcli.engine import Engine, Sampling, StyleCode
from msmdcli.errors import MsmdError
from msmdcli.line_worker import AHEAD, LineTask, LineWorker, Outcome


@dataclass(frozen=True)
class WorkerConfig:
    """What a process needs to build its worker.

    Attributes:
        bundle: the folder.
        device, threads, max_batch, sampling: see `Engine`.
        styles: encoded styles by the keys that tasks use.
    """

    bundle: Path
    device: str
    threads: int
    max_batch: int | None
    sampling: Sampling
    styles: Mapping[str, StyleCode | None]

    def make_worker(self) -> LineWorker:
        """Load the models."""
        engine = Engine(
            Bundle.load(self.bundle, verify=False), self.device, self.threads, self.max_batch, self.sampling
        )
        engine.load()
        return LineWorker(engine, self.styles)


class _Process:
    """A worker's process as its parent sees it."""

    def __init__(self, config: WorkerConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_main, args=(config, theirs), daemon=True)
        with _interrupts_held():
            self.process.start()
        theirs.close()
        self.tasks: dict[str, LineTask] = {}  # handed over, no outcome yet
        self.places = 1  # lines it may hold at once; it says how many when it is ready
        self.ready = False
        self.ended = False  # it was told that there is no more

    def send(self, task: LineTask) -> None:
        self.tasks[task.id] = task
        self.connection.send(task)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
        self.connection.close()


def run_in_processes(config: WorkerConfig, tasks: Sequence[LineTask], jobs: int) -> Iterator[Outcome]:
    """Make lines in `jobs` processes; an outcome per task, in the order in which they are done.

    Raises:
        MsmdError: a worker could not start at all (bundle, device).
    """
    waiting = deque(tasks)
    suspects: deque[LineTask] = deque()  # they were in flight when a worker died: alone, one at a time
    workers = [_Process(config) for _ in range(min(jobs, len(tasks)))]
    try:
        while waiting or suspects or any(worker.tasks for worker in workers):
            if (waiting or suspects) and all(worker.ended for worker in workers):
                workers.append(_Process(config))
            for worker in workers:
                _hand_out(worker, waiting, suspects)
            ready = wait([worker.connection for worker in workers])
            for worker in list(workers):
                if worker.connection not in ready:
                    continue
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    worker.stop()
                    if not worker.ended or worker.tasks:
                        yield from _after_death(worker, suspects)
                        if waiting or suspects:
                            workers.append(_Process(config))
                    continue
                if isinstance(message, Outcome):
                    del worker.tasks[message.id]
                    yield message
                elif isinstance(message, MsmdError):
                    raise message
                else:
                    worker.places, worker.ready = message, True
    finally:
        for worker in workers:
            worker.stop()


def _hand_out(worker: _Process, waiting: deque[LineTask], suspects: deque[LineTask]) -> None:
    if not worker.ready or worker.ended:
        return
    try:
        if suspects:
            if not worker.tasks:
                worker.send(suspects.popleft())
            return
        while waiting and len(worker.tasks) < worker.places:
            worker.send(waiting.popleft())
        if not waiting:
            worker.connection.send(None)
            worker.ended = True
    except (BrokenPipeError, ConnectionError):
        return  # it died; the task is among its tasks, and the end of its connection will tell


def _after_death(worker: _Process, suspects: deque[LineTask]) -> Iterator[Outcome]:
    if not worker.ready:
        raise MsmdError(
            f"a worker process died while it loaded the models (exit code {worker.process.exitcode})",
            hint="memory may be short: lower --jobs",
        )
    if len(worker.tasks) == 1:
        (task,) = worker.tasks.values()
        error = MsmdError(
            f"the worker process died on this line (exit code {worker.process.exitcode})",
            hint="memory may be short: lower --jobs, or animate this line alone",
        )
        yield Outcome.failed(task.id, error)
        return
    suspects.extend(worker.tasks.values())


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C from a process that is being started: it inherits that the signal waits. Ours is delivered after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _main(config: WorkerConfig, connection: Connection) -> None:
    """The worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    try:
        worker = config.make_worker()
    except MsmdError as error:
        connection.send(error)
        return
    connection.send(worker.engine.max_batch + AHEAD)

    def tasks() -> Iterator[LineTask]:
        try:
            while (task := connection.recv()) is not None:
                yield task
        except (EOFError, OSError):  # the parent is gone
            return

    try:
        for outcome in worker.run(tasks()):
            connection.send(outcome)
    except (BrokenPipeError, ConnectionError):
        return
