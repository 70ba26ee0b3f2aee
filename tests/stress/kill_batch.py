"""Kill a batch at random moments and see that nothing is lost, torn or different.

    python tests/stress/kill_batch.py [--kills 100] [--ray-share 0.32] [--lines 200] [--seed 0] [--keep FOLDER]

A project of short lines, made of noise, is animated with a tiny bundle of random weights. First once undisturbed. Then
again and again into one OUT, each run with an engine and a number of workers drawn at random and killed at a random
moment, until one finishes; then from an empty OUT, until there were so many kills. They are drawn from

- on this machine: SIGKILL of the main process, SIGKILL of all its processes, SIGKILL of a worker, SIGINT of all (as a
  terminal sends it) and SIGTERM of the main process (as a farm sends it), with one worker or two;
- on a Ray cluster of two nodes with one worker each: SIGKILL of a worker, removal of a node (and its return), SIGKILL
  and SIGINT of the driver. `--ray-share 0` leaves Ray out, 1 leaves out all but Ray.

After every kill: each file in OUT is byte for byte that of the undisturbed run, or has a temporary name; each line of
the ledger but the last can be read; the report is whole or absent. After an interrupt: exit code 130 and no new
temporary file. After a finished run: the same files with the same bytes, the same ledger entry of each line, no
temporary file; and no line was made again whose files were there. Exit code 1 if anything is not so.

The results that were found are in tests/stress/production.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY)]

from stand_in import make_bundle  # noqa: E402
from voice_lines import write_project  # noqa: E402

OURS = ("ledger.jsonl", "report.json", "report.html", ".msmd-lock")
# How often each way to kill is drawn. Of those with Ray, most are the ones that only Ray has.
LOCAL = ("kill main", "kill all", "kill worker", "interrupt", "terminate")
RAY = (
    "kill worker",
    "kill worker",
    "kill worker",
    "remove node",
    "remove node",
    "remove node",
    "kill main",
    "interrupt",
)
PATIENCE = 600  # seconds without an end after which a run hangs
NODE_TRIES = 20  # Ray gives a node 30 s to start, which a busy machine may not have


class Wrong(Exception):
    """The batch broke its contract."""


class Project:
    """The lines, the command that makes them, and what OUT holds."""

    def __init__(self, folder: Path, lines: int, rng: np.random.Generator) -> None:
        make_bundle(folder / "bundle")
        self.manifest = write_project(folder, tuple(rng.uniform(0.2, 1.6, lines).round(2).tolist()))
        self.folder, self.lines = folder, lines

    def start(self, out: Path, *arguments: str) -> subprocess.Popen[str]:
        fixed = ["--bundle", str(self.folder / "bundle"), "--styles", str(self.folder / "styles"), "--json", "--quiet"]
        model = ["--sampler", "ddim", "--steps", "12", "--formats", "livelink-csv,npz"]
        command = [sys.executable, "-m", "msmdcli", "batch", str(self.manifest), "--out", str(out)]
        return subprocess.Popen(
            [*command, *fixed, *model, *arguments],
            stdout=(self.folder / "events.jsonl").open("w"),
            stderr=(self.folder / "talk.txt").open("w"),
            text=True,
            cwd=REPOSITORY,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def wait_for_a_moment(
        self, process: subprocess.Popen[str], left: int, rng: np.random.Generator, start: float
    ) -> bool:
        """Wait until it should be killed: one in four times while it starts (for which it takes `start` seconds), else
        when some of its lines are made.

        The result is False if it has ended before.
        """
        if rng.random() < 0.25:
            lines, seconds = 0, float(rng.uniform(0.05, start))
        else:
            lines, seconds = int(rng.integers(1, max(left, 1) + 2)), float(rng.uniform(0, 0.05))
        while (self.folder / "events.jsonl").read_bytes().count(b'"made"') < lines:
            if process.poll() is not None:
                return False
            time.sleep(0.01)
        time.sleep(seconds)
        return process.poll() is None

    def events(self) -> list[dict[str, Any]]:
        """Those of the last run; a line that is being written is left out."""
        content = (self.folder / "events.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in content.split("\n")[:-1]]

    def talk(self) -> str:
        return (self.folder / "talk.txt").read_text(encoding="utf-8")


def outputs(out: Path) -> dict[str, str]:
    """Files in OUT, ledger and report aside, with their sha256."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in OURS] if out.exists() else []
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def temporary(names: dict[str, str]) -> list[str]:
    return [name for name in names if name.endswith(".msmd-tmp")]


def ledger(out: Path) -> dict[str, Any]:
    """The last entry of each line; every line of the file but the last must be readable."""
    path = out / "ledger.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    entries = {}
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            if number < len(lines) - 1:
                raise Wrong(f"line {number + 1} of the ledger cannot be read") from None
            continue
        entries[entry["id"]] = entry
    return entries


def check_between(out: Path, expected: dict[str, str]) -> set[str]:
    """After a kill, at whatever moment. The result is the lines that are complete."""
    there = outputs(out)
    for name, digest in there.items():
        if not name.endswith(".msmd-tmp") and expected.get(name) != digest:
            raise Wrong(f"{name} is torn or different")
    known = ledger(out)
    if (out / "report.json").exists():
        json.loads((out / "report.json").read_text(encoding="utf-8"))
    if (out / "report.html").exists() and not (out / "report.html").read_text(encoding="utf-8").endswith("</html>\n"):
        raise Wrong("report.html is torn")
    return {line for line, entry in known.items() if entry["outputs"].items() <= there.items()}


def check_finished(project: Project, out: Path, expected: dict[str, str], entries: dict[str, Any]) -> None:
    there = outputs(out)
    if there != expected:
        missing, more = sorted(expected.keys() - there.keys()), sorted(there.keys() - expected.keys())
        raise Wrong(f"outputs differ: missing {missing[:5]}, too many {more[:5]}; {project.talk()}")
    if ledger(out) != entries:
        raise Wrong("the ledger is not equivalent")


def check_run(project: Project, before: set[str]) -> int:
    """No line was made again whose files were there; the result is how many were made."""
    made = {event["id"] for event in project.events() if event.get("status") == "made"}
    if made & before:
        raise Wrong(f"made again: {sorted(made & before)[:5]}")
    return len(made)


def workers_of(pid: int, called: str) -> list[psutil.Process]:
    """Processes below one that make lines, by a part of their name or command."""
    found = []
    try:
        for process in psutil.Process(pid).children(recursive=True):
            if called in process.name() or called in " ".join(process.cmdline()):
                found.append(process)
    except psutil.Error:
        return []  # they end while we look
    return found


class LocalKills:
    """Batches on this machine."""

    starts = 2.0  # seconds

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def arguments(self, kind: str) -> list[str]:
        """How to run the batch that is to be killed so."""
        jobs = 2 if kind == "kill worker" else int(self._rng.integers(1, 3))  # one job has no worker processes
        return ["--jobs", str(jobs), "--threads", "1"]

    def strike(self, kind: str, process: subprocess.Popen[str]) -> bool:
        """Do it; the result is False if there was nothing to kill."""
        if kind == "kill worker":
            workers = workers_of(process.pid, "spawn_main")
            if not workers:
                return False
            workers[int(self._rng.integers(len(workers)))].kill()
        elif kind == "kill main":
            process.kill()
        elif kind == "kill all":
            os.killpg(process.pid, signal.SIGKILL)
        elif kind == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        return True

    def close(self) -> None:
        """Nothing was started."""


class RayKills:
    """Batches on a local cluster: a head without cores, and two nodes with one each."""

    starts = 8.0  # seconds

    def __init__(self, rng: np.random.Generator) -> None:
        from ray.cluster_utils import Cluster

        self._rng = rng
        self._before = children()
        self._cluster = Cluster()
        self._add_node(num_cpus=0)
        self._nodes = [self._add_node(num_cpus=1) for _ in range(2)]

    def _add_node(self, **given: Any) -> Any:
        settings = {"object_store_memory": 80 << 20, "include_dashboard": False, "num_gpus": 0, **given}
        for attempt in range(1, NODE_TRIES + 1):
            before = children()
            try:
                return self._cluster.add_node(**settings)
            except Exception as error:
                end(children() - before)  # what there is of it
                print(f"a node does not start ({attempt}): {error}", flush=True)
                time.sleep(attempt)
        raise SystemExit("Ray does not start here: the machine is too busy")

    def arguments(self, kind: str) -> list[str]:
        return ["--engine", "ray", "--ray-address", self._cluster.address]

    def strike(self, kind: str, process: subprocess.Popen[str]) -> bool:
        if kind == "kill worker":
            workers = workers_of(os.getpid(), "ray::_Worker")
            if not workers:
                return False
            workers[int(self._rng.integers(len(workers)))].kill()
        elif kind == "remove node":
            at = int(self._rng.integers(2))
            self._cluster.remove_node(self._nodes[at], allow_graceful=False)
            self._nodes[at] = self._add_node(num_cpus=1)
        elif kind == "kill main":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGINT)
        return True

    def close(self) -> None:
        session = self._cluster.head_node.get_session_dir_path()
        self._cluster.shutdown()
        shutil.rmtree(session, ignore_errors=True)  # its logs
        end(children() - self._before)


def children() -> set[psutil.Process]:
    """All processes below this one."""
    return set(psutil.Process().children(recursive=True))


def end(processes: set[psutil.Process]) -> None:
    """Kill processes, of which some may be gone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def draw(kills: int, share: float, rng: np.random.Generator) -> list[tuple[str, str]]:
    """(engine, kind) of every kill, in a random order; each kind as often as its place in `LOCAL` or `RAY` says."""
    by_ray = round(kills * share)
    drawn = [("ray", RAY[i % len(RAY)]) for i in range(by_ray)]
    drawn += [("local", LOCAL[i % len(LOCAL)]) for i in range(kills - by_ray)]
    return [drawn[i] for i in rng.permutation(len(drawn))]


class Killer:
    """Kills runs of a project into one OUT, and looks after each kill.

    Args:
        expected: files of the undisturbed run -> sha256.
        entries: its ledger.
    """

    def __init__(
        self, project: Project, rng: np.random.Generator, expected: dict[str, str], entries: dict[str, Any]
    ) -> None:
        self._project, self._rng = project, rng
        self._expected, self._entries = expected, entries
        self._hands: dict[str, LocalKills | RayKills] = {}
        self.out = project.folder / "out"
        self.done: Counter[str] = Counter()
        self.finished = 0

    def _hand(self, engine: str) -> LocalKills | RayKills:
        if engine not in self._hands:
            self._hands[engine] = RayKills(self._rng) if engine == "ray" else LocalKills(self._rng)
        return self._hands[engine]

    def kill(self, moments: list[tuple[str, str]]) -> None:
        """One run after the other; a kill that comes too late is tried again in the next. Then one that finishes."""
        waiting = moments[::-1]
        while waiting:
            if self.run(*waiting[-1], kill=True):
                waiting.pop()
                if len(waiting) % 10 == 0:
                    print(f"{self.done.total()} kills, {self.finished} finished runs", flush=True)
        if self.out.exists() or not self.finished:
            self.run("local", "", kill=False)

    def run(self, engine: str, kind: str, kill: bool) -> bool:
        """One run and what is checked after it; the result tells whether it was killed."""
        project, hand, out = self._project, self._hand(engine), self.out
        before, left = check_between(out, self._expected), set(temporary(outputs(out)))
        process = project.start(out, *hand.arguments(kind))
        killed = kill and project.wait_for_a_moment(process, project.lines - len(before), self._rng, hand.starts)
        killed = killed and hand.strike(kind, process)
        what = f"{engine}: {kind}" if killed else "nothing"
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            end(children())
            raise Wrong(f"it hangs after: {what}; {project.talk()}") from None
        if killed:
            self.done[what] += 1
        time.sleep(0.3 if killed and kind == "kill main" else 0)  # orphans see that their parent is gone
        check_between(out, self._expected)
        check_run(project, before)
        events = project.events()
        ended = bool(events) and events[-1]["event"] == "end"  # an interrupt may meet a process that is leaving
        if "Traceback" in project.talk() and events and not ended:
            raise Wrong(f"a traceback after: {what}\n{project.talk()}")
        if code == 0:
            check_finished(project, out, self._expected, self._entries)
            shutil.rmtree(out)
            self.finished += 1
        elif killed and kind in ("interrupt", "terminate"):
            if code != 130 and events and not ended:
                raise Wrong(f"exit code {code} after: {what}; {events[-1]} {project.talk()}")
            if set(temporary(outputs(out))) - left:  # what an earlier kill has left goes when lines are made again
                raise Wrong(f"temporary files after: {what}")
        elif not (killed and kind in ("kill main", "kill all")) and not (
            code == 1 and "died while it loaded" in project.talk()
        ):
            raise Wrong(f"exit code {code} after: {what}; {project.talk()}")
        return killed

    def close(self) -> None:
        for hand in self._hands.values():
            hand.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--ray-share", type=float, default=0.32, help="of the kills, from 0 to 1")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="work here, and leave it for inspection")
    options = parser.parse_args()
    rng = np.random.Generator(np.random.Philox(options.seed))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="msmd_kill_"))
    project = Project(folder, options.lines, rng)
    try:
        begin = time.monotonic()
        if project.start(folder / "undisturbed").wait() != 0:
            raise Wrong(project.talk())
        expected, entries = outputs(folder / "undisturbed"), ledger(folder / "undisturbed")
        print(
            f"undisturbed: {len(entries)} lines, {len(expected)} files in {time.monotonic() - begin:.1f} s", flush=True
        )
        killer = Killer(project, rng, expected, entries)
        try:
            killer.kill(draw(options.kills, options.ray_share, rng))
        finally:
            killer.close()
    except Wrong as wrong:
        print(f"WRONG: {wrong}", file=sys.stderr)
        return 1
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    for kind, number in sorted(killer.done.items()):
        print(f"{number:4} x {kind}")
    print(
        f"{killer.done.total()} kills, {killer.finished} finished runs, all identical, {time.monotonic() - begin:.0f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
