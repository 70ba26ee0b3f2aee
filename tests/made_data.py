"""A small data set for training tests."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")


def make_data(folder: Path, clips: int = 8) -> Path:
    """Clips whose jaw follows the loudness of their sound."""
    (folder / "motion").mkdir(parents=True)
    rows = []
    rng = np.random.default_rng(0)
    for i in range(clips):
        frames = 80
        loud = np.abs(np.sin(np.arange(frames) / 25 * 2 * np.pi * (1.0 + 0.2 * i)))
        values = np.zeros((frames, RIG.size), np.float32)
        values[:, RIG.index("jawOpen")] = 0.4 * loud
        values[:, RIG.index("mouthSmileLeft")] = 0.1 * (i % 3)
        save_npz(folder / "motion" / f"{i}.npz", Motion(values, Fraction(25), RIG))
        sound = rng.standard_normal(frames * 640) * np.repeat(0.02 + 0.2 * loud, 640)
        soundfile.write(folder / f"{i}.flac", sound.astype(np.float32), 16000)
        split = "val" if i == clips - 1 else "train"
        rows.append(
            {
                "id": str(i),
                "audio": f"{i}.flac",
                "motion": f"motion/{i}.npz",
                "speaker": f"s{i % 2}",
                "source": "made",
                "split": split,
            }
        )
    (folder / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder
