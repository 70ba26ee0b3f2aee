"""How fast training goes, and what makes it so: steps a second of a preset, and the same loop with one thing changed.

    python benchmarks/training_speed.py [--preset starter] [--turns 5] [--encoder FOLDER] [--compile] [--json FILE]

A step is the trainer's own: forward, losses, backward, clipping, fused optimiser, averaged weights; batches are made
before the timer starts unless said. In turns within one run:

    step            float32, features kept (what `msmd train` does by default)
    bf16            the same under bfloat16 autocast
    compiled        with torch.compile (only with --compile; wants a C++ compiler)
    plain optimiser Adam without `fused`
    loading         making one batch of pairs: cutting, augmenting, normalising (no training)
    encoding        what a plain loop does besides in every step: the frozen audio encoder on the batch's sound

Encoding is that of the preset's encoder at its size; --encoder names its folder, else weights are random, which costs
the same. Ratios are medians over turns of this process's computing time, so other work on the machine hardly counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1])]
from made_data import make_data  # noqa: E402

from training.config import TrainConfig, load_config  # noqa: E402
from training.loop.reporting import Silent  # noqa: E402
from training.loop.trainer import Run, prepare_data  # noqa: E402
from training.network.encoders import SAMPLE_RATE, load_encoder  # noqa: E402
from training.network.objective import Batch, Objective  # noqa: E402


def random_encoder(kind: str, folder: Path) -> Path:
    """A folder with an encoder of the real size and random weights."""
    torch.manual_seed(0)
    if kind == "whisper":
        from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

        config = WhisperConfig(
            d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, decoder_layers=1
        )
        WhisperModel(config).save_pretrained(folder)
        WhisperFeatureExtractor().save_pretrained(folder)
    else:
        from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

        HubertModel(HubertConfig()).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def make_run(config: TrainConfig, folder: Path, out: str) -> Run:
    """A run ready for its first step, on made-up clips."""
    training, validation = prepare_data(config, [folder / "data"], Silent())
    rig = training.rig
    sizes = replace(
        config.model,
        audio_dim=training.audio_dim,
        motion_dim=rig.size,
        head_channels=tuple(rig.head_columns.tolist()),
    )
    run = Run(
        replace(config, model=sizes),
        training,
        validation,
        folder / out,
        Accelerator(cpu=not torch.cuda.is_available()),
        Silent(),
    )
    run.prepare(resume=False)
    return run


def load_batch(run: Run, index: int) -> Batch:
    """Batch `index`, on the device."""
    return {name: torch.from_numpy(value).to(run.accelerator.device) for name, value in run.training[index].items()}


def encoding(config: TrainConfig, rows: int) -> Callable[[], object]:
    """The audio encoder on the sound of a batch's windows, as a loop without a cache runs it."""
    encoder = load_encoder(config.audio.encoder, config.audio.path, config.audio.layers).eval()
    frames = config.model.window + config.model.previous
    sound = torch.randn(rows, round(frames / float(config.data.fps) * SAMPLE_RATE)) * 0.1

    def call() -> object:
        with torch.inference_mode():
            return encoder(sound)

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="starter")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    config = load_config(given.preset)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["MSMD_CACHE"] = str(folder / "cache")
        make_data(folder / "data")
        path = given.encoder or random_encoder(config.audio.encoder, folder / "encoder")
        config = replace(
            config,
            audio=replace(config.audio, path=str(path)),
            data=replace(config.data, sources=None, voices={}, validation_without=()),
            optimiser=replace(config.optimiser, threads=given.threads),
        )
        torch.set_num_threads(given.threads)
        run = make_run(config, folder, "run")
        batch = load_batch(run, 0)
        calls: dict[str, Callable[[], object]] = {"step": lambda: run._train_step(batch, contrast=False)}

        reduced = make_run(config, folder, "bf16")
        device = reduced.accelerator.device.type
        reduced.accelerator.autocast = lambda *_, **__: torch.autocast(device, torch.bfloat16)  # type: ignore[method-assign]
        calls["bf16"] = lambda: reduced._train_step(batch, contrast=False)

        unfused = make_run(config, folder, "unfused")
        o = config.optimiser
        kind = torch.optim.AdamW if o.weight_decay else torch.optim.Adam
        unfused.optimiser = kind(unfused.model.parameters(), lr=o.lr, weight_decay=o.weight_decay)  # type: ignore[assignment]
        calls["plain optimiser"] = lambda: unfused._train_step(batch, contrast=False)

        if given.compile:
            compiled = make_run(config, folder, "compiled")
            compiled.objective = torch.compile(Objective(compiled.model, compiled.config, compiled.training.rig))
            calls["compiled"] = lambda: compiled._train_step(batch, contrast=False)

        numbers = iter(range(1, 10**9))
        calls["loading"] = lambda: load_batch(run, next(numbers))
        calls["encoding"] = encoding(config, 2 * o.batch)
        timed: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(given.turns + 1):
            for name, call in calls.items():
                begin = time.process_time()
                call()
                if turn:
                    timed[name].append(time.process_time() - begin)
    parameters = sum(p.numel() for p in run.model.parameters())
    median = {name: statistics.median(values) for name, values in timed.items()}
    ratio = {
        name: statistics.median(a / b for a, b in zip(values, timed["step"], strict=True))
        for name, values in timed.items()
    }
    whole = median["step"] + median["loading"]
    again = (whole + median["encoding"]) / whole
    print(f"{given.preset}: {parameters / 1e6:.1f} M parameters, {o.batch} pairs, threads {given.threads}")
    print(f"torch {torch.__version__}\n\n| what | s of computing | of a step |\n| --- | --- | --- |")
    for name in calls:
        print(f"| {name} | {median[name]:.3f} | {ratio[name]:.2f} |")
    print(f"\n{1 / whole:.2f} steps a second of computing, {2 * o.batch / whole:.1f} windows a second")
    print(f"loading is {median['loading'] / whole:.1%} of that; heard again in every step: {again:.2f} x the time")
    if given.json:
        found = {"preset": given.preset, "torch": torch.__version__, "seconds": timed, "ratio": ratio}
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
