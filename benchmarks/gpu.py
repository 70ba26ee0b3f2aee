"""What a GPU makes of a model: steps by number of rows, whole lines, and tensors that stay on the device.

    python benchmarks/gpu.py [--bundle DIR] [--device cuda tensorrt] [--rows 1 8 64 256] [--repeat 5] [--json FILE]

Refuses where the provider asked for is not the one that runs. Prints provider, driver, model and batch with every
number; medians of several, the first call (TensorRT builds its engines then) apart. `resident` is the runtime as it
ships: the whole reverse process stays on the device, from noise to the finished window. `captured` has the denoiser
replayed as a CUDA graph besides (CUDA only; what MSMD_CUDA_GRAPHS=1 does). `travelling` sends everything with every
call and solves on the host. The difference from the CPU is printed for each, relative to the motion's spread: a fast
wrong answer is none.

For float16, give --bundle a model of `msmd export-onnx RUN --precision half`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.model import trial
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.runtime import installed_builds
from msmdcli.model.style_codes import StyleEntry
from msmdcli.paths import shipped_bundle

LINES, SECONDS = 128, 10.0


def gpu() -> str:
    """Name, driver and memory of the GPU, as the driver tells."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise MsmdError(f"no NVIDIA GPU answers on this machine ({type(error).__name__})") from error


def timed(call: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Seconds of the first call, and the median of those after it."""
    spent = []
    for _ in range(repeat + 1):
        begin = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begin)
    return spent[0], statistics.median(spent[1:])


def lines(engine: Engine) -> list[Job]:
    """Lines of noise, as many as keep the device full."""
    form = engine.bundle.audio_encoder
    frames = round(SECONDS * engine.bundle.fps)
    rng = np.random.Generator(np.random.Philox(0))
    features = rng.standard_normal((frames, form.dim * form.stack), dtype=np.float32)  # [T, C]
    return [Job(str(number), features, [StyleEntry(None)]) for number in range(LINES)]


def measure(bundle: Bundle, device: str, rows: list[int], repeat: int) -> dict[str, object]:
    """One device: milliseconds a step, lines an hour, and how far it is from the CPU."""
    found: dict[str, object] = {"device": device}
    for way in ("resident", "captured", "travelling"):
        if way == "captured" and device != "cuda":
            continue
        engine = Engine(bundle, device, max_batch=max(rows))
        engine.runtime.bound = way != "travelling"
        engine.runtime.captures = way == "captured"
        engine.load()  # raises where the provider does not really run
        for count in rows:
            first, then = timed(trial.step_timer(engine, count), 3 * repeat)
            print(f"{device}, {way}: {count} rows, {1000 * then:.2f} ms a step (the first {first:.1f} s)", flush=True)
            found[f"{way}, {count} rows, ms"] = 1000 * then
        jobs = lines(engine)
        _, seconds = timed(lambda engine=engine, jobs=jobs: list(engine.animate(jobs)), repeat)  # type: ignore[misc]
        factor = seconds / (LINES * SECONDS)
        print(
            f"{device}, {way}: {LINES} lines of {SECONDS:g} s without the audio encoder: {factor:.5f} s per s of sound"
        )
        found[f"{way}, s per s"] = factor
        some = jobs[: max(rows)]
        ours = {job.id: motion.values for job, motion in engine.animate(some)}
        cpu = {job.id: motion.values for job, motion in Engine(bundle, "cpu").animate(some)}
        worst = max(float(np.abs(ours[name] - cpu[name]).max() / cpu[name].std()) for name in cpu)
        found[f"{way}, difference from the CPU"] = worst
        found[f"{way}, same bytes alone and among others"] = trial.same_bytes(engine)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--device", nargs="+", default=["cuda"], choices=["cuda", "tensorrt"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    try:
        machine = gpu()
        bundle = Bundle.load(given.bundle)
        print(f"{machine}; {installed_builds()}; model {bundle.name}, windows of {bundle.window} frames")
        results = [measure(bundle, device, given.rows, given.repeat) for device in given.device]
    except MsmdError as error:
        print(f"Error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"Hint: {error.hint}", file=sys.stderr)
        return 1
    for found in results:
        print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "results": results}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
