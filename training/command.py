"""What `msmd train` does, apart from reading its options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from msmdcli.console import Console, duration
from msmdcli.errors import UsageError
from msmdcli.paths import cache_dir
from training.config import Variant, apply_variant, load_config, load_student_config, states_sources
from training.loop.trainer import train
from training.network.run_folder import read_config
from training.recipes import for_own_data, recipe_data

VARIANTS: tuple[str, ...] = get_args(Variant)


class Progress:
    """Tells a training run on the console: lines with the time left; events with --json."""

    def __init__(self, talk: Console) -> None:
        self.talk = talk

    def say(self, text: str) -> None:
        self.talk.say(text)

    def loading(self, clip: str, done: int, total: int) -> None:
        self.talk.detail(f"features of {clip}")
        if done % 100 == 0 or done == total:
            self.talk.say(f"audio features: {done} of {total} clips")
            self.talk.event("loading", done=done, total=total)

    def step(self, step: int, total: int, losses: dict[str, float], seconds_left: float) -> None:
        self.talk.event("step", step=step, of=total, seconds_left=round(seconds_left), losses=losses)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self.talk.say(f"step {step} of {total}  {shown}  {duration(seconds_left)} left")

    def validated(self, step: int, measures: dict[str, float], best: bool) -> None:
        self.talk.event("validation", step=step, best=best, measures=measures)
        shown = "  ".join(f"{name.removeprefix('val/')} {value:.4f}" for name, value in measures.items())
        self.talk.say(f"step {step} validation  {shown}{'  best so far' if best else ''}")


def run_train(
    talk: Console,
    *,
    preset: str | None,
    config_file: Path | None,
    data: list[Path],
    variant: str | None,
    out: Path,
    resume: bool,
    iterations: int | None = None,
    threads: int | None = None,
    seed: int | None = None,
    jobs: int = 1,
    teacher: Path | None = None,
) -> Path:
    """Train, on the data sets given or on the preset's own recipe. Options that are None keep the preset's value.

    Raises:
        MsmdError: as `training.loop.trainer.train` and `training.recipes.recipe_data`.
    """
    if teacher is not None and (preset is not None or variant is not None):
        raise UsageError("a student is what its teacher is", hint="leave --preset and --variant away")
    if resume and (out / "config.json").exists():
        config = read_config(out)
    elif teacher is not None:
        config = load_student_config(read_config(teacher), teacher, config_file)
    else:
        config = load_config(preset or ("starter" if config_file is None else None), config_file)
    if not resume:
        if variant is not None:
            if variant not in VARIANTS:
                raise UsageError(f"unknown variant '{variant}'", hint=f"choose one of: {', '.join(VARIANTS)}")
            config = apply_variant(config, cast(Variant, variant))
        changes: dict[str, Any] = {
            k: v for k, v in {"iterations": iterations, "threads": threads}.items() if v is not None
        }
        config = replace(
            config, optimiser=replace(config.optimiser, **changes), seed=config.seed if seed is None else seed
        )
    if data and not resume:
        config = for_own_data(config, data, talk.say, states_sources(config_file))
    folders = data or recipe_data(config.recipe, cache_dir() / "data", talk.say, jobs)
    result = train(config, folders, out, resume=resume, report=Progress(talk))
    talk.say(f"Trained: {result}. Next: msmd export-onnx {result} --out BUNDLE")
    talk.event("trained", run=str(result))
    return result
