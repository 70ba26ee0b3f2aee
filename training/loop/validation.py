"""Validation: the loss on held-out clips, and what clips generated for them are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from msmdcli.model.normalisation import Normalisation
from training.config import TrainConfig
from training.data.augment import AugmentConfig
from training.data.dataset import PairBatches, TrainingClip
from training.network.distil import SAMPLER
from training.network.generate import generate
from training.network.model import Model
from training.network.objective import Objective

MOST_BATCHES = 4  # of the validation loss
FEWEST_FRAMES = 25  # of half a clip, to be generated
PLAIN_STEPS = 2  # of the sampler, but for a student, which has steps of its own


class Validation:
    """The held-out clips of a run, measured again and again by the same batches and the same noise.

    Args:
        clips: the held-out clips, with sound.
        training: the run's batches, which say how windows are cut.
        config: of the run.
        normalisation: of the run.
    """

    def __init__(
        self, clips: list[TrainingClip], training: PairBatches, config: TrainConfig, normalisation: Normalisation
    ) -> None:
        self.clips, self.config, self.normalisation, self.rig = clips, config, normalisation, training.rig
        self.batches = self._batches(training) if clips else []

    def _batches(self, training: PairBatches) -> list[dict[str, np.ndarray]]:
        """The clips as plain batches: no augmentation, no truncation, the same every time."""
        count = max(1, min(MOST_BATCHES, len(self.clips) // self.config.optimiser.batch))
        batches = PairBatches(
            self.clips,
            self.rig,
            replace(self.config.data, sources=None, truncate=0.0, chain_short_clips=False),
            AugmentConfig(probability=0.0),
            window=training.window,
            previous=training.previous,
            batch=self.config.optimiser.batch,
            batches=count,
            audio_dim=training.audio_dim,
            seed=self.config.seed + 1,
        )
        batches.normalisation = self.normalisation
        return [batches[i] for i in range(count)]

    def measures(self, objective: Objective, model: Model) -> dict[str, float]:
        """`val/loss` of the objective, and the measures of `generated`; empty without clips."""
        if not self.batches:
            return {}
        device = next(model.parameters()).device
        objective = objective.to(device).eval()
        totals = []
        with torch.inference_mode(), torch.random.fork_rng():
            for index, batch in enumerate(self.batches):
                torch.manual_seed(1000 + index)
                losses = objective({name: torch.from_numpy(value).to(device) for name, value in batch.items()})
                totals.append(losses["total"].item())
        return {"val/loss": float(np.mean(totals)), **self.generated(model)}

    def generated(self, model: Model) -> dict[str, float]:
        """Each half of a clip animated in the style of the other half.

        `jaw`: median correlation of generated with recorded jawOpen. `error`: mean absolute error of the face channels
        over that of the reference's mean pose held still. `amplitude`: generated over recorded standard deviation of
        the jaw. `score`: jaw - error, what `keep_by: score` maximises.
        """
        model = model.eval()
        if next(model.parameters()).device.type != "cpu":
            return {}  # generation works on the CPU; on a GPU the loss decides, and `msmd evaluate` says the rest
        rig, distil = self.rig, self.config.distil
        sampling: dict[str, Any] = (
            {"steps": distil.steps, "sampler": SAMPLER} if distil.teacher else {"steps": PLAIN_STEPS}
        )
        face = rig.face_columns
        # What follows the sound most: the jaw; in a learned code, where none is known, the channel that moves the most.
        jaw = rig.index("jawOpen") if "jawOpen" in rig.channels else int(face[self.normalisation.std[face].argmax()])
        correlations, errors, amplitudes = [], [], []
        for clip in self.clips:
            half = min(clip.frames // 2, 2 * self.config.model.window)
            if half < FEWEST_FRAMES:
                continue
            for start, other in ((0, half), (half, 0)):
                truth, reference = clip.motion[start : start + half], clip.motion[other : other + half]
                audio = clip.audio(start, start + half)
                assert audio is not None  # held-out clips have sound
                made = generate(
                    model,
                    self.normalisation,
                    audio.astype(np.float32),
                    reference,
                    lambda w: np.random.Generator(np.random.Philox(w)),
                    rig=rig,
                    **sampling,
                )
                made = np.clip(made, rig.lower, rig.upper)
                still = np.abs(truth - reference.mean(0))[:, face].mean()
                errors.append(np.abs(truth - made)[:, face].mean() / max(still, 1e-6))
                if truth[:, jaw].std() > 1e-3:
                    moves = made[:, jaw].std() > 1e-6
                    correlations.append(np.corrcoef(made[:, jaw], truth[:, jaw])[0, 1] if moves else 0.0)
                    amplitudes.append(made[:, jaw].std() / truth[:, jaw].std())
        if not correlations:
            return {}
        measures = {
            "jaw": float(np.median(correlations)),
            "error": float(np.mean(errors)),
            "amplitude": float(np.median(amplitudes)),
        }
        measures["score"] = float(np.mean(correlations)) - measures["error"]
        return {f"val/{name}": value for name, value in measures.items()}
