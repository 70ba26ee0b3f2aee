"""The `paper` preset at full size on this machine: does the loss fall, what does a step cost, how much memory does it
take?

    python benchmarks/paper_steps.py [--steps 6] [--hubert FOLDER]

Trains on made-up clips whose jaw follows the loudness of the sound. HuBERT is the real one where --hubert names its
folder, else a network of its size with random weights (the cost is the same). The learning rate is raised tenfold so
that a handful of steps shows whether the loss falls.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_data import make_data

from training.config import load_config
from training.loop.trainer import Silent, train


class Watch(Silent):
    """Prints every step."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None:
        now = time.monotonic()
        self.seconds.append(now - self.last)
        self.losses.append(losses["total"])
        self.last = now
        print(f"step {step}: loss {losses['total']:.4f}, {self.seconds[-1]:.1f} s", flush=True)


def random_hubert(folder: Path) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    HubertModel(HubertConfig()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--hubert", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["MSMD_CACHE"] = str(folder / "cache")
        make_data(folder / "data", clips=8)
        config = load_config("paper")
        config = replace(
            config,
            audio=replace(config.audio, path=str(given.hubert or random_hubert(folder / "hubert"))),
            optimiser=replace(config.optimiser, iterations=given.steps, lr=1e-3),
            schedule=replace(config.schedule, validate_every=10**9, checkpoint_every=10**9, log_every=1),
        )
        watch = Watch()
        train(config, [folder / "data"], folder / "run", report=watch)
        parameters = json.loads((folder / "run" / "provenance.json").read_text())["parameters"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    batch, threads = config.optimiser.batch, torch.get_num_threads()
    median = sorted(watch.seconds[1:])[(len(watch.seconds) - 1) // 2]
    print(f"{parameters / 1e6:.1f} M parameters, batch {batch} pairs, {threads} threads")
    print(f"{median:.1f} s a step (median), peak memory {peak:.1f} GB")
    if watch.losses[-1] >= watch.losses[0]:
        raise SystemExit(f"the loss did not fall: {watch.losses}")


if __name__ == "__main__":
    main()
