"""The tracker on a head whose weights are known: a film of the ICT head, tracked, and compared channel by channel.

    python benchmarks/capture_synthetic.py [--keep DIR]

Three identities: the head as it ships, and two that are stretched (wide and short; narrow and long). Each performs
every channel alone, rising and falling, then random mixtures of three, while the head turns slowly. The film goes
through the landmarker and the solver as any video would; the first second, at rest, is the known neutral. Printed are
correlation and gain of each channel, for the solver and for MediaPipe's scores, over all three, and the head's error.
The head's eyeballs are larger than people's, so gaze comes out too large here.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from msmdcli.drawing.renderer import open_renderer
from msmdcli.heads.loading import load_head
from msmdcli.heads.mesh import MeshDecoder
from msmdcli.motion.rotation import euler_from_quaternion
from msmdcli.paths import find_head
from msmdcli.tracking.capture import Landmarks, capture, neutral_of_frames
from msmdcli.tracking.face_correspondence import GAZE, UNSEEN
from msmdcli.tracking.face_model import find_face_model
from msmdcli.tracking.landmarker import Landmarker

FPS = 25
SIZE = 512
REST = FPS  # frames at rest
SINGLE, MIXED = 12, 400  # frames for each channel alone; frames of mixtures
STRETCHES = {"as it ships": (1.0, 1.0, 1.0), "wide and short": (1.08, 0.94, 1.0), "narrow": (0.94, 1.05, 1.03)}


def performance(mesh: MeshDecoder, rng: np.random.Generator) -> np.ndarray:
    """Channel values [T, D]."""
    rig = mesh.rig
    names = [name for name in mesh.channels if name not in UNSEEN]
    values = np.zeros((REST + SINGLE * len(names) + MIXED, rig.size), np.float32)
    hill = np.sin(np.linspace(0, np.pi, SINGLE)) ** 2
    for number, name in enumerate(names):
        start = REST + number * SINGLE
        values[start : start + SINGLE, rig.index(name)] = hill * 0.8
        if name == "mouthClose":  # closes what the jaw opens
            values[start : start + SINGLE, rig.index("jawOpen")] = hill * 0.8
    start, quiet = REST + len(names) * SINGLE, [n for n in names if n != "mouthClose"]
    for frame in range(start, len(values), 20):
        for name in rng.choice(quiet, 3, replace=False):
            long = np.sin(np.linspace(0, np.pi, 20)) ** 2 * rng.uniform(0.3, 0.8)
            values[frame : frame + 20, rig.index(name)] += long[: len(values) - frame]
    time = np.arange(len(values)) / FPS
    turn = np.clip(time - 1, 0, 1)
    values[:, rig.index("headYaw")] = turn * np.radians(12) * np.sin(time * 0.9)
    values[:, rig.index("headPitch")] = turn * np.radians(6) * np.sin(time * 0.7)
    values[:, rig.index("headRoll")] = turn * np.radians(5) * np.sin(time * 0.5)
    return values


def tracked(mesh: MeshDecoder, values: np.ndarray, model: Path) -> tuple[Landmarks, np.ndarray]:
    """What the landmarker sees of the performance, and in which frames."""
    places, scores, found = [], [], []
    renderer = open_renderer(mesh, SIZE, SIZE)
    with Landmarker(model) as landmarker:
        for number, picture in enumerate(renderer.pictures(values)):
            faces = landmarker.find(picture, number * 1000 // FPS)
            if faces:
                places.append(faces[0].landmarks)
                scores.append(faces[0].shapes)
                found.append(number)
        names = landmarker.shape_names
    renderer.close()
    return Landmarks(np.array(places, np.float64), np.array(scores, np.float64), names, 1.0, float(FPS)), np.array(
        found
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--keep", type=Path, help="keep what the landmarker saw here, and use it again")
    options = parser.parse_args()
    model, shipped = find_face_model(None), load_head(find_head())
    truths, solved, scored, heads = [], [], [], []
    for number, (name, stretch) in enumerate(STRETCHES.items()):
        mesh = replace(
            shipped,
            neutral=(shipped.neutral * np.array(stretch, np.float32)).astype(np.float32),
            deltas=(shipped.deltas * np.array(stretch, np.float32)).astype(np.float32),
            source="",
        )
        values = performance(mesh, np.random.Generator(np.random.Philox(number)))
        kept = None if options.keep is None else options.keep / f"synthetic{number}.npz"
        if kept is not None and kept.is_file():
            with np.load(kept, allow_pickle=False) as file:
                sight = Landmarks(file["places"], file["scores"], tuple(map(str, file["names"])), 1.0, float(FPS))
                found = file["found"]
        else:
            sight, found = tracked(mesh, values, model)
            if kept is not None:
                np.savez(kept, places=sight.places, scores=sight.scores, names=np.array(sight.names), found=found)
        rest = Landmarks(sight.places[5:REST], sight.scores[5:REST], sight.names, 1.0, float(FPS))
        taken = capture(sight, neutral_of_frames(rest, known=True), gaze_from_rest=False)
        columns = [mesh.rig.index(channel) for channel in taken.channels]
        truths.append(values[found][:, columns])
        solved.append(taken.values)
        scored.append(sight.scores_of(taken.channels))
        angles = np.degrees(euler_from_quaternion(taken.head))
        truth = np.degrees(values[found][:, list(mesh.rig.rotation_indices or ())])
        centred = angles - angles[:REST].mean(axis=0)
        heads.append([np.polyfit(truth[:, i], centred[:, i], 1)[0] for i in range(3)])
        error = np.abs(centred - truth).mean(axis=0)
        print(
            f"{name}: face in {len(found)} of {len(values)} frames; head off by {np.round(error, 2)} degrees "
            f"(pitch, yaw, roll), gain {np.round(heads[-1], 2)}; "
            f"landmarks {taken.still_error:.2f} -> {taken.error:.2f} mm"
        )
    truth, ours, theirs = (np.concatenate(part) for part in (truths, solved, scored))
    rows = []
    for c, channel in enumerate(taken.channels):
        if channel in UNSEEN:
            continue
        row = []
        for found_values in (ours, theirs):
            x, y = truth[:, c], found_values[:, c]
            r = np.corrcoef(x, y)[0, 1] if y.std() > 1e-6 else 0.0
            row += [r, float(np.polyfit(x, y, 1)[0])]
        rows.append(row)
        print(f"{channel:22} solver r {row[0]:5.2f} gain {row[1]:5.2f}   scores r {row[2]:5.2f} gain {row[3]:5.2f}")
    table = np.array(rows)
    names = [n for n in taken.channels if n not in UNSEEN]
    gaze = np.array([n in GAZE for n in names])
    for what, mask in (("face", ~gaze), ("gaze", gaze)):
        print(
            f"{what}: median correlation {np.median(table[mask, 0]):.2f} (scores {np.median(table[mask, 2]):.2f}), "
            f"median gain {np.median(table[mask, 1]):.2f} (scores {np.median(table[mask, 3]):.2f}), "
            f"correlation below 0.5: {(table[mask, 0] < 0.5).sum()} (scores {(table[mask, 2] < 0.5).sum()}) "
            f"of {mask.sum()}"
        )


if __name__ == "__main__":
    main()
