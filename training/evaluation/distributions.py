"""Whether a system's motion comes from where real motion comes from: Frechet distance of motion statistics.

The distance of Heusel et al. 2017 between two Gaussians, with plain statistics of two-second windows in place of a
network's features: of each channel of a region its mean, its spread and its mean speed. A system that freezes, drifts
or jitters lies far from real clips however near its mean is; a system that copies lies near.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

WINDOW_SECONDS, STEP_SECONDS = 2.0, 1.0
SHRINKAGE = 0.1  # of a covariance towards its diagonal: windows are few
REGIONS = ("brows", "lids", "gaze", "jaw", "lips", "head")


def window_statistics(motion: Motion, columns: np.ndarray) -> np.ndarray:
    """[W, 3 d]: mean, standard deviation and mean absolute speed (per second) of d channels in W windows."""
    fps = float(motion.fps)
    length, step = round(WINDOW_SECONDS * fps), round(STEP_SECONDS * fps)
    values = motion.values[:, columns].astype(np.float64)
    out = []
    for start in range(0, max(len(values) - length, 0) + 1, step):
        part = values[start : start + length]
        if len(part) < length // 2:
            continue
        out.append(np.concatenate([part.mean(0), part.std(0), np.abs(np.diff(part, axis=0)).mean(0) * fps]))
    return np.array(out)


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Between Gaussians fitted to rows [n, k] and [m, k], in units of the first one's standard deviations."""
    scale = first.std(0) + 1e-6
    a, b = (first - first.mean(0)) / scale, (second - first.mean(0)) / scale
    covariances = []
    for rows in (a, b):
        covariance = np.cov(rows, rowvar=False).reshape(rows.shape[1], -1)
        covariances.append((1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance)))
    root = _root(covariances[0])
    cross = _root(root @ covariances[1] @ root)
    away = float(np.sum((a.mean(0) - b.mean(0)) ** 2))
    return away + float(np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * np.trace(cross))


def region_distances(real: Sequence[Motion], made: Sequence[Motion], rig: Rig) -> dict[str, float]:
    """Region -> distance per statistic (the squared distance over their number) of made clips from real ones.

    NaN where nothing moves in the real clips, or where they fill fewer than two windows.
    """
    out = {}
    for region in REGIONS:
        if region not in rig.regions and region != "face":
            continue
        columns = rig.indices(region)
        groups = [np.concatenate([window_statistics(m, columns) for m in motions]) for motions in (real, made)]
        moving = groups[0].std(0) > 1e-6  # a channel that no tracker sees says nothing
        told = moving.any() and min(map(len, groups)) > 1
        first, second = (group[:, moving] for group in groups)
        out[region] = frechet_distance(first, second) / int(moving.sum()) if told else float("nan")
    return out


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: np.ndarray = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return root
