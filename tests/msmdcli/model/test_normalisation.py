"""Motion as networks see it: opposed channels of an eye are one angle."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.media.audio import Audio
from msmdcli.model.bundle import Bundle
from msmdcli.model.engine import Engine
from msmdcli.model.lines import Job
from msmdcli.model.normalisation import EYES, Normalisation, eye_pairs
from msmdcli.model.style_codes import StyleEntry
from msmdcli.motion.rig import Rig
from tests.stand_in import make_bundle

RIG = Rig.load("arkit52")
PAIRS = eye_pairs(RIG)
OUT, IN = RIG.index("eyeLookOutLeft"), RIG.index("eyeLookInLeft")


def looking(angles: np.ndarray) -> np.ndarray:
    """[T, D] a still face with the left eye at these angles, out positive."""
    values = np.full((len(angles), RIG.size), 0.1, np.float32)
    for one, other in PAIRS:
        values[:, [one, other]] = 0.0
    values[:, OUT], values[:, IN] = np.maximum(angles, 0), np.maximum(-angles, 0)
    return values


def of(opposed: bool) -> Normalisation:
    values = looking(np.random.default_rng(0).normal(0.05, 0.2, 4000).clip(-1, 1))
    made = Normalisation(np.zeros(RIG.size, np.float32), np.ones(RIG.size, np.float32), PAIRS if opposed else ())
    inside = made.forward(values)
    return Normalisation(inside.mean(0), inside.std(0), made.opposed)


def test_the_pairs_are_those_that_the_rig_has_both_of() -> None:
    assert [(RIG.channels[one], RIG.channels[other]) for one, other in PAIRS] == list(EYES) and len(EYES) == 4
    one_eyed = {"format_version": 1, "name": "x", "channels": [{"name": n} for n in ("eyeLookOutLeft", "jawOpen")]}
    assert eye_pairs(Rig.from_definition(json.dumps(one_eyed))) == ()


@pytest.mark.parametrize("opposed", [False, True])
def test_real_eyes_come_back_as_they_were(opposed: bool) -> None:
    values = looking(np.linspace(-0.9, 0.9, 60))
    made = of(opposed)
    np.testing.assert_allclose(made.inverse(made.forward(values)), values, atol=1e-6)
    lower, upper = made.limits(RIG)
    inside = made.forward(values)
    moving = made.std > 0
    assert ((inside >= lower - 1e-5) & (inside <= upper + 1e-5))[:, moving].all()
    np.testing.assert_allclose(made.neutral(), made.inverse(np.zeros(RIG.size, np.float32)))


def test_one_channel_at_a_time_is_on_and_nothing_of_a_swing_is_lost() -> None:
    """What swings as eyes do about their mean keeps its size; of two channels that end at zero an eighth is cut off."""
    noise = np.random.default_rng(1).standard_normal((4000, RIG.size)).astype(np.float32)
    truth = of(True)
    kept = truth.inverse(noise)
    assert (np.minimum(kept[:, OUT], kept[:, IN]) == 0).all() and (kept[:, [OUT, IN]] >= 0).all()
    real = truth.inverse(truth.forward(looking(np.random.default_rng(2).normal(0.05, 0.2, 4000).clip(-1, 1))))
    size = lambda values: float(values[:, [OUT, IN]].std(0).mean())  # noqa: E731
    assert size(kept) == pytest.approx(size(real), rel=0.05)
    apart = of(False).inverse(noise).clip(0, 1)
    assert size(apart) < 0.92 * size(real)


def test_the_rest_of_a_face_is_normalised_as_ever() -> None:
    values = np.random.default_rng(3).uniform(0, 1, (9, RIG.size)).astype(np.float32)
    others = [c for c in range(RIG.size) if c not in np.array(PAIRS).ravel()]
    mean, std = np.full(RIG.size, 0.2, np.float32), np.full(RIG.size, 0.1, np.float32)
    plain, made = Normalisation(mean, std), Normalisation(mean, std, PAIRS)
    np.testing.assert_array_equal(plain.forward(values)[:, others], made.forward(values)[:, others])
    np.testing.assert_array_equal(plain.inverse(values)[:, others], made.inverse(values)[:, others])


def sound(samples: np.ndarray) -> Audio:
    return Audio(samples.astype(np.float32), 16000, 16000, 1, Fraction(len(samples), 16000))


def eyed_bundle(folder: Path, **changes: Any) -> Bundle:
    means = [0.2 if not name.startswith("head") and not name.startswith("eyeLook") else 0.0 for name in RIG.channels]
    row: dict[str, Any] = {"mean": means, "std": [0.1] * RIG.size, "opposed": [list(pair) for pair in EYES]}
    return Bundle.load(make_bundle(folder, format_version=2, normalisation=row | changes))


def test_a_bundle_tells_its_pairs_and_its_lines_look_one_way_at_a_time(tmp_path: Path) -> None:
    bundle = eyed_bundle(tmp_path)
    assert bundle.normalisation.opposed == PAIRS
    engine = Engine(bundle, "cpu", threads=1)
    noise = np.random.default_rng(4).standard_normal(32000, dtype=np.float32)
    features = engine.encode_audio(sound(noise * 0.1))
    ((_, motion),) = engine.animate([Job("x", features, [StyleEntry(None)], 0)], clip=False)
    assert max(motion.values[:, column].max() for pair in PAIRS for column in pair) > 0.02
    for one, other in PAIRS:
        assert (motion.values[:, [one, other]] >= 0).all()
        assert (motion.values[:, [one, other]].min(axis=1) == 0).all()


def test_a_look_that_is_held_is_held_in_both_of_its_channels(tmp_path: Path) -> None:
    """A prediction is corrected in rig units; the angle inside must follow either of its two channels."""
    bundle = eyed_bundle(tmp_path)
    engine = Engine(bundle, "cpu", threads=1)
    features = engine.encode_audio(sound(np.zeros(32000)))

    def inwards(values: np.ndarray, first: int) -> np.ndarray:
        held = values.copy()
        held[:, OUT], held[:, IN] = 0.0, 0.4
        return held

    ((_, motion),) = engine.animate([Job("x", features, [StyleEntry(None)], 0, constrain=inwards)])
    np.testing.assert_allclose(motion.values[:, IN], 0.4, atol=1e-5)
    assert (motion.values[:, OUT] == 0).all()


@pytest.mark.parametrize(
    ("opposed", "words"),
    [
        ("eyeLookInLeft", "no list of pairs"),
        ([["eyeLookInLeft"]], "no list of pairs"),
        ([["eyeLookInLeft", "nose"]], "no channel nose"),
        ([["eyeLookInLeft", 3]], "no channel 3"),
        ([["eyeLookInLeft", "eyeLookInLeft"]], "twice"),
    ],
)
def test_pairs_that_are_none_are_refused(tmp_path: Path, opposed: object, words: str) -> None:
    with pytest.raises(MsmdError, match=r"bundle\.json") as caught:
        eyed_bundle(tmp_path, opposed=opposed)
    assert words in caught.value.message and caught.value.hint


def test_an_angle_may_rest_at_either_side_but_not_beyond(tmp_path: Path) -> None:
    mean = [0.0] * RIG.size
    mean[OUT] = -0.5
    assert eyed_bundle(tmp_path / "a", mean=mean).normalisation.neutral()[IN] == 0.5
    mean[OUT] = -1.5
    with pytest.raises(MsmdError, match="no motion"):
        eyed_bundle(tmp_path / "b", mean=mean)
