"""Ctrl-C and SIGTERM, remembered.

Python turns them into a KeyboardInterrupt wherever the program happens to be. Some places lose it: a callback of the
interpreter prints and forgets it, the start of an extension module makes an ImportError of it. Whoever works for long
asks `check` now and then, and takes an error that comes after an interrupt for its consequence.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)  # a terminal's Ctrl-C; what a farm sends before it kills


class Interrupts:
    """Within `with`, both signals raise KeyboardInterrupt and are remembered. Signals that are ignored stay so.

    Attributes:
        came: whether one came.
    """

    def __init__(self) -> None:
        self.came = False
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                if signal.getsignal(number) != signal.SIG_IGN:  # as a shell starts background jobs
                    self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within `with`, an interrupt waits: what belongs together happens whole. It is raised at the end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if one came and was lost."""
        if self.came:
            raise KeyboardInterrupt
