"""How the ear learns (`training.network.ear`): a straight line in closed form, then the temporal network under it.

Targets are the mouth of the phones in a plain voice (synthetic speech whose records name a `mouth` file) and, from
the sources named in `EarConfig.real`, tracked mouths. Of these only the movement counts: each stretch's own mean is
taken away on both sides, since the sound does not tell how a face rests. Early on the network is better the longer it
learns; after some hundred steps it begins to know the made voices, so `iterations` is chosen on people in the wild.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator, Philox
from torch.nn import functional as F

from msmdcli.errors import MsmdError, UsageError
from msmdcli.motion.motion import load_npz
from msmdcli.motion.rig import Rig
from training.data.features import FeatureCache
from training.data.hearing import encoder_frames
from training.data.principal_axes import principal_axes
from training.data.records import ClipRecord
from training.loop.mouth_line import mouth_columns
from training.network.ear import EAR_FILE, Ear, EarConfig, load_ear, save_ear

Array = np.ndarray[Any, np.dtype[np.float32]]
Talk = Callable[[str], None]
Sounding = tuple[Path, ClipRecord]  # data set folder, clip
CLIPS_FOR_AXES = 300
FRAMES_FOR_LINE = 120_000  # motion frames that the straight line is fitted on


@dataclass(eq=False)
class Lesson:
    """One clip to learn from: features on the principal axes [2T, R], mouth [T, M], phone classes [T] or None where
    the mouth was tracked."""

    heard: np.ndarray
    mouth: Array
    phones: np.ndarray | None

    @property
    def frames(self) -> int:
        return len(self.mouth)


def fit_ear(config: EarConfig, records: Sequence[Sounding], cache: FeatureCache, rig: Rig, talk: Talk) -> Ear:
    """An ear that has learned from the training clips of an index.

    Args:
        config: sizes and schedule.
        records: data set folder and record of each clip; clips that share a sound count once.
        cache: features of the plain encoder, two a motion frame.
        rig: of the tracked motion.

    Raises:
        MsmdError: no clip tells of a mouth.
    """
    taught = _sources(records, config)
    if not taught:
        raise MsmdError("no clip to teach the ear with", hint="make performed speech, or set `ear: {width: 0}`")
    if config.rank > cache.encoder.dim:
        raise UsageError(
            f"ear.rank: {config.rank} axes are more than the {cache.encoder.dim} features of the encoder",
            hint="lower it",
        )
    known_mouths = [folder / record.mouth for folder, record in taught if record.mouth]
    torch.manual_seed(0)
    rng = np.random.Generator(Philox(17))
    if known_mouths:
        with np.load(known_mouths[0], allow_pickle=False) as known:
            channels, phones = known["channels"].tolist(), len(known["names"])
    else:  # tracked mouths alone, which know no phones
        channels, phones = [rig.channels[column] for column in mouth_columns(rig)], 1
    ear = Ear(config, cache.encoder.dim, channels, phones)
    _fit_axes(ear, taught, cache, rng)
    lessons = [_lesson(ear, folder, record, cache, rig) for folder, record in taught]
    synthetic = [x for x in lessons if x.phones is not None]
    scale = spread_of(lessons, config)
    for lesson in lessons:
        lesson.mouth = lesson.mouth / scale
    talk(f"ear: {len(synthetic)} clips of known phones, {len(lessons) - len(synthetic)} of tracked mouths")
    _fit_straight(ear, lessons, config, rng)
    _train(ear, lessons, config, talk)
    return ear.eval()


def prepared_ear(
    run: Path,
    config: EarConfig,
    records: Sequence[Sounding],
    cache: FeatureCache,
    rig: Rig,
    talk: Talk,
    teacher: Path | None = None,
) -> Ear:
    """The ear of a run. Where it holds none yet, its teacher's is taken, or one learns, and is kept there."""
    if not (run / EAR_FILE).is_file():
        ear = load_ear(teacher / EAR_FILE, config) if teacher else fit_ear(config, records, cache, rig, talk)
        run.mkdir(parents=True, exist_ok=True)
        save_ear(ear, run / EAR_FILE)
    return load_ear(run / EAR_FILE, config)


def spread_of(lessons: Sequence[Lesson], config: EarConfig) -> Array:
    """[M] how far the curves move in the samples. A channel that made mouths hold still (a frown) and tracked ones move
    would else outweigh the jaw a hundredfold."""
    groups = [[x.mouth - x.mouth.mean(0) for x in lessons if (x.phones is None) == real] for real in (False, True)]
    shares = (1 - config.real_share, config.real_share) if all(groups) else (1.0, 1.0)
    variance = sum(share * np.concatenate(group).var(0) for share, group in zip(shares, groups, strict=True) if group)
    return np.sqrt(variance).clip(0.01).astype(np.float32)


def _sources(records: Sequence[Sounding], config: EarConfig) -> list[Sounding]:
    seen: set[Path] = set()
    out = []
    for folder, record in records:
        wanted = record.mouth or record.source in config.real or "*" in config.real
        if record.split != "train" or record.audio is None or not wanted:
            continue
        if (sound := folder / record.audio) not in seen:
            seen.add(sound)
            out.append((folder, record))
    return out


def stretch_features(cache: FeatureCache, sound: Path, frames: int) -> np.ndarray:
    """Features of a sound at the encoder's rate, two a motion frame [2 frames, C]."""
    return encoder_frames(cache.get(sound).rows(0, frames))


def _fit_axes(ear: Ear, records: Sequence[Sounding], cache: FeatureCache, rng: Generator) -> None:
    """Principal axes of the features around each line's mean."""
    C = len(ear.mean)
    total, covariance = 0, np.zeros((C, C))
    for i in rng.permutation(len(records))[:CLIPS_FOR_AXES]:
        folder, record = records[i]
        x = stretch_features(cache, folder / str(record.audio), int(record.seconds * 25)).astype(np.float32)
        x = x - x.mean(0)
        covariance += x.T @ x
        total += len(x)
    axes = principal_axes(covariance / total, ear.config.rank).T  # [R, C]
    ear.axes.copy_(torch.from_numpy(axes.astype(np.float32)))


def _lesson(ear: Ear, folder: Path, record: ClipRecord, cache: FeatureCache, rig: Rig) -> Lesson:
    phones = None
    if record.mouth:
        with np.load(folder / record.mouth, allow_pickle=False) as known:
            mouth, phones = known["curves"].astype(np.float32), known["kinds"].astype(np.int64)
    else:
        mouth = load_npz(folder / record.motion, rig).values[:, [rig.index(name) for name in ear.channels]]
    features = stretch_features(cache, folder / str(record.audio), len(mouth))
    with torch.inference_mode():
        heard = ear.project(torch.from_numpy(features.astype(np.float32))[None])[0].T  # [2T, R]
    return Lesson(heard.numpy().astype(np.float16), mouth, phones)


def _windows(x: np.ndarray, reach: int) -> Array:
    """[2T, R] -> taps of the straight line at each motion frame [T, (2 reach + 1) R], ordered as Conv1d's weights."""
    T = len(x) // 2
    padded = np.pad(x.astype(np.float32), ((2 * reach, 2 * reach), (0, 0)))
    return np.concatenate([padded[2 * k : 2 * k + 2 * T : 2] for k in range(2 * reach + 1)], axis=1)


def _fit_straight(ear: Ear, lessons: Sequence[Lesson], config: EarConfig, rng: Generator) -> None:
    """Ridge regression from taps of the axes to the mouth, movement only; real and synthetic clips weighed alike."""
    R, taps, M = config.rank, 2 * config.reach + 1, lessons[0].mouth.shape[1]
    xx, xy = np.zeros((taps * R, taps * R)), np.zeros((taps * R, M))
    groups = [[x for x in lessons if (x.phones is None) == real] for real in (False, True)]
    groups = [g for g in groups if g]
    for group in groups:
        done = 0
        a, b = np.zeros_like(xx), np.zeros_like(xy)
        for i in rng.permutation(len(group)):
            x, y = _windows(group[i].heard, config.reach), group[i].mouth
            x, y = x - x.mean(0), y - y.mean(0)
            a += x.T @ x
            b += x.T @ y
            done += len(y)
            if done > FRAMES_FOR_LINE / len(groups):
                break
        share = (config.real_share if group[0].phones is None else 1 - config.real_share) if len(groups) > 1 else 1.0
        xx += share * a / done
        xy += share * b / done
    solution = np.linalg.solve(xx + config.ridge * np.eye(taps * R), xy)  # [taps R, M]
    weight = solution.reshape(taps, R, M).transpose(2, 1, 0)  # [M, R, taps]
    ear.straight.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(weight).astype(np.float32)))
    assert ear.straight.bias is not None
    ear.straight.bias.data.zero_()


def _train(ear: Ear, lessons: Sequence[Lesson], config: EarConfig, talk: Talk) -> None:
    length = int(config.seconds * 25)
    groups = [[x for x in lessons if (x.phones is None) == real and x.frames > length // 3] for real in (False, True)]
    groups = [g for g in groups if g]
    optimiser = torch.optim.AdamW([p for p in ear.parameters() if p.requires_grad], lr=config.lr, weight_decay=0.02)
    ear.train()
    for step in range(config.iterations):
        rng = np.random.Generator(Philox(key=[23, step]))
        torch.manual_seed(step)
        heard, mouth, phones, mask, real = _batch(groups, config, length, rng)
        for group in optimiser.param_groups:
            rest = 0.5 * (1 + np.cos(np.pi * step / config.iterations))
            group["lr"] = config.lr * min(1.0, (step + 1) / 50) * (0.05 + 0.95 * rest)
        said = ear.heard(heard)
        made = said.mouth[:, ::2]  # [B, T, M] at the motion's rate
        loss = mouth_loss(made, mouth, mask, real)
        logits = said.phones[:, ::2]
        known = mask * (1 - real[:, None])
        cross = F.cross_entropy(logits.flatten(0, 1), phones.flatten(), reduction="none").view_as(mask)
        told = (cross * known).sum() / known.sum().clamp(min=1)
        optimiser.zero_grad()
        (loss + config.phones * told).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 99:
            talk(f"ear: step {step + 1} of {config.iterations}, mouth {loss.item():.3f}, phones {told.item():.3f}")


def mouth_loss(made: torch.Tensor, mouth: torch.Tensor, mask: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Squared error of the curves and of their differences [B, T, M]; of tracked mouths (real [B] 1) only the movement
    around the stretch's own mean."""
    weight = mask[..., None]
    error = (made - mouth) * weight
    middle = error.sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    error = (error - real[:, None, None] * middle) * weight
    step = (error[:, 1:] - error[:, :-1]) * weight[:, 1:]
    return (error.square().mean(-1).sum() + 2.0 * step.square().mean(-1).sum()) / mask.sum().clamp(min=1)


def _batch(groups: list[list[Lesson]], config: EarConfig, length: int, rng: Generator) -> tuple[torch.Tensor, ...]:
    """heard [B, R, 2T], mouth [B, T, M], phones [B, T], mask [B, T], real [B]."""
    B, R, M = config.batch, config.rank, groups[0][0].mouth.shape[1]
    heard = np.zeros((B, R, 2 * length), np.float32)
    mouth, phones = np.zeros((B, length, M), np.float32), np.zeros((B, length), np.int64)
    mask, real = np.zeros((B, length), np.float32), np.zeros(B, np.float32)
    for b in range(B):
        group = groups[1] if len(groups) > 1 and rng.random() < config.real_share else groups[0]
        lesson = group[int(rng.integers(len(group)))]
        start = int(rng.integers(0, max(lesson.frames - length, 0) + 1))
        stop = min(start + length, lesson.frames)
        n = stop - start
        heard[b, :, : 2 * n] = lesson.heard[2 * start : 2 * stop].T
        mouth[b, :n] = lesson.mouth[start:stop]
        mask[b, :n] = 1
        if lesson.phones is None:
            real[b] = 1
        else:
            phones[b, :n] = lesson.phones[start:stop]
    return tuple(torch.from_numpy(x) for x in (heard, mouth, phones, mask, real))
