from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.controls.pins import Pin, Pinned, clash, meet
from msmdcli.errors import MsmdError
from msmdcli.formats.motion_file import MotionFile
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig

RIG = Rig.load("arkit52")
FPS = Fraction(25)
JAW, BROW = RIG.index("jawOpen"), RIG.index("browInnerUp")


def wave(frames: int = 100) -> Motion:
    time = np.arange(frames)[:, None] / 25
    values = 0.5 + 0.2 * np.sin(time * np.arange(1, RIG.size + 1) / 6)
    return Motion(values.astype(np.float32), FPS, RIG)


def met(motion: Motion, *pins: Pin) -> np.ndarray:
    return meet(motion, Pinned.of(pins, motion.rig, motion.fps, motion.frames)).values


def test_a_key_pose_is_met_exactly_and_its_neighbourhood_bends() -> None:
    motion = wave()
    values = met(motion, Pin({"jawOpen": 0.9, "browInnerUp": 0.1}, time=2.0, blend=0.4))
    assert values[50, JAW] == np.float32(0.9) and values[50, BROW] == np.float32(0.1)
    np.testing.assert_array_equal(values[:39], motion.values[:39])
    np.testing.assert_array_equal(values[62:], motion.values[62:])
    others = np.delete(np.arange(RIG.size), [JAW, BROW])
    np.testing.assert_array_equal(values[:, others], motion.values[:, others])
    assert np.abs(np.diff(values[:, JAW])).max() < 0.12  # 0.4 away, over 10 frames: no pop


def test_poses_are_held_and_channels_pinned_whole() -> None:
    values = met(wave(), Pin({"jawOpen": 0.0}, time=1.0, hold=1.0), Pin({"gaze": 0.25, "eyeLookUpLeft": 0.75}))
    assert (values[25:51, JAW] == 0).all() and values[24, JAW] > 0 and values[51, JAW] > 0
    assert (values[:, RIG.index("eyeLookUpRight")] == 0.25).all()
    assert (values[:, RIG.index("eyeLookUpLeft")] == 0.75).all()  # a channel wins over its region


def test_curves_of_a_file_are_followed_at_any_rate(tmp_path: Path) -> None:
    source = wave(60)
    save_npz(tmp_path / "take.npz", source)
    file = MotionFile(tmp_path / "take.npz").located()
    pin = Pin({"brows": 0.0}, file=file)
    np.testing.assert_array_equal(met(wave(100), pin)[:60, BROW], source.values[:, BROW])
    fast = wave(100).resample(60, 240)
    np.testing.assert_array_equal(met(fast, pin)[:, BROW], source.resample(60, 240).values[:, BROW])
    (tmp_path / "take.npz").write_bytes(b"x")
    with pytest.raises(MsmdError, match="changed"):
        MotionFile(file.path, "0" * 64).load()
    with pytest.raises(MsmdError, match="no such motion file"):
        Pin({"brows": 0.0}, file=MotionFile(tmp_path / "nowhere.npz")).located()


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(0, 3900), min_size=1, max_size=8, unique=True),  # ms
    blend=st.floats(0, 2),
    fps=st.sampled_from([12, 24, 25, 30, 60]),
    seed=st.integers(0, 100),
)
def test_all_pins_are_met_however_close(times: list[int], blend: float, fps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = 4 * fps
    motion = Motion(rng.uniform(-0.2, 1.2, (frames, RIG.size)).astype(np.float32), Fraction(fps), RIG)
    pins = [Pin({"jawOpen": float(rng.uniform())}, time=time / 1000, blend=blend) for time in sorted(times)]
    values = met(motion, *pins)
    seen = set()
    for pin, time in zip(pins, sorted(times), strict=True):
        frame = int(Fraction(time, 1000) * fps + Fraction(1, 2))  # halves up
        if frame < frames and frame not in seen:
            assert values[frame, JAW] == np.float32(pin.channels["jawOpen"])
        seen.add(frame)
    assert values[:, JAW].min() >= 0 and values[:, JAW].max() <= 1


def test_two_values_at_a_time_are_a_clash() -> None:
    assert clash([Pin({"eyes": 0.0}), Pin({"eyeBlinkLeft": 1.0}, time=2)], RIG) == (
        1,
        "eyeBlinkLeft is pinned twice at 2 s",
    )
    assert clash([Pin({"eyes": 0.0}, time=1, hold=2), Pin({"eyes": 1.0}, time=3)], RIG) is not None
    assert clash([Pin({"eyes": 0.0}, time=1, hold=1), Pin({"eyes": 1.0}, time=3), Pin({"brows": 0.0})], RIG) is None


def test_pins_after_the_end_are_told() -> None:
    assert "9 s" in Pinned.of([Pin({"eyes": 0.0}, time=9)], RIG, FPS, 100).missed[0]


def test_sampling_sees_the_pins(stand_in_bundle: Path) -> None:
    """Channels that are not pinned answer, in the window of the pin; a line without pins keeps its bytes."""
    bundle = Bundle.load(stand_in_bundle)
    engine = Engine(bundle, "cpu", threads=1)
    form = bundle.audio_encoder
    features = np.random.default_rng(0).standard_normal((50, form.dim * form.stack)).astype(np.float32)
    pinned = Pinned.of([Pin({"jawOpen": 1.0}, time=1.0, blend=0.1)], RIG, FPS, 50)
    free = Job("a", features, [StyleEntry(None)])
    held = Job("b", features, [StyleEntry(None)], noise="a", constrain=pinned.met_by)
    made = {job.id: motion.values for job, motion in engine.animate([free, held], clip=False)}
    alone = {job.id: motion.values for one in (free, held) for job, motion in engine.animate([one], clip=False)}
    for name in made:
        np.testing.assert_array_equal(made[name], alone[name])
    assert made["b"][25, JAW] == pytest.approx(1.0, abs=1e-5)
    others = np.delete(np.arange(RIG.size), JAW)
    moved = np.abs(made["a"] - made["b"])[:, others].mean(axis=1)
    assert moved[:20].max() == 0 < moved[20:40].max()  # windows of 20 frames: the first knows nothing of it


def test_windows_in_which_everything_is_held_are_not_sampled(
    stand_in_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a retake, which leaves a range in the middle open: the same bytes, by fewer windows."""
    bundle = Bundle.load(stand_in_bundle)
    engine = Engine(bundle, "cpu", threads=1)
    form, frames = bundle.audio_encoder, 90  # windows of 20 frames
    features = np.random.default_rng(0).standard_normal((frames, form.dim * form.stack)).astype(np.float32)
    save_npz(tmp_path / "take.npz", wave(frames))
    file = MotionFile(tmp_path / "take.npz").located()
    whole = dict.fromkeys(RIG.channels, 0.0)
    pins = [Pin(whole, time=0.0, hold=1.8, file=file), Pin(whole, time=2.2, hold=2.0, file=file)]
    solved: list[list[int]] = []
    solve = engine.solver.solve
    monkeypatch.setattr(
        engine.solver,
        "solve",
        lambda layers, sampling: (
            solved.append([layer.window.index for layer in layers]),  # type: ignore[func-returns-value]
            solve(layers, sampling),
        )[1],
    )

    def made(*jobs: Job) -> dict[str, np.ndarray]:
        solved.clear()
        return {job.id: motion.values for job, motion in engine.animate(jobs, clip=False)}

    upper = np.isin(np.arange(RIG.size), RIG.indices("upper")).astype(np.float32)[None]  # two layers
    for entries in ([StyleEntry(None)], [StyleEntry(None, upper), StyleEntry(None, 1 - upper, intensity=0.5)]):
        pinned = Pinned.of(pins, RIG, FPS, frames)
        sampled = Job("a", features, entries, constrain=pinned.met_by)
        job = Job("a", features, entries, constrain=pinned.met_by, held=partial(pinned.held, channels=RIG.size))
        usual = made(sampled)["a"]
        assert [windows[0] for windows in solved] == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(made(job)["a"], usual)
        assert [windows[0] for windows in solved] == [2], "frames 46 to 54 are open"
        free = Job("b", features, [StyleEntry(None)])
        assert np.array_equal(made(free, job)["a"], usual), "beside another line"
    everything = Pinned.of([Pin(whole, file=file)], RIG, FPS, frames)
    job = Job("a", features, [StyleEntry(None)], held=partial(everything.held, channels=RIG.size))
    moving = bundle.normalisation.std > 0  # what the model knows to move
    np.testing.assert_allclose(made(job)["a"][:, moving], wave(frames).clip().values[:, moving], atol=1e-5)
    assert solved == []
    almost = Pinned.of([Pin(dict.fromkeys(RIG.channels[1:], 0.0), file=file)], RIG, FPS, frames)
    assert almost.held(0, 20, RIG.size) is None and everything.held(0, 20, RIG.size) is not None
