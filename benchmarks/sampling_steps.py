"""Which sampler, and how many steps? Errors, amplitude, sync and jitter of a bundle over samplers and steps.

    python benchmarks/sampling_steps.py BUNDLE --data DATASET [--clips 12] [--guidance | --student BUNDLE] [--out TABLE]

On validation clips (split `val`) of people outside training, never on test clips: the default is chosen by this table.
Each half of a clip is animated with the other half as style, one seed; all settings start from the same noise. Without
guidance; --guidance compares scales, intervals of the noise and rescaling instead, at 2 steps and at 8; --student a
model that was distilled from this one (`distil`) with what it learned from. `amplitude` is the standard
deviation over time of the generated face relative to the tracked one (median over clips), and relative to the table's
reference in brackets (1000 ddpm steps; with --guidance or --student, the first row); `jitter` the mean absolute second
difference relative to the tracked one. Seconds are of this machine and include sampling only: compare them within the
table.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.sampling import Sampling
from msmdcli.model.style_codes import StyleEntry
from training.evaluation.evaluate import judging_of
from training.evaluation.material import EvaluateOptions, HeldOutClip, load_material
from training.evaluation.measuring import ComparisonHead, measure_clip

SETTINGS = (
    *(("dpmpp-2m", steps) for steps in (1, 2, 4, 6, 8, 10, 20, 50)),
    *(("ddim", steps) for steps in (2, 4, 8, 20)),
    *(("ddpm", steps) for steps in (2, 4, 8, 20, 1000)),
)
GUIDANCE = tuple(
    Sampling("dpmpp-2m", steps, *how)
    for steps in (2, 8)
    for how in (
        (0.0, 0.0),
        (0.5, 0.0),
        (0.0, 0.5),
        (1.0, 1.0),
        (1.0, 1.0, (0.2, 0.8)),
        (1.0, 1.0, (0.0, 1.0), 0.7),
        (1.0, 1.0, (0.2, 0.8), 0.7),
    )
)
TEACHER = (
    Sampling("dpmpp-2m", 2, 0.0, 0.0),
    Sampling("ddim", 2, 0.0, 0.0),
    Sampling("dpmpp-2m", 2, 0.5, 0.0),
    Sampling("ddim", 8, 0.5, 0.0),
)
TRAINED_VOICES = ("grid_s1", "grid_multi", "lrwar")  # validation clips of people that models train on


def animate(engine: Engine, clips: list[HeldOutClip]) -> tuple[dict[str, list[np.ndarray]], float]:
    """Clip id -> its two halves [T_half, D], each in the style of the other; and the seconds that sampling took."""
    jobs: dict[Job, tuple[HeldOutClip, int]] = {}
    for clip in clips:
        features = engine.encode_audio(clip.audio)
        for part in (0, 1):
            style = engine.encode_style(clip.half(1 - part))
            jobs[Job(clip.record.id, features, [StyleEntry(style)], 0)] = clip, part
    begin = time.perf_counter()
    done = list(engine.animate(jobs))
    seconds = time.perf_counter() - begin
    made: dict[str, list[np.ndarray]] = {clip.record.id: [np.empty(0)] * 2 for clip in clips}
    for job, motion in done:
        clip, part = jobs[job]
        made[clip.record.id][part] = motion.values[: clip.motion.frames][clip.halves()[part]]
    return made, seconds


def jitter(halves: list[np.ndarray], face: np.ndarray) -> float:
    """Mean absolute second difference of the face channels."""
    return float(np.mean([np.abs(np.diff(half[:, face], n=2, axis=0)).mean() for half in halves]))


def words(sampling: Sampling) -> str:
    """The guidance of a setting."""
    if not sampling.guided:
        return "none"
    said = f"{sampling.guidance_audio:g} / {sampling.guidance_style:g}"
    if sampling.guidance_interval not in (None, (0.0, 1.0)):
        said += " within {:g}-{:g}".format(*sampling.guidance_interval or ())
    return said + (f", rescaled {sampling.guidance_rescale:g}" if sampling.guidance_rescale else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--guidance", action="store_true")
    parser.add_argument("--student", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    bundle = Bundle.load(given.bundle)
    material = load_material(given.data, EvaluateOptions(split="val", emotion_lines=0))
    clips = [clip for clip in material.clips if clip.record.source not in TRAINED_VOICES][: given.clips]
    face = ComparisonHead.find(None)
    judging = judging_of(given.data, material, say)
    columns = bundle.rig.indices("face")
    rows = []
    if given.student:
        settings = [(bundle, sampling) for sampling in TEACHER]
        settings.append((Bundle.load(given.student), Sampling()))  # as it wants to be sampled
    elif given.guidance:
        settings = [(bundle, sampling) for sampling in GUIDANCE]
    else:
        settings = [(bundle, Sampling(sampler, steps, 0.0, 0.0)) for sampler, steps in SETTINGS]
    for model, wanted in settings:
        engine = Engine(model, sampling=wanted)
        sampling = engine.sampling
        made, seconds = animate(engine, clips)
        numbers = [measure_clip(face, clip, made[clip.record.id], judging=judging) for clip in clips]
        real = [[clip.half(part).values for part in (0, 1)] for clip in clips]
        row = {name: float(np.nanmean([n[name] for n in numbers])) for name in ("mse", "lve", "fdd", "mod")}
        row["jaw"] = float(np.nanmedian([n["jaw"] for n in numbers]))
        row["sync"] = float(np.nanmean([n["sync_zero"] for n in numbers])) if judging else float("nan")
        row["amplitude"] = float(np.nanmedian([n["amplitude_face"] for n in numbers]))
        row["jitter"] = float(
            np.median(
                [jitter(made[c.record.id], columns) / jitter(r, columns) for c, r in zip(clips, real, strict=True)]
            )
        )
        row["seconds"] = seconds
        rows.append((model.name, sampling.sampler, sampling.steps, words(sampling), row))
        say(
            f"{model.name}: {sampling.sampler} {sampling.steps} {words(sampling)}: "
            + ", ".join(f"{name} {value:.3f}" for name, value in row.items())
        )
    from_first = given.guidance or given.student
    reference = rows[0][-1] if from_first else rows[-1][-1]
    against = "2 steps unguided" if from_first else "ddpm 1000"
    columns_of_errors = f"MSE mm | LVE mm | LVE to {against} | FDD | MOD mm | jaw | sync | amplitude | jitter | s |"
    lines = [
        f"{bundle.name}: {len(clips)} clips of {len({c.record.speaker for c in clips})} persons, split val",
        "",
        f"| model | sampler | steps | guidance | {columns_of_errors}",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sampler, steps, guidance, row in rows:
        lines.append(
            f"| {name} | {sampler} | {steps} | {guidance} | {row['mse']:.2f} | {row['lve']:.2f} | "
            f"{row['lve'] / reference['lve'] - 1:+.1%} | "
            f"{row['fdd']:.1f} | {row['mod']:.2f} | {row['jaw']:.2f} | {row['sync']:.2f} | {row['amplitude']:.2f} "
            f"({row['amplitude'] / reference['amplitude']:.2f}) | {row['jitter']:.2f} | {row['seconds']:.1f} |"
        )
    text = "\n".join(lines) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
