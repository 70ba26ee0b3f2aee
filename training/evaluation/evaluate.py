"""`msmd evaluate`: models on people they have never seen.

Protocol
    Clips    Of the data set's split `test`: with sound and at least 2 s long. Their persons are in no other split.
    Style    Each clip is cut in the middle. Each half is animated with the other half as style reference (*right*), so
             that the reference is the adjacent, non-overlapping stretch of the same performance. GRID's clips are 3 s
             long: their references last 1.5 s. The model hears the whole line; only the half that is not the reference
             is measured.
    Systems  *right*; *wrong*: a stretch of another person (the persons of the test set in the order of their names'
             sha256, each taking the next one's); *none*: the learned null style. And without any model: *still*: the
             reference's mean pose held; *copy*: the reference played as it is; *average*: the mean pose of the training
             persons held; *straight*: ridge regression from the sound, fitted on the split `train` (`straight_line`).
    Seeds    Every generated system with several seeds; right, wrong and none start from the same noise.
    Batch    *delivered*: what `msmd batch` writes at its defaults (performance, mouth size, closures, silence gate,
             smoothing), the same references, first seed; and how much it moves against them (`delivered`, `life`).
    Takes    *right* again with 8 takes of each clip: one take and their mean, timing and strength of the lips, distance
             of the motion's statistics from real clips (`as_generator`).
    Judges   Sync and manner (`judges`), trained on real clips of the split `train` only. They also judge
             *tracked*, the real performance itself: what a perfect system would get.
    Numbers  `metrics` on the two halves and averaged over halves and seeds: one number per clip, system and
             metric. Jaw timing and silence are measured on the whole clip, both halves joined; for the timing each
             half's mean is taken off, tracked and made, because the halves have different references and a step between
             them is no lip motion. Beside it, *over the line*: the line as it comes out with one reference, correlated
             as it is, averaged over the two references; and the same *from the first sound* on (3 frames before it),
             since what a mouth does before is not to be heard. Those two contain the frames of the reference itself.
             Tests pair clips (`training.evaluation.scores`).

Emotional references: the silent clips of split `style` of persons who also have a neutral one from the same source.
Lines are the test clips whose tag begins with `neutral`. The offset of the generated mean expression under an emotional
reference from that under the same person's neutral reference is compared with the offset between the two references
themselves: correlation over the face channels.

Results of a model are kept in OUT/models/ and used again while model, data set and options are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.errors import MsmdError
from training.evaluation.as_generator import baseline_measures, generator_measures, joined, model_takes
from training.evaluation.delivered import (
    DELIVERED,
    baseline_life,
    delivered_results,
    joined_halves,
    life_of,
)
from training.evaluation.judges import judges_of, shipped_ears, shipped_encoder
from training.evaluation.material import EvaluateOptions, Material, load_material, trackers
from training.evaluation.measuring import TRACKED, ComparisonHead, Judging, baseline, measure_clip, over_the_line
from training.evaluation.one_model import Say, evaluate_model, row_of
from training.evaluation.report import write_report
from training.evaluation.scores import summarise
from training.evaluation.stored_results import PROTOCOL_VERSION, result_key, store_results, stored_results
from training.evaluation.straight_line import STRAIGHT, Encode, fit_straight_line

BASELINES = ("still", "copy", "average")


def evaluate(
    models: Sequence[Path], data: Path, out: Path, options: EvaluateOptions | None = None, say: Say = print
) -> dict[str, Any]:
    """Evaluate bundles on a data set and write the report.

    Args:
        models: bundle folders.
        data: data set folder.
        out: report folder: report.json, report.md, pictures.
        options: see EvaluateOptions.
        say: where progress goes, a line at a time.

    Returns:
        The contents of report.json.

    Raises:
        MsmdError: a bundle, the data set or the head cannot be used.
    """
    from msmdcli.model.bundle import Bundle
    from msmdcli.model.engine import Engine

    options = options or EvaluateOptions()
    if not models:
        raise MsmdError("no model to evaluate", hint="name at least one bundle folder")
    bundles = [Bundle.load(path) for path in models]
    labels = _labels([bundle.name for bundle in bundles])
    material = load_material(data, options)
    face = ComparisonHead.find(options.head)
    (out / "models").mkdir(parents=True, exist_ok=True)
    say(
        f"{len(material.clips)} clips of {len({c.record.speaker for c in material.clips})} persons, "
        f"{len(material.styles)} emotional references on {len(material.lines)} lines"
    )
    if options.split is None and material.split != "test":
        say(f"the data set has no split test: {material.split} is measured, by which a model trained on it was chosen")

    encode = shipped_encoder()
    judging = judging_of(data, material, encode, say) if options.judges else None
    rows: list[dict[str, Any]] = []
    for name in (*BASELINES, TRACKED):
        for clip in material.clips:
            made = baseline(name, clip, material.average)
            if made is not None:
                numbers = measure_clip(face, clip, made, generated=False, judging=judging)
                rows.append({"model": "", **row_of(clip, name, 0, numbers)})
    lines = straight_lines(data, material, encode, options, say)
    straight = {
        clip.record.id: [line[at] for line, at in zip(lines[clip.record.id], clip.halves(), strict=True)]
        for clip in (material.clips if lines else [])
    }
    for clip in material.clips if straight else []:
        numbers = measure_clip(face, clip, straight[clip.record.id], judging=judging)
        numbers |= over_the_line(face, clip, lines[clip.record.id])
        rows.append({"model": "", **row_of(clip, STRAIGHT, 0, numbers)})

    emotion: list[dict[str, Any]] = []
    curves: dict[str, dict[str, np.ndarray]] = {}
    described = []
    generators = [{"model": "", "system": name, **m} for name, m in baseline_measures(material, face).items()]
    if straight:
        takes = {clip.record.id: [joined(clip, straight[clip.record.id])] for clip in material.clips}
        generators.append({"model": "", "system": STRAIGHT, **generator_measures(material, face, takes)})
    lives = [{"model": "", "system": name, **life} for name, life in baseline_life(material).items()]
    if straight:
        lives.append({"model": "", "system": STRAIGHT, **life_of(material, straight)})
    sampling = options.sampling
    for path, label, bundle in zip(models, labels, bundles, strict=True):
        resolved = sampling.resolve(bundle)
        key = result_key(path, material, face, options, resolved)
        found = stored_results(out / "models" / f"{label}.npz", key)
        if found is None:
            say(f"{label}: {path}")
            engine = Engine(bundle, threads=options.threads, sampling=sampling)
            found = evaluate_model(engine, material, face, options, say, judging, bundle.window)
            if not options.model_alone:
                say(f"{label}: takes")
                found["generator"] = generator_measures(material, face, model_takes(engine, material))
                delivered, found["life"] = delivered_results(path, material, face, options, say, judging)
                found["rows"] += delivered
            found["life_alone"] = life_of(material, joined_halves(material, found["curves"]))
            store_results(out / "models" / f"{label}.npz", key, found)
        else:
            say(f"{label}: results of an earlier run")
        rows += [{"model": label, **row} for row in found["rows"]]
        emotion += [{"model": label, **row} for row in found["emotion"]]
        curves[label] = found["curves"]
        lives.append({"model": label, "system": found["systems"][0], **found["life_alone"]})
        if not options.model_alone:
            generators.append({"model": label, "system": "right", **found["generator"]})
            lives.append({"model": label, "system": DELIVERED, **found["life"]})
        described.append(
            {"label": label, "name": bundle.name, "sampling": resolved.description(), "training": bundle.training}
        )

    report = {
        "format_version": 1,
        "protocol_version": PROTOCOL_VERSION,
        "data": {
            "split": material.split,
            "key": material.key,
            "clips": len(material.clips),
            "persons": len({clip.record.speaker for clip in material.clips}),
            "groups": {g: sum(c.group == g for c in material.clips) for g in sorted({c.group for c in material.clips})},
            "trackers": trackers(material.clips),
        },
        "head": {"file": face.path.name, "face": len(face.mesh.face), "lips": len(face.mesh.lips)},
        "seeds": list(options.seeds),
        "judges": judging.judges.checked if judging else None,
        "models": described,
        **summarise(rows, emotion, labels),
        "generators": generators,
        "life": lives,
    }
    write_report(report, rows, curves, material, face, options, out)
    return report


def straight_lines(
    data: Path, material: Material, encode: Encode, options: EvaluateOptions, say: Say
) -> dict[str, list[np.ndarray]]:
    """Clip -> its line [T, D] by the straight line, in the style of its second half and of its first; empty where there
    is too little to fit one on."""
    say("the straight line: fitting it on the training clips")
    line = fit_straight_line(data, encode, options.straight_sources)
    if line is None:
        say("no straight line: the split train holds too little sound with motion")
        return {}
    return {clip.record.id: line.animate(clip, encode(data / str(clip.record.audio))) for clip in material.clips}


def judging_of(data: Path, material: Material, encode: Encode, say: Say) -> Judging | None:
    """The judges of a data set, ready for its clips; None where it has too few people to train them."""
    judges = judges_of(data, encode, material.clips[0].motion.rig, say, ears=shipped_ears())
    if judges is None:
        return None
    features = {clip.record.id: encode(data / str(clip.record.audio)) for clip in material.clips}
    return Judging(judges, features, material.wrong)


def _labels(names: list[str]) -> list[str]:
    """Names of models made unique, and safe as file names."""
    safe = ["".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".") or "model" for name in names]
    return [name if safe.count(name) == 1 else f"{name}-{safe[: i + 1].count(name)}" for i, name in enumerate(safe)]
