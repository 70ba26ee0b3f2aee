"""Models against straight lines that were taught the same: jaw and lips over whole clips of people in the wild.

    python -m benchmarks.straight_lines BUNDLE... --data CORPUS [--performed PERFORMED]

`msmd evaluate` holds every model against one line, fitted on all training people of the corpus, those included whose
films a model that ships may not learn from. Here are two: `all` is that one, `own` is fitted on what the starter may
learn from: GRID and, with --performed, performed synthetic speech, GRID with the share that its ear gives it (`SHARE`).
Lines and models speak the whole clip in the style of either half of it, and the mean of both counts.

A cell is the median and the mean, over the clips in the wild whose curve moves, of the correlation with the tracked
curve.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleEntry
from training.data.lags import correlation
from training.evaluation.judges import shipped_encoder
from training.evaluation.material import EvaluateOptions, HeldOutClip, load_material
from training.evaluation.straight_line import StraightLine, fit_straight_line, line_clips, line_of
from training.evaluation.tables import number, table

CHANNELS = ("jawOpen", "mouthLowerDownLeft", "mouthUpperUpLeft", "mouthPucker", "mouthFunnel", "mouthClose")
OWN = ("grid_s1", "grid_multi")  # recorded sources that the starter learns from
SHARE = 0.8  # of them in the line `own`, as in the starter's ear
PERFORMED_CLIPS = 300
MOVES = 3e-3  # deviation from which on a tracked curve moves

Curves = dict[str, list[np.ndarray]]  # clip -> its whole line [T, D], once or more


def of_line(line: StraightLine, clips: list[HeldOutClip], features: dict[str, np.ndarray]) -> Curves:
    """Each clip by a line, around the rest of its second half and of its first."""
    return {c.record.id: line.animate(c, features[c.record.id]) for c in clips}


def of_bundle(path: Path, clips: list[HeldOutClip]) -> Curves:
    """Each clip by the model alone, in the style of its second half and of its first."""
    engine = Engine(Bundle.load(path), threads=1)
    jobs = {}
    for clip in clips:
        features = engine.encode_audio(clip.audio)
        for part in (0, 1):
            jobs[Job(clip.record.id, features, [StyleEntry(engine.encode_style(clip.half(1 - part)))], 0)] = clip
    made: Curves = {}
    for job, motion in engine.animate(jobs):
        clip = jobs[job]
        made.setdefault(clip.record.id, []).append(motion.resample(clip.motion.fps, frames=clip.motion.frames).values)
    return made


def cells(made: Curves, clips: list[HeldOutClip]) -> list[str]:
    """Median and mean of the correlation, per channel."""
    found: dict[str, list[float]] = {name: [] for name in CHANNELS}
    for clip in clips:
        for name in CHANNELS:
            column = clip.motion.rig.index(name)
            real = clip.motion.values[:, column]
            if real.std() > MOVES:
                curves = [correlation(real, line[:, column]) for line in made[clip.record.id]]
                found[name].append(float(np.nan_to_num(curves).mean()))
    return [f"{number(float(np.median(v)))} ({number(float(np.mean(v)))})" for v in found.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the corpus, as a data set")
    parser.add_argument("--performed", type=Path, help="folder of training.speech.performed")
    options = parser.parse_args()
    encode = shipped_encoder()
    clips = [c for c in load_material(options.data, EvaluateOptions(seeds=(0,))).clips if c.group != "GRID"]
    features = {clip.record.id: encode(options.data / str(clip.record.audio)) for clip in clips}
    everyone = fit_straight_line(options.data, encode)
    groups = [(1.0, line_clips(options.data, encode, OWN))]
    if options.performed:
        groups = [(SHARE, groups[0][1]), (1 - SHARE, line_clips(options.performed, encode, most=PERFORMED_CLIPS))]
    rows = [["*straight, own*", *cells(of_line(line_of(groups), clips, features), clips)]]
    if everyone is not None:
        rows.append(["*straight, all*", *cells(of_line(everyone, clips, features), clips)])
    rows += [[path.name, *cells(of_bundle(path, clips), clips)] for path in options.bundles]
    print(f"{len(clips)} clips in the wild: median (mean) over clips\n\n{table(['', *CHANNELS], rows)}")


if __name__ == "__main__":
    main()
