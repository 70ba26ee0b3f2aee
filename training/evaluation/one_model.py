"""One model on all the material: animated with its own style, another's and none, then measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from msmdcli.media.audio import Audio
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.health import measure_health
from msmdcli.motion.motion import Motion
from training.data.lags import correlation
from training.evaluation import metrics
from training.evaluation.material import EvaluateOptions, HeldOutClip, Material
from training.evaluation.measuring import ComparisonHead, Judging, finite_mean, measure_clip, over_the_line

GENERATED = ("right", "wrong", "none")
Say = Callable[[str], None]


class Animator(Protocol):
    """What is evaluated: an `msmdcli.model.engine.Engine`, or anything that behaves like one."""

    @property
    def follows_style(self) -> bool: ...

    def encode_audio(self, audio: Audio) -> np.ndarray: ...

    def encode_style(self, reference: Motion) -> StyleCode: ...

    def animate(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Motion]]: ...


def evaluate_model(
    model: Animator,
    material: Material,
    face: ComparisonHead,
    options: EvaluateOptions,
    say: Say,
    judging: Judging | None = None,
    window: int = 100,
) -> dict[str, Any]:
    """All results of one model.

    Returns:
        `rows`: one per clip, generated system and seed (clip, person, ..., and the numbers of `measure_clip`);
        `emotion`: one per emotional reference and line (see `emotion_rows`);
        `curves`: for the plots: clip -> jaw opening [T] under *right* with the first seed.
    """
    say(f"  audio of {len(material.clips)} clips")
    features = {clip.record.id: model.encode_audio(clip.audio) for clip in material.clips}
    systems = [name for name in GENERATED if model.follows_style or name == "none"]
    if not material.wrong:
        systems = [name for name in systems if name != "wrong"]

    jobs: dict[Job, tuple[HeldOutClip, str, int, tuple[int, ...]]] = {}  # -> clip, system, seed, halves that it serves
    for clip in material.clips:
        id = clip.record.id
        for name in systems:
            styles: list[tuple[StyleEntry, tuple[int, ...]]]
            if name == "right":
                styles = [(StyleEntry(model.encode_style(clip.half(1 - part))), (part,)) for part in (0, 1)]
            elif name == "wrong":
                styles = [(StyleEntry(model.encode_style(material.wrong[id])), (0, 1))]
            else:
                styles = [(StyleEntry(None), (0, 1))]
            for seed in options.seeds:
                for entry, parts in styles:  # the noise depends on id and seed alone: all systems start from the same
                    jobs[Job(id, features[id], [entry], seed)] = (clip, name, seed, parts)

    made: dict[tuple[str, str, int], dict[int, np.ndarray]] = {}
    lines: dict[tuple[str, str, int], list[np.ndarray]] = {}
    seams: dict[tuple[str, str, int], list[float]] = {}
    for done, (job, motion) in enumerate(model.animate(jobs), start=1):
        clip, name, seed, parts = jobs[job]
        seam = measure_health(motion.values, motion.fps, motion.rig, window).seam_jump
        seams.setdefault((clip.record.id, name, seed), []).append(float("nan") if seam is None else seam)
        values = motion.resample(clip.motion.fps, frames=clip.motion.frames).values
        lines.setdefault((clip.record.id, name, seed), []).append(values)
        for part in parts:
            made.setdefault((clip.record.id, name, seed), {})[part] = values[clip.halves()[part]]
        if done % 50 == 0 or done == len(jobs):
            say(f"  {done} of {len(jobs)} lines animated")

    rows, curves = [], {}
    for clip in material.clips:
        for name in systems:
            for seed in options.seeds:
                halves = made[clip.record.id, name, seed]
                numbers = measure_clip(face, clip, [halves[0], halves[1]], judging=judging)
                numbers |= over_the_line(face, clip, lines[clip.record.id, name, seed])
                numbers["seam"] = finite_mean(seams[clip.record.id, name, seed])
                rows.append(row_of(clip, name, seed, numbers))
        shown = made[clip.record.id, systems[0], options.seeds[0]]
        curves[clip.record.id] = np.concatenate([shown[0], shown[1]])
    say("  measured")
    emotion = emotion_rows(model, material, features, options.seeds[0]) if model.follows_style else []
    return {"systems": systems, "rows": rows, "emotion": emotion, "curves": curves}


def row_of(clip: HeldOutClip, system: str, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    record = clip.record
    about = {"clip": record.id, "person": record.speaker, "source": record.source, "group": clip.group}
    return {**about, "system": system, "seed": seed, **found}


def emotion_rows(
    model: Animator, material: Material, features: dict[str, np.ndarray], seed: int = 0
) -> list[dict[str, Any]]:
    """How the mean expression follows emotional references.

    Returns:
        One row per reference and line: `agreement`: correlation over the face channels of the generated and the
        reference's offset from neutral, neutral being what the same person's neutral reference gives (and is);
        `population`: both offsets from the average pose of the training persons instead; `gain`: how far the generated
        offset goes along the reference's, 1 = all the way.
    """
    if not material.styles:
        return []
    rig = material.clips[0].motion.rig
    moved = np.stack([style.motion.values.std(axis=0) for style in material.styles]).max(axis=0) > 0
    face = np.array([column for column in rig.face_columns if moved[column]])

    jobs: dict[Job, tuple[str, int]] = {}  # -> line, reference (-1 - number of the neutral one)
    neutral_of = {style.record.speaker: style.neutral for style in material.styles}
    persons = sorted(neutral_of)
    codes = [model.encode_style(style.motion) for style in material.styles]
    neutral_codes = [model.encode_style(neutral_of[person]) for person in persons]
    for line in material.lines:
        id = line.record.id
        for number, code in enumerate(codes):
            jobs[Job(id, features[id], [StyleEntry(code)], seed)] = (id, number)
        for number, code in enumerate(neutral_codes):
            jobs[Job(id, features[id], [StyleEntry(code)], seed)] = (id, -1 - number)
    means = {jobs[job]: motion.values[:, face].mean(axis=0) for job, motion in model.animate(jobs)}

    rows = []
    for number, style in enumerate(material.styles):
        reference, neutral = style.motion.values[:, face].mean(axis=0), style.neutral.values[:, face].mean(axis=0)
        for line in material.lines:
            generated = means[line.record.id, number]
            generated_neutral = means[line.record.id, -1 - persons.index(style.record.speaker)]
            wanted, got = reference - neutral, generated - generated_neutral
            row = {
                "reference": style.record.id,
                "person": style.record.speaker,
                "tag": style.record.tag,
                "line": line.record.id,
                "agreement": correlation(wanted, got),
                "gain": float(got @ wanted / (wanted @ wanted)),
            }
            if material.average is not None:
                origin = material.average[face]
                row["population"] = metrics.expression_agreement(reference, generated, origin)
            rows.append(row)
    return rows
