"""How the ear learns: the straight line finds a straight line, and the network what it leaves."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from msmdcli.errors import MsmdError
from msmdcli.motion.rig import Rig
from training.data.records import NOT_STATED, ClipRecord
from training.loop.ear_fitting import Lesson, fit_ear, mouth_loss, spread_of
from training.network.ear import EarConfig

CHANNELS = ["jawOpen", "mouthClose"]


class Cache:
    """Features [T, 2 C] by the sound's name."""

    def __init__(self, dim: int) -> None:
        self.sounds: dict[Path, np.ndarray] = {}
        self.encoder = type("Encoder", (), {"dim": dim})()

    def get(self, sound: Path) -> Any:
        values = self.sounds[sound]
        return type("Cached", (), {"rows": lambda self, a, b: values[np.minimum(np.arange(a, b), len(values) - 1)]})()


def material(folder: Path, clips: int, mouth_of: Any) -> tuple[list[tuple[Path, ClipRecord]], Cache]:
    rng = np.random.default_rng(0)
    cache, rows = Cache(8), []
    for number in range(clips):
        frames = rng.standard_normal((200, 8)).astype(np.float32)  # [2T, C]
        frames = np.apply_along_axis(lambda x: np.convolve(x, np.ones(5) / 5, "same"), 0, frames)
        sound = folder / f"{number}.flac"
        cache.sounds[sound] = frames.reshape(100, 16).astype(np.float32)
        np.savez(
            folder / f"{number}.npz",
            curves=mouth_of(frames).astype(np.float16),
            channels=np.array(CHANNELS),
            kinds=(frames[::2, 3] > 0).astype(np.uint8),
            names=np.array(["off", "on"]),
        )
        told = NOT_STATED | {"id": str(number), "audio": sound.name, "mouth": f"{number}.npz", "source": "performed"}
        record = ClipRecord(**told, motion="", speaker="one", split="train")
        rows.append((folder, dataclasses.replace(record, seconds=4.0)))
    return rows, cache


def correlation(ear: Any, cache: Cache, row: tuple[Path, ClipRecord], straight: bool) -> float:
    x = torch.from_numpy(cache.sounds[row[0] / str(row[1].audio)].reshape(1, 200, 8))
    with torch.inference_mode():
        heard = ear.project(x)
        made = ear.straight(heard).transpose(1, 2) if straight else ear.heard(heard).mouth
    with np.load(row[0] / str(row[1].mouth)) as known:
        return float(np.corrcoef(made[0, ::2, 0].numpy(), known["curves"][:, 0])[0, 1])


def test_a_straight_line_is_found_in_closed_form(tmp_path: Path) -> None:
    def linear(frames: np.ndarray) -> np.ndarray:
        delayed = np.roll(frames, 4, axis=0)
        return np.stack([0.6 * frames[::2, 0] - 0.4 * delayed[::2, 2], frames[::2, 1]], axis=1)

    rows, cache = material(tmp_path, 12, linear)
    config = EarConfig(width=4, rank=8, iterations=0, ridge=1e-3)
    ear = fit_ear(config, rows[:10], cache, Rig.load("arkit52"), lambda text: None)  # type: ignore[arg-type]
    assert min(correlation(ear, cache, row, True) for row in rows[10:]) > 0.97


def test_the_network_learns_what_no_line_can(tmp_path: Path) -> None:
    def bent(frames: np.ndarray) -> np.ndarray:
        return np.stack([np.abs(frames[::2, 0]), frames[::2, 1]], axis=1)

    rows, cache = material(tmp_path, 14, bent)
    config = EarConfig(width=16, rank=8, iterations=150, batch=8, seconds=3.0, dropout=0.0, lr=5e-3)
    ear = fit_ear(config, rows[:12], cache, Rig.load("arkit52"), lambda text: None)  # type: ignore[arg-type]
    for row in rows[12:]:
        assert correlation(ear, cache, row, False) > correlation(ear, cache, row, True) + 0.3


def test_of_a_tracked_mouth_only_the_movement_counts() -> None:
    mouth, mask = torch.randn(2, 20, 3), torch.ones(2, 20)
    moved = mouth + 0.7
    assert mouth_loss(moved, mouth, mask, torch.ones(2)) < 1e-6
    assert mouth_loss(moved, mouth, mask, torch.zeros(2)) > 0.4


def test_nothing_to_learn_from_is_one_sentence() -> None:
    with pytest.raises(MsmdError, match="no clip to teach the ear"):
        fit_ear(EarConfig(width=4), [], Cache(8), Rig.load("arkit52"), lambda text: None)  # type: ignore[arg-type]


def test_curves_are_measured_in_units_of_both_kinds_of_mouths() -> None:
    """A frown holds still in made mouths and moves in tracked ones; in units of the made it would outweigh the jaw."""
    rng = np.random.default_rng(0)

    def lesson(spread: list[float], phones: np.ndarray | None) -> Lesson:
        mouth = rng.standard_normal((4000, 2)).astype(np.float32) * spread + 0.3
        return Lesson(np.zeros((8000, 1)), mouth.astype(np.float32), phones)

    made, tracked = lesson([0.05, 0.0], np.zeros(4000, np.int64)), lesson([0.1, 0.09], None)
    config = EarConfig(width=4, real_share=0.8)
    pooled = np.sqrt([0.2 * 0.05**2 + 0.8 * 0.1**2, 0.8 * 0.09**2])
    np.testing.assert_allclose(spread_of([made, tracked], config), pooled, rtol=0.05)
    np.testing.assert_allclose(spread_of([made], config), [0.05, 0.01], rtol=0.05)
