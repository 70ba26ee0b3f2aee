"""A bundle as a generator: does its own motion live like the manner that it is shown, and does it converge?

    python -m benchmarks.generator BUNDLE... --data PERFORMED [--sampler dpmpp-2m:4 --sampler ddpm:1000] [--lines 24]

The material is performed synthetic speech that no training saw (`training.speech.performed`, split `heldout`), where
the truth is known: each line is animated in the style of *another* clip of its manner, by the model alone (no
performance from the reference, no closing step), and compared with that manner's performance of the line:

- spread: standard deviation within the line, median share of the truth's; a diffusion that has converged has 0.9 to 1.1
  of what the reference has, with many steps of DDPM;
- movement, jitter, joins: `training.evaluation.life`; joins are those of the windows;
- blinks a minute, and which share of them shuts the eyes;
- frechet: `training.evaluation.distributions`, against the true lines;
- told: how often the statistics of a line (mean, spread and speed of the channels above the mouth) lie nearer to the
  reference of their own manner than to that of another: the movement judge of made voices.

Rows beside the models: *truth*; *reference*, what the model is shown: no other line of a manner moves just as much, and
over few lines its shares are not 1; *other*, the true performance of another manner. A model has a second row, with its
gaze at rest as `performance: generated` delivers it (`msmdcli.performance.fixations`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from msmdcli.media.audio import load_audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.performance.fixations import rested_gaze
from training.data.records import read_index
from training.evaluation.distributions import REGIONS as FRECHET
from training.evaluation.distributions import region_distances, window_statistics
from training.evaluation.life import REGIONS, curves, measure_life
from training.evaluation.tables import number, table

ABOVE = ("head", "brows", "lids", "gaze")  # what tells a manner, but for the mouth
SAMPLERS = ("dpmpp-2m:2", "dpmpp-2m:4", "dpmpp-2m:8")


@dataclass(frozen=True, eq=False)
class Line:
    """A held-out line: its sound, the true performance of it, and another clip of the same manner."""

    id: str
    audio: Path
    truth: Motion
    reference: Motion


def held_out_lines(data: Path, most: int) -> list[Line]:
    """One line of each manner that no training saw."""
    manners: dict[str, list[tuple[str, Path, Path]]] = {}
    for record in read_index(data):
        if record.split == "heldout" and record.manner and record.audio:
            manners.setdefault(record.manner, []).append((record.id, data / record.audio, data / record.motion))
    lines = []
    for clips in [clips for clips in manners.values() if len(clips) > 1][:most]:
        (id, audio, motion), (_, _, other) = clips[:2]
        lines.append(Line(id, audio, load_npz(motion), load_npz(other)))
    return lines


def animated(engine: Engine, lines: Sequence[Line]) -> list[Motion]:
    """The lines as the model makes them, each in the style of its reference."""
    jobs = {}
    for line in lines:
        entry = StyleEntry(engine.encode_style(line.reference))
        jobs[Job(line.id, engine.encode_audio(load_audio(line.audio)), [entry], 0)] = line
    made = {jobs[job].id: motion for job, motion in engine.animate(jobs)}
    return [made[line.id].resample(line.truth.fps, frames=line.truth.frames) for line in lines]


def at_rest(motion: Motion) -> Motion:
    """The motion with eyes that rest on what they look at."""
    values = rested_gaze(motion.values.astype(np.float64), motion.rig, float(motion.fps))
    return replace(motion, values=values.astype(np.float32))


def spread(made: Sequence[Motion], truth: Sequence[Motion], region: str) -> float:
    """Median over lines of the region's standard deviation as a share of the truth's."""
    shares = []
    for a, b in zip(made, truth, strict=True):
        own = float(curves(b, region).std(axis=0).mean())
        if own > 1e-3:
            shares.append(float(curves(a, region).std(axis=0).mean()) / own)
    return float(np.median(shares)) if shares else float("nan")


def told(made: Sequence[Motion], lines: Sequence[Line]) -> float:
    """Share of (line, other manner) in which the line lies nearer to the reference of its own manner."""
    rig = lines[0].truth.rig
    columns = np.concatenate([rig.indices(region) for region in ABOVE])
    references = np.stack([window_statistics(line.reference, columns).mean(axis=0) for line in lines])
    scale = references.std(axis=0) + 1e-6
    nearer = []
    for place, motion in enumerate(made):
        away = np.linalg.norm((references - window_statistics(motion, columns).mean(axis=0)) / scale, axis=1)
        nearer += [away[place] < other for n, other in enumerate(away) if n != place]
    return float(np.mean(nearer))


def row(name: str, made: Sequence[Motion], lines: Sequence[Line], joins: Sequence[Sequence[float]]) -> list[str]:
    """The cells of one system, in the order of the header."""
    truth = [line.truth for line in lines]
    life = measure_life(made, truth, joins)
    distance = region_distances(truth, made, truth[0].rig)
    cells = [name]
    for region in REGIONS:
        cells.append(f"{number(spread(made, truth, region))} / {number(life.movement.get(region))}")
    for measure in (life.jitter, life.joins):
        cells.append(" ".join(number(measure.get(region)) for region in ("head", "brows", "gaze")))
    blinks, own = life.blinks, life.own_blinks
    cells.append(f"{blinks.per_minute:.0f} ({own.per_minute:.0f}), {blinks.whole:.0%} shut")
    cells.append(" ".join(number(distance.get(region)) for region in FRECHET))
    cells.append(f"{told(made, lines):.0%}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of training.speech.performed")
    parser.add_argument("--sampler", action="append", default=[], help=f"NAME:STEPS, repeatable (default {SAMPLERS})")
    parser.add_argument("--lines", type=int, default=24)
    options = parser.parse_args()
    lines = held_out_lines(options.data, options.lines)
    window = Bundle.load(options.bundles[0]).window
    joins = [[frame / float(line.truth.fps) for frame in range(window, line.truth.frames, window)] for line in lines]
    header = ["", *(f"{region}: spread / movement" for region in REGIONS), "jitter: head brows gaze"]
    header += ["joins: head brows gaze", "blinks a minute", f"Frechet: {' '.join(FRECHET)}", "told"]
    rows = [row("*truth*", [line.truth for line in lines], lines, joins)]
    shown = [line.reference.resample(line.truth.fps) for line in lines]
    rows.append(row("*reference*", shown, lines, []))
    shifted = [*lines[1:], lines[0]]
    other = [b.truth.resample(a.truth.fps, frames=a.truth.frames) for a, b in zip(lines, shifted, strict=True)]
    rows.append(row("*other*", other, lines, joins))
    for path in options.bundles:
        bundle = Bundle.load(path)
        for chosen in options.sampler or SAMPLERS:
            sampler, _, steps = chosen.partition(":")
            engine = Engine(bundle, threads=1, sampling=Sampling(sampler, int(steps)))
            made = animated(engine, lines)
            rows.append(row(f"{path.name} {chosen}", made, lines, joins))
            rows.append(row(f"{path.name} {chosen}, gaze at rest", [at_rest(motion) for motion in made], lines, joins))
    print(f"{len(lines)} lines\n\n{table(header, rows)}")


if __name__ == "__main__":
    main()
