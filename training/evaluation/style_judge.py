"""A judge of manner: do two stretches of motion look like one performance?

A small network, trained on real motion only, turns statistics of a stretch (of any length) into a direction; two
stretches of one clip are to agree better than stretches of different people (NT-Xent, Chen et al. 2020). There are two
judges: `look` sees the resting pose and the movement, `movement` the movement alone, because a face is recognised by
its resting pose so easily that nothing else would count. Beside them `distance`: the plain root mean square difference
of the statistics, in standard deviations of the training clips.

What they can show: whether motion carries the manner of its reference rather than somebody else's. What they cannot
show: whether a person would call it angry; identity and emotion are not told apart, and the trackers' habits with one
face are part of what is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msmdcli.motion.rig import Rig
from training.network.losses import nt_xent

EMBEDDING = 32
WIDTH = 128
MIN_FRAMES = 25  # a shorter stretch shows no manner
FLOOR = 2e-3  # movement below this is none


@dataclass(frozen=True)
class Performance:
    """Motion [T, D] of one clip, and whose it is."""

    motion: np.ndarray
    person: str


def statistics(motion: np.ndarray, rig: Rig, pose: bool) -> np.ndarray:
    """What is looked at: over the face channels F, log spread, log speed and reach upwards and downwards [4 F], after
    the mean pose [F] if `pose`.

    Args:
        motion: [T, D], T >= 2.
        rig: of the D channels.
        pose: whether the resting pose counts.
    """
    values = motion[:, rig.indices("face")].astype(np.float64)  # [T, F]
    mean = values.mean(axis=0)
    low, high = np.percentile(values, (5, 95), axis=0)
    parts = [
        np.log(values.std(axis=0) + FLOOR),
        np.log(np.abs(np.diff(values, axis=0)).mean(axis=0) + FLOOR),
        high - mean,
        mean - low,
    ]
    return np.concatenate([mean, *parts] if pose else parts)


class StyleJudge(nn.Module):
    """Statistics -> direction; `pose` says which statistics."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, pose: bool) -> None:
        super().__init__()
        self.pose = pose
        self.network = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(size, WIDTH), nn.GELU(), nn.Dropout(0.3), nn.Linear(WIDTH, EMBEDDING)
        )
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        scaled = ((x - self.mean) / self.std).clamp(-4.0, 4.0)
        return nn.functional.normalize(self.network(scaled), dim=-1)

    def embed(self, motion: np.ndarray, rig: Rig) -> np.ndarray:
        """Direction [EMBEDDING] of a stretch of motion [T, D]."""
        with torch.inference_mode():
            self.eval()
            seen = torch.from_numpy(statistics(motion, rig, self.pose).astype(np.float32))
            return self(seen[None])[0].numpy()

    def distance(self, first: np.ndarray, second: np.ndarray, rig: Rig) -> float:
        """Root mean square difference of the statistics of two stretches [T, D], in standard deviations; one statistic
        counts for 4 at most, or a channel that hardly ever moves would decide alone."""
        scale = self.std.numpy().astype(np.float64)
        difference = (statistics(first, rig, self.pose) - statistics(second, rig, self.pose)) / scale
        return float(np.sqrt(np.mean(np.clip(difference, -4.0, 4.0) ** 2)))


def train_style_judge(
    performances: Sequence[Performance], rig: Rig, pose: bool, seed: int = 0, steps: int = 600
) -> StyleJudge:
    """Train on real performances: pairs of stretches of one clip, one clip of each person in a batch."""
    rng = np.random.Generator(np.random.Philox(seed))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        by_person: dict[str, list[np.ndarray]] = {}
        for performance in performances:
            if len(performance.motion) >= MIN_FRAMES:
                by_person.setdefault(performance.person, []).append(performance.motion)
        persons = sorted(by_person)
        everything = np.stack([statistics(m, rig, pose) for person in persons for m in by_person[person]])
        judge = StyleJudge(everything.shape[1], pose)
        judge.mean.copy_(torch.from_numpy(everything.mean(axis=0).astype(np.float32)))
        judge.std.copy_(torch.from_numpy(np.maximum(everything.std(axis=0), 1e-2).astype(np.float32)))
        optimiser = torch.optim.AdamW(judge.parameters(), lr=1e-3, weight_decay=0.1)
        judge.train()
        for _ in range(steps):
            chosen = rng.permutation(len(persons))[:64]
            pairs = [_pair(by_person[persons[n]], rng) for n in chosen]
            seen = [
                torch.from_numpy(np.stack([statistics(p[side], rig, pose) for p in pairs]).astype(np.float32))
                for side in (0, 1)
            ]
            loss = nt_xent(judge(seen[0]), judge(seen[1]), 0.15)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return judge.eval()


def _pair(clips: list[np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two stretches of one clip, cut at a random place near its middle."""
    motion = clips[int(rng.integers(len(clips)))]
    cut = int(len(motion) * rng.uniform(0.35, 0.65))
    return motion[: max(cut, 2)], motion[min(cut, len(motion) - 2) :]
