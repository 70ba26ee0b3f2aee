"""Teach the mouth's own path of a finished run anew; everything else of its model stays as it is.

    python -m training.loop.renew_mouth RUN --data DIR [--data DIR ...] --out NEW [--iterations 600]

The path takes minutes, the denoiser hours. So a better ear's line, other closures or another mix of voices reach an old
run without training it again; a training does the same at its own end (`mouth_anew` of its configuration). The new path
has the straight line from the ear's curves (`training.network.mouth`), whether or not the old one had. The new run can
be exported, measured and distilled; it cannot be resumed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.normalisation import Normalisation
from training.config import TrainConfig
from training.loop.mouth_anew import mouth_anew
from training.loop.mouth_line import ear_curves
from training.loop.reporting import Reporter, Silent
from training.loop.trainer import prepare_data
from training.network.model import Model
from training.network.run_folder import RUN_FORMAT, load_run

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
    unfinished = out.with_name(f".{out.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        _write_renewed(unfinished, run, config, trained, normalisation, data, report)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return out


def _write_renewed(
    out: Path,
    run: Path,
    config: TrainConfig,
    trained: Model,
    normalisation: Normalisation,
    data: list[Path],
    report: Reporter,
) -> None:
    for name in ("ear.safetensors", "statistics.npz", "rig.json"):
        shutil.copy(run / name, out / name)
    batches, _ = prepare_data(config, data, report, out)
    batches.normalisation = normalisation

    curves = ear_curves(out, config.ear, batches.rig)
    model, log = mouth_anew(config, trained, batches, curves, report)

    (out / "latest").mkdir()
    for name in ("model", "ema"):
        save_file(model.state_dict(), out / "latest" / f"{name}.safetensors")
    told = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    provenance = {**told, "mouth_renewed": config.mouth_anew}
    for name, values in (("config", {"format_version": RUN_FORMAT, **config.to_dict()}), ("provenance", provenance)):
        (out / f"{name}.json").write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (out / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")


def _renewed(old: TrainConfig, iterations: int) -> TrainConfig:
    """The old configuration, with a straight line from the ear's curves."""
    heard = old.model.audio_dim - old.ear.width
    loss = replace(old.loss, mouth_added=old.loss.mouth_added or ADDED)
    return replace(old, model=replace(old.model, mouth_heard=heard), loss=loss, mouth_anew=iterations)


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
