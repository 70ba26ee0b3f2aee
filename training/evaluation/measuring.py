"""All numbers of one clip under one system: on the head, over the line, by the judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from msmdcli.heads.loading import load_head
from msmdcli.motion.health import measure_health
from msmdcli.motion.motion import Motion
from msmdcli.paths import find_head, shared_dir
from training.data.lags import FLAT, correlation, lag_correlations
from training.evaluation import metrics
from training.evaluation.judges import Judges
from training.evaluation.material import HeldOutClip

BEFORE_SOUND = 3  # frames: lips move before they are heard
TRACKED = "tracked"


class ComparisonHead:
    """The head on which faces are compared, with the vertices that the metrics need.

    A metric whose vertices the head does not have (a learned code may name none) is NaN.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mesh = load_head(path)
        named = {"face": "face", "lips": "lips", "upper": "upper_face", "mid": "mouth_opening"}
        sets = {key: self.mesh.vertex_set(name) for key, name in named.items() if self.mesh.has(name)}
        self.vertices = np.unique(np.concatenate(list(sets.values())))
        self._at = {key: np.searchsorted(self.vertices, numbers) for key, numbers in sets.items()}
        self.mid_lips = sets.get("mid")
        self._neutral = self.mesh.neutral[sets.get("upper", np.zeros(0, np.int64))]

    @classmethod
    def find(cls, path: Path | None) -> ComparisonHead:
        """The head at `path` (GLB or rig file), or the shared one, or the one that ships.

        Raises:
            MsmdError: there is no such file.
        """
        if path is None:
            shared = shared_dir()
            path = shared / "heads" / "ict_head_arkit52.glb" if shared else None
            if path is None or not path.is_file():
                path = find_head()
        return cls(path)

    def compare(self, real: np.ndarray, made: np.ndarray) -> dict[str, float]:
        """Metrics of one stretch, values [T, D] each."""
        rig = self.mesh.rig
        a, b = self.mesh.decode(real, self.vertices), self.mesh.decode(made, self.vertices)  # [T, n, 3]
        at = self._at
        face = rig.face_columns
        head = list(rig.rotation_indices or ())

        def on(key: str, metric: Callable[..., float], *more: np.ndarray) -> float:
            return metric(a[:, at[key]], b[:, at[key]], *more) if key in at else float("nan")

        return {
            "mse": on("face", metrics.vertex_error),
            "lve": on("lips", metrics.lip_vertex_error),
            "fdd": on("upper", metrics.upper_face_dynamics_deviation, self._neutral),
            "mod": on("mid", metrics.mouth_opening_difference),
            "head": metrics.head_error(real[:, head], made[:, head]) if head else float("nan"),
            "agreement": metrics.expression_agreement(real[:, face].mean(axis=0), made[:, face].mean(axis=0)),
            **{f"amplitude_{name}": ratio for name, ratio in metrics.amplitude_ratios(real, made, rig).items()},
        }

    def opening(self, values: np.ndarray) -> np.ndarray:
        """[T] mm of mouth opening of values [T, D]; 0 where the head has no such points."""
        if self.mid_lips is None:
            return np.zeros(len(values))
        return metrics.mouth_opening(self.mesh.decode(values, self.mid_lips))

    def jaw(self, values: np.ndarray) -> np.ndarray:
        """[T] what tells the timing of the mouth in values [T, D]: jawOpen, or in a learned code the opening."""
        rig = self.mesh.rig
        return values[:, rig.index("jawOpen")] if "jawOpen" in rig.channels else self.opening(values)


@dataclass(frozen=True, eq=False)
class Judging:
    """The judges, with what they need to know of the clips.

    Attributes:
        judges: see `training.evaluation.judges`.
        features: clip id -> [T, C] of its sound in the judges' ears.
        others: clip id -> a stretch of another person.
    """

    judges: Judges
    features: dict[str, np.ndarray]
    others: dict[str, Motion]

    def verdict(self, clip: HeldOutClip, made: Sequence[np.ndarray]) -> dict[str, float]:
        """See `Judges.verdict`: each half is compared with the other half of the real clip, its style reference."""
        features = self.features[clip.record.id][: clip.motion.frames]
        missing = clip.motion.frames - len(features)  # a sound may end a frame early
        features = np.concatenate([features, np.repeat(features[-1:], missing, axis=0)]) if missing else features
        other = self.others.get(clip.record.id)
        references = [clip.half(1).values, clip.half(0).values]
        return self.judges.verdict(features, made, references, None if other is None else other.values)


def measure_clip(
    face: ComparisonHead,
    clip: HeldOutClip,
    made: Sequence[np.ndarray],
    generated: bool = True,
    judging: Judging | None = None,
) -> dict[str, Any]:
    """All numbers of one clip under one system.

    Args:
        face: where to measure_clip.
        clip: the clip.
        made: animation of its two halves, [T_half, D] each.
        generated: by a model, which is expected to move the jaw.
        judging: whom to ask about sync and manner.

    Returns:
        metric -> number (mean over the halves where a metric is one of stretches); `jaw_curve`: correlation of the jaw
        opening at the lags -8..8.
    """
    halves = [face.compare(clip.motion.values[at], part) for at, part in zip(clip.halves(), made, strict=True)]
    found: dict[str, Any] = {name: finite_mean([half[name] for half in halves]) for name in halves[0]}
    whole = np.concatenate(made)
    real_jaw, made_jaw = (
        np.concatenate([curve - curve.mean() for curve in map(face.jaw, halves_of)])
        for halves_of in ([clip.motion.values[at] for at in clip.halves()], made)
    )
    timing = metrics.sync(real_jaw, made_jaw)
    found |= {"jaw": timing.at_zero, "jaw_best": timing.best, "jaw_lag": timing.lag}
    found["jaw_curve"] = lag_correlations(real_jaw, made_jaw).tolist()
    if generated and np.isnan(timing.at_zero) and real_jaw.std() > FLAT:
        # A jaw that stays where it is follows nothing; leaving it out would flatter.
        found |= {"jaw": 0.0, "jaw_best": 0.0}
    silent = metrics.silent_frames(clip.audio.samples, clip.audio.rate, clip.motion.fps, clip.motion.frames)
    for name, values in (("silence", whole), ("silence_tracked", clip.motion.values)):
        found[name] = metrics.movement_in_silence(face.opening(values), silent, clip.motion.fps)
    found |= _health(clip, made)
    return found | (judging.verdict(clip, made) if judging else {})


def over_the_line(face: ComparisonHead, clip: HeldOutClip, lines: Sequence[np.ndarray]) -> dict[str, float]:
    """`jaw_line`, `jaw_heard`: correlation of the jaw over whole lines [T, D], and from the first sound on; the mean of
    the lines. A jaw that stays where it is follows nothing: 0."""
    real = face.jaw(clip.motion.values)
    start = metrics.first_sound(clip.audio.samples, clip.audio.rate, clip.motion.fps, clip.motion.frames)
    start = max(0, start - BEFORE_SOUND)

    def mean(start: int) -> float:
        if real[start:].std() <= FLAT:
            return float("nan")
        found = np.array([correlation(real[start:], face.jaw(line)[start:]) for line in lines])  # [lines]
        return float(np.nan_to_num(found).mean())

    return {"jaw_line": mean(0), "jaw_heard": mean(start)}


def _health(clip: HeldOutClip, made: Sequence[np.ndarray]) -> dict[str, float]:
    """What animators care about, half by half: `jitter`, mean absolute second difference of the face relative to the
    tracked one, and `blinks` per minute beside the tracked `blinks_tracked`."""
    rig, fps = clip.motion.rig, clip.motion.fps
    real = [clip.motion.values[at] for at in clip.halves()]
    of_made, of_real = (
        [measure_health(half, fps, rig, window=len(half)) for half in halves] for halves in (list(made), real)
    )
    nan = float("nan")
    ratios = [
        a.jitter / b.jitter if a.jitter is not None and b.jitter else nan for a, b in zip(of_made, of_real, strict=True)
    ]
    found = {"jitter": finite_mean(ratios)}
    for name, halves in (("blinks", of_made), ("blinks_tracked", of_real)):
        found[name] = finite_mean([nan if h.blinks_per_minute is None else h.blinks_per_minute for h in halves])
    return found


def baseline(name: str, clip: HeldOutClip, average: np.ndarray | None) -> list[np.ndarray] | None:
    """The two halves [T_half, D] under a system that needs no model; None where it cannot be had."""
    if name == "average":
        return (
            None
            if average is None
            else [np.tile(average.astype(np.float32), (m.frames, 1)) for m in map(clip.half, (0, 1))]
        )
    if name == TRACKED:
        return [clip.half(part).values for part in (0, 1)]
    made = []
    for part in (0, 1):
        reference, frames = clip.half(1 - part).values, clip.half(part).frames
        if name == "still":
            made.append(np.tile(reference.mean(axis=0), (frames, 1)))
        else:
            made.append(reference[np.arange(frames) % len(reference)])
    return made


def finite_mean(values: Sequence[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")
