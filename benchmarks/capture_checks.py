"""Jitter, speech and speed of tracked channels: the landmark solver against MediaPipe's scores, on stored landmarks.

    python benchmarks/capture_checks.py CORPUS

Jitter: mean second difference (what a still face trembles by) of the channels that move in a clip, in the half of its
frames in which the scores move least; median over clips. Speech: correlation of the jaw (and of the opening of the ICT
head's lips) with the sound's level in dB, best within 4 frames, over clips with sound. Speed: frames a second of the
whole way from landmarks to channels, one thread, processor time.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np

from msmdcli.media.audio import load_audio
from msmdcli.tracking.capture import capture
from msmdcli.tracking.face_correspondence import shipped_correspondence
from training.faces.landmark_clips import LandmarkClip, read_clips
from training.faces.solve_landmarks import landmarks_of

RATE = 16000


def trembling(curves: np.ndarray, still: np.ndarray) -> np.ndarray:
    second = np.abs(np.diff(curves, n=2, axis=0))
    return np.asarray(np.mean(second[still[1:-1]], axis=0))


def level(clip: LandmarkClip, corpus: Path) -> np.ndarray:
    samples = load_audio(corpus / clip.path, RATE).samples
    count = len(clip.found)
    edges = np.round(np.arange(count + 1) / clip.fps * RATE).astype(int)
    power = [np.mean(samples[a:b] ** 2) if b <= len(samples) and b > a else 0.0 for a, b in itertools.pairwise(edges)]
    return 10 * np.log10(np.array(power) + 1e-7)


def follows(curve: np.ndarray, sound: np.ndarray) -> float:
    best = 0.0
    for lag in range(-4, 5):
        a = curve[max(0, lag) : len(curve) + min(0, lag)]
        b = sound[max(0, -lag) : len(sound) + min(0, -lag)]
        best = max(best, float(np.corrcoef(a, b)[0, 1])) if a.std() > 1e-6 and b.std() > 1e-6 else best
    return best


def main(corpus: Path) -> None:
    face = shipped_correspondence()
    jitter: list[tuple[float, float]] = []
    speech: list[list[float]] = []
    seconds = frames = 0.0
    jaw = face.index("jawOpen")
    for clip in read_clips(corpus):
        sight = landmarks_of(clip)
        before = time.process_time()
        taken = capture(sight)
        seconds, frames = seconds + time.process_time() - before, frames + len(taken.values)
        scores = sight.scores_of(face.channels)
        alive = [
            i for i, name in enumerate(face.channels) if scores[:, i].std() > 1e-4 or taken.values[:, i].std() > 1e-4
        ]
        if len(scores) > 10:
            speed = np.abs(np.gradient(scores, axis=0)).sum(axis=1)
            still = speed <= np.median(speed)
            jitter.append(
                (
                    float(trembling(taken.values[:, alive], still).mean()),
                    float(trembling(scores[:, alive], still).mean()),
                )
            )
        if "style_silent" in clip.path or not clip.path:
            continue
        try:
            sound = level(clip, corpus)
        except Exception:
            continue
        opening = [values @ face.lip_gap_by for values in (taken.values, scores)]
        speech.append([follows(c, sound) for c in (taken.values[:, jaw], scores[:, jaw], *opening)])
    ours, theirs = np.median(jitter, axis=0)
    print(f"jitter in the stiller half: solver {ours:.5f}, scores {theirs:.5f} (median of {len(jitter)} clips)")
    names = ("jaw, solver", "jaw, scores", "lips' opening, solver", "lips' opening, scores")
    for name, value, mean in zip(names, np.median(speech, axis=0), np.mean(speech, axis=0), strict=True):
        print(f"correlation with the sound's level, {name}: median {value:.3f}, mean {mean:.3f} ({len(speech)} clips)")
    print(f"speed: {frames / seconds:.0f} frames a second of processor time ({frames:.0f} frames)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
