"""A style that follows a performance through time."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from msmdcli.model.style_codes import StyleCode
from msmdcli.motion.rig import Rig
from msmdcli.styles.field import Segment, StyleRef
from msmdcli.styles.timeline import (
    LONGEST_STRETCH,
    MOST_STRETCHES,
    SHORTEST_ORIGINAL,
    SHORTEST_STRETCH,
    Stretch,
    StyleTimeline,
    cut_stretches,
    stretch_weights,
)

RIG = Rig.load("arkit52")
HERE = Path()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9000), st.sampled_from([Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(12)]))
def test_stretches_cover_a_performance_and_overlap(frames: int, fps: Fraction) -> None:
    stretches = cut_stretches(frames, fps)
    assert stretches[0].start == 0 and stretches[-1].stop == frames and len(stretches) <= MOST_STRETCHES
    sizes = {stretch.stop - stretch.start for stretch in stretches}
    assert len(sizes) == 1
    if frames / fps < SHORTEST_ORIGINAL:
        assert len(stretches) == 1
        return
    seconds = sizes.pop() / float(fps)
    assert len(stretches) > 1 and seconds >= SHORTEST_STRETCH - 1 / float(fps)
    if len(stretches) < MOST_STRETCHES:
        assert seconds <= 1.1 * LONGEST_STRETCH + 1 / float(fps)
    for before, after in pairwise(stretches):
        overlap = (before.stop - after.start) / (before.stop - before.start)
        assert 0.3 < overlap < 0.75 and before.middle < after.middle


@settings(max_examples=40, deadline=None)
@given(st.integers(75, 3000), st.integers(1, 2000))
def test_weights_sum_to_one_and_fade_without_jumps(original: int, frames: int) -> None:
    stretches = cut_stretches(original, Fraction(25))
    weights = stretch_weights(stretches, frames)
    assert weights.shape == (frames, len(stretches)) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights >= 0).all() and ((weights > 0).sum(axis=1) <= 2).all()
    if frames > 1:
        gap = min(after.middle - before.middle for before, after in pairwise(stretches))
        assert np.abs(np.diff(weights, axis=0)).max() <= 1.5 / (gap * frames) + 1e-5  # the steepest smooth step


def test_a_moment_takes_the_style_of_the_same_share_of_the_original() -> None:
    stretches = (Stretch(0, 50, 0.25), Stretch(25, 75, 0.5), Stretch(50, 100, 0.75))
    weights = stretch_weights(stretches, 200)
    assert weights[0, 0] == 1 and weights[49, 0] > 0.99  # up to the first middle
    assert weights[99:101, 1].min() > 0.99
    assert abs(weights[74:76, 0].mean() - 0.5) < 0.01  # half way between two middles
    assert (weights[151:, 2] == 1).all()
    assert (stretch_weights((Stretch(0, 9, 0.5),), 5) == 1).all()


def codes(field: StyleTimeline) -> dict[tuple[str, Path], StyleCode | None]:
    names = [key for _, key in field.stretches] + [field.original, ("calm", HERE)]
    return {name: StyleCode.of(np.full(3, i, np.float32), np.zeros(2, np.float32)) for i, name in enumerate(names)}


def test_the_original_s_weight_is_divided_and_other_styles_keep_theirs() -> None:
    take = StyleRef("take.npz", HERE)
    plain = StyleTimeline((Segment(0.0, (take,), {"upper": (StyleRef("calm", HERE),)}),), original=take.key)
    field = plain.with_stretches(cut_stretches(250, Fraction(25)))
    styles = codes(field)
    entries = field.entries(styles, frames=75, fps=Fraction(25), rig=RIG)
    total = sum(np.broadcast_to(entry.weight, (75, RIG.size)) for entry in entries)
    np.testing.assert_allclose(total, 1, atol=1e-6)
    brow, jaw = RIG.index("browInnerUp"), RIG.index("jawOpen")
    for entry in entries:
        assert entry.style is not None
        weight = np.broadcast_to(entry.weight, (75, RIG.size))
        is_calm = entry.style.key == styles["calm", HERE].key  # type: ignore[union-attr]
        assert (weight[:, jaw] == 0).all() if is_calm else (weight[:, brow] == 0).all()
    assert len(entries) == len(field.stretches) + 1
    assert [ref.name for ref in field.refs()] == ["take.npz", "calm"]  # stretches are not references of their own


def test_one_stretch_or_no_style_is_the_plain_field() -> None:
    take = StyleRef("take.npz", HERE)
    field = StyleTimeline((Segment(0.0, (take,)),), 1.2, original=take.key).with_stretches((Stretch(0, 20, 0.5),))
    (entry,) = field.entries(codes(field), 30, Fraction(25), RIG)
    assert entry.intensity == 1.2 and entry.style is not None and entry.style.key == codes(field)[take.key].key  # type: ignore[union-attr]
    (entry,) = field.entries({take.key: None}, 30, Fraction(25), RIG)
    assert entry.style is None


def test_a_description_says_that_it_follows() -> None:
    take = StyleRef("take.npz", HERE)
    field = StyleTimeline((Segment(0.0, (take,)),), original=take.key)
    assert field.description()[0]["style"] == [["take.npz through time", 1.0]]
    assert field.description() == field.with_stretches(cut_stretches(250, Fraction(25))).description()
