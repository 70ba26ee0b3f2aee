"""Constant offset between picture and sound, per source or per recording, by cross-prediction.

``python -m training.data.av_offset DATASET`` prints for each source of a data set how many frames its picture comes
after its sound; with ``--by recording``, for each person of each source.

Method. Ridge regression from audio features (7 motion frames of context, randomly projected) to the jaw opening,
standardised per clip, is trained on the clips of all *other* sources, each person weighing alike whatever the number
of clips. Its prediction on the source's clips is compared with the tracked jaw at lags of -8 to 8 frames; the lag of
the highest mean correlation, refined by a parabola through its neighbours, is the source's offset against the rest
("forward"). The spread is the standard deviation over bootstrap samples of clips. A source of at least a minute is
also used the other way round: a regression trained on it predicts all others ("backward"). The two differ by what each
kind of speech teaches about timing; the truth is taken to lie between them, and only offsets that both put above half
a frame deserve a correction. What a data set has already been corrected by (``av_offset_frames`` in the index) is
added back, so the printed numbers can be entered into ``corpus.yaml`` as they are.

Recordings. A source that was gathered from many places (a court's cameras, video sites) has no offset of its own; each
of its recordings may have one. A recording is what one person of one source says. It is predicted by a regression
trained on the persons of the split ``train`` other than its own, so that no clip of the test split has any part in it.
Its clips are cut into blocks of 2 s, and bootstrap samples of the blocks give the interval that holds 90 % of the
peaks. An offset is `sure`, and only then worth a correction, if it is at least a frame, the interval lies on one side
of 0 and within the lags that were tried, and the correlation there is at least 0.3.

A regression trained on true pairs knows that lips move before the sound, which a correlation of jaw and loudness does
not. It is blind to an offset that all sources share, and sources from one collection (same first word in their names)
count as one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import load_npz
from training.data.corpus import CorpusNotes
from training.data.lags import MAX_LAG, lag_correlations
from training.data.records import ClipRecord, read_index

CONTEXT = 3  # motion frames on either side of the predicted one
PROJECTED = 1000
RIDGE = 300.0
MIN_SECONDS = 10.0  # a source with less is not estimated
MIN_SECONDS_BACKWARD = 60.0  # a source with less teaches too little to predict others
BOOTSTRAP = 200
MIN_SECONDS_RECORDING = 5.0
BLOCK = 50  # frames: what is drawn as one in the bootstrap of a recording
SURE_CORRELATION = 0.3


@dataclass(frozen=True)
class SourceOffset:
    """What was found about one source.

    Attributes:
        source: its name.
        frames: the forward offset; positive: the picture comes later than the sound.
        backward: the backward offset, or None for a short source.
        spread: standard deviation of `frames`.
        correlation, correlation_at_zero: forward, at the best lag and at lag 0.
        clips: how many.
        corrected: what the data set had been corrected by; included in both offsets.
    """

    source: str
    frames: float
    backward: float | None
    spread: float
    correlation: float
    correlation_at_zero: float
    clips: int
    corrected: float


@dataclass(frozen=True)
class RecordingOffset:
    """What was found about one recording.

    Attributes:
        source, person: whose it is.
        split: that its clips are in.
        frames: the offset; positive: the picture comes later than the sound.
        low, high: 5th and 95th percentile of the bootstrap samples.
        correlation, correlation_at_zero: at the best lag, and with what had been corrected before.
        seconds: of speech.
        corrected: what the data set had been corrected by; included in `frames`, `low` and `high`.
    """

    source: str
    person: str
    split: str
    frames: float
    low: float
    high: float
    correlation: float
    correlation_at_zero: float
    seconds: float
    corrected: float

    @property
    def sure(self) -> bool:
        """Whether what is left, beyond what had been corrected, deserves a correction (module docstring)."""
        low, high, left = self.low - self.corrected, self.high - self.corrected, self.frames - self.corrected
        inside = low > -MAX_LAG and high < MAX_LAG
        return abs(left) >= 1 and low * high > 0 and inside and self.correlation >= SURE_CORRELATION


@dataclass(frozen=True)
class _Clip:
    record: ClipRecord
    features: np.ndarray  # [T, PROJECTED]
    jaw: np.ndarray  # [T], zero mean, unit variance


def peak(curve: np.ndarray) -> float:
    """Lag of the highest value of a [2 L + 1] curve over lags -L..L, refined by a parabola through its neighbours."""
    top = int(np.nanargmax(curve))
    lag = float(top - len(curve) // 2)
    if 0 < top < len(curve) - 1:
        left, middle, right = curve[top - 1 : top + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            lag += 0.5 * (left - right) / bend
    return lag


def estimate(clips: Iterable[_Clip], rng: np.random.Generator) -> list[SourceOffset]:
    """Offset of each source with enough clips (module docstring)."""
    clips = list(clips)
    sums: dict[tuple[str, str], tuple[np.ndarray, np.ndarray, int]] = {}  # (family, person) -> X'X, X'y, frames
    for clip in clips:
        key = (_family(clip.record.source), clip.record.speaker)
        xx, xy, n = sums.get(key, (0.0, 0.0, 0))
        sums[key] = (xx + clip.features.T @ clip.features, xy + clip.features.T @ clip.jaw, n + len(clip.jaw))

    results = []
    for source in sorted({clip.record.source for clip in clips}):
        own = [clip for clip in clips if clip.record.source == source]
        seconds = sum(clip.record.seconds for clip in own)
        if seconds < MIN_SECONDS:
            continue
        rest = [clip for clip in clips if _family(clip.record.source) != _family(source)]
        # Nobody counts for more than 10 s, or the source with the most clips would speak for all.
        solution = _ridge(
            [(min(1.0, 250 / n), xx, xy) for (family, _), (xx, xy, n) in sums.items() if family != _family(source)]
        )
        curves, length = _curves(own, solution)
        curve = _mean_curve(curves, length)
        draws = [rng.integers(len(own), size=len(own)) for _ in range(BOOTSTRAP)]
        spread = float(np.std([peak(_mean_curve(curves[rows], length[rows])) for rows in draws]))
        backward = None
        if seconds >= MIN_SECONDS_BACKWARD and rest:
            solution = _ridge([(1.0, clip.features.T @ clip.features, clip.features.T @ clip.jaw) for clip in own])
            backward = own[0].record.av_offset_frames - peak(_mean_curve(*_curves(rest, solution)))
        corrected = own[0].record.av_offset_frames
        found = (peak(curve) + corrected, backward, spread, float(np.nanmax(curve)), float(curve[MAX_LAG]))
        results.append(SourceOffset(source, *found, len(own), corrected))
    return results


def estimate_recordings(
    clips: Iterable[_Clip], rng: np.random.Generator, whole_sources: frozenset[str] = frozenset()
) -> list[RecordingOffset]:
    """Offset of each recording with enough speech (module docstring), but those of `whole_sources`: their recordings
    were made alike."""
    clips = list(clips)
    sums: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}  # person -> X'X, X'y, frames
    recordings: dict[tuple[str, str], list[_Clip]] = {}
    for clip in clips:
        if clip.record.source not in whole_sources:
            recordings.setdefault((clip.record.source, clip.record.speaker), []).append(clip)
        if clip.record.split == "train":
            xx, xy, n = sums.get(clip.record.speaker, (0.0, 0.0, 0))
            sums[clip.record.speaker] = (
                xx + clip.features.T @ clip.features,
                xy + clip.features.T @ clip.jaw,
                n + len(clip.jaw),
            )
    results = []
    for (source, person), own in sorted(recordings.items()):
        seconds = sum(clip.record.seconds for clip in own)
        if seconds < MIN_SECONDS_RECORDING:
            continue
        solution = _ridge([(min(1.0, 250 / n), xx, xy) for other, (xx, xy, n) in sums.items() if other != person])
        blocks = np.concatenate([_blocks(clip, solution) for clip in own])  # [blocks, lags, 2]
        curve = _block_curve(blocks)
        draws = [peak(_block_curve(blocks[rng.integers(len(blocks), size=len(blocks))])) for _ in range(BOOTSTRAP)]
        corrected = own[0].record.av_offset_frames
        found, low, high = (corrected + value for value in (peak(curve), *np.percentile(draws, [5, 95])))
        results.append(
            RecordingOffset(
                source,
                person,
                own[0].record.split,
                found,
                low,
                high,
                float(curve.max()),
                float(curve[MAX_LAG]),
                seconds,
                corrected,
            )
        )
    return results


def _blocks(clip: _Clip, solution: np.ndarray) -> np.ndarray:
    """[blocks, lags, 2]: sum of the products of prediction and jaw, both standardised over the clip, and how many."""
    made = clip.features @ solution  # [T]
    made = (made - made.mean()) / max(float(made.std()), 1e-9)
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    at = np.arange(len(made))[:, None] + lags  # [T, lags]
    there = (at >= 0) & (at < len(made))
    products = np.where(there, made[:, None] * clip.jaw[np.clip(at, 0, len(made) - 1)], 0.0)  # [T, lags]
    starts = range(0, max(1, len(made) - BLOCK // 2), BLOCK)  # half a block at the end is one; less joins the last
    pairs = np.stack([products, there], axis=-1)
    return np.add.reduceat(pairs, list(starts), axis=0)


def _block_curve(blocks: np.ndarray) -> np.ndarray:
    """[lags] correlation over all blocks."""
    total = blocks.sum(axis=0)  # [lags, 2]
    return np.asarray(total[:, 0] / np.maximum(total[:, 1], 1))


def _ridge(parts: list[tuple[float, np.ndarray, np.ndarray]]) -> np.ndarray:
    """[PROJECTED] weights of the ridge regression from weighted sums (weight, X'X, X'y)."""
    xx = sum((weight * part for weight, part, _ in parts), start=RIDGE * np.eye(PROJECTED))
    return np.linalg.solve(xx, sum((weight * part for weight, _, part in parts), start=np.zeros(PROJECTED)))


def _curves(clips: list[_Clip], solution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation per clip and lag [clips, lags], and the clips' lengths [clips]."""
    curves = np.array([lag_correlations(clip.features @ solution, clip.jaw) for clip in clips])
    return curves, np.array([len(clip.jaw) for clip in clips], np.float64)


def _mean_curve(curves: np.ndarray, length: np.ndarray) -> np.ndarray:
    """[lags] mean over clips weighted by length; a clip too short for a lag does not count there."""
    weight = np.isfinite(curves) * length[:, None]
    return (np.nan_to_num(curves) * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1)


def load_clips(
    dataset: Path, rng: np.random.Generator, encoder: str = "whisper", without: frozenset[str] = frozenset()
) -> list[_Clip]:
    """All clips with sound of at least 0.8 s outside the splits `without`, audio features projected to PROJECTED
    dimensions."""
    import soundfile
    import torch

    from training.network.encoders import FEATURE_RATE, load_encoder

    model = load_encoder(encoder)
    window = 2 * CONTEXT + 1
    projection: np.ndarray | None = None
    clips = []
    for record in read_index(dataset):
        if record.audio is None or record.seconds < 0.8 or record.split in without:
            continue
        motion = load_npz(dataset / record.motion)
        jaw = motion.values[:, motion.rig.index("jawOpen")].astype(np.float64)
        if jaw.std() < 1e-3:
            continue
        samples, _ = soundfile.read(dataset / record.audio, dtype="float32")
        with torch.inference_mode():
            features = model(torch.from_numpy(samples)[None])[0].numpy().astype(np.float64)  # [F, C]
        at = np.arange(motion.frames) * float(FEATURE_RATE / motion.fps)
        lower = np.clip(at.astype(int), 0, len(features) - 1)
        upper = np.minimum(lower + 1, len(features) - 1)
        features = features[lower] + (at - lower)[:, None] * (features[upper] - features[lower])  # [T, C]
        features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
        around = np.clip(
            np.arange(motion.frames)[:, None] + np.arange(-CONTEXT, CONTEXT + 1), 0, motion.frames - 1
        )  # [T, window]
        if projection is None:
            projection = rng.standard_normal((window * features.shape[1], PROJECTED)) / np.sqrt(
                window * features.shape[1]
            )
        clips.append(
            _Clip(record, features[around].reshape(motion.frames, -1) @ projection, (jaw - jaw.mean()) / jaw.std())
        )
    return clips


def _family(source: str) -> str:
    return source.split("_")[0]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.av_offset", description="Audio-picture offset of each source."
    )
    parser.add_argument("dataset", type=Path, help="data set folder (index.jsonl)")
    parser.add_argument("--by", choices=("source", "recording"), default="source")
    parser.add_argument("--encoder", default="whisper", help="audio encoder (see training.network.encoders)")
    parser.add_argument("--without", nargs="*", default=[], help="splits to leave out, such as test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    try:
        clips = load_clips(options.dataset, rng, options.encoder, frozenset(options.without))
    except MsmdError as error:
        print(f"Error: {error.message}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    if options.by == "recording":
        tell_recordings(estimate_recordings(clips, rng, frozenset(CorpusNotes.load().train_sources)))
    else:
        tell_sources(estimate(clips, rng))
    return 0


def tell_sources(results: Iterable[SourceOffset]) -> None:
    print("source               picture late by     backward  corr.   at 0    clips  (already corrected)")
    for r in results:
        backward = "    -" if r.backward is None else f"{r.backward:+5.2f}"
        print(
            f"{r.source:20} {r.frames:+5.2f} +- {r.spread:4.2f} fr  {backward} fr "
            f"{r.correlation:6.3f} {r.correlation_at_zero:6.3f}  {r.clips:6d}  {r.corrected:+.2f}"
        )


def tell_recordings(results: Iterable[RecordingOffset]) -> None:
    print("recording                                  split  picture late by  90 %            corr.  before  seconds")
    for r in results:
        print(
            f"{r.source + '/' + r.person:42} {r.split:5}  {r.frames:+5.2f} fr {'sure' if r.sure else '    '}"
            f"    {r.low:+5.2f} .. {r.high:+5.2f}  {r.correlation:5.2f}  {r.correlation_at_zero:5.2f}  {r.seconds:6.0f}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
