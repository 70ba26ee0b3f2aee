"""Several workers on this machine, each in a process of its own (`--jobs`).

Every worker loads the models once and is handed lines as it finishes others. A worker that dies (memory, a crash in a
driver) takes nobody with it; see `Dispatcher`.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from msmdcli.errors import MsmdError
from msmdcli.system import machine
from msmdcli.workers.dispatch import Dispatcher
from msmdcli.workers.line_worker import WorkerConfig, places_of
from msmdcli.workers.task import LineTask, Outcome

MEMORY_HINT = "memory may be short: lower --jobs, or animate this line alone"


def cores_divided(jobs: int | None, threads: int, lines: int) -> tuple[int, int]:
    """(workers, threads of each); together they never ask for more threads than there are cores.

    Args:
        jobs: workers that were asked for; None is one.
        threads: of each, that were asked for; 0 divides the cores among the workers.
        lines: how many there are to make; a worker without a line is of no use.
    """
    cores = machine.available_cores()
    if jobs is None or jobs == 1:
        return 1, min(threads, cores)
    jobs = min(jobs, lines, cores)
    return jobs, min(threads or cores, max(1, cores // jobs))


class _Process:
    """A worker's process as its parent sees it."""

    def __init__(self, config: WorkerConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_main, args=(config, theirs), daemon=True)
        with _interrupts_held(), machine.thread_limit(config.threads):
            self.process.start()
        theirs.close()
        self.places = 0  # lines it may hold at once; it says how many when it is ready

    def send(self, task: LineTask) -> None:
        try:
            self.connection.send(task)
        except (BrokenPipeError, ConnectionError):
            return  # it died; the end of its connection will tell

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()  # whoever sweeps up after it comes after it
        self.connection.close()


def run_in_processes(config: WorkerConfig, tasks: Sequence[LineTask], jobs: int) -> Iterator[Outcome]:
    """Make lines in `jobs` processes; an outcome per task, in the order in which they are done.

    Raises:
        MsmdError: a worker could not start at all (bundle, device).
    """
    dispatcher: Dispatcher[_Process] = Dispatcher(tasks)
    workers: list[_Process] = []
    try:
        for _ in range(min(jobs, len(tasks))):
            workers.append(_Process(config))
        while not dispatcher.finished:
            for worker, task in dispatcher.hand_out({worker: worker.places for worker in workers}):
                worker.send(task)
            ready = wait([worker.connection for worker in workers])
            for worker in list(workers):
                if worker.connection not in ready:
                    continue
                try:
                    message = worker.connection.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    worker.stop()
                    if worker.places:
                        why = f"(exit code {worker.process.exitcode})"
                        yield from dispatcher.died(worker, why, MEMORY_HINT)
                        if dispatcher.unstarted:
                            workers.append(_Process(config))
                    elif not workers:  # while others live, they do its work
                        raise MsmdError(
                            f"a worker process died while it loaded the models (exit code {worker.process.exitcode})",
                            hint="memory may be short: lower --jobs",
                        ) from None
                    continue
                if isinstance(message, Outcome):
                    dispatcher.done(worker, message.id)
                    yield message
                elif isinstance(message, MsmdError):
                    raise message
                else:
                    worker.places = message
    finally:
        for worker in workers:
            worker.stop()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C from a process that is being started: it inherits that the signal waits. Ours is delivered after."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when it is started with the first process, it lets the signal through again
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
        hello: int | MsmdError = places_of(worker)
    except MsmdError as error:
        hello = error
    try:
        connection.send(hello)
    except (BrokenPipeError, ConnectionError):
        return
    if isinstance(hello, MsmdError):
        return

    def tasks() -> Iterator[LineTask]:
        try:
            while True:
                yield connection.recv()
        except (EOFError, OSError):  # the parent is gone
            return

    try:
        for outcome in worker.run(tasks()):
            try:
                connection.send(outcome)
            except (BrokenPipeError, ConnectionError):  # the parent is gone: nobody will put the files in place
                for written in outcome.written:
                    written.abandon()
                return
    finally:
        connection.close()
