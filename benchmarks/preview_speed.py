"""How fast a motion becomes a film, and in which renderer.

    python benchmarks/preview_speed.py [--seconds 2] [--rounds 3] [--size 1280x720]

Prints milliseconds of CPU time (all threads of this process) and of wall time a frame, the least of some rounds, for
drawing with OpenGL, drawing with NumPy, encoding, and all of it. Rounds of the candidates alternate, so that a busy
machine is equally unfair to all. `x real time` is of wall time at 25 frames per second; the column beside it is what
the CPU time allows on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.mesh import MeshDecoder, find_mesh
from msmdcli.motion import Motion
from msmdcli.mp4 import write_mp4
from msmdcli.preview_film import Film, Take, write_film
from msmdcli.renderer import open_renderer, opengl_problem

FPS = 25


def spoken(mesh: MeshDecoder, frames: int) -> Motion:
    """A head that talks, blinks and turns, smoothly."""
    rng = np.random.Generator(np.random.Philox(7))
    time_ = np.arange(frames)[:, None] / FPS
    speed, phase = rng.uniform(0.5, 3.0, (2, mesh.rig.size))
    values = (0.3 * np.sin(2 * np.pi * speed * time_ + phase * 9)).clip(0, 1).astype(np.float32)  # [T, D]
    return Motion(values, FPS, mesh.rig)


def timed(work: Callable[[], object], frames: int) -> tuple[float, float]:
    """Milliseconds a frame: CPU, wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return (time.process_time() - cpu) / frames * 1e3, (time.perf_counter() - wall) / frames * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1280x720")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    mesh = MeshDecoder.load(find_mesh())
    motion = spoken(mesh, round(options.seconds * FPS))
    few = motion.values[:2]
    renderers = {
        choice: open_renderer(mesh, width, height, choice=choice)
        for choice in ("opengl", "numpy")
        if choice == "numpy" or opengl_problem() is None
    }
    drawn = {choice: list(renderer.pictures(few)) for choice, renderer in renderers.items()}  # warm
    pictures = next(iter(drawn.values())) * (len(motion.values) // 2)
    with tempfile.TemporaryDirectory() as folder:
        out, sound = Path(folder) / "film.mp4", np.zeros(round(options.seconds * 48000), np.float32)
        works: dict[str, tuple[Callable[[], object], int]] = {}
        if "opengl" in renderers:
            works["draw, OpenGL"] = (lambda: list(renderers["opengl"].pictures(motion.values)), motion.frames)
        works["draw, NumPy"] = (lambda: list(renderers["numpy"].pictures(few)), len(few))
        works["encode"] = (lambda: write_mp4(out, pictures, Fraction(FPS), sound, 48000), len(pictures))
        film = Film(width, height)
        if "opengl" in renderers:
            works["film"] = (
                lambda: write_film(out, Take(motion, mesh), film, samples=sound, rate=48000),
                motion.frames,
            )
        best: dict[str, tuple[float, float]] = {}
        for _ in range(options.rounds):
            for name, (work, frames) in works.items():
                cpu, wall = timed(work, frames)
                before = best.get(name, (np.inf, np.inf))
                best[name] = (min(cpu, before[0]), min(wall, before[1]))
    for renderer in renderers.values():
        print(renderer.name)
        renderer.close()
    print(f"{'':14} {'CPU ms':>8} {'frames per CPU s':>17} {'wall ms':>8} {'x real time':>12} {'on 2 free cores':>16}")
    for name, (cpu, wall) in best.items():
        real, free = 1e3 / FPS / wall, 2 * 1e3 / FPS / cpu
        print(f"{name:14} {cpu:8.1f} {1e3 / cpu:17.1f} {wall:8.1f} {real:12.2f} {free:16.2f}")


if __name__ == "__main__":
    main()
