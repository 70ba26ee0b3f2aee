"""A judge of lip-sync: how well does a mouth go with a sound?

A small contrastive network, trained on real recordings only, in the manner of SyncNet (Chung and Zisserman, 2016): one
tower sees `WINDOW` frames of audio features, the other the same frames of the mouth's channels; both give a direction,
and the two of one moment are to agree better than those of any other moment or person (InfoNCE). A clip's agreement
with its sound as a function of a shift in time then gives the two numbers that the field calls LSE-C and LSE-D, here on
cosines:

    confidence  agreement at the best shift minus the median over all shifts (LSE-C; higher is better)
    distance    1 - agreement at the best shift (LSE-D; lower is better)
    at_zero     agreement without a shift minus the median over all shifts: what a viewer gets
    lag         the best shift in frames; positive: the mouth comes late

What it can show: whether the mouth moves with this sound rather than with another, and when. What it cannot show:
whether the shapes are pretty, or as large as they should be (each clip's mouth is seen in units of its own movement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msmdcli.motion.rig import Rig

WINDOW = 15  # frames that are judged together: 0.6 s at 25 fps
MAX_SHIFT = 12  # frames to either side
EMBEDDING = 48
WIDTH = 96
MOMENTS = 6  # windows of one clip in a batch: the other moments of a clip are the hard negatives
APART = 6  # frames at least between them
MIN_MOVEMENT = 2e-3  # movement (standard deviation) below which a channel counts as still


@dataclass(frozen=True)
class Recording:
    """Features [T, C] of a sound and the motion [T, D] that belongs to it."""

    features: np.ndarray
    motion: np.ndarray


@dataclass(frozen=True)
class Sync:
    """The verdict on one clip; see the module's docstring. `curve` [2 MAX_SHIFT + 1] is the agreement per shift."""

    confidence: float
    distance: float
    at_zero: float
    lag: int
    curve: tuple[float, ...]


def mouth(motion: np.ndarray, rig: Rig) -> np.ndarray:
    """Mouth channels of a motion [T, D] as the judge sees them [T, M]: without their mean, in units of their common
    movement."""
    columns = np.concatenate([rig.indices("jaw"), rig.indices("lips")])
    values = motion[:, columns] - motion[:, columns].mean(axis=0)
    return np.asarray(values / max(float(np.sqrt(np.mean(values**2))), MIN_MOVEMENT), np.float32)


class Tower(nn.Module):
    """Windows [B, WINDOW, C] -> directions [B, EMBEDDING]."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Linear(channels, WIDTH), nn.Dropout(dropout))
        self.convolve = nn.Sequential(
            nn.Conv1d(WIDTH, WIDTH, 3, padding=1), nn.GELU(), nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1), nn.GELU()
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(WIDTH * ((WINDOW + 1) // 2), EMBEDDING))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.convolve(self.reduce(x).transpose(1, 2))  # [B, WIDTH, WINDOW / 2]
        return nn.functional.normalize(self.head(hidden.flatten(1)), dim=-1)


class SyncJudge(nn.Module):
    """The two towers, and how audio features are scaled."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int, mouth_channels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.sound, self.lips = Tower(features, dropout), Tower(mouth_channels, dropout)
        self.temperature = nn.Parameter(torch.tensor(2.3))  # log of the inverse temperature
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def agreement(self, features: np.ndarray, motion: np.ndarray, rig: Rig) -> np.ndarray:
        """Mean cosine over the windows of a clip for each shift [2 MAX_SHIFT + 1] of the mouth against the sound.

        Args:
            features: [T, C]; motion: [T, D]; the same T >= WINDOW + MAX_SHIFT.
        """
        with torch.inference_mode():
            self.eval()
            a = self.sound(_windows((torch.from_numpy(features.astype(np.float32)) - self.mean) / self.std))  # [n, E]
            m = self.lips(_windows(torch.from_numpy(mouth(motion, rig))))  # [n, E]
        table = (a @ m.T).numpy()  # [n, n]: moment of the sound, moment of the mouth
        return np.array([np.diagonal(table, shift).mean() for shift in range(-MAX_SHIFT, MAX_SHIFT + 1)])

    def judge(self, features: np.ndarray, motion: np.ndarray, rig: Rig) -> Sync | None:
        """The verdict on a clip, or None where it is too short or its mouth does not move."""
        if len(motion) < WINDOW + 2 * MAX_SHIFT or not _moves(motion, rig):
            return None
        curve = self.agreement(features, motion, rig)
        best, middle = int(np.argmax(curve)), float(np.median(curve))
        return Sync(
            confidence=float(curve[best]) - middle,
            distance=1.0 - float(curve[best]),
            at_zero=float(curve[MAX_SHIFT]) - middle,
            lag=best - MAX_SHIFT,
            curve=tuple(float(v) for v in curve),
        )


def train_sync_judge(
    recordings: Sequence[Recording], validation: Sequence[Recording], rig: Rig, seed: int = 0, steps: int = 800
) -> SyncJudge:
    """Train on real recordings; the state with the best `at_zero` on `validation` is kept."""
    rng = np.random.Generator(np.random.Philox(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        usable = [r for r in recordings if len(r.motion) >= WINDOW + APART and _moves(r.motion, rig)]
        lips = [torch.from_numpy(mouth(r.motion, rig)) for r in usable]
        judge = SyncJudge(usable[0].features.shape[1], lips[0].shape[1])
        heard = np.concatenate([r.features[::5].astype(np.float32) for r in usable])
        judge.mean.copy_(torch.from_numpy(heard.mean(axis=0)))
        judge.std.copy_(torch.from_numpy(np.maximum(heard.std(axis=0), 1e-3)))
        optimiser = torch.optim.AdamW(judge.parameters(), lr=1e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        # Square root: one man's twenty minutes do not drown everybody else's.
        weight = np.sqrt([len(r.motion) for r in usable])
        best, kept = -np.inf, judge.state_dict()
        for step in range(1, steps + 1):
            judge.train()
            sounds, mouths = [], []
            for number in rng.choice(len(usable), 24, p=weight / weight.sum()):
                for start in _moments(len(lips[number]), rng):
                    sounds.append(usable[number].features[start : start + WINDOW])
                    mouths.append(lips[number][start : start + WINDOW])
            a = judge.sound((torch.from_numpy(np.stack(sounds).astype(np.float32)) - judge.mean) / judge.std)
            m = judge.lips(torch.stack(mouths))
            table = a @ m.T * judge.temperature.exp()  # [n, n]
            own = torch.arange(len(table))
            loss = (nn.functional.cross_entropy(table, own) + nn.functional.cross_entropy(table.T, own)) / 2
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            if step % 50 == 0 or step == steps:
                found = [judge.judge(r.features, r.motion, rig) for r in validation]
                score = float(np.mean([f.at_zero for f in found if f is not None] or [0.0]))
                if score > best:
                    best, kept = score, {name: value.clone() for name, value in judge.state_dict().items()}
        judge.load_state_dict(kept)
    return judge.eval()


def _moves(motion: np.ndarray, rig: Rig) -> bool:
    return bool(motion[:, rig.indices("jaw")].std(axis=0).max() > MIN_MOVEMENT)


def _moments(frames: int, rng: np.random.Generator) -> list[int]:
    """Starts of up to MOMENTS windows of a clip, at least APART frames from each other."""
    chosen: list[int] = []
    for start in rng.permutation(frames - WINDOW + 1):
        if all(abs(start - other) >= APART for other in chosen):
            chosen.append(int(start))
        if len(chosen) == MOMENTS:
            break
    return chosen


def _windows(x: Tensor) -> Tensor:
    """All windows of a sequence [T, C]: [T - WINDOW + 1, WINDOW, C]."""
    return x.unfold(0, WINDOW, 1).transpose(1, 2)
