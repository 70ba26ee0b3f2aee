"""What a batch costs besides the model: many short lines with a tiny bundle.

    python benchmarks/batch_overhead.py [--lines 10000] [--jobs 1] [--engine local]

Makes a project of short lines (noise, 0.4 to 1.2 s), animates it with a bundle of random weights, and prints: the whole
time, the time within ONNX Runtime, the rest per line and where it goes (planning, computing, report), the memory of the
main process as lines are done, and then the time of a second run, which finds everything unchanged. Times of the
processor are given, too: on a machine that does other work those are the ones to compare.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY)]

from stand_in import make_bundle  # noqa: E402
from voice_lines import write_project  # noqa: E402

from msmdcli.batch import run  # noqa: E402
from msmdcli.batch.plan import Planner  # noqa: E402
from msmdcli.batch.planned import BatchOptions  # noqa: E402
from msmdcli.batch.run import run_batch  # noqa: E402
from msmdcli.batch.telling import Teller  # noqa: E402
from msmdcli.console import Console  # noqa: E402
from msmdcli.model import runtime  # noqa: E402

STEPS = 10  # points of the memory curve


class Watch:
    """Times the phases of a run in this process, and its memory."""

    def __init__(self) -> None:
        self.model = 0.0  # seconds within ONNX Runtime, over all threads that call it
        self.phases: dict[str, float] = {}
        self.memory: list[tuple[int, float]] = []
        self._told = 0
        self._every = 1

    def install(self, lines: int) -> None:
        """Wrap the places that are timed."""
        self._every = max(1, lines // STEPS)
        run_graph = runtime.Graph.run

        def timed_run(graph: runtime.Graph, *arguments: Any, **named: Any) -> Any:
            begin = time.thread_time()
            try:
                return run_graph(graph, *arguments, **named)
            finally:
                self.model += time.thread_time() - begin

        runtime.Graph.run = timed_run  # type: ignore[method-assign]
        self._wrap(Planner, "plan", "plan")
        self._wrap(run, "make", "make")
        self._wrap(run, "write_report", "report")
        tell = Teller.tell

        def counted(this: Any, record: Any) -> None:
            tell(this, record)
            self._told += 1
            if self._told % self._every == 0:
                self.memory.append((self._told, megabytes()))

        Teller.tell = counted  # type: ignore[method-assign]

    def _wrap(self, owner: Any, function: str, name: str) -> None:
        method = getattr(owner, function)

        def timed(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                self.phases[name] = time.perf_counter() - begin

        setattr(owner, function, timed)

    def clear(self) -> None:
        self.model, self._told, self.memory, self.phases = 0.0, 0, [], {}


def megabytes() -> float:
    """Resident memory of this process."""
    return psutil.Process().memory_info().rss / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--engine", default="local")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="msmd_overhead_"))
    watch = Watch()
    watch.install(options.lines)
    try:
        bundle = make_bundle(folder / "bundle")
        lengths = np.random.default_rng(0).uniform(0.4, 1.2, options.lines).round(2)
        manifest = write_project(folder, tuple(lengths.tolist()))
        given = BatchOptions(
            manifest,
            folder / "out",
            bundle=bundle,
            styles=(folder / "styles",),
            threads=1,
            jobs=options.jobs,
            engine=options.engine,
        )
        print(f"{options.lines} lines, {lengths.sum():.0f} s of sound; {megabytes():.0f} MB before")
        for what in ("made", "unchanged"):
            watch.clear()
            begin, processor = time.perf_counter(), time.process_time()
            code = run_batch(given, Console(verbosity=-1))
            whole, processor = time.perf_counter() - begin, time.process_time() - processor
            print(f"{what}: {whole:.1f} s, {1000 * whole / options.lines:.2f} ms per line (exit code {code})")
            print(f"  of the processor {processor:.1f} s, {1000 * processor / options.lines:.2f} ms per line")
            print("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in watch.phases.items()))
            if what == "made" and options.jobs == 1 and options.engine == "local":
                rest = processor - watch.model
                print(f"  in ONNX Runtime {watch.model:.1f} s; the rest {1000 * rest / options.lines:.2f} ms per line")
            print("  memory: " + ", ".join(f"{lines}: {size:.0f} MB" for lines, size in watch.memory))
        sizes = {name: (folder / "out" / name).stat().st_size / 1e6 for name in ("report.json", "report.html")}
        print("  " + ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
