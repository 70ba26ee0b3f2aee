"""Check what `msmd batch examples/lines.yaml` wrote, without the code that wrote it.

    python .ci/check_outputs.py MANIFEST ANGRY HAPPY

ANGRY and HAPPY are outputs with `--style angry` and `--style happy`. For each line: the npz and the CSV have
round(duration x fps) frames, no NaN, channels within range, and say the same; the mouth moves; the lines that the two
styles were given to frown in the one and smile in the other, and the rest are the same in both.
"""

from __future__ import annotations

import csv
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import yaml

STYLED = ("style", "segments", "regions")  # a line with one of these keeps its own manner
HEAD = ("headPitch", "headYaw", "headRoll")


def main(manifest: Path, angry: Path, happy: Path) -> int:
    data = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    fps = Fraction(data["defaults"]["fps"])
    problems: list[str] = []
    frown, smile = [], []
    for line in data["lines"]:
        info = soundfile.info(manifest.parent / line["audio"])
        frames = int(Fraction(info.frames, info.samplerate) * fps + Fraction(1, 2))
        first, channels, found = read(angry / f"{line['id']}.npz", frames, fps)
        second, _, more = read(happy / f"{line['id']}.npz", frames, fps)
        problems += [f"{line['id']}: {text}" for text in found + more]
        if found or more:
            continue
        problems += [f"{line['id']}: {text}" for text in check_csv(angry / f"{line['id']}.csv", first, channels)]
        jaw = first[:, channels.index("jawOpen")]
        if np.ptp(jaw) < 0.03:
            problems.append(f"{line['id']}: the jaw moves by {np.ptp(jaw):.3f} only")
        if any(key in line for key in STYLED):
            if not np.array_equal(first, second):
                problems.append(f"{line['id']}: has a manner of its own, yet --style changed it")
            continue
        difference = (second - first).mean(axis=0)
        frown.append(-sided(difference, channels, "browDown"))
        smile.append(sided(difference, channels, "mouthSmile"))
        print(f"{line['id']}: angry frowns {frown[-1]:.2f} more, happy smiles {smile[-1]:.2f} more")
    if not frown:
        problems.append("no line took the style of the command line")
    elif min(frown) < 0.05 or min(smile) < 0.05:
        problems.append(f"styles hardly differ: frown {min(frown):.3f}, smile {min(smile):.3f} at least")
    for problem in problems:
        print(f"Error: {problem}", file=sys.stderr)
    if not problems:
        print(f"{len(data['lines'])} lines are as they should be")
    return 1 if problems else 0


def read(path: Path, frames: int, fps: Fraction) -> tuple[np.ndarray, list[str], list[str]]:
    """Values [T, D], channel names and what is wrong with a motion npz."""
    if not path.is_file():
        return np.zeros((0, 0)), [], [f"{path} is missing"]
    with np.load(path, allow_pickle=False) as file:
        values, channels = file["values"], [str(name) for name in file["channels"]]
        rate = Fraction(str(file["fps"]))
    found = []
    if rate != fps:
        found.append(f"{rate} frames per second instead of {fps}")
    if values.shape != (frames, 55) or len(channels) != 55:
        found.append(f"shape {values.shape} instead of ({frames}, 55)")
    elif not np.isfinite(values).all():
        found.append("not all values are finite")
    else:
        face = values[:, [i for i, name in enumerate(channels) if name not in HEAD]]
        if face.min() < 0 or face.max() > 1:
            found.append(f"face channels from {face.min():.3f} to {face.max():.3f}")
        if np.abs(values).max() > 1.6:
            found.append(f"the head turns by {np.abs(values).max():.2f} rad")
    return values, channels, found


def check_csv(path: Path, values: np.ndarray, channels: list[str]) -> list[str]:
    """What is wrong with the Live Link Face CSV of a motion with these values [T, D]."""
    if not path.is_file():
        return [f"{path} is missing"]
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if header[:2] != ["Timecode", "BlendShapeCount"] and header[:2] != ["Timecode", "BlendshapeCount"]:
        return [f"{path.name} begins with {header[:2]}"]
    if len(header) != 63 or any(len(row) != 63 for row in rows):
        return [f"{path.name} has other than 63 columns"]
    if len(rows) != len(values):
        return [f"{path.name} has {len(rows)} rows instead of {len(values)}"]
    found = []
    columns = {name.lower(): column for column, name in enumerate(header)}
    for name in ("jawOpen", "mouthSmileLeft", "browDownRight", "eyeBlinkLeft"):
        written = np.array([float(row[columns[name.lower()]]) for row in rows])
        if np.abs(written - values[:, channels.index(name)]).max() > 1e-3:
            found.append(f"{path.name} and the npz differ in {name}")
    return found


def sided(pose: np.ndarray, channels: list[str], name: str) -> float:
    """Mean of a channel's left and right side in a pose [D]."""
    return float(np.mean([pose[channels.index(name + side)] for side in ("Left", "Right")]))


if __name__ == "__main__":
    raise SystemExit(main(*(Path(argument) for argument in sys.argv[1:])))
