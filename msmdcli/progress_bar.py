"""The progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._done = progress, task, 0

    def advance(self, amount: float, done: int = 1) -> None:
        self._done += done
        self._progress.update(self._task, advance=amount, done=self._done)


@contextmanager
def bar(what: str, total: float, items: int, stream: IO[str]) -> Iterator[_Bar]:
    """Show a bar with items done, time spent and time left while the block runs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}/{task.fields[items]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=RichConsole(file=stream)) as progress:
        yield _Bar(progress, progress.add_task(what, total=max(total, 1e-9), done=0, items=items))
