"""How fast a motion becomes a film.

    python benchmarks/preview_speed.py [MOTION.npz] [--head HEAD.glb]... [--seconds 10] [--fps 30 60] [--rounds 3]

For each head and frame rate: the command `msmd preview` as a whole, and what of it is start and exit (the command on a
motion of one frame), drawing and encoding. The motion is repeated or cut to the length; without one a head talks,
blinks and turns evenly.

Prints seconds of wall time and of CPU time (all threads) for each second of preview, medians of rounds in which the
candidates take turns, so that a busy machine is equally unfair to all. `x real time` is of wall time; the column
beside it is what the CPU time allows on two cores that do nothing else. `--numpy` draws two frames with NumPy, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from msmdcli.drawing.renderer import Renderer, open_renderer
from msmdcli.formats.registry import read_motion
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.media.mp4 import write_mp4
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.paths import find_head

CORES = 2


def spoken(mesh: MeshDecoder, frames: int, fps: int) -> Motion:
    """A head that talks, blinks and turns, smoothly."""
    rng = np.random.Generator(np.random.Philox(7))
    at = np.arange(frames)[:, None] / fps
    speed, phase = rng.uniform(0.5, 3.0, (2, mesh.rig.size))
    values = (0.3 * np.sin(2 * np.pi * speed * at + phase * 9)).clip(0, 1).astype(np.float32)  # [T, D]
    return Motion(values, Fraction(fps), mesh.rig)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds: CPU of this process and of those it waited for, wall."""
    before, wall = os.times(), time.perf_counter()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4]), time.perf_counter() - wall


def drawn(renderer: Renderer, values: np.ndarray) -> int:
    """How many pictures of a film were drawn."""
    return sum(1 for _ in renderer.film_pictures(values))


def command(motion: Path, head: Path, out: Path, size: str) -> None:
    """`msmd preview` with sound, in a process of its own."""
    sound = ["--audio", str(motion.with_suffix(".wav"))]
    call = ["preview", str(motion), "--out", str(out), "--head", str(head), "--size", size, "--quiet", *sound]
    subprocess.run([sys.executable, "-m", "msmdcli", *call], check=True)


def main() -> None:
    """Measure and print."""
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", type=Path, nargs="?")
    parser.add_argument("--head", type=Path, action="append", help="default: the one that ships")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--numpy", action="store_true")
    given = parser.parse_args()
    width, height = (int(side) for side in given.size.split("x"))

    works: dict[str, Callable[[], object]] = {}
    seconds: dict[str, float] = {}  # of preview in each
    opened: list[Renderer] = []

    def add(name: str, length: float, work: Callable[[], object]) -> None:
        works[name], seconds[name] = work, length

    with tempfile.TemporaryDirectory(prefix="msmd-preview-") as folder:
        out = Path(folder, "film.mp4")
        for head in given.head or [find_head(None)]:
            mesh = load_head(head)
            renderer = open_renderer(mesh, width, height)
            opened.append(renderer)
            for fps in given.fps:
                frames = round(given.seconds * fps)
                motion = read_motion(given.motion).resample(fps) if given.motion else spoken(mesh, frames, fps)
                motion = replace(motion, values=np.resize(motion.values, (frames, mesh.rig.size)))
                path = Path(folder, f"{head.stem}{fps}.npz")
                save_npz(path, motion)
                soundfile.write(path.with_suffix(".wav"), np.zeros(round(given.seconds * 48000)), 48000)
                some = list(renderer.film_pictures(motion.values[:fps]))  # a second; warms the renderer, too
                at = f"{head.name}, {fps} fps:"
                one = _one_frame(path, motion)
                add(f"{at} msmd preview", given.seconds, partial(command, path, head, out, given.size))
                add(f"{at} its start and exit", given.seconds, partial(command, one, head, out, given.size))
                add(f"{at} drawing", 1.0, partial(drawn, renderer, motion.values[:fps]))
                add(f"{at} encoding", 1.0, partial(write_mp4, out, some, Fraction(fps)))
                if given.numpy:
                    slow = open_renderer(mesh, width, height, choice="numpy")
                    add(f"{at} drawing, NumPy", 2 / fps, partial(drawn, slow, motion.values[:2]))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
        for _ in range(given.rounds):
            for name, work in works.items():
                taken[name].append(timed(work))
    print(f"{opened[0].name}; {given.seconds:g} s at {given.size}; median of {given.rounds} rounds\n")
    print("| for a second of preview | CPU s | wall s | x real time | on two free cores |")
    print("| --- | --- | --- | --- | --- |")
    for name, pairs in taken.items():
        cpu, wall = np.median(pairs, axis=0) / seconds[name]
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {1 / wall:.1f} | {CORES / cpu:.1f} |")
    for renderer in opened:
        renderer.close()


def _one_frame(path: Path, motion: Motion) -> Path:
    """The first frame of a motion as a file of its own, with the sound of a frame."""
    import soundfile

    short = path.with_name(f"one_{path.name}")
    save_npz(short, replace(motion, values=motion.values[:1]))
    soundfile.write(short.with_suffix(".wav"), np.zeros(round(48000 / motion.fps)), 48000)
    return short


if __name__ == "__main__":
    main()
