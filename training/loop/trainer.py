"""The training loop: Accelerate, EMA, validation, early stopping, checkpoints that resume to the same curve.

A run is a folder:

    config.json        the resolved configuration            log.jsonl      one JSON object per logged step and
    validation statistics.npz     normalisation of motion and audio     tensorboard/   the same curves
    provenance.json    data, licences, versions              latest/, best/ checkpoints: model, EMA, optimiser, state
    rig.json           what the motion's channels are

Every random draw of step i comes from the seed and i, so a run that was stopped and resumed repeats the undisturbed
one.
"""

from __future__ import annotations

import json
import math
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from pickle import PickleError
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset

from msmdcli.documents.json_file import read_json
from msmdcli.errors import MsmdError, UsageError
from msmdcli.model.normalisation import Normalisation, eye_pairs
from msmdcli.motion.rig import Rig
from training.config import TrainConfig
from training.data.dataset import (
    PairBatches,
    TrainingClip,
    load_clips,
    measure_audio,
    measure_normalisation,
)
from training.data.features import FeatureCache
from training.data.hearing import HearingCache, plain_cache
from training.data.lip_gap import lip_gap
from training.data.records import read_index
from training.loop.audio_directions import fit_audio_directions
from training.loop.ear_fitting import prepared_ear
from training.loop.earlier_run import freeze_kept, start_from
from training.loop.motion_prior import leading_source, movement_correlation
from training.loop.mouth_anew import mouth_anew
from training.loop.mouth_line import ear_curves, fit_mouth_line, mouth_columns
from training.loop.reporting import Reporter, Silent
from training.loop.validation import Validation
from training.network.distil import DistilObjective, load_teacher
from training.network.model import Model
from training.network.objective import Batch, Objective, channel_weights
from training.network.run_folder import RUN_FORMAT, load_weights, read_config, read_normalisation, read_statistics


def train(
    config: TrainConfig, data: list[Path], out: Path, *, resume: bool = False, report: Reporter | None = None
) -> Path:
    """Train a model and return the folder of its run.

    Args:
        config: as `training.config.load_config` gives it.
        data: data set folders.
        out: the run's folder; must not hold a run unless `resume`.
        resume: go on from `out/latest`, with the configuration stored there.

    Raises:
        MsmdError: nothing to train on, or a run that cannot be resumed.
    """
    report = report or Silent()
    if resume:
        if not (out / "latest").is_dir():
            raise UsageError(f"{out} holds no checkpoint to resume from", hint="leave --resume away to start anew")
        config = read_config(out)
    elif (out / "config.json").exists():
        raise UsageError(f"{out} holds a run already", hint="Continue it with --resume, or choose another --out.")
    if config.optimiser.threads:
        torch.set_num_threads(config.optimiser.threads)
    accelerator = Accelerator(mixed_precision=config.optimiser.precision, cpu=not torch.cuda.is_available())
    with accelerator.main_process_first():
        training, validation = prepare_data(config, data, report, out)
    rig = training.rig
    head = tuple(rig.head_columns.tolist())
    mouth = mouth_columns(rig) if config.model.mouth_width else ()
    sizes = replace(
        config.model, audio_dim=training.audio_dim, motion_dim=rig.size, head_channels=head, mouth_channels=mouth
    )
    if mouth and config.ear.width and not resume:  # the ear's features begin with its mouth curves
        sizes = replace(sizes, mouth_heard=training.audio_dim - config.ear.width)
    config = replace(config, model=sizes)
    run = Run(config, training, validation, out, accelerator, report)
    run.prepare(resume)
    run.loop()
    return out


def prepare_data(
    config: TrainConfig, data: list[Path], report: Reporter, out: Path | None = None
) -> tuple[PairBatches, list[TrainingClip]]:
    """Batches to train on, and the validation clips. An ear that the run `out` does not hold yet learns first."""
    rig = Rig.load(config.data.rig)
    fps = Fraction(config.data.fps)
    records = [(folder, record) for folder in data for record in read_index(folder)]
    cache: FeatureCache | HearingCache = FeatureCache(config.audio, fps)
    if config.ear.width:
        assert out is not None, "an ear lives in a run"
        plain = plain_cache(config.audio, fps)
        earlier = config.distil.teacher or config.from_run
        teacher = Path(earlier) if earlier else None
        cache = HearingCache(plain, prepared_ear(out, config.ear, records, plain, rig, report.say, teacher))
    shares = config.data.sources
    chosen = [
        (folder, r)
        for folder, r in records
        if r.split == "train" and (shares is None or "*" in shares or r.source in shares)
    ]
    held_out = [
        (folder, r)
        for folder, r in records
        if r.split == "val" and r.audio is not None and r.source not in config.data.validation_without
    ]
    if not chosen:
        there = Counter(f"{r.source} ({r.split})" for _, r in records)
        found = ", ".join(f"{number} of {name}" for name, number in sorted(there.items()))
        raise MsmdError(
            "the data holds no clip to train on: none of its sources is in data.sources, or none has the split train",
            hint=f"data.sources: {shares}; the data: {found or 'nothing'}",
        )
    total = len(chosen) + len(held_out)
    done = iter(range(1, total + 1))
    progress = lambda name: report.loading(name, next(done), total)  # noqa: E731
    clips = load_clips(chosen, rig, fps, cache, config.data, progress)
    validation = load_clips(held_out, rig, fps, cache, replace(config.data, voices={}), progress)
    batches = PairBatches(
        clips,
        rig,
        config.data,
        config.augment,
        window=config.model.window,
        previous=config.model.previous,
        batch=config.optimiser.batch,
        batches=2**31,
        audio_dim=cache.dim,
        seed=config.seed,
    )
    return batches, validation


class Run:
    """One training run: its state and its loop."""

    def __init__(
        self,
        config: TrainConfig,
        training: PairBatches,
        validation: list[TrainingClip],
        out: Path,
        accelerator: Accelerator,
        report: Reporter,
    ) -> None:
        self.config, self.training, self.out, self.accelerator, self.report = config, training, out, accelerator, report
        self.validation = validation
        torch.manual_seed(config.seed)
        self.model = Model(config.model)
        self.teacher = load_teacher(config)
        objective = self._objective(self.model)
        o = config.optimiser
        kind = torch.optim.AdamW if o.weight_decay else torch.optim.Adam
        optimiser = kind(self.model.parameters(), lr=o.lr, weight_decay=o.weight_decay, fused=True)
        self.ema = AveragedModel(self.model, multi_avg_fn=_averaging(o.ema), use_buffers=False)
        if o.compile:
            objective = torch.compile(objective)  # type: ignore[assignment]
        self.objective, self.optimiser = accelerator.prepare(objective, optimiser)
        self.ema.to(accelerator.device)
        self.step, self.best, self.bad_validations = 0, math.inf, 0

    def _objective(self, model: Model) -> Objective:
        """What `model` is trained or judged by."""
        if self.teacher is None:
            return Objective(model, self.config, self.training.rig)
        return DistilObjective(model, self.teacher, self.config, self.training.rig)

    def _tell_gap(self, objective: Objective) -> None:
        """Where the lip gap is a part of the loss: how this run's normalised motion parts the lips."""
        if not self.config.loss.gap:
            return
        slope, rest = lip_gap(self.training.rig)
        mean, std = self.normalisation.mean, self.normalisation.std
        objective.set_lip_gap(torch.from_numpy(slope * std), rest + float(slope @ mean))

    @property
    def averaged(self) -> Model:
        """The EMA model."""
        return cast(Model, self.ema.module)

    # --- preparation -------------------------------------------------------------------------------------------------

    def prepare(self, resume: bool) -> None:
        if resume:
            stored = read_statistics(self.out)
            self.normalisation = read_normalisation(self.out, self.config)
            audio = _audio_statistics(stored, self.out)
            self._load(self.out / "latest")
            if self.config.from_run:
                freeze_kept(self.model)
        else:
            opposed = eye_pairs(self.training.rig) if self.config.signed_eyes else ()
            if self.teacher is not None:
                self.normalisation, audio = self._follow(self.teacher)
            elif self.config.from_run:
                self.normalisation, audio = start_from(Path(self.config.from_run), (self.model, self.averaged))
            else:
                self.normalisation = measure_normalisation(self.training, self.config.normalise, opposed=opposed)
                audio = measure_audio(self.training)
            if self.normalisation.opposed != opposed:
                raise UsageError(
                    f"signed_eyes is {str(self.config.signed_eyes).lower()}, and the run that this one starts from was"
                    f" trained the other way",
                    hint="give both the same signed_eyes",
                )
            if self.accelerator.is_main_process:
                self.out.mkdir(parents=True, exist_ok=True)
                np.savez(
                    self.out / "statistics.npz",
                    mean=self.normalisation.mean,
                    std=self.normalisation.std,
                    audio_mean=audio[0],
                    audio_std=audio[1],
                )
                _write_json(self.out / "config.json", {"format_version": RUN_FORMAT, **self.config.to_dict()})
                _write_json(self.out / "provenance.json", self._provenance())
                (self.out / "rig.json").write_text(self.training.rig.definition() + "\n", encoding="utf-8")
        for model in (self.model, self.averaged):
            model.denoiser.audio_mean.copy_(torch.from_numpy(audio[0]))
            model.denoiser.audio_std.copy_(torch.from_numpy(audio[1]))
        self.training.normalisation = self.normalisation
        if self.config.model.audio_directions == "fitted" and not resume and self.teacher is None:
            self._fit_audio_directions(*audio)
        if self.config.model.prior and not resume and self.teacher is None:
            correlation = movement_correlation(leading_source(self.training), self.model.denoiser.sampled.cpu().numpy())
            for model in (self.model, self.averaged):
                model.denoiser.prior.fit(correlation)
        if self.config.model.mouth_heard:
            known = resume or self.teacher is not None or self.config.from_run
            line = None if known else self._mouth_line(*audio)
            for model in (self.model, self.averaged):
                model.denoiser.mouth_path.keep_line(line)
        self._tell_gap(self.accelerator.unwrap_model(self.objective))
        self.held_out = Validation(self.validation, self.training, self.config, self.normalisation)

    def _follow(self, teacher: Model) -> tuple[Normalisation, tuple[np.ndarray, np.ndarray]]:
        """Start where the teacher ended: its weights, and its normalisation of motion and audio."""
        for model in (self.model, self.averaged):
            model.load_state_dict(teacher.state_dict())
        run = Path(self.config.distil.teacher)
        return read_normalisation(run, read_config(run)), _audio_statistics(read_statistics(run), run)

    def _fit_audio_directions(self, audio_mean: np.ndarray, audio_std: np.ndarray) -> None:
        rig = self.training.rig
        weights = channel_weights(rig, self.config.loss.regions).sqrt().numpy()  # the losses weigh squares
        weights[rig.head_columns] = 0.0  # heads move with the sense, hardly with the sound
        rank = self.config.model.audio_bottleneck
        weight, bias = fit_audio_directions(self.training, rank, audio_mean, audio_std, weights)
        for model in (self.model, self.averaged):
            directions = model.denoiser.audio_directions
            directions.weight.data.copy_(torch.from_numpy(weight))
            directions.bias.data.copy_(torch.from_numpy(bias))

    def _mouth_line(self, audio_mean: np.ndarray, audio_std: np.ndarray) -> np.ndarray:
        curves = ear_curves(self.out, self.config.ear, self.training.rig)
        return fit_mouth_line(self.training, curves, self.config.model.mouth_channels, audio_mean, audio_std)

    def _provenance(self) -> dict[str, Any]:
        frames: Counter[str] = Counter()
        speakers: dict[str, set[str]] = {}
        for clip in self.training.clips:
            frames[clip.source] += clip.frames
            speakers.setdefault(clip.source, set()).add(clip.speaker)
        fps = float(Fraction(self.config.data.fps))
        return {
            "sources": {
                s: {"minutes": round(n / fps / 60, 2), "speakers": len(speakers[s])} for s, n in sorted(frames.items())
            },
            "minutes_counts": "every augmented voice of a clip counts",
            "validation_clips": sorted(clip.id for clip in self.validation),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "versions": {"torch": torch.__version__, "python": platform.python_version(), "numpy": np.__version__},
        }

    # --- the loop ----------------------------------------------------------------------------------------------------

    def loop(self) -> None:
        config, schedule = self.config, self.config.schedule
        contrast = config.contrastive_iterations
        total = contrast + config.optimiser.iterations
        started, first = time.monotonic(), self.step
        recent: list[dict[str, torch.Tensor]] = []
        for batch in self._batches(total):
            if self.step == contrast > 0:
                self._freeze_style_encoder()
            mouth_only = self.step < contrast + config.mouth_iterations and bool(config.model.mouth_width)
            recent.append(self._train_step(batch, contrast=self.step < contrast, mouth_only=mouth_only))
            self.step += 1
            if self.step % schedule.log_every == 0 or self.step == total:
                losses = {
                    name: float(torch.stack([r[name] for r in recent]).mean())
                    for name in recent[-1]
                    if all(name in r for r in recent)
                }
                if not math.isfinite(losses["total"]):
                    raise MsmdError(
                        f"the loss is {losses['total']} at step {self.step}",
                        hint="Lower optimiser.lr, or use precision: no.",
                    )
                seconds_left = (time.monotonic() - started) / (self.step - first) * (total - self.step)
                self._log({"step": self.step, **losses})
                self.report.step(self.step, total, losses, seconds_left)
                recent = []
            validate = self.step > contrast and (self.step % schedule.validate_every == 0 or self.step == total)
            if validate:
                self._validate()
            if self.step % schedule.checkpoint_every == 0 or self.step == total:
                self._save(self.out / "latest")
            if validate and self.bad_validations >= schedule.patience:
                break
        if config.mouth_anew and config.model.mouth_heard and not config.from_run:
            self._renew_mouth()

    def _renew_mouth(self) -> None:
        """Keep the finished model with a mouth learned anew as the best checkpoint; `latest` can be trained on."""
        if not self.accelerator.is_main_process:
            return
        curves = ear_curves(self.out, self.config.ear, self.training.rig)
        self.report.say(f"the mouth learns anew: {self.config.mouth_anew} steps")
        model, log = mouth_anew(self.config, self.averaged, self.training, curves, self.report)
        for row in log:
            self._log({f"mouth/{name}": value for name, value in row.items() if name != "step"} | {"step": row["step"]})
        self.averaged.load_state_dict(model.state_dict())
        measures = self.validation_measures()
        self._log({"step": self.step, **measures})
        self._save(self.out / "best")
        self.report.validated(self.step, measures, True)

    def _batches(self, total: int) -> Iterator[Batch]:
        """Batches step .. total - 1 of this process."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        indices = range(self.step * world + rank, total * world, world)
        loader = DataLoader(Subset(self.training, indices), batch_size=None, num_workers=0)  # type: ignore[arg-type]
        for batch in loader:
            yield {name: value.to(self.accelerator.device, non_blocking=True) for name, value in batch.items()}

    def _train_step(self, batch: Batch, contrast: bool, mouth_only: bool = False) -> dict[str, torch.Tensor]:
        o = self.config.optimiser
        # Dropout and diffusion noise of step i depend on the seed, i and the process only: resuming repeats them.
        torch.manual_seed(
            np.random.SeedSequence([self.config.seed, self.step, self.accelerator.process_index])
            .generate_state(1)[0]
            .item()
        )
        for group in self.optimiser.param_groups:
            group["lr"] = o.lr * self._rate(self.step)
        self.objective.train()
        with self.accelerator.autocast():
            losses: dict[str, torch.Tensor] = self.objective(batch, contrast, mouth_only)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["total"])
        if o.clip_gradient:
            self.accelerator.clip_grad_norm_(self.objective.parameters(), o.clip_gradient)
        self.optimiser.step()
        self.ema.update_parameters(self.model)
        return {name: value.detach() for name, value in losses.items()}

    def _rate(self, step: int) -> float:
        o = self.config.optimiser
        warm = min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0
        progress = min(1.0, step / max(1, self.config.contrastive_iterations + o.iterations))
        return warm * (o.final_lr + (1.0 - o.final_lr) * 0.5 * (1.0 + math.cos(math.pi * progress)))

    def _freeze_style_encoder(self) -> None:
        self.model.style_encoder.requires_grad_(False)
        self.averaged.style_encoder.load_state_dict(self.model.style_encoder.state_dict())

    # --- validation --------------------------------------------------------------------------------------------------

    def _validate(self) -> None:
        """Measure the EMA model; keep it when it is the best so far."""
        if not self.accelerator.is_main_process:
            return
        measures = self.validation_measures()
        self._log({"step": self.step, **measures})
        value = {
            "loss": measures.get("val/loss", -float(self.step)),
            "score": -measures.get("val/score", float(self.step)),
            "last": -float(self.step),
        }[self.config.schedule.keep_by]
        better = value < self.best
        self.best = min(self.best, value)
        self.bad_validations = 0 if better else self.bad_validations + 1
        if better:
            self._save(self.out / "best")
        self.report.validated(self.step, measures, better)

    def validation_measures(self) -> dict[str, float]:
        """Loss, and what generated validation clips are worth (`training.loop.validation`)."""
        objective = self._objective(self.averaged)
        self._tell_gap(objective)
        return self.held_out.measures(objective, self.averaged)

    # --- files -------------------------------------------------------------------------------------------------------

    def _log(self, values: dict[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: round(v, 6) for k, v in values.items()}) + "\n")
        if not hasattr(self, "_tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._tensorboard = SummaryWriter(str(self.out / "tensorboard"))
        for name, value in values.items():
            if name != "step":
                self._tensorboard.add_scalar(name if "/" in name else f"train/{name}", value, int(values["step"]))

    def _save(self, folder: Path) -> None:
        """Write a checkpoint whole, then put it in place of the older one."""
        if not self.accelerator.is_main_process:
            return
        new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(parents=True)
        save_file(self.model.state_dict(), new / "model.safetensors")
        save_file(self.ema.module.state_dict(), new / "ema.safetensors")
        torch.save(
            self.optimiser.state_dict(), new / "optimiser.pt"
        )  # read back with weights_only=True, which runs no code
        _write_json(
            new / "state.json",
            {
                "step": self.step,
                "best": self.best if math.isfinite(self.best) else None,
                "bad": self.bad_validations,
                "averaged": int(self.ema.n_averaged),
            },
        )
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def _load(self, folder: Path) -> None:
        try:
            state = read_json(folder / "state.json")
            self.step, self.bad_validations = int(state["step"]), int(state["bad"])
            self.best = math.inf if state["best"] is None else float(state["best"])
            self.ema.n_averaged.fill_(int(state["averaged"]))
            load_weights(self.model, folder / "model.safetensors")
            load_weights(self.ema.module, folder / "ema.safetensors")
            self.optimiser.load_state_dict(
                torch.load(folder / "optimiser.pt", weights_only=True, map_location=self.accelerator.device)
            )
        except MsmdError:
            raise
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, EOFError, PickleError) as error:
            raise MsmdError(
                f"checkpoint {folder} cannot be read: {(str(error) or type(error).__name__).splitlines()[0]}",
                hint="Start anew, or restore the folder.",
            ) from error
        if 0 < self.config.contrastive_iterations <= self.step:
            self._freeze_style_encoder()


def _audio_statistics(stored: dict[str, np.ndarray], run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation [C] of the audio features."""
    if "audio_mean" not in stored or "audio_std" not in stored:
        raise MsmdError(f"{run}/statistics.npz has no statistics of the audio", hint="Start anew, or restore the file.")
    return stored["audio_mean"], stored["audio_std"]


def _averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential averaging that starts short: decay min(`decay`, (1 + n) / (10 + n)) after n steps, so that early
    validations see the model and not its birth."""

    def average(averaged: Any, current: Any, count: Any) -> None:
        n = float(count)
        get_ema_multi_avg_fn(min(decay, (1.0 + n) / (10.0 + n)))(averaged, current, count)  # type: ignore[no-untyped-call]

    return average


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
