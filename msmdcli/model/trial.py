"""The model tried on noise: how fast it is on this machine, and whether bytes are equal alone and among others."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.conditions import conditions_of, steps_of
from msmdcli.model.engine import Engine
from msmdcli.model.lines import ActiveLine, Job
from msmdcli.model.style_codes import StyleEntry


def seconds_per_second(engine: Engine) -> float:
    """Seconds of computing per second of sound on this machine, measured on one full batch of windows."""
    audio = noise(engine.bundle)
    job = Job("warm-up", engine.encode_audio(audio), [StyleEntry(None)])
    list(engine.animate([job]))  # the first run of a graph is slower
    begin = time.perf_counter()
    jobs = [Job(str(i), engine.encode_audio(audio), [StyleEntry(None)]) for i in range(engine.max_batch)]
    list(engine.animate(jobs))
    return (time.perf_counter() - begin) / (engine.max_batch * float(audio.seconds))


def step_timer(engine: Engine, rows: int) -> Callable[[], object]:
    """A call that runs one denoising step of `rows` windows of noise, conditions made: what a benchmark times."""
    graphs, bundle = engine.graphs, engine.bundle
    (layer,) = _noise_line(engine).layers
    plain = next(row for row in layer.rows if row.is_plain)
    condition = conditions_of(graphs, [layer], [plain] * rows, np.zeros(rows, np.int64))
    shape = (rows, bundle.window, bundle.rig.size)  # R, N, D
    each = np.arange(rows)  # no row shares anything with another
    known = {"mask": np.ones(shape[:2], np.float32), "distinct": each, "twin": each, **condition}
    feeds: dict[str, NDArray[Any]] = {
        "x": np.random.default_rng(0).standard_normal(shape, dtype=np.float32),
        **steps_of(rows, bundle.schedule.steps // 2, -1),
        **graphs.denoiser.to_device(known),
    }
    return lambda: graphs.denoiser.run(feeds, ("x0",))


def window_timer(engine: Engine) -> Callable[[], object]:
    """A call that solves one window of noise at the engine's settings, its sound already encoded."""
    job = _noise_line(engine).job
    return lambda: engine.solver.solve(ActiveLine(job, engine.bundle, engine.sampling).layers, engine.sampling)


def same_bytes(engine: Engine) -> bool:
    """Whether a line has the same bytes alone and among others on this machine, as it must have."""
    features = engine.encode_audio(noise(engine.bundle))
    jobs = [Job(str(i), features, [StyleEntry(None)]) for i in range(max(engine.max_batch, 2))]
    together = {job.id: motion.values for job, motion in engine.animate(jobs)}
    return all(
        np.array_equal(together[job.id], motion.values) for one in jobs[:3] for job, motion in engine.animate([one])
    )


def noise(bundle: Bundle) -> Audio:
    """One window of faint noise, to run the model on."""
    rate = bundle.audio_encoder.rate
    samples = round(bundle.window / bundle.fps * rate)
    values = np.random.default_rng(0).standard_normal(samples, dtype=np.float32) * np.float32(0.05)
    return Audio(values, rate, rate, 1, Fraction(samples, rate))


def _noise_line(engine: Engine) -> ActiveLine:
    job = Job("noise", engine.encode_audio(noise(engine.bundle)), [StyleEntry(None)])
    return ActiveLine(job, engine.bundle, engine.sampling)
