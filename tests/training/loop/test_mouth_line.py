"""The straight line from the ear's curves: each channel follows its own curve, and the rest a mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from msmdcli.errors import UsageError
from training.loop.mouth_line import fit_mouth_line

P, N, CURVES, COLUMNS = 3, 50, (4, 7), (4, 5, 7)  # channel 5 has no curve


@dataclass
class Windows:
    """Windows in which the made voices of two thirds move channel 4 by the curve of channel 7 as well."""

    silent: float = 0.0
    previous: int = P
    batch: int = 6

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([1, index])
        rows = 2 * self.batch
        audio = 3 + 2 * rng.standard_normal((rows, P + N, 5)).astype(np.float32)
        heard = (audio[:, P:, :2] - 3) / 2
        motion = np.zeros((rows, N, 8))
        motion[..., 4] = 0.5 * heard[..., 0] + 0.8 * heard[..., 1] * (np.arange(rows) % 3 > 0)[:, None]
        motion[..., 5] = heard[..., 0] - heard[..., 1]
        motion[..., 7] = 2 * heard[..., 1]
        motion += 5 * rng.standard_normal((rows, 1, 8))  # resting faces
        mask = np.ones((rows, N), np.float32)
        silent = np.full(rows, self.silent, np.float32)
        return {"audio": audio, "motion": motion.astype(np.float32), "mask": mask, "silent": silent}


def fit(windows: Windows) -> np.ndarray:
    mean, std = np.full(5, 3, np.float32), np.full(5, 2, np.float32)
    return fit_mouth_line(windows, CURVES, COLUMNS, mean, std)  # type: ignore[arg-type]


def test_a_channel_with_a_curve_follows_no_other() -> None:
    line = fit(Windows())
    assert line.shape == (3, 2)
    np.testing.assert_allclose(line[0], [0.5, 0.0], atol=0.05)
    np.testing.assert_allclose(line[1], [1.0, -1.0], atol=0.05)
    np.testing.assert_allclose(line[2], [0.0, 2.0], atol=0.05)
    assert line[0, 1] == line[2, 0] == 0


def test_a_set_without_sound_says_so() -> None:
    with pytest.raises(UsageError, match="no sound"):
        fit(Windows(silent=1.0))
