"""`msmd bench`: what this machine does with a model, and under which conditions.

Every number says what its timer contains. Whole jobs are timed as a user runs them: a new process, from its start to
its end. Things that are compared are measured in turns within one run, and a median of several is given, because
machines have moods; ratios travel from machine to machine, seconds do not.

    start-up      `msmd --help`, whole process
    first line    `msmd batch` of one short line, whole process: what the first file waits for
    main job      `msmd batch` of the recordings, whole process: decoding, audio encoder, sampling, writing; nothing
                  is known of them yet, the cache of audio features is empty
    another style the same again with another style, the audio features now kept
    memory        peak resident memory of a process that animates one line of 10 s, and one of 10 min, both new to it
    per window    conditioner and denoiser on one window of noise, in this process, after a warm-up

All run on this machine for the second time: the model's graphs are optimised already.

`benchmarks/peers/peer.py` runs another implementation beside ours in the same turns.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from msmdcli import __version__
from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.folder_scan import scan_all
from msmdcli.media.suffixes import SOUND_SUFFIXES
from msmdcli.model.bundle import Bundle
from msmdcli.model.graph_store import GraphStore
from msmdcli.model.runtime import installed_builds
from msmdcli.model.stores import FeatureStore
from msmdcli.paths import shipped_bundle
from msmdcli.system.machine import available_cores, processor_name

if TYPE_CHECKING:
    from msmdcli.model.engine import Engine

FORMAT_VERSION = 1
MADE_LINES, MADE_SECONDS = 50, 5.0  # the main job where no recordings are given
SHORT_SECONDS, LONG_SECONDS = 10.0, 600.0
STEP_ROWS = (1, 3, 8)  # windows in one call; 3 is one window with both guidance branches
STYLES = ("neutral", "angry")
KEPT = {kept.VARIABLE: kept.DEFAULT_LIMIT for kept in (FeatureStore, GraphStore)}  # as where nothing is said
KNOWN = "cache_known"  # folder of the cache in which only recordings are new

# A process between: a system counts to a child's peak memory what its parent holds when it starts it, and this one
# holds a model. It prints exit code, seconds and peak.
LAUNCHER = """
import subprocess, sys, time
begin = time.perf_counter()
code = subprocess.call([sys.executable, "-m", "msmdcli", *sys.argv[1:]], stdout=sys.stderr)
seconds = time.perf_counter() - begin
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
except ImportError:  # Windows
    peak = 0
print(code, seconds, peak)
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class BenchOptions:
    """What is measured.

    Attributes:
        bundle: folder of the model; None is the one that ships.
        audio: recordings, or folders of them; none: 50 lines of 5 s of made-up sound.
        repeat: how often each thing is measured; the median counts.
        jobs, threads, device, steps: as in `msmd batch`.
        memory: also measure memory (a line of 10 minutes takes a while).
    """

    bundle: Path | None = None
    audio: tuple[Path, ...] = ()
    repeat: int = 3
    jobs: int = 1
    threads: int = 0
    device: str = "auto"
    steps: int | None = None
    memory: bool = True


@dataclass(frozen=True)
class Measure:
    """One number: the median of several, with their range.

    Attributes:
        name, unit: what it is.
        value, low, high: median, least and most.
        contains: what the timer contains.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    contains: str

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float], contains: str) -> Measure:
        return cls(name, unit, statistics.median(values), min(values), max(values), contains)


@dataclass
class Result:
    """Everything that was measured, and where."""

    conditions: dict[str, Any]
    measures: list[Measure] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format_version": FORMAT_VERSION,
            "conditions": self.conditions,
            "measures": [asdict(measure) for measure in self.measures],
        }

    def markdown(self) -> str:
        """The table, with its conditions below."""
        stated = "; ".join(f"{name}: {value}" for name, value in self.conditions.items())
        return f"{table(self.measures)}\n\n{stated}\n"


def table(measures: Iterable[Measure]) -> str:
    """Measures as a table in Markdown."""
    lines = ["| what | median | range | contains |", "| --- | --- | --- | --- |"]
    for m in measures:
        lines.append(f"| {m.name} | {m.value:.3g} {m.unit} | {m.low:.3g} to {m.high:.3g} | {m.contains} |")
    return "\n".join(lines)


def bench(options: BenchOptions, say: Say) -> Result:
    """Measure. Takes a minute or several.

    Raises:
        UsageError, MsmdError: the options, the model or a recording cannot be used.
    """
    from msmdcli.model.engine import Engine
    from msmdcli.model.sampling import Sampling

    if options.repeat < 1:
        raise UsageError(f"{options.repeat} repetitions", hint="give 1 or more; 3 is usual")
    folder = options.bundle or shipped_bundle()
    bundle = Bundle.load(folder)
    engine = Engine(bundle, options.device, options.threads, sampling=Sampling(steps=options.steps))
    with tempfile.TemporaryDirectory(prefix="msmd-bench-") as name:
        scratch = Path(name)
        recordings = _recordings(options.audio, scratch)
        result = Result(_conditions(options, bundle, engine, recordings))
        say("start-up")
        result.measures += _start_up(options, scratch)
        say(f"main job: {len(recordings)} recordings, {options.repeat} times in 2 styles")
        result.measures += _main_job(options, recordings, scratch)
        if options.memory:
            say("memory: lines of 10 s and of 10 min")
            result.measures += _memory(options, scratch)
    say("per window")
    timed = per_window(engine, options.repeat)
    for rows in STEP_ROWS:
        name = f"step, {rows} row{'s' * (rows > 1)}"
        result.measures.append(Measure.of(name, "ms", timed[f"step, {rows} rows"], "one denoiser call"))
    contains = "conditioner and all steps of one window, without the audio encoder"
    result.measures.append(Measure.of("window", "ms", timed["window"], contains))
    return result


# ---- conditions and material -----------------------------------------------------------------------------------------


def _conditions(options: BenchOptions, bundle: Bundle, engine: Engine, recordings: list[Path]) -> dict[str, Any]:
    sampling = engine.sampling
    return {
        "msmd": __version__,
        "model": bundle.name,
        "sampler": f"{sampling.sampler}, {sampling.steps} steps",
        "guidance": f"audio {sampling.guidance_audio:g}, style {sampling.guidance_style:g}",
        "device": engine.device,
        "cores": available_cores(),
        "jobs": options.jobs,
        "threads": options.threads or "one per core",
        "processor": processor_name(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "onnxruntime": ", ".join(f"{build} {version}" for build, version in installed_builds().items()),
        "numpy": np.__version__,
        "recordings": len(recordings),
        "repetitions": options.repeat,
    }


def _recordings(given: Sequence[Path], scratch: Path) -> list[Path]:
    """The recordings of the main job."""
    if not given:
        folder = scratch / "made"
        folder.mkdir()
        return [_made_up(folder / f"line_{n:02d}.wav", MADE_SECONDS, n) for n in range(MADE_LINES)]
    absent = next((path for path in given if not path.is_dir() and not path.is_file()), None)
    if absent is not None:
        raise UsageError(f"no recording or folder at {absent}")
    found, _ = scan_all(given, SOUND_SUFFIXES)
    if not found:
        raise UsageError(f"no recordings in {', '.join(map(str, given))}", hint=f"wanted: {', '.join(SOUND_SUFFIXES)}")
    return found


def _made_up(path: Path, seconds: float, seed: int) -> Path:
    """A wav of noise in syllables: time does not depend on what is said, only on how long."""
    import soundfile

    rng = np.random.Generator(np.random.Philox(seed))
    at = np.arange(round(seconds * 16000)) / 16000
    loudness = np.clip(np.sin(2 * np.pi * (4 + rng.random()) * at), 0.0, 1.0)
    soundfile.write(path, rng.standard_normal(len(at)) * 0.1 * loudness, 16000, subtype="PCM_16")
    return path


# ---- whole processes -------------------------------------------------------------------------------------------------


def _run(arguments: Sequence[str], cache: Path | None = None) -> tuple[float, float | None]:
    """Run `msmd ARGUMENTS` in a process of its own, with a cache folder of its own where one is given: seconds, and
    peak resident memory in MB (None where the system does not say)."""
    environment = os.environ | ({"MSMD_CACHE": str(cache), **KEPT} if cache else {})
    with tempfile.TemporaryFile() as talk:
        launched = subprocess.run(
            [sys.executable, "-S", "-c", LAUNCHER, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=talk,
            env=environment,
            text=True,
            check=False,
        )
        printed = launched.stdout.split()
        if len(printed) != 3 or printed[0] != "0":
            talk.seek(0)
            said = talk.read().decode(errors="replace").strip().splitlines()
            raise MsmdError(f"msmd {' '.join(arguments[:2])} failed: {said[-1] if said else launched.returncode}")
    peak = float(printed[2]) / (1024 * 1024 if sys.platform == "darwin" else 1024)  # macOS counts bytes
    return float(printed[1]), peak or None


def _batch(options: BenchOptions, manifest: Path, out: Path, style: str) -> list[str]:
    arguments = ["batch", str(manifest), "--style", style, "--out", str(out), "--force", "--quiet"]
    arguments += ["--device", options.device, "--jobs", str(options.jobs), "--threads", str(options.threads)]
    if options.bundle:
        arguments += ["--bundle", str(options.bundle)]
    if options.steps:
        arguments += ["--steps", str(options.steps)]
    return arguments


def _manifest(path: Path, recordings: Sequence[Path]) -> Path:
    lines = [{"id": f"line_{n:05d}", "audio": str(p.resolve())} for n, p in enumerate(recordings)]
    path.write_text(json.dumps({"version": 1, "lines": lines}), encoding="utf-8")
    return path


def _start_up(options: BenchOptions, scratch: Path) -> list[Measure]:
    helps, firsts = [], []
    for turn in range(options.repeat + 1):
        one = _manifest(scratch / "one.json", [_made_up(scratch / "one.wav", 1.0, turn)])
        help_seconds, _ = _run(["--help"])
        first_seconds, _ = _run(_batch(options, one, scratch / "one", STYLES[0]), scratch / KNOWN)
        if turn:  # the first fills the system's file cache, and ours
            helps.append(help_seconds)
            firsts.append(first_seconds)
    return [
        Measure.of("start-up", "s", helps, "`msmd --help`, whole process"),
        Measure.of("first line", "s", firsts, "`msmd batch` of one new line of 1 s, whole process"),
    ]


def _new_cache(folder: Path) -> Path:
    """A cache that knows the model's graphs, and nothing else."""
    folder.mkdir()
    graphs = folder.parent / KNOWN / GraphStore.NAME
    if graphs.is_dir():
        shutil.copytree(graphs, folder / GraphStore.NAME)
    return folder


def _main_job(options: BenchOptions, recordings: list[Path], scratch: Path) -> list[Measure]:
    from msmdcli.media.audio import load_audio

    manifest = _manifest(scratch / "lines.json", recordings)
    sound = sum((load_audio(path).seconds for path in recordings), Fraction(0))
    seconds: dict[str, list[float]] = {style: [] for style in STYLES}
    peaks = []
    for turn in range(options.repeat):
        cache = _new_cache(scratch / f"cache_{turn}")
        for style in STYLES:
            taken, peak = _run(_batch(options, manifest, scratch / "job", style), cache)
            seconds[style].append(taken)
            if peak is not None:
                peaks.append(peak)
        shutil.rmtree(cache, ignore_errors=True)
    factors = {style: [taken / float(sound) for taken in seconds[style]] for style in STYLES}
    first, second = STYLES
    contains = f"{len(recordings)} lines, {float(sound):.0f} s of sound never heard before, whole process"
    measures = [
        Measure.of("main job", "s per s of sound", factors[first], contains),
        Measure.of("another style", "s per s of sound", factors[second], "the same again, features kept"),
        Measure.of("speed", "s of sound per s", [1 / f for f in factors[first]], contains),
        Measure.of("lines", "per hour", [len(recordings) / t * 3600 for t in seconds[first]], contains),
    ]
    if peaks:
        measures.append(Measure.of("memory, main job", "MB", peaks, "peak resident memory of the process"))
    return measures


def _memory(options: BenchOptions, scratch: Path) -> list[Measure]:
    peaks: dict[float, list[float]] = {SHORT_SECONDS: [], LONG_SECONDS: []}
    manifests = {
        seconds: _manifest(scratch / f"{seconds:g}.json", [_made_up(scratch / f"{seconds:g}.wav", seconds, 1)])
        for seconds in peaks
    }
    for turn in range(min(options.repeat, 3)):
        cache = _new_cache(scratch / f"cache_long_{turn}")
        for seconds, manifest in manifests.items():
            _, peak = _run(_batch(options, manifest, scratch / "long", STYLES[0]), cache)
            if peak is not None:
                peaks[seconds].append(peak)
    if not peaks[SHORT_SECONDS]:
        return []
    more = [b - a for a, b in zip(peaks[SHORT_SECONDS], peaks[LONG_SECONDS], strict=True)]
    return [
        Measure.of("memory, line of 10 s", "MB", peaks[SHORT_SECONDS], "peak resident memory of the process"),
        Measure.of("memory, line of 10 min", "MB", peaks[LONG_SECONDS], "the same"),
        Measure.of("10 min over 10 s", "MB", more, "difference of the two"),
    ]


# ---- within this process ---------------------------------------------------------------------------------------------


def per_window(
    engine: Engine,
    repeat: int,
    others: Mapping[str, Callable[[], object]] = {},  # never written to
    each_turn: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Time one step for several numbers of rows, and a window at the default settings, in turns after a warm-up.

    Args:
        engine: the model.
        repeat: a third of the turns, of which there are five at least.
        others: timed in the same turns.
        each_turn: called at the end of each turn but the first, which warms up.

    Returns:
        Milliseconds of each call, by `step, N rows`, `window` and the names of the others.
    """
    from msmdcli.model import trial

    calls: dict[str, Callable[[], object]] = {
        f"step, {rows} rows": trial.step_timer(engine, rows) for rows in STEP_ROWS
    }
    calls |= {"window": trial.window_timer(engine), **(others or {})}
    timed: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(max(3 * repeat, 5) + 1):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            if turn:
                timed[name].append(1000 * (time.perf_counter() - begin))
        if turn:
            each_turn()
    return timed
