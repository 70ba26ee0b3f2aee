"""What speech wants of the lips, and how far an expression yields to it. Lips serve speech first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.speech.shapes import smooth
from training.speech.stress import speaking
from training.speech.visemes import Phone, VisemeTable

# What a pose on the lips has to give way to (see `yielding`).
OPENERS = ("jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel")
SPREADERS = ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown")
SEALERS = ("mouthPress", "mouthRollUpper", "mouthRollLower", "mouthClose", "mouthShrugLower")
BILABIAL_EDGE = 0.07  # seconds in which lips meet and part
GRID, EDGE = 0.01, 0.06  # seconds: the grid on which lips are judged, and how softly an expression gives way to them


@dataclass(frozen=True)
class Lips:
    """What speech wants of the lips: [T] each, 0 not at all, 1 fully.

    Attributes:
        sounding: there is speech. closed: bilabials. bitten: labiodentals. rounded, opened: vowels.
    """

    sounding: np.ndarray
    closed: np.ndarray
    bitten: np.ndarray
    rounded: np.ndarray
    opened: np.ndarray


def wanted_lips(phones: Sequence[Phone], times: np.ndarray, table: VisemeTable) -> Lips:
    """Measured on the visemes of a plain voice, whatever the manner."""
    fine = np.arange(0.0, phones[-1].end + GRID, GRID)  # [F]
    plain = dict(zip(table.channels, table.curves(phones, fine).astype(np.float64).T, strict=True))
    active = speaking(phones, fine)

    def share(channel: str, low: float, high: float, widen: float = 0.0) -> np.ndarray:
        """[T] 0 where a viseme curve is at `low`, 1 at `high`; held `widen` seconds longer each way, soft edges."""
        curve = np.clip((plain[channel] - low) / (high - low), 0.0, 1.0)
        steps = round(widen / GRID)
        curve = np.max([np.roll(curve, shift) for shift in range(-steps, steps + 1)], axis=0)
        kernel = np.hanning(round(2 * EDGE / GRID) + 1)
        curve = np.convolve(np.pad(curve, len(kernel) // 2, mode="edge"), kernel / kernel.sum(), mode="valid")
        return np.interp(times, fine, curve)

    sounding = np.interp(times, fine, active)
    return Lips(
        sounding,
        closed=share("mouthRollUpper", 0.035, 0.075, widen=0.06) * sounding,
        bitten=share("mouthRollLower", 0.05, 0.17, widen=0.03) * sounding,
        rounded=share("mouthPucker", 0.0, 0.35),
        opened=share("jawOpen", 0.0, 0.22),
    )


def bilabial(phones: Sequence[Phone], times: np.ndarray, table: VisemeTable) -> np.ndarray:
    """[T] 1 while a bilabial sounds, falling to 0 within `BILABIAL_EDGE` seconds on either side."""
    out = np.zeros(len(times))
    for kind, phone in table.segments(phones):
        if table.classes[kind].kind == "bilabial":
            rise = smooth((times - phone.start) / BILABIAL_EDGE + 1)
            out = np.maximum(out, rise * smooth((phone.end - times) / BILABIAL_EDGE + 1))
    return out


def yielding(lips: Lips) -> dict[str, np.ndarray]:
    """Channel without side -> [T] share of an expression's pose on it that speech lets through.

    Closing lips keep openers away, rounded ones spreaders, open ones sealers; in pauses lips that the expression opens
    come half together.
    """
    closed, rounded = lips.closed, lips.rounded
    open_lips = (1.0 - closed) * (0.5 + 0.5 * lips.sounding)
    out = dict.fromkeys(OPENERS, open_lips)
    out["mouthLowerDown"] = open_lips * (1.0 - 0.9 * lips.bitten)
    out |= {"noseSneer": 1.0 - 0.35 * closed, "mouthShrugUpper": 1.0 - 0.8 * closed}  # both lift the upper lip
    out |= dict.fromkeys(SPREADERS, (1.0 - 0.45 * rounded) * (1.0 - 0.2 * closed))
    out |= dict.fromkeys(SEALERS, (1.0 - 0.85 * lips.opened) * (1.0 - 0.5 * rounded))
    return out
