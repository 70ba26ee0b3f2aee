"""Prepare things in background threads, a few ahead of where they are used, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

PATIENCE = 0.05  # seconds to wait for the next thing where there is something else to do

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    items: Iterable[T], prepare: Callable[[T], R], threads: int, ahead: int, busy: Callable[[], bool]
) -> Generator[tuple[T, R | Exception] | None]:
    """Items with what `prepare` made of them, or the error that it raised.

    Args:
        items: taken one by one as places become free, in a thread of their own, so taking one may wait.
        prepare: called in one of `threads` threads.
        ahead: items taken but not yet used, at most (one more while it waits for a place).
        busy: whether the user has something else to do; then None is given where the next item is not ready.
    """
    ready: queue.Queue[tuple[T, Future[R]] | BaseException | None] = queue.Queue(ahead)
    stop = threading.Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="msmd-read")

    def put(entry: tuple[T, Future[R]] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def feed() -> None:
        try:
            for item in items:
                if stop.is_set():
                    return
                put((item, pool.submit(prepare, item)))
            put(None)
        except BaseException as error:
            put(error)

    feeder = threading.Thread(target=feed, name="msmd-feed", daemon=True)
    feeder.start()
    try:
        while True:
            try:
                entry = ready.get(timeout=PATIENCE if busy() else None)
            except queue.Empty:
                yield None
                continue
            if entry is None:
                return
            if isinstance(entry, BaseException):
                raise entry
            item, future = entry
            while not future.done() and busy():
                try:
                    future.exception(timeout=PATIENCE)
                except TimeoutError:
                    yield None
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield item, future.result() if error is None else error
    finally:
        # Threads that work while the interpreter ends would crash it: wait for what they have begun.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        feeder.join(timeout=10)
