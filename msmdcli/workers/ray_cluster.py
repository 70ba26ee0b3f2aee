"""Workers of a Ray cluster (`--engine ray`): one actor loads the models once and makes many lines.

Without an address Ray runs on this machine and needs no set-up. With one (`--ray-address`, or the environment variable
RAY_ADDRESS) the workers are those of a cluster, on whose nodes the same version of MSMD is installed and recordings,
styles, bundle and OUT lie at the same paths as here (shared storage). Workers write the files, under temporary names in
OUT; the driver puts them in place and keeps the ledger, as it does for local workers.

What is lost comes back: the lines of a dead worker or node are tried again elsewhere, each alone, and fail after
`TRIES` workers have died on them. Nodes that join while the batch runs get workers, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmdcli import __version__
from msmdcli.errors import MsmdError, UsageError, install_command
from msmdcli.system import machine
from msmdcli.workers.dispatch import Dispatcher
from msmdcli.workers.line_worker import LineWorker, WorkerConfig, places_of
from msmdcli.workers.task import LineTask, Outcome

TRIES = 3  # workers that may die on a line; nodes are lost for reasons of their own, so more than locally
LOAD_TRIES = 3  # workers in a row that may fail while they load, before no more are started
LOOK_AGAIN = 5.0  # seconds between two looks at how many workers the cluster has room for
PATIENCE = 60.0  # seconds without any worker before a warning
OBJECT_STORE = 128 << 20  # bytes, on this machine; tasks and outcomes are small and motion never goes through Ray


@dataclass(frozen=True)
class _Hello:
    """What a worker says when it is ready.

    Attributes:
        places: lines that it may hold at once.
        node: its host's name.
        kind: of processor and libraries; workers of different kinds may differ in the last bits.
    """

    places: int
    node: str
    kind: str


class _Worker:
    """The actor. Its lines go through one `LineWorker`, in a thread of its own, so that they share ONNX calls."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[LineTask] = queue.SimpleQueue()
        self._promised: dict[str, Future[Outcome]] = {}

    async def load(self, config: WorkerConfig, version: str, bundle: str, seen: Path) -> _Hello | MsmdError:
        """Load the models, unless this node is not fit for the batch.

        Args:
            version: of MSMD, at the driver.
            bundle: sha256 of its bundle.json.
            seen: a file that the driver has put into OUT.
        """
        from msmdcli.model.bundle import Bundle

        node = platform.node()
        try:
            if version != __version__:
                raise MsmdError(f"node {node} has msmd {__version__}, not {version}", hint="install one version on all")
            if not seen.is_file():
                raise MsmdError(f"node {node} does not see {seen.parent}", hint="OUT must be on shared storage")
            if Bundle.load(config.bundle, verify=False).sha256 != bundle:
                raise MsmdError(f"node {node} has another bundle at {config.bundle}", hint="copy the driver's there")
            worker = config.make_worker()
        except MsmdError as error:
            return error
        threading.Thread(target=self._run, args=(worker,), name="msmd-lines", daemon=True).start()
        return _Hello(places_of(worker), node, _kind())

    async def make(self, task: LineTask) -> Outcome:
        """Make one line; many calls may wait here at once."""
        promise: Future[Outcome] = Future()
        self._promised[task.id] = promise
        self._tasks.put(task)
        return await asyncio.wrap_future(promise)

    def _run(self, worker: LineWorker) -> None:
        try:
            for outcome in worker.run(iter(self._tasks.get, None)):
                self._promised.pop(outcome.id).set_result(outcome)
        except BaseException:
            traceback.print_exc()  # into Ray's log of this worker
            os._exit(1)  # the driver sees a lost worker and tries its lines elsewhere


@dataclass
class _Member:
    """A worker as the driver sees it."""

    actor: Any
    hello: _Hello | None = None


Message = tuple[int, "str | None", "Future[Any]"]  # worker, line (None: it has loaded), what came of it


def run_with_ray(
    config: WorkerConfig,
    tasks: Sequence[LineTask],
    jobs: int | None,
    address: str | None,
    seen: Path,
    bundle: str,
    warn: Callable[[str], None],
) -> Iterator[Outcome]:
    """Make lines in workers of a Ray cluster; an outcome per task, in the order in which they are done.

    Args:
        config: of every worker.
        tasks: in the order in which they should start.
        jobs: workers; None is as many as the cluster has cores for (or GPUs, for device cuda).
        address: of a cluster, as `ray.init` takes it; None is RAY_ADDRESS, else this machine.
        seen: a file in OUT that does not exist; it is there meanwhile, so that each worker sees that OUT is shared.
        bundle: sha256 of the bundle.
        warn: called with what is not right but stops nothing.

    Raises:
        MsmdError: Ray is missing, the cluster cannot be reached, no worker can start at all.
    """
    with connected(address) as ray, _there(seen):
        crew = _Crew(ray, config, jobs, bundle, seen, warn)
        dispatcher: Dispatcher[int] = Dispatcher(tasks, TRIES)
        try:
            while not dispatcher.finished:
                crew.grow(dispatcher.unstarted)
                for number, task in dispatcher.hand_out(crew.places()):
                    crew.send(number, task)
                try:
                    number, line, answer = crew.messages.get(timeout=LOOK_AGAIN)
                except queue.Empty:
                    continue
                yield from crew.take(number, line, answer, dispatcher)
        finally:
            crew.dismiss()


class _Crew:
    """The workers, and the messages that come from them."""

    def __init__(
        self, ray: Any, config: WorkerConfig, jobs: int | None, bundle: str, seen: Path, warn: Callable[[str], None]
    ) -> None:
        self._ray = ray
        self._jobs, self._bundle, self._seen, self._warn = jobs, bundle, seen, warn
        self._cores = max(1, config.threads)
        self._gpus = 1 if config.device == "cuda" else 0
        self._config = ray.put(config)  # styles and all: sent to each node once
        self._actor = ray.remote(num_cpus=self._cores, num_gpus=self._gpus, max_restarts=0, max_task_retries=0)(_Worker)
        self._members: dict[int, _Member] = {}
        self._next = 0
        self._looked = -LOOK_AGAIN
        self._unfit = 0  # workers in a row that could not load
        self._alone_since = time.monotonic()
        self._kinds: set[str] = set()
        self._told: set[str] = set()
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def places(self) -> dict[int, int]:
        """As `Dispatcher.hand_out` wants it."""
        return {number: member.hello.places if member.hello else 0 for number, member in self._members.items()}

    def grow(self, lines: int) -> None:
        """Start workers where there is room for them and lines to make."""
        now = time.monotonic()
        if now - self._looked < LOOK_AGAIN or not lines:
            return
        self._looked = now
        room = self._room()
        wanted = min(room if self._jobs is None else min(self._jobs, room), lines + len(self._members))
        if room == 0 and not self._members:
            what = "GPU" if self._gpus else f"node with {self._cores} cores"
            raise MsmdError(f"the Ray cluster has no {what} for a worker", hint="see `ray status`, or lower --threads")
        while len(self._members) < wanted and self._unfit < LOAD_TRIES:
            actor = self._actor.remote()
            number, self._next = self._next, self._next + 1
            self._members[number] = _Member(actor)
            self._expect(number, None, actor.load.remote(self._config, __version__, self._bundle, self._seen))
        if any(member.hello for member in self._members.values()):
            self._alone_since = now
        elif now - self._alone_since > PATIENCE:
            self._tell("no Ray worker has started yet: the cluster may be busy (`ray status` tells)")

    def _room(self) -> int:
        """Workers that the living nodes have cores (and GPUs) for, busy or not."""
        room = 0
        for node in self._ray.nodes():
            has = node["Resources"] if node["Alive"] else {}
            places = int(has.get("CPU", 0) // self._cores)
            room += min(places, int(has.get("GPU", 0))) if self._gpus else places
        return room

    def send(self, number: int, task: LineTask) -> None:
        """Hand a line to a worker."""
        self._expect(number, task.id, self._members[number].actor.make.remote(task))

    def _expect(self, number: int, line: str | None, reference: Any) -> None:
        reference.future().add_done_callback(lambda answer: self.messages.put((number, line, answer)))

    def take(
        self, number: int, line: str | None, answer: Future[Any], dispatcher: Dispatcher[int]
    ) -> Iterator[Outcome]:
        """Act on a message: an outcome, a worker that is ready, a worker that is gone."""
        error = answer.exception()
        value = None if error else answer.result()
        member = self._members.get(number)
        if member is None:  # it was given up before
            if isinstance(value, Outcome):
                for written in value.written:
                    written.abandon()
            return
        if isinstance(value, Outcome):
            dispatcher.done(number, value.id)
            yield value
        elif isinstance(value, _Hello):
            member.hello, self._unfit = value, 0
            self._compare(value)
        elif line is None:
            self._lose(number)
            self._unfit += 1
            reason = value if isinstance(value, MsmdError) else _load_error(error)
            if not self._members and self._unfit >= LOAD_TRIES:
                raise reason
            if isinstance(value, MsmdError):
                self._tell(str(reason))
        else:
            self._lose(number)
            yield from dispatcher.died(number, _why(error), "see Ray's logs; memory may be short on its node")

    def _lose(self, number: int) -> None:
        member = self._members.pop(number)
        self._ray.kill(member.actor, no_restart=True)
        self._looked = -LOOK_AGAIN  # see at once whether there is room for another

    def _compare(self, hello: _Hello) -> None:
        self._kinds.add(hello.kind)
        if len(self._kinds) > 1:
            self._tell(
                "the workers' processors or libraries differ, and with them perhaps the last bits of the outputs: "
                + "; ".join(sorted(self._kinds))
            )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._warn(text)

    def dismiss(self) -> None:
        """End all workers; what they are making is left under temporary names."""
        for member in self._members.values():
            self._ray.kill(member.actor, no_restart=True)
        self._members.clear()


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster; one that is already connected is used and stays so."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs Ray, which is not installed", hint=install_command("cpu,ray")) from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        with _interrupts_later():
            if address:
                ray.init(address, **quiet)
            else:
                store: dict[str, Any] = {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
                ray.init("local", num_cpus=machine.available_cores(), **store, **quiet)
    except Exception as error:  # a node that starts too slowly is one without a class of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MsmdError(
            f"no Ray cluster answers at {address}: {first}" if address else f"Ray cannot start here: {first}",
            hint="an address is HOST:6379 on a node of the cluster, or ray://HOST:10001 from outside",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back: Ray starts processes meanwhile and would lose them, and sets a handler itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            raise KeyboardInterrupt


@contextmanager
def _there(path: Path) -> Iterator[None]:
    """An empty file that is there meanwhile."""
    path.touch()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _load_error(error: BaseException | None) -> MsmdError:
    text = str(error)
    if "No module named" in text:
        hint = f"{install_command('cpu,ray')}, on every node"
        return MsmdError("the nodes of the Ray cluster have no msmd installed", hint=hint)
    return MsmdError(f"a Ray worker ended while it loaded the models {_why(error)}", hint="memory may be short there")


def _why(error: BaseException | None) -> str:
    text = str(error).lower()
    if "node has died" in text or "node died" in text or "node was terminated" in text:
        return "(its node was lost)"
    if "memory" in text or "oom" in text:
        return "(its node ran out of memory)"
    return "(its process ended)"


def _kind() -> str:
    """Processor and libraries of this node, in words."""
    import numpy
    import onnxruntime

    model = machine.processor_model() or platform.machine()
    return f"{model}, onnxruntime {onnxruntime.__version__}, numpy {numpy.__version__}"
