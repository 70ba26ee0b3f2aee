"""Classifier-free guidance (paper eq. 6): which predictions a layer needs, their factors, and their sum.

A layer's prediction is a sum over the entries e of its style field, w_e their weights, M the network::

    x0_hat = sum_e w_e [(1 + l_audio + l_style) M(e) - l_audio M(e, no audio) - l_style M(no style)]

Each M(...) is a row of an ONNX call (`rows_of`), and `mix` is the sum. Guidance weighs the full prediction by more than
1 and so makes motion larger than it should be, the more the fewer steps. Two remedies are known, both off unless asked
for: to guide in the middle of the noise only (Kynkäänniemi et al. 2024), which also saves the branches of the other
steps; and to bring what guidance gives back to the spread of the prediction without it (Lin et al. 2024, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msmdcli.errors import UsageError
from msmdcli.model.style_codes import StyleCode, StyleEntry

Array = NDArray[np.float32]
Interval = tuple[float, float]

WHOLE: Interval = (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class CallRow:
    """One row of an ONNX call: a style under one guidance branch, and its factor in the layer's prediction, with
    guidance and without."""

    style: StyleCode | None
    intensity: float
    audio_null: bool
    factor: Array  # [N or 1, 1]
    plain: Array  # [N or 1, 1]

    @property
    def is_plain(self) -> bool:
        """Whether it counts without guidance, too."""
        return bool(self.plain.any())


def rows_of(entries: Sequence[StyleEntry], weights: Sequence[Array], scales: tuple[float, float]) -> list[CallRow]:
    """The predictions that a window needs, and their factors: eq. 6 and the style field in one sum (see above).

    Entries without weight in the window are left out; a prediction that occurs twice is computed once.

    Args:
        entries: a layer's style field.
        weights: of each entry in the window, [N or 1, 1].
        scales: l_audio and l_style; a branch whose scale is 0 is not computed.
    """
    l_audio, l_style = scales
    rows: dict[tuple[str, float, bool], CallRow] = {}

    def add(style: StyleCode | None, intensity: float, audio_null: bool, factor: Array, plain: Array) -> None:
        if style is None:
            intensity = 1.0  # the null style has no strength to scale
        key = ("" if style is None else style.key, intensity, audio_null)
        if key in rows:
            factor, plain = rows[key].factor + factor, rows[key].plain + plain
        rows[key] = CallRow(style, intensity, audio_null, factor, plain)

    nothing = np.zeros((1, 1), np.float32)
    for entry, weight in zip(entries, weights, strict=True):
        if not weight.any():
            continue
        style_scale = l_style if entry.style is not None else 0.0
        add(entry.style, entry.intensity, False, weight * np.float32(1 + l_audio + style_scale), weight)
        if l_audio:
            add(entry.style, entry.intensity, True, weight * np.float32(-l_audio), nothing)
        if style_scale:
            add(None, 1.0, False, weight * np.float32(-style_scale), nothing)
    return list(rows.values())


def mix(predictions: Array, rows: list[CallRow], owner: NDArray[np.int64], guided: bool) -> Array:
    """Predictions [R, N, D] of all rows -> one per layer [L, N, D]: the sum of its rows times their factors."""
    mixed: list[Array] = []
    for number, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
        term = (row.factor if guided else row.plain) * prediction
        if number and owner[number] == owner[number - 1]:
            mixed[-1] = mixed[-1] + term
        else:
            mixed.append(term)
    return np.stack(mixed)


def twins(
    rows: Sequence[CallRow], owner: NDArray[np.int64], shown: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows of a call enter the denoiser's first layer alike, whatever they hear there.

    Args:
        rows, owner: of the call.
        shown: whether the denoiser is shown a mouth that the sound has made; then rows that hear differently differ.

    Returns:
        The rows that differ [U], and which of these each row is like [R].
    """
    found: dict[tuple[int, str, float, bool], int] = {}
    distinct: list[int] = []
    twin: list[int] = []
    for number, (row, layer) in enumerate(zip(rows, owner.tolist(), strict=True)):
        key = (layer, "" if row.style is None else row.style.key, row.intensity, shown and row.audio_null)
        if key not in found:
            found[key] = len(distinct)
            distinct.append(number)
        twin.append(found[key])
    return np.array(distinct, np.int64), np.array(twin, np.int64)


def parse_interval(text: str) -> Interval:
    """`0.2-0.8`: from a fifth to four fifths of the noise.

    Raises:
        UsageError: it is not two numbers between 0 and 1 in this order.
    """
    low, dash, high = text.partition("-")
    try:
        interval = float(low), float(high)
    except ValueError:
        interval = (1.0, 0.0)
    if not dash:
        interval = (1.0, 0.0)
    return check_interval(interval)


def check_interval(interval: Sequence[float]) -> Interval:
    """The interval as a pair.

    Raises:
        UsageError: it is not two numbers between 0 and 1 in this order.
    """
    if len(interval) != 2 or not 0 <= interval[0] <= interval[1] <= 1:
        given = "-".join(f"{value:g}" for value in interval)
        raise UsageError(f"guidance interval {given}", hint="give two shares of the noise, as in 0.2-0.8")
    return float(interval[0]), float(interval[1])


def is_guided(interval: Interval, t: int, steps: int) -> bool:
    """Whether there is guidance at diffusion step t of `steps`; t + 1 = steps is pure noise."""
    return interval[0] <= (t + 1) / steps <= interval[1]


def rescaled(guided: Array, plain: Array, frames: int, share: float) -> Array:
    """What guidance gives, with the spread of the prediction without it.

    Paper (Lin et al.): the standard deviation over the whole sample; here: of each channel over time, around its mean,
    because motion has a resting pose, which guidance may well move, and because a few channels that guidance blows up
    would else hold all others still.

    Args:
        guided, plain: predictions [N, D] with and without guidance, normalised.
        frames: how many of the N are real; the others follow.
        share: how much of the correction, 0 (none) to 1 (all).
    """
    mean = guided[:frames].mean(axis=0)  # [D]
    spread = guided[:frames].std(axis=0, dtype=np.float64)  # [D]
    wanted = plain[:frames].std(axis=0, dtype=np.float64)
    factor = np.where(spread > 1e-6, 1 + share * (wanted / np.maximum(spread, 1e-6) - 1), 1.0)
    corrected: Array = mean + factor.astype(np.float32) * (guided - mean)
    return corrected
