"""What `msmd train` does, apart from reading its options."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from msmdcli.paths import cache_dir
from training.config import Variant, apply_variant, load_config
from training.recipes import recipe_data
from training.trainer import read_config, train


class Console:
    """Progress as plain lines on stderr, or one JSON object a line on stdout."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json, self.quiet = as_json, quiet

    def talk(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def event(self, name: str, **values: object) -> None:
        if self.as_json:
            print(json.dumps({"event": name, **values}), flush=True)

    def loading(self, clip: str, done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            self.talk(f"features: {done} of {total} clips")
            self.event("loading", done=done, total=total)

    def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None:
        hours, minutes = divmod(round(seconds_left / 60), 60)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self.talk(f"step {step} of {total}  {shown}  {hours}:{minutes:02d} left")
        self.event("step", step=step, total=total, seconds_left=round(seconds_left), **losses)

    def validated(self, step: int, measures: dict[str, float], best: bool) -> None:
        shown = "  ".join(f"{name.removeprefix('val/')} {value:.4f}" for name, value in measures.items())
        self.talk(f"step {step} validation  {shown}{'  best so far' if best else ''}")
        self.event("validation", step=step, best=best, **measures)


def run_train(
    *,
    preset: str | None,
    config_file: Path | None,
    data: list[Path],
    variant: Variant | None,
    out: Path,
    resume: bool,
    iterations: int | None = None,
    threads: int | None = None,
    seed: int | None = None,
    jobs: int = 1,
    as_json: bool = False,
    quiet: bool = False,
) -> Path:
    """Train, on the data sets given or on the preset's own recipe. Options that are None keep the preset's value.

    Raises:
        MsmdError: as `training.trainer.train` and `training.recipes.recipe_data`.
    """
    console = Console(as_json, quiet)
    config = read_config(out) if resume and (out / "config.json").exists() else load_config(preset or ("starter" if config_file is None else None), config_file)
    if not resume:
        if variant is not None:
            config = apply_variant(config, variant)
        changes = {k: v for k, v in {"iterations": iterations, "threads": threads}.items() if v is not None}
        config = replace(config, optimiser=replace(config.optimiser, **changes), seed=config.seed if seed is None else seed)
    folders = data or recipe_data(config.recipe, cache_dir() / "data", console.talk, jobs)
    result = train(config, folders, out, resume=resume, report=console)
    console.talk(f"Trained: {result}. Next: msmd export-onnx {result} --out BUNDLE")
    console.event("done", run=str(result))
    return result
