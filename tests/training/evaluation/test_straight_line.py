"""The straight line finds what is linear in the sound, and only that."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.media.audio import Audio
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.motion.rig import Rig
from training.data.records import ClipRecord
from training.evaluation.material import HeldOutClip
from training.evaluation.straight_line import FEWEST_FRAMES, StraightLine, fit_straight_line, line_clips, line_of

RIG = Rig.load("arkit52")
JAW, SMILE = RIG.index("jawOpen"), RIG.index("mouthSmileLeft")
FRAMES, CLIPS, WIDTH = 400, 10, 6


def sound(name: str) -> np.ndarray:
    """[T, C] features of a made-up sound, one a name; slow enough to be heard over a few frames."""
    rng = np.random.default_rng(int(Path(name).stem.split("_")[-1]))
    steps = np.repeat(rng.standard_normal((FRAMES // 5, WIDTH)), 5, axis=0)
    return steps + 0.1 * rng.standard_normal((FRAMES, WIDTH)) + 3.0


def motion(name: str, gain: float, smile: float) -> np.ndarray:
    """[T, D]: a jaw that follows the first feature two frames late, around a smile that the sound says nothing of."""
    values = np.zeros((FRAMES, RIG.size), np.float32)
    values[2:, JAW] = gain * (sound(name)[:-2, 0] - 3.0)
    values[:, JAW] += 0.4
    values[:, SMILE] = smile
    return values


def record(name: str, source: str, split: str = "train") -> ClipRecord:
    about = {"speaker": name, "source": source, "tag": "neutral", "language": "en", "split": split}
    files = {"audio": f"{name}.flac", "motion": f"{name}.npz", "known": None}
    measured = {"seconds": FRAMES / 25, "fps": "25/1", "av_offset_frames": 0.0, "found": 1.0}
    return ClipRecord(id=name, **files, **about, **measured, commercial=True, licence="none needed")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten people of `opens`, whose jaw opens with the sound, and as many of `closes`, whose jaw does the opposite."""
    records = []
    for source, gain in (("opens", 0.08), ("closes", -0.08)):
        for number in range(CLIPS):
            name = f"{source}_{number}"
            save_npz(tmp_path / f"{name}.npz", Motion(motion(name, gain, 0.1 * number), Fraction(25), RIG))
            records.append(record(name, source))
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(asdict(r)) + "\n" for r in records), encoding="utf-8")
    return tmp_path


def fitted(data: Path, *sources: str) -> StraightLine:
    line = fit_straight_line(data, lambda path: sound(path.name), sources)
    assert line is not None
    return line


def test_it_follows_a_linear_jaw_of_an_unheard_person_around_the_reference_rest(data: Path) -> None:
    name = "new_99"
    real = motion(name, 0.08, smile=0.5)
    silence = Audio(np.zeros(FRAMES * 640, np.float32), 16000, 16000, 1, Fraction(FRAMES, 25))
    clip = HeldOutClip(record(name, "opens", "test"), Motion(real, Fraction(25), RIG), silence, FRAMES // 2)
    lines = fitted(data, "opens").animate(clip, sound(name))
    for made, at in zip(lines, reversed(clip.halves()), strict=True):  # the style of the other half
        assert made.shape == real.shape and made.dtype == np.float32
        assert np.corrcoef(made[:, JAW], real[:, JAW])[0, 1] > 0.97
        assert made[:, JAW].std() == pytest.approx(real[:, JAW].std(), rel=0.15)
        assert made[:, JAW].mean() == pytest.approx(real[at, JAW].mean(), abs=0.02)
        np.testing.assert_allclose(made[:, SMILE], 0.5, atol=1e-3)


def test_only_the_sources_named_are_learned_from(data: Path) -> None:
    heard = sound("new_98")
    jaw = heard[:-2, 0]
    opens, closes, both = (
        np.corrcoef(fitted(data, *names).movement(heard, FRAMES)[2:, JAW], jaw)[0, 1]
        for names in (("opens",), ("closes",), ())
    )
    assert opens > 0.9 and closes < -0.9 and abs(both) < 0.9


def test_a_sound_that_ends_early_is_held_and_too_little_material_fits_nothing(data: Path) -> None:
    line = fitted(data)
    assert line.movement(sound("new_97")[: FRAMES - 3], FRAMES).shape == (FRAMES, RIG.size)
    assert CLIPS * FRAMES > FEWEST_FRAMES
    assert fit_straight_line(data, lambda path: sound(path.name), ("nobody",)) is None


def test_groups_count_by_their_shares_and_not_by_their_length(data: Path) -> None:
    """Few clips of one source against many that say the opposite."""
    encode = lambda path: sound(path.name)  # noqa: E731
    few, many = line_clips(data, encode, ["opens"], most=3), line_clips(data, encode, ["closes"])
    assert (len(few), len(many)) == (3, CLIPS)
    heard = sound("new_99")
    opens, closes = (motion("new_99", gain, 0.0)[:, JAW] for gain in (0.08, -0.08))
    for share, truth in ((0.9, opens), (0.1, closes)):
        made = line_of([(share, few), (1 - share, many)]).movement(heard, FRAMES)[:, JAW]
        assert np.corrcoef(made, truth)[0, 1] > 0.8
    whole = line_of([(1.0, many)])
    np.testing.assert_allclose(whole.weight, fitted(data, "closes").weight)
