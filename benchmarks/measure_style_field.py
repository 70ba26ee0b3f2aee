"""What the style field does, in numbers, with the model that ships: regions, weights, segments, intensity.

    python -m benchmarks.measure_style_field [RECORDING ...]

Recordings default to those of `examples/audio`. `tests/msmdcli/styles/test_field.py`
holds the limits that must not be exceeded.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from msmdcli.media.audio import load_audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.motion.health import measure_health
from msmdcli.paths import shipped_bundle
from msmdcli.styles.field import Segment, StyleField, StyleRef
from msmdcli.styles.library import StyleLibrary

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "audio"
HERE = Path()


class Lines:
    """Recordings that can be animated with any style field.

    Args:
        recordings: sound files.
        tags: of the styles that will be used.
    """

    def __init__(self, recordings: Sequence[Path], tags: Sequence[str] = ("neutral", "angry", "happy")) -> None:
        self.engine = Engine(Bundle.load(shipped_bundle()), "cpu", threads=1)
        library = StyleLibrary()
        references = {tag: library.resolve(tag) for tag in tags}
        self.styles = {
            (tag, HERE): None if found is None else self.engine.encode_style(found.load())
            for tag, found in references.items()
        }
        self.audio = {path.stem: load_audio(path) for path in recordings}
        self.features = {name: self.engine.encode_audio(audio) for name, audio in self.audio.items()}
        self.rig = self.engine.bundle.rig

    def animate(self, field: StyleField) -> dict[str, np.ndarray]:
        """Recording -> [T, D], as generated."""
        fps = self.engine.bundle.fps
        jobs = [
            Job(name, features, field.entries(self.styles, len(features), fps, self.rig))
            for name, features in self.features.items()
        ]
        return {job.id: motion.values for job, motion in self.engine.animate(jobs, clip=False)}


def mix(**weights: float) -> tuple[StyleRef, ...]:
    return tuple(StyleRef(tag, HERE, weight) for tag, weight in weights.items() if weight > 0)


def plain(intensity: float = 1.0, **weights: float) -> StyleField:
    return StyleField((Segment(0.0, mix(**weights), fade=0.0),), intensity)


def region_leak(lines: Lines, region: str, tag: str = "angry") -> float:
    """How much the channels outside a region move when only its style changes, as a share of what those inside do.

    Mean over frames and channels of |change|, in units of the training set's standard deviations.
    """
    inside = np.isin(np.arange(lines.rig.size), lines.rig.indices(region))
    std = np.maximum(lines.engine.bundle.normalisation.std, 1e-6)
    moving = lines.engine.bundle.normalisation.std > 0
    base = lines.animate(plain(neutral=1))
    field = StyleField((Segment(0.0, mix(neutral=1), {region: mix(**{tag: 1.0})}, 0.0),))
    changed = lines.animate(field)
    ratios = []
    for name, values in base.items():
        change = np.abs(changed[name] - values) / std
        ratios.append(change[:, ~inside & moving].mean() / change[:, inside & moving].mean())
    return float(np.median(ratios))


def weight_path(lines: Lines, a: str = "neutral", b: str = "angry", steps: int = 11) -> np.ndarray:
    """[steps] where the mean pose is on the way from style a (0) to style b (1), for rising weights of b."""
    poses = []
    for share in np.linspace(0, 1, steps):
        made = lines.animate(plain(**{a: 1 - share, b: share}))
        poses.append(np.mean([values.mean(axis=0) for values in made.values()], axis=0))
    way = poses[-1] - poses[0]
    return np.array([(pose - poses[0]) @ way / (way @ way) for pose in poses])


def seam(lines: Lines, fade: float, at: float = 2.0, a: str = "neutral", b: str = "angry") -> tuple[float, float]:
    """How fast and how abruptly the face moves where the segment changes, beside what it does elsewhere.

    Returns:
        largest step (mean |difference| of the face channels between frames) and largest jump of velocity (mean |second
        difference|) from just before the change to just after its fade, each relative to the 95th percentile of the
        rest of the line. Medians over lines.
    """
    fps = float(lines.engine.bundle.fps)
    face = lines.rig.indices("face")
    made = lines.animate(StyleField((Segment(0.0, mix(**{a: 1.0}), fade=0.0), Segment(at, mix(**{b: 1.0}), fade=fade))))
    steps, jumps = [], []
    for values in made.values():
        first, last = int(at * fps) - 1, int((at + fade) * fps) + 1
        for order, found in ((1, steps), (2, jumps)):
            moved = np.abs(np.diff(values[:, face], n=order, axis=0)).mean(axis=1)
            inside = slice(max(0, first - order + 1), last + 1)
            found.append(moved[inside].max() / np.percentile(np.delete(moved, np.r_[inside]), 95))
    return float(np.median(steps)), float(np.median(jumps))


def intensity_row(lines: Lines, intensity: float, tag: str = "angry") -> dict[str, float]:
    """What an intensity does to lines in one style.

    Returns:
        expression: length of the mean pose's way from the average manner (intensity 0), relative to intensity 1;
        outside: share of values that leave the rig's ranges by more than 2 %, before they are held there;
        outside_at_1: the same at intensity 1; mouth_outside: of jaw and lips alone, which are what a line takes from
        the model when its performance is the reference's; jaw: correlation of the jaw with that at intensity 1;
        lively: spread over time of the face channels, within the ranges, relative to intensity 1.
    """
    rig, jaw = lines.rig, lines.rig.index("jawOpen")
    nothing, one, made = (lines.animate(plain(x, **{tag: 1.0})) for x in (0.0, 1.0, intensity))
    pose = {
        name: np.mean([v.mean(axis=0) for v in found.values()], axis=0)
        for name, found in (("nothing", nothing), ("one", one), ("made", made))
    }
    clipped = {name: np.clip(values, rig.lower, rig.upper)[:, jaw] for name, values in made.items()}
    whole = {name: np.clip(values, rig.lower, rig.upper)[:, jaw] for name, values in one.items()}
    fps, window = lines.engine.bundle.fps, lines.engine.bundle.window
    face = rig.indices("face")
    mouth = np.union1d(rig.indices("jaw"), rig.indices("lips"))

    def outside(found: dict[str, np.ndarray]) -> float:
        return float(np.mean([measure_health(values, fps, rig, window).outside_share for values in found.values()]))

    def beyond(values: np.ndarray) -> float:
        slack = 0.02 * (rig.upper - rig.lower)[mouth]
        low, high = rig.lower[mouth] - slack, rig.upper[mouth] + slack
        return float(np.mean((values[:, mouth] < low) | (values[:, mouth] > high)))

    def spread(values: np.ndarray) -> float:
        return float(np.clip(values, rig.lower, rig.upper)[:, face].std(axis=0).sum())

    return {
        "expression": float(
            np.linalg.norm(pose["made"] - pose["nothing"]) / np.linalg.norm(pose["one"] - pose["nothing"])
        ),
        "outside": outside(made),
        "outside_at_1": outside(one),
        "mouth_outside": float(np.mean([beyond(values) for values in made.values()])),
        "jaw": float(np.median([np.corrcoef(clipped[name], whole[name])[0, 1] for name in made])),
        "lively": float(np.median([spread(made[name]) / spread(one[name]) for name in made])),
    }


def main() -> None:
    recordings = [Path(name) for name in sys.argv[1:]] or sorted(p for p in EXAMPLES.iterdir() if p.suffix != ".txt")
    lines = Lines(recordings)
    print(f"{len(recordings)} recordings, {sum(float(a.seconds) for a in lines.audio.values()):.0f} s")
    for region in ("upper", "lower", "mouth", "brows", "lids", "gaze", "head"):
        print(f"region {region:6}: channels outside it move {100 * region_leak(lines, region):5.2f} % of those inside")
    path = weight_path(lines)
    print("weights 0..1 of angry in neutral: mean pose at", " ".join(f"{x:.3f}" for x in path))
    for fade in (0.0, 0.1, 0.3, 0.6):
        step, jump = seam(lines, fade)
        print(
            f"segment change, fade {fade:.1f} s: largest step {step:.2f}, largest jump of velocity {jump:.2f} (x usual)"
        )
    for tag in ("angry", "happy"):
        for intensity in (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0):
            row = ", ".join(f"{name} {value:.3f}" for name, value in intensity_row(lines, intensity, tag).items())
            print(f"{tag} at intensity {intensity:4.2f}: {row}")


if __name__ == "__main__":
    main()
