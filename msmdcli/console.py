"""All talk of the command line: progress, warnings and errors on stderr; with --json, one event per line on stdout."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from msmdcli.errors import MsmdError

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

INTERRUPTED = 130  # exit code after Ctrl-C, as the shell has it: 128 + SIGINT
PLAIN_EVERY = 10.0  # seconds between two lines of progress where stderr is no terminal

# What may not reach a terminal or a log as it is: control characters (C0, C1, DEL: they start escape sequences), halves
# of surrogate pairs (they stand for bytes of a name that are no UTF-8), line ends of Unicode, and what turns the
# direction of text. A line end followed by two spaces continues one of our own messages.
UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\n(?!  )")
UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

P = ParamSpec("P")
R = TypeVar("R")


def printable(text: object) -> str:
    """A text with its control characters shown as `\\x1b`, `\\n`: it may hold names of files, or words of others."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), str(text))


class Progress(Protocol):
    """What shows how far long work has come."""

    def advance(self, amount: float, done: int = 1) -> None:
        """Some more is done: `amount` of the total, `done` of the items."""
        ...


class Console:
    """Where a command talks. All that it prints is `printable`.

    Args:
        json_lines: events go to stdout as NDJSON.
        verbosity: -1 quiet (warnings and errors only), 0 usual, 1 everything.
        stdout, stderr: the streams; by default the process's.
    """

    def __init__(
        self, json_lines: bool = False, verbosity: int = 0, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ) -> None:
        self.json_lines = json_lines
        self.verbosity = verbosity
        self._given = stdout, stderr

    @property
    def _stdout(self) -> IO[str]:
        return self._given[0] or sys.stdout

    @property
    def _stderr(self) -> IO[str]:
        return self._given[1] or sys.stderr  # looked up each time: a progress bar puts itself between

    def say(self, text: str) -> None:
        """Something the user wants to know."""
        if self.verbosity >= 0:
            print(printable(text), file=self._stderr, flush=True)

    def detail(self, text: str) -> None:
        """Something a curious user wants to know (--verbose)."""
        if self.verbosity > 0:
            print(printable(text), file=self._stderr, flush=True)

    def warn(self, text: str) -> None:
        """Something that is not right but stops nothing."""
        print(f"Warning: {printable(text)}", file=self._stderr, flush=True)

    def error(self, error: MsmdError) -> None:
        """The one place where errors are printed."""
        print(f"Error: {printable(error.message)}", file=self._stderr)
        if error.hint:
            print(f"Hint: {printable(error.hint)}", file=self._stderr)
        self._stderr.flush()

    def result(self, text: str) -> None:
        """What a command was asked for, a line of text; with --json its event takes this place."""
        if not self.json_lines:
            print(printable(text), file=self._stdout, flush=True)

    def event(self, kind: str, **data: Any) -> None:
        """One event, as a line of JSON on stdout; nothing without --json."""
        if self.json_lines:
            line = json.dumps({"event": kind, **data}, ensure_ascii=False)
            line = UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
            print(line, file=self._stdout, flush=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep stdout to ourselves: what a library prints there meanwhile would tear the events and is dropped."""
        before, self._given = self._given, (self._stdout, self._given[1])
        try:
            with Path(os.devnull).open("w") as sink, redirect_stdout(sink):
                yield
        finally:
            self._given = before

    @contextmanager
    def progress(self, what: str, total: float, items: int) -> Iterator[Progress]:
        """Show how far long work has come, with the time left: a bar on a terminal, else a line now and then.

        Args:
            what: the work, in a word or two.
            total: what the amounts of `advance` will add up to (such as seconds of sound).
            items: how many things there are (such as lines).
        """
        if self.verbosity < 0:
            yield _Silent()
        elif self._stderr.isatty():
            with _bar(what, total, items, self._stderr) as shown:
                yield shown
        else:
            yield _Plain(self, what, total, items)


class _Silent:
    def advance(self, amount: float, done: int = 1) -> None:
        pass


class _Plain:
    """Progress in plain lines, for logs."""

    def __init__(self, console: Console, what: str, total: float, items: int) -> None:
        self._console, self._what, self._total, self._items = console, what, max(total, 1e-9), items
        self._amount, self._done = 0.0, 0
        self._begin = self._last = time.monotonic()

    def advance(self, amount: float, done: int = 1) -> None:
        self._amount += amount
        self._done += done
        now = time.monotonic()
        if now - self._last < PLAIN_EVERY or self._done >= self._items:
            return
        self._last = now
        share = min(self._amount / self._total, 1.0)
        left = (now - self._begin) * (1 - share) / max(share, 1e-9)
        self._console.say(f"{self._what}: {self._done}/{self._items}, {share:.0%}, about {duration(left)} left")


class _Bar:
    """Progress as a bar on a terminal."""

    def __init__(self, progress: RichProgress, task: TaskID) -> None:
        self._progress, self._task, self._done = progress, task, 0

    def advance(self, amount: float, done: int = 1) -> None:
        self._done += done
        self._progress.update(self._task, advance=amount, done=self._done)


@contextmanager
def _bar(what: str, total: float, items: int, stream: IO[str]) -> Iterator[_Bar]:
    """Show a bar with items done, time spent and time left while the block runs."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}/{task.fields[items]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=RichConsole(file=stream)) as progress:
        yield _Bar(progress, progress.add_task(what, total=max(total, 1e-9), done=0, items=items))


def duration(seconds: float) -> str:
    """A duration for people: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: user errors become `Error:` and `Hint:` with their exit code, Ctrl-C becomes 130.

    Anything else is our own mistake and keeps its traceback.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MsmdError as error:
            Console().error(error)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            print("Interrupted.", file=sys.stderr)
            raise SystemExit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output has gone, as `head` does
            sys.stderr.close()
            raise SystemExit(1) from None

    return wrapped
