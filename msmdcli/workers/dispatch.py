"""Who makes which line: lines are handed to workers that may die, and every line gets exactly one outcome.

The policy is the same for processes on this machine and for workers of a Ray cluster. Lines go out in the order given
(the longest first), as many to a worker as it has places. When a worker dies, the lines that it held are suspects: each
is tried again alone, so that one that kills its worker takes no other with it. A line is given up when workers have
died on it `tries` times while it was alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from msmdcli.errors import MsmdError
from msmdcli.workers.task import LineTask, Outcome

W = TypeVar("W", bound=Hashable)  # how an engine knows its workers


class Dispatcher(Generic[W]):
    """Lines that wait, lines that are out, and lines that were out when a worker died.

    Args:
        tasks: in the order in which they should start.
        tries: workers that may die on a line while it is alone, before it fails.
    """

    def __init__(self, tasks: Sequence[LineTask], tries: int = 1) -> None:
        self._waiting = deque(tasks)
        self._suspects: deque[LineTask] = deque()
        self._held: dict[W, dict[str, LineTask]] = {}  # worker -> line id -> task
        self._tries = tries
        self._deaths: dict[str, int] = {}  # line id -> workers that died on it while it was alone

    @property
    def finished(self) -> bool:
        """Whether every line has its outcome."""
        return not self.unstarted and not any(self._held.values())

    @property
    def unstarted(self) -> int:
        """Lines that no worker holds."""
        return len(self._waiting) + len(self._suspects)

    def held(self, worker: W) -> int:
        """Lines that a worker holds."""
        return len(self._held.get(worker, ()))

    def hand_out(self, places: Mapping[W, int]) -> list[tuple[W, LineTask]]:
        """Lines for workers with free places; they hold them from now on.

        Near the end no worker takes more than its share of what is left, so that none is still busy when the others
        have long finished.

        Args:
            places: every worker -> lines that it may hold at once; 0 while it is not ready.
        """
        given: list[tuple[W, LineTask]] = []

        def give(worker: W, task: LineTask) -> None:
            self._held.setdefault(worker, {})[task.id] = task
            given.append((worker, task))

        if not self.unstarted:
            return given
        alone = {worker for worker in places if any(line in self._deaths for line in self._held.get(worker, ()))}
        ready = sorted((worker for worker in places if places[worker] and worker not in alone), key=self.held)
        # As many workers as there are suspects get no other lines until they are empty; the rest go on.
        reserved, rest = ready[: len(self._suspects)], ready[len(self._suspects) :]
        for worker in reserved:
            if not self.held(worker):
                give(worker, self._suspects.popleft())
        left = len(self._waiting) + sum(self.held(worker) for worker in places)
        share = -(-left // len(places))
        while self._waiting and (free := [w for w in rest if self.held(w) < min(places[w], share)]):
            for worker in free[: len(self._waiting)]:  # one each, so that the long lines are spread
                give(worker, self._waiting.popleft())
        return given

    def done(self, worker: W, line_id: str) -> None:
        """A worker has given the outcome of a line."""
        del self._held[worker][line_id]

    def died(self, worker: W, why: str, hint: str) -> list[Outcome]:
        """A worker is gone. The result is the outcome of the line that is given up, if one is.

        Args:
            why: the end of a sentence that begins with "the worker died on this line".
            hint: what the user can do.
        """
        held = list(self._held.pop(worker, {}).values())
        if len(held) == 1:
            (task,) = held
            deaths = self._deaths[task.id] = self._deaths.get(task.id, 0) + 1
            if deaths >= self._tries:
                times = "" if deaths == 1 else f", {deaths} times"
                return [Outcome.failed(task.id, MsmdError(f"the worker died on this line{times} {why}", hint=hint))]
        self._deaths.update({task.id: self._deaths.get(task.id, 0) for task in held})
        self._suspects.extend(held)
        return []
