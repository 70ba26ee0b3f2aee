"""Lips and lids of tracked clips against frames that a person has looked at.

    python benchmarks/capture_labels.py LABELS.csv CLIPS...

LABELS.csv (it stays with its pictures, outside of the repository) has the columns

    clip      name of a clip; CLIPS are folders with landmarks: the shared corpus, or tracks of `msmd track --landmarks`
    frame     number among the clip's frames in which a face was found, from 0
    label     touch or apart (lips); shut, half or open (lids, whatever the brows do)
    group     any word: rows are counted by it; frames of persons on whom settings were chosen want a group of their own

Printed for each group, for the solver and for MediaPipe's scores: of lips that touch, the share with a gap below 1 mm
on the ICT head; of lips apart, above 1 mm; of shut eyes, eyeBlink at 0.8 and more (mean of both eyes); of half shut
ones, 0.3 to 0.85; of open ones, below 0.5.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from msmdcli.tracking.capture import capture
from msmdcli.tracking.face_correspondence import shipped_correspondence
from training.faces.landmark_clips import LandmarkClip, read_clips
from training.faces.solve_landmarks import landmarks_of

RIGHT: dict[str, Callable[[float, float], bool]] = {  # of blink and gap in mm
    "touch": lambda blink, gap: gap < 1.0,
    "apart": lambda blink, gap: gap > 1.0,
    "shut": lambda blink, gap: blink >= 0.8,
    "half": lambda blink, gap: 0.3 <= blink <= 0.85,
    "open": lambda blink, gap: blink < 0.5,
}


def read_at(clip: LandmarkClip, frames: list[int]) -> np.ndarray:
    """[n, 2 of solver and scores, 2 of blink and gap in mm] at numbers of found frames."""
    face, sight = shipped_correspondence(), landmarks_of(clip)
    lids = [face.index("eyeBlinkLeft"), face.index("eyeBlinkRight")]
    at = np.flatnonzero(clip.found)[frames]
    values = np.stack([capture(sight).values[at], sight.scores_of(face.channels)[at]], axis=1)  # [n, 2, 52]
    return np.stack([values[..., lids].mean(axis=-1), face.lip_gap + values @ face.lip_gap_by], axis=-1)


def main(labels: Path, folders: list[Path]) -> None:
    wanted = defaultdict(list)
    with labels.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            wanted[row["clip"]].append(row)
    right = defaultdict(list)
    for clip in (clip for folder in folders for clip in read_clips(folder, wanted)):  # what is found is wanted no more
        rows = wanted.pop(clip.name)
        for row, (solver, scores) in zip(rows, read_at(clip, [int(row["frame"]) for row in rows]), strict=True):
            for group in (row["group"], "all"):
                right[group, row["label"]].append([RIGHT[row["label"]](*solver), RIGHT[row["label"]](*scores)])
    if wanted:
        print(f"no landmarks of {', '.join(sorted(wanted))}")
    for group in sorted({group for group, _ in right}):
        for label in RIGHT:
            if (group, label) in right:
                solver, scores = np.mean(right[group, label], axis=0)
                print(f"{group}: {label} ({len(right[group, label])}): solver {solver:.2f}, scores {scores:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
