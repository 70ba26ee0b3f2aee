"""Which hidden states of Whisper's encoder know the mouth? Ridge regression from single layers and pairs to tracked
channels.

    python benchmarks/probe_layers.py DATASET

DATASET is the corpus as `python -m training.data.corpus` writes it. Trained on the people of split `train` outside GRID
and the word clips, measured on the people of split `val`, so that the choice never looks at a test clip. Prints the
median correlation per clip for each channel, at the penalty that is best for these layers on average.

The starter's layers (2, 3) were chosen earlier, by a probe of this kind on other people, 25 of whose 57 clips are in
the test split. This one came after. It gives for jawOpen 0.43, 0.55, 0.48, 0.47, 0.43 (layers 0 to 4) and 0.54 (1+2);
layer 2 is best for mouthLowerDown, layer 3 for mouthPucker.
"""

from __future__ import annotations

import itertools
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from training.config import AudioConfig
from training.data.dataset import read_index
from training.data.features import FeatureCache

CHANNELS = ("jawOpen", "mouthPucker", "mouthFunnel", "mouthLowerDownLeft", "mouthClose")
EXCLUDED = ("grid_s1", "grid_multi", "lrwar")
CONTEXT = 3  # motion frames on either side
PROJECTED = 200  # random projection of the features of one frame
PENALTIES = (0.03, 0.3, 3.0, 30.0)


def load(data: Path, layers: tuple[int, ...]) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Split -> (features in context [T, F], channels [T, 5]) of each clip."""
    rig, fps = Rig.load("arkit52"), Fraction(25)
    cache = FeatureCache(AudioConfig(encoder="whisper", layers=layers, stack=2), fps)
    columns = [rig.index(name) for name in CHANNELS]
    projection = np.random.default_rng(0).standard_normal((cache.dim, PROJECTED)).astype(np.float32) / np.sqrt(
        cache.dim
    )
    clips: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "val": []}
    for row in read_index(data):
        if row["audio"] is None or row["source"] in EXCLUDED or row["split"] not in clips:
            continue
        motion = load_npz(row["motion"], rig).resample(fps).values[:, columns]
        features = cache.get(row["audio"]).rows(0, len(motion)).astype(np.float32) @ projection  # [T, PROJECTED]
        padded = np.pad(features, ((CONTEXT, CONTEXT), (0, 0)), "edge")
        context = np.concatenate([padded[i : i + len(motion)] for i in range(2 * CONTEXT + 1)], axis=1)
        clips[row["split"]].append((context, motion))
    return clips


def probe(clips: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> np.ndarray:
    """Median correlation per channel [5] on the validation clips at the best penalty."""
    x = np.concatenate([c for c, _ in clips["train"]])
    y = np.concatenate([m - m.mean(0) for _, m in clips["train"]])
    mean, std = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / std
    gram, target = x.T @ x, x.T @ y
    results = []
    for penalty in PENALTIES:
        weights = np.linalg.solve(gram + penalty * len(x) * np.eye(len(gram)), target)
        correlations = [
            [
                np.corrcoef(p, t)[0, 1] if t.std() > 1e-4 else np.nan
                for p, t in zip(((c - mean) / std @ weights).T, m.T, strict=True)
            ]
            for c, m in clips["val"]
        ]
        results.append(np.nanmedian(correlations, axis=0))
    return max(results, key=np.mean)


def main(data: Path) -> None:
    singles = [(layer,) for layer in range(5)]
    print("layers      " + "  ".join(f"{name[:12]:>12s}" for name in CHANNELS))
    for layers in [*singles, *itertools.combinations((1, 2, 3, 4), 2)]:
        found = probe(load(data, layers))
        print(f"{'+'.join(map(str, layers)):12s}" + "  ".join(f"{value:12.2f}" for value in found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
