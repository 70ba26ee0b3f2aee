"""What the controls of a line do, in numbers: silence gate, smoothing, pins.

    python benchmarks/measure_controls.py --data DATASET --head HEAD.glb [--clips 60]

DATASET is a data set of `msmd train` with a split `test`; each clip is animated with its own recording in its own
style. Mouth movement in silence is measured as in `metrics`, in mm/s of the mouth's opening, and compared with
what was tracked of the person.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from msmdcli.controls.controls import Controls, control
from msmdcli.controls.pins import Pin, Pinned, meet
from msmdcli.controls.silence_gate import SilenceGate
from msmdcli.controls.smoothing import closures
from msmdcli.formats.registry import read_motion
from msmdcli.media.audio import Audio, load_audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.motion.mouth import mouth_opening
from msmdcli.paths import shipped_bundle
from training.evaluation import metrics
from training.evaluation.measuring import ComparisonHead


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--head", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--clips", type=int, default=60)
    args = parser.parse_args()
    bundle = Bundle.load(args.bundle)
    engine = Engine(bundle, "cpu", threads=1)
    rows = [json.loads(line) for line in (args.data / "index.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "test" and row["seconds"] > 2][: args.clips]
    face = ComparisonHead(args.head)
    lines = [Line(engine, args.data, row) for row in rows]
    gate(lines, face)
    smoothing(lines)
    pins(engine, lines)


class Line:
    """One clip: what was tracked, its sound, and what the model makes of it."""

    def __init__(self, engine: Engine, data: Path, row: dict[str, str]) -> None:
        self.id = row["id"]
        self.audio: Audio = load_audio(data / row["audio"])
        self.style: StyleCode = engine.encode_style(read_motion(data / row["motion"]))
        self.features = engine.encode_audio(self.audio)
        self.tracked = read_motion(data / row["motion"]).resample(engine.bundle.fps, len(self.features))
        ((_, made),) = engine.animate([self.job()], clip=False)
        self.made: Motion = made.clip()

    def job(self, **changes: object) -> Job:
        return replace(Job(self.id, self.features, [StyleEntry(self.style)]), **changes)  # type: ignore[arg-type]

    def controlled(self, **controls: object) -> Motion:
        return control(self.made, Controls(**controls), self.audio, 0, self.id, self.style.rest).motion.clip()  # type: ignore[arg-type]


def gate(lines: list[Line], face: ComparisonHead) -> None:
    """mm/s of the mouth in silence: tracked, as generated, gated; and in speech, which must not change."""
    found: dict[str, list[float]] = {}
    for line in lines:
        silent = metrics.silent_frames(line.audio.samples, line.audio.rate, line.made.fps, line.made.frames)
        if (silent[1:] & silent[:-1]).sum() < 5:
            continue
        gated = line.controlled(gate=SilenceGate(True))
        for name, motion in (("tracked", line.tracked), ("generated", line.made), ("gated", gated)):
            curve = face.opening(motion.values)
            found.setdefault(name, []).append(metrics.movement_in_silence(curve, silent, motion.fps))
            found.setdefault(f"{name}, in speech", []).append(metrics.movement_in_silence(curve, ~silent, motion.fps))
            found.setdefault(f"{name}, opening in silence (mm)", []).append(float(curve[silent].mean()))
        change = np.abs(np.diff(gated.values, axis=0)).max(axis=0).mean()
        before = np.abs(np.diff(line.made.values, axis=0)).max(axis=0).mean()
        found.setdefault("largest step, gated / generated", []).append(change / before)
    print(f"silence gate: {len(found['tracked'])} clips with silence, medians")
    for name, values in found.items():
        print(f"  {name:40} {median(values):7.2f}")


def smoothing(lines: list[Line]) -> None:
    """Jitter (mean absolute second difference of the face), lag of the jaw, depth and number of closures."""
    print("smoothing: medians over clips")
    for strength in (0.0, 0.1, 0.2, 0.3, 0.5, 1.0):
        jitter, lags, depth, swing = [], [], [], []
        for line in lines:
            rig, fps = line.made.rig, float(line.made.fps)
            source, smooth = line.made.values, line.controlled(smooth=strength).values
            face = rig.indices("face")
            jitter.append(float(np.abs(np.diff(smooth[:, face], n=2, axis=0)).mean()))
            jaw = rig.index("jawOpen")
            lags.append(_lag(source[:, jaw], smooth[:, jaw]))
            swing.append(float(smooth[:, jaw].std() / max(source[:, jaw].std(), 1e-6)))
            closed = closures(source.astype(np.float64), rig, fps)
            if closed.any():
                rise = mouth_opening(smooth, rig)[closed] - mouth_opening(source, rig)[closed]
                depth.append(float(np.abs(rise).max()))
        print(
            f"  smooth {strength:3.1f}: jitter {median(jitter):.5f}, lag {min(lags)}..{max(lags)} frames, "
            f"jaw swing x{median(swing):.2f}, opening at closures changes by at most {max(depth):.1e}"
        )


def pins(engine: Engine, lines: list[Line]) -> None:
    """A key pose in the middle of each line: with the sampling's help, and bent afterwards only.

    How well the frames around fit: the largest second difference of the pinned channels within 0.4 s of the pin, and
    that of the free channels of the mouth, relative to the 95th percentile of the line.
    """
    rig, fps = engine.bundle.rig, float(engine.bundle.fps)
    pose = {"jawOpen": 0.35, "mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}
    free = [column for column in rig.indices("lips") if rig.channels[column] not in pose]
    found: dict[str, list[float]] = {}
    for line in lines:
        time = round(line.made.frames / 2) / fps
        frame = round(time * fps)
        for blend in (0.1, 0.25):
            pinned = Pinned.of([Pin(pose, time, blend=blend)], rig, engine.bundle.fps, line.made.frames)
            ((_, helped),) = engine.animate([line.job(constrain=pinned.met_by)], clip=False)
            near = slice(max(0, frame - 10), frame + 11)
            columns = [rig.index(name) for name in pose]
            for name, motion in (("bent only", meet(line.made, pinned)), ("in sampling", meet(helped, pinned))):
                assert np.array_equal(motion.values[frame, columns], np.array(list(pose.values()), np.float32))
                shake = np.abs(np.diff(motion.values[near][:, columns], n=2, axis=0)).max()
                found.setdefault(f"blend {blend} s, {name}: largest second difference, pinned", []).append(float(shake))
            moved = np.abs(helped.values[near][:, free] - line.made.values[near][:, free]).mean()
            far = np.abs(
                np.delete(helped.values, np.r_[near], axis=0) - np.delete(line.made.values, np.r_[near], axis=0)
            )
            found.setdefault(f"blend {blend} s: free lip channels near the pin answer by", []).append(float(moved))
            found.setdefault(f"blend {blend} s: everything further away moves by", []).append(float(far.mean()))
    print("pins: medians over clips")
    for name, values in found.items():
        print(f"  {name:75} {median(values):8.4f}")


def _lag(a: np.ndarray, b: np.ndarray) -> int:
    """Frames by which b comes after a: the shift of the best correlation, up to 5."""
    a, b = a - a.mean(), b - b.mean()

    def agreement(shift: int) -> float:
        left, right = (a[: len(a) - shift], b[shift:]) if shift >= 0 else (a[-shift:], b[: len(b) + shift])
        return float(left @ right / max(np.linalg.norm(left) * np.linalg.norm(right), 1e-12))

    return max(range(-5, 6), key=lambda shift: (round(agreement(shift), 9), -abs(shift)))


if __name__ == "__main__":
    main()
