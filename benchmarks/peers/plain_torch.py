"""A peer for `peer.py`: a denoiser of DiffPoseTalk's size and steps, in plain PyTorch.

    python benchmarks/peers/peer.py benchmarks/peers/plain_torch.py

The network is the plain transformer decoder of `benchmarks/paper_denoiser_step.py` (8 layers, width 512, 100 frames of
4 s) with random weights. A step has three rows, one window with its two guidance branches; a window takes 500 of them,
DiffPoseTalk's default. Neither an audio encoder nor the sampler's arithmetic is in it. A window takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

for folder in Path(__file__).resolve().parents[1:3]:  # benchmarks, and the repository
    sys.path.insert(0, str(folder))

import torch  # noqa: E402
from paper_denoiser_step import plain_step  # noqa: E402

from msmdcli.motion.rig import Rig  # noqa: E402

NAME = "plain PyTorch"
STEPS = 500

torch.manual_seed(0)
step = plain_step(Rig.load("arkit52"))


def window() -> None:
    """From noise to motion."""
    for _ in range(STEPS):
        step()
