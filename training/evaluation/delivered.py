"""What a user gets: the shipped defaults around the model, and how much of the reference's life is left.

The rows of `one_model` judge the network alone. A batch does more: performance of the reference, mouth size, closures,
silence gate, smoothing. *delivered* is each half of a clip as `msmd batch` writes it, with the other half as style;
it is measured like every other system, and beside it stands how much it moves.

Life is a share of the reference's own (`life`): 1 is as lively as the performer. Systems that need no model stand
beside it: *still* has none, *copy* has all of it and does not know what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.api import Animator
from msmdcli.motion.motion import Motion
from training.evaluation.life import REGIONS as LIFE_REGIONS
from training.evaluation.life import measure_life
from training.evaluation.material import EvaluateOptions, HeldOutClip, Material
from training.evaluation.measuring import ComparisonHead, Judging, baseline, measure_clip, over_the_line
from training.evaluation.one_model import row_of
from training.evaluation.tables import number, system_name, table

DELIVERED = "delivered"
Halves = Mapping[str, list[np.ndarray]]  # clip -> its two halves, [T_half, D] each
Say = Callable[[str], None]


def delivered_results(
    bundle: Path,
    material: Material,
    face: ComparisonHead,
    options: EvaluateOptions,
    say: Say,
    judging: Judging | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of *delivered*, one per clip with the first seed, and its life."""
    rows, made = [], {}
    with Animator(bundle=bundle, threads=options.threads, sampling=options.sampling) as animator:
        for done, clip in enumerate(material.clips, start=1):
            lines = _lines(animator, clip, options.seeds[0])
            made[clip.record.id] = halves = [lines[part][clip.halves()[part]] for part in (0, 1)]
            numbers = measure_clip(face, clip, halves, judging=judging) | over_the_line(face, clip, lines)
            rows.append(row_of(clip, DELIVERED, options.seeds[0], numbers))
            if done % 20 == 0 or done == len(material.clips):
                say(f"  {done} of {len(material.clips)} clips as delivered")
    return rows, life_of(material, made)


def _lines(animator: Animator, clip: HeldOutClip, seed: int) -> list[np.ndarray]:
    """[T, D] the whole line in the style of its second half, and of its first."""
    found = []
    for part in (0, 1):
        motion = animator.animate(
            clip.audio, style=clip.half(1 - part), id=clip.record.id, seed=seed, fps=clip.motion.fps
        )
        values = motion.values[: clip.motion.frames]
        missing = clip.motion.frames - len(values)  # a sound may end a frame early
        found.append(np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values)
    return found


def life_of(material: Material, made: Halves) -> dict[str, Any]:
    """Movement, jitter and blinks of halves of clips against their references, the other halves."""
    clips = [(clip, part) for clip in material.clips for part in (0, 1)]
    motions = [_as_half(clip, part, made[clip.record.id][part]) for clip, part in clips]
    life = measure_life(motions, [clip.half(1 - part) for clip, part in clips])
    return {
        "movement": dict(life.movement),
        "jitter": dict(life.jitter),
        "blinks": life.blinks.per_minute,
        "blinks_own": life.own_blinks.per_minute,
    }


def _as_half(clip: HeldOutClip, part: int, values: np.ndarray) -> Motion:
    return replace(clip.half(part), values=np.asarray(values, np.float32))


def baseline_life(material: Material) -> dict[str, dict[str, Any]]:
    """The same of *still* and *copy*."""
    out = {}
    for name in ("still", "copy"):
        halves = {clip.record.id: baseline(name, clip, None) or [] for clip in material.clips}
        out[name] = life_of(material, halves)
    return out


def joined_halves(material: Material, curves: Mapping[str, np.ndarray]) -> Halves:
    """The halves of clips [T, D] that are joined."""
    return {clip.record.id: [curves[clip.record.id][at] for at in clip.halves()] for clip in material.clips}


def life_table(found: list[dict[str, Any]]) -> str:
    """Rows {model, system, ...} of `life_of` in Markdown."""
    regions = [name for name in LIFE_REGIONS if any(name in line["movement"] for line in found)]
    rows = [
        [
            system_name(line),
            *(number(line["movement"].get(name)) for name in regions),
            f"{number(line['blinks'], 0)} ({number(line['blinks_own'], 0)})",
            *(number(line["jitter"].get(name)) for name in regions),
        ]
        for line in found
    ]
    header = ["system", *regions, "blinks a minute (reference's)", *(f"jitter {name}" for name in regions)]
    return table(header, rows)
