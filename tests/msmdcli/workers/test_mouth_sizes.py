"""Each style's mouth as large as its clips', with the model that ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from msmdcli import Animator, Articulation, Controls
from msmdcli.model.sampling import Sampling
from msmdcli.model.stores import StyleStore
from msmdcli.motion.motion import Motion, save_npz
from msmdcli.performance.mouth_size import LEAST, size_of_clips
from msmdcli.styles.field import Segment, StyleField, StyleRef
from msmdcli.styles.library import StyleLibrary
from msmdcli.workers.mouth_sizes import WIDEST, MouthSizes, by_channel, by_column, gains_over_time, shipped_sizes

AUDIO = Path(__file__).resolve().parents[3] / "examples" / "audio"
SPOKEN = ("jawOpen", "mouthPucker", "mouthLowerDownLeft")
LINES = {name: AUDIO / f"{name}.ogg" for name in ("captain_fr", "oracle_de", "smuggler_003")}


@pytest.fixture(scope="module")
def animator() -> Iterator[Animator]:
    with Animator() as loaded:
        yield loaded


def clips(animator: Animator, tag: str) -> list[Motion]:
    (reference,) = animator.style(tag).references.values()
    assert reference is not None
    return reference.load()


def spread(motion: Motion, name: str) -> float:
    return float(motion.values[:, motion.rig.index(name)].std())


def gains(animator: Animator, takes: list[Motion], sampling: Sampling | None = None) -> dict[str, float]:
    engine = animator.engine
    sizes = MouthSizes(engine, StyleStore(limit=0))
    return by_channel(engine.bundle.rig, sizes.gains(engine.encode_style(takes), takes, sampling or engine.sampling))


@pytest.mark.parametrize("tag", ["surprised", "sad"])
def test_a_line_is_nearer_to_its_style_than_the_model_alone(animator: Animator, tag: str) -> None:
    wanted = float(np.mean([spread(clip, "jawOpen") for clip in clips(animator, tag)]))

    def off(controls: Controls) -> float:
        made = [motion for _, motion in animator.animate_many(LINES, style=tag, controls=controls)]
        return abs(float(np.log(np.mean([spread(motion, "jawOpen") for motion in made]) / wanted)))

    assert off(Controls()) < 0.75 * off(Controls(mouth_size="generated"))


def test_the_gains_that_ship_are_what_would_be_measured(animator: Animator) -> None:
    """If this fails, the model, a tag or the trial speech has changed: python -m training.speech.make_mouth_sizes."""
    engine = animator.engine
    sizes = MouthSizes(engine, StyleStore(limit=0))
    for tag in StyleLibrary().tags:
        for closures in (True, False):
            assert sizes.described(clips(animator, tag), engine.sampling, closures) in shipped_sizes(), tag
    for tag in ("surprised", "sad"):
        takes = clips(animator, tag)
        style = engine.encode_style(takes)
        measured, shipped = sizes.measured(style, takes, engine.sampling), sizes.gains(style, takes, engine.sampling)
        np.testing.assert_allclose(shipped, measured, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("tag", ["contemptuous", "surprised"])
def test_a_jaw_that_swings_as_far_opens_no_wider_than_the_reference_s(animator: Animator, tag: str) -> None:
    """A made jaw rests further open than a real one between the vowels, so the same swing would take it too far."""
    engine, takes = animator.engine, clips(animator, tag)
    sizes, style = MouthSizes(engine, StyleStore(limit=0)), engine.encode_style(takes)
    size = sizes._trial_in(style, engine.sampling, closures=True)
    own = size_of_clips(takes)
    made = size(sizes.gains(style, takes, engine.sampling))
    assert 0.95 * own.open_jaw < made.open_jaw < 1.04 * WIDEST * own.open_jaw


def test_a_reference_that_goes_further_makes_the_mouth_go_further(animator: Animator, tmp_path: Path) -> None:
    take = clips(animator, "neutral")[0]
    wide = replace(take, values=take.values.copy())
    for name in ("jawOpen", "mouthPucker", "mouthFunnel"):
        column = take.rig.index(name)
        wide.values[:, column] = np.clip(wide.values[:, column] * 1.4, 0, 1)

    def spoken(reference: Motion, name: str) -> dict[str, float]:
        save_npz(tmp_path / name, reference)
        made = [motion for _, motion in animator.animate_many(LINES, style=str(tmp_path / name))]
        return {channel: float(np.mean([spread(motion, channel) for motion in made])) for channel in SPOKEN}

    usual, wider = spoken(take, "usual.npz"), spoken(wide, "wide.npz")
    assert wider["jawOpen"] > 1.2 * usual["jawOpen"]
    assert wider["mouthPucker"] > 1.2 * usual["mouthPucker"]
    assert wider["mouthLowerDownLeft"] < 1.1 * usual["mouthLowerDownLeft"]  # it moves as before


def test_what_a_reference_does_not_do_with_its_mouth_is_not_done(animator: Animator) -> None:
    takes = clips(animator, "neutral")
    still = [replace(take, values=take.values.copy()) for take in takes]
    for take in still:
        for name in ("mouthRollLower", "mouthUpperUpLeft", "mouthUpperUpRight"):
            column = take.rig.index(name)
            take.values[:, column] = take.values[:, column].mean()
    found = gains(animator, still)
    assert found["mouthRollLower"] < 0.1
    assert found["mouthUpperUpLeft"] == LEAST  # without it there is no speech


def test_a_model_that_is_made_larger_is_corrected_less(animator: Animator) -> None:
    takes, sampling = clips(animator, "angry"), animator.engine.sampling
    small = gains(animator, takes, replace(sampling, guidance_audio=0.0))
    large = gains(animator, takes, replace(sampling, guidance_audio=1.5))
    assert small["jawOpen"] > large["jawOpen"]


def test_guidance_by_the_sound_still_makes_a_mouth_larger() -> None:
    """Gains are measured as the model is solved by default, so they do not take back what is asked of a line."""
    spreads = []
    for scale in (0.0, 1.5):
        with Animator(sampling=Sampling(guidance_audio=scale)) as guided:
            spreads.append(spread(guided.animate(LINES["captain_fr"], style="neutral"), "jawOpen"))
    assert spreads[1] > 1.2 * spreads[0]


def test_the_dial_is_on_top(animator: Animator) -> None:
    plain, more = (
        animator.animate(LINES["captain_fr"], style="surprised", controls=Controls(articulation=dial, closures=False))
        for dial in (Articulation(), Articulation(jaw=0.5))
    )
    assert spread(more, "jawOpen") == pytest.approx(0.5 * spread(plain, "jawOpen"), rel=0.15)


def test_bytes_do_not_depend_on_neighbours_or_caches(animator: Animator) -> None:
    alone = animator.animate(LINES["oracle_de"], style="joyful_shout")
    with Animator() as other:
        for tag in ("sad", "joyful_shout"):
            among = dict(other.animate_many(LINES, style=tag))
    assert np.array_equal(alone.values, among["oracle_de"].values)


def test_mixes_segments_and_intensity_have_their_share(animator: Animator) -> None:
    base = Path()
    wide, narrow = StyleRef("wide", base), StyleRef("narrow", base)
    rig = animator.bundle.rig
    found = {
        wide.key: by_column(rig, {"jawOpen": 1.44, "mouthPucker": 1.21}),
        narrow.key: by_column(rig, {"jawOpen": 0.64}),
    }
    motion = Motion(np.zeros((100, rig.size), np.float32), animator.bundle.fps, rig)

    def over(*segments: Segment, intensity: float = 1.0) -> np.ndarray:
        over_all = gains_over_time(StyleField(segments, intensity), found, found, motion)
        assert (over_all[:, rig.indices("upper")] == 1).all()
        return over_all[:, [rig.index("jawOpen"), rig.index("mouthPucker")]]

    assert over(Segment(0.0, (wide,)))[0].tolist() == pytest.approx([1.44, 1.21])
    assert over(Segment(0.0, (wide,)), intensity=0.5)[0].tolist() == pytest.approx([1.2, 1.1])
    mixed = over(Segment(0.0, (replace(wide, weight=0.5), replace(narrow, weight=0.5))))
    assert mixed[0, 0] == pytest.approx(1.2 * 0.8)
    changing = over(Segment(0.0, (wide,)), Segment(2.0, (narrow,), fade=0.4))
    assert changing[0, 0] == pytest.approx(1.44) and changing[-1, 0] == pytest.approx(0.64)
    assert np.abs(np.diff(changing[:, 0])).max() < 0.15
    regional = over(Segment(0.0, (wide,), {"jaw": (narrow,)}))
    assert regional[0].tolist() == pytest.approx([0.64, 1.21])
