"""`msmd dub` on ten real pairs: does the dub keep the original's manner, and do its lips follow the new sound?

    python benchmarks/dub_real_pairs.py --data DATASET [--corpus SHARED/corpus] [--out DIR] [-- OPTION...]

Each pair is an emotional performance of the shared corpus and a recording in another language; whatever follows `--` is
handed to every `msmd dub`. DATASET is the corpus as `python -m training.data.corpus` writes it: the clips of its test
split say what real faces reach in (b). Pairs were chosen by their labels before anything was measured.

(a) **Manner.** The dub's mean expression and the original's, both as offsets from a neutral, correlated over the face
    channels (`expression_agreement`). The neutral is the same person's clip labelled neutral; where
    there is none, the mean of the other people's neutral clips. Asked: median >= 0.6.
    `other`: the same with the nine other originals' offsets in place of the right one (each from its own neutral; their
    median), which says how much of the agreement any emotional face would give.
(b) **Lips.** jawOpen against the log energy of the dub's sound (RMS of 40 ms around the frame, floor 50 dB under the
    loudest moment), at the best lag within +-6 frames of 40 ms; lag > 0: the jaw comes after the sound. Asked: best lag
    within +-2 frames, correlation at least the median of real clips (test split, the same measure) less 0.15.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from msmdcli.media.audio import Audio, load_audio
from msmdcli.motion.motion import Motion, load_npz
from msmdcli.paths import shared_dir
from msmdcli.tracking.tracker import tracked_motion
from training.data.records import read_index
from training.evaluation.metrics import expression_agreement, sync

MEAD = "style_silent/mead_dreamtalk/meadstyle_{}_front_{}_001.mp4"
WILD = "style_silent/styletalk/stylewild_{}.mp4"
PEOPLE = ("M030", "W009", "W011")
FPS = Fraction(25)
MAX_LAG = 6  # frames
RANGE_DB = 50.0
ASKED_AGREEMENT, ASKED_LAG, ALLOWED_LOSS = 0.6, 2, 0.15


@dataclass(frozen=True)
class Pair:
    """A performance (below the corpus), the person whose neutral it is compared with, and a recording."""

    original: str
    person: str | None
    audio: str

    @property
    def name(self) -> str:
        return f"{Path(self.original).stem.removeprefix('meadstyle_').removeprefix('stylewild_')} + {self.audio}"


PAIRS = (
    Pair(MEAD.format("M030", "angry_level3"), "M030", "de_1"),
    Pair(MEAD.format("M030", "happy_level3"), "M030", "fr_1"),
    Pair(MEAD.format("M030", "sad_level3"), "M030", "it_1"),
    Pair(MEAD.format("W009", "disgusted_level3"), "W009", "es_1"),
    Pair(MEAD.format("W009", "surprised_level3"), "W009", "ja_1"),
    Pair(MEAD.format("W009", "fear_level3"), "W009", "ko_1"),
    Pair(MEAD.format("W011", "happy_level3"), "W011", "zh_1"),
    Pair(MEAD.format("W011", "sad_level3"), "W011", "ru_1"),
    Pair(WILD.format("furious_talk1_clip2"), None, "de_4"),
    Pair(WILD.format("happyenglish_clip2"), None, "fr_3"),
)


def log_energy(audio: Audio, frames: int) -> np.ndarray:
    """[frames] dB of full scale at each frame of FPS, floor `RANGE_DB` under the loudest."""
    centre = (np.arange(frames) / float(FPS) * audio.rate).round().astype(int)
    reach = round(audio.rate / float(FPS) / 2)
    total = np.concatenate([[0.0], np.cumsum(audio.samples.astype(np.float64) ** 2)])
    low, high = (np.clip(centre + side * reach, 0, len(audio.samples)) for side in (-1, 1))
    level = 10 * np.log10((total[high] - total[low]) / np.maximum(high - low, 1) + 1e-12)
    return np.maximum(level, level.max() - RANGE_DB)


def follows(motion: Motion, audio: Audio) -> tuple[float, float]:
    """(correlation at the best lag, that lag in frames) of the jaw with the sound's energy."""
    jaw = motion.resample(FPS).values[:, motion.rig.index("jawOpen")]
    found = sync(log_energy(audio, len(jaw)), jaw, MAX_LAG)
    return found.best, found.lag


def real_clips(data: Path) -> np.ndarray:
    """[clips, 2] correlation and lag of each clip of the test split."""
    records = [record for record in read_index(data) if record.split == "test" and record.audio]
    return np.array([follows(load_npz(data / r.motion), load_audio(data / str(r.audio))) for r in records])


def dub(original: Path, audio: Path, out: Path, name: str, options: list[str]) -> Motion:
    """Run the command and read what it wrote."""
    command = [sys.executable, "-m", "msmdcli", "dub", str(original), str(audio), "--id", name, "--out", str(out)]
    subprocess.run([*command, "--formats", "npz", "--quiet", *options], check=True)
    return load_npz(out / f"{name}.npz")


def main() -> None:
    shared = shared_dir()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set with a test split")
    parser.add_argument("--corpus", type=Path, default=shared / "corpus" if shared else None)
    parser.add_argument("--out", type=Path, default=Path("dub_real_pairs"))
    parser.add_argument("options", nargs="*", help="handed to msmd dub")
    given = parser.parse_args()
    corpus: Path = given.corpus

    neutrals = {
        person: tracked_motion(corpus / MEAD.format(person, "neutral_level1")).values.mean(axis=0) for person in PEOPLE
    }
    everybody = np.mean(list(neutrals.values()), axis=0)  # [D]
    originals = [tracked_motion(corpus / pair.original) for pair in PAIRS]
    face = originals[0].rig.indices("face")
    origins = [neutrals[pair.person] if pair.person else everybody for pair in PAIRS]
    offsets = [(m.values.mean(axis=0) - origin)[face] for m, origin in zip(originals, origins, strict=True)]

    real = real_clips(given.data)
    needed = float(np.median(real[:, 0])) - ALLOWED_LOSS
    rows = []
    for number, pair in enumerate(PAIRS):
        audio = corpus / "audio" / f"{pair.audio}.wav"
        made = dub(corpus / pair.original, audio, given.out, f"pair{number:02d}", given.options)
        offset = (made.values.mean(axis=0) - origins[number])[face]
        others = [expression_agreement(other, offset) for i, other in enumerate(offsets) if i != number]
        correlation, lag = follows(made, load_audio(audio))
        rows.append(
            {
                "pair": pair.name,
                "seconds": (float(originals[number].seconds), float(made.seconds)),
                "agreement": expression_agreement(offsets[number], offset),
                "other": float(np.median(others)),
                "jaw": correlation,
                "lag": lag,
            }
        )
    print("| pair | original s | dub s | (a) agreement | other | (b) jaw / energy | lag |\n|" + " --- |" * 7)
    for row in rows:
        before, after = row["seconds"]
        print(
            f"| {row['pair']} | {before:.1f} | {after:.1f} | {row['agreement']:.2f} | {row['other']:.2f} "
            f"| {row['jaw']:.2f} | {row['lag']:+.0f} |"
        )
    medians = {key: float(np.median([row[key] for row in rows])) for key in ("agreement", "other", "jaw", "lag")}
    print("| **median** | | | **{agreement:.2f}** | {other:.2f} | **{jaw:.2f}** | {lag:+.0f} |".format(**medians))
    inside = sum(abs(row["lag"]) <= ASKED_LAG for row in rows)
    enough = sum(row["jaw"] >= needed for row in rows)
    print(f"\n(a) median {medians['agreement']:.2f}, asked >= {ASKED_AGREEMENT}")
    print(
        f"(b) real clips ({len(real)}): median {np.median(real[:, 0]):.2f}, quartiles "
        f"{np.percentile(real[:, 0], 25):.2f} to {np.percentile(real[:, 0], 75):.2f}, lag within "
        f"+-{ASKED_LAG}: {np.mean(np.abs(real[:, 1]) <= ASKED_LAG):.0%}; asked >= {needed:.2f}: median "
        f"{medians['jaw']:.2f}, {enough} of {len(rows)} pairs; lag within +-{ASKED_LAG} frames: {inside} of {len(rows)}"
    )
    (given.out / "pairs.json").write_text(json.dumps({"rows": rows, "needed": needed}, indent=1) + "\n")


if __name__ == "__main__":
    main()
