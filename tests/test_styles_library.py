"""The style library that ships, and the generator that made it."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from msmdcli.errors import MsmdError
from msmdcli.motion.motion import Motion
from msmdcli.motion.rig import Rig
from msmdcli.paths import shipped_styles
from msmdcli.styles.library import StyleLibrary, check_style, read_style
from training.speech.acted_manner import ActedManner
from training.speech.make_styles import FPS, VISEMES, main, make_clip, read_tags, read_takes
from training.speech.performance import perform
from training.speech.shapes import pulse
from training.speech.stress import Stress, emphasis, retimed, speaking, stressed
from training.speech.visemes import Phone, VisemeTable

RIG = Rig.load("arkit52")
TABLE = VisemeTable.load(VISEMES)
TAGS, TAKES = read_tags(), read_takes()
EMOTIONS = {"neutral", "happy", "angry", "sad", "fearful", "disgusted", "surprised", "contemptuous"}

# What somebody would look for in the mean face of a tag: channel, at least, at most.
Looks = list[tuple[str, float, float]]
LOOKS: dict[str, Looks] = {
    "neutral": [("browDownLeft", 0, 0.1), ("mouthSmileLeft", 0, 0.1), ("mouthFrownLeft", 0, 0.1)],
    "happy": [("mouthSmileLeft", 0.4, 1), ("cheekSquintLeft", 0.3, 1), ("browDownLeft", 0, 0.1)],
    "angry": [("browDownLeft", 0.5, 1), ("noseSneerLeft", 0.2, 1), ("mouthSmileLeft", 0, 0.1)],
    "sad": [("browInnerUp", 0.5, 1), ("mouthFrownLeft", 0.25, 1), ("headPitch", 0.07, 0.3)],
    "fearful": [("browInnerUp", 0.5, 1), ("eyeWideLeft", 0.4, 1), ("mouthStretchLeft", 0.2, 1)],
    "disgusted": [("noseSneerLeft", 0.5, 1), ("mouthUpperUpLeft", 0.2, 1), ("browDownLeft", 0.3, 1)],
    "surprised": [("browOuterUpLeft", 0.5, 1), ("browInnerUp", 0.5, 1), ("eyeWideLeft", 0.4, 1), ("jawOpen", 0.1, 0.4)],
    "contemptuous": [("mouthDimpleRight", 0.35, 1), ("mouthDimpleLeft", 0, 0.1), ("headPitch", -0.3, -0.07)],
    "tired": [("eyeBlinkLeft", 0.25, 0.7), ("jawOpen", 0, 0.1), ("headPitch", 0.07, 0.3)],
    "determined": [("browDownLeft", 0.35, 1), ("mouthPressLeft", 0.15, 1), ("noseSneerLeft", 0, 0.1)],
    "sarcastic": [("browOuterUpLeft", 0.4, 1), ("browOuterUpRight", 0, 0.1), ("mouthSmileLeft", 0.25, 1)],
    "afraid_whisper": [("eyeWideLeft", 0.25, 1), ("jawOpen", 0, 0.08), ("browInnerUp", 0.4, 1)],
    "joyful_shout": [("mouthSmileLeft", 0.45, 1), ("jawOpen", 0.2, 0.5), ("mouthUpperUpLeft", 0.28, 1)],
}


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Motion]]:
    """Tag -> its clips, as the library gives them."""
    library = StyleLibrary()
    found = {}
    for tag in library.tags:
        reference = library.resolve(tag)
        assert reference is not None
        found[tag] = reference.load()
    return found


def column(motion: Motion, name: str) -> np.ndarray:
    return motion.values[:, RIG.index(name)].astype(np.float64)


def test_the_library_has_the_emotions_and_what_the_manners_describe() -> None:
    assert set(StyleLibrary().tags) >= EMOTIONS
    assert set(StyleLibrary().tags) == set(TAGS) == set(LOOKS)


@pytest.mark.parametrize("tag", TAGS)
def test_each_tag_is_in_order_and_says_what_it_is(tag: str) -> None:
    assert check_style(shipped_styles() / tag, RIG) == []
    style = read_style(shipped_styles() / tag)
    assert style.synthetic
    assert style.licence == "CC0-1.0"
    assert style.created_by == f"python -m training.speech.make_styles {tag}"
    assert style.description == TAGS[tag].description
    assert len(style.clips) == len(TAKES)


@pytest.mark.parametrize("tag", TAGS)
def test_the_clips_are_those_that_the_command_makes(tag: str, clips: dict[str, list[Motion]]) -> None:
    for shipped, (take, phones) in zip(clips[tag], TAKES.items(), strict=True):
        made = make_clip(TAGS[tag], take, phones, RIG, TABLE)
        # 1e-4 is the resolution of the clips: another machine's sine may round the other way.
        np.testing.assert_allclose(shipped.values, made.values, atol=1.01e-4, rtol=0)
        assert shipped.meta == made.meta
        assert shipped.fps == FPS


@pytest.mark.parametrize("tag", TAGS)
def test_clips_move_like_a_performance(tag: str, clips: dict[str, list[Motion]]) -> None:
    for motion in clips[tag]:
        assert 20 <= motion.seconds <= 30
        assert (motion.values >= RIG.lower).all()
        assert (motion.values <= RIG.upper).all()
        step = np.abs(np.diff(motion.values.astype(np.float64), axis=0))
        quick = [RIG.index(name) for name in RIG.channels if name.startswith("eye")]
        head = RIG.indices("head")
        calm = [d for d in range(RIG.size) if d not in quick and d not in head]
        assert step[:, calm].max() < 0.45  # tracked actors reach 0.9; a cut or a pop is above that
        assert np.degrees(step[:, head]).max() < 3.0
        # Nothing stands still that a living face moves.
        for name in ("jawOpen", "mouthPucker", "mouthLowerDownLeft", "headPitch", "headYaw", "eyeBlinkLeft"):
            assert column(motion, name).std() > 0.005, name
        assert column(motion, "tongueOut").max() == 0


@pytest.mark.parametrize("tag", TAGS)
def test_blinks_close_both_eyes(tag: str, clips: dict[str, list[Motion]]) -> None:
    closures = 0
    for motion in clips[tag]:
        left, right = column(motion, "eyeBlinkLeft"), column(motion, "eyeBlinkRight")
        assert np.abs(left - right).max() < 0.2
        shut = left > 0.6
        closures += int((shut[1:] & ~shut[:-1]).sum())
        wide = column(motion, "eyeWideLeft")
        assert wide[shut].max(initial=0) < 0.35  # no stare on closed eyes
    minutes = sum(float(motion.seconds) for motion in clips[tag]) / 60
    assert 1 <= closures <= 2.5 * TAGS[tag].manner.blinks.per_minute * minutes


@pytest.mark.parametrize("tag", TAGS)
def test_the_mouth_closes_where_it_must(tag: str, clips: dict[str, list[Motion]]) -> None:
    speech = TAGS[tag].manner.speech
    for motion, take in zip(clips[tag], TAKES.values(), strict=True):
        phones = retimed(take, speech.tempo, speech.pause)
        times = np.arange(motion.frames) / 25
        silent = times < phones[0].end - 0.2  # before the first breath
        assert column(motion, "jawOpen")[silent].max() < 0.15
        lips = column(motion, "mouthLowerDownLeft") + column(motion, "mouthUpperUpLeft")
        for phone in phones:
            if phone.symbol in ("m", "b", "p") and phone.end - phone.start > 0.06:
                near = np.abs(times - (phone.start + phone.end) / 2) <= 0.04
                assert lips[near].min() < 0.3, (take, phone)


@pytest.mark.parametrize("tag", TAGS)
def test_each_tag_looks_like_its_name(tag: str, clips: dict[str, list[Motion]]) -> None:
    for motion in clips[tag]:
        for name, low, high in LOOKS[tag]:
            assert low <= column(motion, name).mean() <= high, name


def test_tags_are_told_apart(clips: dict[str, list[Motion]]) -> None:
    """A clip's nearest other clip, by mean pose, is of its own tag."""
    face = RIG.indices("face")
    poses = [(tag, motion.values[:, face].mean(axis=0)) for tag, motions in clips.items() for motion in motions]
    for index, (tag, pose) in enumerate(poses):
        others = [(float(np.linalg.norm(pose - other)), name) for j, (name, other) in enumerate(poses) if j != index]
        assert min(others)[1] == tag
    means = {tag: np.mean([pose for name, pose in poses if name == tag], axis=0) for tag in clips}
    for one, two in itertools.combinations(means, 2):
        assert np.linalg.norm(means[one] - means[two]) > 0.3, (one, two)


def test_the_same_seed_is_the_same_motion_and_another_is_not() -> None:
    phones = TAKES["take1"]
    first, again, other = (perform(phones, ActedManner(), seed, RIG, TABLE, FPS) for seed in ("a", "a", "b"))
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.values - other.values).max() > 0.1
    mouth = RIG.index("jawOpen")  # what is said stays
    assert np.corrcoef(first.values[:, mouth], other.values[:, mouth])[0, 1] > 0.98


def test_a_higher_frame_rate_is_the_same_performance() -> None:
    phones, manner = TAKES["take2"], TAGS["angry"].manner
    slow = perform(phones, manner, "seed", RIG, TABLE, Fraction(25))
    fast = perform(phones, manner, "seed", RIG, TABLE, Fraction(50))
    assert fast.frames in (2 * slow.frames - 1, 2 * slow.frames, 2 * slow.frames + 1)
    np.testing.assert_allclose(fast.values[::2][: slow.frames - 2], slow.values[: slow.frames - 2], atol=2e-4)


def test_time_and_stress() -> None:
    syllables = [Phone("b", 0.2, 0.3), Phone("a", 0.3, 0.5, 3.0), Phone("ə", 0.5, 0.55, -4.0)]
    phones = [Phone("", 0, 0.2), *syllables, Phone("", 0.55, 0.8)]
    half = retimed(phones, 2.0, 1.5)
    assert half[1].end - half[1].start == pytest.approx(0.05)
    assert half[0].end == pytest.approx(0.15)
    stresses = stressed(phones, TABLE)
    assert [round(s.time, 3) for s in stresses] == [0.4]
    assert stressed([Phone("", 0, 1)], TABLE) == []

    times = np.arange(0, 1, 0.01)
    assert pulse(times, 0.5, 0.1, 0.1, 0.2).max() == pytest.approx(1)
    assert pulse(times, 0.5, 0.1, 0.1, 0.2)[times < 0.34].max() == 0
    assert emphasis(times, [Stress(0.5, 0.6)], 0.1, 0.1, 0.1).max() == pytest.approx(0.6)
    assert speaking(phones, np.array([0.0, 0.3, 0.8])).round(2).tolist() == [0.0, 1.0, 0.0]


def test_a_tag_can_be_made_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sad", "--out", str(tmp_path)]) == 0
    assert "sad" in capsys.readouterr().out
    library = StyleLibrary([tmp_path], shipped=False)
    assert list(library.tags) == ["sad"]
    assert check_style(tmp_path / "sad", RIG) == []


def test_an_unknown_tag_is_named_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sat", "--out", str(tmp_path)]) == 1
    assert "did you mean sad" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format_version: 9\n", "format version"),
        ("format_version: 1\nodd: {pose: {}}\n", "no description"),
        ("format_version: 1\nodd: {description: x, poze: {}}\n", "unknown key 'poze'"),
        ("format_version: 1\nodd: {description: x, pose: {mouthSmirk: 0.4}}\n", "no channel 'mouthSmirk'"),
        ("format_version: 1\nodd: {description: x, pose: {mouthSmile: 1.4}}\n", "outside 0 to 1"),
        ("format_version: 1\nodd: {description: x, swell: much}\n", "not a number"),
        ("format_version: 1\nodd: {description: x, head: {pose: [1, 2]}}\n", "cannot be"),
        ("format_version: 1\nodd: {description: x, blinks: 3}\n", "not a mapping"),
    ],
)
def test_a_wrong_manner_is_refused_in_words(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "manners.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MsmdError, match=message):
        read_tags(path)
