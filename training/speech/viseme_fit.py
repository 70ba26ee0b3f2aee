"""Fit the viseme table to recordings of a real mouth.

    python -m training.speech.viseme_fit --speech DIR --tracked DIR --out training/speech/visemes.yaml

`visemes_hand.yaml` says from phonetics what the mouth does. How much each sound moves which channel, as a face tracker
measures it, and when, is learnt from recordings whose words are known: speaker s1 of the GRID corpus (Cooke et al.
2006, CC BY 4.0), where a clip's name spells its sentence.

1. A linear phoneme classifier on the speech encoder's features is trained on synthetic speech (`--speech`, made by
   training.speech.speech), whose phonemes are known to the millisecond; with it, a Viterbi search lays each sentence's
   phonemes over its recording.
2. Times (how far each articulator runs ahead, its rise and fall, the weight of length) are searched one after the
   other, with a small price on leaving the hand-made value. The weight of loudness is not: the sentences are all read
   as loud.
3. With times fixed the curves are linear in the targets, which come from ridge regression towards the hand-made ones:
   classes that GRID does not contain keep theirs.

The tracks are today's (`training.faces.corpus_tracks`), so that a channel means the same on made mouths and on the
tracked ones that a model learns from and is measured on. Fitted to MediaPipe's scores, as this table was before,
`mouthFunnel` went with `mouthPucker`, where solved faces have it go with the jaw: of validation people in the wild a
straight line taught by made mouths alone had -0.10 of it, and has 0.19. Only raised and pressed lips are still
MediaPipe's (`training.speech.alignment.SCORED`).

Per channel only the shape is taken from the speaker; its overall size stays the hand table's, since one person's
amplitude (and one camera's) is not everybody's. Every fifth clip is held out; the correlations reported are theirs.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from msmdcli.errors import MsmdError
from msmdcli.paths import shared_dir
from msmdcli.tracking.landmark_solver import VERSION
from training.speech.alignment import HELD_OUT_EVERY, AlignedTake, Aligner, encoder_features, read_takes
from training.speech.visemes import VisemeTable

HAND = Path(__file__).with_name("visemes_hand.yaml")
FITTED = Path(__file__).with_name("visemes.yaml")
RIDGE = 30.0
STILL = 5e-4  # standard deviation below which a tracked channel tells nothing
# What the search maximises: weighted mean of the correlations of these channels.
OBJECTIVE = {
    "jawOpen": 2.0, "mouthPucker": 1.0, "mouthFunnel": 1.0, "mouthLowerDown": 1.0, "mouthUpperUp": 0.5,
    "mouthPress": 0.5, "mouthShrugLower": 0.5, "mouthClose": 0.5,
}  # fmt: skip

Timing = dict[
    str, float
]  # what differs from the hand table: "ahead.jaw", "lead.jaw", "trail.jaw" (factors), "power", "core", ...


def with_timing(hand: VisemeTable, timing: Mapping[str, float]) -> VisemeTable:
    """The hand table with other times (targets unchanged)."""
    table = copy.copy(hand)
    names = [a.name for a in hand.articulators]
    lead = np.array([timing.get(f"lead.{n}", 1.0) for n in names])
    trail = np.array([timing.get(f"trail.{n}", 1.0) for n in names])
    table.dynamics = replace(hand.dynamics, **{k: v for k, v in timing.items() if "." not in k})
    table.classes = tuple(replace(c, lead=c.lead * lead, trail=c.trail * trail) for c in hand.classes)
    table.articulators = tuple(
        replace(a, ahead=timing.get(f"ahead.{a.name}", a.ahead), lead=a.lead * x, trail=a.trail * y)
        for a, x, y in zip(hand.articulators, lead, trail, strict=True)
    )
    return table


def designs(table: VisemeTable, takes: Sequence[AlignedTake]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Per take the matrices [A, T, K] whose product with an articulator's targets [K, c] is its curves, centred over
    time; and the means over time [A, K] that centring took away."""
    out, means = [], []
    for take in takes:
        segments = table.segments(take.phones)
        weights = table.weights(segments, take.times)  # [A, T, P]
        size = table.amplitudes(segments)
        design = np.zeros((len(table.articulators), len(take.times), len(table.classes)))
        for a, articulator in enumerate(table.articulators):
            sized = weights[a] if articulator.name == "seal" else weights[a] * size
            for p, (c, _) in enumerate(segments):
                design[a, :, c] += sized[:, p]
        means.append(design.mean(axis=1))
        out.append(design - means[-1][:, None])
    return out, means


def fit_targets(
    table: VisemeTable,
    design: Sequence[np.ndarray],
    means: Sequence[np.ndarray],
    takes: Sequence[AlignedTake],
    ridge: float = RIDGE,
) -> np.ndarray:
    """Targets [K, C] by ridge regression towards a multiple of the table's, brought back to the table's amplitude."""
    x_all = np.concatenate(design, axis=1)  # [A, T, K]
    y_all = np.concatenate([t.values - t.values.mean(axis=0) for t in takes])  # [T, C]
    out = table.targets.copy()
    for channel in range(out.shape[1]):
        x, y, hand = x_all[table.articulator_of[channel]], y_all[:, channel], table.targets[:, channel]
        drawn = x @ hand
        if y.std() < STILL or drawn.std() < 1e-6:
            continue  # the tracker hardly moves it
        # The speaker's size of the channel; where the hand table is of no use for it, a small part as a prior.
        gain = max(float(drawn @ y / (drawn @ drawn)), 0.15 * float(y.std() / drawn.std()))
        rest = y - gain * drawn
        scale = gain * float(np.std(hand))
        change = np.linalg.solve(x.T @ x + ridge * np.var(rest) / scale**2 * np.eye(x.shape[1]), x.T @ rest)
        fitted = gain * hand + change
        size = drawn.std() / (x @ fitted).std()
        # The curves were centred over time, so a constant is free: that with which a mouth at its least has nothing
        # of the channel.
        curve = np.concatenate(
            [(d + m[:, None])[table.articulator_of[channel]] @ fitted for d, m in zip(design, means, strict=True)]
        )
        out[:, channel] = np.maximum(size * (fitted - np.percentile(curve, 2.0)), 0.0)
    return out


def correlations(
    table: VisemeTable, design: Sequence[np.ndarray], takes: Sequence[AlignedTake], targets: np.ndarray
) -> np.ndarray:
    """Median over takes of the correlation between curve and track [C]; NaN for a channel that does not move."""
    rows = []
    for d, take in zip(design, takes, strict=True):
        curves = np.stack(
            [d[table.articulator_of[c]] @ targets[:, c] for c in range(targets.shape[1])], axis=1
        )  # [T, C]
        values = take.values - take.values.mean(axis=0)
        moving = (values.std(axis=0) > 1e-4) & (curves.std(axis=0) > 1e-6)
        product = (curves * values).mean(axis=0) / (curves.std(axis=0) * values.std(axis=0) + 1e-12)
        rows.append(np.where(moving, product, np.nan))
    with np.errstate(all="ignore"):
        return np.array([np.nanmedian(c) if np.isfinite(c).any() else np.nan for c in np.stack(rows).T])


def search_timing(hand: VisemeTable, takes: Sequence[AlignedTake], rounds: int = 2, price: float = 0.002) -> Timing:
    """Coordinate search for the times that let the fitted curves correlate best with the takes."""
    names = [a.name for a in hand.articulators]
    factors = [f"{kind}.{n}" for kind in ("lead", "trail") for n in names]
    moves: list[tuple[str, list[float]]] = [(f"ahead.{n}", [-0.03, 0.03, -0.015, 0.015]) for n in names]
    moves += [(f, [0.7, 1.4]) for f in factors]
    moves += [("power", [-0.3, 0.3]), ("core", [-0.2, 0.2]), ("length", [-0.1, 0.1])]
    limits = {"power": (0.8, 3.0), "core": (0.0, 1.0), "length": (0.0, 1.0)}
    columns = [hand.unsided.index(c) for c in OBJECTIVE]
    importance = np.array(list(OBJECTIVE.values()))

    def start(key: str) -> float:
        if key in factors:
            return 1.0
        return (
            hand.articulators[names.index(key[6:])].ahead
            if key.startswith("ahead.")
            else float(getattr(hand.dynamics, key))
        )

    def cost(timing: Timing) -> float:
        total = 0.0
        for key, value in timing.items():
            off = (
                np.log2(value) if key in factors else (value - start(key)) / (0.1 if key.startswith("ahead.") else 0.6)
            )
            total += float(off**2)
        return price * total

    def score(timing: Timing) -> float:
        table = with_timing(hand, timing)
        design, means = designs(table, takes)
        r = correlations(table, design, takes, fit_targets(table, design, means, takes))[columns]
        return float((importance * np.nan_to_num(r)).sum() / importance.sum()) - cost(timing)

    timing: Timing = {}
    best = score(timing)
    for _ in range(rounds):
        for key, changes in moves:
            for change in changes:
                while True:
                    now = timing.get(key, start(key))
                    value = now * change if key in factors else now + change
                    low, high = limits.get(key, (-0.16, 0.16) if key.startswith("ahead.") else (0.1, 4.0))
                    if not low <= value <= high:
                        break
                    trial = {**timing, key: value}
                    if (found := score(trial)) <= best + 1e-4:
                        break
                    best, timing = found, trial
    return timing


HEADER = """\
Visual phonemes: what the mouth does for each sound of speech. Read by training/speech/visemes.py, which explains the
model; the keys are explained in visemes_hand.yaml.

Made by `python -m training.speech.viseme_fit` from visemes_hand.yaml (sha256 {digest}) and {seen} clips of speaker s1
of the GRID corpus (Cooke, Barker, Cunningham, Shao 2006, CC BY 4.0), tracked by solver {solver} (raised and pressed
lips: MediaPipe's scores). Do not edit: change visemes_hand.yaml and fit again. Correlation with {unseen} clips held
out, hand table -> this one:
{report}"""


def fitted_document(raw: Mapping[str, Any], table: VisemeTable, targets: np.ndarray) -> dict[str, Any]:
    """The hand table's document with the times of `table` and the targets [K, C]."""
    out = copy.deepcopy(dict(raw))
    for a in table.articulators:
        out["articulators"][a.name].update({k: round(float(getattr(a, k)), 4) for k in ("ahead", "lead", "trail")})
    out["dynamics"] = {k: round(float(getattr(table.dynamics, k)), 4) for k in raw["dynamics"]}
    names = [a.name for a in table.articulators]
    first = {a.name: a for a in VisemeTable(raw).articulators}
    factor = {
        "lead": {n: a.lead / first[n].lead for n, a in zip(names, table.articulators, strict=True)},
        "trail": {n: a.trail / first[n].trail for n, a in zip(names, table.articulators, strict=True)},
    }
    for entry in [*out["kinds"].values(), *out["classes"].values()]:
        for key in ("lead", "trail"):
            if key in entry:
                entry[key] = {n: round(float(v * factor[key][n]), 4) for n, v in entry[key].items()}
    for k, entry in enumerate(out["classes"].values()):
        for channel in table.unsided:
            entry.pop(channel, None)
        entry.update({c: round(float(v), 4) for c, v in zip(table.unsided, targets[k], strict=True) if v >= 5e-5})
    return out


def write_document(document: Mapping[str, Any], header: str, path: Path) -> None:
    """One class per line, so that a reader can compare them."""
    lines = ["# " + line if line else "#" for line in header.splitlines()]
    for key, value in document.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name}: {_flow(entry)}" for name, entry in value.items()]
        else:
            lines.append(f"{key}: {_flow(value)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.speech.viseme_fit",
        description="Fit the viseme table to recordings of GRID's speaker s1.",
    )
    parser.add_argument(
        "--speech",
        type=Path,
        required=True,
        help="synthetic speech (training.speech.speech or .performed) that teaches the aligner; half an hour will do",
    )
    parser.add_argument("--clips", type=Path, help="folder of GRID clips (mp4); default: the shared corpus")
    parser.add_argument(
        "--tracked", type=Path, required=True, help="folder of their tracks (training.faces.corpus_tracks)"
    )
    parser.add_argument("--scores", type=Path, help="folder of MediaPipe's scores of them; default: the shared corpus")
    parser.add_argument("--out", type=Path, default=FITTED)
    options = parser.parse_args(arguments)
    shared = shared_dir()
    clips = options.clips or (shared and shared / "corpus" / "clips" / "grid_s1")
    scores = options.scores or (shared and shared / "corpus" / "tracked")
    try:
        if clips is None or scores is None:
            raise MsmdError("no GRID clips given", hint="--clips and --scores name their folders")
        raw = yaml.safe_load(HAND.read_text(encoding="utf-8"))
        hand = VisemeTable(raw, HAND.name)
        takes = read_takes(clips, options.tracked, scores, Aligner(hand, encoder_features(), options.speech))
        seen = [t for i, t in enumerate(takes) if i % HELD_OUT_EVERY]
        unseen = [t for i, t in enumerate(takes) if i % HELD_OUT_EVERY == 0]
        timing = search_timing(hand, seen[::2])
        table = with_timing(hand, timing)
        targets = fit_targets(table, *designs(table, seen), seen)
        before = correlations(hand, designs(hand, unseen)[0], unseen, hand.targets)
        after = correlations(table, designs(table, unseen)[0], unseen, targets)
        report = [
            f"  {c:<16} {b:5.2f} -> {a:4.2f}"
            for c, b, a in zip(hand.unsided, before, after, strict=True)
            if np.isfinite(a) and np.isfinite(b) and (targets != hand.targets)[:, hand.unsided.index(c)].any()
        ]
        header = HEADER.format(
            digest=hashlib.sha256(HAND.read_bytes()).hexdigest()[:16],
            seen=len(seen),
            unseen=len(unseen),
            solver=VERSION,
            report="\n".join(report),
        )
        write_document(fitted_document(raw, table, targets), header, options.out)
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    print("\n".join(report))
    print("times:", json.dumps({k: round(v, 4) for k, v in timing.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
