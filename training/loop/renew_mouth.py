"""Teach the mouth's own path of a finished run anew; everything else of its model stays as it is.

    python -m training.loop.renew_mouth RUN --data DIR [--data DIR ...] --out NEW [--iterations 600]

The path takes minutes, the denoiser hours. So a better ear's line, other closures or another mix of voices reach an old
run without training it again. The new path has the straight line from the ear's curves (`training.network.mouth`),
whether or not the old one had. The new run can be exported, measured and distilled; it cannot be resumed.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from msmdcli.errors import MsmdError, UsageError
from training.config import TrainConfig
from training.data.lip_gap import lip_gap
from training.loop.mouth_line import ear_curves, fit_mouth_line
from training.loop.trainer import Reporter, Silent, prepare_data
from training.network.model import Model
from training.network.objective import Objective
from training.network.run_folder import RUN_FORMAT, load_run

RATE = 2e-3  # of learning, falling along a cosine to a twentieth
WARM = 50  # steps
ADDED = 0.3  # `loss.mouth_added` where the old run had none


def renew_mouth(run: Path, data: list[Path], out: Path, iterations: int = 600, report: Reporter | None = None) -> Path:
    """A run whose mouth is learned anew.

    Args:
        run: a run whose model has a mouth of its own and an ear.
        data: data set folders, as the run was trained with.
        out: folder of the new run; must not exist.

    Raises:
        MsmdError: the run has no such mouth, or cannot be read.
    """
    report = report or Silent()
    old, trained, normalisation = load_run(run, "latest")
    if not old.model.mouth_width or not old.ear.width:
        raise UsageError(f"{run}: its model has no mouth of its own, or no ear", hint="train with a preset that has")
    if out.exists():
        raise UsageError(f"{out} exists already", hint="choose another --out")
    config = _renewed(old, iterations)
    out.mkdir(parents=True)
    for name in ("ear.safetensors", "statistics.npz", "rig.json"):
        shutil.copy(run / name, out / name)
    batches, _ = prepare_data(config, data, report, out)
    batches.normalisation = normalisation

    torch.manual_seed(config.seed)
    model = Model(config.model)
    kept = {name: value for name, value in trained.state_dict().items() if ".mouth_path." not in name}
    absent = set(model.state_dict()) - set(kept)
    assert all(".mouth_path." in name for name in absent)
    model.load_state_dict(kept, strict=False)
    model.eval().requires_grad_(False)
    path = model.denoiser.mouth_path.train().requires_grad_(True)
    mean, std = (buffer.numpy() for buffer in (model.denoiser.audio_mean, model.denoiser.audio_std))
    sizes = config.model
    curves = ear_curves(out, config.ear, batches.rig)
    path.keep_line(fit_mouth_line(batches, curves, sizes.mouth_channels, mean, std))
    objective = Objective(model, config, batches.rig)
    slope, rest = lip_gap(batches.rig)
    objective.set_lip_gap(torch.from_numpy(slope * normalisation.std), rest + float(slope @ normalisation.mean))
    learned = [parameter for parameter in path.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=config.optimiser.weight_decay)
    log = []
    for step in range(iterations):
        torch.manual_seed(config.seed * 1_000_003 + step)
        batch = {name: torch.as_tensor(value) for name, value in batches[step].items()}
        losses = objective(batch, mouth_only=True)
        if not math.isfinite(float(losses["total"].detach())):
            raise MsmdError(f"the loss is {float(losses['total'])} at step {step}", hint="look at the data")
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(learned, config.optimiser.clip_gradient)
        falling = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / iterations))
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM) * falling
        optimiser.step()
        if (step + 1) % config.schedule.log_every == 0:
            shown = {name: float(value.detach()) for name, value in losses.items()}
            log.append({"step": step + 1, **{name: round(value, 6) for name, value in shown.items()}})
            report.step(step + 1, iterations, shown, math.nan)

    (out / "latest").mkdir()
    for name in ("model", "ema"):
        save_file(model.state_dict(), out / "latest" / f"{name}.safetensors")
    provenance = {**json.loads((run / "provenance.json").read_text(encoding="utf-8")), "mouth_renewed": iterations}
    for name, values in (("config", {"format_version": RUN_FORMAT, **config.to_dict()}), ("provenance", provenance)):
        (out / f"{name}.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    return out


def _renewed(old: TrainConfig, iterations: int) -> TrainConfig:
    """The old configuration, with a straight line from the ear's curves."""
    heard = old.model.audio_dim - old.ear.width
    loss = replace(old.loss, mouth_added=old.loss.mouth_added or ADDED)
    return replace(old, model=replace(old.model, mouth_heard=heard), loss=loss, mouth_iterations=iterations)


class _Lines(Silent):
    def say(self, text: str) -> None:
        print(text, flush=True)

    def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None:
        print(f"step {step} of {total}  " + "  ".join(f"{k} {v:.4f}" for k, v in losses.items()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=600)
    args = parser.parse_args()
    try:
        renew_mouth(args.run, args.data, args.out, args.iterations, _Lines())
    except MsmdError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
