"""A batch in processes of its own that halts at a place, so that signals, kills and second batches meet it there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from batch_project import Project
from voice_lines import write_project

# What runs in a process of its own: a batch with two cores, whatever the machine has, whose main thread says so and
# waits right before the COUNT-th call of a function. What is done by then, and what is not, depends on nobody's speed.
HALTING = """
import importlib, os, sys
from msmdcli.system import machine
from msmdcli.cli import main

owner = importlib.import_module(sys.argv.pop(1))
*path, name = sys.argv.pop(1).split(".")
for part in path:
    owner = getattr(owner, part)
count, call = int(sys.argv.pop(1)), getattr(owner, name)

def halting(*arguments, **named):
    global count
    count -= 1
    if not count:
        os.write(1, b'{"event": "halted"}\\n')
        os.read(0, 1)  # signals come meanwhile; the system hands them to the main thread while it waits
    return call(*arguments, **named)

setattr(owner, name, halting)
machine.available_cores = lambda: 2
main()
"""
# Places to halt at, always in the main thread, and how many lines are in place by then (None: that depends).
HALF = ("msmdcli.system.files", "Written.commit", "2")  # one of a line's two files is in place
SECOND = ("msmdcli.system.files", "Written.commit", "3")  # the second line is in the ledger, none of its files in place
TOLD = ("msmdcli.console", "_Plain.advance", "1")  # one line is in place and told of
COMPUTING = ("msmdcli.workers.line_worker", "LineWorker.job", "9")  # others are being computed
HANDING_OUT = (
    "msmdcli.workers.local",
    "_Process.send",
    "13",
)  # two workers hold six lines each: one is done with by now
LINES = 24
MOST_SECONDS = 300.0  # for whatever takes one or two where the machine has nothing else to do


class Halted:
    """A batch in processes of its own, which has come to a place and waits there."""

    def __init__(self, project: Project, place: tuple[str, str, str], *arguments: str) -> None:
        write_project(project.folder, (0.4,) * LINES)
        _, _, _, *batch = project.command("--json", *MODEL, *arguments)
        self._talk = (project.folder / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", HALTING, *place, *batch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._talk,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            start_new_session=True,
            # A shell starts background jobs deaf to Ctrl-C, and children inherit that; a terminal's user is not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        project.at_end.append(self.close)
        self._patience = threading.Timer(MOST_SECONDS, self.send, [signal.SIGKILL])
        self._patience.start()
        self.events: list[dict[str, Any]] = []
        assert self.process.stdout is not None
        while not self.events or self.events[-1]["event"] != "halted":
            told = self.process.stdout.readline()
            assert told, self.talk()
            self.events.append(json.loads(told))

    def talk(self) -> str:
        """What it has said to people."""
        self._talk.seek(0)
        return self._talk.read()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all its processes, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Let it go on, until the last of its processes has ended; the exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.events += map(json.loads, self.process.stdout)  # until nobody holds it any more
        code = self.process.wait()
        self._patience.cancel()
        return code

    def kill(self) -> None:
        """Kill them all."""
        self.send(signal.SIGKILL)
        assert self.end() == -signal.SIGKILL

    def close(self) -> None:
        """Nothing stays behind, whatever failed."""
        if self.process.returncode is None:
            self.send(signal.SIGKILL)
            self.end()
        self._talk.close()


MODEL = ("--sampler", "ddpm", "--steps", "20", "--batch-size", "2", "--formats", "npz,livelink-csv")
