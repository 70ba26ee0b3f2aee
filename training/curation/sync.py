"""Do sound and mouth belong together, and is one late?

The shipped model animates the sound in the clip's own manner, and the mouth that it makes is compared with the mouth
that was tracked: jaw opening, puckering and lowering of the lower lip, at each lag within +-`MAX_LAG` frames. The mean
correlation over these channels, once as they are and once with the slow part taken away (what the two share merely by
both pausing at the same time), is the *agreement*.

A model trained on true pairs knows that lips move before the sound; a correlation of jaw and loudness does not.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from msmdcli.media.audio import RATE, Audio
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig

MAX_LAG = 10  # frames at the model's rate
CHANNELS = (("jawOpen",), ("mouthPucker",), ("mouthLowerDownLeft", "mouthLowerDownRight"))
SLOW = 10.0  # frames, standard deviation of the Gaussian that makes the slow part
MOVES = 1e-3  # standard deviation below which a channel does not move


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """The shipped model, loaded once in a process."""
    from msmdcli.model.bundle import Bundle
    from msmdcli.paths import shipped_bundle

    return Engine(Bundle.load(shipped_bundle()), "cpu", 1)


def model_key() -> str:
    """What the measure depends on: the model's files."""
    from msmdcli.paths import shipped_bundle
    from msmdcli.system.files import sha256_of

    return sha256_of(shipped_bundle() / "bundle.json")


def agreement(samples: np.ndarray, motion: Motion) -> np.ndarray:
    """Agreement of sound [S] (16 kHz mono) and motion [T, D] (arkit52) that begin together, at each lag.

    Returns:
        [2 MAX_LAG + 1], lags -MAX_LAG..MAX_LAG in frames of the model (25 fps); a peak at a positive lag means that the
        picture is late. NaN where the clip is too short for the lag.

    Raises:
        MsmdError: ONNX Runtime is absent.
    """
    engine = _engine()
    from fractions import Fraction

    audio = Audio(samples, RATE, RATE, 1, Fraction(len(samples), RATE))
    real = motion.resample(engine.bundle.fps)
    job = Job("clip", engine.encode_audio(audio), [StyleEntry(engine.encode_style(real))])
    (_, made), *_ = engine.animate([job])
    return agreement_of(mouth(real.values, real.rig), mouth(made.values, made.rig))


def mouth(values: np.ndarray, rig: Rig) -> np.ndarray:
    """[T, 3] the curves that are compared, of values [T, D]."""
    return np.stack([values[:, [rig.index(name) for name in names]].sum(axis=1) for names in CHANNELS], axis=1).astype(
        np.float64
    )


def agreement_of(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Agreement [2 MAX_LAG + 1] of two sets of mouth curves [T, 3]; see `agreement`."""
    frames = min(len(real), len(made))
    real, made = real[:frames], made[:frames]
    return (_correlations(real, made) + _correlations(_quick(real), _quick(made))) / 2


def _correlations(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """[lags] mean over channels of the correlation of made[t] with real[t + lag]; a still channel counts as 0."""
    frames = len(real)
    found = np.full(2 * MAX_LAG + 1, np.nan)
    for column, lag in enumerate(range(-MAX_LAG, MAX_LAG + 1)):
        a = made[max(0, -lag) : frames - max(0, lag)]
        b = real[max(0, lag) : frames - max(0, -lag)]
        if len(a) < 2 * MAX_LAG:
            continue
        moves = (a.std(axis=0) > MOVES) & (b.std(axis=0) > MOVES)
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        length = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        found[column] = np.where(moves, (a * b).sum(axis=0) / np.where(moves, length, 1.0), 0.0).mean()
    return found


def _quick(curves: np.ndarray) -> np.ndarray:
    """Curves [T, C] without what a Gaussian of SLOW frames passes; their edges are held."""
    reach = int(4 * SLOW)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SLOW) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(curves, ((reach, reach), (0, 0)), mode="edge")
    slow = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)
    return curves - slow
