"""Emotion told from tracked channels alone, leave one actor out.

    python benchmarks/capture_emotion.py CORPUS

Material: `style_silent/mead_dreamtalk` of the shared corpus: 3 actors x 8 emotions, its stored landmarks and scores.
Features: mean, or mean and spread, of each channel over windows of 1.5 s, every 0.5 s, standardised on the actors that
are trained on. Classifier: linear discriminant with a shared covariance, shrunk towards its diagonal's mean. Compared
are MediaPipe's scores and the channels that `msmd track` writes, each with the actor's neutral clip known (K) and
without (R). One actor is left out at a time; what is printed is the share of windows told rightly, over the three, at
three strengths of shrinking, and of angry / disgusted / sad against each other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from msmdcli.tracking.capture import capture, neutral_of_frames
from msmdcli.tracking.face_correspondence import landmark_weights, shipped_correspondence
from msmdcli.tracking.landmark_solver import LandmarkSolver, relative_scores, solved_channels
from training.faces.landmark_clips import LandmarkClip, read_clips
from training.faces.solve_landmarks import landmarks_of

EMOTIONS = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
HARD = ("angry", "disgusted", "sad")
SHRINK = (0.1, 0.33, 0.66)
WINDOW, HOP = 1.5, 0.5
Features = dict[tuple[str, str], np.ndarray]


def windows(values: np.ndarray, fps: float, spread: bool) -> np.ndarray:
    length, hop = round(WINDOW * fps), round(HOP * fps)
    parts = [values[start : start + length] for start in range(0, len(values) - length + 1, hop)]
    return np.array([np.concatenate([p.mean(axis=0), p.std(axis=0)]) if spread else p.mean(axis=0) for p in parts])


def discriminant(x: np.ndarray, y: np.ndarray, shrink: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    classes = np.unique(y)
    means = np.array([x[y == c].mean(axis=0) for c in classes])
    rest = x - means[np.searchsorted(classes, y)]
    covariance = rest.T @ rest / len(x)
    size = np.trace(covariance) / len(covariance)
    covariance = (1 - shrink) * covariance + shrink * size * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T)
    return classes, weights, -0.5 * (means.T * weights).sum(axis=0)


def told(features: Features, shrink: float, spread: bool, emotions: tuple[str, ...] = EMOTIONS) -> float:
    cut = {key: windows(values, 25.0, spread) for key, values in features.items() if key[1] in emotions}
    right = count = 0
    for actor in sorted({key[0] for key in cut}):

        def gathered(own: bool, actor: str = actor) -> tuple[np.ndarray, np.ndarray]:
            chosen = [key for key in sorted(cut) if (key[0] == actor) == own]
            labels = np.concatenate([np.full(len(cut[key]), emotions.index(key[1])) for key in chosen])
            return np.concatenate([cut[key] for key in chosen]), labels

        x, y = gathered(False)
        other, truth = gathered(True)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.maximum(scale, 1e-3 * scale.max())
        classes, weights, bias = discriminant((x - mean) / scale, y, shrink)
        guess = classes[np.argmax((other - mean) / scale @ weights + bias, axis=1)]
        right, count = right + int((guess == truth).sum()), count + len(truth)
    return right / count


def solve(clip: LandmarkClip, rest: LandmarkClip | None) -> tuple[np.ndarray, tuple[float, ...]]:
    """What a user gets: all channels [T, 52], lips, lids and gaze included; and how far the landmarks are, in mm in the
    picture, from the resting face, from the face under MediaPipe's scores, and from the face that was solved."""
    sight = landmarks_of(clip)
    neutral = None if rest is None else neutral_of_frames(landmarks_of(rest), known=True)
    taken = capture(sight, neutral)
    face, points = shipped_correspondence(), taken.neutral.points
    solved = solved_channels(face)
    scores = relative_scores(sight.scores_of(solved), taken.neutral.scores)
    solution = LandmarkSolver(points, face).solve(sight.seen, scores)
    deltas = face.seen_deltas[[face.index(name) for name in solved]]
    by_scores = solution.points - points - np.tensordot(scores, deltas, 1)
    flat = np.linalg.norm(np.einsum("tij,tvj->tvi", solution.pose.rotation[:, :2], by_scores), axis=-1)
    weights = landmark_weights()
    return taken.values[clip.found], (taken.still_error, float((flat @ weights).mean() / len(weights)), taken.error)


def main(corpus: Path) -> None:
    clips = {
        (clip.name.split("_")[1], clip.name.split("_")[3]): clip
        for clip in read_clips(corpus)
        if clip.name.startswith("meadstyle")
    }
    assert len(clips) == 24, f"{len(clips)} of 24 clips"
    kinds: dict[str, Features] = {"scores R": {}, "scores K": {}, "solver R": {}, "solver K": {}}
    errors: dict[str, list[tuple[float, ...]]] = {"solver R": [], "solver K": []}
    channels = shipped_correspondence().channels
    for (actor, emotion), clip in clips.items():
        rest = clips[actor, "neutral"]
        kinds["scores R"][actor, emotion] = clip.scores[:, 1:]
        kinds["scores K"][actor, emotion] = clip.scores[:, 1:] - rest.scores[:, 1:].mean(axis=0)
        for kind, known in (("solver R", None), ("solver K", rest)):
            weights, distances = solve(clip, known)
            kinds[kind][actor, emotion] = weights
            errors[kind].append(distances)
            if "-v" in sys.argv:
                order = np.argsort(-weights.mean(axis=0))[:10]
                print(kind, actor, emotion, " ".join(f"{channels[i]} {weights[:, i].mean():.2f}" for i in order))
    for kind, features in kinds.items():
        means = " ".join(f"{told(features, s, False):.2f}" for s in SHRINK)
        spreads = " ".join(f"{told(features, s, True):.2f}" for s in SHRINK)
        hard = " ".join(f"{told(features, s, True, HARD):.2f}" for s in SHRINK)
        tail = ""
        if kind in errors:
            still, by_scores, error = np.mean(errors[kind], axis=0)
            tail = f"; landmarks are off by {still:.2f} mm at rest, {by_scores:.2f} by the scores, {error:.2f} solved"
        print(f"{kind}: means {means}; means and spreads {spreads}; angry/disgusted/sad {hard}{tail}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
