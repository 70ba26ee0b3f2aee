"""The engine on the stand-in bundle: against a naive reference, and the promise about bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from msmdcli.errors import MsmdError, UsageError
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.samplers import make_sampler
from msmdcli.model.sampling import Sampling
from msmdcli.model.solver import window_rng
from msmdcli.model.style_codes import StyleCode, StyleEntry
from msmdcli.motion.motion import Motion, frame_count

Values = dict[str, np.ndarray]


def sound(seconds: float, seed: int = 0) -> Audio:
    samples = round(seconds * 16000)
    noise = np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)
    return Audio(noise * np.linspace(0, 0.2, samples, dtype=np.float32), 16000, 16000, 1, Fraction(samples, 16000))


def reference(bundle: Bundle, seed: int, frames: int = 60, fps: int = 25) -> Motion:
    values = np.random.default_rng(seed).uniform(0, 0.6, (frames, bundle.rig.size)).astype(np.float32)
    return Motion(values, Fraction(fps), bundle.rig)


@pytest.fixture(scope="module")
def bundle(stand_in_bundle: Path) -> Bundle:
    return Bundle.load(stand_in_bundle)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return Engine(bundle, "cpu", threads=1)


@pytest.fixture(scope="module")
def styles(engine: Engine, bundle: Bundle) -> list[StyleCode]:
    return [engine.encode_style(reference(bundle, seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def jobs(engine: Engine, bundle: Bundle, styles: list[StyleCode]) -> list[Job]:
    """Lines of 3 frames to several windows, with simple and with mixed style fields, one without style."""
    result = []
    for i, seconds in enumerate((0.1, 0.5, 0.8, 1.0, 1.7, 2.6, 3.3)):
        features = engine.encode_audio(sound(seconds, seed=i))
        late: np.ndarray = (np.arange(len(features)) > len(features) // 2).astype(np.float32)[:, None]  # [T, 1]
        upper = np.isin(np.arange(bundle.rig.size), bundle.rig.indices("upper")).astype(np.float32)  # [D]
        field = [
            [StyleEntry(styles[i % 3])],
            [StyleEntry(styles[0], 0.3), StyleEntry(styles[1], 0.7, intensity=1.3)],
            [
                StyleEntry(styles[1], 1 - late),
                StyleEntry(styles[2], late * upper),
                StyleEntry(None, late * (1 - upper)),
            ],
            [StyleEntry(None)],
        ][i % 4]
        result.append(Job(f"line {i}", features, field, seed=i))
    return result


def animate(engine: Engine, jobs: list[Job]) -> Values:
    return {job.id: motion.values for job, motion in engine.animate(jobs)}


def assert_same_bytes(a: Values, b: Values) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def naive(bundle: Bundle, job: Job, style: StyleCode | None) -> np.ndarray:
    """One line with one style, window after window, written down as plainly as it can be. [T, D]"""
    conditioner, denoiser = (ort.InferenceSession(bundle.path / f"{n}.onnx") for n in ("conditioner", "denoiser"))
    names = [output.name for output in conditioner.get_outputs()]
    N, P, D, T = bundle.window, bundle.previous, bundle.rig.size, len(job.features)
    mean, std = bundle.normalisation.mean, bundle.normalisation.std
    audio = np.pad(job.features, ((P, N), (0, 0)))  # frame i of the line is row i + P
    previous, out = np.zeros((1, P, D), np.float32), []
    for w, start in enumerate(range(0, T, N)):
        feeds = {
            "audio": audio[None, start : start + P + N],
            "previous": previous,
            "start": np.array([w == 0], np.float32),
            "code": np.zeros((1, 8), np.float32) if style is None else style.code[None],
            "anchor": np.zeros((1, 2 * D), np.float32) if style is None else style.anchor[None],
            "audio_null": np.zeros(1, np.float32),
            "style_null": np.array([style is None], np.float32),
        }
        condition = dict(zip(names, conditioner.run(None, feeds), strict=True))
        mask = (np.arange(start, start + N) < T).astype(np.float32)[None]
        sampler = make_sampler("dpmpp-2m", bundle.schedule, 4)
        x = window_rng(job.seed, job.id, w).standard_normal((1, N, D), dtype=np.float32)
        for i, t in enumerate(sampler.timesteps):
            x0, _ = denoiser.run(None, {"x": x, "t": np.array([t]), "mask": mask, **condition})
            x = sampler.step(x0, i, x)
        values = x[0] * std + mean
        clipped = np.clip(values, bundle.rig.lower, bundle.rig.upper)
        previous = np.where(std > 0, (clipped[-P:] - mean) / np.where(std > 0, std, 1), 0)[None].astype(np.float32)
        out.append(clipped)
    return np.concatenate(out)[:T]


@pytest.mark.parametrize("seconds", [0.1, 0.8, 3.3])
@pytest.mark.parametrize("styled", [True, False])
def test_windows_are_generated_as_the_naive_reference_does(
    engine: Engine, bundle: Bundle, styles: list[StyleCode], seconds: float, styled: bool
) -> None:
    style = styles[0] if styled else None
    job = Job("naive", engine.encode_audio(sound(seconds)), [StyleEntry(style)], seed=3)
    np.testing.assert_allclose(animate(engine, [job])["naive"], naive(bundle, job, style), atol=1e-6)


@pytest.mark.parametrize("max_batch", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_bytes_for_any_batch_order_and_threads(
    engine: Engine, bundle: Bundle, jobs: list[Job], max_batch: int, threads: int
) -> None:
    other = Engine(bundle, "cpu", threads=threads, max_batch=max_batch, spinning=threads == 1)
    shuffled = [jobs[i] for i in np.random.default_rng(max_batch).permutation(len(jobs))]
    assert_same_bytes(animate(engine, jobs), animate(other, shuffled))


def test_same_bytes_alone_and_among_others(engine: Engine, jobs: list[Job]) -> None:
    together = animate(engine, jobs)
    for job in jobs:
        assert_same_bytes(animate(engine, [job]), {job.id: together[job.id]})


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_same_bytes_with_guidance_and_fresh_noise(bundle: Bundle, jobs: list[Job], sampler: str) -> None:
    sampling = Sampling(sampler, steps=5, guidance_audio=0.5, guidance_style=0.75)
    many = animate(Engine(bundle, "cpu", 1, max_batch=64, sampling=sampling), jobs)
    few = animate(Engine(bundle, "cpu", 1, max_batch=2, sampling=sampling), jobs[::-1])
    assert_same_bytes(many, few)


def test_lines_that_are_solved_each_in_its_own_way_have_the_same_bytes_alone(bundle: Bundle, jobs: list[Job]) -> None:
    ways = [
        Sampling(),
        Sampling(steps=2),
        Sampling("ddim", 3, guidance_audio=0.5),
        Sampling(guidance_style=0.75, guidance_interval=(0.2, 0.8), guidance_rescale=0.7),
    ]
    own = [replace(job, sampling=ways[i % 4].resolve(bundle)) for i, job in enumerate(jobs)]
    among = animate(Engine(bundle, "cpu", threads=1, max_batch=8), own)
    for i, job in enumerate(jobs):
        alone = animate(Engine(bundle, "cpu", threads=1, sampling=ways[i % 4]), [job])
        assert_same_bytes(alone, {job.id: among[job.id]})


def test_seed_and_id_change_the_motion(engine: Engine, styles: list[StyleCode]) -> None:
    features = engine.encode_audio(sound(1))
    field = [StyleEntry(styles[0])]
    a, b, c = (
        animate(engine, [Job(name, features, field, seed)])[name] for name, seed in (("a", 0), ("a", 1), ("b", 0))
    )
    assert not np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.58, 1.0, 7.777])
def test_as_many_frames_as_the_sound_is_long(
    engine: Engine, bundle: Bundle, styles: list[StyleCode], seconds: float
) -> None:
    audio = sound(seconds)
    job = Job("x", engine.encode_audio(audio), [StyleEntry(styles[0])])
    ((_, motion),) = engine.animate([job])
    assert motion.frames == frame_count(audio.seconds, bundle.fps)
    assert (motion.values >= bundle.rig.lower).all() and (motion.values <= bundle.rig.upper).all()
    assert (motion.values[:, bundle.rig.index("tongueOut")] == np.float32(0.2)).all()  # std 0: constant, its mean


def test_guidance_is_equation_6(bundle: Bundle, styles: list[StyleCode]) -> None:
    """With one step the result is the guided prediction itself, so it can be put together from plain ones."""

    def one_step(audio: float, style: float, field: StyleCode | None, features: np.ndarray) -> np.ndarray:
        engine = Engine(bundle, "cpu", 1, sampling=Sampling("ddim", 1, audio, style))
        ((_, motion),) = engine.animate([Job("g", features, [StyleEntry(field)])], clip=False)
        return motion.values

    features = Engine(bundle, "cpu", 1).encode_audio(sound(0.8))
    full, no_style = (one_step(0, 0, style, features) for style in (styles[0], None))
    no_audio = one_step(0, 0, styles[0], np.zeros_like(features))  # the stand-in's null audio is silence
    guided = one_step(0.5, 0.75, styles[0], features)
    np.testing.assert_allclose(guided, 2.25 * full - 0.5 * no_audio - 0.75 * no_style, atol=1e-5)
    np.testing.assert_array_equal(one_step(0, 0.75, None, features), no_style)  # nothing to guide away from


def test_weights_interpolate_monotonically(bundle: Bundle, styles: list[StyleCode]) -> None:
    engine = Engine(bundle, "cpu", 1)
    features = engine.encode_audio(sound(0.8))

    def mix(weight: float) -> np.ndarray:
        field = [StyleEntry(styles[0], 1 - weight), StyleEntry(styles[1], weight)]
        ((_, motion),) = engine.animate([Job("mix", features, field)], clip=False)
        return motion.values.mean(axis=0)

    ends = mix(0.0), mix(1.0)
    direction = ends[1] - ends[0]
    along = [float((mix(w) - ends[0]) @ direction / (direction @ direction)) for w in (0, 0.25, 0.5, 0.75, 1)]
    assert along[0] == 0 and along[-1] == pytest.approx(1) and (np.diff(along) > 0.1).all()


def test_a_region_moves_only_its_region(bundle: Bundle, styles: list[StyleCode]) -> None:
    """In one step there is no way round: the mix is that of the predictions, channel by channel, to the bit."""
    engine = Engine(bundle, "cpu", 1, sampling=Sampling("ddim", steps=1))
    features = engine.encode_audio(sound(0.8))
    upper = np.isin(np.arange(bundle.rig.size), bundle.rig.indices("upper"))  # [D]

    def values(*field: StyleEntry) -> np.ndarray:
        return animate(engine, [Job("region", features, field)])["region"]

    a, b = values(StyleEntry(styles[0])), values(StyleEntry(styles[1]))
    mixed = values(StyleEntry(styles[0], (~upper).astype(np.float32)), StyleEntry(styles[1], upper.astype(np.float32)))
    np.testing.assert_array_equal(mixed, np.where(upper, b, a))


def test_an_entry_without_weight_changes_nothing(engine: Engine, styles: list[StyleCode]) -> None:
    features = engine.encode_audio(sound(1.2))
    plain = animate(engine, [Job("x", features, [StyleEntry(styles[0])])])
    twice = animate(engine, [Job("x", features, [StyleEntry(styles[0], 2.0), StyleEntry(styles[1], 0.0)])])
    assert_same_bytes(plain, twice)


def test_intensity_scales_the_manner(bundle: Bundle, styles: list[StyleCode]) -> None:
    engine = Engine(bundle, "cpu", 1)
    features = engine.encode_audio(sound(0.8))

    def mean_pose(intensity: float) -> np.ndarray:
        ((_, motion),) = engine.animate([Job("i", features, [StyleEntry(styles[0], intensity=intensity)])], clip=False)
        return motion.values.mean(axis=0)

    anchor = styles[0].anchor[: bundle.rig.size]  # the reference's resting pose, normalised
    along = [float(mean_pose(intensity) @ anchor) for intensity in (0.0, 0.5, 1.0, 1.5)]
    assert (np.diff(along) > 0).all()


def test_style_of_several_clips_is_their_mean_by_frames(engine: Engine, bundle: Bundle) -> None:
    a, b = reference(bundle, 1, frames=30), reference(bundle, 2, frames=90)
    code_a, code_b, both = engine.encode_style(a), engine.encode_style(b), engine.encode_style([a, b])
    np.testing.assert_allclose(both.code, 0.25 * code_a.code + 0.75 * code_b.code, atol=1e-6)
    np.testing.assert_allclose(both.anchor, 0.25 * code_a.anchor + 0.75 * code_b.anchor, atol=1e-6)


def test_a_very_long_style_reference_is_encoded_in_pieces(engine: Engine, bundle: Bundle) -> None:
    style = engine.encode_style(reference(bundle, 1, frames=25 * 150))
    assert np.isfinite(style.code).all() and style.anchor.shape == (2 * bundle.rig.size,)


def test_style_reference_at_another_frame_rate(engine: Engine, bundle: Bundle) -> None:
    still = np.full((90, bundle.rig.size), 0.4, np.float32)
    a = engine.encode_style(Motion(still, Fraction(60), bundle.rig))
    b = engine.encode_style(Motion(still[:50], Fraction(25), bundle.rig))
    np.testing.assert_allclose(a.code, b.code, atol=1e-5)


def test_jobs_are_taken_only_as_places_become_free(bundle: Bundle, jobs: list[Job]) -> None:
    taken: list[str] = []

    def source() -> Iterator[Job]:
        for job in jobs:
            taken.append(job.id)
            yield job

    engine = Engine(bundle, "cpu", 1, max_batch=2)
    next(iter(engine.animate(source())))
    assert len(taken) < len(jobs)


def test_a_failing_line_does_not_stop_its_neighbours(
    engine: Engine, jobs: list[Job], styles: list[StyleCode], bundle: Bundle
) -> None:
    bad_values = np.full_like(jobs[4].features, np.nan)
    bad_shape = np.zeros((30, 5), np.float32)
    bad_weight = np.zeros((1, 1), np.float32)
    wrong = [
        Job("nan", bad_values, [StyleEntry(styles[0])]),
        Job("empty", bad_values[:0], [StyleEntry(styles[0])]),
        Job("weightless", jobs[0].features, [StyleEntry(styles[0], bad_weight)]),
        Job("no entries", jobs[0].features, []),
    ]
    failed: dict[str, MsmdError] = {}
    mixed = [jobs[0], wrong[0], jobs[5], *wrong[1:], jobs[6]]
    good = {
        job.id: motion.values
        for job, motion in engine.animate(mixed, on_error=lambda job, error: failed.update({job.id: error}))
    }
    assert failed.keys() == {job.id for job in wrong}
    assert_same_bytes(good, animate(engine, [jobs[0], jobs[5], jobs[6]]))
    with pytest.raises(MsmdError):
        list(engine.animate([Job("shape", bad_shape, [StyleEntry(styles[0])])]))


def test_a_failing_call_is_narrowed_down_to_its_line(
    bundle: Bundle, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when memory is short: the call with many rows fails, smaller ones succeed."""
    engine = Engine(bundle, "cpu", 1, max_batch=64)
    expected = animate(engine, jobs)
    run: Callable[..., Values] = engine.graphs.denoiser.run

    def short_of_memory(feeds: Values, outputs: tuple[str, ...]) -> Values:
        if len(feeds["x"]) > 4:
            raise MsmdError("out of memory")
        return run(feeds, outputs)

    monkeypatch.setattr(engine.graphs.denoiser, "run", short_of_memory)
    assert_same_bytes(expected, animate(engine, jobs))


def test_sampling_takes_the_bundles_recommendation(bundle: Bundle) -> None:
    assert Sampling().resolve(bundle) == Sampling("dpmpp-2m", 4, 0.0, 0.0, (0.0, 1.0), 0.0)
    assert Sampling("ddpm").resolve(bundle).steps == 1000
    assert Sampling("ddim", 10, 0.5).resolve(bundle) == Sampling("ddim", 10, 0.5, 0.0, (0.0, 1.0), 0.0)
    for wrong in (
        Sampling("euler"),
        Sampling(steps=0),
        Sampling(guidance_style=-1.0),
        Sampling(guidance_audio=99.0),
        Sampling(guidance_interval=(0.8, 0.2)),
        Sampling(guidance_rescale=2.0),
    ):
        with pytest.raises(UsageError):
            wrong.resolve(bundle)
