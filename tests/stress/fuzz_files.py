"""Damaged and hostile files of every kind against what reads them: no traceback, no hang, no more than 1 GB.

    python -m tests.stress.fuzz_files [--count 100] [--kinds "motion npz,head glb"] [--jobs 1]

Case k of a kind is made from its name and the seed k alone (`mutations`, `readable_files`). Each kind runs in a process
of its own whose address space may grow by 1 GB; a process that says nothing for a minute is killed and the case counts
as a hang, one that dies as a crash. A case is fine if the file is read, or refused in a sentence (`MsmdError`). Nothing
but `out` in the case's folder may change.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

SECONDS = 60  # a case that takes longer hangs
GROWTH = 1 << 30  # bytes of address space
MOST_SHOWN = 10  # problems of a kind


@dataclass
class Found:
    """What became of the cases of a kind."""

    kind: str
    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0
    megabytes: int = 0

    @property
    def line(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        return (
            f"{self.kind}: {ends}; slowest {self.slowest:.1f} s, at most {self.megabytes} MB more; "
            f"{len(self.problems)} with a problem"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="mutations of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kinds", default="", help="names, with commas (default: all)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.first, args.count)
        return
    from tests.stress.readable_files import all_kinds

    names = [name.strip() for name in args.kinds.split(",") if name.strip()] or list(all_kinds())
    with ThreadPoolExecutor(args.jobs) as pool:
        results = []
        for found in pool.map(lambda name: supervise(name, args.first, args.count), names):
            print(found.line, flush=True)
            for problem in found.problems[:MOST_SHOWN]:
                print("   ", problem.replace("\n", "\n    "), flush=True)
            results.append(found)
    bad = sum(len(found.problems) for found in results)
    slowest, most = max(found.slowest for found in results), max(found.megabytes for found in results)
    total = sum(sum(found.ends.values()) for found in results)
    ends = Counter[str]()
    for found in results:
        ends.update(found.ends)
    told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{total} cases of {len(names)} kinds: {told}; slowest {slowest:.1f} s, at most {most} MB; {bad} problems")
    sys.exit(bool(bad))


def supervise(kind: str, first: int, count: int) -> Found:
    """Run the cases of a kind in processes, one after the other as they die."""
    found = Found(kind)
    at = first
    while at < first + count:
        command = [sys.executable, "-m", "tests.stress.fuzz_files", "--worker", kind]
        command += ["--first", str(at), "--count", str(first + count - at)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        ) as worker:
            assert worker.stdout is not None and worker.stderr is not None
            os.set_blocking(worker.stderr.fileno(), False)
            waiting = selectors.DefaultSelector()
            waiting.register(worker.stdout, selectors.EVENT_READ)
            why, begun = "died", False
            while True:
                if not waiting.select(SECONDS):
                    worker.kill()
                    why = f"hung for {SECONDS} s"
                    break
                line = worker.stdout.readline()
                if not line:
                    break
                result = json.loads(line)
                begun = True
                if result["end"] == "begin":
                    continue
                at = result["case"] + 1
                found.ends[result["end"]] += 1
                found.slowest = max(found.slowest, result["seconds"])
                found.megabytes = max(found.megabytes, result["megabytes"])
                if result["problem"]:
                    found.problems.append(f"case {result['case']}: {result['problem']}")
            worker.wait()
            if at < first + count:
                told = (worker.stderr.read() or "")[-1500:]
                if not begun:
                    raise RuntimeError(f"{kind}: no good file, or it cannot be read: {told}")
                found.ends[why] += 1
                found.problems.append(f"case {at}: the process {why} (exit {worker.returncode}) {told}")
                at += 1
    return found


def work(name: str, first: int, count: int) -> None:
    """Run cases in this process; one line of JSON each."""
    from tests.stress.mutations import mutate
    from tests.stress.readable_files import all_kinds

    faulthandler.enable()
    warnings.simplefilter("ignore")
    kind = all_kinds()[name]
    top = Path(tempfile.mkdtemp(prefix="msmd-fuzz-"))
    os.environ["MSMD_CACHE"] = str(top / "cache")
    real, sys.stdout = sys.stdout, sys.stderr  # what a library prints would tear the lines

    def say(**data: object) -> None:
        print(json.dumps(data), file=real, flush=True)

    try:
        good = top / "good"
        good.mkdir()
        kind.make(good)
        content = (good / kind.file).read_bytes()
        folder = top / "case"
        shutil.copytree(good, folder, symlinks=True)
        kind.read(folder)  # the good file is read, and everything is imported
        base = peak()
        grown = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + GROWTH
        resource.setrlimit(resource.RLIMIT_AS, (grown, resource.getrlimit(resource.RLIMIT_AS)[1]))
        for case in range(first, first + count):
            seed = int.from_bytes(hashlib.sha256(f"{name} {case}".encode()).digest()[:8], "little")
            shutil.rmtree(folder)
            shutil.copytree(good, folder, symlinks=True)
            (folder / kind.file).write_bytes(mutate(content, kind.how, np.random.Generator(np.random.Philox(key=seed))))
            before = state(folder)
            say(case=case, end="begin")
            begin = time.monotonic()
            end, problem = outcome(lambda: kind.read(folder))
            seconds = time.monotonic() - begin
            if not problem and state(folder) != before:
                problem = "something outside `out` has changed"
            say(case=case, end=end, problem=problem, seconds=seconds, megabytes=max(0, peak() - base) >> 10)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def outcome(read) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """(how a case ended, what is wrong with MSMD or nothing)."""
    from msmdcli.errors import MsmdError

    try:
        read()
    except MsmdError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return "refused", f"it took more than {GROWTH >> 30} GB: {error.message[:200]}"
            cause = cause.__cause__
        if not error.message or (error.message.count("\n") and "\n  " not in error.message):
            return "refused", f"a message of several lines: {error.message[:200]!r}"
        return "refused", ""
    except BaseException:
        return "crashed", traceback.format_exc()[-1500:]
    return "read", ""


def peak() -> int:
    """The most memory that this process had, in KB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def state(folder: Path) -> dict[str, str]:
    """All files but those in `out`: path -> content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.relative_to(folder).parts[0] != "out"
    }


if __name__ == "__main__":
    main()
