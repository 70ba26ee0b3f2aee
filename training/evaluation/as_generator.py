"""A model judged as a generator: timing and strength of the lips, where its motion comes from, one take and the mean.

A mean over all that could be said wins in MSE and LVE and is no performance; these numbers reward life where it is
real. Each clip is animated with the style of its other half (`training.evaluation.evaluate`, *right*), `TAKES` times
with other noise. Per system:

- `jaw`, `lve`: of single takes (their mean over takes), and `jaw_mean`, `lve_mean` of the mean of all takes; where the
  two are equal, nothing is left to chance;
- `mtm` ms and `slcc` (`lip_timing`), of single takes;
- `frechet`: region -> distance of the motion's statistics from real clips (`distributions`), of single takes.

*still*, *copy*, the straight line and *tracked* stand beside every model; of *tracked* the distance is that of two
halves of the real clips, which no system need beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion
from training.data.lags import correlation
from training.evaluation.distributions import REGIONS, region_distances
from training.evaluation.lip_timing import mean_temporal_misalignment, speech_lip_intensity
from training.evaluation.material import HeldOutClip, Material
from training.evaluation.measuring import TRACKED, ComparisonHead, baseline, finite_mean
from training.evaluation.one_model import Animator
from training.evaluation.tables import number, system_name, table

TAKES = 8
Say = Callable[[str], None]


def model_takes(model: Animator, material: Material, takes: int = TAKES) -> dict[str, list[Motion]]:
    """Clip -> its takes, each of its two halves in the style of the other one, joined."""
    jobs: dict[Job, tuple[HeldOutClip, int, int]] = {}
    for clip in material.clips:
        features = model.encode_audio(clip.audio)
        for part in (0, 1):
            style = model.encode_style(clip.half(1 - part)) if model.follows_style else None
            for take in range(takes):
                jobs[Job(clip.record.id, features, [StyleEntry(style)], take)] = (clip, part, take)
    halves: dict[tuple[str, int], dict[int, np.ndarray]] = {}
    for job, motion in model.animate(jobs):
        clip, part, take = jobs[job]
        values = motion.resample(clip.motion.fps, frames=clip.motion.frames).values
        halves.setdefault((clip.record.id, take), {})[part] = values[clip.halves()[part]]
    whole: dict[str, list[Motion]] = {}
    for clip in material.clips:
        of_takes = [halves[clip.record.id, take] for take in range(takes)]
        whole[clip.record.id] = [joined(clip, [made[0], made[1]]) for made in of_takes]
    return whole


def joined(clip: HeldOutClip, halves: list[np.ndarray]) -> Motion:
    """The two halves of a clip as one motion."""
    return replace(clip.motion, values=np.concatenate(halves).astype(np.float32))


def generator_measures(material: Material, face: ComparisonHead, takes: dict[str, list[Motion]]) -> dict[str, Any]:
    """The numbers of one system (module docstring) from its takes of every clip."""
    found: dict[str, list[float]] = {name: [] for name in ("jaw", "jaw_mean", "lve", "lve_mean", "mtm", "slcc")}
    for clip in material.clips:
        made = takes[clip.record.id]
        real, fps = clip.motion.values, float(clip.motion.fps)
        mean = np.mean([m.values for m in made], axis=0)
        jaw, opening = face.jaw(real), face.opening(real)
        found["jaw"].append(finite_mean([correlation(jaw, face.jaw(m.values)) for m in made]))
        found["jaw_mean"].append(correlation(jaw, face.jaw(mean)))
        found["lve"].append(finite_mean([face.compare(real, m.values)["lve"] for m in made]))
        found["lve_mean"].append(face.compare(real, mean)["lve"])
        openings = [face.opening(m.values) for m in made]
        found["mtm"].append(finite_mean([mean_temporal_misalignment(opening, o, fps) for o in openings]))
        found["slcc"].append(finite_mean([speech_lip_intensity(o, clip.audio, fps) for o in openings]))
    numbers: dict[str, Any] = {name: finite_mean(values) for name, values in found.items()}
    real_clips = [clip.motion for clip in material.clips]
    first_takes = [takes[clip.record.id][0] for clip in material.clips]
    numbers["frechet"] = region_distances(real_clips, first_takes, real_clips[0].rig)
    return numbers


def baseline_measures(material: Material, face: ComparisonHead) -> dict[str, dict[str, Any]]:
    """The same for *still*, *copy* and *tracked*."""
    out = {}
    for name in ("still", "copy", TRACKED):
        takes = {}
        for clip in material.clips:
            halves = baseline(name, clip, None)
            assert halves is not None  # none of these needs the training persons
            takes[clip.record.id] = [joined(clip, halves)]
        out[name] = generator_measures(material, face, takes)
    rig = material.clips[0].motion.rig
    parts = [[clip.half(part) for clip in material.clips] for part in (0, 1)]
    out[TRACKED]["frechet"] = region_distances(parts[0], parts[1], rig)
    return out


def generator_table(measures: list[dict[str, Any]]) -> str:
    """Rows {model, system, ...} of `generator_measures` in Markdown."""
    rows = []
    for line in measures:
        frechet = [number(line["frechet"].get(region)) for region in REGIONS]
        jaw, lve = ([number(line[name]), number(line[f"{name}_mean"])] for name in ("jaw", "lve"))
        rows.append([system_name(line), *jaw, *lve, number(line["mtm"], 0), number(line["slcc"]), *frechet])
    header = ["system", "jaw, one take", f"mean of {TAKES}", "LVE, one take", f"mean of {TAKES}", "MTM ms", "SLCC"]
    return table([*header, *(f"Frechet {region}" for region in REGIONS)], rows)
